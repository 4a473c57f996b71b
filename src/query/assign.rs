//! What `set` of a native update takes: a field of the entity, and a value of its type.

use super::column::Column;
use super::expr::Expr;
use super::path::{RelationOperand, ToOne};
use super::property_list::PropertyName;
use crate::entity::Entity;
use crate::metadata::ColumnType;
use crate::sql::{Bound, SetValue, Term};
use crate::types::ScalarType;

/// A field and what it is set to.
#[derive(Clone, Debug)]
pub(crate) struct Assignment {
    pub(crate) name: PropertyName,
    pub(crate) value: SetValue,
}

/// A value that a column whose field is a `C` can be set to: a value of its type, a reference to one, an `Option` of one
/// where the column is nullable, `&str` for `String`; a column or an expression of the same entity and type.
#[diagnostic::on_unimplemented(
    message = "a column of type `{C}` cannot be set to `{Self}`",
    label = "expected a value of type `{C}`, or a column or expression of `{R}` of that type"
)]
pub trait ColumnValue<R: Entity, C> {
    #[doc(hidden)]
    #[allow(private_interfaces, reason = "only this crate calls it")]
    fn into_value(self) -> SetValue;
}

impl<R: Entity, V: ScalarType> ColumnValue<R, V> for V {
    #[allow(private_interfaces, reason = "only this crate calls it")]
    fn into_value(self) -> SetValue {
        SetValue::Term(Term::Bound(Bound::one(&self)))
    }
}

impl<R: Entity, V: ScalarType> ColumnValue<R, V> for &V {
    #[allow(private_interfaces, reason = "only this crate calls it")]
    fn into_value(self) -> SetValue {
        SetValue::Term(Term::Bound(Bound::one(self)))
    }
}

impl<R: Entity, V: ScalarType> ColumnValue<R, Option<V>> for V {
    #[allow(private_interfaces, reason = "only this crate calls it")]
    fn into_value(self) -> SetValue {
        SetValue::Term(Term::Bound(Bound::one(&self)))
    }
}

impl<R: Entity, V: ScalarType> ColumnValue<R, Option<V>> for &V {
    #[allow(private_interfaces, reason = "only this crate calls it")]
    fn into_value(self) -> SetValue {
        SetValue::Term(Term::Bound(Bound::one(self)))
    }
}

impl<R: Entity, V: ScalarType> ColumnValue<R, Option<V>> for Option<V> {
    #[allow(private_interfaces, reason = "only this crate calls it")]
    fn into_value(self) -> SetValue {
        self.map_or(SetValue::Null, |value| SetValue::Term(Term::Bound(Bound::one(&value))))
    }
}

impl<R: Entity, C: ColumnType<Operand = String>> ColumnValue<R, C> for &str {
    #[allow(private_interfaces, reason = "only this crate calls it")]
    fn into_value(self) -> SetValue {
        SetValue::Term(Term::Bound(Bound::one(&self.to_owned())))
    }
}

impl<R: Entity, C: ColumnType, W: ColumnType<Operand = C::Operand>> ColumnValue<R, C> for Expr<R, W> {
    #[allow(private_interfaces, reason = "only this crate calls it")]
    fn into_value(self) -> SetValue {
        SetValue::Term(self.term)
    }
}

impl<R: Entity, C: ColumnType, W: ColumnType<Operand = C::Operand>> ColumnValue<R, C> for Column<R, W> {
    #[allow(private_interfaces, reason = "only this crate calls it")]
    fn into_value(self) -> SetValue {
        SetValue::Term(self.into_expr().term)
    }
}

/// What the field `P` of the entity `R` can be set to: a [`ColumnValue`] for a column, a handle, a reference or a key for a
/// to-one relation.
#[diagnostic::on_unimplemented(
    message = "`{P}` cannot be set to `{Self}`",
    label = "expected a value of the column's type, or a handle, a reference or a key for a to-one relation"
)]
pub trait Assign<R: Entity, P> {
    #[doc(hidden)]
    #[allow(private_interfaces, reason = "only this crate calls it")]
    fn assign_to(self, field: P) -> Assignment;
}

impl<R: Entity, C, A: ColumnValue<R, C>> Assign<R, Column<R, C>> for A {
    #[allow(private_interfaces, reason = "only this crate calls it")]
    fn assign_to(self, field: Column<R, C>) -> Assignment {
        Assignment { name: PropertyName::of(&field), value: self.into_value() }
    }
}

impl<R: Entity, T: Entity, L, A: RelationOperand<T>> Assign<R, ToOne<R, T, L>> for A {
    #[allow(private_interfaces, reason = "only this crate calls it")]
    fn assign_to(self, field: ToOne<R, T, L>) -> Assignment {
        Assignment { name: field.into_name(), value: self.into_key().map_or(SetValue::Unknown, SetValue::Key) }
    }
}
