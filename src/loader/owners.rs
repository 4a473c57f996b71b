//! The entities whose collections a statement loads, and what it has found for them.

use std::sync::Arc;

use indexmap::IndexMap;
use rustc_hash::FxBuildHasher;

use super::Cells;
use crate::error::Error;
use crate::metadata::{AnyCell, EntityDef};
use crate::query::PopulateNode;
use crate::sql::Sight;
use crate::types::Key;
use crate::unit_of_work::UnitOfWork;

/// Owners by their keys, in the order in which they came.
pub(super) struct Owners {
    owners: IndexMap<Key, Owner, FxBuildHasher>,
    /// Where the last one was: rows of one owner often come in a row.
    last: Option<usize>,
    /// What was found, with the places of the owners: one list for all, for most owners have few items.
    given: Vec<(usize, Arc<dyn AnyCell>)>,
}

/// `None` if its collection is to stay as it is.
type Owner = Option<Arc<dyn AnyCell>>;

impl Owners {
    pub(super) fn new(owners: usize) -> Self {
        Self { owners: IndexMap::with_capacity_and_hasher(owners, FxBuildHasher), last: None, given: Vec::new() }
    }

    /// Adds an owner, unless it is there.
    pub(super) fn add(&mut self, key: Key, cell: Owner) {
        self.owners.entry(key).or_insert(cell);
    }

    /// Their keys, sorted: statements that are repeated look the same, and indexes are read in one direction.
    pub(super) fn keys(&self) -> Vec<Key> {
        let mut keys: Vec<Key> = self.owners.keys().cloned().collect();
        if !keys.is_sorted() {
            keys.sort_unstable();
        }
        keys
    }

    /// The place of the owner with this key, if it is one.
    pub(super) fn place(&mut self, key: &Key) -> Option<usize> {
        let last = self.last.and_then(|place| self.owners.get_index(place));
        if last.is_some_and(|(last, _)| last == key) {
            return self.last;
        }
        self.last = Some(self.owners.get_index_of(key)?);
        self.last
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
        if let Some(place) = self.place(&key) {
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
        Ok(self.owners.len() - 1)
    }

    /// The owner at this place.
    pub(super) fn cell(&self, place: usize) -> Option<&Arc<dyn AnyCell>> {
        self.owners.get_index(place)?.1.as_ref()
    }

    /// Makes room for items.
    pub(super) fn reserve(&mut self, items: usize) {
        self.given.reserve(items);
    }

    /// Adds an item.
    pub(super) fn give(&mut self, place: usize, item: Arc<dyn AnyCell>) {
        self.given.push((place, item));
    }

    /// Fills the collections.
    ///
    /// # Errors
    /// [`Error::EntityBorrowed`] if this thread holds a guard of one of the owners.
    pub(super) fn fill(
        mut self,
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
        // The items of one owner stay in their order.
        if !self.given.is_sorted_by_key(|(place, _)| *place) {
            self.given.sort_by_key(|(place, _)| *place);
        }
        let (places, items): (Vec<usize>, Cells) = self.given.into_iter().unzip();
        let mut start = 0;
        for (place, (key, owner)) in self.owners.into_iter().enumerate() {
            let own = places[start..].iter().take_while(|other| **other == place).count();
            let items = &items[start..start + own];
            start += own;
            let Some(owner) = owner else { continue };
            if has_written {
                graph.tracker.keep_all(&owner)?;
            }
            owner.write(&mut |value, baseline| {
                for fields in [Some(value), baseline].into_iter().flatten() {
                    if let Some(collection) = fields.property_mut(node.relation).as_collection_mut() {
                        if is_part { collection.fill_part(items) } else { collection.fill(items) }
                    }
                }
            })?;
            graph.sights.fill(entity.index, key, node.relation, sight);
        }
        Ok(())
    }
}
