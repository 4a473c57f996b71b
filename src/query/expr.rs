//! Typed expressions: what columns, functions and operators compute, and what they can be combined with.

use std::fmt;
use std::marker::PhantomData;

use super::column::Column;
use super::order::Order;
use crate::entity::Entity;
use crate::metadata::ColumnType;
use crate::sql::{Bound, Term, ValueType};
use crate::types::ScalarType;

/// A value that SQL computes for each row of the entity `R`: a column, or what functions and operators make of it. `V` is
/// its Rust type, an `Option` where it may be NULL.
///
/// Values become bind parameters, never SQL text. A method that does not make sense for the type does not compile. The guide's
/// page "Operators and functions" has tables of all.
///
/// ```
/// # use howdah::prelude::*;
/// # #[derive(Entity, Clone, Debug)]
/// # pub struct User { #[primary_key] pub id: i64, pub username: String, pub age: Option<i32>, pub tags: Vec<String> }
/// let u = User::fields();
/// let age: howdah::Expr<User, i32> = u.age().coalesce(0) + 1;
/// let condition = age.between(18, 99) & u.username().lower().starts_with("a") & u.tags().contains("rust");
/// let order = (age.desc(), u.username().length().asc());
/// # let _ = (condition, order);
/// ```
pub struct Expr<R: Entity, V> {
    pub(crate) term: Term,
    types: PhantomData<fn() -> (R, V)>,
}

impl<R: Entity, V> Expr<R, V> {
    pub(crate) const fn new(term: Term) -> Self {
        Self { term, types: PhantomData }
    }
}

impl<R: Entity, V: ColumnType> Expr<R, V> {
    const VALUES: ValueType = ValueType { pg: V::Operand::TYPE, nullable: V::NULLABLE };

    /// Smallest first; NULL last.
    pub fn asc(&self) -> Order<R> {
        Order::new(self.term.clone(), false, Some(Self::VALUES))
    }

    /// Greatest first; NULL first.
    pub fn desc(&self) -> Order<R> {
        Order::new(self.term.clone(), true, Some(Self::VALUES))
    }
}

impl<R: Entity, V> Clone for Expr<R, V> {
    fn clone(&self) -> Self {
        Self::new(self.term.clone())
    }
}

/// Shows fields and functions, not values.
impl<R: Entity, V> fmt::Debug for Expr<R, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.term.fmt(f)
    }
}

/// What an expression of type `V` can be compared or combined with: a `V`, a `&V`, `&str` for `String`, an `Option<V>`, a
/// column or expression of the same entity and type, nullable or not, or a [`Subquery`](crate::Subquery) of that type.
#[diagnostic::on_unimplemented(
    message = "a column of type `{V}` cannot be compared with `{Self}`",
    label = "expected a value of type `{V}`, or a column or expression of `{R}` of that type"
)]
pub trait IntoExpr<R: Entity, V: ScalarType> {
    /// `V`, or `Option<V>` if it may be NULL.
    type Type: ColumnType<Operand = V>;

    /// The expression.
    fn into_expr(self) -> Expr<R, Self::Type>;
}

impl<R: Entity, V: ScalarType> IntoExpr<R, V> for V {
    type Type = V;

    fn into_expr(self) -> Expr<R, V> {
        Expr::new(Term::Bound(Bound::one(&self)))
    }
}

impl<R: Entity, V: ScalarType> IntoExpr<R, V> for &V {
    type Type = V;

    fn into_expr(self) -> Expr<R, V> {
        Expr::new(Term::Bound(Bound::one(self)))
    }
}

/// `None` is NULL.
impl<R: Entity, V: ScalarType> IntoExpr<R, V> for Option<V> {
    type Type = Self;

    fn into_expr(self) -> Expr<R, Self> {
        Expr::new(Term::Bound(self.map_or(Bound::null(V::TYPE), |value| Bound::one(&value))))
    }
}

impl<R: Entity> IntoExpr<R, String> for &str {
    type Type = String;

    fn into_expr(self) -> Expr<R, String> {
        Expr::new(Term::Bound(Bound::one(&self.to_owned())))
    }
}

impl<R: Entity, V: ScalarType, W: ColumnType<Operand = V>> IntoExpr<R, V> for Expr<R, W> {
    type Type = W;

    fn into_expr(self) -> Self {
        self
    }
}

impl<R: Entity, V: ScalarType, W: ColumnType<Operand = V>> IntoExpr<R, V> for &Expr<R, W> {
    type Type = W;

    fn into_expr(self) -> Expr<R, W> {
        self.clone()
    }
}

impl<R: Entity, V: ScalarType, W: ColumnType<Operand = V>> IntoExpr<R, V> for Column<R, W> {
    type Type = W;

    fn into_expr(self) -> Expr<R, W> {
        self.into_expr()
    }
}

impl<R: Entity, V: ScalarType, W: ColumnType<Operand = V>> IntoExpr<R, V> for &Column<R, W> {
    type Type = W;

    fn into_expr(self) -> Expr<R, W> {
        self.clone().into_expr()
    }
}
