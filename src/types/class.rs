//! What can be asked of a type's values in SQL: whether they have an order, are text, can be calculated with. The operators
//! of expressions name these traits, so that what makes no sense does not compile.

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, Utc};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use uuid::Uuid;

use super::enumeration::{EnumStorage, OrderedEnum};
use super::{DbEnum, Json, ScalarType};

/// A scalar that PostgreSQL orders: `<`, `>`, `BETWEEN` and `ORDER BY` make sense.
#[diagnostic::on_unimplemented(
    message = "`{Self}` values have no order in PostgreSQL",
    label = "cannot be compared with <, > or BETWEEN"
)]
pub trait OrderedType: ScalarType {}

/// A scalar that PostgreSQL has `min` and `max` of: it has an order, and is neither `bool`, `Uuid` nor bytes.
#[diagnostic::on_unimplemented(
    message = "PostgreSQL has no smallest and greatest of `{Self}` values",
    label = "min() and max() are of numbers, text, times, enums and arrays"
)]
pub trait MinMaxType: OrderedType {}

impl MinMaxType for i16 {}
impl MinMaxType for i32 {}
impl MinMaxType for i64 {}
impl MinMaxType for f32 {}
impl MinMaxType for f64 {}
impl MinMaxType for String {}
impl MinMaxType for DateTime<Utc> {}
impl MinMaxType for NaiveDateTime {}
impl MinMaxType for NaiveDate {}
impl MinMaxType for NaiveTime {}

#[diagnostic::do_not_recommend]
impl<T: ArrayElement + OrderedType> MinMaxType for Vec<T> {}

#[diagnostic::do_not_recommend]
impl<E: DbEnum + OrderedEnum> MinMaxType for E {}

/// A scalar that is text: patterns and text functions make sense.
#[diagnostic::on_unimplemented(message = "`{Self}` is not text", label = "this needs a text column")]
pub trait TextType: ScalarType {}

/// A scalar that can be the element of an array column (`Vec<T>`).
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the element of an array column",
    label = "not an array element"
)]
pub trait ArrayElement: ScalarType {}

/// A scalar that is an array: `Vec<T>`.
#[diagnostic::on_unimplemented(message = "`{Self}` is not an array", label = "this needs an array column (Vec<T>)")]
pub trait ArrayType: ScalarType {
    /// What the array holds.
    type Element: ArrayElement;
}

impl<T: ArrayElement> ArrayType for Vec<T> {
    type Element = T;
}

/// A scalar that can be calculated with: integers and floats.
#[diagnostic::on_unimplemented(message = "`{Self}` is not a number", label = "this needs a column of numbers")]
pub trait NumericType: ScalarType {}

impl NumericType for i16 {}
impl NumericType for i32 {}
impl NumericType for i64 {}
impl NumericType for f32 {}
impl NumericType for f64 {}

/// A scalar that has a length: text, bytes, arrays.
#[diagnostic::on_unimplemented(message = "`{Self}` has no length", label = "this needs text, bytes or an array")]
pub trait MeasuredType: ScalarType {
    /// The function that measures it.
    #[doc(hidden)]
    const LENGTH: &'static str;
}

impl MeasuredType for String {
    const LENGTH: &'static str = "length";
}

impl MeasuredType for Vec<u8> {
    const LENGTH: &'static str = "length";
}

impl<T: ArrayElement> MeasuredType for Vec<T> {
    const LENGTH: &'static str = "cardinality";
}

/// A scalar that is a day, or a point in time.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a date",
    label = "this needs a column of DateTime<Utc>, NaiveDateTime or NaiveDate"
)]
pub trait TemporalType: ScalarType {
    /// What stands before and behind a value to make it a `timestamp`, in UTC.
    #[doc(hidden)]
    const AS_TIMESTAMP: (&'static str, &'static str);
    /// What stands before and behind a `timestamp` to make it a value again.
    #[doc(hidden)]
    const FROM_TIMESTAMP: (&'static str, &'static str);
}

impl TemporalType for DateTime<Utc> {
    const AS_TIMESTAMP: (&'static str, &'static str) = ("(", " AT TIME ZONE 'UTC')");
    const FROM_TIMESTAMP: (&'static str, &'static str) = ("(", " AT TIME ZONE 'UTC')");
}

impl TemporalType for NaiveDateTime {
    const AS_TIMESTAMP: (&'static str, &'static str) = ("", "");
    const FROM_TIMESTAMP: (&'static str, &'static str) = ("", "");
}

impl TemporalType for NaiveDate {
    const AS_TIMESTAMP: (&'static str, &'static str) = ("(", ")::timestamp");
    const FROM_TIMESTAMP: (&'static str, &'static str) = ("(", ")::date");
}

/// A scalar that is a JSON document: `serde_json::Value` or [`Json<T>`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not JSON",
    label = "this needs a JSON column (serde_json::Value or Json<T>)"
)]
pub trait JsonType: ScalarType {}

impl JsonType for Value {}
impl<T> JsonType for Json<T> where Self: ScalarType {}

/// A type that a value inside of a JSON document can be read as.
#[diagnostic::on_unimplemented(
    message = "a JSON value cannot be read as `{Self}`",
    label = "expected bool, a number, String, Uuid, a chrono type, an enum, serde_json::Value or Json<T>"
)]
pub trait JsonScalar: ScalarType {
    /// The texts before, between and behind the document: what makes SQL read the value.
    #[doc(hidden)]
    const READ: &'static [&'static str];
}

/// A value of another JSON type reads as NULL. Integers are compared as `numeric`: a number that is too large for the Rust
/// type is not equal to any value, and no error.
const NUMBER: &[&str] = &["(CASE WHEN jsonb_typeof(", ") = 'number' THEN (", ")::numeric END)"];
const FLOAT: &[&str] = &["(CASE WHEN jsonb_typeof(", ") = 'number' THEN (", ")::float8 END)"];
const BOOLEAN: &[&str] = &["(CASE WHEN jsonb_typeof(", ") = 'boolean' THEN (", ")::bool END)"];
const TEXT: &[&str] = &["(", " #>> '{}')"];

macro_rules! json_scalar {
    ($($rust:ty => $read:expr;)*) => {$(
        impl JsonScalar for $rust {
            const READ: &'static [&'static str] = $read;
        }
    )*};
}

json_scalar! {
    bool => BOOLEAN;
    i16 => NUMBER;
    i32 => NUMBER;
    i64 => NUMBER;
    f32 => FLOAT;
    f64 => FLOAT;
    String => TEXT;
    Uuid => &["(", " #>> '{}')::uuid"];
    DateTime<Utc> => &["(", " #>> '{}')::timestamptz"];
    NaiveDateTime => &["(", " #>> '{}')::timestamp"];
    NaiveDate => &["(", " #>> '{}')::date"];
    NaiveTime => &["(", " #>> '{}')::time"];
    Value => &["", ""];
}

impl<T> JsonScalar for Json<T>
where
    T: Serialize + DeserializeOwned,
    Self: ScalarType,
{
    const READ: &'static [&'static str] = &["", ""];
}

#[diagnostic::do_not_recommend]
impl<E: DbEnum> JsonScalar for E {
    const READ: &'static [&'static str] = match E::META.storage {
        EnumStorage::Integer { .. } => NUMBER,
        EnumStorage::Text { .. } | EnumStorage::Native { .. } => TEXT,
    };
}
