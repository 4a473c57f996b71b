//! `UPDATE … FROM unnest(…)`: any number of rows in which the same columns changed.

use std::fmt::Write as _;

use super::identifier::{push_column, push_identifier, push_joined, push_list, push_table};
use super::insert::{Written, key_columns, push_returned, push_value, travel_type, written};
use crate::metadata::EntityDef;

/// Appends `unnest($1::int8[], …) AS s(k0, …, v, c0, …)`: key, version, values.
pub(super) fn push_rows(out: &mut String, keys: &[Written<'_>], version: Option<&Written<'_>>, values: &[Written<'_>]) {
    let all = || keys.iter().chain(version).chain(values);
    out.push_str("unnest(");
    push_list(out, all().enumerate(), |out, (index, column)| {
        let _ = write!(out, "${}::{}", index + 1, travel_type(column.pg));
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
    Some(Written { name: &version.name, pg: version.meta.pg, sql_type: version.meta.sql_type })
}

/// The text that updates these properties and returns the keys, and the new version, of the rows it found.
pub(crate) fn update(entity: &EntityDef, properties: &[u16]) -> String {
    let keys = key_columns(entity);
    let version = version_column(entity);
    let values = written(entity, properties);
    let mut text = "UPDATE ".to_owned();
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
        push_identifier(&mut text, version.name);
        text.push_str(" = ");
        push_column(&mut text, "t0", version.name);
        text.push_str(" + 1");
    }
    text.push_str(" FROM ");
    push_rows(&mut text, &keys, version.as_ref(), &values);
    text.push_str(" WHERE ");
    push_match(&mut text, &keys, version.as_ref());
    text.push_str(" RETURNING ");
    push_list(&mut text, keys.iter().chain(version.as_ref()), |text, column| push_returned(text, "t0.", column));
    text
}
