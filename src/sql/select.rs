//! SELECT: the rows of an entity by any condition, by keys, by foreign keys.

use std::fmt::Write as _;

use super::condition::Writer;
use super::expression::Selection;
use super::identifier::{push_cast, push_column, push_joined, push_list, push_table};
use super::lock::push_lock;
use super::parameter::{Param, Statement};
use super::placed::{placed, push_any_of};
use super::scope::Scope;
use crate::error::Error;
use crate::metadata::{EntityDef, KeyColumnDef, Metadata, PropertyDef};

/// The alias of the entity that is selected.
pub(super) const ROOT: &str = "t0";

/// Appends the columns of an entity in the order of its properties.
///
/// The inverse side of a one-to-one has no column: the key of the other side is selected from `joins`, where the join that
/// finds it is appended.
pub(super) fn push_select_list(metadata: &Metadata, entity: &EntityDef, out: &mut String, joins: &mut String) {
    let mut first = true;
    let mut push = |out: &mut String, alias: &str, name: &str, cast: Option<&str>| {
        if !first {
            out.push_str(", ");
        }
        first = false;
        push_column(out, alias, name);
        if let Some(cast) = cast {
            out.push_str("::");
            out.push_str(cast);
        }
    };
    for (index, property) in entity.properties.iter().enumerate() {
        match property {
            PropertyDef::Column(column) => {
                push(out, ROOT, &column.name, column.sql_type.as_ref().map(|_| column.meta.pg.name));
            }
            PropertyDef::Relation(relation) if relation.is_owning_to_one() => {
                for column in &relation.columns {
                    push(out, ROOT, &column.name, column.sql_type.as_ref().map(|_| column.pg.name));
                }
            }
            PropertyDef::Relation(relation) if relation.is_inverse_one_to_one() => {
                let target = metadata.target(relation);
                let alias = format!("i{index}");
                let owning = relation.inverse.and_then(|inverse| target.relation(inverse));
                let foreign_key = owning.map_or(&[][..], |owning| &owning.columns);
                for column in &target.key {
                    push(out, &alias, &column.name, column.sql_type.as_ref().map(|_| column.pg.name));
                }
                joins.push_str(" LEFT JOIN ");
                push_table(joins, target.schema.as_deref(), &target.table);
                let _ = write!(joins, " AS {alias} ON ");
                push_column_pairs(joins, &alias, foreign_key, ROOT, &entity.key);
            }
            PropertyDef::Relation(_) => {}
        }
    }
}

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
pub(crate) fn select(metadata: &Metadata, plan: &Selection) -> Result<Statement, Error> {
    let entity = metadata.of(plan.meta)?;
    let mut list = String::new();
    let mut joins = String::new();
    push_select_list(metadata, entity, &mut list, &mut joins);
    let mut writer = Writer::new(metadata);
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
    Ok(Statement { text: text.into(), params: writer.into_params() })
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

/// The text that selects the rows whose columns (the key, or a foreign key) are one of the keys in the parameters.
pub(crate) fn select_by_columns(
    metadata: &Metadata,
    entity: &EntityDef,
    columns: &[KeyColumnDef],
    one: bool,
) -> String {
    let mut list = String::new();
    let mut joins = String::new();
    push_select_list(metadata, entity, &mut list, &mut joins);
    let mut text = format!("SELECT {list} FROM ");
    push_table(&mut text, entity.schema.as_deref(), &entity.table);
    let _ = write!(text, " AS {ROOT}{joins} WHERE ");
    if one {
        push_key_match(&mut text, columns);
        return text;
    }
    push_any_of(&mut text, &placed(ROOT, columns), 1);
    text.push_str(" ORDER BY ");
    push_key_order(&mut text, entity);
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
