//! The operators of expressions that make conditions. What a type must be able to do is asked at the method, so that the
//! compiler says what is wrong with the type and not that there is no such method.

use super::condition::Condition;
use super::expr::{Expr, IntoExpr};
use crate::entity::Entity;
use crate::metadata::ColumnType;
use crate::sql::{Bound, Expression, Operator, Term};
use crate::types::{ArrayElement, Operand, OrderedType, TextType};

/// Equality and NULL: every type.
impl<R: Entity, V: ColumnType> Expr<R, V> {
    fn compare(&self, operator: Operator, right: Term) -> Condition<R> {
        Condition::new(Expression::Compare { left: self.term.clone(), operator, right })
    }

    fn null(&self, is_null: bool) -> Condition<R> {
        Condition::new(Expression::Null { term: self.term.clone(), is_null })
    }

    /// Equal. JSON is compared by value.
    pub fn eq(&self, value: impl IntoExpr<R, V::Operand>) -> Condition<R> {
        self.compare(Operator::Equal, value.into_expr().term)
    }

    /// Not equal. A NULL column is neither equal nor not equal.
    pub fn ne(&self, value: impl IntoExpr<R, V::Operand>) -> Condition<R> {
        self.compare(Operator::NotEqual, value.into_expr().term)
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

/// Order: `<`, `>`, `BETWEEN`.
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

/// Lists.
impl<R: Entity, V: ColumnType> Expr<R, V> {
    /// One of the values. None of them selects nothing.
    pub fn is_in(&self, values: impl IntoIterator<Item = impl Operand<V::Operand>>) -> Condition<R>
    where
        V::Operand: ArrayElement,
    {
        let values: Vec<V::Operand> = values.into_iter().map(Operand::into_operand).collect();
        self.compare(Operator::In, Term::Bound(Bound::one(&values)))
    }

    /// None of the values. An empty list selects every row, NULL included.
    pub fn not_in(&self, values: impl IntoIterator<Item = impl Operand<V::Operand>>) -> Condition<R>
    where
        V::Operand: ArrayElement,
    {
        let values: Vec<V::Operand> = values.into_iter().map(Operand::into_operand).collect();
        self.compare(Operator::NotIn, Term::Bound(Bound::one(&values)))
    }
}

/// Patterns of text.
impl<R: Entity, V: ColumnType> Expr<R, V>
where
    V::Operand: TextType,
{
    /// `LIKE`: `%` stands for any characters, `_` for one, `\` escapes.
    pub fn like(&self, pattern: impl IntoExpr<R, String>) -> Condition<R> {
        self.compare(Operator::Like, pattern.into_expr().term)
    }

    /// `ILIKE`: as `like`, without regard to case.
    pub fn ilike(&self, pattern: impl IntoExpr<R, String>) -> Condition<R> {
        self.compare(Operator::Ilike, pattern.into_expr().term)
    }
}
