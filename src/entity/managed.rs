//! The handle to one entity of a graph.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use super::{Cell, Change, Entity, EntityState, ReadGuard, Ref, WriteGuard};
use crate::error::Error;
use crate::metadata::{AnyCell, EntityView, Graph, Lifecycle, PropertyKind};
use crate::types::{EntityKey, Key};

/// A handle to one entity in the identity map.
///
/// Cloning is cheap and names the same entity; `==` is identity: two handles are equal if they name the same entity of
/// the same manager, whatever its fields are. A handle keeps its graph alive, so relations that were loaded stay
/// navigable when the [`EntityManager`](crate::EntityManager) is gone.
pub struct Managed<T: Entity> {
    pub(crate) cell: Arc<Cell<T>>,
    pub(crate) graph: Arc<dyn Graph>,
}

impl<T: Entity> Managed<T> {
    /// A handle to an untyped cell; `None` if it holds another entity type.
    pub(crate) fn from_cell(cell: Arc<dyn AnyCell>, graph: Arc<dyn Graph>) -> Option<Self> {
        Some(Self { cell: Cell::downcast(cell)?, graph })
    }

    /// A handle to an entity inside a graph that is still there.
    pub(crate) fn attach(cell: Arc<Cell<T>>) -> Option<Self> {
        let graph = cell.graph().upgrade()?;
        Some(Self { cell, graph })
    }

    /// The cell without its type.
    pub(crate) fn any(&self) -> Arc<dyn AnyCell> {
        Arc::clone(&self.cell) as Arc<dyn AnyCell>
    }

    /// Read access to the fields. Waits for other threads' write guards.
    ///
    /// # Panics
    /// If this thread holds a write guard of the same entity: waiting would never end.
    #[track_caller]
    pub fn read(&self) -> ReadGuard<'_, T> {
        match self.try_read() {
            Ok(guard) => guard,
            Err(_) => double_borrow(T::meta().name, "read() while a write() guard of it is alive"),
        }
    }

    /// Write access to the fields: the only way to change an entity. The first write after the entity was clean copies
    /// it; the next flush compares with the copy. Waits for other threads' guards.
    ///
    /// # Panics
    /// If this thread holds a guard of the same entity: waiting would never end.
    #[track_caller]
    pub fn write(&self) -> WriteGuard<'_, T> {
        match self.try_write() {
            Ok(guard) => guard,
            Err(_) => double_borrow(T::meta().name, "write() while another guard of it is alive"),
        }
    }

    /// Like [`read`](Self::read), with an error instead of the panic.
    ///
    /// # Errors
    /// [`Error::EntityBorrowed`] if this thread holds a write guard of the same entity.
    pub fn try_read(&self) -> Result<ReadGuard<'_, T>, Error> {
        if self.cell.is_borrowed(false) {
            return Err(Error::EntityBorrowed { entity: T::meta().name });
        }
        Ok(ReadGuard::new(self.cell.slot.read(), self.cell.address()))
    }

    /// Like [`write`](Self::write), with an error instead of the panic.
    ///
    /// # Errors
    /// [`Error::EntityBorrowed`] if this thread holds a guard of the same entity.
    pub fn try_write(&self) -> Result<WriteGuard<'_, T>, Error> {
        if self.cell.is_borrowed(true) {
            return Err(Error::EntityBorrowed { entity: T::meta().name });
        }
        let mut slot = self.cell.slot.write();
        self.cell.before_write(&mut slot, &*self.graph);
        Ok(WriteGuard::new(slot, self.cell.address()))
    }

    /// Changes the entity in a closure: `user.update(|u| u.age = Some(37))`.
    ///
    /// # Panics
    /// If this thread holds a guard of the same entity.
    #[track_caller]
    pub fn update<R>(&self, change: impl FnOnce(&mut T) -> R) -> R {
        change(&mut self.write())
    }

    /// The key. Of a new entity whose key the database makes: what the field holds, 0.
    ///
    /// # Panics
    /// If the entity is new and this thread holds a write guard of it.
    #[track_caller]
    pub fn id(&self) -> T::Id {
        if let Some(id) = self.cell.key().and_then(|key| T::Id::from_key(&key)) {
            return id;
        }
        self.read().key_of()
    }

    /// The key in the identity map, `None` for an entity that has not got one yet.
    pub fn key(&self) -> Option<Key> {
        self.cell.key()
    }

    /// Where the entity stands in its unit of work.
    pub fn state(&self) -> EntityState {
        if self.graph.is_detached() { EntityState::Detached } else { self.cell.lifecycle().into() }
    }

    /// What a to-one relation to this entity holds.
    pub fn to_ref(&self) -> Ref<T> {
        Ref::to_cell(&self.cell)
    }

    /// Whether the next flush would write something for this entity: a changed field, a changed collection, a new or a
    /// removed entity that is scheduled.
    ///
    /// # Panics
    /// If this thread holds a write guard of the entity.
    #[track_caller]
    pub fn is_dirty(&self) -> bool {
        match self.cell.lifecycle() {
            Lifecycle::Scheduled | Lifecycle::Removing => true,
            Lifecycle::Managed => !self.changes().is_empty(),
            Lifecycle::New | Lifecycle::Removed | Lifecycle::Detached => false,
        }
    }

    /// The properties that the next flush would write: those that differ from what the database has, all of a new
    /// entity.
    ///
    /// # Panics
    /// If this thread holds a write guard of the entity.
    #[track_caller]
    pub fn changes(&self) -> Vec<Change> {
        let new = matches!(self.cell.lifecycle(), Lifecycle::New | Lifecycle::Scheduled);
        let mut changes = Vec::new();
        let looked = self.cell.read(&mut |view| changes = changes_of(view, new));
        if looked.is_err() {
            double_borrow(T::meta().name, "changes() while a write() guard of it is alive");
        }
        changes
    }
}

/// The properties of an entity that differ from its baseline.
fn changes_of(view: EntityView<'_>, new: bool) -> Vec<Change> {
    let mut changes = Vec::new();
    for (index, property) in view.value.meta().properties.iter().enumerate() {
        let value = view.value.property(index);
        if let Some(collection) = value.as_collection() {
            if collection.is_changed() {
                changes.push(Change { property: property.name, before: None, after: None });
            }
            continue;
        }
        let precision = match &property.kind {
            // Counted up by the UPDATE, whatever the field holds.
            PropertyKind::Column(column) if column.version && !new => continue,
            PropertyKind::Column(column) => column.digits(),
            PropertyKind::Relation(relation) if relation.mapped_by.is_some() => continue,
            PropertyKind::Relation(_) => None,
        };
        let baseline = view.baseline.map(|baseline| baseline.property(index));
        if new || baseline.is_some_and(|baseline| !value.same(baseline, precision)) {
            let before = baseline.and_then(crate::metadata::Property::text);
            changes.push(Change { property: property.name, before, after: value.text() });
        }
    }
    changes
}

/// The one documented panic: conflicting guards of one entity on one thread.
#[track_caller]
#[cold]
#[allow(clippy::panic, reason = "the double borrow of api.md §3; RefCell's rule, with the entity and the fix")]
fn double_borrow(entity: &'static str, what: &str) -> ! {
    panic!(
        "{entity} is already borrowed on this thread: {what}. Drop the first guard (end its statement or block, or clone \
         what you need out of it) before you take the second, or use try_read()/try_write()"
    )
}

impl<T: Entity> Clone for Managed<T> {
    fn clone(&self) -> Self {
        Self { cell: Arc::clone(&self.cell), graph: Arc::clone(&self.graph) }
    }
}

impl<T: Entity> PartialEq for Managed<T> {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.cell, &other.cell)
    }
}

impl<T: Entity> Eq for Managed<T> {}

impl<T: Entity> Hash for Managed<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Arc::as_ptr(&self.cell).hash(state);
    }
}

impl<T: Entity> fmt::Debug for Managed<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Managed<{:?}>", &*self.cell as &dyn AnyCell)
    }
}
