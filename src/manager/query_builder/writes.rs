//! Writing what a query finds: its rows into another table, changes to them, or their end.

use super::{InsertFrom, QueryBuilder};
use crate::entity::{Entity, IntoEntity};
use crate::manager::find::fields;
use crate::manager::{NativeDelete, NativeUpdate};
use crate::query::{Condition, InsertColumns};
use crate::sql::{Distinct, Expression, Term};

impl<T: Entity, O: Send + 'static> QueryBuilder<T, O> {
    /// Inserts the rows into the table of another entity (or the same): `INSERT INTO … SELECT …`. `columns` says what the
    /// selected values are, in their order: a column, or a tuple of up to sixteen; in both places tuples may stand inside of
    /// tuples, if these are not enough.
    ///
    /// Other columns get what rows get that [`insert_many`](crate::EntityManager::insert_many) writes: `on_create` values and
    /// the first `#[version]`, made here once for all rows, and the defaults of the database. A UUID key is made by the server, of
    /// version 7, for each row. Pending work is not flushed before.
    ///
    /// What a find reads in another [schema](crate::Find::schema) goes into the table of the entity itself.
    ///
    /// ```
    /// # howdah::doctest::run(async |url| {
    /// # use howdah::prelude::*;
    /// # #[derive(Entity, Clone, Debug)]
    /// # pub struct Draft { #[primary_key] pub id: i64, pub title: String, pub done: bool }
    /// # #[derive(Entity, Clone, Debug)]
    /// # pub struct Page { #[primary_key] pub id: i64, #[property(unique)] pub title: String }
    /// # let orm = Orm::builder().url(&url).entities(entities![Draft, Page]).connect().await?;
    /// # orm.schema().create().await?;
    /// # let em = orm.em();
    /// # em.persist(NewDraft { title: "one".into(), done: true });
    /// # em.flush().await?;
    /// let done = em.query::<Draft>().filter(|d| d.done().eq(true)).select(|d| d.title());
    /// let pages = done.insert_into::<Page, _>(|page| page.title()).on_conflict(|page| page.title()).ignore();
    /// assert_eq!(pages.returning(|page| (page.id(), page.title())).await?, [(1, "one".to_owned())]);
    /// # Ok(())
    /// # });
    /// ```
    ///
    /// # Errors
    /// Awaiting it is [`Error::Validation`](crate::Error::Validation), before anything is sent, if a part of the key has no value that
    /// somebody makes; otherwise as awaiting the query, and what the server answered, with entity and fields as from a flush.
    pub fn insert_into<E: Entity, C: InsertColumns<E, O>>(
        self,
        columns: impl FnOnce(E::Fields<E>) -> C,
    ) -> InsertFrom<E> {
        let mut names = Vec::new();
        columns(fields::<E>()).push_properties(&mut names);
        let refused = self.refused.or_else(|| self.of_reading());
        InsertFrom::of_query(self.em, self.query, names, self.options, refused)
    }

    /// Updates the rows: a [`native_update`](crate::EntityManager::native_update) of those that the query would find.
    ///
    /// Awaiting it is [`Error::Validation`](crate::Error::Validation), before anything is sent, if the query is
    /// [locked](Self::lock): an UPDATE locks what it changes.
    pub fn update(self) -> NativeUpdate<T> {
        let update = self.em.native_update::<T>().with_options(self.options.clone());
        self.own_rows().into_iter().fold(update, |update, condition| update.filter_opt(Some(condition)))
    }

    /// Deletes the rows: a [`native_delete`](crate::EntityManager::native_delete) of those that the query would find.
    ///
    /// Awaiting it is [`Error::Validation`](crate::Error::Validation), before anything is sent, if the query is
    /// [locked](Self::lock): a DELETE locks what it deletes.
    pub fn delete(self) -> NativeDelete<T> {
        let delete = self.em.native_delete::<T>().with_options(self.options.clone());
        self.own_rows().into_iter().fold(delete, |delete, condition| delete.filter_opt(Some(condition)))
    }

    /// The rows of the entity that the query is about, as conditions.
    fn own_rows(mut self) -> Vec<Condition<T>> {
        let query = &mut self.query;
        let is_plain = query.joins.is_empty()
            && query.from.is_none()
            && query.combined.is_none()
            && query.group_by.is_empty()
            && query.having.is_empty()
            && matches!(query.distinct, Distinct::All)
            && query.selection.limit.is_none()
            && query.selection.offset.is_none();
        let locked = "lock() is of what is read, and update() and delete() lock what they write by themselves: to skip locked \
                      rows, or to fail on them, read them first, with the lock, in the same transaction";
        let refused = self.refused.or_else(|| self.query.selection.lock.map(|_| locked)).or_else(|| self.of_reading());
        let membership = match refused {
            Some(message) => Err(message),
            None if is_plain => {
                return std::mem::take(&mut self.query.selection.filter).into_iter().map(Condition::new).collect();
            }
            None => self.query.into_membership(),
        };
        let refuse = |message: &str| Expression::Holds(Term::Invalid(message.to_owned()));
        vec![Condition::new(membership.unwrap_or_else(refuse))]
    }

    /// What only a query that reads can have.
    fn of_reading(&self) -> Option<&'static str> {
        let limited = "timeout() is of what is read: give the transaction one, with em.transaction().timeout(…)";
        let kept = "cache() keeps what is read, and this writes: leave it out";
        self.options.timeout.map(|_| limited).or(self.options.cache.map(|_| kept))
    }
}

impl<T: Entity> QueryBuilder<T> {
    /// Inserts values: entities or their `New…` structs, as [`insert_many`](crate::EntityManager::insert_many), but with
    /// [`on_conflict`](InsertFrom::on_conflict) and [`returning`](InsertFrom::returning). Rows that have values for the same
    /// columns are one statement, which answers for itself; all of them take effect, or none.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/model/blog.rs"));
    /// # fn main() { howdah::doctest::run(async |url| { let em = blog(&url).await?.em();
    /// let tags = ["mathematics", "poetry"].map(|name| NewTag { name: name.into() });
    /// let added = em.query::<Tag>().insert(tags).on_conflict(|tag| tag.name()).ignore();
    /// assert_eq!(added.returning(|tag| tag.name()).await?, ["poetry"]);
    /// # Ok(()) }) }
    /// ```
    ///
    /// # Errors
    /// Awaiting it is [`Error::Validation`](crate::Error::Validation), before anything is sent, if the query has clauses: it inserts
    /// the values, whatever there is. Otherwise as `insert_many`.
    pub fn insert<N: IntoEntity<Entity = T>>(self, rows: impl IntoIterator<Item = N>) -> InsertFrom<T> {
        let rows = rows.into_iter().map(|row| Box::new(row.into_entity()) as _).collect();
        let has_clauses = "insert() inserts values: the query has clauses, which would be of no effect";
        let refused = self.refused.or_else(|| (!self.query.is_whole()).then_some(has_clauses));
        InsertFrom::of_values(self.em, rows, self.options, refused)
    }
}
