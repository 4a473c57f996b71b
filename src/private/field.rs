//! What generated code asks of the types of fields.
//!
//! A type that a field cannot have must give one error, at the type, though it is used in a dozen places. So all of
//! them ask one trait, in one form; `emit/field_access.rs` of the macro writes them.

use crate::entity::{Collection, Entity, FieldPath, Lazy, Managed, Ref, Relation};
use crate::error::Error;
use crate::metadata::{ColumnType, EntityMeta, GraphLink, Property, PropertyMeta};
use crate::query::{Column, LazyColumn, ToMany, ToOne};
use crate::types::{EntityKey, RowReader, ScalarType};

/// A trait with what is asked of every field.
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
        note = "use bool, i16, i32, i64, f32, f64, String, Vec<u8>, Uuid, a chrono type, Json<T>, an enum with #[derive(DbEnum)], or Option/Vec of one; or mark the field #[transient]"
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
        fn read(row: &mut RowReader<'_>, property: &'static PropertyMeta) -> Result<Self, Error>;
        /// The path to the column with this property index.
        fn path<R: Entity>(path: &FieldPath, property: u16) -> Self::Path<R>;
    }
}

field_trait! {
    /// A field that is (part of) the key.
    #[diagnostic::on_unimplemented(
        message = "`{Self}` cannot be a primary key",
        label = "not a key type",
        note = "use i16, i32, i64, Uuid, String, bool, a chrono type, Vec<u8> or an enum with #[derive(DbEnum, PartialEq)]; or a relation (Ref<T>)"
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
    ($($property:ident: $type:ty)?) => {
        type Path<R: Entity> = Column<R, Self>;
        const META: PropertyMeta = PropertyMeta::column::<Self>("", "");

        fn read(row: &mut RowReader<'_> $(, $property: $type)?) -> Result<Self, Error> {
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
    column_field!(_property: &'static PropertyMeta);
}

#[diagnostic::do_not_recommend]
impl<C: ScalarType> ColumnField for Option<C> {
    column_field!(_property: &'static PropertyMeta);
}

#[diagnostic::do_not_recommend]
impl<C: ColumnType> ColumnField for Lazy<C> {
    type Path<R: Entity> = LazyColumn<R, C>;
    const META: PropertyMeta = PropertyMeta::column::<C>("", "").lazy();

    fn read(_: &mut RowReader<'_>, property: &'static PropertyMeta) -> Result<Self, Error> {
        Ok(Self::unloaded(property))
    }

    fn path<R: Entity>(path: &FieldPath, property: u16) -> Self::Path<R> {
        LazyColumn::new(path, property)
    }

    field_as_property!();
}

#[diagnostic::do_not_recommend]
impl<C: ScalarType + EntityKey> KeyField for C {
    type Key = C;
    column_field!();
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
