//! Several columns at once, as those of a composite key: `(l.order(), l.line()).eq((1, 2))`.

use super::super::column::Column;
use super::super::condition::Condition;
use super::super::expr::{Expr, IntoExpr};
use super::super::subquery::Subquery;
use crate::entity::Entity;
use crate::metadata::ColumnType;
use crate::sql::{Bound, Expression, Operator, Term};
use crate::types::{ArrayElement, Operand, OrderedType, ScalarType};

/// A column or an expression.
pub trait TypedExpr<R: Entity> {
    /// Its type, an `Option` if it may be NULL.
    type Type: ColumnType;

    /// The expression.
    fn to_expr(&self) -> Expr<R, Self::Type>;
}

impl<R: Entity, V: ColumnType> TypedExpr<R> for Expr<R, V> {
    type Type = V;

    fn to_expr(&self) -> Self {
        self.clone()
    }
}

impl<R: Entity, V: ColumnType> TypedExpr<R> for Column<R, V> {
    type Type = V;

    fn to_expr(&self) -> Expr<R, V> {
        self.clone().into_expr()
    }
}

impl<R: Entity, E: TypedExpr<R>> TypedExpr<R> for &E {
    type Type = E::Type;

    fn to_expr(&self) -> Expr<R, E::Type> {
        (**self).to_expr()
    }
}

type OperandOf<R, E> = <<E as TypedExpr<R>>::Type as ColumnType>::Operand;

/// What tuples of columns can be compared with: a tuple of values, columns or expressions.
#[diagnostic::on_unimplemented(
    message = "columns of the types `{V}` cannot be compared with `{Self}`",
    label = "expected a tuple of as many values"
)]
pub trait TupleOperand<R: Entity, V> {
    #[doc(hidden)]
    #[allow(private_interfaces, reason = "only this crate calls it")]
    fn into_terms(self) -> Vec<Term>;
}

/// Several tuples: anything that iterates over tuples of values, or a [`Subquery`] of a tuple.
#[diagnostic::on_unimplemented(
    message = "columns of the types `{V}` cannot be one of `{Self}`",
    label = "expected a list of tuples of values, or a Subquery that selects such a tuple"
)]
pub trait TupleList<V> {
    #[doc(hidden)]
    #[allow(private_interfaces, reason = "only this crate calls it")]
    fn into_rows(self) -> Term;
}

/// A tuple of values.
pub trait TupleValue<V> {
    #[doc(hidden)]
    fn into_values(self) -> V;
}

/// The operators of tuples of two to six columns. All columns together are compared with all values, as SQL compares rows:
/// the first that differs decides the order.
pub trait TupleOperators<R: Entity>: Sized {
    /// The types of the values.
    type Values;

    #[doc(hidden)]
    #[allow(private_interfaces, reason = "only this crate calls it")]
    fn terms(&self) -> Vec<Term>;

    /// All equal.
    #[allow(clippy::should_implement_trait, reason = "it makes a condition, as the operator of a column does")]
    fn eq(self, values: impl TupleOperand<R, Self::Values>) -> Condition<R> {
        compare(self.terms(), Operator::Equal, Term::Row(values.into_terms()))
    }

    /// Not all equal.
    #[allow(clippy::should_implement_trait, reason = "it makes a condition, as the operator of a column does")]
    fn ne(self, values: impl TupleOperand<R, Self::Values>) -> Condition<R> {
        compare(self.terms(), Operator::NotEqual, Term::Row(values.into_terms()))
    }

    /// Greater: what comes behind the values in the order of these columns.
    fn gt(self, values: impl TupleOperand<R, Self::Values>) -> Condition<R>
    where
        Self::Values: OrderedTuple,
    {
        compare(self.terms(), Operator::Greater, Term::Row(values.into_terms()))
    }

    /// Greater or equal.
    fn gte(self, values: impl TupleOperand<R, Self::Values>) -> Condition<R>
    where
        Self::Values: OrderedTuple,
    {
        compare(self.terms(), Operator::GreaterOrEqual, Term::Row(values.into_terms()))
    }

    /// Less.
    fn lt(self, values: impl TupleOperand<R, Self::Values>) -> Condition<R>
    where
        Self::Values: OrderedTuple,
    {
        compare(self.terms(), Operator::Less, Term::Row(values.into_terms()))
    }

    /// Less or equal.
    fn lte(self, values: impl TupleOperand<R, Self::Values>) -> Condition<R>
    where
        Self::Values: OrderedTuple,
    {
        compare(self.terms(), Operator::LessOrEqual, Term::Row(values.into_terms()))
    }

    /// One of these tuples. An empty list selects nothing.
    #[allow(clippy::wrong_self_convention, reason = "as the operator of a column is called")]
    fn is_in(self, tuples: impl TupleList<Self::Values>) -> Condition<R> {
        compare(self.terms(), Operator::In, tuples.into_rows())
    }

    /// None of these tuples. An empty list selects every row.
    fn not_in(self, tuples: impl TupleList<Self::Values>) -> Condition<R> {
        compare(self.terms(), Operator::NotIn, tuples.into_rows())
    }
}

fn compare<R: Entity>(left: Vec<Term>, operator: Operator, right: Term) -> Condition<R> {
    Condition::new(Expression::Compare { left: Term::Row(left), operator, right })
}

/// Values that all have an order.
#[diagnostic::on_unimplemented(
    message = "not all of `{Self}` have an order in PostgreSQL",
    label = "cannot be compared with <, >"
)]
pub trait OrderedTuple {}

macro_rules! tuple {
    ($($expr:ident, $value:ident, $operand:ident;)*) => {
        impl<R: Entity, $($expr: TypedExpr<R>),*> TupleOperators<R> for ($($expr,)*) {
            type Values = ($(OperandOf<R, $expr>,)*);

            #[allow(non_snake_case, reason = "the type parameters name the tuple's fields")]
            #[allow(private_interfaces, reason = "only this crate calls it")]
            fn terms(&self) -> Vec<Term> {
                let ($($expr,)*) = self;
                vec![$($expr.to_expr().term),*]
            }
        }

        impl<R: Entity, $($value: ScalarType, $operand: IntoExpr<R, $value>),*> TupleOperand<R, ($($value,)*)>
            for ($($operand,)*)
        {
            #[allow(non_snake_case, reason = "the type parameters name the tuple's fields")]
            #[allow(private_interfaces, reason = "only this crate calls it")]
            fn into_terms(self) -> Vec<Term> {
                let ($($operand,)*) = self;
                vec![$($operand.into_expr().term),*]
            }
        }

        impl<$($value: OrderedType),*> OrderedTuple for ($($value,)*) {}

        impl<$($value, $operand: Operand<$value>),*> TupleValue<($($value,)*)> for ($($operand,)*) {
            #[allow(non_snake_case, reason = "the type parameters name the tuple's fields")]
            fn into_values(self) -> ($($value,)*) {
                let ($($operand,)*) = self;
                ($($operand.into_operand(),)*)
            }
        }

        impl<$($value: ArrayElement,)* I> TupleList<($($value,)*)> for I
        where
            I: IntoIterator,
            I::Item: TupleValue<($($value,)*)>,
        {
            #[allow(non_snake_case, reason = "the type parameters name the tuple's fields")]
            #[allow(private_interfaces, reason = "only this crate calls it")]
            fn into_rows(self) -> Term {
                $(let mut $expr = Vec::new();)*
                for row in self {
                    let ($($value,)*) = row.into_values();
                    $($expr.push($value);)*
                }
                Term::Rows(vec![$(Bound::one(&$expr)),*])
            }
        }

        impl<$($value: ScalarType, $operand: ColumnType<Operand = $value>),*> TupleList<($($value,)*)>
            for Subquery<($($operand,)*)>
        {
            #[allow(private_interfaces, reason = "only this crate calls it")]
            fn into_rows(self) -> Term {
                self.into_term()
            }
        }
    };
}

tuple!(A, V, X; B, W, Y;);
tuple!(A, V, X; B, W, Y; C, U, Z;);
tuple!(A, V, X; B, W, Y; C, U, Z; D, T, S;);
tuple!(A, V, X; B, W, Y; C, U, Z; D, T, S; E, Q, P;);
tuple!(A, V, X; B, W, Y; C, U, Z; D, T, S; E, Q, P; F, O, N;);
