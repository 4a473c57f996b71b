//! Fieldless Rust enums ↔ `text` with a check, a native enum type, or an integer.
//!
//! A native enum travels as `text` and is cast on the server, in both directions: for a type with an OID of its own, the
//! driver would ask the catalogs first, which costs round trips on every connection.

use std::fmt::{Debug, Write};
use std::slice;

use bytes::BufMut;

use super::{
    ArrayElement, ConversionError, EntityKey, Key, KeyFrom, KeyPart, OrderedType, PgType, RowReader, ScalarType,
};
use crate::error::Error;

/// A fieldless enum that is the type of a column. Implemented by `#[derive(DbEnum)]`.
///
/// By default the column is `text` with a check constraint that lists the variants; `#[db_enum(native)]` makes it a native
/// PostgreSQL enum, and `#[db_enum(integer)]` an integer that holds the discriminants. `Option<Enum>` is nullable,
/// `Vec<Enum>` is an array, and an enum can be (part of) a key.
///
/// ```
/// # howdah::doctest::run(async |url| {
/// use howdah::prelude::*;
///
/// #[derive(DbEnum, Clone, Copy, Debug, PartialEq)]
/// #[db_enum(native, rename_all = "snake_case")]
/// pub enum Status {
///     Draft,
///     InReview,
///     #[db_enum(rename = "live")]
///     Published,
/// }
///
/// #[derive(Entity, Clone, Debug)]
/// pub struct Article {
///     #[primary_key]
///     pub id: i64,
///     #[property(default = Status::Draft)]
///     pub status: Status,
/// }
///
/// # let orm = Orm::builder().url(&url).entities(entities![Article]).connect().await?;
/// orm.schema().create().await?; // CREATE TYPE "status" AS ENUM ('draft', 'in_review', 'live'); CREATE TABLE …
/// let em = orm.em();
/// em.persist(NewArticle {}.with(|article| article.status = Status::InReview));
/// em.flush().await?;
/// let waiting = em.find::<Article>().filter(|a| a.status().lt(Status::Published)).await?;
/// assert_eq!(waiting[0].read().status, Status::InReview);
/// # Ok(())
/// # });
/// ```
///
/// The enum must be `Clone` and `Debug`; as a key, `PartialEq` as well. A value in the database that is no variant is
/// [`Error::Conversion`] when it is read.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an enum that a column can hold",
    label = "add #[derive(DbEnum)]"
)]
pub trait DbEnum: Clone + Debug + Send + Sync + 'static {
    /// The description of the enum.
    const META: &'static EnumMeta;
    /// All variants, in the order of their declaration.
    const VARIANTS: &'static [Self];

    /// Where the variant stands in [`VARIANTS`](Self::VARIANTS).
    fn position(&self) -> usize;
}

/// An enum whose values PostgreSQL orders: by their position (native) or number (integer). The derive says which are: of
/// text the order would be that of the alphabet. It asks for nothing, so that what an enum lacks is reported once.
#[doc(hidden)]
pub trait OrderedEnum {}

/// What `#[derive(DbEnum)]` knows of an enum.
#[derive(Debug)]
pub struct EnumMeta {
    /// The name of the enum.
    pub name: &'static str,
    /// Where it was defined, as `file:line`.
    pub source: &'static str,
    /// How its values are stored.
    pub storage: EnumStorage,
}

/// How the values of an enum are stored, each in the order of the variants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EnumStorage {
    /// `text`, with a check constraint on the column.
    Text {
        /// What the variants are called.
        labels: &'static [&'static str],
    },
    /// A type of its own, `CREATE TYPE … AS ENUM`.
    Native {
        /// What the variants are called.
        labels: &'static [&'static str],
        /// The name of the type, where it was given.
        name: Option<&'static str>,
        /// The schema of the type, where it was given.
        schema: Option<&'static str>,
    },
    /// An integer, with a check constraint on the column.
    Integer {
        /// The discriminants.
        numbers: &'static [i64],
        /// `int2`, `int4` or `int8`.
        pg: PgType,
    },
}

impl EnumMeta {
    /// An enum that is stored as `text`.
    pub const fn text(name: &'static str, source: &'static str, labels: &'static [&'static str]) -> Self {
        Self { name, source, storage: EnumStorage::Text { labels } }
    }

    /// An enum that is a type of its own.
    pub const fn native(
        name: &'static str,
        source: &'static str,
        labels: &'static [&'static str],
        type_name: Option<&'static str>,
        schema: Option<&'static str>,
    ) -> Self {
        Self { name, source, storage: EnumStorage::Native { labels, name: type_name, schema } }
    }

    /// An enum whose discriminants are stored, in an integer of this many bits.
    ///
    /// # Panics
    /// While the program is compiled, if a discriminant does not fit.
    pub const fn integer(name: &'static str, source: &'static str, bits: u8, numbers: &'static [i64]) -> Self {
        let (pg, limit) = match bits {
            16 => (<i16 as ScalarType>::TYPE, i16::MAX as i64),
            32 => (<i32 as ScalarType>::TYPE, i32::MAX as i64),
            _ => (<i64 as ScalarType>::TYPE, i64::MAX),
        };
        let mut index = 0;
        while index < numbers.len() {
            let number = numbers[index];
            assert!(
                -limit - 1 <= number && number <= limit,
                "a discriminant does not fit into the column: add #[repr(i32)] or #[repr(i64)]"
            );
            index += 1;
        }
        Self { name, source, storage: EnumStorage::Integer { numbers, pg } }
    }

    /// The type that values travel as.
    pub(crate) const fn travel_type(&self) -> PgType {
        match self.storage {
            EnumStorage::Text { .. } | EnumStorage::Native { .. } => <String as ScalarType>::TYPE,
            EnumStorage::Integer { pg, .. } => pg,
        }
    }

    const fn accepts(&self) -> &'static [u32] {
        match self.storage {
            EnumStorage::Text { .. } | EnumStorage::Native { .. } => <String as ScalarType>::ACCEPTS,
            EnumStorage::Integer { pg, .. } => match pg.oid {
                21 => <i16 as ScalarType>::ACCEPTS,
                23 => <i32 as ScalarType>::ACCEPTS,
                _ => <i64 as ScalarType>::ACCEPTS,
            },
        }
    }

    /// Whether it is a type of its own.
    pub(crate) const fn is_native(&self) -> bool {
        matches!(self.storage, EnumStorage::Native { .. })
    }

    fn write_text(&self, position: usize, out: &mut String) {
        match self.storage {
            EnumStorage::Text { labels } | EnumStorage::Native { labels, .. } => {
                out.push_str(labels.get(position).copied().unwrap_or_default());
            }
            EnumStorage::Integer { numbers, .. } => {
                let _ = write!(out, "{}", numbers.get(position).copied().unwrap_or_default());
            }
        }
    }

    fn encode(&self, position: usize, out: &mut Vec<u8>) -> Result<(), ConversionError> {
        match self.storage {
            EnumStorage::Text { labels } | EnumStorage::Native { labels, .. } => {
                out.put_slice(labels.get(position).copied().unwrap_or_default().as_bytes());
            }
            EnumStorage::Integer { numbers, pg } => {
                KeyPart::Int(numbers.get(position).copied().unwrap_or_default()).encode(pg, out);
            }
        }
        Ok(())
    }

    /// Which variant the bytes are.
    fn decode(&self, raw: &[u8]) -> Result<usize, ConversionError> {
        let found = match self.storage {
            EnumStorage::Text { labels } | EnumStorage::Native { labels, .. } => {
                labels.iter().position(|label| label.as_bytes() == raw)
            }
            EnumStorage::Integer { numbers, pg } => match KeyPart::decode(pg, raw) {
                Some(KeyPart::Int(found)) => numbers.iter().position(|number| *number == found),
                _ => None,
            },
        };
        found.ok_or_else(|| self.unknown(raw))
    }

    #[cold]
    fn unknown(&self, raw: &[u8]) -> ConversionError {
        /// More of a value does not help, and a text column may hold a whole book.
        const SHOWN: usize = 60;
        let (found, known) = match self.storage {
            EnumStorage::Text { labels } | EnumStorage::Native { labels, .. } => {
                let text = String::from_utf8_lossy(raw);
                let mut shown: String = text.chars().take(SHOWN).collect();
                if shown.len() < text.len() {
                    shown.push('…');
                }
                (format!("{shown:?}"), labels.iter().map(|label| format!("{label:?}")).collect::<Vec<_>>())
            }
            EnumStorage::Integer { numbers, pg } => {
                let found = KeyPart::decode(pg, raw).map_or_else(|| "a malformed value".to_owned(), |n| n.to_string());
                (found, numbers.iter().map(ToString::to_string).collect())
            }
        };
        ConversionError::new(format!("{found} is no value of the enum {}, which has {}", self.name, known.join(", ")))
    }
}

#[diagnostic::do_not_recommend]
impl<E: DbEnum> ScalarType for E {
    const TYPE: PgType = E::META.travel_type();
    const ACCEPTS: &'static [u32] = E::META.accepts();
    const ENUM: Option<&'static EnumMeta> = Some(E::META);

    fn encode(&self, out: &mut Vec<u8>) -> Result<(), ConversionError> {
        E::META.encode(self.position(), out)
    }

    fn decode(raw: &[u8]) -> Result<Self, ConversionError> {
        let position = E::META.decode(raw)?;
        E::VARIANTS.get(position).cloned().ok_or_else(|| E::META.unknown(raw))
    }

    fn same(&self, other: &Self, _: Option<u8>) -> bool {
        self.position() == other.position()
    }

    fn write_text(&self, out: &mut String) {
        E::META.write_text(self.position(), out);
    }
}

#[diagnostic::do_not_recommend]
impl<E: DbEnum> ArrayElement for E {}

#[diagnostic::do_not_recommend]
impl<E: DbEnum + OrderedEnum> OrderedType for E {}

#[diagnostic::do_not_recommend]
impl<E: DbEnum + PartialEq> EntityKey for E {
    const COLUMNS: usize = 1;

    fn push_types(out: &mut Vec<PgType>) {
        out.push(E::TYPE);
    }

    fn push_parts(&self, out: &mut Vec<KeyPart>) {
        out.push(key_part(self));
    }

    fn take(parts: &mut slice::Iter<'_, KeyPart>) -> Option<Self> {
        parts.next()?.with_bytes(E::TYPE, |raw| E::decode(raw).ok())
    }

    fn read(row: &mut RowReader<'_>) -> Result<Option<Self>, Error> {
        row.next_option::<E>()
    }

    fn to_key(&self) -> Key {
        Key::One(key_part(self))
    }
}

fn key_part<E: DbEnum>(value: &E) -> KeyPart {
    match E::META.storage {
        EnumStorage::Text { labels } | EnumStorage::Native { labels, .. } => {
            KeyPart::Text(labels.get(value.position()).copied().unwrap_or_default().into())
        }
        EnumStorage::Integer { numbers, .. } => {
            KeyPart::Int(numbers.get(value.position()).copied().unwrap_or_default())
        }
    }
}

#[diagnostic::do_not_recommend]
impl<E: DbEnum + PartialEq> KeyFrom<E> for E {
    fn key_from(value: E) -> Option<Self> {
        Some(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, Debug, PartialEq)]
    enum Mood {
        Sad,
        VeryHappy,
    }

    impl DbEnum for Mood {
        const META: &'static EnumMeta = &EnumMeta::native("Mood", "", &["sad", "very \"happy\""], None, None);
        const VARIANTS: &'static [Self] = &[Self::Sad, Self::VeryHappy];

        fn position(&self) -> usize {
            usize::from(*self == Self::VeryHappy)
        }
    }

    #[derive(Clone, Debug, PartialEq)]
    enum Level {
        Low,
        High,
    }

    impl DbEnum for Level {
        const META: &'static EnumMeta = &EnumMeta::integer("Level", "", 16, &[-5, 300]);
        const VARIANTS: &'static [Self] = &[Self::Low, Self::High];

        fn position(&self) -> usize {
            usize::from(*self == Self::High)
        }
    }

    fn survives<T: ScalarType>(value: &T) {
        let mut out = Vec::new();
        value.encode(&mut out).unwrap();
        assert!(T::decode(&out).unwrap().same(value, None), "{value:?}");
    }

    #[test]
    fn variants_survive_alone_in_arrays_and_as_keys() {
        for mood in Mood::VARIANTS {
            survives(mood);
            survives(&vec![mood.clone(), Mood::Sad]);
            assert_eq!(Mood::from_key(&mood.to_key()).as_ref(), Some(mood));
        }
        for level in Level::VARIANTS {
            survives(level);
            survives(&vec![level.clone(), Level::High]);
            assert_eq!(Level::from_key(&level.to_key()).as_ref(), Some(level));
        }
        assert!(!Mood::Sad.same(&Mood::VeryHappy, None));
        assert_eq!(Level::from_key(&Key::One(KeyPart::Int(7))), None);
    }

    #[test]
    fn native_enums_travel_as_text_and_numbers_as_numbers() {
        assert_eq!((Mood::TYPE.name, Vec::<Mood>::TYPE.name), ("text", "text[]"));
        assert_eq!((Level::TYPE.name, Level::ACCEPTS), ("int2", &[21][..]));
        assert!(<Vec<Mood> as ScalarType>::ENUM.is_some_and(EnumMeta::is_native));
        let mut text = String::new();
        vec![Mood::VeryHappy].write_text(&mut text);
        vec![Level::Low].write_text(&mut text);
        assert_eq!(text, r#"{"very \"happy\""}{"-5"}"#);
    }

    #[test]
    #[should_panic(expected = "a discriminant does not fit into the column")]
    fn a_number_that_is_too_large_is_refused() {
        let _ = EnumMeta::integer("Level", "", 32, &[-2_147_483_648, 2_147_483_648]);
    }

    #[test]
    fn what_is_no_variant_is_an_error_that_says_what_there_is() {
        let message = |error: Result<_, ConversionError>| error.unwrap_err().message;
        assert_eq!(
            message(Mood::decode(b"Sad").map(drop)),
            r#""Sad" is no value of the enum Mood, which has "sad", "very \"happy\"""#
        );
        assert_eq!(message(Level::decode(&[0, 7]).map(drop)), "7 is no value of the enum Level, which has -5, 300");
        assert!(message(Level::decode(&[0]).map(drop)).starts_with("a malformed value"));
        assert!(message(Mood::decode(&[0xff; 500]).map(drop)).len() < 400);
    }
}
