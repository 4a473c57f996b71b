//! What the code of `#[derive(Entity)]`, `#[derive(DbEnum)]` and `#[derive(Projection)]` names. Not part of the public interface: it changes with the macro.
//!
//! Generated code knows one path, `::howdah::__private`, so that it works whatever the user has imported, shadowed or
//! renamed.

#[path = "private/field.rs"]
mod field;

use std::any::Any;
use std::marker::PhantomData;
use std::ops::Deref;

pub use core::clone::Clone;
pub use core::convert::{From, Into};
pub use core::default::Default;
pub use core::fmt::{Debug, Formatter, Result as FormatResult};
pub use core::ops::FnOnce;
pub use core::option::Option::{self, None, Some};
pub use core::primitive::{i64, str, usize};
pub use core::result::Result::{self, Ok};
pub use core::{concat, file, line};

pub use field::{ColumnField, KeyField, ToManyField, ToOneField};
pub use inventory;
pub use uuid::Uuid;

pub use crate::entity::{Entity, FieldPath, FieldSet, describe};
pub use crate::error::Error;
pub use crate::manager::{HasRepository, Repository};
pub use crate::metadata::{
    CheckMeta, EntityMeta, EntityRegistration, FilterMeta, GraphLink, IndexMeta, Property, PropertyMeta, RelationKind,
};
pub use crate::query::{Column, Filter, collects, projects, refers_to};
pub use crate::types::{
    AsColumn, AsMany, AsOne, AsOptional, ColumnReader, ColumnShape, DbEnum, EnumMeta, ExpectedRow, FieldShape, FromRow,
    OrderedEnum, Projection, ProjectionField, ProjectionFieldMeta, ProjectionMeta, RowReader,
};

use crate::entity::IntoEntity;
use crate::metadata::ColumnType;
use crate::query::{Collects, RefersTo};
use crate::types::VersionType;

/// What a struct of typed paths holds: a path that starts at `R`.
pub struct RootedPath<R> {
    path: FieldPath,
    root: PhantomData<fn() -> R>,
}

impl<R> RootedPath<R> {
    /// The path, marked with the entity where it starts.
    pub const fn new(path: FieldPath) -> Self {
        Self { path, root: PhantomData }
    }
}

impl<R> Clone for RootedPath<R> {
    fn clone(&self) -> Self {
        Self::new(self.path.clone())
    }
}

impl<R> Deref for RootedPath<R> {
    type Target = FieldPath;

    fn deref(&self) -> &FieldPath {
        &self.path
    }
}

impl<R> Debug for RootedPath<R> {
    fn fmt(&self, f: &mut Formatter<'_>) -> FormatResult {
        self.path.fmt(f)
    }
}

/// Reads the next column of a row.
///
/// # Errors
/// [`Error::Conversion`] if the column holds something else.
pub fn read<C: ColumnType>(row: &mut RowReader<'_>) -> Result<C, Error> {
    C::read(row)
}

/// How a field of a projection is read.
#[derive(Debug)]
pub struct ProjectedField<F> {
    pub shape: FieldShape,
    pub read: fn(&mut ColumnReader<'_>) -> Result<F, Error>,
}

/// How a field of this type is read. Asked once a field, so that a type that cannot be one is reported once.
pub const fn projected_field<K, F: ProjectionField<K>>() -> ProjectedField<F> {
    ProjectedField { shape: F::SHAPE, read: F::read_field }
}

/// The value of a `default`, `on_create` or `on_update`, without its type.
pub fn value(value: impl Property) -> Box<dyn Property> {
    Box::new(value)
}

/// What a field holds until the database has made its value (`default_sql`).
pub fn unset<C: ColumnType + Default>() -> C {
    C::unset().unwrap_or_default()
}

/// The version of a new entity.
pub fn initial_version<V: VersionType>() -> V {
    V::initial()
}

/// `Debug` of a `New…` struct.
///
/// # Errors
/// If the formatter fails.
pub fn debug_properties(f: &mut Formatter<'_>, name: &str, properties: &[(&str, &dyn Property)]) -> FormatResult {
    let mut out = f.debug_struct(name);
    for (property, value) in properties {
        match value.text() {
            Some(text) => out.field(property, &format_args!("{text}")),
            None => out.field(property, &format_args!("NULL")),
        };
    }
    out.finish()
}

/// The description of a column, made of what is known of its type.
pub const fn column(mut column: PropertyMeta, entity: &'static str, name: &'static str) -> PropertyMeta {
    column.entity = entity;
    column.name = name;
    column
}

/// A filter, without its type.
pub fn filter(filter: crate::query::Filter) -> Box<dyn Any + Send + Sync> {
    Box::new(filter)
}

/// The description of an entity, without the checks that `<T as Entity>::meta` repeats wherever it is named.
pub fn meta_of<T: Entity>() -> &'static EntityMeta {
    T::meta()
}

/// What becomes an entity. The bound on the entity is asked once, by the implementation of [`Entity`].
pub trait EntitySource {
    /// The entity.
    type Entity;

    /// Makes the entity.
    fn entity(self) -> Self::Entity;
}

#[diagnostic::do_not_recommend]
impl<S: EntitySource<Entity: Entity>> IntoEntity for S {
    type Entity = S::Entity;

    fn into_entity(self) -> S::Entity {
        self.entity()
    }
}

/// The path to a field whose definition has an error: fits everywhere, so that the error is not followed by others.
#[derive(Debug)]
pub struct InvalidPath;

#[diagnostic::do_not_recommend]
impl<T> RefersTo<T> for InvalidPath {}

#[diagnostic::do_not_recommend]
impl<T> Collects<T> for InvalidPath {}
