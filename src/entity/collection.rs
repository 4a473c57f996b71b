//! The value of a to-many relation: what the database has, if it was loaded, and what was added and removed since.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use serde::{Serialize, Serializer};

use super::reference::serialize_key;
use super::{Cell, CellLink, Entity, Managed};
use crate::error::Error;
use crate::metadata::{AnyCell, AnyCollection, CollectionChanges, Property, PropertyMeta};
use crate::types::Key;

/// The items of a to-many relation.
///
/// A collection that was not loaded can be added to and removed from; what is in it is [`Error::NotLoaded`] until
/// it is populated or `load`ed. The collections of a new entity are loaded: they are empty.
///
/// Changes are written by the next flush: an added entity of a one-to-many gets its owning side set, a removed one is
/// deleted (`orphan_removal`) or its owning side is set to NULL; of a many-to-many the rows of the pivot table are
/// inserted and deleted.
pub struct Collection<T: Entity> {
    /// What the database has; shared with the copies that change tracking makes.
    loaded: Option<Arc<Vec<CellLink<T>>>>,
    added: Vec<CellLink<T>>,
    removed: Vec<CellLink<T>>,
    /// Whether everything that is not in `added` is to go, without knowing it.
    cleared: bool,
    relation: Option<&'static PropertyMeta>,
}

impl<T: Entity> Collection<T> {
    /// An empty collection, for a new entity.
    #[must_use]
    pub fn new() -> Self {
        Self { loaded: Some(Arc::default()), added: Vec::new(), removed: Vec::new(), cleared: false, relation: None }
    }

    /// A collection whose items are not known: what a row that was read has.
    #[doc(hidden)]
    #[must_use]
    pub fn unloaded(relation: &'static PropertyMeta) -> Self {
        Self { loaded: None, added: Vec::new(), removed: Vec::new(), cleared: false, relation: Some(relation) }
    }

    /// Whether the items are known.
    pub fn is_loaded(&self) -> bool {
        self.loaded.is_some() || self.cleared
    }

    /// The items: what was loaded, with what was added and without what was removed since.
    ///
    /// # Errors
    /// [`Error::NotLoaded`] if the collection was not loaded.
    pub fn items(&self) -> Result<Vec<Managed<T>>, Error> {
        self.check_loaded()?;
        Ok(self.current().filter_map(Managed::attach).collect())
    }

    /// How many items there are.
    ///
    /// # Errors
    /// [`Error::NotLoaded`] if the collection was not loaded.
    pub fn len(&self) -> Result<usize, Error> {
        self.check_loaded()?;
        Ok(self.current().count())
    }

    /// Whether there are no items.
    ///
    /// # Errors
    /// [`Error::NotLoaded`] if the collection was not loaded.
    pub fn is_empty(&self) -> Result<bool, Error> {
        self.check_loaded()?;
        Ok(self.current().next().is_none())
    }

    /// Whether the entity is one of the items.
    ///
    /// # Errors
    /// [`Error::NotLoaded`] if the collection was not loaded and the entity was neither added nor removed.
    pub fn contains(&self, item: &Managed<T>) -> Result<bool, Error> {
        if holds(&self.added, &item.cell) {
            return Ok(true);
        }
        if holds(&self.removed, &item.cell) {
            return Ok(false);
        }
        self.check_loaded()?;
        Ok(self.loaded.as_ref().is_some_and(|loaded| holds(loaded, &item.cell)))
    }

    /// Adds an entity. Does nothing if it is an item already.
    pub fn add(&mut self, item: &Managed<T>) {
        let cell = &item.cell;
        if let Some(index) = position(&self.removed, cell) {
            self.removed.remove(index);
            // Of a collection that is not loaded it is not known whether it was there: insert if absent.
            if self.loaded.as_ref().is_some_and(|loaded| holds(loaded, cell)) {
                return;
            }
        }
        let there = self.loaded.as_ref().is_some_and(|loaded| holds(loaded, cell));
        if !there && !holds(&self.added, cell) {
            self.added.push(CellLink::new(cell));
        }
    }

    /// Removes an entity. Does nothing if it is known not to be an item.
    pub fn remove(&mut self, item: &Managed<T>) {
        let cell = &item.cell;
        if let Some(index) = position(&self.added, cell) {
            self.added.remove(index);
        }
        let known = self.loaded.as_ref().map(|loaded| holds(loaded, cell));
        let may_be_there = known.unwrap_or(!self.cleared);
        if may_be_there && !holds(&self.removed, cell) {
            self.removed.push(CellLink::new(cell));
        }
    }

    /// Replaces the items.
    pub fn set<'a>(&mut self, items: impl IntoIterator<Item = &'a Managed<T>>) {
        self.remove_all();
        for item in items {
            self.add(item);
        }
    }

    /// Removes all items.
    pub fn remove_all(&mut self) {
        self.added.clear();
        match &self.loaded {
            Some(loaded) => self.removed = loaded.iter().filter(|item| item.is_alive()).cloned().collect(),
            None => {
                self.removed.clear();
                self.cleared = true;
            }
        }
    }

    fn check_loaded(&self) -> Result<(), Error> {
        if self.is_loaded() {
            return Ok(());
        }
        Err(match self.relation {
            Some(relation) => Error::NotLoaded { entity: relation.entity, relation: relation.name },
            None => Error::NotLoaded { entity: T::meta().name, relation: "" },
        })
    }

    /// The items that are still in their graph.
    fn current(&self) -> impl Iterator<Item = Arc<Cell<T>>> + '_ {
        let loaded = self.loaded.as_deref().map_or(&[][..], Vec::as_slice);
        loaded
            .iter()
            .filter_map(CellLink::upgrade)
            .filter(|cell| !holds(&self.removed, cell))
            .chain(self.added.iter().filter_map(CellLink::upgrade))
    }
}

fn position<T: Entity>(items: &[CellLink<T>], cell: &Arc<Cell<T>>) -> Option<usize> {
    items.iter().position(|item| item.is(cell))
}

fn holds<T: Entity>(items: &[CellLink<T>], cell: &Arc<Cell<T>>) -> bool {
    position(items, cell).is_some()
}

impl<T: Entity> Default for Collection<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: Entity> Clone for Collection<T> {
    fn clone(&self) -> Self {
        Self {
            loaded: self.loaded.clone(),
            added: self.added.clone(),
            removed: self.removed.clone(),
            cleared: self.cleared,
            relation: self.relation,
        }
    }
}

impl<T: Entity> fmt::Debug for Collection<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_loaded() {
            f.debug_list().entries(self.current().map(|cell| cell as Arc<dyn AnyCell>)).finish()
        } else {
            write!(f, "Collection<{}>(not loaded)", T::meta().name)
        }
    }
}

/// Serializes as the array of the items' keys, `null` if the collection is not loaded.
impl<T: Entity> Serialize for Collection<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.is_loaded() {
            serializer.collect_seq(self.current().map(|cell| SerializedKey(cell.key())))
        } else {
            serializer.serialize_none()
        }
    }
}

struct SerializedKey(Option<Key>);

impl Serialize for SerializedKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.0 {
            Some(key) => serialize_key(key, serializer),
            None => serializer.serialize_none(),
        }
    }
}

/// The cells that are still there.
fn upgrade<T: Entity>(items: &[CellLink<T>]) -> Vec<Arc<dyn AnyCell>> {
    items.iter().filter_map(CellLink::upgrade).map(|cell| cell as Arc<dyn AnyCell>).collect()
}

/// The items that these cells are.
fn downgrade<T: Entity>(cells: &[Arc<dyn AnyCell>]) -> Vec<CellLink<T>> {
    let cells = cells.iter().filter_map(|cell| Cell::<T>::downcast(Arc::clone(cell)));
    cells.map(|cell| CellLink::new(&cell)).collect()
}

fn has<T: Entity>(items: &[CellLink<T>], item: &CellLink<T>) -> bool {
    items.iter().any(|other| other.ptr_eq(item))
}

impl<T: Entity> AnyCollection for Collection<T> {
    fn is_filled(&self) -> bool {
        self.loaded.is_some()
    }

    fn is_changed(&self) -> bool {
        !self.added.is_empty() || !self.removed.is_empty() || self.cleared
    }

    fn changes(&self) -> CollectionChanges {
        let added = upgrade(&self.added);
        let removed = upgrade(&self.removed);
        let lost = self.added.len() + self.removed.len() - added.len() - removed.len();
        CollectionChanges { added, removed, cleared: self.cleared, lost }
    }

    fn cells(&self) -> Option<Vec<Arc<dyn AnyCell>>> {
        self.is_loaded().then(|| self.current().map(|cell| cell as Arc<dyn AnyCell>).collect())
    }

    fn fill(&mut self, cells: &[Arc<dyn AnyCell>]) {
        let items: Vec<CellLink<T>> = downgrade(cells);
        if self.cleared {
            // Now it is known what was to be removed.
            self.removed = items.iter().filter(|item| !has(&self.added, item)).cloned().collect();
            self.cleared = false;
        }
        self.added.retain(|added| !has(&items, added));
        self.loaded = Some(Arc::new(items));
    }

    fn settle(&mut self, sent: &CollectionChanges) {
        let (added, removed): (Vec<CellLink<T>>, Vec<CellLink<T>>) = (downgrade(&sent.added), downgrade(&sent.removed));
        let wanted = |item: &CellLink<T>| {
            let loaded = self.loaded.as_ref().is_some_and(|loaded| has(loaded, item));
            has(&self.added, item) || (loaded && !has(&self.removed, item))
        };
        // What the user has taken back since is the next change.
        let removed_since: Vec<CellLink<T>> = added.iter().filter(|item| !wanted(item)).cloned().collect();
        let added_since: Vec<CellLink<T>> = removed.iter().filter(|item| wanted(item)).cloned().collect();
        self.added.retain(|item| !has(&added, item));
        self.added.extend(added_since);
        self.removed.retain(|item| !has(&removed, item));
        self.removed.extend(removed_since);
        let known = if sent.cleared { Some(&[][..]) } else { self.loaded.as_deref().map(Vec::as_slice) };
        if let Some(known) = known {
            let kept = known.iter().filter(|item| !has(&removed, item) && !has(&added, item));
            self.loaded = Some(Arc::new(kept.chain(&added).cloned().collect()));
        }
        if sent.cleared {
            self.cleared = false;
        }
    }

    fn discard(&mut self) {
        self.added.clear();
        self.removed.clear();
        self.cleared = false;
    }

    fn absorb(&mut self, cell: &Arc<dyn AnyCell>, present: bool) {
        let Some(cell) = Cell::<T>::downcast(Arc::clone(cell)) else { return };
        // What was pending has happened.
        let settled = if present { &mut self.added } else { &mut self.removed };
        if let Some(index) = position(settled, &cell) {
            settled.remove(index);
        }
        let Some(loaded) = &mut self.loaded else { return };
        match position(loaded, &cell) {
            None if present => Arc::make_mut(loaded).push(CellLink::new(&cell)),
            Some(index) if !present => {
                Arc::make_mut(loaded).remove(index);
            }
            _ => {}
        }
    }
}

impl<T: Entity> Property for Collection<T> {
    fn same(&self, _: &dyn Property, _: Option<u8>) -> bool {
        true
    }

    fn assign(&mut self, from: &dyn Property) {
        if let Some(from) = (from as &dyn Any).downcast_ref::<Self>() {
            self.clone_from(from);
        }
    }

    fn boxed(&self) -> Box<dyn Property> {
        Box::new(self.clone())
    }

    fn text(&self) -> Option<String> {
        None
    }

    fn as_collection(&self) -> Option<&dyn AnyCollection> {
        Some(self)
    }

    fn as_collection_mut(&mut self) -> Option<&mut dyn AnyCollection> {
        Some(self)
    }
}
