//! UPDATE and DELETE of all rows that fulfil a condition.

use std::fmt::Write as _;

use super::condition::Writer;
use super::expression::Expression;
use super::identifier::{push_cast, push_identifier};
use super::insert::{Written, written};
use super::parameter::{Param, Statement};
use super::query::SelectQuery;
use super::restriction::push_where;
use super::scalar::Like;
use super::select::ROOT;
use super::term::Term;
use super::update::{push_next_version, version_column};
use super::view::View;
use crate::entity::FieldPath;
use crate::error::Error;
use crate::metadata::EntityDef;
use crate::types::Key;

/// What a column, or the columns of a relation, are set to.
#[derive(Clone, Debug)]
pub(crate) enum SetValue {
    Term(Term),
    Key(Key),
    Null,
    /// The key of an entity that has none.
    Unknown,
}

/// Which rows are updated or deleted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rows<'a> {
    pub(crate) entity: &'a EntityDef,
    pub(crate) filter: &'a [Expression],
    /// What of the rows is answered with: as they are now, or as they were before they were deleted.
    pub(crate) returned: Option<&'a SelectQuery>,
}

/// A property and what it is set to.
#[derive(Debug)]
pub(crate) struct SetProperty {
    /// The empty path at the entity.
    pub(crate) path: FieldPath,
    pub(crate) property: u16,
    pub(crate) value: SetValue,
}

/// The statement that updates rows, and counts their versions up unless these are set.
///
/// # Errors
/// [`Error::Conversion`] for a value that cannot be bound; [`Error::Validation`] for what has many values.
pub(crate) fn native_update(view: &View, rows: Rows<'_>, assignments: &[SetProperty]) -> Result<Statement, Error> {
    let entity = rows.entity;
    let mut writer = Writer::new(view);
    let mut set: Vec<String> = Vec::new();
    for assignment in assignments {
        for (index, column) in written(entity, &[assignment.property]).iter().enumerate() {
            let mut text = String::new();
            push_identifier(&mut text, column.name);
            text.push_str(" = ");
            push_set_value(&mut text, &mut writer, entity, column, assignment, index)?;
            set.push(text);
        }
    }
    let is_version = |assignment: &SetProperty| Some(usize::from(assignment.property)) == entity.version;
    if let (Some(version), false) = (version_column(entity), assignments.iter().any(is_version)) {
        let mut text = String::new();
        push_next_version(&mut text, &version);
        set.push(text);
    }
    let visible = writer.visible(entity)?;
    let condition = writer.restriction(entity, rows.filter)?;
    let mut text = "UPDATE ".to_owned();
    view.push_entity(&mut text, entity);
    let _ = write!(text, " AS {ROOT} SET {}", set.join(", "));
    push_where(&mut text, &[&visible, &condition]);
    writer.written_rows(entity, rows.returned, text)
}

/// The statement that deletes rows.
///
/// # Errors
/// As [`native_update`].
pub(crate) fn native_delete(view: &View, rows: Rows<'_>) -> Result<Statement, Error> {
    let entity = rows.entity;
    let mut writer = Writer::new(view);
    let visible = writer.visible(entity)?;
    let condition = writer.restriction(entity, rows.filter)?;
    let mut text = "DELETE FROM ".to_owned();
    view.push_entity(&mut text, entity);
    let _ = write!(text, " AS {ROOT}");
    push_where(&mut text, &[&visible, &condition]);
    writer.written_rows(entity, rows.returned, text)
}

/// Appends the value of a column; of a relation's key it is the part with this index.
fn push_set_value(
    out: &mut String,
    writer: &mut Writer<'_>,
    entity: &EntityDef,
    column: &Written<'_>,
    assignment: &SetProperty,
    index: usize,
) -> Result<(), Error> {
    match &assignment.value {
        SetValue::Null => out.push_str("NULL"),
        SetValue::Unknown => {
            let message =
                format!("{}.{} cannot be set to an entity that has no row yet", entity.meta.name, column.name);
            return Err(Error::validation(entity.meta.name, message));
        }
        SetValue::Key(key) => {
            let Some(part) = key.parts().get(index) else { return Ok(()) };
            writer.params.push(Param::key_part(column.pg, part));
            let _ = write!(out, "${}::{}", writer.params.len(), column.pg.name);
            push_cast(out, column.sql_type);
        }
        SetValue::Term(term) => {
            let this = Term::Column { path: assignment.path.clone(), property: assignment.property };
            let like = writer.like(&this).map(Like::written);
            out.push_str(&writer.row_term(entity, term, like)?);
        }
    }
    Ok(())
}
