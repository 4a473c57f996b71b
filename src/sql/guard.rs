//! Statements that fail by themselves when they do not write what they were asked to (rules C5, C9): COMMIT is in the same
//! flight behind them, and nobody looks at their answers before.
//!
//! A failure is raised by casting a text that says what is wrong; the server's message quotes it, in any language.

use std::fmt::Write as _;

use super::identifier::{push_column, push_joined, push_list, push_table};
use super::insert::{Written, key_columns, travel_type};
use super::intake::{Intake, push_intake};
use super::update::{push_match, push_rows, version_column};
use crate::metadata::EntityDef;

/// In front of the positions of the rows that an UPDATE or DELETE has not found.
pub(super) const STALE: &str = "howdah:stale:";

/// In front of the number of rows that an INSERT has inserted instead.
const SUPPRESSED: &str = "howdah:suppressed:";

/// In front of the number of rows whose keys cannot be told apart.
const UNORDERED: &str = "howdah:unordered:";

/// Appends the query behind `WITH u AS (UPDATE or DELETE … RETURNING k0, …)`: it fails unless `u` has every row, and
/// names those that it does not have by their positions. Where the statement makes a value `v`, the query returns key and value.
pub(super) fn push_guard(out: &mut String, keys: &[Written<'_>], returns_value: bool) {
    if !returns_value {
        out.push(' ');
        push_check(out, keys);
        return;
    }
    out.push_str(", g AS MATERIALIZED (");
    push_check(out, keys);
    out.push_str(") SELECT ");
    push_list(out, 0..keys.len(), |out, index| {
        let _ = write!(out, "u.k{index}");
    });
    // The join makes sure that the check is carried out even if there is no row at all.
    out.push_str(", u.v FROM g LEFT JOIN u ON g.ok = 0");
}

fn push_check(out: &mut String, keys: &[Written<'_>]) {
    let Some(first) = keys.first() else { return };
    let first = travel_type(first.pg);
    let _ = write!(out, "SELECT CASE WHEN count(*) = cardinality($1::{first}) THEN 0 ELSE (SELECT '{STALE}' || ");
    out.push_str("string_agg(x.o::text, ',') FROM unnest(");
    push_list(out, keys.iter().enumerate(), |out, (index, column)| {
        let _ = write!(out, "${}::{}", index + 1, travel_type(column.pg));
    });
    out.push_str(") WITH ORDINALITY AS x(");
    push_list(out, 0..keys.len(), |out, index| {
        let _ = write!(out, "k{index}");
    });
    out.push_str(", o) WHERE NOT EXISTS (SELECT FROM u WHERE ");
    push_joined(out, " AND ", 0..keys.len(), |out, index| {
        let _ = write!(out, "u.k{index} = x.k{index}");
    });
    out.push_str("))::int4 END AS ok FROM u");
}

/// The text that asks which rows are not as they have been read, by key (and version), and returns their keys. With `only_newer` it asks for rows
/// that have a higher version; `None` if there are no versions.
pub(crate) fn stale_rows(entity: &EntityDef, only_newer: bool) -> Option<String> {
    let keys = key_columns(entity);
    let version = version_column(entity);
    let mut text = "SELECT ".to_owned();
    push_list(&mut text, 0..keys.len(), |text, index| {
        let _ = write!(text, "s.k{index}");
    });
    text.push_str(" FROM ");
    push_rows(&mut text, &keys, version.as_ref(), &[], 0);
    text.push_str(if only_newer { " WHERE EXISTS (SELECT FROM " } else { " WHERE NOT EXISTS (SELECT FROM " });
    push_table(&mut text, entity.schema.as_deref(), &entity.table);
    text.push_str(" AS t0 WHERE ");
    if only_newer {
        push_match(&mut text, &keys, None);
        text.push_str(" AND ");
        push_column(&mut text, "t0", version?.name);
        text.push_str(" > s.v");
    } else {
        push_match(&mut text, &keys, version.as_ref());
    }
    text.push(')');
    Some(text)
}

/// Appends the query behind `WITH i AS (INSERT … RETURNING k0, …, r0, …)`: it fails unless every row was inserted, under its
/// key where that was given (in the parameters `given`), and unless keys that were made can be told apart by their order. Returns the keys,
/// the other values, and the [`Intake`] of the table: if that is plain, the guard is not needed the next time.
pub(super) fn push_insert_guard(
    out: &mut String,
    entity: &EntityDef,
    count: &str,
    given: &[usize],
    returned: Option<(usize, usize)>,
) {
    push_intake(out, entity);
    let _ = write!(out, ", g AS MATERIALIZED (SELECT CASE WHEN count(*) <> {count}");
    if !given.is_empty() {
        out.push_str(" OR EXISTS (SELECT FROM unnest(");
        push_list(out, given.iter().zip(&entity.key), |out, (param, column)| {
            let _ = write!(out, "${param}::{}", column.pg.array_name);
        });
        out.push_str(") AS x(");
        push_list(out, 0..given.len(), |out, index| {
            let _ = write!(out, "k{index}");
        });
        out.push_str(") WHERE NOT EXISTS (SELECT FROM i WHERE ");
        push_joined(out, " AND ", 0..given.len(), |out, index| {
            let _ = write!(out, "i.k{index} = x.k{index}");
        });
        out.push_str("))");
    }
    let _ = write!(out, " THEN ('{SUPPRESSED}' || count(*))::int4");
    if given.is_empty() {
        let _ = write!(
            out,
            " WHEN count(*) > 1 AND (SELECT f.intake FROM f) < {} THEN ('{UNORDERED}' || count(*))::int4",
            Intake::Plain as u8
        );
    }
    out.push_str(" ELSE (SELECT f.intake FROM f) END AS intake FROM i) SELECT ");
    match returned {
        None => out.push_str("g.intake FROM g"),
        Some((keys, others)) => {
            for index in 0..keys {
                let _ = write!(out, "i.k{index}, ");
            }
            for index in 0..others {
                let _ = write!(out, "i.r{index}, ");
            }
            out.push_str("g.intake FROM g LEFT JOIN i ON true");
        }
    }
}

/// What a statement has found wrong with itself.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum GuardFailure {
    /// An UPDATE or DELETE has not found these rows, by their positions in the statement.
    NotFound(Vec<usize>),
    /// An INSERT was kept from inserting rows as they are.
    Suppressed,
    /// An INSERT has made keys whose order does not tell whose they are.
    Unordered,
}

/// What a guard has raised, if that is what the server's message says.
pub(crate) fn guard_failure(message: &str) -> Option<GuardFailure> {
    if message.contains(SUPPRESSED) {
        return Some(GuardFailure::Suppressed);
    }
    if message.contains(UNORDERED) {
        return Some(GuardFailure::Unordered);
    }
    let (_, positions) = message.split_once(STALE)?;
    let end = positions.find(|character: char| !character.is_ascii_digit() && character != ',');
    let positions = &positions[..end.unwrap_or(positions.len())];
    // The server counts from one.
    let positions = positions.split(',').map(|position| position.parse::<usize>().ok()?.checked_sub(1));
    positions.collect::<Option<Vec<_>>>().map(GuardFailure::NotFound)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_are_read_in_any_language() {
        let message = "ungültige Eingabesyntax für Typ integer: »howdah:stale:1,12«";
        assert_eq!(guard_failure(message), Some(GuardFailure::NotFound(vec![0, 11])));
        let message = "invalid input syntax for type boolean: \"howdah:suppressed:3\"";
        assert_eq!(guard_failure(message), Some(GuardFailure::Suppressed));
        assert_eq!(guard_failure("invalid input syntax for type integer: \"x\""), None);
    }
}
