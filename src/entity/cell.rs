//! The place of one entity in its graph: the fields behind a lock, the copy that changes are told by, key and state.

use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering};

use parking_lot::{Mutex, RecursiveRwLock};

use super::{Entity, borrow};
use crate::error::Error;
use crate::metadata::{AnyCell, EntityMeta, EntityObject, EntityView, Graph, GraphLink, Lifecycle, Snapshot};
use crate::types::Key;

/// The fields of an entity, and what the database has.
pub(super) struct Slot<T> {
    pub(super) value: T,
    /// The fields as they were when the entity was clean: made by the first write (rule B1).
    pub(super) baseline: Option<Arc<T>>,
    in_flight: Option<InFlight<T>>,
}

/// The fields as they were when a flush began: made by the first write during the flush. Of no use to any other flush.
struct InFlight<T> {
    flush: u64,
    value: Arc<T>,
}

impl<T> Slot<T> {
    /// The copy that a write during this flush has made.
    fn sent(&self, flush: u64) -> Option<&Arc<T>> {
        self.in_flight.as_ref().filter(|sent| sent.flush == flush).map(|sent| &sent.value)
    }
}

/// One entity.
pub(crate) struct Cell<T: Entity> {
    pub(super) slot: RecursiveRwLock<Slot<T>>,
    graph: GraphLink,
    key: Mutex<Option<Key>>,
    lifecycle: AtomicU8,
    pending: AtomicBool,
    stale: AtomicBool,
    /// The entity's place among those without a key: `u32::MAX` if it never was.
    place: AtomicU32,
    /// The number of the last change set that the entity was part of, and its position there.
    mark: AtomicU64,
}

impl<T: Entity> Cell<T> {
    fn with(value: T, key: Option<Key>, graph: GraphLink, lifecycle: Lifecycle) -> Self {
        Self {
            slot: RecursiveRwLock::new(Slot { value, baseline: None, in_flight: None }),
            graph,
            key: Mutex::new(key),
            lifecycle: AtomicU8::new(lifecycle as u8),
            pending: AtomicBool::new(false),
            stale: AtomicBool::new(false),
            place: AtomicU32::new(u32::MAX),
            mark: AtomicU64::new(0),
        }
    }

    /// An entity that is not in the database.
    pub(crate) fn new(value: T, graph: GraphLink) -> Self {
        Self::with(value, None, graph, Lifecycle::New)
    }

    /// An entity that was read from a row.
    pub(crate) fn managed(value: T, key: Key, graph: GraphLink) -> Self {
        Self::with(value, Some(key), graph, Lifecycle::Managed)
    }

    /// What identifies the cell among this thread's guards.
    pub(super) fn address(&self) -> usize {
        std::ptr::from_ref(self).addr()
    }

    /// Casts a cell to its type.
    pub(crate) fn downcast(cell: Arc<dyn AnyCell>) -> Option<Arc<Self>> {
        cell.into_any().downcast::<Self>().ok()
    }

    /// What has to be kept before the fields change for the first time since the entity was clean, since the scope
    /// began, since the flush began.
    pub(super) fn before_write(self: &Arc<Self>, slot: &mut Slot<T>, graph: &dyn Graph) {
        let this: Arc<dyn AnyCell> = Arc::clone(self) as Arc<dyn AnyCell>;
        let lifecycle = self.lifecycle();
        let mut copy: Option<Arc<T>> = None;
        if graph.needs_snapshot(&this) {
            let value = Arc::clone(copy.get_or_insert_with(|| Arc::new(slot.value.clone())));
            graph.keep_snapshot(self.snapshot_with(value, slot.baseline.clone()));
        }
        if graph.is_detached() {
            return;
        }
        if matches!(lifecycle, Lifecycle::Managed | Lifecycle::Removing) && slot.baseline.is_none() {
            slot.baseline = Some(Arc::clone(copy.get_or_insert_with(|| Arc::new(slot.value.clone()))));
            graph.touch(&this);
        }
        if let Some(flush) = graph.running_flush()
            && slot.sent(flush).is_none()
        {
            let value = copy.unwrap_or_else(|| Arc::new(slot.value.clone()));
            slot.in_flight = Some(InFlight { flush, value });
        }
    }

    fn snapshot_with(self: &Arc<Self>, value: Arc<T>, baseline: Option<Arc<T>>) -> Snapshot {
        Snapshot {
            cell: Arc::clone(self) as Arc<dyn AnyCell>,
            value: Some(value),
            baseline: baseline.map(|baseline| baseline as Arc<dyn Any + Send + Sync>),
            lifecycle: self.lifecycle(),
            key: self.key(),
            stale: self.is_stale(),
        }
    }

    fn borrowed() -> Error {
        Error::EntityBorrowed { entity: T::meta().name }
    }
}

fn view<'a, T: Entity>(value: &'a T, slot: &'a Slot<T>) -> EntityView<'a> {
    EntityView { value, baseline: slot.baseline.as_deref().map(|baseline| baseline as &dyn EntityObject) }
}

impl<T: Entity> AnyCell for Cell<T> {
    fn meta(&self) -> &'static EntityMeta {
        T::meta()
    }

    fn graph(&self) -> &GraphLink {
        &self.graph
    }

    fn key(&self) -> Option<Key> {
        self.key.lock().clone()
    }

    fn set_key(&self, key: Option<Key>) {
        *self.key.lock() = key;
    }

    fn lifecycle(&self) -> Lifecycle {
        const ALL: [Lifecycle; 6] = [
            Lifecycle::New,
            Lifecycle::Scheduled,
            Lifecycle::Managed,
            Lifecycle::Removing,
            Lifecycle::Removed,
            Lifecycle::Detached,
        ];
        let index = usize::from(self.lifecycle.load(Ordering::Acquire));
        ALL.get(index).copied().unwrap_or(Lifecycle::Detached)
    }

    fn set_lifecycle(&self, lifecycle: Lifecycle) {
        self.lifecycle.store(lifecycle as u8, Ordering::Release);
    }

    fn set_pending(&self, pending: bool) -> bool {
        // Whoever sets it holds the tracker's lock: no need for an exchange, which costs as much as a lock.
        let before = self.pending.load(Ordering::Relaxed);
        self.pending.store(pending, Ordering::Relaxed);
        before
    }

    fn is_stale(&self) -> bool {
        self.stale.load(Ordering::Acquire)
    }

    fn set_stale(&self, stale: bool) -> bool {
        self.stale.swap(stale, Ordering::AcqRel)
    }

    fn mark(&self, change_set: u32, position: u32) {
        self.mark.store(u64::from(change_set) << 32 | u64::from(position), Ordering::Release);
    }

    fn marked(&self, change_set: u32) -> Option<usize> {
        let mark = self.mark.load(Ordering::Acquire);
        // The lower half is the position.
        (mark >> 32 == u64::from(change_set)).then_some((mark & u64::from(u32::MAX)) as usize)
    }

    fn place(&self) -> usize {
        self.place.load(Ordering::Acquire) as usize
    }

    fn set_place(&self, place: usize) {
        self.place.store(u32::try_from(place).unwrap_or(u32::MAX), Ordering::Release);
    }

    fn is_borrowed(&self, for_writing: bool) -> bool {
        !borrow::is_free(self.address(), for_writing)
    }

    fn read(&self, look: &mut dyn FnMut(EntityView<'_>)) -> Result<(), Error> {
        if self.is_borrowed(false) {
            return Err(Self::borrowed());
        }
        let slot = self.slot.read();
        look(view(&slot.value, &slot));
        Ok(())
    }

    fn read_sent(&self, flush: u64, look: &mut dyn FnMut(EntityView<'_>)) -> Result<(), Error> {
        if self.is_borrowed(false) {
            return Err(Self::borrowed());
        }
        let slot = self.slot.read();
        look(view(slot.sent(flush).map_or(&slot.value, |sent| &**sent), &slot));
        Ok(())
    }

    fn write(&self, change: &mut dyn FnMut(&mut dyn EntityObject, Option<&mut dyn EntityObject>)) -> Result<(), Error> {
        if self.is_borrowed(true) {
            return Err(Self::borrowed());
        }
        let mut slot = self.slot.write();
        let slot = &mut *slot;
        let baseline = slot.baseline.as_mut().map(|baseline| Arc::make_mut(baseline) as &mut dyn EntityObject);
        change(&mut slot.value, baseline);
        Ok(())
    }

    fn rewrite(&self, change: &mut dyn FnMut(&mut dyn EntityObject)) -> Result<(), Error> {
        if self.is_borrowed(true) {
            return Err(Self::borrowed());
        }
        let mut slot = self.slot.write();
        let slot = &mut *slot;
        change(&mut slot.value);
        let copies = slot.baseline.iter_mut().chain(slot.in_flight.as_mut().map(|sent| &mut sent.value));
        copies.for_each(|copy| change(Arc::<T>::make_mut(copy) as &mut dyn EntityObject));
        Ok(())
    }

    fn publish(&self, flush: u64, publish: &mut dyn FnMut(&mut dyn EntityObject)) -> Result<bool, Error> {
        if self.is_borrowed(true) {
            return Err(Self::borrowed());
        }
        let mut slot = self.slot.write();
        let Some(sent) = slot.in_flight.take().filter(|sent| sent.flush == flush) else {
            publish(&mut slot.value);
            slot.baseline = None;
            return Ok(false);
        };
        let mut published = T::clone(&sent.value);
        publish(&mut published);
        for index in 0..T::meta().properties.len() {
            let unwritten = slot.value.property_at(index).same(sent.value.property_at(index), None);
            // Collections are settled apart: they know what was done to them since.
            if unwritten && published.property_at(index).as_collection().is_none() {
                slot.value.property_at_mut(index).assign(published.property_at(index));
            }
        }
        slot.baseline = Some(Arc::new(published));
        Ok(true)
    }

    fn overwrite(&self, change: &mut dyn FnMut(&mut dyn EntityObject)) -> Result<(), Error> {
        if self.is_borrowed(true) {
            return Err(Self::borrowed());
        }
        let mut slot = self.slot.write();
        change(&mut slot.value);
        slot.baseline = None;
        Ok(())
    }

    fn snapshot(self: Arc<Self>) -> Result<Snapshot, Error> {
        if self.is_borrowed(false) {
            return Err(Self::borrowed());
        }
        let slot = self.slot.read();
        Ok(self.snapshot_with(Arc::new(slot.value.clone()), slot.baseline.clone()))
    }

    fn restore(&self, snapshot: &Snapshot) -> Result<(), Error> {
        if self.is_borrowed(true) {
            return Err(Self::borrowed());
        }
        if let Some(value) = &snapshot.value {
            let mut slot = self.slot.write();
            if let Some(value) = (&**value as &dyn Any).downcast_ref::<T>() {
                slot.value.clone_from(value);
            }
            slot.baseline = snapshot.baseline.clone().and_then(|baseline| baseline.downcast::<T>().ok());
            slot.in_flight = None;
            self.set_stale(snapshot.stale);
        }
        self.set_key(snapshot.key.clone());
        self.set_lifecycle(snapshot.lifecycle);
        Ok(())
    }

    fn into_any(self: Arc<Self>) -> Arc<dyn Any + Send + Sync> {
        self
    }
}
