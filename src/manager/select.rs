//! Reading columns instead of entities: tuples and projections, which the identity map does not know of (rule E5).

use std::fmt;
use std::future::IntoFuture;
use std::marker::PhantomData;

use futures_util::future::BoxFuture;
use tokio_postgres::Row;

use super::EntityManager;
use super::find::{Find, Flight, count_of, fields};
use super::flush_mode::Reads;
use crate::entity::Entity;
use crate::error::Error;
use crate::loader::{ReadRow, RowIntake};
use crate::query::{Condition, FindOptions, FindPlan, IntoOrder};
use crate::sql::{self, SelectList, SelectQuery};
use crate::types::{ExpectedRow, Projection};

/// A query for some columns, made by [`Find::into`]. `.await` runs it: one statement.
///
/// What it answers with are plain values: they are not in the identity map, and no entity is changed by them. Pending changes
/// of entities show in them if the [`FlushMode`](crate::FlushMode) has them flushed.
#[must_use = "a query does nothing until it is awaited"]
pub struct Select<T: Entity, O> {
    em: EntityManager,
    query: SelectQuery,
    options: FindOptions,
    expected: fn() -> ExpectedRow,
    read: ReadRow<O>,
    /// What is read, for messages.
    subject: &'static str,
    /// What the find was asked for, and only entities can have.
    refused: Option<&'static str>,
    entity: PhantomData<fn() -> T>,
}

impl<T: Entity> Find<T> {
    /// Reads projections instead of entities: structs with `#[derive(Projection)]`.
    ///
    /// A field of the struct is read from the entity's field of the same name. What the entity does not have, has with
    /// another type, or may have as NULL where the struct has no `Option`, is [`Error::Validation`] before anything is
    /// sent.
    pub fn into<P: Projection>(self) -> Select<T, P> {
        let meta = P::meta();
        self.selecting(SelectList::Projection(meta), P::expected, P::read, meta.name)
    }

    fn selecting<O>(
        self,
        list: SelectList,
        expected: fn() -> ExpectedRow,
        read: ReadRow<O>,
        subject: &'static str,
    ) -> Select<T, O> {
        let refused = match &self.plan {
            plan if !plan.populate.is_empty() => Some("populate() loads entities: a projection names what it reads"),
            plan if plan.version.is_some() => Some("an optimistic lock compares entities: select the version instead"),
            _ => None,
        };
        let FindPlan { selection, options, .. } = self.plan;
        let query = SelectQuery { root: T::meta, selection, list, distinct: false };
        Select { em: self.em, query, options, expected, read, subject, refused, entity: PhantomData }
    }
}

impl<T: Entity, O: Send + 'static> Select<T, O> {
    /// Keeps the rows that fulfil a condition. Several filters have to hold together.
    pub fn filter(mut self, condition: impl FnOnce(T::Fields<T>) -> Condition<T>) -> Self {
        self.query.selection.filter.push(condition(fields::<T>()).expression);
        self
    }

    /// Like [`filter`](Self::filter), if there is a condition.
    pub fn filter_opt(mut self, condition: Option<Condition<T>>) -> Self {
        self.query.selection.filter.extend(condition.map(|condition| condition.expression));
        self
    }

    /// Orders the rows: one term or a tuple, over to-one relations, too. Without it the order is the server's.
    pub fn order_by<R: IntoOrder<T>>(mut self, order: impl FnOnce(T::Fields<T>) -> R) -> Self {
        order(fields::<T>()).push_terms(&mut self.query.selection.order);
        self
    }

    /// At most this many rows.
    pub const fn limit(mut self, rows: u64) -> Self {
        self.query.selection.limit = Some(rows);
        self
    }

    /// Without the first rows.
    pub const fn offset(mut self, rows: u64) -> Self {
        self.query.selection.offset = Some(rows);
        self
    }

    /// Each result once: `SELECT DISTINCT`. Then the server orders only by what is selected.
    pub const fn distinct(mut self) -> Self {
        self.query.distinct = true;
        self
    }

    /// The first row of the result, if there is one.
    ///
    /// # Errors
    /// As awaiting the query.
    pub async fn one(self) -> Result<Option<O>, Error> {
        Ok(self.limit(1).await?.into_iter().next())
    }

    /// The first row of the result, if there is one: the same as [`one`](Self::one).
    ///
    /// # Errors
    /// As awaiting the query.
    pub async fn first(self) -> Result<Option<O>, Error> {
        self.one().await
    }

    /// The first row of the result; none is an error.
    ///
    /// # Errors
    /// [`Error::NotFound`]; otherwise as awaiting the query.
    pub async fn one_or_fail(self) -> Result<O, Error> {
        let missing = Error::NotFound { entity: self.subject, criteria: format!("{:?}", self.query.selection.filter) };
        self.one().await?.ok_or(missing)
    }

    /// How many rows the result has, limit, offset and `distinct` included. One statement: `SELECT count(*) FROM (…)`.
    ///
    /// # Errors
    /// [`Error::Validation`] with a [`lock`](Find::lock); otherwise as awaiting the query.
    pub async fn count(self) -> Result<u64, Error> {
        if self.query.selection.lock.is_some() {
            return Err(Error::validation(T::meta().name, "count() loads nothing that could be locked"));
        }
        let view = self.em.view_of(self.query.selection.meta, &self.options)?;
        let statements = [sql::count_query(&view, &self.query)?];
        let flight = Flight::begin(&self.em.session, None, &self.options, Reads::Statements(&statements)).await?;
        Ok(count_of(&flight.limit(flight.executor().run(&statements[0])).await?.rows))
    }

    async fn run(self) -> Result<Vec<O>, Error> {
        if let Some(message) = self.refused {
            return Err(Error::validation(T::meta().name, message));
        }
        let view = self.em.view_of(self.query.selection.meta, &self.options)?;
        let statements = [sql::query(&view, &self.query)?];
        let mut intake = RowIntake::selected((self.expected)(), self.read, self.subject);
        let entity = view.of(self.query.selection.meta)?;
        let flight =
            Flight::begin(&self.em.session, self.query.selection.lock, &self.options, Reads::Statements(&statements))
                .await?;
        let mut take = |rows: &[Row]| intake.take(rows);
        let streamed = flight.limit(flight.executor().stream(&statements[0], &mut take)).await;
        flight.landed(streamed, entity)?;
        Ok(intake.into_rows())
    }
}

impl<T: Entity, O> Clone for Select<T, O> {
    fn clone(&self) -> Self {
        let (em, query, options) = (self.em.clone(), self.query.clone(), self.options.clone());
        let (expected, read, refused, subject) = (self.expected, self.read, self.refused, self.subject);
        Self { em, query, options, expected, read, subject, refused, entity: PhantomData }
    }
}

impl<T: Entity, O> fmt::Debug for Select<T, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Select").field("query", &self.query).finish_non_exhaustive()
    }
}

impl<T: Entity, O: Send + 'static> IntoFuture for Select<T, O> {
    type Output = Result<Vec<O>, Error>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}
