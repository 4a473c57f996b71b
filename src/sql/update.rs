//! `UPDATE … FROM unnest(…)`: any number of rows in which the same columns changed.

use std::fmt::Write as _;

use super::guard::push_guard;
use super::identifier::{push_column, push_identifier, push_joined, push_list, push_table};
use super::insert::{Written, key_columns, push_returned, push_value, travel_type, written};
use crate::metadata::EntityDef;

/// Appends `unnest($1::int8[], …) AS s(k0, …, v, c0, …)`: key, version, values. Parameters begin behind `first`.
pub(super) fn push_rows(
    out: &mut String,
    keys: &[Written<'_>],
    version: Option<&Written<'_>>,
    values: &[Written<'_>],
    first: usize,
) {
    let all = || keys.iter().chain(version).chain(values);
    out.push_str("unnest(");
    push_list(out, all().enumerate(), |out, (index, column)| {
        let _ = write!(out, "${}::{}", first + index + 1, travel_type(column.pg));
    });
    out.push_str(") AS s(");
    let names = (0..keys.len())
        .map(|index| format!("k{index}"))
        .chain(version.map(|_| "v".to_owned()))
        .chain((0..values.len()).map(|index| format!("c{index}")));
    push_list(out, names, |out, name| out.push_str(&name));
    out.push(')');
}

/// Appends `t0."id" = s.k0 AND …` and the check of the version.
pub(super) fn push_match(out: &mut String, keys: &[Written<'_>], version: Option<&Written<'_>>) {
    push_joined(out, " AND ", keys.iter().enumerate(), |out, (index, column)| {
        push_column(out, "t0", column.name);
        out.push_str(" = ");
        push_value(out, &format!("k{index}"), column);
    });
    if let Some(version) = version {
        out.push_str(" AND ");
        push_column(out, "t0", version.name);
        out.push_str(" = s.v");
    }
}

/// The column of the `#[version]` field.
pub(super) fn version_column(entity: &EntityDef) -> Option<Written<'_>> {
    let version = entity.version.and_then(|version| entity.column(version))?;
    Some(Written { name: &version.name, pg: version.meta.pg, sql_type: version.sql_type.as_ref() })
}

/// Whether the version is a point in time, and not a number.
pub(super) fn is_point_in_time(version: &Written<'_>) -> bool {
    matches!(version.pg.name, "timestamptz" | "timestamp")
}

/// Whether the statement answers with a new version for every row: a number is counted up, a point in time is the server's.
pub(crate) fn returns_version(entity: &EntityDef) -> bool {
    version_column(entity).is_some_and(|version| is_point_in_time(&version))
}

/// Appends the keys that a statement returns to its guard.
pub(super) fn push_found_keys(out: &mut String, keys: &[Written<'_>]) {
    out.push_str(" RETURNING ");
    push_list(out, 0..keys.len(), |out, index| {
        let _ = write!(out, "s.k{index}");
    });
}

/// The text that updates these properties of rows by key (and version), counts the version up, and fails unless it has found every row (rule C9).
pub(crate) fn update(entity: &EntityDef, properties: &[u16]) -> String {
    let keys = key_columns(entity);
    let version = version_column(entity);
    let values = written(entity, properties);
    let mut text = "WITH u AS (UPDATE ".to_owned();
    push_table(&mut text, entity.schema.as_deref(), &entity.table);
    text.push_str(" AS t0 SET ");
    push_list(&mut text, values.iter().enumerate(), |text, (index, column)| {
        push_identifier(text, column.name);
        text.push_str(" = ");
        push_value(text, &format!("c{index}"), column);
    });
    if let Some(version) = &version {
        if !values.is_empty() {
            text.push_str(", ");
        }
        push_next_version(&mut text, version);
    }
    text.push_str(" FROM ");
    push_rows(&mut text, &keys, version.as_ref(), &values, 0);
    text.push_str(" WHERE ");
    push_match(&mut text, &keys, version.as_ref());
    push_found_keys(&mut text, &keys);
    let returned = version.as_ref().filter(|version| is_point_in_time(version));
    if let Some(version) = returned {
        text.push_str(", ");
        push_returned(&mut text, "t0.", version);
        text.push_str(" AS v");
    }
    text.push(')');
    push_guard(&mut text, &keys, returned.is_some());
    text
}

/// Appends `"version" = t0."version" + 1`. A point in time moves on even if the clock does not.
pub(super) fn push_next_version(out: &mut String, version: &Written<'_>) {
    push_identifier(out, version.name);
    if !is_point_in_time(version) {
        out.push_str(" = ");
        push_column(out, "t0", version.name);
        out.push_str(" + 1");
        return;
    }
    // Without a time zone it is in UTC, like the one that the program has given the new row.
    let now = if version.pg.name == "timestamp" { "clock_timestamp() AT TIME ZONE 'UTC'" } else { "clock_timestamp()" };
    let _ = write!(out, " = greatest({now}, ");
    push_column(out, "t0", version.name);
    out.push_str(" + interval '1 microsecond')");
}

/// The text that sets these properties of rows to NULL: others can have their values until the UPDATE behind it (rule C8).
pub(crate) fn park(entity: &EntityDef, properties: &[u16]) -> String {
    in_advance(entity, &written(entity, properties), &[])
}

/// The text that sets these properties of rows in advance of the UPDATE behind it, which also checks the version.
pub(crate) fn advance(entity: &EntityDef, properties: &[u16]) -> String {
    let values = written(entity, properties);
    in_advance(entity, &values, &values)
}

/// Sets columns to these values, or to NULL where there are none.
fn in_advance(entity: &EntityDef, columns: &[Written<'_>], values: &[Written<'_>]) -> String {
    let keys = key_columns(entity);
    let mut text = "UPDATE ".to_owned();
    push_table(&mut text, entity.schema.as_deref(), &entity.table);
    text.push_str(" AS t0 SET ");
    push_list(&mut text, columns.iter().enumerate(), |text, (index, column)| {
        push_identifier(text, column.name);
        text.push_str(" = ");
        match values.get(index) {
            Some(value) => push_value(text, &format!("c{index}"), value),
            None => text.push_str("NULL"),
        }
    });
    text.push_str(" FROM ");
    push_rows(&mut text, &keys, None, values, 0);
    text.push_str(" WHERE ");
    push_match(&mut text, &keys, None);
    text
}
