//! The entities whose collections a statement loads, and what it has found for them.

use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::Cells;
use crate::error::Error;
use crate::metadata::{AnyCell, EntityDef};
use crate::query::PopulateNode;
use crate::sql::Sight;
use crate::types::Key;
use crate::unit_of_work::UnitOfWork;

/// Owners by their keys.
pub(super) struct Owners {
    places: FxHashMap<Key, usize>,
    list: Vec<Owner>,
    /// Where the last one was: rows of one owner often come in a row.
    last: Option<(Key, usize)>,
}

struct Owner {
    /// `None` if its collection is to stay as it is.
    cell: Option<Arc<dyn AnyCell>>,
    items: Cells,
}

impl Owners {
    pub(super) fn new(owners: usize) -> Self {
        let places = FxHashMap::with_capacity_and_hasher(owners, rustc_hash::FxBuildHasher);
        Self { places, list: Vec::with_capacity(owners), last: None }
    }

    /// Adds an owner, unless it is there.
    pub(super) fn add(&mut self, key: Key, cell: Option<Arc<dyn AnyCell>>) {
        let place = self.list.len();
        if let std::collections::hash_map::Entry::Vacant(entry) = self.places.entry(key) {
            entry.insert(place);
            self.list.push(Owner { cell, items: Vec::new() });
        }
    }

    /// Their keys, sorted: statements that are repeated look the same, and indexes are read in one direction.
    pub(super) fn keys(&self) -> Vec<Key> {
        let mut keys: Vec<Key> = self.places.keys().cloned().collect();
        keys.sort_unstable();
        keys
    }

    /// The place of the owner with this key, if it is one.
    pub(super) fn place(&mut self, key: Key) -> Option<usize> {
        if let Some((last, place)) = &self.last
            && *last == key
        {
            return Some(*place);
        }
        let place = self.places.get(&key).copied()?;
        self.last = Some((key, place));
        Some(place)
    }

    /// The place of the owner with this key. If it was not known before it is looked for in the identity map.
    pub(super) fn discover(
        &mut self,
        graph: &UnitOfWork,
        entity: &EntityDef,
        node: &PopulateNode,
        sight: Option<&Sight>,
        key: Key,
    ) -> Result<usize, Error> {
        if let Some(place) = self.place(key.clone()) {
            return Ok(place);
        }
        let mut cell = graph.find(entity.index, &key);
        if let Some(found) = &cell {
            let mut is_wanted = false;
            found.read(&mut |view| {
                let collection = view.value.property(node.relation).as_collection();
                is_wanted = collection.is_some_and(|items| node.options.is_some() || !items.is_filled());
            })?;
            is_wanted |= !graph.sights.is_filled(entity.index, &key, node.relation, sight);
            cell = cell.filter(|_| is_wanted);
        }
        self.add(key, cell);
        Ok(self.list.len() - 1)
    }

    /// The owner at this place.
    pub(super) fn cell(&self, place: usize) -> Option<&Arc<dyn AnyCell>> {
        self.list.get(place)?.cell.as_ref()
    }

    /// Adds an item.
    pub(super) fn give(&mut self, place: usize, item: Arc<dyn AnyCell>) {
        if let Some(owner) = self.list.get_mut(place) {
            owner.items.push(item);
        }
    }

    /// Fills the collections.
    ///
    /// # Errors
    /// [`Error::EntityBorrowed`] if this thread holds a guard of one of the owners.
    pub(super) fn fill(
        self,
        graph: &Arc<UnitOfWork>,
        entity: &EntityDef,
        node: &PopulateNode,
        sight: Option<&Sight>,
    ) -> Result<(), Error> {
        let is_part = node
            .options
            .as_ref()
            .is_some_and(|options| !options.filter.is_empty() || options.limit.is_some() || options.offset.is_some());
        let has_written = graph.tracker.has_written();
        for Owner { cell, items } in &self.list {
            let Some(owner) = cell else { continue };
            if has_written {
                graph.tracker.keep_all(owner)?;
            }
            owner.write(&mut |value, baseline| {
                for fields in [Some(value), baseline].into_iter().flatten() {
                    if let Some(collection) = fields.property_mut(node.relation).as_collection_mut() {
                        if is_part { collection.fill_part(items) } else { collection.fill(items) }
                    }
                }
            })?;
            if let Some(key) = owner.key() {
                graph.sights.fill(entity.index, key, node.relation, sight);
            }
        }
        Ok(())
    }
}
