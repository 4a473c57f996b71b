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
    /// Those that have no key. Each knows its place here, and leaves it empty when it goes.
    new: Vec<Option<Arc<dyn AnyCell>>>,
    /// How many of the places are empty.
    gaps: usize,
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
        cells.extend(self.new.iter().flatten().filter(|cell| std::ptr::eq(cell.meta(), meta)).cloned());
        cells
    }

    /// Puts an entity under its key; answers with the one that was there.
    pub(crate) fn insert(&mut self, entity: usize, key: Key, cell: &Arc<dyn AnyCell>) -> Option<Arc<dyn AnyCell>> {
        let cell = self.take_new(cell).unwrap_or_else(|| Arc::clone(cell));
        self.of(entity).insert(key, cell)
    }

    /// Makes room for this many entities without a key.
    pub(crate) fn reserve(&mut self, entities: usize) {
        self.new.reserve(entities);
    }

    /// Takes in an entity without a key.
    pub(crate) fn add_new(&mut self, cell: Arc<dyn AnyCell>) {
        if self.is_new(&cell) {
            return;
        }
        if self.gaps > self.new.len() / 2 {
            self.close_gaps();
        }
        cell.set_place(self.new.len());
        self.new.push(Some(cell));
    }

    fn is_new(&self, cell: &Arc<dyn AnyCell>) -> bool {
        self.new.get(cell.place()).is_some_and(|other| other.as_ref().is_some_and(|other| Arc::ptr_eq(other, cell)))
    }

    /// Takes an entity out of those without a key, if it is among them. The others stay where they are: a flush takes them out one
    /// after the other, and would write to two entities for each.
    fn take_new(&mut self, cell: &Arc<dyn AnyCell>) -> Option<Arc<dyn AnyCell>> {
        if !self.is_new(cell) {
            return None;
        }
        let taken = self.new[cell.place()].take();
        self.gaps += 1;
        if self.gaps == self.new.len() {
            self.new.clear();
            self.gaps = 0;
        }
        taken
    }

    fn close_gaps(&mut self) {
        self.new.retain(Option::is_some);
        self.gaps = 0;
        for (place, cell) in self.new.iter().flatten().enumerate() {
            cell.set_place(place);
        }
    }

    /// Takes an entity out.
    pub(crate) fn remove(&mut self, entity: usize, cell: &Arc<dyn AnyCell>) {
        self.take_new(cell);
        if let Some(key) = cell.key()
            && let Entry::Occupied(entry) = self.of(entity).entry(key)
            && Arc::ptr_eq(entry.get(), cell)
        {
            entry.swap_remove();
        }
    }
}
