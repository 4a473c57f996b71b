//! `INSERT … SELECT … FROM unnest(…)`: any number of rows of one column set.

use std::fmt::Write as _;

use super::guard::push_insert_guard;
use super::identifier::{push_cast, push_identifier, push_list, push_table};
use crate::metadata::{EntityDef, PropertyDef, SqlType};
use crate::types::PgType;

/// A column that a statement writes: its name, the type its values travel as, and the type they are cast to.
pub(super) struct Written<'a> {
    pub(super) name: &'a str,
    pub(super) pg: PgType,
    pub(super) sql_type: Option<&'a SqlType>,
}

/// The columns of these properties, in order.
pub(super) fn written<'a>(entity: &'a EntityDef, properties: &[u16]) -> Vec<Written<'a>> {
    let mut columns = Vec::new();
    for property in properties {
        match entity.properties.get(usize::from(*property)) {
            Some(PropertyDef::Column(column)) => {
                let sql_type = column.sql_type.as_ref();
                columns.push(Written { name: &column.name, pg: column.meta.pg, sql_type });
            }
            Some(PropertyDef::Relation(relation)) => columns.extend(relation.columns.iter().map(|part| Written {
                name: &part.name,
                pg: part.pg,
                sql_type: part.sql_type.as_ref(),
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
        None if column.pg.is_array() => push_cast(out, Some(&SqlType::Given(column.pg.name))),
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

/// The text that inserts rows with these properties and returns the key and these other properties. If the keys are
/// known and nothing else is asked for, nothing is returned. A guarded statement fails unless every row is inserted as it is (rule C5).
///
/// The order of `unnest` is kept (`ORDER BY` ordinality) where a sequence makes the keys, so that they grow in the order of
/// the rows: that is how they are paired (rule C5; the form is that of SQLAlchemy's "insertmanyvalues").
pub(crate) fn insert(
    entity: &EntityDef,
    properties: &[u16],
    returning: &[u16],
    makes_keys: bool,
    guarded: bool,
) -> String {
    let columns = written(entity, properties);
    let mut text = if guarded { "WITH i AS (".to_owned() } else { String::new() };
    let mut count = "$1".to_owned();
    if let Some(first) = columns.first() {
        push_insert(&mut text, entity, properties, &columns, Rows { first: 0, numbered: makes_keys });
        if makes_keys {
            text.push_str(" ORDER BY s.o");
        }
        count = format!("cardinality($1::{})", travel_type(first.pg));
    } else {
        text.push_str("INSERT INTO ");
        push_table(&mut text, entity.schema.as_deref(), &entity.table);
        text.push_str(" SELECT FROM generate_series(1, $1::int8)");
    }
    let returns = makes_keys || !returning.is_empty();
    let keys = key_columns(entity);
    let others = written(entity, returning);
    if guarded {
        text.push_str(" RETURNING ");
        let keys_named = keys.iter().enumerate().map(|(index, column)| (column, format!("k{index}")));
        let others_named = others.iter().enumerate().map(|(index, column)| (column, format!("r{index}")));
        push_list(&mut text, keys_named.chain(others_named), |text, (column, name)| {
            push_returned(text, "", column);
            let _ = write!(text, " AS {name}");
        });
        text.push(')');
        let given = |key: &Written<'_>| Some(columns.iter().position(|column| column.name == key.name)? + 1);
        let given = keys.iter().map(given).collect::<Option<Vec<_>>>().unwrap_or_default();
        let returned = returns.then_some((keys.len(), others.len()));
        push_insert_guard(&mut text, entity, &count, &given, returned);
    } else if returns {
        text.push_str(" RETURNING ");
        push_list(&mut text, keys.iter().chain(&others), |text, column| push_returned(text, "", column));
    }
    text
}

/// How the rows of a statement arrive.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rows {
    /// The parameters begin behind this one.
    pub(super) first: usize,
    /// Whether the rows are numbered, as `s.o`.
    pub(super) numbered: bool,
}

/// Appends the INSERT of rows with these columns, up to `FROM unnest($1::text[], …) AS s(c0, …)`.
pub(super) fn push_insert(
    out: &mut String,
    entity: &EntityDef,
    properties: &[u16],
    columns: &[Written<'_>],
    rows: Rows,
) {
    out.push_str("INSERT INTO ");
    push_table(out, entity.schema.as_deref(), &entity.table);
    out.push_str(" (");
    push_list(out, columns, |out, column| push_identifier(out, column.name));
    out.push(')');
    let is_identity = |property: &u16| Some(usize::from(*property)) == entity.identity;
    if properties.iter().any(is_identity) {
        out.push_str(" OVERRIDING SYSTEM VALUE");
    }
    out.push_str(" SELECT ");
    push_list(out, columns.iter().enumerate(), |out, (index, column)| {
        push_value(out, &format!("c{index}"), column);
    });
    out.push_str(" FROM unnest(");
    push_list(out, columns.iter().enumerate(), |out, (index, column)| {
        let _ = write!(out, "${}::{}", rows.first + index + 1, travel_type(column.pg));
    });
    out.push_str(if rows.numbered { ") WITH ORDINALITY AS s(" } else { ") AS s(" });
    push_list(out, 0..columns.len(), |out, index| {
        let _ = write!(out, "c{index}");
    });
    out.push_str(if rows.numbered { ", o)" } else { ")" });
}

/// The key's columns.
pub(super) fn key_columns(entity: &EntityDef) -> Vec<Written<'_>> {
    entity.key.iter().map(|part| Written { name: &part.name, pg: part.pg, sql_type: part.sql_type.as_ref() }).collect()
}
