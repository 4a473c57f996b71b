//! The query builder: everything that a SELECT can say, typed; into entities, tuples or projections.

use std::fmt;
use std::future::IntoFuture;
use std::marker::PhantomData;
use std::sync::Arc;

use futures_util::future::BoxFuture;

use super::EntityManager;
use super::cache::Answered;
use super::find::{Find, Question, count_of, fields, handles, is_true};
use super::flush_mode::Reads;
use super::selected_rows::SelectedRows;
use crate::entity::{Entity, Managed};
use crate::error::Error;
use crate::loader::Hydrator;
use crate::metadata::AnyCell;
use crate::query::{FindOptions, FindPlan, Selectable};
use crate::sql::{self, Combined, SelectList, SelectQuery, Selection, SetOperator, Statement, View};
use crate::types::Projection;
use crate::unit_of_work::UnitOfWork;

mod clauses;
mod insert;
mod insert_plan;
mod operands;
mod sources;
mod sql_text;
mod writes;

pub use insert::InsertFrom;
pub use sql_text::{SqlParameter, SqlText};

/// A query of the entity `T` that answers with `O`s: entities, or what was selected. Made by [`EntityManager::query`],
/// [`Find::select`] and [`Find::into`]. `.await` runs it: one statement.
///
/// What is selected are plain values: they are not in the identity map, and no entity is changed by them (rule E5). Pending
/// changes of entities show in them if the [`FlushMode`](crate::FlushMode) has them flushed. Entities are managed, each once, whatever is joined.
///
/// Fields of the entity and of what its to-one relations lead to are columns; those behind a to-many relation are, once it
/// is [joined](Self::join). Values are bound, names are quoted.
#[must_use = "a query does nothing until it is awaited"]
pub struct QueryBuilder<T: Entity, O = Managed<T>> {
    em: EntityManager,
    pub(super) query: SelectQuery,
    pub(super) options: FindOptions,
    reader: Reader<O>,
    /// What a find was asked for, and only entities can have.
    refused: Option<&'static str>,
    entity: PhantomData<fn() -> T>,
}

/// What is made of the rows.
enum Reader<O> {
    Rows(SelectedRows<O>),
    Entities(fn(&Arc<UnitOfWork>, Vec<Arc<dyn AnyCell>>) -> Vec<O>),
}

impl<O> Clone for Reader<O> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<O> Copy for Reader<O> {}

impl EntityManager {
    /// Starts a query with everything that a SELECT can say: joins, groups, windows, sub-queries, common table expressions,
    /// `UNION`. Without a [`select`](QueryBuilder::select) it answers with entities.
    ///
    /// ```
    /// # howdah::doctest::run(async |url| {
    /// # use howdah::prelude::*;
    /// # #[derive(Entity, Clone, Debug)]
    /// # pub struct Invoice { #[primary_key] pub id: i64, pub country: String, pub total: f64 }
    /// # let orm = Orm::builder().url(&url).entities(entities![Invoice]).connect().await?;
    /// # orm.schema().create().await?;
    /// # let em = orm.em();
    /// # em.persist(NewInvoice { country: "PT".into(), total: 2.5 });
    /// # em.persist(NewInvoice { country: "PT".into(), total: 1.5 });
    /// # em.flush().await?;
    /// let revenue = em
    ///     .query::<Invoice>()
    ///     .group_by(|i| i.country())
    ///     .having(|i| i.total().sum().gt(1.0))
    ///     .select(|i| (i.country(), i.total().sum(), i.id().count()))
    ///     .order_by_result(|(_, total, _)| total.desc())
    ///     .await?;
    /// assert_eq!(revenue, [("PT".to_owned(), Some(4.0), 2)]);
    /// # Ok(())
    /// # });
    /// ```
    pub fn query<T: Entity>(&self) -> QueryBuilder<T> {
        let query = SelectQuery::new(T::meta, Selection::all(T::meta()), SelectList::Entity);
        let reader = Reader::Entities(|graph, cells| handles(graph, cells));
        let options = FindOptions::default();
        QueryBuilder { em: self.clone(), query, options, reader, refused: None, entity: PhantomData }
    }
}

impl<T: Entity> Find<T> {
    /// Reads columns instead of entities: a column, an expression, a to-one relation (its key), or a tuple of them.
    ///
    /// ```
    /// # howdah::doctest::run(async |url| {
    /// # use howdah::prelude::*;
    /// # #[derive(Entity, Clone, Debug)]
    /// # pub struct User { #[primary_key] pub id: i64, pub username: String, pub age: Option<i32> }
    /// # let orm = Orm::builder().url(&url).entities(entities![User]).connect().await?;
    /// # orm.schema().create().await?;
    /// # let em = orm.em();
    /// # em.persist(NewUser { username: "ada".into() });
    /// # em.flush().await?;
    /// let users = em.find::<User>().select(|u| (u.id(), u.username(), u.age())).await?;
    /// assert_eq!(users, [(1, "ada".to_owned(), None)]);
    /// let count = em.find::<User>().select(|u| u.age().count_distinct()).one_or_fail().await?;
    /// assert_eq!(count, 0);
    /// # Ok(())
    /// # });
    /// ```
    ///
    /// A field that is NULL where the Rust type has no `Option`, because a relation on the way to it is missing, is
    /// [`Error::Conversion`]: select it with `nullable()`.
    pub fn select<S: Selectable<T>>(self, list: impl FnOnce(T::Fields<T>) -> S) -> QueryBuilder<T, S::Output> {
        self.into_query().select(list)
    }

    /// Reads projections instead of entities: structs with `#[derive(Projection)]`.
    ///
    /// A field of the struct is read from the entity's field of the same name. What the entity does not have, has with
    /// another type, or may have as NULL where the struct has no `Option`, is [`Error::Validation`] before anything is
    /// sent.
    pub fn into<P: Projection>(self) -> QueryBuilder<T, P> {
        self.into_query().into()
    }

    fn into_query(self) -> QueryBuilder<T> {
        let refused = match &self.plan {
            plan if !plan.populate.is_empty() => Some("populate() loads entities: a selection names what it reads"),
            plan if plan.version.is_some() => Some("an optimistic lock compares entities: select the version instead"),
            _ => None,
        };
        let FindPlan { selection, options, .. } = self.plan;
        let query = self.em.query::<T>();
        QueryBuilder { query: SelectQuery { selection, ..query.query }, options, refused, ..query }
    }
}

impl<T: Entity, O: Send + 'static> QueryBuilder<T, O> {
    /// Answers with values: a column, an expression, a to-one relation (its key), or a tuple of them.
    pub fn select<S: Selectable<T>>(self, list: impl FnOnce(T::Fields<T>) -> S) -> QueryBuilder<T, S::Output> {
        let mut terms = Vec::new();
        list(fields::<T>()).push_selected(&mut terms);
        let reader = Reader::Rows(SelectedRows::of_selection::<T, S>());
        self.selecting(SelectList::Terms(terms), reader)
    }

    /// Answers with projections: structs with `#[derive(Projection)]`. See [`Find::into`].
    pub fn into<P: Projection>(self) -> QueryBuilder<T, P> {
        let reader = Reader::Rows(SelectedRows::of_projection());
        self.selecting(SelectList::Projection(P::meta()), reader)
    }

    fn selecting<N>(self, list: SelectList, reader: Reader<N>) -> QueryBuilder<T, N> {
        let query = SelectQuery { list, ..self.query };
        QueryBuilder { em: self.em, query, options: self.options, reader, refused: self.refused, entity: PhantomData }
    }

    /// The rows of both queries, each once.
    ///
    /// Queries of entities are combined by the keys that they find: the result is a query of entities, to be filtered,
    /// ordered, cut off and locked like any other. As each entity comes once, `union_all` is `union` there, and so with the others.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/model/blog.rs"));
    /// # fn main() { howdah::doctest::run(async |url| { let em = blog(&url).await?.em();
    /// let authors = em.query::<User>().join(|u| u.posts());
    /// let young = em.query::<User>().filter(|u| u.age().is_null());
    /// let users: Vec<Managed<User>> = authors.union(young).order_by(|u| u.username().asc()).await?;
    /// assert_eq!(users.iter().map(|user| user.read().username.clone()).collect::<Vec<_>>(), ["ada", "charles"]);
    /// # Ok(()) }) }
    /// ```
    pub fn union<U: Entity>(self, other: QueryBuilder<U, O>) -> Self {
        self.combined(SetOperator::Union, other)
    }

    /// The rows of both queries.
    pub fn union_all<U: Entity>(self, other: QueryBuilder<U, O>) -> Self {
        self.combined(SetOperator::UnionAll, other)
    }

    /// The rows that are in both queries, each once.
    pub fn intersect<U: Entity>(self, other: QueryBuilder<U, O>) -> Self {
        self.combined(SetOperator::Intersect, other)
    }

    /// The rows that are in both queries, as often as in both.
    pub fn intersect_all<U: Entity>(self, other: QueryBuilder<U, O>) -> Self {
        self.combined(SetOperator::IntersectAll, other)
    }

    /// The rows that are not in the other query, each once.
    pub fn except<U: Entity>(self, other: QueryBuilder<U, O>) -> Self {
        self.combined(SetOperator::Except, other)
    }

    /// The rows that are not in the other query, less often by what that has of them.
    pub fn except_all<U: Entity>(self, other: QueryBuilder<U, O>) -> Self {
        self.combined(SetOperator::ExceptAll, other)
    }

    fn combined<U: Entity>(mut self, operator: SetOperator, other: QueryBuilder<U, O>) -> Self {
        if matches!(self.query.list, SelectList::Entity) {
            // The result is a query of entities, for all of which the filters of the first hold.
            let said = (!other.options.filters.is_empty())
                .then_some("what is said of filters holds for all of a union of entities: say it of the first query");
            self.refused = self.refused.or(said);
            match self.query.clone().combined_entities(operator, other.into_part()) {
                Ok(query) => self.query = query,
                Err(message) => self.refused = self.refused.or(Some(message)),
            }
            return self;
        }
        let whole =
            SelectQuery::new(self.query.root, Selection::all(self.query.selection.meta), self.query.list.clone());
        let mut left = std::mem::replace(&mut self.query, whole);
        // What each says of filters is said of itself; all else is of the whole statement.
        left.filters = std::mem::take(&mut self.options.filters);
        let (left, right) = (Arc::new(left), Arc::new(other.into_part()));
        self.query.combined = Some(Combined { left, operator, right });
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
        let entity = match self.reader {
            Reader::Rows(rows) => rows.subject,
            Reader::Entities(_) => T::meta().name,
        };
        let missing = Error::NotFound { entity, criteria: format!("{:?}", self.query.selection.filter) };
        self.one().await?.ok_or(missing)
    }

    /// How many rows the result has, limit, offset and `distinct` included. One statement: `SELECT count(*) FROM (…)`.
    ///
    /// # Errors
    /// [`Error::Validation`] with a lock; otherwise as awaiting the query.
    pub async fn count(self) -> Result<u64, Error> {
        self.unlocked("count()")?;
        Ok(count_of(&self.answer(sql::count_query).await?))
    }

    /// Whether the result has rows. One statement: `SELECT EXISTS (…)`.
    ///
    /// # Errors
    /// [`Error::Validation`] with a lock; otherwise as awaiting the query.
    pub async fn exists(self) -> Result<bool, Error> {
        self.unlocked("exists()")?;
        Ok(is_true(&self.answer(sql::exists_query).await?))
    }

    /// The rows as they are, columns by name or position. What a column is called is up to the server: the name of the
    /// column, or of the function.
    ///
    /// # Errors
    /// As [`count`](Self::count); [`Error::Validation`] with [`cache`](Self::cache), which keeps what is read into types.
    pub async fn rows(self) -> Result<Vec<super::Row>, Error> {
        self.unlocked("rows()")?;
        if self.options.cache.is_some_and(|time| !time.is_zero()) {
            let message =
                "cache() keeps what is read into types, without the names that rows() have: select() the values";
            return Err(Error::validation(T::meta().name, message));
        }
        let view = self.view()?;
        let statement = [sql::query(&view, &self.query)?];
        let flight = self.question(&view, &statement)?.begin().await?;
        let answer = flight.limit(flight.executor().run(&statement[0])).await?;
        Ok(answer.rows.into_iter().map(super::Row).collect())
    }

    /// Runs another statement about the query.
    async fn answer(&self, write: fn(&View, &SelectQuery) -> Result<Statement, Error>) -> Result<Answered, Error> {
        let view = self.view()?;
        let statement = [write(&view, &self.query)?];
        let (_, answers) = self.question(&view, &statement)?.answers(&statement).await?;
        Ok(answers.into_iter().next().unwrap_or(Answered::Fresh(Vec::new())))
    }

    /// What the query asks.
    fn question<'q>(&'q self, view: &'q View, statement: &'q [Statement]) -> Result<Question<'q>, Error> {
        let entity = view.of(self.query.selection.meta)?;
        let (lock, reads) = (self.query.selection.lock, Reads::Statements(statement));
        Ok(Question { session: &self.em.session, entity, lock, options: &self.options, reads })
    }

    fn view(&self) -> Result<View, Error> {
        self.em.view_of(self.query.selection.meta, &self.options)
    }

    fn unlocked(&self, operation: &str) -> Result<(), Error> {
        self.check()?;
        if self.query.selection.lock.is_none() {
            return Ok(());
        }
        Err(Error::validation(T::meta().name, format!("{operation} loads nothing that could be locked")))
    }

    fn check(&self) -> Result<(), Error> {
        self.refused.map_or(Ok(()), |message| Err(Error::validation(T::meta().name, message)))
    }

    async fn run(self) -> Result<Vec<O>, Error> {
        self.check()?;
        let graph = self.em.graph();
        let view = self.view()?;
        let statement = [sql::query(&view, &self.query)?];
        let question = self.question(&view, &statement)?;
        match self.reader {
            Reader::Rows(selected) => {
                let mut intake = selected.intake();
                question.stream(&statement[0], &mut |rows| rows.read(&mut intake)).await?;
                Ok(intake.into_rows())
            }
            Reader::Entities(make) => {
                let mut hydrator = Hydrator::new(&graph, question.entity, false);
                question.stream(&statement[0], &mut |rows| rows.hydrate(&mut hydrator)).await?;
                let mut cells = hydrator.finish().0;
                if !self.query.joins.is_empty() {
                    let mut seen = rustc_hash::FxHashSet::default();
                    cells.retain(|cell| seen.insert(crate::metadata::address(cell)));
                }
                Ok(make(&graph, cells))
            }
        }
    }
}

impl<T: Entity, O> Clone for QueryBuilder<T, O> {
    fn clone(&self) -> Self {
        let (em, query, options) = (self.em.clone(), self.query.clone(), self.options.clone());
        Self { em, query, options, reader: self.reader, refused: self.refused, entity: PhantomData }
    }
}

impl<T: Entity, O> fmt::Debug for QueryBuilder<T, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QueryBuilder").field("query", &self.query).finish_non_exhaustive()
    }
}

impl<T: Entity, O: Send + 'static> IntoFuture for QueryBuilder<T, O> {
    type Output = Result<Vec<O>, Error>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}
