//! The clauses of a query: which rows, grouped how, in which order, locked how.

use std::time::Duration;

use super::QueryBuilder;
use crate::entity::Entity;
use crate::manager::find::fields;
use crate::query::{Condition, IntoCondition, IntoOrder, LockKind, LockMode, OutputRow, Selectable, terms_of};
use crate::sql::{Distinct, OWN};

impl<T: Entity, O: Send + 'static> QueryBuilder<T, O> {
    /// Keeps the rows that fulfil a condition. Several filters have to hold together.
    pub fn filter<C: IntoCondition<T>>(mut self, condition: impl FnOnce(T::Fields<T>) -> C) -> Self {
        self.query.selection.filter.push(condition(fields::<T>()).into_condition().expression);
        self
    }

    /// Like [`filter`](Self::filter), if there is a condition.
    pub fn filter_opt(mut self, condition: Option<Condition<T>>) -> Self {
        self.query.selection.filter.extend(condition.map(|condition| condition.expression));
        self
    }

    /// One row for each combination of values: `GROUP BY`. What is selected is one of these values, or an aggregate.
    pub fn group_by<S: Selectable<T>>(mut self, values: impl FnOnce(T::Fields<T>) -> S) -> Self {
        self.query.group_by.extend(terms_of(values(fields::<T>())));
        self
    }

    /// Keeps the groups that fulfil a condition: `HAVING`. Several have to hold together.
    pub fn having<C: IntoCondition<T>>(mut self, condition: impl FnOnce(T::Fields<T>) -> C) -> Self {
        self.query.having.push(condition(fields::<T>()).into_condition().expression);
        self
    }

    /// Orders the rows: one term or a tuple, over to-one relations, too. Without it the order is the server's.
    pub fn order_by<R: IntoOrder<T>>(mut self, order: impl FnOnce(T::Fields<T>) -> R) -> Self {
        order(fields::<T>()).push_terms(&mut self.query.selection.order);
        self
    }

    /// Orders the rows by columns of the result: `order_by_result(|(name, total)| total.desc())`. They stand for themselves,
    /// and are no part of other expressions. This is how the rows of a [`union`](Self::union) are ordered.
    pub fn order_by_result<R: IntoOrder<T>>(mut self, order: impl FnOnce(O::Columns<T>) -> R) -> Self
    where
        O: OutputRow,
    {
        order(O::columns(OWN)).push_terms(&mut self.query.selection.order);
        self
    }

    /// At most this many rows; of entities, so many of them, however many rows are joined to each (rule E3). A query of entities that
    /// joins a to-many relation, or a table or query, cannot have both a limit and a [lock](Self::lock).
    pub const fn limit(mut self, rows: u64) -> Self {
        self.query.selection.limit = Some(rows);
        self
    }

    /// Without the first rows; of entities, without the first of them.
    pub const fn offset(mut self, rows: u64) -> Self {
        self.query.selection.offset = Some(rows);
        self
    }

    /// Each result once: `SELECT DISTINCT`. Then the server orders only by what is selected.
    pub fn distinct(mut self) -> Self {
        self.query.distinct = Distinct::Once;
        self
    }

    /// The first of the rows that have the same values: `SELECT DISTINCT ON (…)`. The order has to begin with these values.
    pub fn distinct_on<S: Selectable<T>>(mut self, values: impl FnOnce(T::Fields<T>) -> S) -> Self {
        self.query.distinct = Distinct::On(terms_of(values(fields::<T>())));
        self
    }

    /// Keeps the result for this long: as [`Find::cache`](crate::Find::cache), also of [`count`](Self::count) and
    /// [`exists`](Self::exists).
    pub const fn cache(mut self, time: Duration) -> Self {
        self.options.cache = Some(time);
        self
    }

    /// Locks the rows of the entity that are read, until the transaction ends: see [`LockMode`] and
    /// [`Find::lock`](crate::Find::lock). A query that is locked is not [updated](Self::update) or [deleted](Self::delete): that
    /// is an error before anything is sent.
    pub const fn lock(mut self, mode: LockMode) -> Self {
        match mode.kind() {
            LockKind::Rows(lock) => self.query.selection.lock = Some(lock),
            LockKind::Version(_) => {
                self.refused = Some(
                    "an optimistic lock compares entities that a find loads: use find(), or filter by the version",
                );
            }
        }
        self
    }
}
