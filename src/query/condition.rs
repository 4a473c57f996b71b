//! Conditions on the rows of an entity.

use std::fmt;
use std::marker::PhantomData;
use std::ops::{BitAnd, BitOr, Not};

use super::column::Column;
use super::expr::Expr;
use crate::entity::Entity;
use crate::sql::{Expression, Term};

/// A condition on the entity `R`: a plain value that can be cloned, kept and combined.
///
/// Made by the operators of typed paths: `User::fields().email().eq("ada@example.com")`. Values become bind parameters,
/// never SQL text. NULL is as in SQL: a comparison with a NULL column is neither true nor false, so neither it nor its
/// negation selects the row.
pub struct Condition<R: Entity> {
    pub(crate) expression: Expression,
    root: PhantomData<fn() -> R>,
}

impl<R: Entity> Condition<R> {
    pub(crate) const fn new(expression: Expression) -> Self {
        Self { expression, root: PhantomData }
    }

    /// The condition that every row fulfils.
    #[must_use]
    pub const fn always() -> Self {
        Self::new(Expression::All(Vec::new()))
    }

    /// The condition that no row fulfils.
    #[must_use]
    pub const fn never() -> Self {
        Self::new(Expression::Any(Vec::new()))
    }

    /// Both conditions; the same as `&`.
    #[must_use]
    pub fn and(self, other: impl IntoCondition<R>) -> Self {
        let other = other.into_condition().expression;
        Self::new(match self.expression {
            Expression::All(mut all) => {
                all.push(other);
                Expression::All(all)
            }
            one => Expression::All(vec![one, other]),
        })
    }

    /// Either condition or both; the same as `|`.
    #[must_use]
    pub fn or(self, other: impl IntoCondition<R>) -> Self {
        let other = other.into_condition().expression;
        Self::new(match self.expression {
            Expression::Any(mut any) => {
                any.push(other);
                Expression::Any(any)
            }
            one => Expression::Any(vec![one, other]),
        })
    }

    /// The opposite; the same as `!`.
    #[must_use]
    #[allow(clippy::should_implement_trait, reason = "`!` is implemented, too; the method reads better in a chain")]
    pub fn not(self) -> Self {
        Self::new(Expression::Not(Box::new(self.expression)))
    }

    /// The condition as a value: true, false, or NULL where it is neither.
    pub fn as_expr(&self) -> Expr<R, Option<bool>> {
        Expr::new(Term::Condition(Box::new(self.expression.clone())))
    }
}

/// What can stand for a condition: a [`Condition`], a column or expression that is a `bool`, or SQL written by hand
/// ([`raw`](crate::functions::raw)).
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a condition on `{R}`",
    label = "expected a Condition<{R}>, a bool column, or raw SQL"
)]
pub trait IntoCondition<R: Entity> {
    /// The condition.
    fn into_condition(self) -> Condition<R>;
}

impl<R: Entity> IntoCondition<R> for Condition<R> {
    fn into_condition(self) -> Self {
        self
    }
}

macro_rules! boolean_condition {
    ($($boolean:ty)*) => {$(
        impl<R: Entity> IntoCondition<R> for Expr<R, $boolean> {
            fn into_condition(self) -> Condition<R> {
                Condition::new(Expression::Holds(self.term))
            }
        }

        impl<R: Entity> IntoCondition<R> for Column<R, $boolean> {
            fn into_condition(self) -> Condition<R> {
                self.into_expr().into_condition()
            }
        }
    )*};
}

boolean_condition!(bool Option<bool>);

impl<R: Entity, C: IntoCondition<R>> BitAnd<C> for Condition<R> {
    type Output = Self;

    fn bitand(self, other: C) -> Self {
        self.and(other)
    }
}

impl<R: Entity, C: IntoCondition<R>> BitOr<C> for Condition<R> {
    type Output = Self;

    fn bitor(self, other: C) -> Self {
        self.or(other)
    }
}

impl<R: Entity> Not for Condition<R> {
    type Output = Self;

    fn not(self) -> Self {
        Self::not(self)
    }
}

impl<R: Entity> Clone for Condition<R> {
    fn clone(&self) -> Self {
        Self::new(self.expression.clone())
    }
}

/// Shows the fields and operators, not the values.
impl<R: Entity> fmt::Debug for Condition<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.expression.fmt(f)
    }
}
