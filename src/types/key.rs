//! Keys: what identifies a row, typed for users ([`EntityKey`]), untyped for the core ([`Key`]).
//!
//! A [`Key`] is the identity map's hash key and also enough to write a key or a foreign key column, so the core
//! never needs to know the Rust type of a key.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use ::uuid::Uuid;
use bytes::BufMut;

use super::{PgType, RowReader, ScalarType};
use crate::error::Error;

/// One column of a key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum KeyPart {
    /// An integer of any width.
    Int(i64),
    /// A UUID.
    Uuid(Uuid),
    /// Text.
    Text(Arc<str>),
    /// Any other type, in its binary form.
    Binary(Arc<[u8]>),
}

/// The kind is left out: within one column all are of the same.
impl Hash for KeyPart {
    fn hash<H: Hasher>(&self, state: &mut H) {
        match self {
            Self::Int(value) => state.write_i64(*value),
            Self::Uuid(value) => value.hash(state),
            Self::Text(value) => value.hash(state),
            Self::Binary(value) => value.hash(state),
        }
    }
}

impl KeyPart {
    /// Appends the binary form that a column of type `pg` expects.
    pub(crate) fn encode(&self, pg: PgType, out: &mut Vec<u8>) {
        self.with_bytes(pg, |bytes| out.put_slice(bytes));
    }

    /// Looks at the binary form that a column of type `pg` expects.
    pub(crate) fn with_bytes<R>(&self, pg: PgType, look: impl FnOnce(&[u8]) -> R) -> R {
        match self {
            Self::Int(value) => match pg.oid {
                // Key parts were made from values of these widths: nothing is cut off.
                21 => look(&i16::try_from(*value).unwrap_or_default().to_be_bytes()),
                23 => look(&i32::try_from(*value).unwrap_or_default().to_be_bytes()),
                _ => look(&value.to_be_bytes()),
            },
            Self::Uuid(value) => look(value.as_bytes()),
            Self::Text(value) => look(value.as_bytes()),
            Self::Binary(value) => look(value),
        }
    }

    /// Reads a key column of type `pg`.
    pub(crate) fn decode(pg: PgType, raw: &[u8]) -> Option<Self> {
        Some(match pg.oid {
            20 => Self::Int(i64::from_be_bytes(raw.try_into().ok()?)),
            23 => Self::Int(i32::from_be_bytes(raw.try_into().ok()?).into()),
            21 => Self::Int(i16::from_be_bytes(raw.try_into().ok()?).into()),
            2950 => Self::Uuid(Uuid::from_slice(raw).ok()?),
            25 => Self::Text(std::str::from_utf8(raw).ok()?.into()),
            _ => Self::Binary(raw.into()),
        })
    }
}

impl fmt::Display for KeyPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Int(value) => value.fmt(f),
            Self::Uuid(value) => value.fmt(f),
            Self::Text(value) => value.fmt(f),
            Self::Binary(value) => value.iter().try_for_each(|byte| write!(f, "{byte:02x}")),
        }
    }
}

/// The key of a row, whatever its type: what the identity map hashes.
#[derive(Clone, Debug, Eq)]
pub enum Key {
    /// A key of one column.
    One(KeyPart),
    /// A composite key.
    Many(Arc<[KeyPart]>),
}

// By hand, so that the integers that most keys are need no call: rows are sorted, and looked up, by their keys.
impl PartialEq for Key {
    #[inline]
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::One(KeyPart::Int(one)), Self::One(KeyPart::Int(two))) => one == two,
            _ => self.parts() == other.parts(),
        }
    }
}

impl Ord for Key {
    #[inline]
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::One(KeyPart::Int(one)), Self::One(KeyPart::Int(two))) => one.cmp(two),
            _ => self.parts().cmp(other.parts()),
        }
    }
}

impl PartialOrd for Key {
    #[inline]
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        match self {
            Self::One(part) => part.hash(state),
            Self::Many(parts) => parts.iter().for_each(|part| part.hash(state)),
        }
    }
}

impl Key {
    /// A key of these columns; `None` if there are none.
    pub(crate) fn from_parts(mut parts: Vec<KeyPart>) -> Option<Self> {
        match parts.len() {
            0 => None,
            1 => parts.pop().map(Self::One),
            _ => Some(Self::Many(parts.into())),
        }
    }

    /// The columns of the key.
    pub fn parts(&self) -> &[KeyPart] {
        match self {
            Self::One(part) => std::slice::from_ref(part),
            Self::Many(parts) => parts,
        }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::One(part) => part.fmt(f),
            Self::Many(parts) => {
                f.write_str("(")?;
                for (index, part) in parts.iter().enumerate() {
                    if index > 0 {
                        f.write_str(", ")?;
                    }
                    part.fmt(f)?;
                }
                f.write_str(")")
            }
        }
    }
}

/// The type of an entity's key: a scalar, or a tuple where several fields are marked `#[primary_key]`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a primary key",
    label = "not a key type",
    note = "use i16, i32, i64, Uuid, String, bool, a chrono type, Vec<u8> or an enum with #[derive(DbEnum, PartialEq)]; or a relation (Ref<T>)"
)]
pub trait EntityKey: Clone + PartialEq + fmt::Debug + Send + Sync + 'static {
    /// How many columns the key has.
    const COLUMNS: usize;

    /// Appends the PostgreSQL types of the columns.
    fn push_types(out: &mut Vec<PgType>);

    /// Appends the columns of this key.
    fn push_parts(&self, out: &mut Vec<KeyPart>);

    /// Takes the key from its columns, `None` if they are of other types.
    fn take(parts: &mut std::slice::Iter<'_, KeyPart>) -> Option<Self>;

    /// Reads the key from a row; `None` if one of its columns is NULL.
    ///
    /// # Errors
    /// [`Error::Conversion`] if the columns hold something else.
    fn read(row: &mut RowReader<'_>) -> Result<Option<Self>, Error>;

    /// The untyped key.
    fn to_key(&self) -> Key {
        let mut parts = Vec::with_capacity(Self::COLUMNS);
        self.push_parts(&mut parts);
        Key::from_parts(parts).unwrap_or(Key::Many(Arc::new([])))
    }

    /// The typed key; `None` if `key` is of another type.
    fn from_key(key: &Key) -> Option<Self> {
        Self::take(&mut key.parts().iter())
    }
}

macro_rules! scalar_key {
    ($($type:ty: |$value:ident| $part:expr, $pattern:pat => $back:expr;)*) => {$(
        impl EntityKey for $type {
            const COLUMNS: usize = 1;

            fn push_types(out: &mut Vec<PgType>) {
                out.push(<$type as ScalarType>::TYPE);
            }

            fn push_parts(&self, out: &mut Vec<KeyPart>) {
                let $value = self;
                out.push($part);
            }

            fn take(parts: &mut std::slice::Iter<'_, KeyPart>) -> Option<Self> {
                match parts.next()? {
                    $pattern => $back,
                    _ => None,
                }
            }

            fn read(row: &mut RowReader<'_>) -> Result<Option<Self>, Error> {
                row.next_option::<$type>()
            }

            fn to_key(&self) -> Key {
                let $value = self;
                Key::One($part)
            }
        }
    )*};
}

/// The binary form of a value that is used as a key.
fn binary<T: ScalarType>(value: &T) -> KeyPart {
    let mut out = Vec::new();
    // A value that cannot be encoded is refused with a proper error when the row is written.
    let _ = value.encode(&mut out);
    KeyPart::Binary(out.into())
}

scalar_key! {
    i16: |v| KeyPart::Int(i64::from(*v)), KeyPart::Int(v) => i16::try_from(*v).ok();
    i32: |v| KeyPart::Int(i64::from(*v)), KeyPart::Int(v) => i32::try_from(*v).ok();
    i64: |v| KeyPart::Int(*v), KeyPart::Int(v) => Some(*v);
    Uuid: |v| KeyPart::Uuid(*v), KeyPart::Uuid(v) => Some(*v);
    String: |v| KeyPart::Text(v.as_str().into()), KeyPart::Text(v) => Some((**v).to_owned());
    bool: |v| binary(v), KeyPart::Binary(raw) => ScalarType::decode(raw).ok();
    Vec<u8>: |v| binary(v), KeyPart::Binary(raw) => ScalarType::decode(raw).ok();
    chrono::DateTime<chrono::Utc>: |v| binary(v), KeyPart::Binary(raw) => ScalarType::decode(raw).ok();
    chrono::NaiveDateTime: |v| binary(v), KeyPart::Binary(raw) => ScalarType::decode(raw).ok();
    chrono::NaiveDate: |v| binary(v), KeyPart::Binary(raw) => ScalarType::decode(raw).ok();
    chrono::NaiveTime: |v| binary(v), KeyPart::Binary(raw) => ScalarType::decode(raw).ok();
}

macro_rules! tuple_key {
    ($($name:ident),*) => {
        impl<$($name: EntityKey),*> EntityKey for ($($name,)*) {
            const COLUMNS: usize = 0 $(+ $name::COLUMNS)*;

            fn push_types(out: &mut Vec<PgType>) {
                $($name::push_types(out);)*
            }

            #[allow(non_snake_case, reason = "the type parameters name the tuple's fields")]
            fn push_parts(&self, out: &mut Vec<KeyPart>) {
                let ($($name,)*) = self;
                $($name.push_parts(out);)*
            }

            fn take(parts: &mut std::slice::Iter<'_, KeyPart>) -> Option<Self> {
                Some(($($name::take(parts)?,)*))
            }

            #[allow(non_snake_case, reason = "the type parameters name the tuple's fields")]
            fn read(row: &mut RowReader<'_>) -> Result<Option<Self>, Error> {
                // Every column is read, so that the reader stands behind the key also where a part is NULL.
                $(let $name = $name::read(row)?;)*
                Ok((|| Some(($($name?,)*)))())
            }
        }

    };
}

tuple_key!(A, B);
tuple_key!(A, B, C);
tuple_key!(A, B, C, D);
tuple_key!(A, B, C, D, E);
tuple_key!(A, B, C, D, E, F);

/// What a key of this type can be given as: the key itself, integers of other widths, `&str` for `String`,
/// tuples part by part.
#[diagnostic::on_unimplemented(
    message = "a key of type `{Self}` cannot be given as `{K}`",
    label = "the entity's key is `{Self}`"
)]
pub trait KeyFrom<K>: EntityKey {
    /// The key; `None` if the value does not fit, so that no row can have it.
    fn key_from(value: K) -> Option<Self>;
}

macro_rules! integer_key_from {
    ($($key:ty: $($given:ty),*;)*) => {$($(
        impl KeyFrom<$given> for $key {
            fn key_from(value: $given) -> Option<Self> {
                Self::try_from(value).ok()
            }
        }
    )*)*};
}

integer_key_from! {
    i16: i16, i32, i64;
    i32: i16, i32, i64;
    i64: i16, i32, i64;
}

macro_rules! same_key_from {
    ($($type:ty),*) => {$(
        impl KeyFrom<$type> for $type {
            fn key_from(value: $type) -> Option<Self> {
                Some(value)
            }
        }
    )*};
}

same_key_from!(
    Uuid,
    String,
    bool,
    Vec<u8>,
    chrono::DateTime<chrono::Utc>,
    chrono::NaiveDateTime,
    chrono::NaiveDate,
    chrono::NaiveTime
);

impl KeyFrom<&str> for String {
    fn key_from(value: &str) -> Option<Self> {
        Some(value.to_owned())
    }
}

impl KeyFrom<&Self> for String {
    fn key_from(value: &Self) -> Option<Self> {
        Some(value.clone())
    }
}

macro_rules! tuple_key_from {
    ($($name:ident $given:ident),*) => {
        impl<$($name: KeyFrom<$given>, $given),*> KeyFrom<($($given,)*)> for ($($name,)*) {
            #[allow(non_snake_case, reason = "the type parameters name the tuple's fields")]
            fn key_from(value: ($($given,)*)) -> Option<Self> {
                let ($($given,)*) = value;
                Some(($($name::key_from($given)?,)*))
            }
        }
    };
}

tuple_key_from!(A A1, B B1);
tuple_key_from!(A A1, B B1, C C1);
tuple_key_from!(A A1, B B1, C C1, D D1);
tuple_key_from!(A A1, B B1, C C1, D D1, E E1);
tuple_key_from!(A A1, B B1, C C1, D D1, E E1, F F1);
