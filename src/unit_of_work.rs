//! The unit of work: which entities there are (identity map), which of them were touched (tracker, scopes), what that
//! means for the database (change set, commit order, plan) and what the database's answer means for them (publish).
//!
//! No I/O: `manager/write.rs` runs the plan between `plan` and `publish`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;

use crate::entity::{Cell, Entity};
use crate::metadata::{AnyCell, EntityMeta, Graph, GraphLink, Lifecycle, Metadata, PropertyKind, Snapshot};
use crate::sql::View;
use crate::types::Key;

mod bind;
mod change_set;
mod commit_order;
mod deleted_along;
mod follow;
mod identity_map;
mod inverse_sides;
mod key_changes;
mod merge;
mod outcome;
mod own_versions;
mod plan;
mod publish;
mod scope;
mod sights;
mod stale_entities;
mod standalone;
#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that fails panics")]
mod tests;

pub(crate) use bind::{CUT, bind, bind_stale};
pub(crate) use change_set::{ChangeKind, ChangeSet, TableName, collect};
pub(crate) use commit_order::CommitOrder;
pub(crate) use identity_map::IdentityMap;
pub(crate) use merge::{forget_lazy, merge};
pub(crate) use outcome::{Outcome, keys_in, stale, suppressed};
use own_versions::OwnVersions;
pub(crate) use plan::{Allocation, KeyFacts, Plan, PlannedStatement, plan};
pub(crate) use publish::{check_guards, publish};
pub(crate) use scope::Tracker;
pub(crate) use sights::Sights;
pub(crate) use standalone::{column_types, for_each_value, identifies, insertion, prepare, push_values};

/// The graph of one entity manager.
pub(crate) struct UnitOfWork {
    pub(crate) metadata: Arc<Metadata>,
    link: GraphLink,
    pub(crate) map: Mutex<IdentityMap>,
    pub(crate) tracker: Arc<Tracker>,
    pub(crate) sights: Sights,
    own_versions: Mutex<OwnVersions>,
    detached: AtomicBool,
}

impl UnitOfWork {
    /// An empty graph.
    pub(crate) fn new(metadata: Arc<Metadata>, tracker: Arc<Tracker>) -> Arc<Self> {
        Arc::new_cyclic(|this: &std::sync::Weak<Self>| Self {
            metadata,
            link: GraphLink(Some(this.clone() as std::sync::Weak<dyn Graph>)),
            map: Mutex::default(),
            tracker,
            sights: Sights::default(),
            own_versions: Mutex::default(),
            detached: AtomicBool::new(false),
        })
    }

    /// An empty graph that belongs to no manager.
    pub(crate) fn detached(metadata: &Arc<Metadata>) -> Arc<Self> {
        let graph = Self::new(Arc::clone(metadata), Arc::new(Tracker::default()));
        graph.set_detached(true);
        graph
    }

    /// A link to this graph.
    pub(crate) const fn link(&self) -> &GraphLink {
        &self.link
    }

    /// Whether the entity belongs to this graph.
    pub(crate) fn owns(&self, cell: &dyn AnyCell) -> bool {
        cell.graph().is(self)
    }

    /// Whether the entity belongs to this graph and was not taken out of it.
    pub(crate) fn contains(&self, cell: &Arc<dyn AnyCell>) -> bool {
        self.owns(&**cell) && cell.lifecycle() != Lifecycle::Detached
    }

    /// Forgets what was written past the unit of work in a scope that is rolled back.
    pub(crate) fn forget_own_versions(&self, scope: u64) {
        self.own_versions.lock().roll_back(scope);
    }

    /// Takes the graph out of, or back into, its manager.
    pub(crate) fn set_detached(&self, detached: bool) {
        self.detached.store(detached, Ordering::Release);
    }

    /// Makes room for this many new entities.
    pub(crate) fn reserve(&self, entities: usize) {
        self.map.lock().reserve(entities);
        self.tracker.reserve(entities);
    }

    /// Takes in a new entity, which is not scheduled.
    pub(crate) fn create<T: Entity>(&self, value: T) -> Arc<Cell<T>> {
        let (cell, any) = self.cell_of(value);
        self.map.lock().add_new(any);
        cell
    }

    /// Takes in a new entity and schedules it for INSERT.
    pub(crate) fn create_scheduled<T: Entity>(&self, value: T) -> Arc<Cell<T>> {
        let (cell, any) = self.cell_of(value);
        cell.set_lifecycle(Lifecycle::Scheduled);
        if let Some(entity) = self.metadata.find(T::meta()) {
            self.make_uuid(&any, entity.uuid_key);
        }
        // In this order: a flush that takes place in between finds it in the map.
        self.map.lock().add_new(Arc::clone(&any));
        self.tracker.add_pending(&any);
        cell
    }

    /// The cell of a new entity, which nobody knows yet but the innermost scope.
    fn cell_of<T: Entity>(&self, mut value: T) -> (Arc<Cell<T>>, Arc<dyn AnyCell>) {
        // A reference to another manager's entity refers to the row: here it is looked for in this graph.
        for (index, property) in T::meta().properties.iter().enumerate() {
            if let PropertyKind::Column(column) = &property.kind {
                // A version that was left out is made like that of a `New…` struct: the row gets what the entity shows.
                if let (true, Some(make)) = (column.version, column.on_create)
                    && value.property_at(index).is_unset()
                {
                    value.property_at_mut(index).assign(&*make());
                }
                continue;
            }
            let value = value.property_at_mut(index);
            if let Some(collection) = value.as_collection_mut() {
                collection.belong_to(property);
            } else if let Some(reference) = value.as_reference_mut()
                && let crate::metadata::ReferenceTarget::Key(key) = reference.target()
            {
                reference.set_key(Some(&key), &self.link);
            }
        }
        let cell = Arc::new(Cell::new(value, self.link.clone()));
        let any = Arc::clone(&cell) as Arc<dyn AnyCell>;
        self.tracker.created(&any);
        (cell, any)
    }

    /// Schedules an entity for INSERT; takes back a scheduled DELETE.
    pub(crate) fn schedule(self: &Arc<Self>, cell: &Arc<dyn AnyCell>) {
        if !self.owns(&**cell) {
            self.tracker.add_foreign(cell);
            return;
        }
        match cell.lifecycle() {
            Lifecycle::New | Lifecycle::Removed => {
                self.tracker.keep_state(cell);
                let is_known = cell.lifecycle() == Lifecycle::New;
                cell.set_lifecycle(Lifecycle::Scheduled);
                if !is_known {
                    self.remember(cell);
                }
                if let Some(entity) = self.metadata.find(cell.meta()) {
                    self.make_uuid(cell, entity.uuid_key);
                }
            }
            Lifecycle::Removing => {
                self.tracker.keep_state(cell);
                cell.set_lifecycle(Lifecycle::Managed);
            }
            Lifecycle::Managed => {
                // It may have been removed by reference before it was loaded.
                if let (Some(key), Some(entity)) = (cell.key(), self.metadata.find(cell.meta())) {
                    self.tracker.forget_removed_rows(&[(entity.index, key)]);
                }
            }
            Lifecycle::Scheduled | Lifecycle::Detached => {}
        }
        self.tracker.add_pending(cell);
    }

    /// Schedules an entity for DELETE; a new one is only taken off the schedule.
    pub(crate) fn schedule_removal(self: &Arc<Self>, cell: &Arc<dyn AnyCell>) {
        if !self.owns(&**cell) {
            self.tracker.add_foreign(cell);
            return;
        }
        match cell.lifecycle() {
            Lifecycle::Scheduled => {
                self.tracker.keep_state(cell);
                cell.set_lifecycle(Lifecycle::New);
            }
            Lifecycle::Managed => {
                self.tracker.keep_state(cell);
                cell.set_lifecycle(Lifecycle::Removing);
                self.tracker.add_pending(cell);
            }
            Lifecycle::Detached => self.tracker.add_pending(cell),
            Lifecycle::New | Lifecycle::Removing | Lifecycle::Removed => {}
        }
    }

    /// Schedules the row with this key for DELETE, loaded or not.
    pub(crate) fn schedule_row_removal(self: &Arc<Self>, meta: &'static EntityMeta, key: Key) {
        let Some(entity) = self.metadata.find(meta) else { return };
        match self.find(entity.index, &key) {
            Some(cell) => self.schedule_removal(&cell),
            None => self.tracker.remove_row(entity.index, key),
        }
    }

    /// Takes an entity out of the graph.
    pub(crate) fn detach(&self, cell: &Arc<dyn AnyCell>) {
        self.tracker.keep_state(cell);
        self.forget(cell);
        cell.set_lifecycle(Lifecycle::Detached);
        self.tracker.remove_pending(cell);
    }

    /// Takes an entity out of the identity map.
    pub(crate) fn forget(&self, cell: &Arc<dyn AnyCell>) {
        if let Some(entity) = self.metadata.find(cell.meta()) {
            self.map.lock().remove(entity.index, cell);
        }
    }

    /// Puts an entity into the identity map: under its key, or among the new ones. Another one that has the key leaves it.
    pub(crate) fn remember(&self, cell: &Arc<dyn AnyCell>) {
        let Some(entity) = self.metadata.find(cell.meta()) else { return };
        match (cell.key(), cell.lifecycle()) {
            (Some(key), Lifecycle::Managed | Lifecycle::Removing) => self.remember_as(entity.index, key, cell),
            (_, Lifecycle::New | Lifecycle::Scheduled) => self.map.lock().add_new(Arc::clone(cell)),
            _ => {}
        }
    }

    /// Puts an entity into the identity map under its key. Another one that has the key leaves it.
    pub(crate) fn remember_as(&self, entity: usize, key: Key, cell: &Arc<dyn AnyCell>) {
        let other = self.map.lock().insert(entity, key, cell);
        if let Some(other) = other.filter(|other| !Arc::ptr_eq(other, cell)) {
            other.set_lifecycle(Lifecycle::Detached);
        }
    }

    /// Makes the UUID key of an entity that has none (version 7: keys of one process grow, which is kind to the index).
    /// An entity that is borrowed gets it at the flush.
    fn make_uuid(&self, cell: &Arc<dyn AnyCell>, property: Option<usize>) {
        let Some(property) = property else { return };
        let mut made = false;
        let _ = cell.write(&mut |value, _| {
            let value = value.property_mut(property);
            if value.is_unset() {
                // Sixteen bytes are a UUID: this cannot fail.
                let _ = value.decode(Some(uuid::Uuid::now_v7().as_bytes()));
                made = true;
            }
        });
        if made {
            self.tracker.made_key(cell, property);
        }
    }

    /// The loaded entity with this key, if it was read through the filters of a view.
    pub(crate) fn find_seen(&self, view: &View, entity: usize, key: &Key) -> Option<Arc<dyn AnyCell>> {
        let is_seen = view.sight(entity).is_none_or(|sight| self.sights.has(entity, sight, key));
        if is_seen { self.find(entity, key) } else { None }
    }

    /// The loaded entity with this key.
    pub(crate) fn find(&self, entity: usize, key: &Key) -> Option<Arc<dyn AnyCell>> {
        self.map.lock().get(entity, key)
    }
}

impl Graph for UnitOfWork {
    fn lookup(&self, meta: &'static EntityMeta, key: &Key) -> Option<Arc<dyn AnyCell>> {
        self.find(self.metadata.find(meta)?.index, key)
    }

    fn is_detached(&self) -> bool {
        self.detached.load(Ordering::Acquire)
    }

    fn running_flush(&self) -> Option<u64> {
        self.tracker.running_flush()
    }

    fn needs_snapshot(&self, cell: &Arc<dyn AnyCell>) -> bool {
        self.tracker.needs_snapshot(cell)
    }

    fn keep_snapshot(&self, snapshot: Snapshot) {
        self.tracker.keep_snapshot(snapshot);
    }

    fn touch(&self, cell: &Arc<dyn AnyCell>) {
        self.tracker.add_pending(cell);
    }
}
