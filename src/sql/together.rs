//! Several inserts, or deletes, in one statement: foreign keys are checked at its end, so rows may refer to each other in a
//! circle (rule C7).

use std::fmt::Write as _;

use super::delete::push_delete;
use super::guard::STALE;
use super::identifier::{push_joined, push_list, push_table};
use super::insert::{Rows, Written, key_columns, push_insert, push_returned, travel_type, written};
use super::update::{push_match, push_rows};
use crate::metadata::EntityDef;

/// One of the statements.
pub(crate) struct Part<'a> {
    text: String,
    keys: Vec<Written<'a>>,
    /// The parameters that the keys are in.
    key_params: Vec<usize>,
}

/// Inserts rows with these properties, the key among them. Its parameters begin behind `first`.
pub(crate) fn together_insert<'a>(entity: &'a EntityDef, properties: &[u16], first: usize) -> Part<'a> {
    let columns = written(entity, properties);
    let keys = key_columns(entity);
    let mut text = String::new();
    push_insert(&mut text, entity, properties, &columns, Rows { first, numbered: false });
    text.push_str(" RETURNING ");
    push_list(&mut text, keys.iter().enumerate(), |text, (index, column)| {
        push_returned(text, "", column);
        let _ = write!(text, " AS k{index}");
    });
    let position = |key: &Written<'_>| columns.iter().position(|column| column.name == key.name);
    let key_params = keys.iter().filter_map(position).map(|index| first + index + 1).collect();
    Part { text, keys, key_params }
}

/// Deletes rows by key (and version). Its parameters begin behind `first`.
pub(crate) fn together_delete(entity: &EntityDef, first: usize) -> Part<'_> {
    let keys = key_columns(entity);
    let mut text = String::new();
    push_delete(&mut text, entity, first);
    let key_params = (1..=keys.len()).map(|index| first + index).collect();
    Part { text, keys, key_params }
}

/// The text that runs them all, and fails unless each has written every row. Rows are counted through all parts.
pub(crate) fn together(parts: &[Part<'_>]) -> String {
    let mut text = "WITH ".to_owned();
    push_list(&mut text, parts.iter().enumerate(), |text, (index, part)| {
        let _ = write!(text, "p{index} AS ({})", part.text);
    });
    let first_key = |part: &Part<'_>| {
        let keys = part.keys.first().zip(part.key_params.first());
        keys.map(|(key, param)| format!("cardinality(${param}::{})", travel_type(key.pg))).unwrap_or_default()
    };
    text.push_str(" SELECT CASE WHEN ");
    push_joined(&mut text, " AND ", parts.iter().enumerate(), |text, (index, part)| {
        let _ = write!(text, "(SELECT count(*) FROM p{index}) = {}", first_key(part));
    });
    let _ = write!(text, " THEN 0 ELSE (SELECT '{STALE}' || string_agg(m.o::text, ',') FROM (");
    let mut before = String::new();
    push_joined(&mut text, " UNION ALL ", parts.iter().enumerate(), |text, (index, part)| {
        let _ = write!(text, "SELECT x.o{before} AS o FROM unnest(");
        let _ = write!(before, " + {}", first_key(part));
        push_list(text, part.keys.iter().zip(&part.key_params), |text, (key, param)| {
            let _ = write!(text, "${param}::{}", travel_type(key.pg));
        });
        text.push_str(") WITH ORDINALITY AS x(");
        push_list(text, 0..part.keys.len(), |text, key| {
            let _ = write!(text, "k{key}");
        });
        let _ = write!(text, ", o) WHERE NOT EXISTS (SELECT FROM p{index} WHERE ");
        push_joined(text, " AND ", 0..part.keys.len(), |text, key| {
            let _ = write!(text, "p{index}.k{key} = x.k{key}");
        });
        text.push(')');
    });
    text.push_str(") AS m)::int4 END");
    text
}

/// The text that reads what the database has made of rows that were inserted, by key.
pub(crate) fn read_back(entity: &EntityDef, properties: &[u16]) -> String {
    let keys = key_columns(entity);
    let mut text = "SELECT ".to_owned();
    let columns = written(entity, properties);
    push_list(&mut text, keys.iter().chain(&columns), |text, column| push_returned(text, "t0.", column));
    text.push_str(" FROM ");
    push_table(&mut text, entity.schema.as_deref(), &entity.table);
    text.push_str(" AS t0, ");
    push_rows(&mut text, &keys, None, &[], 0);
    text.push_str(" WHERE ");
    push_match(&mut text, &keys, None);
    text
}
