//! SELECT: the rows of an entity by any condition, or by the key.

use std::fmt::Write as _;

use super::condition::Writer;
use super::expression::Selection;
use super::identifier::{push_cast, push_column, push_joined, push_list, push_table};
use super::lock::push_lock;
use super::parameter::{Param, Statement};
use super::scope::Scope;
use super::shape::Shape;
use crate::error::Error;
use crate::metadata::{EntityDef, KeyColumnDef, Metadata};

/// The alias of the entity that is selected.
pub(super) const ROOT: &str = "t0";

/// Appends `a."x" = b."x" AND …`.
pub(super) fn push_column_pairs(out: &mut String, one: &str, ones: &[KeyColumnDef], two: &str, twos: &[KeyColumnDef]) {
    push_joined(out, " AND ", ones.iter().zip(twos), |out, (left, right)| {
        push_column(out, one, &left.name);
        out.push_str(" = ");
        push_column(out, two, &right.name);
    });
}

/// Appends `t0."a", t0."b"`: the key, as the order that makes results repeatable.
pub(super) fn push_key_order(out: &mut String, entity: &EntityDef) {
    push_list(out, &entity.key, |out, column| push_column(out, ROOT, &column.name));
}

/// The rows that a find asks for.
///
/// # Errors
/// [`Error::Validation`] for an order over a to-many relation, [`Error::Conversion`] for a value that cannot be bound.
pub(crate) fn select(metadata: &Metadata, plan: &Selection, shape: &Shape) -> Result<Statement, Error> {
    let mut writer = Writer::new(metadata);
    let text = push_select(&mut writer, plan, shape)?;
    Ok(Statement { text: text.into(), params: writer.into_params() })
}

/// The text of [`select`].
pub(super) fn push_select(writer: &mut Writer<'_>, plan: &Selection, shape: &Shape) -> Result<String, Error> {
    let metadata = writer.metadata();
    let entity = metadata.of(plan.meta)?;
    let mut list = String::new();
    let mut joins = String::new();
    shape.push(metadata, &mut list, &mut joins);
    let mut scope = Scope::new(ROOT.to_owned(), entity.index);
    let filter = writer.filter(&mut scope, &plan.filter)?;
    let order = writer.order(&mut scope, &plan.order)?;
    let mut text = format!("SELECT {list} FROM ");
    push_table(&mut text, entity.schema.as_deref(), &entity.table);
    let _ = write!(text, " AS {ROOT}{joins}{}", scope.joins());
    if !filter.is_empty() {
        let _ = write!(text, " WHERE {filter}");
    }
    if !order.is_empty() {
        let _ = write!(text, " ORDER BY {order}");
    }
    if let Some(limit) = plan.limit {
        let _ = write!(text, " LIMIT {}", writer.bind_count(limit));
    }
    if let Some(offset) = plan.offset {
        let _ = write!(text, " OFFSET {}", writer.bind_count(offset));
    }
    if let Some(lock) = plan.lock {
        push_lock(&mut text, lock);
    }
    Ok(text)
}

/// `FROM … WHERE …` of a find, without what does not change which rows there are.
fn from_where(metadata: &Metadata, plan: &Selection) -> Result<(String, Vec<Param>), Error> {
    let entity = metadata.of(plan.meta)?;
    let mut writer = Writer::new(metadata);
    let mut scope = Scope::new(ROOT.to_owned(), entity.index);
    let filter = writer.filter(&mut scope, &plan.filter)?;
    let mut text = " FROM ".to_owned();
    push_table(&mut text, entity.schema.as_deref(), &entity.table);
    let _ = write!(text, " AS {ROOT}{}", scope.joins());
    if !filter.is_empty() {
        let _ = write!(text, " WHERE {filter}");
    }
    Ok((text, writer.into_params()))
}

/// How many rows a find would load, without its limit and offset.
///
/// # Errors
/// As [`select`].
pub(crate) fn count(metadata: &Metadata, plan: &Selection) -> Result<Statement, Error> {
    let (rest, params) = from_where(metadata, plan)?;
    Ok(Statement { text: format!("SELECT count(*){rest}").into(), params })
}

/// Whether a find would load anything.
///
/// # Errors
/// As [`select`].
pub(crate) fn exists(metadata: &Metadata, plan: &Selection) -> Result<Statement, Error> {
    let (rest, params) = from_where(metadata, plan)?;
    Ok(Statement { text: format!("SELECT EXISTS (SELECT 1{rest})").into(), params })
}

/// The text that selects the row with the key in the parameters.
pub(crate) fn select_one(metadata: &Metadata, entity: &EntityDef) -> String {
    let mut list = String::new();
    let mut joins = String::new();
    Shape::of(entity).push(metadata, &mut list, &mut joins);
    let mut text = format!("SELECT {list} FROM ");
    push_table(&mut text, entity.schema.as_deref(), &entity.table);
    let _ = write!(text, " AS {ROOT}{joins} WHERE ");
    push_key_match(&mut text, &entity.key);
    text
}

/// Appends the condition that columns of the selected entity are those of the key in the parameters.
pub(super) fn push_key_match(out: &mut String, columns: &[KeyColumnDef]) {
    push_joined(out, " AND ", columns.iter().enumerate(), |out, (index, column)| {
        push_column(out, ROOT, &column.name);
        let _ = write!(out, " = ${}::{}", index + 1, column.pg.name);
        push_cast(out, column.sql_type.as_ref());
    });
}
