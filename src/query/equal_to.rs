//! What the short finds compare a field with.

use super::column::Column;
use super::condition::Condition;
use super::expr::IntoExpr;
use super::path::{RelationOperand, ToOne};
use crate::entity::Entity;
use crate::metadata::ColumnType;

/// What the field `P` of the entity `R` can be equal to: a value of the column's type; a handle, a reference or a key for a
/// to-one relation.
#[diagnostic::on_unimplemented(
    message = "`{P}` cannot be compared with `{Self}`",
    label = "expected a value of the column's type, or a handle, a reference or a key for a to-one relation"
)]
pub trait EqualTo<R: Entity, P> {
    /// The condition that they are equal.
    fn equal_to(self, field: P) -> Condition<R>;
}

impl<R: Entity, C: ColumnType, A: IntoExpr<R, C::Operand>> EqualTo<R, Column<R, C>> for A {
    fn equal_to(self, field: Column<R, C>) -> Condition<R> {
        field.eq(self)
    }
}

impl<R: Entity, T: Entity, L, A: RelationOperand<T>> EqualTo<R, ToOne<R, T, L>> for A {
    fn equal_to(self, field: ToOne<R, T, L>) -> Condition<R> {
        field.eq(self)
    }
}
