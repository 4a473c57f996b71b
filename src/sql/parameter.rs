//! Statements with their parameters in PostgreSQL's binary format.

use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use tokio_postgres::types::{Format, IsNull, ToSql, Type};

use crate::metadata::SqlType;
use crate::types::{ConversionError, Key, KeyPart, PgType, ScalarType};

/// A statement, ready to be sent.
#[derive(Debug)]
pub(crate) struct Statement {
    pub(crate) text: Arc<str>,
    pub(crate) params: Vec<Param>,
}

/// One bind parameter. The text casts it, so its type is never guessed by the server, unless nobody else knows it.
#[derive(Debug)]
pub(crate) enum Param {
    One(PgType, Option<Bytes>),
    Array(ColumnArray),
    /// A value as text, whose type the server infers from that of the column which it is compared with: its name.
    Inferred(&'static str, Option<String>),
}

impl Param {
    /// The OID of the parameter's type.
    pub(crate) const fn oid(&self) -> u32 {
        match self {
            Self::One(pg, _) => pg.oid,
            Self::Array(array) => array.element.array_oid,
            // The pseudo-type `unknown`.
            Self::Inferred(..) => 705,
        }
    }

    /// The name of the type, and the value as text; `None` is NULL.
    pub(crate) fn describe(&self) -> (&'static str, Option<String>) {
        match self {
            Self::One(pg, value) => (pg.name, value.as_ref().map(|value| as_text(*pg, value))),
            Self::Array(array) => {
                let mut raw = BytesMut::new();
                array.write(&mut raw);
                (array.element.array_name, Some(as_text(array.element.array(), &raw)))
            }
            Self::Inferred(name, value) => (*name, value.clone()),
        }
    }

    /// Whether it is the same value.
    pub(crate) fn is(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::One(pg, value), Self::One(other, same)) => pg == other && value == same,
            (Self::Inferred(name, value), Self::Inferred(other, same)) => name == other && value == same,
            _ => false,
        }
    }

    /// The same value, for a comparison with a column of a type that only the server knows.
    pub(super) fn inferred(self, sql_type: Option<&SqlType>) -> Self {
        match (self, sql_type) {
            (Self::One(pg, value), Some(SqlType::Given(name))) => {
                Self::Inferred(name, value.map(|value| as_text(pg, &value)))
            }
            (param, _) => param,
        }
    }

    /// Appends what tells this value from others: its type, its length and its bytes.
    pub(crate) fn push_bytes(&self, out: &mut Vec<u8>) {
        let mut bytes = BytesMut::new();
        let length = match self {
            Self::One(_, None) | Self::Inferred(_, None) => -1_i64,
            Self::One(_, Some(value)) => {
                bytes.extend_from_slice(value);
                i64::try_from(value.len()).unwrap_or(i64::MAX)
            }
            Self::Inferred(_, Some(text)) => {
                bytes.extend_from_slice(text.as_bytes());
                i64::try_from(text.len()).unwrap_or(i64::MAX)
            }
            Self::Array(array) => {
                array.write(&mut bytes);
                i64::try_from(bytes.len()).unwrap_or(i64::MAX)
            }
        };
        out.extend_from_slice(&self.oid().to_be_bytes());
        out.extend_from_slice(&length.to_be_bytes());
        out.extend_from_slice(&bytes);
    }

    /// A `bigint`.
    pub(crate) fn int8(value: i64) -> Self {
        Self::One(<i64 as crate::types::ScalarType>::TYPE, Some(Bytes::copy_from_slice(&value.to_be_bytes())))
    }

    /// A `text`.
    pub(crate) fn text(value: &str) -> Self {
        Self::One(<String as crate::types::ScalarType>::TYPE, Some(Bytes::copy_from_slice(value.as_bytes())))
    }

    /// One part of a key, for a column of type `pg`.
    pub(crate) fn key_part(pg: PgType, part: &KeyPart) -> Self {
        let mut out = Vec::new();
        part.encode(pg, &mut out);
        Self::One(pg, Some(out.into()))
    }
}

/// A value in binary format as text.
fn as_text(pg: PgType, raw: &[u8]) -> String {
    fn one<T: ScalarType>(raw: &[u8]) -> Option<String> {
        let mut out = String::new();
        T::decode(raw).ok()?.write_text(&mut out);
        Some(out)
    }
    macro_rules! of_type {
        ($($type:ty),*) => {$(
            if pg.oid == <$type as ScalarType>::TYPE.oid {
                one::<$type>(raw)
            } else if pg.oid == <Vec<$type> as ScalarType>::TYPE.oid {
                one::<Vec<$type>>(raw)
            } else)* { None }
        };
    }
    let text = of_type!(
        bool,
        i16,
        i32,
        i64,
        f32,
        f64,
        String,
        Vec<u8>,
        uuid::Uuid,
        chrono::DateTime<chrono::Utc>,
        chrono::NaiveDateTime,
        chrono::NaiveDate,
        chrono::NaiveTime,
        serde_json::Value
    );
    text.unwrap_or_else(|| raw.iter().fold("\\x".to_owned(), |out, byte| format!("{out}{byte:02x}")))
}

impl ToSql for Param {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        match self {
            Self::One(_, None) | Self::Inferred(_, None) => Ok(IsNull::Yes),
            Self::Inferred(_, Some(text)) => {
                out.put_slice(text.as_bytes());
                Ok(IsNull::No)
            }
            Self::One(_, Some(value)) => {
                out.put_slice(value);
                Ok(IsNull::No)
            }
            Self::Array(array) => {
                array.write(out);
                Ok(IsNull::No)
            }
        }
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    fn encode_format(&self, _: &Type) -> Format {
        if matches!(self, Self::Inferred(..)) { Format::Text } else { Format::Binary }
    }

    tokio_postgres::types::to_sql_checked!();
}

/// The values of one column of many rows: a one-dimensional PostgreSQL array, encoded as it grows.
#[derive(Debug)]
pub(crate) struct ColumnArray {
    element: PgType,
    count: i32,
    has_null: bool,
    values: Vec<u8>,
}

impl ColumnArray {
    /// An empty array for values of type `pg`. Values that are arrays themselves travel as text literals: `unnest` would
    /// flatten an array of arrays (rule C4).
    pub(crate) fn new(pg: PgType, rows: usize) -> Self {
        let element = if pg.is_array() { <String as crate::types::ScalarType>::TYPE } else { pg };
        Self { element, count: 0, has_null: false, values: Vec::with_capacity(rows * 12 + 36) }
    }

    /// How many bytes the values take.
    pub(crate) fn size(&self) -> usize {
        self.values.len()
    }

    /// Appends the value that `encode` writes; NULL if it answers `false`.
    pub(crate) fn push_with(
        &mut self,
        encode: impl FnOnce(&mut Vec<u8>) -> Result<bool, ConversionError>,
    ) -> Result<(), ConversionError> {
        let start = self.values.len() + 4;
        self.values.extend_from_slice(&(-1_i32).to_be_bytes());
        if encode(&mut self.values)? {
            let Ok(length) = i32::try_from(self.values.len() - start) else {
                return Err(ConversionError::new("a value is larger than 2 GiB"));
            };
            self.values[start - 4..start].copy_from_slice(&length.to_be_bytes());
        } else {
            self.values.truncate(start);
            self.has_null = true;
        }
        let Some(count) = self.count.checked_add(1) else {
            return Err(ConversionError::new("too many rows in one statement"));
        };
        self.count = count;
        Ok(())
    }

    /// Appends text, `None` for NULL.
    pub(crate) fn push_text(&mut self, text: Option<String>) -> Result<(), ConversionError> {
        self.push_with(|out| {
            out.extend_from_slice(text.as_deref().unwrap_or_default().as_bytes());
            Ok(text.is_some())
        })
    }

    /// Appends a part of a key, `None` for NULL.
    pub(crate) fn push_key_part(&mut self, part: Option<&KeyPart>) -> Result<(), ConversionError> {
        let element = self.element;
        self.push_with(|out| match part {
            Some(part) => {
                part.encode(element, out);
                Ok(true)
            }
            None => Ok(false),
        })
    }

    fn write(&self, out: &mut BytesMut) {
        out.put_i32(i32::from(self.count > 0));
        out.put_i32(i32::from(self.has_null));
        out.put_u32(self.element.oid);
        if self.count > 0 {
            out.put_i32(self.count);
            out.put_i32(1);
        }
        out.put_slice(&self.values);
    }
}

/// One array a key column, of these keys.
pub(crate) fn key_arrays<'a>(
    types: impl Iterator<Item = PgType>,
    keys: impl Iterator<Item = &'a Key> + Clone,
    count: usize,
) -> Result<Vec<Param>, ConversionError> {
    let mut params = Vec::new();
    for (position, pg) in types.enumerate() {
        let mut array = ColumnArray::new(pg, count);
        for key in keys.clone() {
            array.push_key_part(key.parts().get(position))?;
        }
        params.push(Param::Array(array));
    }
    Ok(params)
}
