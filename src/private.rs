//! What the code of `#[derive(Entity)]` names. Not part of the public interface: it changes with the macro.
//!
//! Generated code knows one path, `::howdah::__private`, so that it works whatever the user has imported, shadowed or
//! renamed.

use std::marker::PhantomData;
use std::ops::Deref;

pub use core::clone::Clone;
pub use core::convert::{From, Into};
pub use core::default::Default;
pub use core::fmt::{Debug, Formatter, Result as FormatResult};
pub use core::ops::FnOnce;
pub use core::option::Option::{self, None, Some};
pub use core::result::Result::{self, Ok};
pub use core::{concat, file, line};

pub use inventory;
pub use uuid::Uuid;

pub use crate::entity::{Entity, FieldPath, FieldSet, describe};
pub use crate::error::Error;
pub use crate::metadata::{
    CheckMeta, EntityMeta, EntityRegistration, GraphLink, IndexMeta, Property, PropertyMeta, RelationKind,
};
pub use crate::query::{Column, collects, refers_to};
pub use crate::types::RowReader;

use crate::entity::{Collection, IntoEntity, Managed, Ref, Relation};
use crate::metadata::ColumnType;
use crate::query::{Collects, RefersTo, ToMany, ToOne};
use crate::types::{EntityKey, ScalarType};

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

/// The value of a `default`, `on_create` or `on_update`, without its type.
pub fn value(value: impl Property) -> Box<dyn Property> {
    Box::new(value)
}

/// What a field holds until the database has made its value (`default_sql`).
pub fn unset<C: ColumnType + Default>() -> C {
    C::unset().unwrap_or_default()
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

/// Everything that generated code asks of the type of a field. One trait, asked in one form: a type that the field
/// cannot have gives one error, not one for each use.
macro_rules! field_trait {
    ($(#[$attribute:meta])* $name:ident { $($item:tt)* }) => {
        $(#[$attribute])*
        pub trait $name: Sized {
            $($item)*

            /// The field without its type.
            fn property(&self) -> &dyn Property;
            /// The field without its type, to be changed.
            fn property_mut(&mut self) -> &mut dyn Property;
            /// A copy of the value.
            fn copy(&self) -> Self;
        }
    };
}

/// The part of an implementation that is the same for all.
macro_rules! field_as_property {
    () => {
        fn property(&self) -> &dyn Property {
            self
        }

        fn property_mut(&mut self) -> &mut dyn Property {
            self
        }

        fn copy(&self) -> Self {
            self.clone()
        }
    };
}

// The messages are those of `ScalarType` and `EntityKey`, word for word: the compiler speaks now of one, now of the
// other, and reports the same words at the same place once.
field_trait! {
    /// A field that is a column.
    #[diagnostic::on_unimplemented(
        message = "`{Self}` cannot be stored in a column",
        label = "not a column type",
        note = "use bool, i16, i32, i64, f32, f64, String, Vec<u8>, Uuid, a chrono type, Json<T>, or Option/Vec of one; or mark the field #[transient]"
    )]
    ColumnField {
        /// The typed path to the column.
        type Path<R: Entity>;
        /// The description, without names.
        const META: PropertyMeta;
        /// Reads the next column of a row.
        ///
        /// # Errors
        /// [`Error::Conversion`] if the column holds something else.
        fn read(row: &mut RowReader<'_>) -> Result<Self, Error>;
        /// The path to the column with this property index.
        fn path<R: Entity>(path: &FieldPath, property: u16) -> Self::Path<R>;
    }
}

field_trait! {
    /// A field that is (part of) the key.
    #[diagnostic::on_unimplemented(
        message = "`{Self}` cannot be a primary key",
        label = "not a key type",
        note = "use i16, i32, i64, Uuid, String, bool, a chrono type or Vec<u8>; or a relation (Ref<T>)"
    )]
    KeyField {
        /// The typed path to the column.
        type Path<R: Entity>;
        /// The type of the key: that of the field.
        type Key;
        /// The description, without names.
        const META: PropertyMeta;
        /// Reads the next column of a row.
        ///
        /// # Errors
        /// [`Error::Conversion`] if the column holds something else.
        fn read(row: &mut RowReader<'_>) -> Result<Self, Error>;
        /// The path to the column with this property index.
        fn path<R: Entity>(path: &FieldPath, property: u16) -> Self::Path<R>;
    }
}

macro_rules! column_field {
    ($operand:ty) => {
        type Path<R: Entity> = Column<R, $operand>;
        const META: PropertyMeta = PropertyMeta::column::<Self>("", "");

        fn read(row: &mut RowReader<'_>) -> Result<Self, Error> {
            <Self as ColumnType>::read(row)
        }

        fn path<R: Entity>(path: &FieldPath, property: u16) -> Self::Path<R> {
            Column::new(path, property)
        }

        field_as_property!();
    };
}

#[diagnostic::do_not_recommend]
impl<C: ScalarType> ColumnField for C {
    column_field!(C);
}

#[diagnostic::do_not_recommend]
impl<C: ScalarType> ColumnField for Option<C> {
    column_field!(C);
}

#[diagnostic::do_not_recommend]
impl<C: ScalarType + EntityKey> KeyField for C {
    type Key = C;
    column_field!(C);
}

field_trait! {
    /// A field that is a to-one relation.
    ToOneField {
        /// The typed path over the relation.
        type Path<R: Entity>;
        /// The key of the target.
        type Key;
        /// The typed paths to the target's fields.
        type Fields;
        /// The description of the target.
        fn target() -> &'static EntityMeta;
        /// Reads the key columns of the relation.
        ///
        /// # Errors
        /// [`Error::Conversion`] if they hold something else.
        fn read(row: &mut RowReader<'_>, graph: &GraphLink) -> Result<Self, Error>;
        /// The path over the relation with this property index.
        fn path<R: Entity>(path: &FieldPath, property: u16) -> Self::Path<R>;
        /// The key of the target; not known of a missing one.
        fn key(&self) -> Self::Key;
    }
}

impl<T: Entity> ToOneField for Ref<T> {
    type Path<R: Entity> = ToOne<R, T, Managed<T>>;
    type Key = T::Id;
    type Fields = T::Fields<T>;

    fn target() -> &'static EntityMeta {
        T::meta()
    }

    fn read(row: &mut RowReader<'_>, graph: &GraphLink) -> Result<Self, Error> {
        <Self as Relation>::read(row, graph)
    }

    fn path<R: Entity>(path: &FieldPath, property: u16) -> Self::Path<R> {
        ToOne::new(path, property)
    }

    fn key(&self) -> T::Id {
        self.id()
    }

    field_as_property!();
}

impl<T: Entity> ToOneField for Option<Ref<T>> {
    type Path<R: Entity> = ToOne<R, T, Option<Managed<T>>>;
    type Key = Option<T::Id>;
    type Fields = T::Fields<T>;

    fn target() -> &'static EntityMeta {
        T::meta()
    }

    fn read(row: &mut RowReader<'_>, graph: &GraphLink) -> Result<Self, Error> {
        <Self as Relation>::read(row, graph)
    }

    fn path<R: Entity>(path: &FieldPath, property: u16) -> Self::Path<R> {
        ToOne::new(path, property)
    }

    fn key(&self) -> Option<T::Id> {
        self.as_ref().map(Ref::id)
    }

    field_as_property!();
}

field_trait! {
    /// A field that is a to-many relation.
    ToManyField {
        /// The typed path over the relation.
        type Path<R: Entity>;
        /// The typed paths to the target's fields.
        type Fields;
        /// The description of the target.
        fn target() -> &'static EntityMeta;
        /// The collection of a row that was read.
        fn unloaded(relation: &'static PropertyMeta) -> Self;
        /// The collection of a new entity.
        fn empty() -> Self;
        /// The path over the relation with this property index.
        fn path<R: Entity>(path: &FieldPath, property: u16) -> Self::Path<R>;
    }
}

impl<T: Entity> ToManyField for Collection<T> {
    type Path<R: Entity> = ToMany<R, T>;
    type Fields = T::Fields<T>;

    fn target() -> &'static EntityMeta {
        T::meta()
    }

    fn unloaded(relation: &'static PropertyMeta) -> Self {
        Self::unloaded(relation)
    }

    fn empty() -> Self {
        Self::new()
    }

    fn path<R: Entity>(path: &FieldPath, property: u16) -> Self::Path<R> {
        ToMany::new(path, property)
    }

    field_as_property!();
}

/// The path to a field whose definition has an error: fits everywhere, so that the error is not followed by others.
#[derive(Debug)]
pub struct InvalidPath;

#[diagnostic::do_not_recommend]
impl<T> RefersTo<T> for InvalidPath {}

#[diagnostic::do_not_recommend]
impl<T> Collects<T> for InvalidPath {}
