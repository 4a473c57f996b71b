//! `contains`: a piece of text, elements of an array, a part of a JSON document.

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, Utc};
use serde_json::Value;
use uuid::Uuid;

use super::super::column::Column;
use super::super::condition::Condition;
use super::super::expr::Expr;
use super::text::escaped;
use crate::entity::Entity;
use crate::metadata::ColumnType;
use crate::sql::{Bound, Expression, Operator, Term};
use crate::types::{ArrayElement, DbEnum, Json, Operand};

/// What a column of type `V` can be asked to contain: text, one or several elements of an array, a part of a JSON document.
#[diagnostic::on_unimplemented(
    message = "a column of type `{V}` cannot contain `{Self}`",
    label = "expected text for a text column, elements for an array, a serde_json::Value for JSON"
)]
pub trait ContainsOperand<R: Entity, V> {
    #[doc(hidden)]
    #[allow(private_interfaces, reason = "only this crate calls it")]
    fn contained_in(self, container: Term) -> Expression;
}

impl<R: Entity, V: ColumnType> Expr<R, V> {
    /// Contains this: a piece of text (nothing in it is a pattern), one element or all of a list (`@>`), a part of a JSON
    /// document (`@>`). An empty list, empty text and an empty document are contained in everything but NULL.
    pub fn contains(&self, value: impl ContainsOperand<R, V::Operand>) -> Condition<R> {
        Condition::new(value.contained_in(self.term.clone()))
    }
}

fn text(container: Term, text: &str) -> Expression {
    let pattern = Term::Bound(Bound::one(&format!("%{}%", escaped(text))));
    Expression::Compare { left: container, operator: Operator::Like, right: pattern }
}

fn array<T: ArrayElement>(container: Term, elements: &Vec<T>) -> Expression {
    Expression::Compare { left: container, operator: Operator::Contains, right: Term::Bound(Bound::one(elements)) }
}

fn json(container: Term, value: &Value) -> Expression {
    // A column of type json is compared as jsonb; of a jsonb column the cast changes nothing.
    let left = container.cast("jsonb");
    Expression::Compare { left, operator: Operator::Contains, right: Term::Bound(Bound::one(value)) }
}

macro_rules! contains {
    ($([$($generic:tt)*] $operand:ty, $container:ty $(where [$($bound:tt)*])?:
        $value:ident, $term:ident => $expression:expr;)*) => {$(
        impl<$($generic)*> ContainsOperand<R, $container> for $operand $(where $($bound)*)? {
            #[allow(private_interfaces, reason = "only this crate calls it")]
            fn contained_in(self, $term: Term) -> Expression {
                let $value = self;
                $expression
            }
        }
    )*};
}

contains! {
    [R: Entity] &str, String: value, term => text(term, value);
    [R: Entity] &String, String: value, term => text(term, value);
    [R: Entity] String, String: value, term => text(term, &value);
    [R: Entity] Value, Value: value, term => json(term, &value);
    [R: Entity] &Value, Value: value, term => json(term, value);
    [R: Entity, T] Value, Json<T>: value, term => json(term, &value);
    [R: Entity, T] &Value, Json<T>: value, term => json(term, value);
    [R: Entity] &str, Vec<String>: value, term => array(term, &vec![value.to_owned()]);
    [R: Entity] &String, Vec<String>: value, term => array(term, &vec![value.clone()]);
    [R: Entity, E: DbEnum] E, Vec<E>: value, term => array(term, &vec![value]);
    [R: Entity, T: ArrayElement, A: Operand<T>, const N: usize] [A; N], Vec<T>: value, term => array(term, &all(value));
    [R: Entity, T: ArrayElement, A: Operand<T>] Vec<A>, Vec<T>: value, term => array(term, &all(value));
    ['a, R: Entity, T: ArrayElement, A, const N: usize] &'a [A; N], Vec<T>
        where [&'a A: Operand<T>]: value, term => array(term, &all(value));
    ['a, R: Entity, T: ArrayElement, A] &'a Vec<A>, Vec<T>
        where [&'a A: Operand<T>]: value, term => array(term, &all(value));
    ['a, R: Entity, T: ArrayElement, A] &'a [A], Vec<T>
        where [&'a A: Operand<T>]: value, term => array(term, &all(value));
}

macro_rules! contains_element {
    ($($element:ty)*) => {$(
        impl<R: Entity> ContainsOperand<R, Vec<$element>> for $element {
            #[allow(private_interfaces, reason = "only this crate calls it")]
            fn contained_in(self, container: Term) -> Expression {
                array(container, &vec![self])
            }
        }
    )*};
}

contains_element! {
    bool i16 i32 i64 f32 f64 String Uuid DateTime<Utc> NaiveDateTime NaiveDate NaiveTime Value
}

fn all<T, A: Operand<T>>(values: impl IntoIterator<Item = A>) -> Vec<T> {
    values.into_iter().map(Operand::into_operand).collect()
}

impl<R: Entity, T: ArrayElement, W: ColumnType<Operand = Vec<T>>> ContainsOperand<R, Vec<T>> for Expr<R, W> {
    #[allow(private_interfaces, reason = "only this crate calls it")]
    fn contained_in(self, container: Term) -> Expression {
        Expression::Compare { left: container, operator: Operator::Contains, right: self.term }
    }
}

impl<R: Entity, T: ArrayElement, W: ColumnType<Operand = Vec<T>>> ContainsOperand<R, Vec<T>> for Column<R, W> {
    #[allow(private_interfaces, reason = "only this crate calls it")]
    fn contained_in(self, container: Term) -> Expression {
        Expression::Compare { left: container, operator: Operator::Contains, right: self.into_expr().term }
    }
}
