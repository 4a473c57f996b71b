//! SQL functions. Those of one value are methods of [`Expr`](crate::Expr): `u.username().lower()`; here are those of none or
//! several.

use chrono::{DateTime, NaiveDate, Utc};

use super::condition::{Condition, IntoCondition};
use super::expr::{Expr, IntoExpr};
use super::subquery::{ExistsOperand, Subquery};
use crate::entity::Entity;
use crate::metadata::ColumnType;
use crate::sql::Term;
use crate::types::ScalarType;

mod choice;
mod number;
mod text;
mod time;

pub use super::aggregate::{count, count_distinct};
pub use super::raw::{IntoRawArgument, Raw, RawArguments, raw};
pub use super::window::{cume_dist, dense_rank, ntile, percent_rank, rank, row_number};
pub use choice::Case;
pub use text::Texts;
pub use time::DatePart;

/// When the transaction began: `now()`.
pub fn now<R: Entity>() -> Expr<R, DateTime<Utc>> {
    Expr::new(Term::call("now", Vec::new()))
}

/// The day, in UTC, when the transaction began.
pub fn today<R: Entity>() -> Expr<R, NaiveDate> {
    Expr::new(Term::template(&["(now() AT TIME ZONE 'UTC')::date"], []))
}

/// A number from 0 up to 1, another one for each row: `random()`.
pub fn random<R: Entity>() -> Expr<R, f64> {
    Expr::new(Term::call("random", Vec::new()))
}

/// A value as an expression, bound.
pub fn value<R: Entity, V: ScalarType>(value: V) -> Expr<R, V> {
    value.into_expr()
}

/// The sub-query has rows: `EXISTS (SELECT …)`.
pub fn exists<R: Entity>(subquery: impl ExistsOperand) -> Condition<R> {
    Condition::new(subquery.into_exists())
}

/// The sub-query has no rows: `NOT EXISTS (SELECT …)`.
pub fn not_exists<R: Entity>(subquery: impl ExistsOperand) -> Condition<R> {
    exists(subquery).not()
}

/// The texts one behind the other, NULL as nothing: `concat(…)`.
pub fn concat<R: Entity>(texts: impl Texts<R>) -> Expr<R, String> {
    Expr::new(Term::call("concat", texts.into_terms()))
}

/// The texts that are not NULL, with a text between them: `concat_ws(…)`.
pub fn concat_with<R: Entity>(separator: impl IntoExpr<R, String>, texts: impl Texts<R>) -> Expr<R, String> {
    let mut terms = vec![separator.into_expr().term];
    terms.extend(texts.into_terms());
    // A separator that is NULL makes everything NULL.
    Expr::new(Term::uniform("coalesce", vec![Term::call("concat_ws", terms), Term::template(&["''"], [])]))
}

/// A value that depends on conditions: `case(u.age().gte(18), "adult").otherwise("child")`.
pub fn case<R: Entity, V: ScalarType>(condition: impl IntoCondition<R>, value: impl IntoExpr<R, V>) -> Case<R, V> {
    Case::new().when(condition, value)
}

/// The value of a sub-query, NULL if it selects no row. It is an error of the server if it selects several.
pub fn scalar<R: Entity, V: ColumnType>(subquery: Subquery<V>) -> Expr<R, Option<V::Operand>> {
    Expr::new(subquery.into_term())
}
