//! Lists of an entity's own fields: what a conflict is found by, and what it overwrites.

use super::column::Column;
use super::lazy::LazyColumn;
use super::path::ToOne;
use crate::entity::{Entity, FieldPath};
use crate::error::Error;
use crate::metadata::EntityMeta;
use crate::types::for_each_tuple;

/// A field, at the end of a path.
#[derive(Clone, Debug)]
pub(crate) struct PropertyName {
    pub(crate) path: FieldPath,
    pub(crate) property: u16,
}

impl PropertyName {
    /// A column without its type.
    pub(super) fn of<R: Entity, V>(column: &Column<R, V>) -> Self {
        Self { path: column.path().clone(), property: column.property() }
    }

    /// The index of the property, if it is one of the entity's own.
    ///
    /// # Errors
    /// [`Error::Validation`] for a field of another entity, which relations lead to.
    pub(crate) fn own(&self, meta: &'static EntityMeta, operation: &str) -> Result<u16, Error> {
        if self.path.hops().is_empty() {
            return Ok(self.property);
        }
        let message = format!("{operation} takes fields of {} itself, not of what {:?} leads to", meta.name, self.path);
        Err(Error::validation(meta.name, message))
    }
}

/// Fields of the entity `R`: a column, a to-one relation, or a tuple of up to sixteen, also inside of another one: `|u| (u.first_name(), u.last_name())`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no list of columns of `{R}`",
    label = "expected a column, a to-one relation, or a tuple of them"
)]
pub trait PropertyList<R: Entity> {
    #[doc(hidden)]
    #[allow(private_interfaces, reason = "only this crate calls it")]
    fn push_properties(self, out: &mut Vec<PropertyName>);
}

impl<R: Entity, V> PropertyList<R> for Column<R, V> {
    #[allow(private_interfaces, reason = "only this crate calls it")]
    fn push_properties(self, out: &mut Vec<PropertyName>) {
        out.push(PropertyName::of(&self));
    }
}

impl<R: Entity, V> PropertyList<R> for LazyColumn<R, V> {
    #[allow(private_interfaces, reason = "only this crate calls it")]
    fn push_properties(self, out: &mut Vec<PropertyName>) {
        out.push(PropertyName::of(&self));
    }
}

impl<R: Entity, T: Entity, L> PropertyList<R> for ToOne<R, T, L> {
    #[allow(private_interfaces, reason = "only this crate calls it")]
    fn push_properties(self, out: &mut Vec<PropertyName>) {
        out.push(self.into_name());
    }
}

macro_rules! tuple_of_properties {
    ($($name:ident),*) => {
        impl<R: Entity, $($name: PropertyList<R>),*> PropertyList<R> for ($($name,)*) {
            #[allow(non_snake_case, reason = "the type parameters name the tuple's fields")]
            #[allow(private_interfaces, reason = "only this crate calls it")]
            fn push_properties(self, out: &mut Vec<PropertyName>) {
                let ($($name,)*) = self;
                $($name.push_properties(out);)*
            }
        }
    };
}

for_each_tuple!(tuple_of_properties);
