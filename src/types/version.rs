//! Versions of rows: what a `#[version]` field can be, and any such value in one type, so that it can be handed in and
//! compared without the type of the field.

use std::any::Any;
use std::fmt;

use chrono::{DateTime, NaiveDateTime, SubsecRound, Utc};

use super::{PgType, ScalarType};

/// What a `#[version]` field can be: `i16`, `i32`, `i64`, `DateTime<Utc>` or `NaiveDateTime`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a #[version]",
    label = "not a version type",
    note = "use i16, i32, i64, DateTime<Utc> or NaiveDateTime"
)]
pub trait VersionType: ScalarType {
    /// The version of a new row: 1, or the time in UTC, in whole microseconds.
    fn initial() -> Self;
}

impl VersionType for i16 {
    fn initial() -> Self {
        1
    }
}

impl VersionType for i32 {
    fn initial() -> Self {
        1
    }
}

impl VersionType for i64 {
    fn initial() -> Self {
        1
    }
}

impl VersionType for DateTime<Utc> {
    fn initial() -> Self {
        Utc::now().trunc_subsecs(6)
    }
}

impl VersionType for NaiveDateTime {
    fn initial() -> Self {
        DateTime::<Utc>::initial().naive_utc()
    }
}

/// The value of a `#[version]` field, for [`LockMode::Optimistic`](crate::LockMode::Optimistic): any [`VersionType`]
/// converts into it.
///
/// Integers are equal whatever their width; points in time are equal if they are the same microsecond, for that is what
/// the database keeps.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Version {
    /// Of an `i16`, `i32` or `i64` field.
    Integer(i64),
    /// Of a `DateTime<Utc>` field.
    Timestamp(DateTime<Utc>),
    /// Of a `NaiveDateTime` field.
    NaiveTimestamp(NaiveDateTime),
}

impl Version {
    /// The version that a field holds; `None` if its type cannot be one.
    pub(crate) fn of(field: &dyn Any) -> Option<Self> {
        fn read<V: VersionType + Into<Version>>(field: &dyn Any) -> Option<Version> {
            field.downcast_ref::<V>().cloned().map(Into::into)
        }
        read::<i32>(field)
            .or_else(|| read::<i64>(field))
            .or_else(|| read::<i16>(field))
            .or_else(|| read::<DateTime<Utc>>(field))
            .or_else(|| read::<NaiveDateTime>(field))
    }

    /// Whether a version field whose values are sent as this type is of the same kind: only then a comparison says
    /// anything.
    pub(crate) fn fits(&self, field: PgType) -> bool {
        match self {
            Self::Integer(_) => [i16::TYPE, i32::TYPE, i64::TYPE].contains(&field),
            Self::Timestamp(_) => field == DateTime::<Utc>::TYPE,
            Self::NaiveTimestamp(_) => field == NaiveDateTime::TYPE,
        }
    }

    /// What it is, for a message.
    pub(crate) const fn kind(&self) -> &'static str {
        match self {
            Self::Integer(_) => "an integer",
            Self::Timestamp(_) => "a DateTime<Utc>",
            Self::NaiveTimestamp(_) => "a NaiveDateTime",
        }
    }
}

impl PartialEq for Version {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Integer(one), Self::Integer(two)) => one == two,
            (Self::Timestamp(one), Self::Timestamp(two)) => ScalarType::same(one, two, None),
            (Self::NaiveTimestamp(one), Self::NaiveTimestamp(two)) => ScalarType::same(one, two, None),
            _ => false,
        }
    }
}

impl Eq for Version {}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Integer(version) => version.fmt(f),
            Self::Timestamp(version) => version.fmt(f),
            Self::NaiveTimestamp(version) => version.fmt(f),
        }
    }
}

impl From<i16> for Version {
    fn from(version: i16) -> Self {
        Self::Integer(version.into())
    }
}

impl From<i32> for Version {
    fn from(version: i32) -> Self {
        Self::Integer(version.into())
    }
}

impl From<i64> for Version {
    fn from(version: i64) -> Self {
        Self::Integer(version)
    }
}

impl From<DateTime<Utc>> for Version {
    fn from(version: DateTime<Utc>) -> Self {
        Self::Timestamp(version)
    }
}

impl From<NaiveDateTime> for Version {
    fn from(version: NaiveDateTime) -> Self {
        Self::NaiveTimestamp(version)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that fails panics")]
mod tests {
    use super::*;

    #[test]
    fn any_version_field_is_read_and_compared_by_what_the_database_keeps() {
        assert_eq!(Version::of(&7_i16), Some(7_i64.into()));
        assert_eq!(Version::of(&7_i32), Some(7_i16.into()));
        assert_ne!(Version::of(&7_i64), Some(8.into()));
        assert_eq!(Version::of(&"7".to_owned()), None);
        let time = DateTime::from_timestamp(1_700_000_000, 123_456_789).unwrap();
        assert_eq!(Version::of(&time), Some(time.trunc_subsecs(6).into()));
        assert_ne!(Version::of(&time), Some(time.trunc_subsecs(3).into()));
        let naive = Version::of(&time.naive_utc()).unwrap();
        assert_ne!(naive, time.into());
        assert!(naive.fits(NaiveDateTime::TYPE) && !naive.fits(DateTime::<Utc>::TYPE) && !naive.fits(i32::TYPE));
        assert!(Version::from(time).fits(DateTime::<Utc>::TYPE) && Version::from(7).fits(i16::TYPE));
    }

    #[test]
    fn new_rows_have_versions_that_the_database_keeps_as_they_are() {
        assert_eq!((i16::initial(), i32::initial(), i64::initial()), (1, 1, 1));
        let time = DateTime::<Utc>::initial();
        assert_eq!(time, time.trunc_subsecs(6));
        assert!((Utc::now() - time).num_minutes() < 1);
        assert!((Utc::now().naive_utc() - NaiveDateTime::initial()).num_minutes() < 1);
    }
}
