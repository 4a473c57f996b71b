//! Row locks: `FOR UPDATE OF t0 NOWAIT`.
//!
//! Only rows of the root table are locked: the server refuses to lock what a LEFT JOIN may not have found.

use std::fmt::Write as _;

use super::identifier::push_table;
use super::select::{ROOT, push_key_match};
use crate::metadata::EntityDef;

/// What a row lock keeps others from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum LockStrength {
    KeyShare,
    Share,
    NoKeyUpdate,
    Update,
}

/// What happens if somebody else holds a conflicting lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum LockWait {
    /// The statement waits for the other transaction to end.
    Wait,
    /// The statement fails.
    NoWait,
    /// The row is left out of the result.
    SkipLocked,
}

/// A lock on rows that are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct RowLock {
    pub(crate) strength: LockStrength,
    pub(crate) wait: LockWait,
}

/// Appends the locking clause of a SELECT.
pub(super) fn push_lock(out: &mut String, lock: RowLock) {
    let strength = match lock.strength {
        LockStrength::KeyShare => "KEY SHARE",
        LockStrength::Share => "SHARE",
        LockStrength::NoKeyUpdate => "NO KEY UPDATE",
        LockStrength::Update => "UPDATE",
    };
    let wait = match lock.wait {
        LockWait::Wait => "",
        LockWait::NoWait => " NOWAIT",
        LockWait::SkipLocked => " SKIP LOCKED",
    };
    let _ = write!(out, " FOR {strength} OF {ROOT}{wait}");
}

/// The text that looks for the row with one key, and locks it. A row comes back if it is there, and was not skipped.
pub(crate) fn row(entity: &EntityDef, lock: Option<RowLock>) -> String {
    let mut text = "SELECT 1 FROM ".to_owned();
    push_table(&mut text, entity.schema.as_deref(), &entity.table);
    let _ = write!(text, " AS {ROOT} WHERE ");
    push_key_match(&mut text, &entity.key);
    if let Some(lock) = lock {
        push_lock(&mut text, lock);
    }
    text
}
