//! `INSERT … SELECT … FROM unnest(…)`: any number of rows of one column set.

use std::fmt::Write as _;

use super::identifier::{push_cast, push_identifier, push_list, push_table};
use crate::metadata::{EntityDef, PropertyDef};
use crate::types::PgType;

/// A column that a statement writes: its name, the type its values travel as, and the type they are cast to.
pub(super) struct Written<'a> {
    pub(super) name: &'a str,
    pub(super) pg: PgType,
    pub(super) sql_type: Option<&'static str>,
}

/// The columns of these properties, in order.
pub(super) fn written<'a>(entity: &'a EntityDef, properties: &[u16]) -> Vec<Written<'a>> {
    let mut columns = Vec::new();
    for property in properties {
        match entity.properties.get(usize::from(*property)) {
            Some(PropertyDef::Column(column)) => {
                columns.push(Written { name: &column.name, pg: column.meta.pg, sql_type: column.meta.sql_type });
            }
            Some(PropertyDef::Relation(relation)) => columns.extend(relation.columns.iter().map(|part| Written {
                name: &part.name,
                pg: part.pg,
                sql_type: part.sql_type,
            })),
            None => {}
        }
    }
    columns
}

/// The array type that a column's values travel as: arrays travel as text literals, for `unnest` would flatten them.
pub(super) const fn travel_type(pg: PgType) -> &'static str {
    if pg.is_array() { "text[]" } else { pg.array_name }
}

/// Appends `s.c0`, cast to the column's type where that is not the type it travels as.
pub(super) fn push_value(out: &mut String, name: &str, column: &Written<'_>) {
    let _ = write!(out, "s.{name}");
    match column.sql_type {
        None if column.pg.is_array() => push_cast(out, Some(column.pg.name)),
        sql_type => push_cast(out, sql_type),
    }
}

/// Appends a column of a RETURNING list, as the type its field reads.
pub(super) fn push_returned(out: &mut String, alias: &str, column: &Written<'_>) {
    out.push_str(alias);
    push_identifier(out, column.name);
    if column.sql_type.is_some() {
        let _ = write!(out, "::{}", column.pg.name);
    }
}

/// The text that inserts rows with these properties and returns the key and these other properties.
///
/// The order of `unnest` is kept (`ORDER BY` ordinality), so keys that a sequence makes grow in the order of the rows:
/// that is how the planner pairs them (rule C5; the form is that of SQLAlchemy's "insertmanyvalues").
pub(crate) fn insert(entity: &EntityDef, properties: &[u16], returning: &[u16]) -> String {
    let columns = written(entity, properties);
    let mut text = "INSERT INTO ".to_owned();
    push_table(&mut text, entity.schema.as_deref(), &entity.table);
    if columns.is_empty() {
        text.push_str(" SELECT FROM generate_series(1, $1::int8)");
    } else {
        text.push_str(" (");
        push_list(&mut text, &columns, |text, column| push_identifier(text, column.name));
        text.push(')');
        let writes_identity = entity
            .identity
            .is_some_and(|identity| properties.iter().any(|property| usize::from(*property) == identity));
        if writes_identity {
            text.push_str(" OVERRIDING SYSTEM VALUE");
        }
        text.push_str(" SELECT ");
        push_list(&mut text, columns.iter().enumerate(), |text, (index, column)| {
            push_value(text, &format!("c{index}"), column);
        });
        text.push_str(" FROM unnest(");
        push_list(&mut text, columns.iter().enumerate(), |text, (index, column)| {
            let _ = write!(text, "${}::{}", index + 1, travel_type(column.pg));
        });
        text.push_str(") WITH ORDINALITY AS s(");
        push_list(&mut text, 0..columns.len(), |text, index| {
            let _ = write!(text, "c{index}");
        });
        text.push_str(", o) ORDER BY s.o");
    }
    let mut returned: Vec<Written<'_>> = key_columns(entity);
    returned.extend(written(entity, returning));
    text.push_str(" RETURNING ");
    push_list(&mut text, &returned, |text, column| push_returned(text, "", column));
    text
}

/// The key's columns.
pub(super) fn key_columns(entity: &EntityDef) -> Vec<Written<'_>> {
    entity.key.iter().map(|part| Written { name: &part.name, pg: part.pg, sql_type: part.sql_type }).collect()
}
