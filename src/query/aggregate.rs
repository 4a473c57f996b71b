//! Aggregate functions: over the rows of each group, or, behind a to-many relation, over the related rows of each row.

use std::fmt;
use std::ops::Deref;

use super::condition::IntoCondition;
use super::expr::{Expr, IntoExpr};
use super::order::IntoOrder;
use super::selectable::Selectable;
use super::window::{WindowSpec, over};
use crate::entity::Entity;
use crate::metadata::ColumnType;
use crate::sql::{Aggregate, Expression, Term};
use crate::types::{ArrayElement, MinMaxType, ScalarType, TextType};

/// An aggregate of type `V`. It is an expression, too, with the operators of [`Expr`]; where one has to be given away, it is
/// made one by [`into_expr`](Self::into_expr).
pub struct Aggregated<R: Entity, V> {
    expr: Expr<R, V>,
}

impl<R: Entity, V> Aggregated<R, V> {
    fn new(aggregate: Aggregate) -> Self {
        Self { expr: Expr::new(Term::Aggregate(Box::new(aggregate))) }
    }

    /// The aggregate as an expression.
    pub fn into_expr(self) -> Expr<R, V> {
        self.expr
    }

    fn change(mut self, change: impl FnOnce(&mut Aggregate)) -> Self {
        if let Term::Aggregate(aggregate) = &mut self.expr.term {
            change(aggregate);
        }
        self
    }

    /// Each value once: `sum(DISTINCT …)`.
    #[must_use]
    pub fn distinct(self) -> Self {
        self.change(|aggregate| aggregate.distinct = true)
    }

    /// Only of the rows that fulfil a condition: `FILTER (WHERE …)`.
    #[must_use]
    pub fn filter(self, condition: impl IntoCondition<R>) -> Self {
        self.change(|aggregate| {
            let all =
                [aggregate.filter.take(), Some(condition.into_condition().expression)].into_iter().flatten().collect();
            aggregate.filter = Some(Expression::All(all));
        })
    }

    /// In which order the values are aggregated, for [`array_agg`](Expr::array_agg) and [`string_agg`](Expr::string_agg).
    #[must_use]
    pub fn order_by(self, order: impl IntoOrder<R>) -> Self {
        self.change(|aggregate| order.push_terms(&mut aggregate.order))
    }

    /// Over a window of rows, for each row: `sum(…) OVER (PARTITION BY … ORDER BY …)`.
    pub fn over(self, window: impl FnOnce(WindowSpec<R>) -> WindowSpec<R>) -> Expr<R, V> {
        over(self.expr.term, window)
    }
}

impl<R: Entity, V> Deref for Aggregated<R, V> {
    type Target = Expr<R, V>;

    fn deref(&self) -> &Expr<R, V> {
        &self.expr
    }
}

impl<R: Entity, V> Clone for Aggregated<R, V> {
    fn clone(&self) -> Self {
        Self { expr: self.expr.clone() }
    }
}

impl<R: Entity, V> fmt::Debug for Aggregated<R, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.expr.fmt(f)
    }
}

impl<R: Entity, V> From<Aggregated<R, V>> for Expr<R, V> {
    fn from(aggregated: Aggregated<R, V>) -> Self {
        aggregated.expr
    }
}

impl<R: Entity, V: ScalarType, W: ColumnType<Operand = V>> IntoExpr<R, V> for Aggregated<R, W> {
    type Type = W;

    fn into_expr(self) -> Expr<R, W> {
        self.expr
    }
}

/// A number that can be summed up.
#[diagnostic::on_unimplemented(message = "`{Self}` values cannot be summed up", label = "not a number")]
pub trait Summable: ScalarType {
    /// What the sum is read as: integers of any width add up to an `i64`.
    type Sum: ScalarType;
}

impl Summable for i16 {
    type Sum = i64;
}
impl Summable for i32 {
    type Sum = i64;
}
impl Summable for i64 {
    type Sum = Self;
}
impl Summable for f32 {
    type Sum = Self;
}
impl Summable for f64 {
    type Sum = Self;
}

/// How many rows there are: `count(*)`.
pub fn count<R: Entity>() -> Aggregated<R, i64> {
    Aggregated::new(Aggregate::new("count", Vec::new()))
}

/// How many different values, or combinations of values, there are: `count(DISTINCT …)`. What is NULL does not count.
pub fn count_distinct<R: Entity>(values: impl Selectable<R>) -> Aggregated<R, i64> {
    let terms = super::selectable::terms_of(values);
    let arguments = if terms.len() > 1 { vec![Term::Row(terms)] } else { terms };
    let mut aggregate = Aggregate::new("count", arguments);
    aggregate.distinct = true;
    Aggregated::new(aggregate)
}

/// Aggregates. Of no rows, all but the counts are NULL.
impl<R: Entity, V: ColumnType> Expr<R, V> {
    fn aggregate<A>(&self, function: &'static str) -> Aggregated<R, A> {
        Aggregated::new(Aggregate::new(function, vec![self.term.clone()]))
    }

    /// How many values are not NULL: `count(…)`.
    pub fn count(&self) -> Aggregated<R, i64> {
        self.aggregate("count")
    }

    /// How many different values there are, without NULL: `count(DISTINCT …)`.
    pub fn count_distinct(&self) -> Aggregated<R, i64> {
        self.aggregate("count").distinct()
    }

    /// The sum. Of integers it is an `i64`; what that cannot hold is an error of the server.
    pub fn sum(&self) -> Aggregated<R, Option<<V::Operand as Summable>::Sum>>
    where
        V::Operand: Summable,
    {
        self.aggregate("sum")
    }

    /// The mean.
    pub fn avg(&self) -> Aggregated<R, Option<f64>>
    where
        V::Operand: Summable,
    {
        self.aggregate("avg")
    }

    /// The smallest value: of numbers, text, times, enums that have an order, and arrays.
    pub fn min(&self) -> Aggregated<R, Option<V::Operand>>
    where
        V::Operand: MinMaxType,
    {
        self.aggregate("min")
    }

    /// The greatest value, of the same types.
    pub fn max(&self) -> Aggregated<R, Option<V::Operand>>
    where
        V::Operand: MinMaxType,
    {
        self.aggregate("max")
    }

    /// All values, NULL left out, in the order of [`Aggregated::order_by`].
    pub fn array_agg(&self) -> Aggregated<R, Option<Vec<V::Operand>>>
    where
        V::Operand: ArrayElement,
    {
        let all = self.aggregate("array_agg");
        // A Vec holds no NULL; a column that has none may be behind a relation that is missing.
        let there = Expression::Null { term: self.term.clone(), is_null: false };
        all.change(|aggregate| aggregate.filter = Some(there))
    }

    /// All texts with a separator between them, NULL left out, in the order of [`Aggregated::order_by`].
    pub fn string_agg(&self, separator: impl IntoExpr<R, String>) -> Aggregated<R, Option<String>>
    where
        V::Operand: TextType,
    {
        let text = self.term.clone().cast("text");
        Aggregated::new(Aggregate::new("string_agg", vec![text, separator.into_expr().term]))
    }
}
