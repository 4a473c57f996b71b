//! Rust ↔ PostgreSQL types.
//!
//! The lowest step of the house. A [`ScalarType`] says how one Rust type travels in PostgreSQL's binary format,
//! how two of its values are compared (rule B2) and how it is spelled as text (array literals of batched
//! statements, column defaults). A [`Key`] is the untyped key of a row.

use std::fmt::Debug;

mod array;
mod binary;
mod boolean;
mod class;
mod column_reader;
mod datetime;
mod enumeration;
mod json;
mod key;
mod number;
mod projection;
mod row;
mod sql_value;
mod text;
mod tuples;
mod uuid;
mod version;

pub(crate) use array::for_each_element;
pub use class::{
    ArrayElement, ArrayType, JsonScalar, JsonType, MeasuredType, MinMaxType, NumericType, OrderedType, TemporalType,
    TextType,
};
pub use column_reader::ColumnReader;
pub use enumeration::{DbEnum, EnumMeta, EnumStorage, OrderedEnum};
pub use json::Json;
pub use key::{EntityKey, Key, KeyFrom, KeyPart};
pub use projection::{
    AsColumn, AsMany, AsOne, AsOptional, ColumnShape, ExpectedRow, FieldShape, FromRow, Projection, ProjectionField,
    ProjectionFieldMeta, ProjectionMeta, RowValue,
};
pub use row::RowReader;
pub(crate) use row::{Fields, RawColumn, RowView, read_record};
pub use sql_value::SqlValue;
pub(crate) use tuples::for_each_tuple;
pub use version::{Version, VersionType};

/// A PostgreSQL type, with the OIDs that the server gives its values and its arrays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PgType {
    /// The name used in casts: `int8`, `text`, `int8[]`.
    pub name: &'static str,
    /// The OID of the type.
    pub oid: u32,
    /// The name of the array type: `int8[]`. The type's own name for an array.
    pub array_name: &'static str,
    /// The OID of the array type; 0 for an array, whose arrays are the same type again.
    pub array_oid: u32,
}

impl PgType {
    /// A scalar type and its array type.
    pub const fn new(name: &'static str, oid: u32, array_name: &'static str, array_oid: u32) -> Self {
        Self { name, oid, array_name, array_oid }
    }

    /// The type of arrays of this type.
    pub const fn array(self) -> Self {
        Self { name: self.array_name, oid: self.array_oid, array_name: self.array_name, array_oid: 0 }
    }

    /// Whether this is an array type.
    pub const fn is_array(&self) -> bool {
        self.array_oid == 0
    }
}

/// A value could not be turned into, or read from, its PostgreSQL form.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ConversionError {
    /// What is wrong with the value.
    pub message: String,
}

impl ConversionError {
    /// A conversion error with this message.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into() }
    }
}

/// A Rust type that one non-null PostgreSQL value maps to.
///
/// Implemented for `bool`, `i16`, `i32`, `i64`, `f32`, `f64`, `String`, `Vec<u8>`, [`Uuid`](::uuid::Uuid), chrono's
/// `DateTime<Utc>`, `NaiveDateTime`, `NaiveDate` and `NaiveTime`, [`serde_json::Value`], [`Json<T>`](Json),
/// enums with `#[derive(DbEnum)]`, and `Vec` of each. `Option` of each is nullable.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be stored in a column",
    label = "not a column type",
    note = "use bool, i16, i32, i64, f32, f64, String, Vec<u8>, Uuid, a chrono type, Json<T>, an enum with #[derive(DbEnum)], or Option/Vec of one; or mark the field #[transient]"
)]
pub trait ScalarType: Clone + Debug + Send + Sync + 'static {
    /// The PostgreSQL type that values are sent as.
    const TYPE: PgType;
    /// OIDs of result columns that [`decode`](Self::decode) understands.
    const ACCEPTS: &'static [u32] = &[Self::TYPE.oid];
    /// The enum, if this is one or an array of one.
    const ENUM: Option<&'static EnumMeta> = None;

    /// Appends the value in PostgreSQL's binary format (without its length).
    ///
    /// # Errors
    /// If the value is outside of what the PostgreSQL type can hold.
    fn encode(&self, out: &mut Vec<u8>) -> Result<(), ConversionError>;

    /// Reads a value in binary format.
    ///
    /// # Errors
    /// If the bytes are not a value of this type.
    fn decode(raw: &[u8]) -> Result<Self, ConversionError>;

    /// Whether writing `self` over `other` would change nothing in the database (rule B2).
    /// `precision` is the number of digits behind the point that the column keeps, where that was declared.
    fn same(&self, other: &Self, precision: Option<u8>) -> bool;

    /// Appends the value in PostgreSQL's text input form, unquoted.
    fn write_text(&self, out: &mut String);

    /// Whether the value is the one that stands for "let the database make it": 0, nil, empty.
    /// Asked only of properties whose value the database can generate.
    fn is_unset(&self) -> bool {
        false
    }

    /// The value that a field holds until the database has generated one; `None` where the type has none.
    fn unset() -> Option<Self> {
        None
    }
}

/// What a filter may compare a column of type `V` with: a `V`, a `&V`, and `&str` for `String`.
#[diagnostic::on_unimplemented(
    message = "a column of type `{V}` cannot be compared with `{Self}`",
    label = "expected a value of type `{V}`"
)]
pub trait Operand<V> {
    /// The value to bind.
    fn into_operand(self) -> V;
}

impl<V: ScalarType> Operand<V> for V {
    fn into_operand(self) -> V {
        self
    }
}

impl<V: ScalarType> Operand<V> for &V {
    fn into_operand(self) -> V {
        self.clone()
    }
}

impl Operand<String> for &&str {
    fn into_operand(self) -> String {
        (*self).to_owned()
    }
}

impl Operand<String> for &str {
    fn into_operand(self) -> String {
        self.to_owned()
    }
}
