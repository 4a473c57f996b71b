//! `INSERT … ON CONFLICT …`, which answers with every row: those that it has inserted, those that it has updated, and
//! those that it has left as they were, which RETURNING does not have.
//!
//! What comes back is paired with the rows that were sent by the columns of the conflict target, compared by the server (rule C5).

use std::fmt::Write as _;
use std::sync::Arc;

use super::condition::Writer;
use super::ddl;
use super::expression::Expression;
use super::identifier::{push_cast, push_column, push_identifier, push_joined, push_list};
use super::insert::{Written, key_columns, push_value, travel_type, written};
use super::parameter::Param;
use super::restriction::push_where;
use super::select::ROOT;
use super::shape::Shape;
use super::update::{push_next_version, version_column};
use super::view::View;
use crate::error::Error;
use crate::metadata::{ColumnDef, EntityDef, PropertyDef, SqlType};

/// What makes two rows the same.
#[derive(Clone, Debug)]
pub(crate) struct ConflictTarget {
    /// The properties of a unique constraint or index, or of the key.
    pub(crate) properties: Vec<u16>,
    /// The condition of a partial index.
    pub(crate) predicate: Option<&'static str>,
}

/// What happens to a row that is there already.
#[derive(Debug)]
pub(crate) enum ConflictAction {
    Nothing,
    Update {
        /// The properties that get the values of the row that was sent.
        merged: Vec<u16>,
        /// The properties that get other values: `on_update`.
        made: Vec<(u16, Param)>,
        /// Which rows are updated.
        filter: Vec<Expression>,
    },
}

/// Behind an entity's columns, the answer has the position of the row that was sent, from 1, and whether it was written.
///
/// The arrays of the values follow the parameters that this answers with.
///
/// # Errors
/// [`Error::Conversion`] for a value of the condition that cannot be bound.
pub(crate) fn upsert(
    view: &View,
    entity: &EntityDef,
    properties: &[u16],
    target: &ConflictTarget,
    action: ConflictAction,
) -> Result<(Arc<str>, Vec<Param>), Error> {
    let columns = written(entity, properties);
    let targets = targets(entity, properties, target);
    let mut writer = Writer::new(view);
    let visible = writer.visible(entity)?;
    let selected = Selected::of(&mut writer, entity)?;
    let (action, leaves_rows) = action_text(&mut writer, entity, &visible, action)?;

    let mut text = format!("{SENT_ROWS} AS MATERIALIZED (SELECT * FROM ");
    push_rows(&mut text, &columns, writer.params.len());
    let mut table = String::new();
    view.push_entity(&mut table, entity);
    let _ = write!(text, "), {WRITTEN_ROWS} AS (INSERT INTO {table} AS {ROOT} (");
    push_list(&mut text, &columns, |text, column| push_identifier(text, column.name));
    text.push(')');
    if properties.iter().any(|property| Some(usize::from(*property)) == entity.identity) {
        text.push_str(" OVERRIDING SYSTEM VALUE");
    }
    text.push_str(" SELECT ");
    push_list(&mut text, columns.iter().enumerate(), |text, (index, column)| {
        push_value(text, &format!("c{index}"), column);
    });
    // Whoever upserts the same rows at the same time locks them in the same order.
    let _ = write!(text, " FROM {SENT_ROWS} AS s ORDER BY ");
    push_list(&mut text, &targets, |text, (index, _)| {
        let _ = write!(text, "s.c{index}");
    });
    text.push_str(" ON CONFLICT (");
    push_list(&mut text, &targets, |text, (_, column)| push_identifier(text, column.name));
    text.push(')');
    if let Some(predicate) = target.predicate {
        let _ = write!(text, " WHERE {predicate}");
    }
    text.push_str(&action);
    text.push_str(" RETURNING ");
    push_row(&mut text, entity);
    let _ = write!(text, "), {ALL_ROWS} AS (SELECT ");
    push_row(&mut text, entity);
    let _ = write!(text, ", true AS {WRITTEN} FROM {WRITTEN_ROWS} AS {ROOT}");
    if leaves_rows {
        text.push_str(" UNION ALL SELECT ");
        push_row(&mut text, entity);
        let _ = write!(text, ", false FROM {table} AS {ROOT}");
        let predicate = target.predicate.map_or_else(String::new, |predicate| format!("({predicate})"));
        let mut is_sent = format!("EXISTS (SELECT FROM {SENT_ROWS} AS s WHERE ");
        push_same(&mut is_sent, entity, &targets);
        is_sent.push(')');
        let mut is_left = format!("NOT EXISTS (SELECT FROM {WRITTEN_ROWS} AS u WHERE ");
        push_joined(&mut is_left, " AND ", key_columns(entity), |text, column| {
            push_column(text, "u", column.name);
            text.push_str(" = ");
            push_column(text, ROOT, column.name);
        });
        is_left.push(')');
        push_where(&mut text, &[&visible, &predicate, &is_sent, &is_left]);
    }
    text.push(')');
    let is_written = match target.predicate {
        None => format!("{ROOT}.{WRITTEN}"),
        // Of rows that the index does not have, several may have the same values: then it is not known which is which.
        Some(_) => format!(
            "CASE WHEN count(*) OVER (PARTITION BY s.o) = 1 THEN {ROOT}.{WRITTEN} ELSE ('{AMBIGUOUS}' || s.o)::bool END"
        ),
    };
    let mut paired = String::new();
    let (sent, all) = (format!("{SENT_ROWS} AS s"), format!("{ALL_ROWS} AS {ROOT}"));
    selected.push_paired(&mut paired, entity, &is_written, &targets, (&sent, &all));
    let text = writer.with(&text, paired);
    Ok((view.finish(text), writer.into_params()))
}

/// The statement that reads the rows with these values of a conflict target; the answer is as that of [`upsert`].
///
/// # Errors
/// As [`upsert`].
pub(crate) fn conflicting(
    view: &View,
    entity: &EntityDef,
    target: &ConflictTarget,
) -> Result<(Arc<str>, Vec<Param>), Error> {
    let columns = written(entity, &target.properties);
    let targets = targets(entity, &target.properties, target);
    let mut writer = Writer::new(view);
    let visible = writer.visible(entity)?;
    let selected = Selected::of(&mut writer, entity)?;
    let mut table = String::new();
    view.push_entity(&mut table, entity);
    let table = match target.predicate {
        None => format!("{table} AS {ROOT}"),
        Some(predicate) => format!("(SELECT * FROM {table} WHERE {predicate}) AS {ROOT}"),
    };
    let mut rows = String::new();
    push_rows(&mut rows, &columns, writer.params.len());
    let mut text = String::new();
    selected.push_paired(&mut text, entity, "false", &targets, (&rows, &table));
    push_where(&mut text, &[&visible]);
    let text = writer.with("", text);
    Ok((view.finish(text), writer.into_params()))
}

/// The rows that were sent.
const SENT_ROWS: &str = "\"howdah:sent\"";

/// The rows that a statement has written.
pub(super) const WRITTEN_ROWS: &str = "\"howdah:written\"";

/// These, and those that it has left as they were.
const ALL_ROWS: &str = "\"howdah:all\"";

/// A name that no column has.
const WRITTEN: &str = "\"howdah:written\"";

/// In front of the position of a row that cannot be told from another one.
const AMBIGUOUS: &str = "howdah:ambiguous:";

/// Whether the server's message is that rows cannot be told apart.
pub(crate) fn is_ambiguous(message: &str) -> bool {
    message.contains(AMBIGUOUS)
}

/// What is to be done about a conflict, and whether that leaves some rows as they are.
pub(super) fn action_text(
    writer: &mut Writer<'_>,
    entity: &EntityDef,
    visible: &str,
    action: ConflictAction,
) -> Result<(String, bool), Error> {
    let ConflictAction::Update { merged, made, filter } = action else {
        return Ok((" DO NOTHING".to_owned(), true));
    };
    let condition = writer.restriction(entity, &filter)?;
    let mut assignments: Vec<String> = Vec::new();
    for column in written(entity, &merged) {
        let mut text = String::new();
        push_identifier(&mut text, column.name);
        text.push_str(" = ");
        push_column(&mut text, "excluded", column.name);
        assignments.push(text);
    }
    for (property, value) in made {
        let number = writer.bind_param(value);
        for column in written(entity, &[property]) {
            let mut text = String::new();
            push_identifier(&mut text, column.name);
            let _ = write!(text, " = ${number}::{}", column.pg.name);
            push_cast(&mut text, column.sql_type);
            assignments.push(text);
        }
    }
    if let Some(version) = version_column(entity) {
        let mut text = String::new();
        push_next_version(&mut text, &version);
        assignments.push(text);
    }
    let mut text = format!(" DO UPDATE SET {}", assignments.join(", "));
    let unconditional = text.len();
    push_where(&mut text, &[visible, &condition]);
    let leaves_rows = text.len() > unconditional;
    Ok((text, leaves_rows))
}

/// The columns of the conflict target, each with its position among the columns that are sent.
fn targets<'a>(entity: &'a EntityDef, sent: &[u16], target: &ConflictTarget) -> Vec<(usize, Written<'a>)> {
    let sent = written(entity, sent);
    let position = |column: &Written<'_>| sent.iter().position(|other| other.name == column.name);
    let columns = written(entity, &target.properties).into_iter();
    columns.filter_map(|column| Some((position(&column)?, column))).collect()
}

/// Appends `unnest($1::text[], …) WITH ORDINALITY AS s(c0, …, o)`. Parameters begin behind `first`.
fn push_rows(out: &mut String, columns: &[Written<'_>], first: usize) {
    out.push_str("unnest(");
    push_list(out, columns.iter().enumerate(), |out, (index, column)| {
        let _ = write!(out, "${}::{}", first + index + 1, travel_type(column.pg));
    });
    out.push_str(") WITH ORDINALITY AS s(");
    push_list(out, 0..columns.len(), |out, index| {
        let _ = write!(out, "c{index}");
    });
    out.push_str(", o)");
}

/// Appends every column of a row, as the table has it.
pub(super) fn push_row(out: &mut String, entity: &EntityDef) {
    let all: Vec<u16> = (0..entity.properties.len()).filter_map(|index| u16::try_from(index).ok()).collect();
    push_list(out, written(entity, &all), |out, column| push_column(out, ROOT, column.name));
}

/// Appends the condition that a row of the table has the values of the conflict target that a row has which was sent, as the
/// table keeps them: rounded where the column rounds.
fn push_same(out: &mut String, entity: &EntityDef, targets: &[(usize, Written<'_>)]) {
    push_joined(out, " AND ", targets, |out, (index, column)| {
        push_column(out, ROOT, column.name);
        out.push_str(" = ");
        push_value(out, &format!("c{index}"), column);
        if let Some(stored) = stored_type(entity, column) {
            let _ = write!(out, "::{stored}");
        }
    });
}

/// The type of a column with its modifiers, where it has any.
fn stored_type(entity: &EntityDef, column: &Written<'_>) -> Option<String> {
    if let Some(given @ SqlType::Given(_)) = column.sql_type {
        return Some(ddl::sql_type(given));
    }
    let of_property = |property: &PropertyDef| match property {
        PropertyDef::Column(ColumnDef { name, meta, .. }) if name == column.name => {
            meta.precision.map(|precision| ddl::column_type(meta.pg, None, Some(precision)))
        }
        _ => None,
    };
    entity.properties.iter().find_map(of_property)
}

/// The columns of an entity, and the joins that they need.
struct Selected {
    list: String,
    joins: String,
}

impl Selected {
    fn of(writer: &mut Writer<'_>, entity: &EntityDef) -> Result<Self, Error> {
        let (mut list, mut joins) = (String::new(), String::new());
        Shape::of(entity).push(writer, &mut list, &mut joins)?;
        Ok(Self { list, joins })
    }

    /// Appends the SELECT that pairs rows with those that were sent.
    fn push_paired(
        &self,
        out: &mut String,
        entity: &EntityDef,
        is_written: &str,
        targets: &[(usize, Written<'_>)],
        (sent, rows): (&str, &str),
    ) {
        let _ = write!(out, "SELECT {}, s.o, {is_written} FROM {sent} JOIN {rows} ON ", self.list);
        push_same(out, entity, targets);
        out.push_str(&self.joins);
    }
}
