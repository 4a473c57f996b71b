//! Functions of text, and of what has a length.

use super::super::condition::Condition;
use super::super::expr::{Expr, IntoExpr};
use crate::entity::Entity;
use crate::metadata::ColumnType;
use crate::sql::{Bound, Operator, Term};
use crate::types::{MeasuredType, TextType};

/// Several texts: a tuple of up to six values, columns and expressions, or a `Vec`.
pub trait Texts<R: Entity> {
    #[doc(hidden)]
    #[allow(private_interfaces, reason = "only this crate calls it")]
    fn into_terms(self) -> Vec<Term>;
}

impl<R: Entity, T: IntoExpr<R, String>> Texts<R> for Vec<T> {
    #[allow(private_interfaces, reason = "only this crate calls it")]
    fn into_terms(self) -> Vec<Term> {
        self.into_iter().map(|text| text.into_expr().term).collect()
    }
}

macro_rules! texts {
    ($($name:ident),*) => {
        impl<R: Entity, $($name: IntoExpr<R, String>),*> Texts<R> for ($($name,)*) {
            #[allow(non_snake_case, reason = "the type parameters name the tuple's fields")]
            #[allow(private_interfaces, reason = "only this crate calls it")]
            fn into_terms(self) -> Vec<Term> {
                let ($($name,)*) = self;
                vec![$($name.into_expr().term),*]
            }
        }
    };
}

texts!(A);
texts!(A, B);
texts!(A, B, C);
texts!(A, B, C, D);
texts!(A, B, C, D, E);
texts!(A, B, C, D, E, F);

impl<R: Entity, V: ColumnType> Expr<R, V> {
    /// A function of this value and whole numbers.
    fn with_numbers(&self, function: &'static str, numbers: &[i32]) -> Term {
        let numbers = numbers.iter().map(|number| Term::Bound(Bound::one(number)));
        Term::call(function, [self.term.clone()].into_iter().chain(numbers).collect())
    }
}

/// Functions of text.
impl<R: Entity, V: ColumnType> Expr<R, V>
where
    V::Operand: TextType,
{
    /// In lower case.
    pub fn lower(&self) -> Expr<R, V> {
        Expr::new(Term::call("lower", vec![self.term.clone()]))
    }

    /// In upper case.
    pub fn upper(&self) -> Expr<R, V> {
        Expr::new(Term::call("upper", vec![self.term.clone()]))
    }

    /// Without spaces at both ends.
    pub fn trim(&self) -> Expr<R, V> {
        Expr::new(Term::call("btrim", vec![self.term.clone()]))
    }

    /// Without spaces at the start.
    pub fn trim_start(&self) -> Expr<R, V> {
        Expr::new(Term::call("ltrim", vec![self.term.clone()]))
    }

    /// Without spaces at the end.
    pub fn trim_end(&self) -> Expr<R, V> {
        Expr::new(Term::call("rtrim", vec![self.term.clone()]))
    }

    /// The first characters; with a negative number, all but so many at the end.
    pub fn left(&self, characters: i32) -> Expr<R, V> {
        Expr::new(self.with_numbers("left", &[characters]))
    }

    /// The last characters; with a negative number, all but so many at the start.
    pub fn right(&self, characters: i32) -> Expr<R, V> {
        Expr::new(self.with_numbers("right", &[characters]))
    }

    /// Some characters from the middle. `start` counts from 1.
    pub fn substring(&self, start: i32, characters: i32) -> Expr<R, V> {
        Expr::new(self.with_numbers("substr", &[start, characters]))
    }

    /// One text replaced by another, wherever it occurs.
    pub fn replace(&self, from: impl IntoExpr<R, String>, to: impl IntoExpr<R, String>) -> Expr<R, V> {
        Expr::new(Term::call("replace", vec![self.term.clone(), from.into_expr().term, to.into_expr().term]))
    }

    /// This text and then another one: `||`. NULL if one of them is; see [`concat`](super::concat).
    pub fn concat<O: IntoExpr<R, String>>(&self, other: O) -> Expr<R, V::WithBoth<O::Type, String>> {
        Expr::new(Term::infix(self.term.clone(), "||", other.into_expr().term))
    }
}

/// What has a length.
impl<R: Entity, V: ColumnType> Expr<R, V>
where
    V::Operand: MeasuredType,
{
    /// How many characters a text, bytes a `bytea` or elements an array has.
    pub fn length(&self) -> Expr<R, V::With<i32>> {
        Expr::new(Term::call(V::Operand::LENGTH, vec![self.term.clone()]))
    }

    /// Without characters, bytes or elements. NULL is neither empty nor not empty.
    pub fn is_empty(&self) -> Condition<R> {
        self.length().compare(Operator::Equal, Term::Bound(Bound::one(&0_i32)))
    }

    /// With characters, bytes or elements. NULL is neither empty nor not empty.
    pub fn is_not_empty(&self) -> Condition<R> {
        self.length().compare(Operator::Greater, Term::Bound(Bound::one(&0_i32)))
    }
}
