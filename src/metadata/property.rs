//! One field of an entity, as the untyped core sees it.
//!
//! The unit of work, the planner and the loader handle `&dyn Property` and are compiled once, not once an entity: the
//! derive macro only says which field has which index.

use std::any::Any;

use super::object::{AnyCollection, AnyReference};
use crate::error::Error;
use crate::types::{ConversionError, KeyPart, RowReader, ScalarType};

/// A field type that is one column: a [`ScalarType`], or an `Option` of one where the column is nullable.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be stored in a column",
    label = "not a column type",
    note = "use bool, i16, i32, i64, f32, f64, String, Vec<u8>, Uuid, a chrono type, Json<T>, an enum with #[derive(DbEnum)], or Option/Vec of one; or mark the field #[transient]"
)]
pub trait ColumnType: Property + Clone + Sized {
    /// What filters compare the column with: the type itself, without `Option`.
    type Operand: ScalarType;
    /// Whether the column may be NULL.
    const NULLABLE: bool;
    /// Another type that may be NULL where this one may.
    type With<U: ScalarType>: ColumnType<Operand = U>;
    /// Another type that may be NULL where this one or `Other` may.
    type WithBoth<Other: ColumnType, U: ScalarType>: ColumnType<Operand = U>;

    /// Reads the next column of a row.
    ///
    /// # Errors
    /// [`Error::Conversion`] if the column holds something else.
    fn read(row: &mut RowReader<'_>) -> Result<Self, Error>;

    /// Reads a value in binary format, `None` being NULL.
    ///
    /// # Errors
    /// If the bytes are not a value of this type.
    fn from_raw(raw: Option<&[u8]>) -> Result<Self, ConversionError>;

    /// The value a field holds until the database has generated one; `None` where the type has no such value.
    fn unset() -> Option<Self>;
}

/// One field of an entity.
///
/// Columns, to-one relations ([`Ref`](crate::Ref)) and collections all implement it; the ones that are not columns
/// say what they are through [`as_reference`](Self::as_reference) and [`as_collection`](Self::as_collection).
pub trait Property: Any + Send + Sync {
    /// Whether both hold the same value as far as the database is concerned (rule B2). Of a relation: the same key or
    /// the same new entity; collections are never compared.
    fn same(&self, other: &dyn Property, precision: Option<u8>) -> bool;

    /// Takes over the value of another property of the same type. Does nothing if the types differ.
    fn assign(&mut self, from: &dyn Property);

    /// A copy of the value.
    fn boxed(&self) -> Box<dyn Property>;

    /// Appends the binary form; `false` means NULL and appends nothing. Columns only.
    ///
    /// # Errors
    /// If the value is outside of what the PostgreSQL type can hold.
    fn encode(&self, _out: &mut Vec<u8>) -> Result<bool, ConversionError> {
        Err(ConversionError::new("a relation is not a column"))
    }

    /// Replaces the value by one from the database, `None` being NULL. Columns only.
    ///
    /// # Errors
    /// If the bytes are not a value of this type.
    fn decode(&mut self, _raw: Option<&[u8]>) -> Result<(), ConversionError> {
        Err(ConversionError::new("a relation is not a column"))
    }

    /// The text input form, `None` for NULL. Of a relation: its key.
    fn text(&self) -> Option<String>;

    /// Whether the value is NULL or stands for "let the database make it".
    fn is_unset(&self) -> bool {
        false
    }

    /// Whether it is a [`Lazy`](crate::Lazy) column that is not loaded.
    fn is_missing(&self) -> bool {
        false
    }

    /// The value as part of an entity's key, where the type can be one.
    fn key_part(&self) -> Option<KeyPart> {
        None
    }

    /// This property as a to-one relation.
    fn as_reference(&self) -> Option<&dyn AnyReference> {
        None
    }

    /// This property as a to-one relation, to be changed.
    fn as_reference_mut(&mut self) -> Option<&mut dyn AnyReference> {
        None
    }

    /// This property as a to-many relation.
    fn as_collection(&self) -> Option<&dyn AnyCollection> {
        None
    }

    /// This property as a to-many relation, to be changed.
    fn as_collection_mut(&mut self) -> Option<&mut dyn AnyCollection> {
        None
    }
}

/// The other side of a comparison or assignment, if it is of the same type.
pub(crate) fn downcast<P: Property>(property: &dyn Property) -> Option<&P> {
    (property as &dyn Any).downcast_ref::<P>()
}

impl<T: ScalarType> Property for T {
    fn same(&self, other: &dyn Property, precision: Option<u8>) -> bool {
        downcast::<T>(other).is_some_and(|other| ScalarType::same(self, other, precision))
    }

    fn assign(&mut self, from: &dyn Property) {
        if let Some(from) = downcast::<T>(from) {
            self.clone_from(from);
        }
    }

    fn boxed(&self) -> Box<dyn Property> {
        Box::new(self.clone())
    }

    fn encode(&self, out: &mut Vec<u8>) -> Result<bool, ConversionError> {
        ScalarType::encode(self, out).map(|()| true)
    }

    fn decode(&mut self, raw: Option<&[u8]>) -> Result<(), ConversionError> {
        *self = <T as ColumnType>::from_raw(raw)?;
        Ok(())
    }

    fn text(&self) -> Option<String> {
        let mut out = String::new();
        self.write_text(&mut out);
        Some(out)
    }

    fn is_unset(&self) -> bool {
        ScalarType::is_unset(self)
    }

    fn key_part(&self) -> Option<KeyPart> {
        let mut out = Vec::new();
        ScalarType::encode(self, &mut out).ok()?;
        KeyPart::decode(T::TYPE, &out)
    }
}

impl<T: ScalarType> Property for Option<T> {
    fn same(&self, other: &dyn Property, precision: Option<u8>) -> bool {
        match (self, downcast::<Self>(other)) {
            (Some(value), Some(Some(other))) => ScalarType::same(value, other, precision),
            (None, Some(None)) => true,
            _ => false,
        }
    }

    fn assign(&mut self, from: &dyn Property) {
        if let Some(from) = downcast::<Self>(from) {
            self.clone_from(from);
        }
    }

    fn boxed(&self) -> Box<dyn Property> {
        Box::new(self.clone())
    }

    fn encode(&self, out: &mut Vec<u8>) -> Result<bool, ConversionError> {
        match self {
            Some(value) => ScalarType::encode(value, out).map(|()| true),
            None => Ok(false),
        }
    }

    fn decode(&mut self, raw: Option<&[u8]>) -> Result<(), ConversionError> {
        *self = <Self as ColumnType>::from_raw(raw)?;
        Ok(())
    }

    fn text(&self) -> Option<String> {
        self.as_ref().and_then(Property::text)
    }

    fn is_unset(&self) -> bool {
        self.is_none()
    }
}

impl<T: ScalarType> ColumnType for T {
    type Operand = T;
    const NULLABLE: bool = false;
    type With<U: ScalarType> = U;
    type WithBoth<Other: ColumnType, U: ScalarType> = Other::With<U>;

    fn read(row: &mut RowReader<'_>) -> Result<Self, Error> {
        row.next_value()
    }

    fn from_raw(raw: Option<&[u8]>) -> Result<Self, ConversionError> {
        let raw = raw.ok_or_else(|| ConversionError::new("NULL in a field that is not an Option"))?;
        <T as ScalarType>::decode(raw)
    }

    fn unset() -> Option<Self> {
        <T as ScalarType>::unset()
    }
}

impl<T: ScalarType> ColumnType for Option<T> {
    type Operand = T;
    const NULLABLE: bool = true;
    type With<U: ScalarType> = Option<U>;
    type WithBoth<Other: ColumnType, U: ScalarType> = Option<U>;

    fn read(row: &mut RowReader<'_>) -> Result<Self, Error> {
        row.next_option()
    }

    fn from_raw(raw: Option<&[u8]>) -> Result<Self, ConversionError> {
        raw.map(<T as ScalarType>::decode).transpose()
    }

    fn unset() -> Option<Self> {
        Some(None)
    }
}
