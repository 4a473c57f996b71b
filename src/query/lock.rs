//! How a read keeps others from changing what it has read: with a row lock, or by comparing versions.

use crate::sql::{LockStrength, LockWait, RowLock};
use crate::types::Version;

/// How an entity is locked, by [`EntityManager::lock`](crate::EntityManager::lock) or [`Find::lock`](crate::Find::lock).
///
/// The pessimistic modes are PostgreSQL's row locks: they need an open transaction, and last until it ends, or until the
/// scope that took them is rolled back. Each comes in three forms: it waits for a conflicting lock of somebody else, it skips
/// rows that are locked (`Partial`), or it fails (`OrFail`, [`Error::LockNotAvailable`](crate::Error::LockNotAvailable)).
///
/// | mode | SQL | what others cannot do meanwhile |
/// |---|---|---|
/// | `PessimisticKeyRead`, `PessimisticPartialKeyRead`, `PessimisticKeyReadOrFail` | `FOR KEY SHARE` | delete the row, change its key |
/// | `PessimisticRead`, `PessimisticPartialRead`, `PessimisticReadOrFail` | `FOR SHARE` | change or delete the row |
/// | `PessimisticNoKeyWrite`, `PessimisticPartialNoKeyWrite`, `PessimisticNoKeyWriteOrFail` | `FOR NO KEY UPDATE` | change or delete the row, or lock it but for `KeyRead` |
/// | `PessimisticWrite`, `PessimisticPartialWrite`, `PessimisticWriteOrFail` | `FOR UPDATE` | anything but reading, not even insert rows that refer to it |
///
/// A row that is to be changed and keeps its key is best locked with `PessimisticNoKeyWrite`: that is the lock an UPDATE
/// takes, and others can still insert rows that refer to it.
///
/// The optimistic mode, [`LockMode::Optimistic`], locks nothing: it compares the entity's `#[version]` with one that is
/// given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LockMode {
    /// The version of the entity must be this one. Made by [`LockMode::Optimistic`].
    OptimisticVersion(Version),
    /// `FOR KEY SHARE`
    PessimisticKeyRead,
    /// `FOR KEY SHARE SKIP LOCKED`
    PessimisticPartialKeyRead,
    /// `FOR KEY SHARE NOWAIT`
    PessimisticKeyReadOrFail,
    /// `FOR SHARE`
    PessimisticRead,
    /// `FOR SHARE SKIP LOCKED`
    PessimisticPartialRead,
    /// `FOR SHARE NOWAIT`
    PessimisticReadOrFail,
    /// `FOR NO KEY UPDATE`
    PessimisticNoKeyWrite,
    /// `FOR NO KEY UPDATE SKIP LOCKED`
    PessimisticPartialNoKeyWrite,
    /// `FOR NO KEY UPDATE NOWAIT`
    PessimisticNoKeyWriteOrFail,
    /// `FOR UPDATE`
    PessimisticWrite,
    /// `FOR UPDATE SKIP LOCKED`
    PessimisticPartialWrite,
    /// `FOR UPDATE NOWAIT`
    PessimisticWriteOrFail,
}

impl LockMode {
    /// The version of the entity must be this one: an `i16`, `i32`, `i64`, `DateTime<Utc>` or `NaiveDateTime`, as the
    /// `#[version]` field is.
    #[allow(non_snake_case, reason = "it reads as the variant that it makes, for every type a version can have")]
    #[must_use]
    pub fn Optimistic(version: impl Into<Version>) -> Self {
        Self::OptimisticVersion(version.into())
    }

    /// The row lock of a pessimistic mode, the version of the optimistic one.
    pub(crate) const fn kind(self) -> LockKind {
        use LockStrength::{KeyShare, NoKeyUpdate, Share, Update};
        use LockWait::{NoWait, SkipLocked, Wait};
        let (strength, wait) = match self {
            Self::OptimisticVersion(version) => return LockKind::Version(version),
            Self::PessimisticKeyRead => (KeyShare, Wait),
            Self::PessimisticPartialKeyRead => (KeyShare, SkipLocked),
            Self::PessimisticKeyReadOrFail => (KeyShare, NoWait),
            Self::PessimisticRead => (Share, Wait),
            Self::PessimisticPartialRead => (Share, SkipLocked),
            Self::PessimisticReadOrFail => (Share, NoWait),
            Self::PessimisticNoKeyWrite => (NoKeyUpdate, Wait),
            Self::PessimisticPartialNoKeyWrite => (NoKeyUpdate, SkipLocked),
            Self::PessimisticNoKeyWriteOrFail => (NoKeyUpdate, NoWait),
            Self::PessimisticWrite => (Update, Wait),
            Self::PessimisticPartialWrite => (Update, SkipLocked),
            Self::PessimisticWriteOrFail => (Update, NoWait),
        };
        LockKind::Rows(RowLock { strength, wait })
    }
}

/// What a lock mode asks for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum LockKind {
    Rows(RowLock),
    Version(Version),
}
