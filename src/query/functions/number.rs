//! Functions of numbers, and arithmetic.

use std::ops::{Add, Div, Mul, Neg, Rem, Sub};

use super::super::column::Column;
use super::super::expr::{Expr, IntoExpr};
use crate::entity::Entity;
use crate::metadata::ColumnType;
use crate::sql::{Bound, Term};
use crate::types::{NumericType, ScalarType};

/// Functions of numbers. A result that the type cannot hold is an error of the server, and so is a division by zero.
impl<R: Entity, V: ColumnType> Expr<R, V>
where
    V::Operand: NumericType,
{
    fn number(&self, function: &'static str) -> Expr<R, V> {
        // Of integers some of these functions make floats.
        Expr::new(Term::call(function, vec![self.term.clone()]).cast(V::Operand::TYPE.name))
    }

    /// Without its sign.
    pub fn abs(&self) -> Expr<R, V> {
        self.number("abs")
    }

    /// The nearest whole number; a half goes to the even one, as PostgreSQL rounds floats.
    pub fn round(&self) -> Expr<R, V> {
        self.number("round")
    }

    /// With so many digits behind the point, a half away from zero.
    pub fn round_to(&self, digits: i32) -> Expr<R, V> {
        let arguments = vec![self.term.clone().cast("numeric"), Term::Bound(Bound::one(&digits))];
        Expr::new(Term::call("round", arguments).cast(V::Operand::TYPE.name))
    }

    /// The next whole number that is not smaller.
    pub fn ceil(&self) -> Expr<R, V> {
        self.number("ceil")
    }

    /// The next whole number that is not greater.
    pub fn floor(&self) -> Expr<R, V> {
        self.number("floor")
    }

    /// -1, 0 or 1.
    pub fn sign(&self) -> Expr<R, V> {
        self.number("sign")
    }

    /// The square root. That of a negative number is an error of the server.
    pub fn sqrt(&self) -> Expr<R, V::With<f64>> {
        Expr::new(Term::call("sqrt", vec![self.term.clone().cast("float8")]))
    }

    /// To the power of a number.
    pub fn power<O: IntoExpr<R, f64>>(&self, exponent: O) -> Expr<R, V::WithBoth<O::Type, f64>> {
        Expr::new(Term::call("power", vec![self.term.clone().cast("float8"), exponent.into_expr().term]))
    }
}

macro_rules! arithmetic {
    ($($name:ident, $method:ident, $operator:literal;)*) => {$(
        impl<R: Entity, V: ColumnType, O> $name<O> for Expr<R, V>
        where
            V::Operand: NumericType,
            O: IntoExpr<R, V::Operand>,
        {
            type Output = Expr<R, V::WithBoth<O::Type, V::Operand>>;

            fn $method(self, other: O) -> Self::Output {
                // Between small integers PostgreSQL makes wider ones.
                let term = Term::infix(self.term, $operator, other.into_expr().term);
                Expr::new(term.cast(<V::Operand as ScalarType>::TYPE.name))
            }
        }

        impl<R: Entity, V: ColumnType, O> $name<O> for Column<R, V>
        where
            V::Operand: NumericType,
            O: IntoExpr<R, V::Operand>,
        {
            type Output = Expr<R, V::WithBoth<O::Type, V::Operand>>;

            fn $method(self, other: O) -> Self::Output {
                self.into_expr().$method(other)
            }
        }
    )*};
}

arithmetic! {
    Add, add, "+";
    Sub, sub, "-";
    Mul, mul, "*";
    Div, div, "/";
}

/// What is left of a division of integers.
impl<R: Entity, V: ColumnType, O> Rem<O> for Expr<R, V>
where
    V::Operand: NumericType,
    O: IntoExpr<R, V::Operand>,
{
    type Output = Expr<R, V::WithBoth<O::Type, V::Operand>>;

    fn rem(self, other: O) -> Self::Output {
        // `%` is not defined for floats.
        let (left, right) = (self.term.cast("numeric"), other.into_expr().term.cast("numeric"));
        Expr::new(Term::infix(left, "%", right).cast(<V::Operand as ScalarType>::TYPE.name))
    }
}

impl<R: Entity, V: ColumnType, O> Rem<O> for Column<R, V>
where
    V::Operand: NumericType,
    O: IntoExpr<R, V::Operand>,
{
    type Output = Expr<R, V::WithBoth<O::Type, V::Operand>>;

    fn rem(self, other: O) -> Self::Output {
        self.into_expr() % other
    }
}

impl<R: Entity, V: ColumnType> Neg for Expr<R, V>
where
    V::Operand: NumericType,
{
    type Output = Self;

    fn neg(self) -> Self {
        Self::new(Term::template(&["(-", ")"], [self.term]))
    }
}

impl<R: Entity, V: ColumnType> Neg for Column<R, V>
where
    V::Operand: NumericType,
{
    type Output = Expr<R, V>;

    fn neg(self) -> Expr<R, V> {
        -self.into_expr()
    }
}
