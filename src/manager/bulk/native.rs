//! UPDATE and DELETE by conditions, without loading what they are about.

use std::fmt;
use std::future::IntoFuture;
use std::marker::PhantomData;

use futures_util::future::BoxFuture;

use super::native_plan::{DeletePlan, UpdatePlan, check_own_schema};
use super::returning::{Returning, entities_of};
use super::written_rows::managed_rows;
use crate::entity::{Entity, FieldPath, FieldSet, Managed};
use crate::error::Error;
use crate::manager::EntityManager;
use crate::manager::find::handles;
use crate::metadata::GraphLink;
use crate::query::{Assign, Assignment, Condition, FindOptions, IntoCondition, PropertyList, Selectable};
use crate::sql::SetValue;
use crate::types::{Projection, RowReader, RowView};

/// An UPDATE, made by [`EntityManager::native_update`]. `.await` sends it and answers with the number of rows.
#[must_use = "an update does nothing until it is awaited"]
pub struct NativeUpdate<T: Entity> {
    em: EntityManager,
    pub(super) plan: UpdatePlan,
    entity: PhantomData<fn() -> T>,
}

/// A DELETE, made by [`EntityManager::native_delete`]. `.await` sends it and answers with the number of rows.
#[must_use = "a delete does nothing until it is awaited"]
pub struct NativeDelete<T: Entity> {
    em: EntityManager,
    pub(super) plan: DeletePlan,
    entity: PhantomData<fn() -> T>,
}

fn fields<T: Entity>() -> T::Fields<T> {
    T::Fields::at(FieldPath::root(T::meta))
}

impl<T: Entity> NativeUpdate<T> {
    /// Updates the rows that fulfil a condition, over relations, too. Several have to hold together; without any it is all rows.
    pub fn filter<C: IntoCondition<T>>(mut self, condition: impl FnOnce(T::Fields<T>) -> C) -> Self {
        self.plan.filter.push(condition(fields::<T>()).into_condition().expression);
        self
    }

    /// Like [`filter`](Self::filter), if there is a condition.
    pub fn filter_opt(mut self, condition: Option<Condition<T>>) -> Self {
        self.plan.filter.extend(condition.map(|condition| condition.expression));
        self
    }

    /// Sets a column to a value, or to `None`; a to-one relation to what a handle, a reference or a key names. Of one field the
    /// last value counts.
    pub fn set<P>(mut self, field: impl FnOnce(T::Fields<T>) -> P, value: impl Assign<T, P>) -> Self {
        self.plan.assignments.push(value.assign_to(field(fields::<T>())));
        self
    }

    /// Sets fields to NULL: columns, to-one relations, or a tuple of them.
    pub fn set_null<P: PropertyList<T>>(mut self, properties: impl FnOnce(T::Fields<T>) -> P) -> Self {
        let mut names = Vec::new();
        properties(fields::<T>()).push_properties(&mut names);
        self.plan.assignments.extend(names.into_iter().map(|name| Assignment { name, value: SetValue::Null }));
        self
    }

    /// Answers with values of the rows, as they are now: a column, an expression, a to-one relation (its key), or a tuple of
    /// them. `UPDATE … RETURNING`.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/model/blog.rs"));
    /// # fn main() { howdah::doctest::run(async |url| { let em = blog(&url).await?.em();
    /// let older = em.native_update::<User>().filter(|u| u.age().gt(30)).set(|u| u.age(), User::fields().age() + 1);
    /// assert_eq!(older.returning(|u| (u.username(), u.age())).await?, [("ada".to_owned(), Some(37))]);
    /// # Ok(()) }) }
    /// ```
    pub fn returning<S: Selectable<T>>(self, list: impl FnOnce(T::Fields<T>) -> S) -> Returning<S::Output> {
        Returning::selecting(self.em, Box::new(self.plan), list)
    }

    /// Answers with projections of the rows, as they are now.
    pub fn returning_into<P: Projection>(self) -> Returning<P> {
        Returning::projecting::<T>(self.em, Box::new(self.plan))
    }

    /// Sends the UPDATE, and answers with the entities of the rows, managed, as they are now: `UPDATE … RETURNING`. What was loaded of
    /// them is up to date then, apart from pending changes, which stay.
    ///
    /// # Errors
    /// As awaiting the update; [`Error::Validation`] for rows of another schema.
    pub async fn returning_entities(self) -> Result<Vec<Managed<T>>, Error> {
        check_own_schema(T::meta(), &self.plan.options)?;
        let graph = self.em.graph();
        let answer = self.plan.run(&self.em, Some(&entities_of::<T>())).await?;
        let entity = graph.metadata.of(T::meta())?;
        Ok(handles(&graph, managed_rows(&graph, entity, &answer)?))
    }

    /// The same, with the options of a query.
    pub(in crate::manager) fn with_options(mut self, options: FindOptions) -> Self {
        self.plan.options = options;
        self
    }
}

impl<T: Entity> NativeDelete<T> {
    /// Deletes the rows that fulfil a condition, over relations, too. Several have to hold together; without any it is all rows.
    pub fn filter<C: IntoCondition<T>>(mut self, condition: impl FnOnce(T::Fields<T>) -> C) -> Self {
        self.plan.filter.push(condition(fields::<T>()).into_condition().expression);
        self
    }

    /// Like [`filter`](Self::filter), if there is a condition.
    pub fn filter_opt(mut self, condition: Option<Condition<T>>) -> Self {
        self.plan.filter.extend(condition.map(|condition| condition.expression));
        self
    }

    /// Answers with values of the rows that were deleted: a column, an expression, a to-one relation (its key), or a tuple of
    /// them. `DELETE … RETURNING`.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/model/blog.rs"));
    /// # fn main() { howdah::doctest::run(async |url| { let em = blog(&url).await?.em();
    /// let deleted = em.native_delete::<Comment>().filter(|c| c.author().is_not_null());
    /// assert_eq!(deleted.returning(|c| c.author().username()).await?, ["charles"]);
    /// # Ok(()) }) }
    /// ```
    pub fn returning<S: Selectable<T>>(self, list: impl FnOnce(T::Fields<T>) -> S) -> Returning<S::Output> {
        Returning::selecting(self.em, Box::new(self.plan), list)
    }

    /// Answers with projections of the rows that were deleted.
    pub fn returning_into<P: Projection>(self) -> Returning<P> {
        Returning::projecting::<T>(self.em, Box::new(self.plan))
    }

    /// Sends the DELETE, and answers with what was deleted, as entities that are not managed: `DELETE … RETURNING`.
    ///
    /// # Errors
    /// As awaiting the delete.
    pub async fn returning_entities(self) -> Result<Vec<T>, Error> {
        let answer = self.plan.run(&self.em, Some(&entities_of::<T>())).await?;
        let (link, mut space) = (GraphLink::none(), Vec::new());
        let value = |row| {
            let view = RowView::Row(row);
            let fields = view.fields(0, row.len(), &mut space);
            T::hydrate(&mut RowReader::new(fields, view, 0, T::meta().name), &link)
        };
        answer.rows.iter().map(value).collect()
    }

    /// The same, with the options of a query.
    pub(in crate::manager) fn with_options(mut self, options: FindOptions) -> Self {
        self.plan.options = options;
        self
    }
}

impl<T: Entity> IntoFuture for NativeUpdate<T> {
    type Output = Result<u64, Error>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move { Ok(self.plan.run(&self.em, None).await?.affected) })
    }
}

impl<T: Entity> IntoFuture for NativeDelete<T> {
    type Output = Result<u64, Error>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move { Ok(self.plan.run(&self.em, None).await?.affected) })
    }
}

impl<T: Entity> fmt::Debug for NativeUpdate<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NativeUpdate")
            .field("entity", &T::meta().name)
            .field("filter", &self.plan.filter)
            .finish_non_exhaustive()
    }
}

impl<T: Entity> fmt::Debug for NativeDelete<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NativeDelete")
            .field("entity", &T::meta().name)
            .field("filter", &self.plan.filter)
            .finish_non_exhaustive()
    }
}

impl EntityManager {
    /// Updates all rows that fulfil a condition, at once, past the unit of work: `UPDATE … SET … WHERE …`. Nothing is loaded.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/model/blog.rs"));
    /// # fn main() { howdah::doctest::run(async |url| { let em = blog(&url).await?.em();
    /// let renamed = em
    ///     .native_update::<Post>()
    ///     .filter(|p| p.author().username().eq("ada"))
    ///     .set(|p| p.title(), "untitled")
    ///     .await?;
    /// assert_eq!(renamed, 2);
    /// # Ok(()) }) }
    /// ```
    ///
    /// A `#[version]` is counted up, unless it is set. `on_update` values are not made: set what they are to be.
    ///
    /// Entities that are loaded and that the statement may have touched are stale from then on: those with the keys of the
    /// condition, or else all of the type. They keep their values, until they are found again, by a `find` or by
    /// [`find_one`](Self::find_one), which reads a stale entity again though it is loaded. What they take in then is as
    /// with every find: fields with pending changes keep these. The version becomes that of the row, if it is the one that the manager
    /// itself has made: the next flush writes the pending changes over the row then, also that which the find itself begins with
    /// ([`FlushMode`](crate::FlushMode)). If anybody else has written the row since the entity was read, that flush is
    /// [`Error::OptimisticLock`], and so is one of a stale entity that was not found again, if it has a version.
    ///
    /// One round trip. Pending work is not flushed before. Outside of a transaction the statement commits; inside of one it is a
    /// part of it, and a failure undoes no more than it has written.
    ///
    /// # Errors
    /// [`Error::Validation`] before anything is sent, if nothing is set, or the key, or a field of another entity, or one that is not
    /// nullable to NULL; what the server answered, with entity and fields as from a flush.
    ///
    /// # Cancel safety
    /// Dropping the future leaves the rows updated, or not. Inside a transaction they are not.
    pub fn native_update<T: Entity>(&self) -> NativeUpdate<T> {
        let options = FindOptions::default();
        let plan = UpdatePlan { meta: T::meta(), filter: Vec::new(), options, assignments: Vec::new() };
        NativeUpdate { em: self.clone(), plan, entity: PhantomData }
    }

    /// Deletes all rows that fulfil a condition, at once, past the unit of work: `DELETE FROM … WHERE …`. Nothing is loaded, and
    /// nothing is cascaded but by the database (`on_delete`).
    ///
    /// Loaded entities become stale as by [`native_update`](Self::native_update), and also those of other types whose rows
    /// the database deletes or changes along. One that is looked for with [`find_one`](Self::find_one) and whose row is gone leaves the
    /// manager: it is `Detached`, and its pending changes are not written.
    ///
    /// # Errors
    /// What the server answered, with entity and fields as from a flush: [`Error::ForeignKeyViolation`] if something still refers to a row.
    ///
    /// # Cancel safety
    /// Dropping the future leaves the rows deleted, or not. Inside a transaction they are not.
    pub fn native_delete<T: Entity>(&self) -> NativeDelete<T> {
        let plan = DeletePlan { meta: T::meta(), filter: Vec::new(), options: FindOptions::default() };
        NativeDelete { em: self.clone(), plan, entity: PhantomData }
    }
}
