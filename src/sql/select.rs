//! SELECT: the rows of an entity by any condition, or by the key.

use std::fmt::Write as _;

use super::compared::{key_param, push_key_param};
use super::condition::Writer;
use super::expression::Selection;
use super::identifier::{push_column, push_joined, push_list};
use super::lock::push_lock;
use super::parameter::{Param, Statement};
use super::scope::Scope;
use super::shape::Shape;
use super::texts::{StatementTexts, Verb};
use super::view::View;
use crate::error::Error;
use crate::metadata::{EntityDef, KeyColumnDef};
use crate::types::Key;

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
pub(crate) fn select(view: &View, plan: &Selection, shape: &Shape) -> Result<Statement, Error> {
    let mut writer = Writer::new(view);
    let text = push_select(&mut writer, plan, shape)?;
    Ok(writer.statement(text))
}

/// The text of [`select`].
pub(super) fn push_select(writer: &mut Writer<'_>, plan: &Selection, shape: &Shape) -> Result<String, Error> {
    let entity = writer.metadata().of(plan.meta)?;
    // Room for most: a text that grows is copied again and again.
    let mut list = String::with_capacity(32 * shape.width());
    let mut joins = String::new();
    shape.push(writer, &mut list, &mut joins)?;
    let seen = writer.seen(ROOT, entity)?;
    let mut scope = Scope::new(ROOT.to_owned(), entity.index);
    let filter = writer.filter(&mut scope, &plan.filter)?;
    let order = writer.order(&mut scope, &plan.order)?;
    let parts = ["SELECT ", &list, " FROM ", &seen.table, &joins, scope.joins()];
    let length: usize = parts.iter().map(|part| part.len()).sum();
    let mut text = String::with_capacity(length + filter.len() + order.len() + 64);
    text.extend(parts);
    seen.push_where(&mut text, &[&filter]);
    if !order.is_empty() {
        text.push_str(" ORDER BY ");
        text.push_str(&order);
    }
    if let Some(limit) = plan.limit {
        let _ = write!(text, " LIMIT {}", writer.bind_count(limit));
    }
    if let Some(offset) = plan.offset {
        let _ = write!(text, " OFFSET {}", writer.bind_count(offset));
    }
    if let Some(lock) = plan.lock {
        push_lock(&mut text, lock, ROOT);
    }
    Ok(text)
}

/// `FROM … WHERE …` of a find, without what does not change which rows there are.
fn from_where<'v>(view: &'v View, plan: &Selection) -> Result<(String, Writer<'v>), Error> {
    let entity = view.of(plan.meta)?;
    let mut writer = Writer::new(view);
    let seen = writer.seen(ROOT, entity)?;
    let mut scope = Scope::new(ROOT.to_owned(), entity.index);
    let filter = writer.filter(&mut scope, &plan.filter)?;
    let mut text = format!(" FROM {}{}", seen.table, scope.joins());
    seen.push_where(&mut text, &[&filter]);
    Ok((text, writer))
}

/// How many rows a find would load, without its limit and offset.
///
/// # Errors
/// As [`select`].
pub(crate) fn count(view: &View, plan: &Selection) -> Result<Statement, Error> {
    let (rest, writer) = from_where(view, plan)?;
    Ok(writer.statement(format!("SELECT count(*){rest}")))
}

/// Whether a find would load anything.
///
/// # Errors
/// As [`select`].
pub(crate) fn exists(view: &View, plan: &Selection) -> Result<Statement, Error> {
    let (rest, writer) = from_where(view, plan)?;
    Ok(writer.statement(format!("SELECT EXISTS (SELECT 1{rest})")))
}

/// The row with one key.
///
/// # Errors
/// As [`select`].
pub(crate) fn select_by_key(
    view: &View,
    texts: &StatementTexts,
    entity: &EntityDef,
    key: &Key,
) -> Result<Statement, Error> {
    let mut writer = Writer::with_params(view, key_parts(&entity.key, key));
    let text = view.text(texts, (entity.index, Verb::SelectOneByKey, &[]), entity, || {
        let seen = writer.seen(ROOT, entity)?;
        let (mut list, mut joins) = (String::new(), String::new());
        Shape::of(entity).push(&mut writer, &mut list, &mut joins)?;
        let mut text = format!("SELECT {list} FROM {}{joins}", seen.table);
        let mut by_key = String::new();
        push_key_match(&mut by_key, &entity.key);
        seen.push_where(&mut text, &[&by_key]);
        Ok(writer.with("", text))
    })?;
    Ok(Statement { text, params: writer.into_params() })
}

/// The parts of a key as parameters.
pub(super) fn key_parts(columns: &[KeyColumnDef], key: &Key) -> Vec<Param> {
    columns.iter().zip(key.parts()).map(|(column, part)| key_param(column.pg, column.sql_type.as_ref(), part)).collect()
}

/// Appends the condition that columns of the selected entity are those of the key in the first parameters.
pub(super) fn push_key_match(out: &mut String, columns: &[KeyColumnDef]) {
    push_joined(out, " AND ", columns.iter().enumerate(), |out, (index, column)| {
        push_column(out, ROOT, &column.name);
        push_key_param(out, index + 1, column.pg, column.sql_type.as_ref());
    });
}
