//! What was seen through which filters: an entity of the identity map is an answer to a query with filters only if rows
//! were read through the same ones, and so is what is in a collection.
//!
//! Nothing is noted of entities without filters.

use parking_lot::Mutex;
use rustc_hash::{FxHashMap, FxHashSet};

use crate::sql::Sight;
use crate::types::Key;

/// What a graph has seen through filters.
#[derive(Default)]
pub(crate) struct Sights {
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    rows: FxHashMap<(usize, Sight), FxHashSet<Key>>,
    /// By the owner's type and key, and the relation.
    collections: FxHashMap<(usize, Key, usize), Filled>,
}

/// How a collection was filled.
#[derive(PartialEq, Eq)]
enum Filled {
    All,
    Through(Sight),
    /// It is not known any more.
    Unknown,
}

impl Sights {
    /// Notes rows that were read.
    pub(crate) fn add(&self, entity: usize, sight: &Sight, keys: impl IntoIterator<Item = Key>) {
        self.seen.lock().rows.entry((entity, sight.clone())).or_default().extend(keys);
    }

    /// Whether a row was read through these filters.
    pub(crate) fn has(&self, entity: usize, sight: &Sight, key: &Key) -> bool {
        self.seen.lock().rows.get(&(entity, sight.clone())).is_some_and(|keys| keys.contains(key))
    }

    /// Notes how a collection was filled.
    pub(crate) fn fill(&self, owner: usize, key: Key, relation: usize, sight: Option<&Sight>) {
        let mut seen = self.seen.lock();
        if sight.is_none() && seen.collections.is_empty() {
            return;
        }
        let place = (owner, key, relation);
        match sight {
            Some(sight) => {
                seen.collections.insert(place, Filled::Through(sight.clone()));
            }
            None => {
                if let Some(filled) = seen.collections.get_mut(&place) {
                    *filled = Filled::All;
                }
            }
        }
    }

    /// Whether a loaded collection has what is seen through these filters.
    pub(crate) fn is_filled(&self, owner: usize, key: &Key, relation: usize, sight: Option<&Sight>) -> bool {
        let seen = self.seen.lock();
        if seen.collections.is_empty() {
            return sight.is_none();
        }
        match (seen.collections.get(&(owner, key.clone(), relation)), sight) {
            (None | Some(Filled::All), None) => true,
            (Some(Filled::Through(filled)), Some(sight)) => filled == sight,
            _ => false,
        }
    }

    /// Forgets which rows are seen: they were written.
    pub(crate) fn forget_rows(&self) {
        self.seen.lock().rows.clear();
    }

    /// Forgets what the memory held before it was taken back.
    pub(crate) fn forget(&self) {
        let mut seen = self.seen.lock();
        seen.rows.clear();
        seen.collections.values_mut().for_each(|filled| *filled = Filled::Unknown);
    }
}
