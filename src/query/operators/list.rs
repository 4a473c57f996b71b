//! One of several values.

use super::super::column::Column;
use super::super::condition::Condition;
use super::super::expr::Expr;
use super::super::subquery::Subquery;
use crate::entity::Entity;
use crate::metadata::ColumnType;
use crate::sql::{Bound, Operator, Term};
use crate::types::{ArrayElement, Operand, ScalarType};

/// Several values of type `V`: anything that can be iterated, an array column, or a [`Subquery`].
#[diagnostic::on_unimplemented(
    message = "a column of type `{V}` cannot be one of `{Self}`",
    label = "expected a list of `{V}`, an array column of `{R}`, or a Subquery"
)]
pub trait IntoList<R: Entity, V> {
    #[doc(hidden)]
    #[allow(private_interfaces, reason = "only this crate calls it")]
    fn into_list(self) -> Term;
}

impl<R: Entity, V: ArrayElement, I> IntoList<R, V> for I
where
    I: IntoIterator,
    I::Item: Operand<V>,
{
    #[allow(private_interfaces, reason = "only this crate calls it")]
    fn into_list(self) -> Term {
        let values: Vec<V> = self.into_iter().map(Operand::into_operand).collect();
        Term::Bound(Bound::one(&values))
    }
}

impl<R: Entity, V: ArrayElement, W: ColumnType<Operand = Vec<V>>> IntoList<R, V> for Expr<R, W> {
    #[allow(private_interfaces, reason = "only this crate calls it")]
    fn into_list(self) -> Term {
        self.term
    }
}

impl<R: Entity, V: ArrayElement, W: ColumnType<Operand = Vec<V>>> IntoList<R, V> for Column<R, W> {
    #[allow(private_interfaces, reason = "only this crate calls it")]
    fn into_list(self) -> Term {
        self.into_expr().term
    }
}

impl<R: Entity, V: ScalarType, W: ColumnType<Operand = V>> IntoList<R, V> for Subquery<W> {
    #[allow(private_interfaces, reason = "only this crate calls it")]
    fn into_list(self) -> Term {
        self.into_term()
    }
}

/// Lists: every type that can be the element of an array, and sub-queries of any type.
impl<R: Entity, V: ColumnType> Expr<R, V> {
    /// One of the values: of a list, an array column, or a [`Subquery`]. An empty list selects nothing.
    pub fn is_in(&self, values: impl IntoList<R, V::Operand>) -> Condition<R> {
        self.compare(Operator::In, values.into_list())
    }

    /// None of the values. An empty list selects every row, NULL included. NULLs that a [`Subquery`] selects are passed
    /// over: with them, SQL's `NOT IN` would select nothing.
    pub fn not_in(&self, values: impl IntoList<R, V::Operand>) -> Condition<R> {
        self.compare(Operator::NotIn, values.into_list())
    }
}
