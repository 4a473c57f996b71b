//! `INSERT INTO …` past the unit of work: rows that a query makes, or values, with ON CONFLICT and RETURNING.

use std::fmt::Write as _;

use super::condition::Writer;
use super::identifier::{push_cast, push_identifier, push_list};
use super::insert::{Written, push_value, travel_type, written};
use super::parameter::{ColumnArray, Param, Statement};
use super::query::SelectQuery;
use super::scope::Scope;
use super::select::ROOT;
use super::upsert::{ConflictAction, ConflictTarget, action_text};
use super::view::View;
use crate::error::Error;
use crate::metadata::EntityDef;

/// A UUID of version 7, made by the server for each row: one of version 4, with the milliseconds in front and the version in
/// its place. (PostgreSQL has `uuidv7()` from version 18 on.)
const UUID_V7: &str = "encode(set_bit(set_bit(overlay(uuid_send(gen_random_uuid()) PLACING \
    substring(int8send(floor(extract(epoch FROM clock_timestamp()) * 1000)::int8) FROM 3) FROM 1 FOR 6), 52, 1), 53, 1), \
    'hex')::uuid";

/// What happens to a row that is there already.
#[derive(Debug)]
pub(crate) enum InsertConflict {
    /// It is an error.
    Fail,
    /// Nothing, whatever unique constraint it is about.
    Nothing,
    /// If it is about this constraint: nothing, or an update.
    On(ConflictTarget, ConflictAction),
}

/// A value that the rows of a query get beside those that are selected.
#[derive(Debug)]
pub(crate) enum Fill {
    /// The same for all.
    Value(u16, Param),
    /// A UUID for each.
    Uuid(u16),
}

/// Where rows go.
#[derive(Debug)]
pub(crate) struct Insert<'a> {
    pub(crate) entity: &'a EntityDef,
    /// What is set, in the order of the values.
    pub(crate) properties: &'a [u16],
    pub(crate) conflict: InsertConflict,
    /// What of the rows is answered with.
    pub(crate) returned: Option<&'a SelectQuery>,
}

/// The statement that inserts the rows of a query.
///
/// # Errors
/// [`Error::Validation`] for a query that does not have as many columns; as [`super::query`].
pub(crate) fn insert_select(
    view: &View,
    query: &SelectQuery,
    fills: Vec<Fill>,
    insert: Insert<'_>,
) -> Result<Statement, Error> {
    let entity = insert.entity;
    let columns = written(entity, insert.properties);
    // What is read may be in another schema; it is written where the entity is.
    let own = view.in_own_schema();
    let mut writer = Writer::new(view);
    let mut scope = Scope::new(ROOT.to_owned(), view.of(query.selection.meta)?.index);
    let kept = writer.kept(query)?;
    let (select, width) = writer.nested_keeping(&mut scope, query, kept)?;
    writer.look_through(&own);
    if width != columns.len() {
        let (wanted, name) = (columns.len(), entity.meta.name);
        let message = format!("{width} columns are selected, and {wanted} columns of {name} are to be set");
        return Err(Error::validation(name, message));
    }
    let filled = fills.iter().map(|fill| match fill {
        Fill::Value(property, _) | Fill::Uuid(property) => *property,
    });
    let filled: Vec<Written<'_>> = filled.flat_map(|property| written(entity, &[property])).collect();
    let mut text = into(&own, entity, columns.iter().chain(&filled), insert.properties);
    // What travels as another type is cast to that of the column.
    text.push_str(" SELECT ");
    push_list(&mut text, columns.iter().enumerate(), |text, (index, column)| {
        let _ = write!(text, "q.\"c{index}\"");
        push_cast(text, column.sql_type);
    });
    for (fill, column) in fills.into_iter().zip(&filled) {
        match fill {
            Fill::Value(_, param) => {
                let number = writer.bind_param(param);
                let _ = write!(text, ", ${number}::{}", column.pg.name);
            }
            Fill::Uuid(_) => {
                let _ = write!(text, ", {UUID_V7}");
            }
        }
        push_cast(&mut text, column.sql_type);
    }
    let _ = write!(text, " FROM ({select}) AS q(");
    push_list(&mut text, 0..width, |text, index| {
        let _ = write!(text, "\"c{index}\"");
    });
    text.push(')');
    finish(writer, insert, text)
}

/// The statement that inserts values: an array a column, of as many rows.
///
/// # Errors
/// [`Error::Conversion`] for a value of a filter's condition that cannot be bound.
pub(crate) fn insert_values(
    view: &View,
    arrays: Vec<ColumnArray>,
    rows: usize,
    insert: Insert<'_>,
) -> Result<Statement, Error> {
    let columns = written(insert.entity, insert.properties);
    let mut writer = Writer::new(view);
    let mut text = into(view, insert.entity, columns.iter(), insert.properties);
    text.push_str(" SELECT ");
    if columns.is_empty() {
        let count = writer.bind_count(u64::try_from(rows).unwrap_or(u64::MAX));
        let _ = write!(text, "FROM generate_series(1, {count})");
        return finish(writer, insert, text);
    }
    push_list(&mut text, columns.iter().enumerate(), |text, (index, column)| {
        push_value(text, &format!("c{index}"), column);
    });
    text.push_str(" FROM unnest(");
    push_list(&mut text, arrays.into_iter().zip(&columns), |text, (array, column)| {
        let number = writer.bind_param(Param::Array(array));
        let _ = write!(text, "${number}::{}", travel_type(column.pg));
    });
    text.push_str(") AS s(");
    push_list(&mut text, 0..columns.len(), |text, index| {
        let _ = write!(text, "c{index}");
    });
    text.push(')');
    finish(writer, insert, text)
}

/// `INSERT INTO "table" AS t0 ("column", …)`
fn into<'c>(
    view: &View,
    entity: &EntityDef,
    columns: impl Iterator<Item = &'c Written<'c>>,
    properties: &[u16],
) -> String {
    let mut text = "INSERT INTO ".to_owned();
    view.push_entity(&mut text, entity);
    let _ = write!(text, " AS {ROOT}");
    let mut list = String::new();
    push_list(&mut list, columns, |text, column| push_identifier(text, column.name));
    if !list.is_empty() {
        let _ = write!(text, " ({list})");
    }
    if properties.iter().any(|property| Some(usize::from(*property)) == entity.identity) {
        text.push_str(" OVERRIDING SYSTEM VALUE");
    }
    text
}

/// Adds what happens to rows that are there already, and what is answered with.
fn finish(mut writer: Writer<'_>, insert: Insert<'_>, mut text: String) -> Result<Statement, Error> {
    let Insert { entity, conflict, returned, .. } = insert;
    match conflict {
        InsertConflict::Fail => {}
        InsertConflict::Nothing => text.push_str(" ON CONFLICT DO NOTHING"),
        InsertConflict::On(target, action) => {
            text.push_str(" ON CONFLICT (");
            push_list(&mut text, written(entity, &target.properties), |out, column| push_identifier(out, column.name));
            text.push(')');
            if let Some(predicate) = target.predicate {
                let _ = write!(text, " WHERE {predicate}");
            }
            // Rows that filters hide are not changed.
            let visible = writer.visible(entity)?;
            text.push_str(&action_text(&mut writer, entity, &visible, action)?.0);
        }
    }
    writer.written_rows(entity, returned, text)
}
