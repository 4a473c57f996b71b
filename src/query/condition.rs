//! Conditions on the rows of an entity.

use std::fmt;
use std::marker::PhantomData;
use std::ops::{BitAnd, BitOr, Not};

use crate::entity::Entity;
use crate::sql::Expression;

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
    pub fn and(self, other: Self) -> Self {
        Self::new(match self.expression {
            Expression::All(mut all) => {
                all.push(other.expression);
                Expression::All(all)
            }
            one => Expression::All(vec![one, other.expression]),
        })
    }

    /// Either condition or both; the same as `|`.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self::new(match self.expression {
            Expression::Any(mut any) => {
                any.push(other.expression);
                Expression::Any(any)
            }
            one => Expression::Any(vec![one, other.expression]),
        })
    }

    /// The opposite; the same as `!`.
    #[must_use]
    #[allow(clippy::should_implement_trait, reason = "`!` is implemented, too; the method reads better in a chain")]
    pub fn not(self) -> Self {
        Self::new(Expression::Not(Box::new(self.expression)))
    }
}

impl<R: Entity> BitAnd for Condition<R> {
    type Output = Self;

    fn bitand(self, other: Self) -> Self {
        self.and(other)
    }
}

impl<R: Entity> BitOr for Condition<R> {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
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
