//! What stories keep away from, because the library refuses it: before a flush that would do it, the story is changed.

use std::collections::BTreeSet;

use super::reference::{Flushed, Model, Repair, State};
use super::tables::{Id, Value};

/// Unique values that move between rows in one flush (rules C6, C8).
pub const UNIQUE_MOVES: bool = false;

/// Rows of tables that refer to each other: inserted in a circle, or deleted together (rules C6, C7).
pub const ROW_CIRCLES: bool = false;

/// Tables that refer to each other without a nullable column (rule C7).
pub const NOT_NULL_CIRCLES: bool = false;

/// After a flush that was dropped when its COMMIT was sent, the next operation finds out what became of it (rule C12).
pub const DROPPED_FLUSHES_ARE_SETTLED: bool = false;

/// A DELETE looks at the version, too (rule C9).
pub const DELETES_CHECK_VERSIONS: bool = false;

/// What has to be changed so that the flush does only what the library can.
pub fn beyond(before: &Model, flushed: &Flushed) -> Option<Repair> {
    let moves = if UNIQUE_MOVES { None } else { unique_move(before, flushed) };
    let circles = || if ROW_CIRCLES { None } else { circle(before, flushed) };
    moves.or_else(circles)
}

/// A row that takes a unique value from one that gives it away in the same flush.
fn unique_move(before: &Model, flushed: &Flushed) -> Option<Repair> {
    let after = &flushed.model.rows;
    for (taker, row) in after {
        for columns in row.table.definition().unique {
            let is_taken = |(giver, old): (&Id, &super::reference::Row)| {
                giver != taker
                    && old.table == row.table
                    && columns
                        .iter()
                        .all(|column| old.fields[*column] == row.fields[*column] && row.fields[*column] != Value::Null)
            };
            if before.rows.iter().any(is_taken) {
                return Some(Repair::Assign(*taker, columns[columns.len() - 1]));
            }
        }
    }
    None
}

/// A new row that refers to itself over other new rows, or a deleted one of two that depend on each other's order.
fn circle(before: &Model, flushed: &Flushed) -> Option<Repair> {
    for id in &flushed.inserted {
        let row = &flushed.model.rows[id];
        for (column, _) in row.table.references() {
            let Value::Row(target) = row.fields[column] else { continue };
            if reaches(flushed, target, *id) {
                return Some(Repair::Assign(*id, column));
            }
        }
    }
    for id in &flushed.deleted {
        let Some(row) = before.rows.get(id) else { continue };
        for (column, table) in row.table.references() {
            let Value::Row(target) = row.fields[column] else { continue };
            let together = flushed.deleted.contains(&target) && table != row.table && row.table.in_circle_with(table);
            if together {
                let kept = if before.memory[id].state == State::Removing { *id } else { target };
                return Some(Repair::Keep(kept));
            }
        }
    }
    None
}

/// Whether a new row refers to another one, over new rows.
fn reaches(flushed: &Flushed, from: Id, to: Id) -> bool {
    let mut seen = BTreeSet::new();
    let mut queue = vec![from];
    while let Some(id) = queue.pop() {
        if !flushed.inserted.contains(&id) || !seen.insert(id) {
            continue;
        }
        if id == to {
            return true;
        }
        let row = &flushed.model.rows[&id];
        queue.extend(row.table.references().filter_map(|(column, _)| match row.fields[column] {
            Value::Row(target) => Some(target),
            _ => None,
        }));
    }
    false
}
