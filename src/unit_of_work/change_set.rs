//! From touched entities to change sets: which rows to insert, update and delete, which pivot rows to link and unlink.
//!
//! Pure: nothing is sent, and no entity is changed. What a flush has to put into entities itself (UUIDs of entities that a
//! cascade reached, `on_update` values, foreign keys that a collection implies) is kept beside them as overrides, and
//! reaches them when everything has succeeded (rule C3).

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use indexmap::IndexMap;
use rustc_hash::{FxBuildHasher, FxHashMap, FxHashSet};

use super::UnitOfWork;
use super::key_changes::{KeyChanges, NewPart};
use crate::error::Error;
use crate::metadata::{
    AnyCell, AnyCollection, CollectionChanges, ColumnDef, EntityDef, EntityView, Lifecycle, Member, Property,
    PropertyDef, ReferenceTarget, RelationDef, RelationKind, address,
};
use crate::types::{Key, KeyPart};
use named::Named;

mod cascade;
mod difference;
mod named;
mod rekeying;
mod removal;
mod tables;

pub(crate) use tables::TableName;

pub(super) use difference::{NewValue, new_value};

/// What happens to a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ChangeKind {
    Insert,
    Update,
    Delete,
}

/// What a foreign key will refer to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    Null,
    Key(Key),
    /// A row of this change set whose key is not known yet.
    Row(usize),
}

/// A value that is written instead of the one that the entity holds, and put into the entity afterwards.
pub(crate) enum Override {
    Value(Box<dyn Property>),
    /// A to-one relation to this entity, `None` for NULL.
    Reference(Option<Arc<dyn AnyCell>>),
}

/// One row to write.
pub(crate) struct RowChange {
    pub(crate) cell: Arc<dyn AnyCell>,
    /// The entity's index.
    pub(crate) entity: usize,
    pub(crate) kind: ChangeKind,
    /// The properties that are written.
    pub(crate) properties: Arc<[u16]>,
    pub(crate) overrides: Vec<(u16, Override)>,
    /// What the written relations refer to.
    pub(crate) targets: Vec<(u16, Target)>,
    /// What the written relations referred to before.
    pub(crate) previous: Vec<(u16, Key)>,
    /// The key, if it is known before the statement runs. What it is made of is called as it is when the flush begins.
    pub(crate) key: Option<Key>,
    /// What an UPDATE changes of the key: property and value.
    pub(crate) new_key: Vec<(u16, NewPart)>,
    /// Whether the entity was persisted or removed itself, not reached by a cascade.
    pub(crate) scheduled: bool,
}

impl RowChange {
    /// The value that is written for a property.
    pub(crate) fn value<'a>(&'a self, view: &EntityView<'a>, property: u16) -> &'a dyn Property {
        match self.overrides.iter().find(|(index, _)| *index == property) {
            Some((_, Override::Value(value))) => &**value,
            _ => view.value.property(usize::from(property)),
        }
    }

    /// What a written relation refers to.
    pub(crate) fn target(&self, property: u16) -> &Target {
        self.targets.iter().find(|(index, _)| *index == property).map_or(&Target::Null, |(_, target)| target)
    }
}

/// One end of a pivot row.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum LinkEnd {
    Key(Key),
    Row(usize),
}

/// Pivot rows of one relation.
#[derive(Debug)]
pub(crate) struct LinkChange {
    /// The entity and property of the owning side.
    pub(crate) entity: usize,
    pub(crate) property: usize,
    /// Pairs of the owning side's and the other side's entity that are linked if they are not.
    pub(crate) linked: Vec<(LinkEnd, LinkEnd)>,
    /// Pairs that come behind all others in this order, linked already or not.
    pub(crate) placed: Vec<(LinkEnd, LinkEnd)>,
    pub(crate) unlinked: Vec<(LinkEnd, LinkEnd)>,
}

/// Everything that is unlinked from some entities without knowing what it is.
#[derive(Debug)]
pub(crate) struct ClearChange {
    /// The entity and property of the side whose entities are unlinked.
    pub(crate) entity: usize,
    pub(crate) property: usize,
    pub(crate) keys: Vec<Key>,
}

/// Rows that are deleted by their keys: they were removed by reference.
#[derive(Debug)]
pub(crate) struct RowRemoval {
    pub(crate) entity: usize,
    /// Sorted, each once.
    pub(crate) keys: Vec<Key>,
}

/// Whether a row is among those that are deleted by their keys.
fn is_removed(removals: &[RowRemoval], entity: usize, key: &Key) -> bool {
    let mut removals = removals.iter().filter(|removal| removal.entity == entity);
    removals.any(|removal| removal.keys.binary_search(key).is_ok())
}

/// What a flush has to write.
#[derive(Default)]
pub(crate) struct ChangeSet {
    /// The number of the flush: entities are read as they were when it began.
    pub(crate) flush: u64,
    /// Its own number: the entities are marked with it.
    pub(crate) number: u32,
    pub(crate) rows: Vec<RowChange>,
    /// Which of them change their own keys.
    pub(crate) keys: KeyChanges,
    pub(crate) links: Vec<LinkChange>,
    pub(crate) clears: Vec<ClearChange>,
    /// At most one an entity type.
    pub(crate) removals: Vec<RowRemoval>,
    /// All rows that were removed by reference, those that are loaded by now, too.
    pub(crate) removed_rows: Vec<(usize, Key)>,
    /// Entities that were touched and have nothing to write: they are clean again. A relation may have to be set back in
    /// memory, because a collection wants it to be as it is in the database.
    pub(crate) unchanged: Vec<RowChange>,
    /// Collections that have changed: the entity, the property and what was done.
    pub(crate) collections: Vec<(Arc<dyn AnyCell>, usize, CollectionChanges)>,
    /// Entities that were scheduled for INSERT and are not inserted, because what they belong to is removed.
    pub(crate) dropped: Vec<Arc<dyn AnyCell>>,
    /// How many rows of which entities are inserted.
    pub(crate) inserted: Vec<(usize, usize)>,
    /// Whether there are only new rows.
    pub(crate) inserts_only: bool,
    /// Whether a row refers to another one, or has referred to one.
    pub(crate) has_references: bool,
}

impl ChangeSet {
    /// Whether no SQL is to be sent.
    pub(crate) fn is_empty(&self) -> bool {
        self.rows.is_empty()
            && self.clears.is_empty()
            && self.removals.is_empty()
            && self
                .links
                .iter()
                .all(|link| link.linked.is_empty() && link.placed.is_empty() && link.unlinked.is_empty())
    }

    /// Whether a row is deleted by its key.
    pub(crate) fn removes_row(&self, entity: usize, key: &Key) -> bool {
        is_removed(&self.removals, entity, key)
    }

    /// The keys of new rows that are known beforehand, with their entities.
    pub(crate) fn given_keys(&self) -> impl Iterator<Item = (usize, &Key)> {
        let new = self.rows.iter().filter(|row| row.kind == ChangeKind::Insert);
        new.filter_map(|row| Some((row.entity, row.key.as_ref()?)))
    }

    /// Every entity that the flush will change.
    pub(crate) fn cells(&self) -> impl Iterator<Item = &Arc<dyn AnyCell>> {
        let collections = self.collections.iter().map(|(cell, ..)| cell);
        self.rows.iter().chain(&self.unchanged).map(|row| &row.cell).chain(collections).chain(&self.dropped)
    }
}

/// What is to happen to an entity, while cascades are followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Insert,
    /// Look for changes.
    Update,
    Delete,
    /// A new entity that was removed again, or that something removed would have taken along.
    Nothing,
}

struct Node {
    cell: Arc<dyn AnyCell>,
    entity: usize,
    role: Role,
    overrides: Vec<(u16, Override)>,
    /// Relations that are written though they have not changed: the key that they refer to has.
    rewritten: Vec<u16>,
}

/// One end of a pivot pair while it is not known whether it will have a key.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum PairEnd {
    /// The address of an entity.
    Entity(usize),
    /// A row that is not loaded.
    Row(Key),
}

type Pair = (PairEnd, PairEnd);

/// New rows by their keys.
type GivenKeys = FxHashMap<Key, usize>;

#[derive(Default)]
struct PendingLinks {
    /// Whether a pair is linked, or else unlinked.
    changed: IndexMap<Pair, bool, FxBuildHasher>,
    /// Where the relation has a fixed order: what comes behind all other items of its owner, in order.
    placed: Vec<Pair>,
}

/// An entity that has left an owned collection, or the inverse side of a one-to-one, or goes along with its owner.
struct Released {
    owner: Arc<dyn AnyCell>,
    entity: usize,
    property: usize,
    item: Arc<dyn AnyCell>,
    /// Whether the item goes along with its owner, which is removed.
    removed_along: bool,
}

/// What the owning side of a one-to-one with `orphan_removal` no longer refers to.
struct Abandoned {
    entity: usize,
    property: usize,
    key: Key,
}

/// A number that no other change set that is in use has.
fn next_number() -> u32 {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// Collects the change set of everything pending in this graph, for the flush with this number.
///
/// # Errors
/// [`Error::EntityBorrowed`] if this thread holds a guard of an entity that is to be written, [`Error::Detached`] for an
/// entity of another manager, [`Error::Validation`] and [`Error::NotLoaded`] for what cannot be written. Nothing has
/// changed then.
pub(crate) fn collect(graph: &Arc<UnitOfWork>, flush: u64) -> Result<ChangeSet, Error> {
    let cells = graph.tracker.pending();
    let pending = cells.len();
    let mut collector = Collector {
        graph,
        flush,
        nodes: Vec::with_capacity(pending),
        number: next_number(),
        queue: VecDeque::with_capacity(pending),
        released: VecDeque::new(),
        abandoned: Vec::new(),
        inverse_set: Vec::new(),
        put_into: Vec::new(),
        named: Vec::new(),
        links: Vec::new(),
        clears: Vec::new(),
        removals: Vec::new(),
        removed_rows: Vec::new(),
        collections: Vec::new(),
        seen_collections: FxHashSet::default(),
        shapes: Vec::with_capacity(1),
        given: RefCell::default(),
    };
    for cell in cells {
        let role = match cell.lifecycle() {
            Lifecycle::Scheduled => Role::Insert,
            Lifecycle::Managed => Role::Update,
            Lifecycle::Removing => Role::Delete,
            Lifecycle::New => Role::Nothing,
            Lifecycle::Removed | Lifecycle::Detached => return Err(Error::Detached { entity: cell.meta().name }),
        };
        collector.add_owned(cell, role)?;
    }
    collector.removed_rows = graph.tracker.removed_rows();
    collector.remove_rows()?;
    let mut keys_followed = false;
    // What was released may have been taken in somewhere else: that is only known when everything has been followed.
    loop {
        if let Some(node) = collector.queue.pop_front() {
            collector.follow(node)?;
        } else if collector.take_in_what_is_meant_again()? || collector.find_named()? {
            // What is released looks at who has taken it in.
        } else if let Some(released) = collector.released.pop_front() {
            collector.release(&released)?;
        } else if let Some(abandoned) = collector.abandoned.pop() {
            collector.remove_abandoned(&abandoned)?;
        } else if !std::mem::replace(&mut keys_followed, true) {
            collector.follow_keys()?;
        } else {
            break;
        }
    }
    collector.check_named()?;
    collector.empty_inverse_sides();
    let changes = collector.finish()?;
    rekeying::check_taken(graph, &changes)?;
    Ok(changes)
}

struct Collector<'a> {
    graph: &'a Arc<UnitOfWork>,
    flush: u64,
    nodes: Vec<Node>,
    /// The change set's number: its entities are marked with it, and with their position among the nodes.
    number: u32,
    /// Nodes whose relations have not been followed yet.
    queue: VecDeque<usize>,
    released: VecDeque<Released>,
    abandoned: Vec<Abandoned>,
    /// Inverse sides of one-to-ones that were set: the node, the property, and what it was set to.
    inverse_set: Vec<(usize, u16, Arc<dyn AnyCell>)>,
    /// Items of one-to-manys that were new and removed again: the item, its relation to the owner, and the owner.
    put_into: Vec<(Arc<dyn AnyCell>, usize, Arc<dyn AnyCell>)>,
    /// Inverse sides of one-to-ones that name what is not loaded.
    named: Vec<Named>,
    /// By entity and property of the owning side.
    links: Vec<(usize, usize, PendingLinks)>,
    clears: Vec<(usize, usize, Vec<Arc<dyn AnyCell>>)>,
    removals: Vec<RowRemoval>,
    removed_rows: Vec<(usize, Key)>,
    collections: Vec<(Arc<dyn AnyCell>, usize, CollectionChanges)>,
    /// By address and property: an entity can be followed twice.
    seen_collections: FxHashSet<(usize, usize)>,
    /// The column sets so far: rows of one statement share theirs.
    shapes: Vec<Arc<[u16]>>,
    /// By entity: its new rows by their keys, where these are given. Made when somebody asks.
    given: RefCell<FxHashMap<usize, Rc<GivenKeys>>>,
}

impl<'a> Collector<'a> {
    fn entity(&self, index: usize) -> &'a EntityDef {
        &self.graph.metadata.entities[index]
    }

    /// Where an entity stands among the nodes.
    fn node_of(&self, cell: &Arc<dyn AnyCell>) -> Option<usize> {
        cell.marked(self.number).filter(|index| *index < self.nodes.len())
    }

    /// Adds an entity, or changes what is to happen to it.
    fn add(&mut self, cell: &Arc<dyn AnyCell>, role: Role) -> Result<usize, Error> {
        match self.node_of(cell) {
            Some(index) => Ok(self.change_role(index, role)),
            None => self.add_new(Arc::clone(cell), role),
        }
    }

    fn add_owned(&mut self, cell: Arc<dyn AnyCell>, role: Role) -> Result<usize, Error> {
        match self.node_of(&cell) {
            Some(index) => Ok(self.change_role(index, role)),
            None => self.add_new(cell, role),
        }
    }

    fn change_role(&mut self, index: usize, role: Role) -> usize {
        let node = &mut self.nodes[index];
        let next = match (node.role, role) {
            (Role::Insert | Role::Nothing, Role::Delete) => Role::Nothing,
            (Role::Nothing, Role::Insert) => Role::Insert,
            (_, Role::Delete) => Role::Delete,
            (current, _) => current,
        };
        if next != node.role {
            node.role = next;
            self.queue.push_back(index);
        }
        index
    }

    fn add_new(&mut self, cell: Arc<dyn AnyCell>, role: Role) -> Result<usize, Error> {
        if !self.graph.owns(&*cell) {
            return Err(Error::Detached { entity: cell.meta().name });
        }
        if cell.is_borrowed(true) {
            return Err(Error::EntityBorrowed { entity: cell.meta().name });
        }
        let entity = match self.nodes.last() {
            // Entities of one type come together.
            Some(last) if std::ptr::eq(last.cell.meta(), cell.meta()) => last.entity,
            _ => self.graph.metadata.of(cell.meta())?.index,
        };
        let index = self.nodes.len();
        cell.mark(self.number, u32::try_from(index).unwrap_or(u32::MAX));
        self.nodes.push(Node { cell, entity, role, overrides: Vec::new(), rewritten: Vec::new() });
        self.queue.push_back(index);
        Ok(index)
    }

    /// An entity goes along with one that is removed. One that was never inserted is not inserted.
    fn add_removal(&mut self, cell: &Arc<dyn AnyCell>) -> Result<(), Error> {
        let role = match cell.lifecycle() {
            Lifecycle::New | Lifecycle::Scheduled if self.node_of(cell).is_none() => Role::Nothing,
            Lifecycle::Removed | Lifecycle::Detached => return Ok(()),
            _ => Role::Delete,
        };
        self.add(cell, role).map(|_| ())
    }

    /// Looks at an entity's fields.
    fn read<R>(&self, cell: &Arc<dyn AnyCell>, look: impl FnOnce(EntityView<'_>) -> R) -> Result<Option<R>, Error> {
        let mut look = Some(look);
        let mut result = None;
        cell.read_sent(self.flush, &mut |view| result = look.take().map(|look| look(view)))?;
        Ok(result)
    }
}
