//! What goes along with a removed entity, what is released by its owner, and what becomes of orphans (rule C13).

use super::cascade::Seen;
use super::*;

impl Collector<'_> {
    /// The inverse side of a one-to-one was set to something else: what it referred to is released.
    pub(super) fn release_replaced(
        &mut self,
        owner: &Arc<dyn AnyCell>,
        entity: &EntityDef,
        property: usize,
        relation: &RelationDef,
        target: &ReferenceTarget,
        before: Option<ReferenceTarget>,
    ) -> Result<(), Error> {
        let Some(ReferenceTarget::Key(before)) = before else { return Ok(()) };
        if matches!(target, ReferenceTarget::Key(key) if *key == before) {
            return Ok(());
        }
        // Its row has to be changed, and what is in it is not known.
        let unknown = Error::NotLoaded { entity: entity.meta.name, relation: entity.property_name(property) };
        let item = self.graph.find(relation.target, &before).ok_or(unknown)?;
        let owner = Arc::clone(owner);
        self.released.push_back(Released { owner, entity: entity.index, property, item, removed_along: false });
        Ok(())
    }

    /// An entity has left its owner: it is deleted as an orphan, or its owning side is set to NULL, unless something else
    /// has taken it in.
    pub(super) fn release(&mut self, released: &Released) -> Result<(), Error> {
        let Released { owner, item, .. } = released;
        let entity = self.entity(released.entity);
        let Some(relation) = entity.relation(released.property) else { return Ok(()) };
        let Some(inverse) = relation.inverse else { return Ok(()) };
        if released.removed_along {
            return if self.goes_along(item, inverse, released)? { self.add_removal(item) } else { Ok(()) };
        }
        let unwritten = match item.lifecycle() {
            Lifecycle::New | Lifecycle::Scheduled => self.node_of(item).is_none() || self.is_dropped(item),
            Lifecycle::Managed => false,
            Lifecycle::Removing | Lifecycle::Removed | Lifecycle::Detached => true,
        };
        if unwritten || self.is_claimed(item, inverse) || !self.refers_to(item, inverse, owner)? {
            return Ok(());
        }
        let target = self.entity(relation.target);
        if relation.meta.orphan_removal {
            self.add_removal(item)
        } else if target.relation(inverse).is_some_and(|owning| owning.meta.nullable) {
            self.set_reference(item, inverse, None)
        } else {
            let message = format!(
                "{} cannot be removed from {}.{}: {}.{} must not be NULL; remove() it, give it to another {}, or declare \
                 orphan_removal",
                target.meta.name,
                entity.meta.name,
                entity.property_name(released.property),
                target.meta.name,
                target.property_name(inverse),
                entity.meta.name
            );
            Err(Error::validation(target.meta.name, message))
        }
    }

    /// What the owning side of a one-to-one no longer refers to is an orphan, unless another entity refers to it now.
    pub(super) fn remove_abandoned(&mut self, abandoned: &Abandoned) -> Result<(), Error> {
        let Abandoned { entity, property, key } = abandoned;
        let Some(relation) = self.entity(*entity).relation(*property) else { return Ok(()) };
        for node in self.nodes.iter().filter(|node| node.entity == *entity && node.role != Role::Delete) {
            let overridden = node.overrides.iter().find_map(|(index, value)| match value {
                Override::Reference(target) if usize::from(*index) == *property => Some(target),
                _ => None,
            });
            let refers = match overridden {
                Some(target) => target.as_ref().and_then(|target| target.key()).as_ref() == Some(key),
                None => self.refers_to_key(&node.cell, *property, key)?,
            };
            if refers {
                return Ok(());
            }
        }
        match self.graph.find(relation.target, key) {
            Some(item) => self.add_removal(&item),
            None => {
                self.remove_row(relation.target, key.clone());
                Ok(())
            }
        }
    }

    /// Whether the to-one relation of an entity refers to the row with this key.
    fn refers_to_key(&self, cell: &Arc<dyn AnyCell>, property: usize, key: &Key) -> Result<bool, Error> {
        let refers = self.read(cell, |view| {
            let reference = view.value.property(property).as_reference();
            matches!(reference.map(|reference| reference.target()), Some(ReferenceTarget::Key(now)) if now == *key)
        })?;
        Ok(refers.unwrap_or(false))
    }

    /// Whether another collection has the entity already.
    pub(super) fn is_claimed(&self, cell: &Arc<dyn AnyCell>, property: usize) -> bool {
        let Some(index) = self.node_of(cell) else { return false };
        self.nodes[index]
            .overrides
            .iter()
            .any(|(other, value)| usize::from(*other) == property && matches!(value, Override::Reference(Some(_))))
    }

    /// What was removed by reference. One that was loaded since is removed like any other entity.
    pub(super) fn remove_rows(&mut self) -> Result<(), Error> {
        let rows = std::mem::take(&mut self.removed_rows);
        for (entity, key) in &rows {
            match self.graph.find(*entity, key) {
                Some(cell) => {
                    self.add(&cell, Role::Delete)?;
                }
                None => self.remove_row(*entity, key.clone()),
            }
        }
        self.removed_rows = rows;
        Ok(())
    }

    /// A row is deleted by its key.
    fn remove_row(&mut self, entity: usize, key: Key) {
        match self.removals.iter_mut().find(|removal| removal.entity == entity) {
            Some(removal) => removal.keys.push(key),
            None => self.removals.push(RowRemoval { entity, keys: vec![key] }),
        }
    }

    /// What goes along with a removed entity: what its relations say, and its rows in pivot tables.
    pub(super) fn cascade_removal(
        &mut self,
        cell: &Arc<dyn AnyCell>,
        entity: &EntityDef,
        property: usize,
        relation: &RelationDef,
        seen: Seen,
    ) -> Result<(), Error> {
        if relation.pivot.is_some() {
            self.clear_links(entity.index, property, cell);
        } else if let Seen::Collection { changes, .. } = &seen {
            for item in &changes.removed {
                let Member::Entity(item) = item else { continue };
                let (owner, item) = (Arc::clone(cell), Arc::clone(item));
                self.released.push_back(Released { owner, entity: entity.index, property, item, removed_along: false });
            }
        }
        if let Seen::Reference(target, before) = &seen
            && relation.is_inverse_one_to_one()
        {
            self.release_replaced(cell, entity, property, relation, target, before.clone())?;
        }
        if !relation.meta.cascade_remove && !relation.meta.orphan_removal {
            return Ok(());
        }
        let items = match seen {
            Seen::Reference(ReferenceTarget::Key(key), _) => {
                self.graph.find(relation.target, &key).into_iter().collect()
            }
            Seen::Reference(ReferenceTarget::Cell(item), _) => vec![item],
            Seen::Reference(ReferenceTarget::Nothing | ReferenceTarget::Lost, _) => Vec::new(),
            Seen::Collection { items, .. } => items.unwrap_or_default(),
        };
        let may_have_moved = relation.pivot.is_none() && relation.inverse.is_some() && !relation.is_owning_to_one();
        for item in items {
            if may_have_moved {
                let owner = Arc::clone(cell);
                self.released.push_back(Released { owner, entity: entity.index, property, item, removed_along: true });
            } else {
                self.add_removal(&item)?;
            }
        }
        Ok(())
    }

    /// Whether an item of a removed owner still belongs to it: one that was given to somebody else stays.
    fn goes_along(&self, item: &Arc<dyn AnyCell>, inverse: usize, released: &Released) -> Result<bool, Error> {
        if self.is_claimed(item, inverse) {
            return Ok(false);
        }
        if self.refers_to(item, inverse, &released.owner)? {
            return Ok(true);
        }
        // Added to the owner, which was removed then: its own side may not know.
        let added = self.read(&released.owner, |view| {
            let Some(collection) = view.value.property(released.property).as_collection() else { return false };
            let is_it = |other: &Member| matches!(other, Member::Entity(other) if Arc::ptr_eq(other, item));
            collection.changes().added.iter().any(is_it)
        })?;
        Ok(added.unwrap_or(false))
    }
}
