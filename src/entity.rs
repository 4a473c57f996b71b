//! Entities and the handles to them.
//!
//! A graph owns its entities: a [`Managed`] handle is a strong pointer to a cell and to the graph; what links entities
//! inside the graph ([`Ref`], [`Collection`]) is a key or a weak pointer. So there are no reference cycles, and a
//! handle stays navigable when its manager is gone (rule A2).

use std::any::TypeId;
use std::sync::Arc;

use crate::error::Error;
use crate::metadata::{AnyCell, EntityMeta, EntityObject, GraphLink, HydrateFn, PropertyMeta};
use crate::types::{EntityKey, Key, PgType, RowReader};

mod borrow;
mod cell;
mod cell_link;
mod collection;
mod field_path;
mod guard;
mod lazy;
mod managed;
mod reference;
mod state;

pub(crate) use borrow::holds_no_guard;
pub(crate) use cell::Cell;
use cell_link::CellLink;
pub use collection::{Collection, CollectionItem};
pub use field_path::{FieldPath, FieldSet};
pub use guard::{ReadGuard, WriteGuard};
pub use lazy::Lazy;
pub use managed::Managed;
pub use reference::{Ref, Relation};
pub use state::{Change, EntityState};

/// A struct whose values are rows: implemented by `#[derive(Entity)]`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an entity",
    label = "not an entity",
    note = "add #[derive(Entity, Clone)] to the struct"
)]
pub trait Entity: Clone + Send + Sync + 'static {
    /// The type of the key: that of the `#[primary_key]` field, or a tuple of several.
    type Id: EntityKey;

    /// The typed paths to the fields, starting at the entity `R` of a query.
    type Fields<R: Entity>: FieldSet;

    /// The entity's description.
    fn meta() -> &'static EntityMeta;

    /// The value of the key field(s).
    fn key_of(&self) -> Self::Id;

    /// The property with this index in [`EntityMeta::properties`].
    fn property_at(&self, index: usize) -> &dyn crate::metadata::Property;

    /// The property with this index, to be changed.
    fn property_at_mut(&mut self, index: usize) -> &mut dyn crate::metadata::Property;

    /// Reads the entity from a row whose columns are its properties in order.
    ///
    /// # Errors
    /// [`Error::Conversion`] if a column holds something else than the field.
    fn hydrate(row: &mut RowReader<'_>, graph: &GraphLink) -> Result<Self, Error>;
}

impl<T: Entity> EntityObject for T {
    fn meta(&self) -> &'static EntityMeta {
        T::meta()
    }

    fn property(&self, index: usize) -> &dyn crate::metadata::Property {
        self.property_at(index)
    }

    fn property_mut(&mut self, index: usize) -> &mut dyn crate::metadata::Property {
        self.property_at_mut(index)
    }
}

/// What `create` and `persist` make an entity of: the entity itself, or its `New…` struct.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is neither an entity nor its `New…` struct",
    label = "cannot be made an entity",
    note = "pass an entity, the New… struct that #[derive(Entity)] made for it, or a handle to it"
)]
pub trait IntoEntity {
    /// The entity.
    type Entity: Entity;

    /// The entity's value.
    fn into_entity(self) -> Self::Entity;
}

/// The description of `T`: what generated code puts into its `static EntityMeta`.
pub const fn describe<T: Entity>(
    name: &'static str,
    source: &'static str,
    properties: &'static [PropertyMeta],
) -> EntityMeta {
    EntityMeta::new(name, source, properties, TypeId::of::<T>, key_types::<T::Id>, hydrate_cell::<T> as HydrateFn)
}

fn key_types<K: EntityKey>() -> Vec<PgType> {
    let mut out = Vec::with_capacity(K::COLUMNS);
    K::push_types(&mut out);
    out
}

fn hydrate_cell<T: Entity>(row: &mut RowReader<'_>, key: Key, graph: &GraphLink) -> Result<Arc<dyn AnyCell>, Error> {
    let value = T::hydrate(row, graph)?;
    Ok(Arc::new(Cell::managed(value, key, graph.clone())))
}
