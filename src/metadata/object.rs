//! Entities without their types: what the unit of work, the planner and the loader hold in their hands.
//!
//! `entity/` implements these traits once for every entity type; everything above works on the trait objects.

use std::any::Any;
use std::fmt;
use std::sync::{Arc, Weak};

use super::definition::{EntityMeta, PropertyMeta};
use super::property::Property;
use crate::error::Error;
use crate::types::Key;

/// A struct that is an entity, seen as a list of properties.
pub trait EntityObject: Any + Send + Sync {
    /// Its description.
    fn meta(&self) -> &'static EntityMeta;

    /// The property with this index in [`EntityMeta::properties`].
    fn property(&self, index: usize) -> &dyn Property;

    /// The property with this index, to be changed.
    fn property_mut(&mut self, index: usize) -> &mut dyn Property;
}

/// Where an entity stands in its unit of work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Lifecycle {
    /// Made by `create`, not scheduled.
    New,
    /// Made, and scheduled for INSERT.
    Scheduled,
    /// A row that is known to exist.
    Managed,
    /// A row that is scheduled for DELETE.
    Removing,
    /// Deleted and flushed.
    Removed,
    /// No longer part of a unit of work.
    Detached,
}

/// An entity's state at one moment: what a scope keeps to restore it.
pub struct Snapshot {
    /// The entity.
    pub cell: Arc<dyn AnyCell>,
    /// Its fields; `None` if they have not changed.
    pub value: Option<Arc<dyn Any + Send + Sync>>,
    /// The fields as the database has them, if the entity was dirty.
    pub baseline: Option<Arc<dyn Any + Send + Sync>>,
    /// Where it stood.
    pub lifecycle: Lifecycle,
    /// Its key in the identity map.
    pub key: Option<Key>,
    /// Whether the row may have been written past the unit of work since it was read.
    pub stale: bool,
}

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Snapshot").field("entity", &self.cell.meta().name).field("key", &self.key).finish()
    }
}

/// The fields of an entity, for as long as its lock is held.
#[derive(Clone, Copy)]
pub struct EntityView<'a> {
    /// The fields.
    pub value: &'a dyn EntityObject,
    /// The fields as the database has them, if the entity was written to since.
    pub baseline: Option<&'a dyn EntityObject>,
}

impl fmt::Debug for EntityView<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EntityView").field("entity", &self.value.meta().name).finish()
    }
}

/// One entity of a graph, whatever its type.
pub trait AnyCell: Any + Send + Sync {
    /// The entity's description.
    fn meta(&self) -> &'static EntityMeta;

    /// The graph that the entity belongs to.
    fn graph(&self) -> &GraphLink;

    /// The key of the row, once it is known.
    fn key(&self) -> Option<Key>;

    /// Sets or takes back the key.
    fn set_key(&self, key: Option<Key>);

    /// Where the entity stands.
    fn lifecycle(&self) -> Lifecycle;

    /// Moves the entity on.
    fn set_lifecycle(&self, lifecycle: Lifecycle);

    /// Notes whether the next flush looks at the entity; answers with what was noted before. Only for the tracker, while it is
    /// locked.
    fn set_pending(&self, pending: bool) -> bool;

    /// Whether the row may have been written past the unit of work since it was read.
    fn is_stale(&self) -> bool;

    /// Notes whether the row may have been written; answers with what was noted before.
    fn set_stale(&self, stale: bool) -> bool;

    /// Notes the entity's position in the change set with this number.
    fn mark(&self, change_set: u32, position: u32);

    /// The entity's position in the change set with this number, if it is part of it.
    fn marked(&self, change_set: u32) -> Option<usize>;

    /// The entity's place among those without a key.
    fn place(&self) -> usize;

    /// Notes the entity's place among those without a key.
    fn set_place(&self, place: usize);

    /// Whether this thread holds a guard that [`read`](Self::read) or [`write`](Self::write) would wait for.
    fn is_borrowed(&self, for_writing: bool) -> bool;

    /// Looks at the fields.
    ///
    /// # Errors
    /// [`Error::EntityBorrowed`] if this thread holds a write guard of the entity.
    fn read(&self, look: &mut dyn FnMut(EntityView<'_>)) -> Result<(), Error>;

    /// Looks at the fields as they were when the flush with this number began.
    ///
    /// # Errors
    /// [`Error::EntityBorrowed`] if this thread holds a write guard of the entity.
    fn read_sent(&self, flush: u64, look: &mut dyn FnMut(EntityView<'_>)) -> Result<(), Error>;

    /// Changes the fields without marking the entity as dirty: for what comes from the database. The second argument
    /// is the baseline, if the entity is dirty.
    ///
    /// # Errors
    /// [`Error::EntityBorrowed`] if this thread holds a guard of the entity.
    fn write(&self, change: &mut dyn FnMut(&mut dyn EntityObject, Option<&mut dyn EntityObject>)) -> Result<(), Error>;

    /// Changes every copy of the fields alike: as they are, as the database has them, as a flush has sent them. For what has
    /// another name from now on.
    ///
    /// # Errors
    /// [`Error::EntityBorrowed`] if this thread holds a guard of the entity.
    fn rewrite(&self, change: &mut dyn FnMut(&mut dyn EntityObject)) -> Result<(), Error>;

    /// Ends the flush with this number, which wrote this entity: what was sent (with `publish` applied to it) becomes what
    /// the database has. What was written by the user in the meantime stays, and stays dirty; then the answer is `true`.
    ///
    /// # Errors
    /// [`Error::EntityBorrowed`] if this thread holds a guard of the entity.
    fn publish(&self, flush: u64, publish: &mut dyn FnMut(&mut dyn EntityObject)) -> Result<bool, Error>;

    /// Changes the fields to what the database has, and drops what the user has changed.
    ///
    /// # Errors
    /// [`Error::EntityBorrowed`] if this thread holds a guard of the entity.
    fn overwrite(&self, change: &mut dyn FnMut(&mut dyn EntityObject)) -> Result<(), Error>;

    /// A copy of the entity's state.
    ///
    /// # Errors
    /// [`Error::EntityBorrowed`] if this thread holds a write guard of the entity.
    fn snapshot(self: Arc<Self>) -> Result<Snapshot, Error>;

    /// Restores a state that [`snapshot`](Self::snapshot) has made.
    ///
    /// # Errors
    /// [`Error::EntityBorrowed`] if this thread holds a guard of the entity.
    fn restore(&self, snapshot: &Snapshot) -> Result<(), Error>;

    /// The cell, to be cast to its type.
    fn into_any(self: Arc<Self>) -> Arc<dyn Any + Send + Sync>;
}

impl fmt::Debug for dyn AnyCell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.meta().name)?;
        match self.key() {
            Some(key) => write!(f, "#{key}"),
            None => f.write_str("(new)"),
        }
    }
}

/// What tells one cell from another.
pub(crate) fn address(cell: &Arc<dyn AnyCell>) -> usize {
    Arc::as_ptr(cell).cast::<()>().addr()
}

/// A graph of entities, as its entities see it. Implemented by the unit of work.
pub trait Graph: Send + Sync {
    /// The entity with this key, if it is loaded.
    fn lookup(&self, meta: &'static EntityMeta, key: &Key) -> Option<Arc<dyn AnyCell>>;

    /// Whether the graph was cleared out of its manager: its entities are no longer tracked.
    fn is_detached(&self) -> bool;

    /// The number of the flush that is under way: what it sends must be told apart from what is written meanwhile.
    fn running_flush(&self) -> Option<u64>;

    /// Whether the innermost scope still needs a snapshot of this entity before the user changes it.
    fn needs_snapshot(&self, cell: &Arc<dyn AnyCell>) -> bool;

    /// Keeps a snapshot in the innermost scope.
    fn keep_snapshot(&self, snapshot: Snapshot);

    /// Notes that the entity was written to, so that the next flush looks at it.
    fn touch(&self, cell: &Arc<dyn AnyCell>);
}

/// A link to a graph that does not keep it alive.
#[derive(Clone)]
pub struct GraphLink(pub(crate) Option<Weak<dyn Graph>>);

impl GraphLink {
    /// A link to no graph.
    pub const fn none() -> Self {
        Self(None)
    }

    /// The graph, if it is still there.
    pub fn upgrade(&self) -> Option<Arc<dyn Graph>> {
        self.0.as_ref().and_then(Weak::upgrade)
    }

    /// Whether both are links to the same graph.
    pub fn is_same(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Some(one), Some(two)) => one.ptr_eq(two),
            (one, two) => one.is_none() && two.is_none(),
        }
    }

    /// Whether this is a link to `graph`.
    pub fn is(&self, graph: &dyn Graph) -> bool {
        self.0.as_ref().is_some_and(|link| std::ptr::addr_eq(link.as_ptr(), graph))
    }
}

impl fmt::Debug for GraphLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "GraphLink(..)" } else { "GraphLink(none)" })
    }
}

/// What a to-one relation refers to.
#[derive(Clone, Debug)]
pub enum ReferenceTarget {
    /// Nothing: NULL.
    Nothing,
    /// A row, by its key.
    Key(Key),
    /// An entity that has no key yet, or whose key is only known to itself.
    Cell(Arc<dyn AnyCell>),
    /// An entity that was dropped together with its graph before it had a key.
    Lost,
}

/// A [`Ref`](crate::Ref) or an `Option` of one, without its type.
pub trait AnyReference {
    /// What it refers to. An entity that has got its key in the meantime is reported by key.
    fn target(&self) -> ReferenceTarget;

    /// Points it to the row with this key, `None` for NULL. `false` if it cannot: a key of another type, or NULL in a
    /// relation that is not an `Option`.
    fn set_key(&mut self, key: Option<&Key>, graph: &GraphLink) -> bool;

    /// Points it to an entity. `false` if the entity is of another type.
    fn set_cell(&mut self, cell: &Arc<dyn AnyCell>) -> bool;
}

/// A row of a graph that is known by its key, loaded or not.
#[derive(Clone)]
pub struct RowLink {
    /// The entity's description.
    pub meta: &'static EntityMeta,
    /// The key of the row.
    pub key: Key,
    /// Where the entity is looked for.
    pub graph: GraphLink,
}

impl RowLink {
    /// The entity, if it is loaded.
    pub fn resolve(&self) -> Option<Arc<dyn AnyCell>> {
        self.graph.upgrade()?.lookup(self.meta, &self.key)
    }
}

impl fmt::Debug for RowLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{}", self.meta.name, self.key)
    }
}

/// An item of a collection.
#[derive(Clone, Debug)]
pub enum Member {
    /// An entity.
    Entity(Arc<dyn AnyCell>),
    /// A row that was put in by reference.
    Row(RowLink),
}

impl Member {
    /// The key, once it is known.
    pub fn key(&self) -> Option<Key> {
        match self {
            Self::Entity(cell) => cell.key(),
            Self::Row(row) => Some(row.key.clone()),
        }
    }
}

/// What has been done to a collection since it was loaded or flushed.
#[derive(Clone, Debug, Default)]
pub struct CollectionChanges {
    /// What was added.
    pub added: Vec<Member>,
    /// What was removed.
    pub removed: Vec<Member>,
    /// Whether everything else was removed, though it is not known what that is (`set` or `remove_all` of a collection
    /// that is not loaded).
    pub cleared: bool,
    /// How many entities were added or removed that are gone together with their graph.
    pub lost: usize,
    /// The items in the order in which they are to be, where the relation has a fixed order and all items are known.
    pub sequence: Option<Sequence>,
}

/// The items of an ordered collection.
#[derive(Clone, Debug)]
pub struct Sequence {
    /// All of them, in order.
    pub items: Vec<Member>,
    /// How many, from the first on, the database has in this order already.
    pub kept: usize,
}

impl CollectionChanges {
    /// Whether nothing was changed.
    pub fn is_empty(&self) -> bool {
        let ordered = self.sequence.as_ref().is_none_or(|sequence| sequence.kept == sequence.items.len());
        self.added.is_empty() && self.removed.is_empty() && !self.cleared && self.lost == 0 && ordered
    }
}

/// A [`Collection`](crate::Collection) without its type.
pub trait AnyCollection {
    /// The relation; `None` for a collection that is no entity's yet.
    fn relation(&self) -> Option<&'static PropertyMeta>;

    /// Says which relation the collection is the value of.
    fn belong_to(&mut self, relation: &'static PropertyMeta);

    /// Whether it is known what the database has, and all of it is loaded. (What is in a collection can be known without
    /// that: everything was removed.)
    fn is_filled(&self) -> bool;

    /// Whether [`changes`](Self::changes) would be empty; cheaper.
    fn is_changed(&self) -> bool;

    /// What has been done since the collection was loaded or flushed.
    fn changes(&self) -> CollectionChanges;

    /// As [`changes`](Self::changes), for an entity whose row is inserted (again): the database has nothing, whatever it had
    /// before, so everything that is in the collection is added. Items that were deleted are not, unless they were added
    /// since.
    fn changes_anew(&self) -> CollectionChanges;

    /// Whether something is in the collection that the database has, or had.
    fn has_stored(&self) -> bool;

    /// The items that are loaded, with what was added and without what was removed; `None` if it is not known what is in
    /// the collection.
    fn cells(&self) -> Option<Vec<Arc<dyn AnyCell>>>;

    /// Fills the collection with what the database has; pending additions and removals stay.
    fn fill(&mut self, cells: &[Arc<dyn AnyCell>]);

    /// Whether some of the items are loaded, as a populate with options has found them; it is not known what else the
    /// database has.
    fn is_partial(&self) -> bool;

    /// Shows these items, which are some of those that the database has. What is known of the others is forgotten; pending
    /// additions and removals stay.
    fn fill_part(&mut self, cells: &[Arc<dyn AnyCell>]);

    /// Ends a flush of this graph: what was sent is now what the database has. What was done since stays pending.
    fn settle(&mut self, sent: &CollectionChanges, graph: &GraphLink);

    /// Drops the pending changes.
    fn discard(&mut self);

    /// Whether items were put in by reference.
    fn names_rows(&self) -> bool;

    /// Items that were put in by reference and are loaded are these entities from now on: their keys are about to change.
    fn pin(&mut self);

    /// What the database has, whatever was done since; `None` if that is not known.
    fn stored_members(&self) -> Option<Vec<Member>>;

    /// Takes an item in or out that the database has got or lost, if it is known what is in the collection.
    fn absorb(&mut self, item: &Member, present: bool);
}
