//! Row locks: `FOR UPDATE OF t0 NOWAIT`.
//!
//! Only rows of the table that a query is of are locked: the server refuses to lock what a LEFT JOIN may not have found.

use std::fmt::Write as _;

use super::condition::Writer;
use super::parameter::Statement;
use super::select::{ROOT, key_parts, push_key_match};
use super::texts::{StatementTexts, Verb};
use super::view::View;
use crate::error::Error;
use crate::metadata::EntityDef;
use crate::types::Key;

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

/// Appends the locking clause of a SELECT: the rows under an alias are locked.
pub(super) fn push_lock(out: &mut String, lock: RowLock, alias: &str) {
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
    let _ = write!(out, " FOR {strength} OF {alias}{wait}");
}

/// Looks for the row with one key, and locks it. A row comes back if it is there, and was not skipped.
///
/// # Errors
/// As [`select`](super::select()).
pub(crate) fn row(
    view: &View,
    texts: &StatementTexts,
    entity: &EntityDef,
    key: &Key,
    lock: Option<RowLock>,
) -> Result<Statement, Error> {
    let mut writer = Writer::with_params(view, key_parts(&entity.key, key));
    let text = view.text(texts, (entity.index, Verb::Row(lock), &[]), entity, || {
        let seen = writer.seen(ROOT, entity)?;
        let mut text = format!("SELECT 1 FROM {}", seen.table);
        let mut by_key = String::new();
        push_key_match(&mut by_key, &entity.key);
        seen.push_where(&mut text, &[&by_key]);
        if let Some(lock) = lock {
            push_lock(&mut text, lock, ROOT);
        }
        Ok(writer.with("", text))
    })?;
    Ok(Statement { text, params: writer.into_params() })
}
