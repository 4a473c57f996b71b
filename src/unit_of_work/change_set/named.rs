//! Inverse sides of one-to-ones that name a row by its key which is not loaded: a new entity may have been given that key, or one that
//! was deleted has it still and is inserted again.

use super::*;

/// An inverse side that names a row.
pub(super) struct Named {
    /// The node.
    pub(super) index: usize,
    pub(super) property: usize,
    pub(super) key: Key,
}

impl Collector<'_> {
    /// Gives the new entities that are named the foreign keys that follow. Whether there were any.
    pub(super) fn find_named(&mut self) -> Result<bool, Error> {
        let mut found = false;
        for named in std::mem::take(&mut self.named) {
            let Some(relation) = self.entity(self.nodes[named.index].entity).relation(named.property) else { continue };
            match self.new_of_key(relation.target, &named.key)? {
                Some(item) => {
                    self.point_back(named.index, named.property, relation, &item)?;
                    found = true;
                }
                None => self.named.push(named),
            }
        }
        Ok(found)
    }

    /// Checks that what is named, and is not loaded, need not be written.
    ///
    /// # Errors
    /// [`Error::NotLoaded`].
    pub(super) fn check_named(&self) -> Result<(), Error> {
        self.named.iter().try_for_each(|named| {
            let relation = self.entity(self.nodes[named.index].entity).relation(named.property);
            relation.map_or(Ok(()), |relation| self.check_known(named.index, named.property, relation))
        })
    }

    /// The entity that is inserted with this key.
    fn new_of_key(&self, entity: usize, key: &Key) -> Result<Option<Arc<dyn AnyCell>>, Error> {
        for node in self.nodes.iter().filter(|node| node.entity == entity && node.role == Role::Insert) {
            if self.given_key(entity, &node.cell)?.as_ref() == Some(key) {
                return Ok(Some(Arc::clone(&node.cell)));
            }
        }
        Ok(None)
    }

    /// The key that a new entity was given, if it is made of columns that have a value.
    pub(super) fn given_key(&self, entity: usize, cell: &Arc<dyn AnyCell>) -> Result<Option<Key>, Error> {
        let properties = &self.entity(entity).key_properties;
        let key = self.read(cell, |view| {
            let part = |index: &usize| {
                let value = view.value.property(*index);
                if value.is_unset() { None } else { value.key_part() }
            };
            properties.iter().map(part).collect::<Option<Vec<KeyPart>>>().and_then(Key::from_parts)
        })?;
        Ok(key.flatten())
    }
}
