//! NULL, and choices between values.

use super::super::condition::IntoCondition;
use super::super::expr::{Expr, IntoExpr};
use crate::entity::Entity;
use crate::metadata::ColumnType;
use crate::sql::{Bound, Expression, Term};
use crate::types::{ArrayElement, Operand, OrderedType, ScalarType};

impl<R: Entity, V: ColumnType> Expr<R, V> {
    /// The value, or another one where it is NULL: `coalesce(…)`. NULL only if the other can be.
    pub fn coalesce<O: IntoExpr<R, V::Operand>>(&self, other: O) -> Expr<R, O::Type> {
        Expr::new(Term::uniform("coalesce", vec![self.term.clone(), other.into_expr().term]))
    }

    /// NULL where the value equals another one: `nullif(…)`.
    pub fn nullif(&self, other: impl IntoExpr<R, V::Operand>) -> Expr<R, Option<V::Operand>> {
        Expr::new(Term::uniform("nullif", vec![self.term.clone(), other.into_expr().term]))
    }

    /// The greater of two values; NULL counts only if both are: `greatest(…)`.
    pub fn greatest<O>(&self, other: O) -> Expr<R, V::WithBoth<O::Type, V::Operand>>
    where
        O: IntoExpr<R, V::Operand>,
        V::Operand: OrderedType,
    {
        Expr::new(Term::uniform("greatest", vec![self.term.clone(), other.into_expr().term]))
    }

    /// The smaller of two values; NULL counts only if both are: `least(…)`.
    pub fn least<O>(&self, other: O) -> Expr<R, V::WithBoth<O::Type, V::Operand>>
    where
        O: IntoExpr<R, V::Operand>,
        V::Operand: OrderedType,
    {
        Expr::new(Term::uniform("least", vec![self.term.clone(), other.into_expr().term]))
    }

    /// The value as another type: `value::type`. What cannot be converted is an error of the server.
    pub fn cast<T: ScalarType>(&self) -> Expr<R, V::With<T>> {
        Expr::new(self.term.clone().cast(T::TYPE.name))
    }

    /// The same value, of a type that may be NULL: a column that is not NULL itself is NULL where the relation that leads to
    /// it is missing.
    pub fn nullable(&self) -> Expr<R, Option<V::Operand>> {
        Expr::new(self.term.clone())
    }

    /// The same value inside of a sub-query: it is that of the row of the query around it.
    ///
    /// An error ([`Error::Validation`](crate::Error::Validation)) where there is no query around.
    pub fn outer<Inner: Entity>(&self) -> Expr<Inner, V> {
        Expr::new(Term::Outer(Box::new(self.term.clone())))
    }

    /// Where the value stands in a list, from 1; NULL if it is not in it. To order by a list of one's own:
    /// `array_position(…)`.
    pub fn position_in(&self, values: impl IntoIterator<Item = impl Operand<V::Operand>>) -> Expr<R, Option<i32>>
    where
        V::Operand: ArrayElement,
    {
        let values: Vec<V::Operand> = values.into_iter().map(Operand::into_operand).collect();
        Expr::new(Term::uniform("array_position", vec![Term::Bound(Bound::one(&values)), self.term.clone()]))
    }
}

/// A value that depends on conditions, made by [`case`](super::case): the first that is true decides.
#[derive(Debug)]
#[must_use = "call otherwise() or or_null()"]
pub struct Case<R: Entity, V> {
    branches: Vec<(Expression, Term)>,
    types: std::marker::PhantomData<fn() -> (R, V)>,
}

impl<R: Entity, V: ScalarType> Case<R, V> {
    pub(super) const fn new() -> Self {
        Self { branches: Vec::new(), types: std::marker::PhantomData }
    }

    /// The value where a further condition is true.
    pub fn when(mut self, condition: impl IntoCondition<R>, value: impl IntoExpr<R, V>) -> Self {
        self.branches.push((condition.into_condition().expression, value.into_expr().term));
        self
    }

    /// The value where no condition is true.
    pub fn otherwise(self, value: impl IntoExpr<R, V>) -> Expr<R, Option<V>> {
        let otherwise = Some(Box::new(value.into_expr().term));
        Expr::new(Term::Case { branches: self.branches, otherwise })
    }

    /// NULL where no condition is true.
    pub fn or_null(self) -> Expr<R, Option<V>> {
        Expr::new(Term::Case { branches: self.branches, otherwise: None })
    }
}
