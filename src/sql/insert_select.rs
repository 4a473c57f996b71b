//! `INSERT INTO … SELECT …`: rows that a query makes.

use std::fmt::Write as _;

use super::condition::Writer;
use super::identifier::{push_cast, push_identifier, push_list};
use super::insert::written;
use super::parameter::Statement;
use super::query::SelectQuery;
use super::scope::Scope;
use super::select::ROOT;
use super::shape::Shape;
use super::update::{is_point_in_time, push_next_version, version_column};
use super::upsert::push_row;
use super::view::View;
use crate::error::Error;
use crate::metadata::EntityDef;

/// What happens to a row that is there already.
#[derive(Clone, Debug)]
pub(crate) enum SelectConflict {
    /// It is an error.
    Fail,
    /// Nothing, whatever unique constraint it is about.
    Nothing,
    /// Nothing, if it is about these properties.
    NothingOn(Vec<u16>),
    /// The other columns get the values of the new row, if it is about these properties.
    Update(Vec<u16>),
}

/// Where the rows of a query go.
#[derive(Debug)]
pub(crate) struct InsertSelect<'a> {
    pub(crate) entity: &'a EntityDef,
    /// What is set, in the order of the query's columns.
    pub(crate) properties: &'a [u16],
    pub(crate) conflict: &'a SelectConflict,
    /// Whether the rows are answered with.
    pub(crate) returned: bool,
}

/// The statement that inserts the rows of a query.
///
/// # Errors
/// [`Error::Validation`] for a query that does not have as many columns; as [`super::query`].
pub(crate) fn insert_select(view: &View, query: &SelectQuery, insert: &InsertSelect<'_>) -> Result<Statement, Error> {
    let entity = insert.entity;
    let columns = written(entity, insert.properties);
    let mut writer = Writer::new(view);
    let mut scope = Scope::new(ROOT.to_owned(), view.of(query.selection.meta)?.index);
    let (select, width) = writer.nested(&mut scope, query)?;
    if width != columns.len() {
        let (wanted, name) = (columns.len(), entity.meta.name);
        let message = format!("{width} columns are selected, and {wanted} columns of {name} are to be set");
        return Err(Error::validation(name, message));
    }
    let is_set = |property: usize| insert.properties.iter().any(|set| usize::from(*set) == property);
    let version = version_column(entity).filter(|_| entity.version.is_some_and(|version| !is_set(version)));
    let mut text = "INSERT INTO ".to_owned();
    view.push_entity(&mut text, entity);
    let _ = write!(text, " AS {ROOT} (");
    push_list(&mut text, columns.iter().chain(&version), |text, column| push_identifier(text, column.name));
    text.push(')');
    if entity.identity.is_some_and(is_set) {
        text.push_str(" OVERRIDING SYSTEM VALUE");
    }
    // What travels as another type is cast to that of the column.
    text.push_str(" SELECT ");
    push_list(&mut text, columns.iter().enumerate(), |text, (index, column)| {
        let _ = write!(text, "q.\"c{index}\"");
        push_cast(text, column.sql_type);
    });
    if let Some(version) = &version {
        text.push_str(if is_point_in_time(version) { ", clock_timestamp()" } else { ", 1" });
    }
    let _ = write!(text, " FROM ({select}) AS q(");
    push_list(&mut text, 0..width, |text, index| {
        let _ = write!(text, "\"c{index}\"");
    });
    text.push(')');
    push_conflict(&mut text, insert);
    if insert.returned {
        let (mut list, mut joins) = (String::new(), String::new());
        Shape::of(entity).push(&mut writer, &mut list, &mut joins)?;
        text.push_str(" RETURNING ");
        push_row(&mut text, entity);
        let with = writer.take_ctes();
        let with = if with.is_empty() { "WITH ".to_owned() } else { format!("{}, ", with.trim_end()) };
        text = format!("{with}u AS ({text}) SELECT {list} FROM u AS {ROOT}{joins}");
    }
    Ok(writer.statement(&text))
}

/// ` ON CONFLICT …`
fn push_conflict(out: &mut String, insert: &InsertSelect<'_>) {
    let target = |out: &mut String, properties: &[u16]| {
        out.push_str(" ON CONFLICT (");
        push_list(out, written(insert.entity, properties), |out, column| push_identifier(out, column.name));
        out.push(')');
    };
    match insert.conflict {
        SelectConflict::Fail => {}
        SelectConflict::Nothing => out.push_str(" ON CONFLICT DO NOTHING"),
        SelectConflict::NothingOn(properties) => {
            target(out, properties);
            out.push_str(" DO NOTHING");
        }
        SelectConflict::Update(properties) => {
            target(out, properties);
            let others: Vec<u16> =
                insert.properties.iter().copied().filter(|property| !properties.contains(property)).collect();
            if others.is_empty() {
                out.push_str(" DO NOTHING");
                return;
            }
            out.push_str(" DO UPDATE SET ");
            push_list(out, written(insert.entity, &others), |out, column| {
                push_identifier(out, column.name);
                out.push_str(" = excluded.");
                push_identifier(out, column.name);
            });
            if let Some(version) = version_column(insert.entity) {
                out.push_str(", ");
                push_next_version(out, &version);
            }
        }
    }
}
