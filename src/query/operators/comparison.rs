//! Equality, NULL and order.

use super::super::condition::Condition;
use super::super::expr::{Expr, IntoExpr};
use crate::entity::Entity;
use crate::metadata::ColumnType;
use crate::sql::{Bound, Expression, Operator, Term};
use crate::types::OrderedType;

impl<R: Entity, V> Expr<R, V> {
    pub(in crate::query) fn compare(&self, operator: Operator, right: Term) -> Condition<R> {
        Condition::new(Expression::Compare { left: self.term.clone(), operator, right })
    }

    fn null(&self, is_null: bool) -> Condition<R> {
        Condition::new(Expression::Null { term: self.term.clone(), is_null })
    }
}

/// Equality and NULL: every type.
impl<R: Entity, V: ColumnType> Expr<R, V> {
    /// Equal. JSON is compared by value. `None` asks for NULL.
    pub fn eq(&self, value: impl IntoExpr<R, V::Operand>) -> Condition<R> {
        match value.into_expr().term {
            Term::Bound(Bound { value: Ok(None), .. }) => self.null(true),
            term => self.compare(Operator::Equal, term),
        }
    }

    /// Not equal. A NULL column is neither equal nor not equal to a value. `None` asks for what is not NULL.
    pub fn ne(&self, value: impl IntoExpr<R, V::Operand>) -> Condition<R> {
        match value.into_expr().term {
            Term::Bound(Bound { value: Ok(None), .. }) => self.null(false),
            term => self.compare(Operator::NotEqual, term),
        }
    }

    /// `IS DISTINCT FROM`: not equal, and NULL is a value like any other. Always true or false.
    pub fn is_distinct_from(&self, value: impl IntoExpr<R, V::Operand>) -> Condition<R> {
        self.compare(Operator::DistinctFrom, value.into_expr().term)
    }

    /// `IS NOT DISTINCT FROM`: equal, or both NULL. Always true or false.
    pub fn is_not_distinct_from(&self, value: impl IntoExpr<R, V::Operand>) -> Condition<R> {
        self.compare(Operator::NotDistinctFrom, value.into_expr().term)
    }

    /// `IS NULL`. A column of an entity that a missing to-one relation leads to counts as NULL.
    pub fn is_null(&self) -> Condition<R> {
        self.null(true)
    }

    /// `IS NOT NULL`.
    pub fn is_not_null(&self) -> Condition<R> {
        self.null(false)
    }
}

/// Order: every type that has one. NaN equals itself and is greater than every number; `infinity` is later than every time.
impl<R: Entity, V: ColumnType> Expr<R, V> {
    /// Greater.
    pub fn gt(&self, value: impl IntoExpr<R, V::Operand>) -> Condition<R>
    where
        V::Operand: OrderedType,
    {
        self.compare(Operator::Greater, value.into_expr().term)
    }

    /// Greater or equal.
    pub fn gte(&self, value: impl IntoExpr<R, V::Operand>) -> Condition<R>
    where
        V::Operand: OrderedType,
    {
        self.compare(Operator::GreaterOrEqual, value.into_expr().term)
    }

    /// Less.
    pub fn lt(&self, value: impl IntoExpr<R, V::Operand>) -> Condition<R>
    where
        V::Operand: OrderedType,
    {
        self.compare(Operator::Less, value.into_expr().term)
    }

    /// Less or equal.
    pub fn lte(&self, value: impl IntoExpr<R, V::Operand>) -> Condition<R>
    where
        V::Operand: OrderedType,
    {
        self.compare(Operator::LessOrEqual, value.into_expr().term)
    }

    /// Between two values, both included.
    pub fn between(&self, low: impl IntoExpr<R, V::Operand>, high: impl IntoExpr<R, V::Operand>) -> Condition<R>
    where
        V::Operand: OrderedType,
    {
        let (low, high) = (low.into_expr().term, high.into_expr().term);
        Condition::new(Expression::Between { term: self.term.clone(), low, high })
    }
}
