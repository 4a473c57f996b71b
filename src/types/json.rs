//! `serde_json::Value` and [`Json<T>`] ↔ `jsonb` (and `json`, for reading).
//!
//! Binary `jsonb` is a version byte, 1, before the JSON text; binary `json` is the text alone. JSON text cannot start
//! with the byte 1, so that one decoder reads both.

use std::fmt::Debug;
use std::ops::{Deref, DerefMut};

use bytes::BufMut;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{ArrayElement, ConversionError, PgType, ScalarType};

const JSONB: PgType = PgType::new("jsonb", 3802, "jsonb[]", 3807);
const ACCEPTED: &[u32] = &[3802, 114];
const JSONB_VERSION: u8 = 1;

/// A value of your own type, stored as JSON in a `jsonb` column.
///
/// Changes are found with `T`'s `PartialEq`. Where it says that two values differ, what they serialize to decides, so
/// that a value that does not equal itself (a NaN) does not look changed for ever. Fields that `PartialEq` ignores are
/// written only together with others.
///
/// JSON has no NaN and no infinity: they are stored as `null`, which reads back only into an `Option`.
///
/// `Option<Json<T>>` is a nullable column: `None` is NULL, never JSON's `null`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Json<T>(pub T);

impl<T> Deref for Json<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T> DerefMut for Json<T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.0
    }
}

impl<T> From<T> for Json<T> {
    fn from(value: T) -> Self {
        Self(value)
    }
}

fn encode<T: Serialize>(value: &T, out: &mut Vec<u8>) -> Result<(), ConversionError> {
    out.put_u8(JSONB_VERSION);
    let start = out.len();
    serde_json::to_writer(out.writer(), value)
        .map_err(|error| ConversionError::new(format!("cannot be written as JSON: {error}")))?;
    if out.get(start..).is_some_and(contains_escaped_nul) {
        return Err(ConversionError::new("jsonb cannot contain a NUL character (\\u0000) in a string"));
    }
    Ok(())
}

/// Whether JSON text spells a NUL character; `\\u0000` is a backslash and then text.
fn contains_escaped_nul(mut json: &[u8]) -> bool {
    while let Some(position) = json.iter().position(|byte| *byte == b'\\') {
        let escape = json.get(position + 1..).unwrap_or_default();
        if escape.starts_with(b"u0000") {
            return true;
        }
        json = escape.get(1..).unwrap_or_default();
    }
    false
}

fn decode<T: DeserializeOwned>(raw: &[u8]) -> Result<T, ConversionError> {
    let json = raw.strip_prefix(&[JSONB_VERSION]).unwrap_or(raw);
    serde_json::from_slice(json).map_err(|error| unreadable::<T>(&error))
}

#[cold]
fn unreadable<T>(error: &serde_json::Error) -> ConversionError {
    ConversionError::new(format!("the JSON cannot be read into {}: {error}", std::any::type_name::<T>()))
}

fn write_text<T: Serialize>(value: &T, out: &mut String) {
    // A value that is not JSON leaves nothing behind, which the server refuses; `encode` says why.
    if let Ok(json) = serde_json::to_string(value) {
        out.push_str(&json);
    }
}

impl ScalarType for Value {
    const TYPE: PgType = JSONB;
    const ACCEPTS: &'static [u32] = ACCEPTED;

    #[inline]
    fn encode(&self, out: &mut Vec<u8>) -> Result<(), ConversionError> {
        encode(self, out)
    }

    #[inline]
    fn decode(raw: &[u8]) -> Result<Self, ConversionError> {
        decode(raw)
    }

    fn same(&self, other: &Self, _: Option<u8>) -> bool {
        self == other
    }

    fn write_text(&self, out: &mut String) {
        write_text(self, out);
    }

    fn is_unset(&self) -> bool {
        self.is_null()
    }

    fn unset() -> Option<Self> {
        Some(Self::Null)
    }
}

impl<T> ScalarType for Json<T>
where
    T: Serialize + DeserializeOwned + Clone + Debug + PartialEq + Send + Sync + 'static,
{
    const TYPE: PgType = JSONB;
    const ACCEPTS: &'static [u32] = ACCEPTED;

    #[inline]
    fn encode(&self, out: &mut Vec<u8>) -> Result<(), ConversionError> {
        encode(&self.0, out)
    }

    #[inline]
    fn decode(raw: &[u8]) -> Result<Self, ConversionError> {
        decode(raw).map(Self)
    }

    fn same(&self, other: &Self, _: Option<u8>) -> bool {
        self.0 == other.0
            || match (serde_json::to_value(&self.0), serde_json::to_value(&other.0)) {
                (Ok(this), Ok(that)) => this == that,
                // Not JSON: the flush that writes it says so.
                _ => false,
            }
    }

    fn write_text(&self, out: &mut String) {
        write_text(&self.0, out);
    }
}

impl ArrayElement for Value {}

impl<T> ArrayElement for Json<T> where
    T: Serialize + DeserializeOwned + Clone + Debug + PartialEq + Send + Sync + 'static
{
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::json;

    use super::*;

    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    struct Settings {
        theme: String,
        zoom: Option<f64>,
    }

    fn encoded<T: ScalarType>(value: &T) -> Result<Vec<u8>, ConversionError> {
        let mut out = Vec::new();
        value.encode(&mut out).map(|()| out)
    }

    #[test]
    fn round_trips_with_and_without_the_version_byte() {
        for value in [json!(null), json!({"a": [1, 2.5, "ü\"\\"], "b": {}}), json!(i64::MIN), json!(u64::MAX)] {
            let raw = encoded(&value).unwrap();
            assert_eq!(raw.first(), Some(&1));
            assert_eq!(Value::decode(&raw), Ok(value.clone()));
            assert_eq!(Value::decode(&raw[1..]), Ok(value));
        }
        let settings = Json(Settings { theme: "dark".into(), zoom: Some(1.5) });
        assert_eq!(Json::decode(&encoded(&settings).unwrap()), Ok(settings));
    }

    #[test]
    fn refuses_what_is_not_this_json() {
        for raw in [&b""[..], b"\x01", b"\x02{}", b"{", b"{} {}"] {
            assert!(Value::decode(raw).is_err());
        }
        let error = Json::<Settings>::decode(b"\x01{\"zoom\":null}").unwrap_err();
        assert!(error.message.contains("missing field `theme`"), "{error}");
    }

    #[test]
    fn refuses_nul_characters_and_only_those() {
        assert!(encoded(&json!({"a": "x\0"})).is_err());
        assert!(encoded(&json!({"\0": 1})).is_err());
        assert!(encoded(&json!("\\\0")).is_err());
        assert!(encoded(&json!("\\u0000 \\\\u0000 \u{1}\\")).is_ok());
    }

    #[test]
    fn refuses_keys_that_are_not_strings() {
        let map = Json(BTreeMap::from([(vec![1], 2)]));
        assert!(encoded(&map).unwrap_err().message.starts_with("cannot be written as JSON"));
    }

    #[test]
    fn compares_by_value() {
        let (left, right): (Value, Value) =
            (serde_json::from_str(r#"{"a":1,"b":2}"#).unwrap(), serde_json::from_str(r#"{"b":2, "a":1}"#).unwrap());
        assert!(left.same(&right, None));
        assert!(!json!([1, 2]).same(&json!([2, 1]), None));
    }

    #[test]
    fn a_value_that_does_not_equal_itself_is_not_changed() {
        assert!(Json(f64::NAN).same(&Json(f64::NAN), None));
        assert!(Json(vec![f32::NAN, 1.0]).same(&Json(vec![f32::NAN, 1.0]), None));
        assert!(!Json(vec![f32::NAN, 1.0]).same(&Json(vec![f32::NAN, 2.0]), None));
    }

    #[test]
    fn only_values_have_an_unset_form() {
        assert!(Value::unset().is_some_and(|value| value.is_unset()));
        assert_eq!(Json::<i32>::unset(), None);
        assert!(!Json(0).is_unset());
    }
}
