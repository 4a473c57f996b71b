//! Entities whose keys were changed: which rows refer to them and are not changed by the server, and which keys are taken.

use super::super::key_changes::{Done, KeysNow};
use super::*;
use crate::metadata::KeyRule;

/// Keys by entity.
type Keys = FxHashMap<usize, FxHashSet<Key>>;

impl Collector<'_> {
    /// Draws in the loaded entities whose foreign keys have to be written because a key is changed that they refer to.
    /// Only if there is such a key it looks at entities that were not touched.
    ///
    /// # Errors
    /// [`Error::Validation`] if such a foreign key can be written neither before the key nor behind it.
    pub(super) fn follow_keys(&mut self) -> Result<(), Error> {
        let mut changed = Keys::default();
        for index in 0..self.nodes.len() {
            let node = &self.nodes[index];
            let entity = self.entity(node.entity);
            if node.role == Role::Update
                && entity.key_properties.iter().any(|property| Some(*property) != entity.identity)
                && let Some(key) = node.cell.key()
                && self.changes_key(index, entity)?
            {
                changed.entry(entity.index).or_default().insert(key);
            }
        }
        let graph = self.graph;
        while !changed.is_empty() {
            let mut next = Keys::default();
            for entity in &graph.metadata.entities {
                let concerned = |(_, relation): &(usize, &RelationDef)| {
                    relation.is_owning_to_one() && changed.contains_key(&relation.target)
                };
                let relations: Vec<(usize, &RelationDef)> = entity.relations().filter(concerned).collect();
                if relations.is_empty() {
                    continue;
                }
                let cells = graph.map.lock().all(entity.index);
                for cell in cells {
                    for (property, relation) in &relations {
                        let keys = changed.get(&relation.target);
                        let refers = self
                            .stored_key(&cell, *property)?
                            .filter(|key| keys.is_some_and(|keys| keys.contains(key)));
                        let Some(key) = refers else { continue };
                        self.follow_key(&cell, entity, *property, relation, &key)?;
                        if entity.key_properties.contains(property)
                            && let Some(key) = cell.key()
                        {
                            next.entry(entity.index).or_default().insert(key);
                        }
                    }
                }
            }
            changed = next;
        }
        Ok(())
    }

    /// Whether a part of an entity's key is not what the database has.
    fn changes_key(&self, index: usize, entity: &EntityDef) -> Result<bool, Error> {
        let node = &self.nodes[index];
        let overridden = |property: &usize| node.overrides.iter().any(|(number, _)| usize::from(*number) == *property);
        if entity.key_properties.iter().any(overridden) {
            return Ok(true);
        }
        let changed = self.read(&node.cell, |view| {
            let Some(baseline) = view.baseline else { return false };
            let differs = |property: &usize| !view.value.property(*property).same(baseline.property(*property), None);
            entity.key_properties.iter().any(differs)
        })?;
        Ok(changed.unwrap_or(false))
    }

    /// The key that a foreign key has in the database.
    fn stored_key(&self, cell: &Arc<dyn AnyCell>, property: usize) -> Result<Option<Key>, Error> {
        let key = self.read(cell, |view| {
            let reference = view.baseline.unwrap_or(view.value).property(property).as_reference();
            match reference.map(|reference| reference.target()) {
                Some(ReferenceTarget::Key(key)) => Some(key),
                _ => None,
            }
        })?;
        Ok(key.flatten())
    }

    /// A loaded row refers to one whose key is changed.
    fn follow_key(
        &mut self,
        cell: &Arc<dyn AnyCell>,
        entity: &EntityDef,
        property: usize,
        relation: &RelationDef,
        key: &Key,
    ) -> Result<(), Error> {
        let (source, field) = (entity.meta.name, entity.property_name(property));
        let target = self.entity(relation.target).meta.name;
        match relation.key_rule() {
            KeyRule::Cascade | KeyRule::SetNull => return Ok(()),
            KeyRule::SetDefault => {
                let message = format!(
                    "the key of {target}#{key} was changed, and the database sets {source}.{field} of a loaded {source} to a \
                     default that is not known here: detach() what refers to it, or declare on_update = \"cascade\""
                );
                return Err(Error::validation(source, message));
            }
            KeyRule::Check => {}
        }
        let number = u16::try_from(property).unwrap_or_default();
        if let Some(node) = self.node_of(cell) {
            let node = &self.nodes[node];
            if node.role == Role::Delete || node.overrides.iter().any(|(index, _)| *index == number) {
                return Ok(());
            }
        }
        let now =
            self.read(cell, |view| view.value.property(property).as_reference().map(|reference| reference.target()))?;
        if !matches!(now.flatten(), Some(ReferenceTarget::Key(now)) if now == *key) {
            return Ok(());
        }
        if !relation.meta.nullable && !relation.is_deferred() {
            let message = format!(
                "the key of {target}#{key} cannot be changed: {source}.{field} refers to it, and its foreign key does not \
                 follow: declare it with on_update = \"cascade\" (or deferrable = \"initially deferred\")"
            );
            return Err(Error::validation(target, message));
        }
        let index = self.add(cell, Role::Update)?;
        self.nodes[index].rewritten.push(number);
        Ok(())
    }
}

/// Keys that rows are to get must not be those of other rows that keep theirs.
///
/// # Errors
/// [`Error::Validation`] names both.
pub(super) fn check_taken(graph: &Arc<UnitOfWork>, changes: &ChangeSet) -> Result<(), Error> {
    if changes.keys.is_empty() {
        return Ok(());
    }
    let given: Vec<Option<Key>> = changes.rows.iter().map(|row| row.key.clone()).collect();
    let now = KeysNow { metadata: &graph.metadata, changes, keys: &given, done: Done::Everything, behind: None };
    let deleted = changes.rows.iter().filter(|row| row.kind == ChangeKind::Delete);
    let deleted: FxHashSet<usize> = deleted.map(|row| address(&row.cell)).collect();
    let mut wanted: FxHashMap<(usize, Key), usize> = FxHashMap::default();
    for position in changes.keys.positions() {
        let row = &changes.rows[position];
        let needs_row = |part: &NewPart| matches!(part, NewPart::Target(Target::Row(row)) if given[*row].is_none());
        if row.new_key.iter().any(|(_, part)| needs_row(part)) {
            // It is only known when that one is inserted, and nobody has it.
            continue;
        }
        let Some(new) = now.of_row(position) else { continue };
        let name = graph.metadata.entities[row.entity].meta.name;
        let old = row.key.as_ref().map(ToString::to_string).unwrap_or_default();
        let other = graph.find(row.entity, &new).filter(|other| !Arc::ptr_eq(other, &row.cell));
        let stays = other.is_some_and(|other| !deleted.contains(&address(&other)) && *now.of(row.entity, &new) == *new);
        if stays || wanted.insert((row.entity, new.clone().into_owned()), position).is_some() {
            let message = format!(
                "{name}#{old} cannot get the key {new}: another {name} has it. Remove that, or give it another key"
            );
            return Err(Error::validation(name, message));
        }
    }
    for (position, row) in changes.rows.iter().enumerate().filter(|(_, row)| row.kind == ChangeKind::Insert) {
        let Some(key) = now.of_row(position) else { continue };
        if wanted.contains_key(&(row.entity, key.clone().into_owned())) {
            let name = graph.metadata.entities[row.entity].meta.name;
            let message = format!("a new {name} and a {name} whose key was changed are both to get the key {key}");
            return Err(Error::validation(name, message));
        }
    }
    Ok(())
}
