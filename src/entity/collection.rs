//! The value of a to-many relation: what the database has, if it was loaded, and what was added and removed since.
//!
//! [`Collection`] is the typed shell; what it does is done by `items` and, for the unit of work, by `tracking`, which
//! know nothing of the type.

use std::any::Any;
use std::fmt;
use std::marker::PhantomData;

use serde::{Serialize, Serializer};

use super::reference::serialize_key;
use super::{Entity, Managed, Ref};
use crate::error::Error;
use crate::metadata::{AnyCollection, Member, Property, PropertyMeta};
use crate::types::Key;

mod argument;
mod item_list;
mod items;
mod tracking;

pub use argument::CollectionItem;
use items::{Items, Known};

/// The items of a to-many relation.
///
/// A collection that was not loaded can be added to and removed from; what is in it is [`Error::NotLoaded`] until
/// it is populated or `load`ed. The collections of a new entity are loaded: they are empty.
///
/// Items are named by their handles, or by a [`Ref`] where they need not be loaded:
/// `post.write().tags.add(em.get_reference::<Tag>(7))` links two rows without reading either.
///
/// Changes are written by the next flush: an added entity of a one-to-many gets its owning side set, a removed one is
/// deleted (`orphan_removal`) or its owning side is set to NULL; of a many-to-many the rows of the pivot table are
/// inserted and deleted. A relation with a `fixed_order` keeps the items in the order in which they were added or `set`.
pub struct Collection<T: Entity> {
    items: Items,
    entity: PhantomData<fn() -> T>,
}

impl<T: Entity> Collection<T> {
    /// An empty collection, for a new entity.
    #[must_use]
    pub const fn new() -> Self {
        Self { items: Items::new(Known::Nothing, None), entity: PhantomData }
    }

    /// A collection whose items are not known: what a row that was read has.
    #[doc(hidden)]
    #[must_use]
    pub const fn unloaded(relation: &'static PropertyMeta) -> Self {
        Self { items: Items::new(Known::Unknown, Some(relation)), entity: PhantomData }
    }

    /// Whether [`items`](Self::items) would answer with all items.
    pub fn is_loaded(&self) -> bool {
        self.items.is_known() && !self.items.has_unloaded() && !self.items.is_part()
    }

    /// Whether the collection shows some of its items: those that a populate with options has asked for (a filter, a limit,
    /// an offset).
    ///
    /// [`items`](Self::items), [`len`](Self::len) and [`is_empty`](Self::is_empty) then speak of these.
    /// [`add`](Self::add), [`remove`](Self::remove), [`set`](Self::set) and [`remove_all`](Self::remove_all) change what is
    /// shown; what is not shown stays as it is in the database. A populate without options loads the others.
    pub const fn is_partial(&self) -> bool {
        self.items.is_part()
    }

    /// The items: what was loaded, with what was added and without what was removed since.
    ///
    /// # Errors
    /// [`Error::NotLoaded`] if the collection was not loaded, or an item was put in by reference and is not loaded.
    pub fn items(&self) -> Result<Vec<Managed<T>>, Error> {
        self.check_known()?;
        if self.items.has_unloaded() {
            return Err(self.not_loaded());
        }
        Ok(self.items.current().filter_map(|item| handle(item.entity()?)).collect())
    }

    /// The items as references: also where an item was put in by reference and is not loaded.
    ///
    /// # Errors
    /// [`Error::NotLoaded`] if the collection was not loaded.
    pub fn references(&self) -> Result<Vec<Ref<T>>, Error> {
        self.check_known()?;
        let reference = |member| match member {
            Member::Entity(cell) => Some(handle(cell)?.to_ref()),
            Member::Row(row) => Ref::from_key(&row.key, row.graph),
        };
        Ok(self.items.members().filter_map(reference).collect())
    }

    /// How many items there are.
    ///
    /// # Errors
    /// [`Error::NotLoaded`] if the collection was not loaded.
    pub fn len(&self) -> Result<usize, Error> {
        self.check_known()?;
        Ok(self.items.current().count())
    }

    /// Whether there are no items.
    ///
    /// # Errors
    /// [`Error::NotLoaded`] if the collection was not loaded.
    pub fn is_empty(&self) -> Result<bool, Error> {
        self.check_known()?;
        Ok(self.items.current().next().is_none())
    }

    /// Whether the entity is one of the items.
    ///
    /// # Errors
    /// [`Error::NotLoaded`] if the collection was not loaded and the entity was neither added nor removed.
    pub fn contains(&self, item: impl CollectionItem<T>) -> Result<bool, Error> {
        self.items.contains(&item.item().0).ok_or_else(|| self.not_loaded())
    }

    /// Adds an item, behind the others. Does nothing if it is one already. Of a collection that is not loaded the flush
    /// inserts the row of the pivot table if it is absent.
    pub fn add(&mut self, item: impl CollectionItem<T>) {
        self.items.add(item.item().0);
    }

    /// Removes an item. Does nothing if it is known not to be one.
    pub fn remove(&mut self, item: impl CollectionItem<T>) {
        self.items.remove(item.item().0);
    }

    /// Replaces the items. Of a relation with a `fixed_order` this is their order.
    pub fn set<I: CollectionItem<T>>(&mut self, items: impl IntoIterator<Item = I>) {
        self.items.set(&mut items.into_iter().map(|item| item.item().0));
    }

    /// Removes all items.
    pub fn remove_all(&mut self) {
        self.items.remove_all();
    }

    fn check_known(&self) -> Result<(), Error> {
        if self.items.is_known() { Ok(()) } else { Err(self.not_loaded()) }
    }

    fn not_loaded(&self) -> Error {
        match self.items.relation {
            Some(relation) => Error::NotLoaded { entity: relation.entity, relation: relation.name },
            None => Error::NotLoaded { entity: T::meta().name, relation: "" },
        }
    }
}

/// A handle to an item that is still in its graph.
fn handle<T: Entity>(cell: std::sync::Arc<dyn crate::metadata::AnyCell>) -> Option<Managed<T>> {
    let graph = cell.graph().upgrade()?;
    Managed::from_cell(cell, graph)
}

impl<T: Entity> Default for Collection<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: Entity> Clone for Collection<T> {
    fn clone(&self) -> Self {
        Self { items: self.items.clone(), entity: PhantomData }
    }
}

impl<T: Entity> fmt::Debug for Collection<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.items.is_known() { self.items.fmt(f) } else { write!(f, "Collection<{}>(not loaded)", T::meta().name) }
    }
}

impl fmt::Debug for Items {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut list = f.debug_list();
        for member in self.members() {
            match &member {
                Member::Entity(cell) => list.entry(cell),
                Member::Row(row) => list.entry(row),
            };
        }
        list.finish()
    }
}

/// Serializes as the array of the items' keys, `null` if the collection is not loaded.
impl<T: Entity> Serialize for Collection<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.items.is_known() {
            serializer.collect_seq(self.items.current().map(|item| SerializedKey(item.key())))
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
        Some(&self.items)
    }

    fn as_collection_mut(&mut self) -> Option<&mut dyn AnyCollection> {
        Some(&mut self.items)
    }
}
