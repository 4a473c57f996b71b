//! Some items of a to-many relation: which of them a populate loads, and in which order.

use std::fmt;
use std::marker::PhantomData;

use super::condition::Condition;
use super::order::IntoOrder;
use super::path::ToMany;
use super::populate::{Populate, PopulatePath, PopulateRequest};
use crate::entity::{Entity, FieldPath, FieldSet};
use crate::sql::Selection;

/// Which items of a to-many relation to load: what [`ToMany::with`] is told in its closure.
///
/// A collection that was populated with a filter, a limit or an offset is
/// [partial](crate::Collection::is_partial): it shows the items that were found, and nothing is concluded from what is
/// not among them.
#[must_use = "options do nothing until they are populated"]
pub struct Items<T: Entity> {
    pub(super) selection: Selection,
    pub(super) nested: Vec<PopulateRequest>,
    entity: PhantomData<fn() -> T>,
}

fn fields<T: Entity>() -> T::Fields<T> {
    T::Fields::at(FieldPath::root(T::meta))
}

impl<T: Entity> Items<T> {
    fn all() -> Self {
        Self { selection: Selection::all(T::meta()), nested: Vec::new(), entity: PhantomData }
    }

    /// Loads the items that fulfil a condition. Several filters have to hold together.
    pub fn filter(mut self, condition: impl FnOnce(T::Fields<T>) -> Condition<T>) -> Self {
        self.selection.filter.push(condition(fields::<T>()).expression);
        self
    }

    /// Orders the items of each owner; those that are equal, by their keys. Without it they come in the order of their
    /// keys, or in the fixed order of the relation.
    pub fn order_by<O: IntoOrder<T>>(mut self, order: impl FnOnce(T::Fields<T>) -> O) -> Self {
        order(fields::<T>()).push_terms(&mut self.selection.order);
        self
    }

    /// At most this many items of each owner.
    pub const fn limit(mut self, items: u64) -> Self {
        self.selection.limit = Some(items);
        self
    }

    /// Without the first items of each owner.
    pub const fn offset(mut self, items: u64) -> Self {
        self.selection.offset = Some(items);
        self
    }

    /// Loads relations of the items along.
    pub fn populate<P: Populate<T>>(mut self, populate: impl FnOnce(T::Fields<T>) -> P) -> Self {
        populate(fields::<T>()).push_requests(&mut self.nested);
        self
    }
}

impl<T: Entity> Clone for Items<T> {
    fn clone(&self) -> Self {
        Self { selection: self.selection.clone(), nested: self.nested.clone(), entity: PhantomData }
    }
}

impl<T: Entity> fmt::Debug for Items<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Items").field("selection", &self.selection).finish_non_exhaustive()
    }
}

/// A to-many relation of which some items are populated. Made by [`ToMany::with`].
pub struct SomeItems<R: Entity, T: Entity> {
    path: FieldPath,
    items: Items<T>,
    root: PhantomData<fn() -> R>,
}

impl<R: Entity, T: Entity> ToMany<R, T> {
    /// Populates some of the items, or all in another order:
    /// `u.posts().with(|posts| posts.filter(|p| p.title().like("Note%")).order_by(|p| p.id().desc()).limit(3))`. A limit
    /// is one of each owner.
    ///
    /// The server is always asked, also if the collection is loaded, and the collection then shows what was found. If a path
    /// is populated twice with options, the last ones count.
    pub fn with(self, items: impl FnOnce(Items<T>) -> Items<T>) -> SomeItems<R, T> {
        SomeItems { path: self.fields().path().clone(), items: items(Items::all()), root: PhantomData }
    }
}

impl<R: Entity, T: Entity> Clone for SomeItems<R, T> {
    fn clone(&self) -> Self {
        Self { path: self.path.clone(), items: self.items.clone(), root: PhantomData }
    }
}

impl<R: Entity, T: Entity> fmt::Debug for SomeItems<R, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SomeItems").field(&self.path).field(&self.items).finish()
    }
}

impl<R: Entity, T: Entity> PopulatePath<R> for SomeItems<R, T> {
    #[allow(private_interfaces, reason = "only this crate calls it")]
    fn request(self) -> PopulateRequest {
        let Items { selection, nested, .. } = self.items;
        PopulateRequest::Items { hops: self.path.hops().to_vec(), selection: Box::new(selection), nested }
    }
}

impl<R: Entity, T: Entity> Populate<R> for SomeItems<R, T> {
    #[allow(private_interfaces, reason = "only this crate calls it")]
    fn push_requests(self, requests: &mut Vec<PopulateRequest>) {
        requests.push(self.request());
    }
}
