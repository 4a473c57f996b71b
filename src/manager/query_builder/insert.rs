//! INSERT of the query builder: of rows that a query makes, or of values.

use std::fmt;
use std::future::IntoFuture;
use std::marker::PhantomData;

use futures_util::future::BoxFuture;

use super::insert_plan::{InsertPlan, InsertSource};
use crate::entity::{Entity, Managed};
use crate::error::Error;
use crate::manager::EntityManager;
use crate::manager::bulk::{Returning, entities_of, managed_rows};
use crate::manager::find::{fields, handles};
use crate::metadata::EntityObject;
use crate::query::{FindOptions, PropertyList, PropertyName, Selectable};
use crate::sql::SelectQuery;
use crate::types::Projection;

/// An INSERT of the query builder, made by [`QueryBuilder::insert_into`](crate::QueryBuilder::insert_into) of the rows of a query, and by
/// [`QueryBuilder::insert`](crate::QueryBuilder::insert) of values. `.await` sends it and answers with the number of rows that were
/// written.
#[must_use = "an insert does nothing until it is awaited"]
pub struct InsertFrom<T: Entity> {
    em: EntityManager,
    plan: InsertPlan,
    entity: PhantomData<fn() -> T>,
}

impl<T: Entity> InsertFrom<T> {
    pub(super) fn of_query(
        em: EntityManager,
        query: SelectQuery,
        names: Vec<PropertyName>,
        options: FindOptions,
        refused: Option<&'static str>,
    ) -> Self {
        let plan = InsertPlan::new(T::meta(), InsertSource::Query { query: Box::new(query), names }, options, refused);
        Self { em, plan, entity: PhantomData }
    }

    pub(super) fn of_values(
        em: EntityManager,
        rows: Vec<Box<dyn EntityObject>>,
        options: FindOptions,
        refused: Option<&'static str>,
    ) -> Self {
        let plan = InsertPlan::new(T::meta(), InsertSource::Values(rows), options, refused);
        Self { em, plan, entity: PhantomData }
    }

    /// A row that is there already, by the unique constraint or index of these fields, gets the values of the new one:
    /// `ON CONFLICT (…) DO UPDATE`. It keeps its key, gets the next `#[version]` and new `on_update` values; what has an
    /// `on_create` it gets only from a query that selects it. A row that a filter hides stays as it is.
    pub fn on_conflict<P: PropertyList<T>>(mut self, properties: impl FnOnce(T::Fields<T>) -> P) -> Self {
        let mut names = Vec::new();
        properties(fields::<T>()).push_properties(&mut names);
        self.plan.conflict = Some(names);
        self
    }

    /// A row that is there already stays as it is: `ON CONFLICT … DO NOTHING`. Without
    /// [`on_conflict`](Self::on_conflict), whatever unique constraint says that it is there.
    pub fn ignore(mut self) -> Self {
        self.plan.conflict.get_or_insert_default();
        self.plan.merges = false;
        self
    }

    /// Answers with values of the rows that were written: a column, an expression, a to-one relation (its key), or a tuple of
    /// them. `INSERT … RETURNING`.
    pub fn returning<S: Selectable<T>>(self, list: impl FnOnce(T::Fields<T>) -> S) -> Returning<S::Output> {
        Returning::selecting(self.em, Box::new(self.plan), list)
    }

    /// Answers with projections of the rows that were written.
    pub fn returning_into<P: Projection>(self) -> Returning<P> {
        Returning::projecting::<T>(self.em, Box::new(self.plan))
    }

    /// Sends the INSERT, and answers with the entities of the rows that were written, managed: `INSERT … RETURNING`.
    ///
    /// # Errors
    /// As awaiting it.
    pub async fn returning_entities(self) -> Result<Vec<Managed<T>>, Error> {
        let graph = self.em.graph();
        let answer = self.plan.run(&self.em, Some(&entities_of::<T>())).await?;
        let entity = graph.metadata.of(T::meta())?;
        Ok(handles(&graph, managed_rows(&graph, entity, &answer)?))
    }
}

impl<T: Entity> fmt::Debug for InsertFrom<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InsertFrom").field("plan", &self.plan).finish_non_exhaustive()
    }
}

impl<T: Entity> IntoFuture for InsertFrom<T> {
    type Output = Result<u64, Error>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move { Ok(self.plan.run(&self.em, None).await?.affected) })
    }
}
