//! Which loaded entities have to be told of what a flush writes elsewhere, so that both sides of every relation agree
//! (rule C14): a foreign key is the other side's collection, a pivot row is two collections' item.
//!
//! Found out before anything is sent, too: an entity whose guard the caller holds could not be told afterwards.

use std::sync::Arc;

use rustc_hash::FxHashSet;

use super::UnitOfWork;
use super::change_set::{ChangeKind, ChangeSet, ClearChange, LinkChange, LinkEnd, RowChange, Target};
use super::key_changes::KeysNow;
use crate::error::Error;
use crate::metadata::{AnyCell, EntityDef, EntityObject, GraphLink, Member, Metadata, ReferenceTarget, RelationDef};
use crate::types::Key;

/// One entity is told that another one belongs to its relation, or no longer does.
pub(super) struct Told {
    pub(super) cell: Arc<dyn AnyCell>,
    /// The relation: a collection, or the inverse side of a one-to-one.
    property: usize,
    item: Member,
    /// The item's key from before the flush.
    key: Option<Key>,
    present: bool,
}

impl Told {
    /// An entity is told that an item no longer belongs to its relation.
    pub(super) fn left(cell: Arc<dyn AnyCell>, property: usize, item: &Arc<dyn AnyCell>) -> Self {
        Self { cell, property, item: Member::Entity(Arc::clone(item)), key: item.key(), present: false }
    }

    /// The item's key is called otherwise now.
    pub(super) fn rename(&mut self, metadata: &Metadata, now: KeysNow<'_>) {
        if let (Some(key), Member::Entity(item)) = (&self.key, &self.item)
            && let Some(entity) = metadata.find(item.meta())
            && let std::borrow::Cow::Owned(new) = now.of(entity.index, key)
        {
            self.key = Some(new);
        }
    }

    /// Takes it in: into the fields and, if the entity is dirty, into what it is compared with.
    pub(super) fn take_in(&self, graph: &GraphLink) -> Result<(), Error> {
        let change = |fields: &mut dyn EntityObject| {
            let property = fields.property_mut(self.property);
            if let Some(collection) = property.as_collection_mut() {
                collection.absorb(&self.item, self.present);
            } else if let Some(reference) = property.as_reference_mut() {
                if self.present {
                    reference.set_key(self.item.key().as_ref(), graph);
                } else if matches!(reference.target(), ReferenceTarget::Key(key) if Some(&key) == self.key.as_ref()) {
                    reference.set_key(None, graph);
                }
            }
        };
        self.cell.write(&mut |value, baseline| {
            change(value);
            if let Some(baseline) = baseline {
                change(baseline);
            }
        })
    }
}

/// Everybody who has to be told, in the order in which it happens.
///
/// # Errors
/// [`Error::EntityBorrowed`] if this thread holds a write guard of a written entity.
pub(super) fn told(graph: &Arc<UnitOfWork>, changes: &ChangeSet) -> Result<Vec<Told>, Error> {
    let mut finder = Finder { graph, changes, told: Vec::new() };
    if changes.has_references {
        finder.told.reserve(changes.rows.len());
        for row in &changes.rows {
            finder.row(row)?;
        }
    }
    for clear in &changes.clears {
        finder.clear(clear)?;
    }
    for link in &changes.links {
        finder.link(link);
    }
    Ok(finder.told)
}

/// Those who have to be told that entities lose all their links of one relation.
///
/// # Errors
/// [`Error::EntityBorrowed`] if this thread holds a write guard of one of the entities.
pub(super) fn told_of_links(
    graph: &Arc<UnitOfWork>,
    changes: &ChangeSet,
    clear: &ClearChange,
) -> Result<Vec<Told>, Error> {
    let mut finder = Finder { graph, changes, told: Vec::new() };
    finder.clear(clear)?;
    Ok(finder.told)
}

struct Finder<'a> {
    graph: &'a Arc<UnitOfWork>,
    changes: &'a ChangeSet,
    told: Vec<Told>,
}

impl<'a> Finder<'a> {
    fn relation(&self, entity: usize, property: usize) -> Option<&'a RelationDef> {
        self.graph.metadata.entities[entity].relation(property)
    }

    /// The entities at the other end of the foreign keys of a row.
    fn row(&mut self, row: &RowChange) -> Result<(), Error> {
        let entity = &self.graph.metadata.entities[row.entity];
        if row.kind == ChangeKind::Delete {
            return self.deleted(entity, row);
        }
        for (property, key) in &row.previous {
            self.tell_key(usize::from(*property), key, row, false);
        }
        for (property, target) in &row.targets {
            match target {
                Target::Null => {}
                Target::Key(key) => self.tell_key(usize::from(*property), key, row, true),
                Target::Row(position) => {
                    let target = Arc::clone(&self.changes.rows[*position].cell);
                    let relation = self.relation(row.entity, usize::from(*property));
                    if let Some(inverse) = relation.and_then(|relation| relation.inverse) {
                        self.tell(target, inverse, &row.cell, row.key.as_ref(), true);
                    }
                }
            }
        }
        Ok(())
    }

    /// What a deleted row referred to; its links are among the clears.
    fn deleted(&mut self, entity: &EntityDef, row: &RowChange) -> Result<(), Error> {
        let mut references = Vec::new();
        row.cell.read_sent(self.changes.flush, &mut |view| {
            // What referred to the row does not refer to it any more, or is deleted with it, and then keeps its fields.
            for (property, _) in entity.relations().filter(|(_, relation)| relation.is_owning_to_one()) {
                let before = view.baseline.unwrap_or(view.value).property(property).as_reference();
                if let Some(ReferenceTarget::Key(key)) = before.map(|reference| reference.target()) {
                    references.push((property, key));
                }
            }
        })?;
        for (property, key) in references {
            self.tell_key(property, &key, row, false);
        }
        Ok(())
    }

    fn tell_key(&mut self, property: usize, key: &Key, row: &RowChange, present: bool) {
        if let Some(relation) = self.relation(row.entity, property)
            && let Some(inverse) = relation.inverse
            && let Some(target) = self.graph.find(relation.target, key)
        {
            self.tell(target, inverse, &row.cell, row.key.as_ref(), present);
        }
    }

    fn tell(
        &mut self,
        cell: Arc<dyn AnyCell>,
        property: usize,
        item: &Arc<dyn AnyCell>,
        key: Option<&Key>,
        present: bool,
    ) {
        self.told.push(Told { cell, property, item: Member::Entity(Arc::clone(item)), key: key.cloned(), present });
    }

    /// Entities whose links all go: what they were linked to, as far as it is loaded.
    fn clear(&mut self, clear: &ClearChange) -> Result<(), Error> {
        let Some(relation) = self.relation(clear.entity, clear.property) else { return Ok(()) };
        let Some(inverse) = relation.inverse else { return Ok(()) };
        let mut unknown: FxHashSet<&Key> = FxHashSet::default();
        for key in &clear.keys {
            let owner = self.graph.find(clear.entity, key);
            let mut linked = None;
            if let Some(owner) = &owner {
                owner.read(&mut |view| {
                    let collection = view.value.property(clear.property).as_collection();
                    linked = collection.and_then(|collection| collection.stored_members());
                })?;
            }
            let (Some(owner), Some(linked)) = (owner, linked) else {
                unknown.insert(key);
                continue;
            };
            for member in linked {
                if let Member::Entity(other) = member {
                    self.tell(other, inverse, &owner, None, false);
                }
            }
        }
        if unknown.is_empty() {
            return Ok(());
        }
        // What they were linked to is not known: whoever is loaded is looked at.
        let others = self.graph.map.lock().all(relation.target);
        for other in others {
            let mut members = None;
            other.read(&mut |view| {
                members = view.value.property(inverse).as_collection().and_then(|items| items.stored_members());
            })?;
            for item in members.into_iter().flatten() {
                if item.key().is_some_and(|key| unknown.contains(&key)) {
                    let cell = Arc::clone(&other);
                    self.told.push(Told { cell, property: inverse, item, key: None, present: false });
                }
            }
        }
        Ok(())
    }

    /// Both ends of pivot rows.
    fn link(&mut self, link: &LinkChange) {
        let Some(relation) = self.relation(link.entity, link.property) else { return };
        for (pairs, present) in [(&link.unlinked, false), (&link.placed, true), (&link.linked, true)] {
            for (one, two) in pairs {
                let (Some(one), Some(two)) = (self.end(link.entity, one), self.end(relation.target, two)) else {
                    continue;
                };
                if let Some(inverse) = relation.inverse {
                    self.tell(Arc::clone(&two), inverse, &one, None, present);
                }
                self.tell(one, link.property, &two, None, present);
            }
        }
    }

    fn end(&self, entity: usize, end: &LinkEnd) -> Option<Arc<dyn AnyCell>> {
        match end {
            LinkEnd::Key(key) => self.graph.find(entity, key),
            LinkEnd::Row(row) => Some(Arc::clone(&self.changes.rows[*row].cell)),
        }
    }
}
