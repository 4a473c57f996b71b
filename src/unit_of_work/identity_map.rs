//! One row, one entity: every entity of a graph by type and key, and the new ones that have no key yet.
//!
//! The map owns the entities; it never waits for one: whoever holds its lock takes no entity's lock.
//!
//! It is kept in the order in which entities came, which is mostly the order in which they lie in memory: filling and
//! dropping a large graph in the order of hashes would miss the processor's caches at every entity.

use std::sync::Arc;

use indexmap::IndexMap;
use indexmap::map::Entry;
use rustc_hash::FxBuildHasher;

use crate::metadata::{AnyCell, EntityMeta};
use crate::types::Key;

/// The entities of one type by their keys.
pub(crate) type ByKey = IndexMap<Key, Arc<dyn AnyCell>, FxBuildHasher>;

/// The entities of a graph.
#[derive(Default)]
pub(crate) struct IdentityMap {
    /// By entity index.
    types: Vec<ByKey>,
    /// Those that have no key. Each knows its place here.
    new: Vec<Arc<dyn AnyCell>>,
}

impl IdentityMap {
    /// The entities of one type.
    pub(crate) fn of(&mut self, entity: usize) -> &mut ByKey {
        if self.types.len() <= entity {
            self.types.resize_with(entity + 1, ByKey::default);
        }
        &mut self.types[entity]
    }

    pub(crate) fn get(&self, entity: usize, key: &Key) -> Option<Arc<dyn AnyCell>> {
        self.types.get(entity)?.get(key).cloned()
    }

    /// The entities of one type that have a key.
    pub(crate) fn all(&self, entity: usize) -> Vec<Arc<dyn AnyCell>> {
        self.types.get(entity).map(|by_key| by_key.values().cloned().collect()).unwrap_or_default()
    }

    /// The entities of one type, also those that have no key.
    pub(crate) fn everything(&self, entity: usize, meta: &'static EntityMeta) -> Vec<Arc<dyn AnyCell>> {
        let mut cells = self.all(entity);
        cells.extend(self.new.iter().filter(|cell| std::ptr::eq(cell.meta(), meta)).cloned());
        cells
    }

    /// Puts an entity under its key; answers with the one that was there.
    pub(crate) fn insert(&mut self, entity: usize, key: Key, cell: Arc<dyn AnyCell>) -> Option<Arc<dyn AnyCell>> {
        self.remove_new(&cell);
        self.of(entity).insert(key, cell)
    }

    /// Makes room for this many entities without a key.
    pub(crate) fn reserve(&mut self, entities: usize) {
        self.new.reserve(entities);
    }

    /// Takes in an entity without a key.
    pub(crate) fn add_new(&mut self, cell: Arc<dyn AnyCell>) {
        if !self.is_new(&cell) {
            cell.set_place(self.new.len());
            self.new.push(cell);
        }
    }

    fn is_new(&self, cell: &Arc<dyn AnyCell>) -> bool {
        self.new.get(cell.place()).is_some_and(|other| Arc::ptr_eq(other, cell))
    }

    fn remove_new(&mut self, cell: &Arc<dyn AnyCell>) {
        if self.is_new(cell) {
            let place = cell.place();
            self.new.swap_remove(place);
            if let Some(moved) = self.new.get(place) {
                moved.set_place(place);
            }
        }
    }

    /// Takes an entity out.
    pub(crate) fn remove(&mut self, entity: usize, cell: &Arc<dyn AnyCell>) {
        self.remove_new(cell);
        if let Some(key) = cell.key()
            && let Entry::Occupied(entry) = self.of(entity).entry(key)
            && Arc::ptr_eq(entry.get(), cell)
        {
            entry.swap_remove();
        }
    }
}
