//! Arrays: what they have in common with others, and their elements.

use super::super::column::Column;
use super::super::condition::Condition;
use super::super::expr::{Expr, IntoExpr};
use crate::entity::Entity;
use crate::metadata::ColumnType;
use crate::sql::{Bound, Expression, Operator, Term};
use crate::types::{ArrayElement, ArrayType, Operand};

/// An array to compare an array of type `V` with: anything that can be iterated, or an array column or expression.
#[diagnostic::on_unimplemented(
    message = "a column of type `{V}` cannot be compared with the elements of `{Self}`",
    label = "this needs an array column (Vec<T>), and a list of its elements or an array column of `{R}`"
)]
pub trait IntoArray<R: Entity, V> {
    #[doc(hidden)]
    #[allow(private_interfaces, reason = "only this crate calls it")]
    fn into_array(self) -> Term;
}

impl<R: Entity, T: ArrayElement, I> IntoArray<R, Vec<T>> for I
where
    I: IntoIterator,
    I::Item: Operand<T>,
{
    #[allow(private_interfaces, reason = "only this crate calls it")]
    fn into_array(self) -> Term {
        let elements: Vec<T> = self.into_iter().map(Operand::into_operand).collect();
        Term::Bound(Bound::one(&elements))
    }
}

impl<R: Entity, T: ArrayElement, W: ColumnType<Operand = Vec<T>>> IntoArray<R, Vec<T>> for Expr<R, W> {
    #[allow(private_interfaces, reason = "only this crate calls it")]
    fn into_array(self) -> Term {
        self.term
    }
}

impl<R: Entity, T: ArrayElement, W: ColumnType<Operand = Vec<T>>> IntoArray<R, Vec<T>> for Column<R, W> {
    #[allow(private_interfaces, reason = "only this crate calls it")]
    fn into_array(self) -> Term {
        self.into_expr().term
    }
}

/// Arrays. Order and repetition of elements do not count, only which there are.
impl<R: Entity, V: ColumnType> Expr<R, V> {
    /// `<@`: every element is one of these.
    pub fn contained_by(&self, elements: impl IntoArray<R, V::Operand>) -> Condition<R> {
        self.compare(Operator::ContainedBy, elements.into_array())
    }

    /// `&&`: some element is one of these. With an empty list, nothing.
    pub fn overlaps(&self, elements: impl IntoArray<R, V::Operand>) -> Condition<R> {
        self.compare(Operator::Overlaps, elements.into_array())
    }

    /// The same as [`overlaps`](Self::overlaps).
    pub fn has_any(&self, elements: impl IntoArray<R, V::Operand>) -> Condition<R> {
        self.overlaps(elements)
    }

    /// `@>`: all of these are elements. With an empty list, everything but NULL.
    pub fn has_all(&self, elements: impl IntoArray<R, V::Operand>) -> Condition<R> {
        self.compare(Operator::Contains, elements.into_array())
    }

    /// `= ANY(…)`: some element equals this value, column or expression.
    pub fn has(&self, element: impl IntoExpr<R, <V::Operand as ArrayType>::Element>) -> Condition<R>
    where
        V::Operand: ArrayType,
    {
        let (left, right) = (element.into_expr().term, self.term.clone());
        Condition::new(Expression::Compare { left, operator: Operator::In, right })
    }
}
