//! The statements that load a tree of entities: a part for the entities that are found, and one for each relation.
//!
//! A part selects by keys that are known, or by what its parent part selects: that is a sub-query then, written as a CTE.
//! So the parts of a tree can be sent one behind the other's answer, all in one flight ([`separately`]), or as one
//! statement ([`together`]). Relations that are siblings are never multiplied with each other.

use std::fmt::Write as _;

mod collections;

use collections::{items, links};

use super::condition::{Writer, not_a_relation};
use super::expression::Selection;
use super::identifier::{push_cast, push_column, push_joined, push_list};
use super::key_condition::key_params;
use super::parameter::Statement;
use super::pivot::PIVOT;
use super::placed::{placed, push_any_of};
use super::scope::Scope;
use super::select::{ROOT, push_column_pairs, push_key_order, push_select};
use super::shape::Shape;
use super::texts::{StatementTexts, Verb};
use super::view::View;
use crate::error::Error;
use crate::metadata::{EntityDef, KeyColumnDef, Metadata, PivotDef, RelationDef};
use crate::types::Key;

/// One SELECT of a tree.
#[derive(Debug)]
pub(crate) struct Part<'a> {
    /// The entity that has the relation which leads here, and the relation's property index.
    pub(crate) relation: Option<(usize, usize)>,
    pub(crate) form: Form,
    pub(crate) source: Source<'a>,
    /// The entity that is selected; of links, the one that they lead to.
    pub(crate) entity: usize,
    /// What is selected. Not of links.
    pub(crate) shape: Shape,
    /// Which items of a to-many relation.
    pub(crate) options: Option<&'a Selection>,
}

/// What a part selects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// The entities that are found.
    Roots,
    /// What a to-one relation refers to, each row once.
    ToOne,
    /// The items of a to-many relation, with the keys of their owners.
    Items,
    /// The rows of a pivot table: the owner's key, and the item's.
    Links,
    /// The items that links lead to, each row once.
    Targets,
    /// The key and one column: of entities that were read without it.
    Column,
}

/// Where a part begins.
#[derive(Debug)]
pub(crate) enum Source<'a> {
    /// With a selection: roots only.
    Selection(&'a Selection),
    /// With keys: of the rows that are referred to (to-one), or of the owners.
    Keys(Vec<Key>),
    /// With the entities whose columns start at this offset in another part; targets begin with their links.
    Part { part: usize, offset: usize },
}

impl Part<'_> {
    fn place<'m>(&self, metadata: &'m Metadata) -> Result<Place<'m>, Error> {
        let target = &metadata.entities[self.entity];
        let found = self.relation.and_then(|(owner, property)| {
            let owner = &metadata.entities[owner];
            Some(Place { owner, relation: owner.relation(property)?, target })
        });
        found.ok_or_else(|| not_a_relation(target))
    }

    /// Whether every query sees the same of the entities whose rows are selected.
    fn is_common(&self, view: &View) -> bool {
        let mut selected = self.shape.segments().iter().map(|segment| segment.entity);
        view.is_common(&view.entities[self.entity]) && selected.all(|entity| view.is_common(&view.entities[entity]))
    }

    /// Whether each row says by itself whose it is: a row of a one-to-many has the foreign key.
    fn has_foreign_key(&self) -> bool {
        self.form == Form::Items && self.options.is_none() && matches!(self.source, Source::Keys(_))
    }

    /// Whether the links of an owner are one row: the owner's key, and an array for each column of the items' keys. So it is
    /// where the owners are known, and many rows would say little each.
    pub(crate) fn has_arrays(&self) -> bool {
        self.form == Form::Links && matches!(self.source, Source::Keys(_))
    }

    /// Where the owner's key stands.
    pub(crate) fn owner_offset(&self, metadata: &Metadata) -> usize {
        if self.form == Form::Links {
            return 0;
        }
        let owning = self.place(metadata).ok().filter(|_| self.has_foreign_key());
        owning.and_then(|place| place.owning()).map_or(self.shape.width(), |owning| owning.offset)
    }

    /// How many columns the part has.
    pub(crate) fn width(&self, metadata: &Metadata) -> usize {
        let keys = self.relation.map_or(0, |(owner, _)| metadata.entities[owner].key.len());
        match self.form {
            Form::Links => keys + metadata.entities[self.entity].key.len(),
            Form::Column => keys + 1,
            Form::Items if !self.has_foreign_key() => self.shape.width() + keys,
            Form::Roots | Form::ToOne | Form::Items | Form::Targets => self.shape.width(),
        }
    }
}

/// Where a relation leads from and to.
struct Place<'m> {
    owner: &'m EntityDef,
    relation: &'m RelationDef,
    target: &'m EntityDef,
}

impl<'m> Place<'m> {
    /// The other side of a one-to-many relation.
    fn owning(&self) -> Option<&'m RelationDef> {
        self.relation.inverse.and_then(|inverse| self.target.relation(inverse))
    }

    fn foreign_key(&self) -> Result<&'m [KeyColumnDef], Error> {
        self.owning().map(|owning| owning.columns.as_slice()).ok_or_else(|| not_a_relation(self.owner))
    }

    fn pivot(&self) -> Result<&'m PivotDef, Error> {
        self.relation.pivot.as_ref().ok_or_else(|| not_a_relation(self.owner))
    }
}

/// The statement of a part that begins with keys and has no options: its text is written once an Orm.
///
/// # Errors
/// [`Error::Conversion`] for a key that cannot be bound.
fn by_keys(view: &View, texts: &StatementTexts, part: &Part<'_>, keys: &[Key]) -> Result<Statement, Error> {
    if part.form == Form::Column {
        let entity = &view.entities[part.entity];
        let property = part.relation.map(|(_, property)| u16::try_from(property).unwrap_or(u16::MAX));
        let kind: Vec<u16> = property.into_iter().collect();
        let write = || column(&mut Writer::new(view), part);
        let text = texts.try_get(entity.index, Verb::SelectColumn, &kind, write)?;
        return Ok(Statement { text, params: key_params(entity, &entity.key, keys)? });
    }
    let place = part.place(view)?;
    let property = part.relation.map(|(_, property)| u16::try_from(property).unwrap_or(u16::MAX));
    let (entity, verb, columns) = match part.form {
        Form::Links => (place.owner, Verb::SelectLinks, &place.owner.key),
        Form::Targets => (place.owner, Verb::SelectTargets, &place.owner.key),
        Form::Items => (place.owner, Verb::SelectItems, &place.owner.key),
        Form::Roots | Form::ToOne | Form::Column => (place.target, Verb::SelectByKeys, &place.target.key),
    };
    let property = property.filter(|_| verb != Verb::SelectByKeys);
    let kind: Vec<u16> = property.into_iter().chain(part.shape.signature()).collect();
    let text = texts.try_get(entity.index, verb, &kind, || body(&mut Writer::new(view), part))?;
    Ok(Statement { text, params: key_params(entity, columns, keys)? })
}

/// The parts as a statement each.
///
/// # Errors
/// [`Error::Validation`] for an order over a to-many relation, [`Error::Conversion`] for a value that cannot be bound.
pub(crate) fn separately(view: &View, texts: &StatementTexts, parts: &[Part<'_>]) -> Result<Vec<Statement>, Error> {
    let statement = |part: &Part<'_>| {
        if let (Source::Keys(keys), None, true) = (&part.source, part.options, part.is_common(view)) {
            return by_keys(view, texts, part, keys);
        }
        let mut ancestors = Vec::new();
        let mut source = &part.source;
        while let Source::Part { part, .. } = source {
            ancestors.push(*part);
            source = &parts[*part].source;
        }
        let mut writer = Writer::new(view);
        let around = tables(&mut writer, parts, ancestors.into_iter().rev())?;
        let text = body(&mut writer, part)?;
        let text = writer.with(&around, text);
        Ok(Statement { text: view.finish(text), params: writer.into_params() })
    };
    parts.iter().map(statement).collect()
}

/// All parts as one statement. Each row is the number of its part, and the part's columns as a record.
///
/// # Errors
/// As [`separately`].
pub(crate) fn together(view: &View, parts: &[Part<'_>]) -> Result<Statement, Error> {
    let mut writer = Writer::new(view);
    let all = tables(&mut writer, parts, 0..parts.len())?;
    let mut text = "SELECT q.part, q.fields FROM (".to_owned();
    push_joined(&mut text, " UNION ALL ", parts.iter().enumerate(), |text, (number, part)| {
        // A CTE is read in the order in which it was written.
        let _ = write!(text, "SELECT {number} AS part, row_number() OVER () AS n, ROW(");
        push_list(text, 0..part.width(view), |text, column| {
            let _ = write!(text, "c{column}");
        });
        let _ = write!(text, ") AS fields FROM {}", table_of(number));
    });
    text.push_str(") AS q ORDER BY q.part, q.n");
    let text = writer.with(&all, text);
    Ok(Statement { text: view.finish(text), params: writer.into_params() })
}

/// The common table expression that a part is.
fn table_of(part: usize) -> String {
    format!("\"howdah:p{part}\"")
}

/// `"howdah:p0"(c0, …) AS (…), …`
fn tables(writer: &mut Writer<'_>, parts: &[Part<'_>], numbers: impl Iterator<Item = usize>) -> Result<String, Error> {
    let mut text = String::new();
    for number in numbers {
        let part = &parts[number];
        let comma = if text.is_empty() { "" } else { ", " };
        let _ = write!(text, "{comma}{}(", table_of(number));
        push_list(&mut text, 0..part.width(writer.metadata()), |text, column| {
            let _ = write!(text, "c{column}");
        });
        let _ = write!(text, ") AS ({})", body(writer, part)?);
    }
    Ok(text)
}

/// The SELECT of a part.
fn body(writer: &mut Writer<'_>, part: &Part<'_>) -> Result<String, Error> {
    if let Source::Selection(selection) = part.source {
        return push_select(writer, selection, &part.shape);
    }
    if part.form == Form::Column {
        return column(writer, part);
    }
    let place = part.place(writer.metadata())?;
    match part.form {
        Form::Links => links(writer, part, &place),
        Form::Items if part.has_foreign_key() => {
            let mut text = select(writer, part)?;
            let foreign_key = place.foreign_key()?;
            push_keys(writer, part, ROOT, place.owner, foreign_key, &mut text)?;
            // The items of an owner come in a row.
            text.push_str(" ORDER BY ");
            push_list(&mut text, foreign_key, |text, column| push_column(text, ROOT, &column.name));
            text.push_str(", ");
            push_key_order(&mut text, place.target);
            Ok(text)
        }
        Form::Items => items(writer, part, &place),
        Form::Targets => {
            let mut text = select(writer, part)?;
            match &part.source {
                Source::Part { part, .. } => {
                    let keys = place.owner.key.len()..place.owner.key.len() + place.target.key.len();
                    push_in(&mut text, ROOT, &place.target.key, keys, *part);
                }
                _ => {
                    let pivot = place.pivot()?;
                    text.push('(');
                    push_list(&mut text, &place.target.key, |text, column| push_column(text, ROOT, &column.name));
                    text.push_str(") IN (SELECT ");
                    push_list(&mut text, &pivot.inverse_join, |text, column| push_column(text, PIVOT, &column.name));
                    text.push_str(" FROM ");
                    writer.view().push_pivot(&mut text, pivot);
                    let _ = write!(text, " AS {PIVOT} WHERE ");
                    push_keys(writer, part, PIVOT, place.owner, &pivot.join, &mut text)?;
                    text.push(')');
                }
            }
            Ok(text)
        }
        Form::Roots | Form::ToOne | Form::Column => {
            let mut text = select(writer, part)?;
            match &part.source {
                Source::Part { part: parent, offset } => {
                    let start = offset + place.relation.offset;
                    push_in(&mut text, ROOT, &place.target.key, start..start + place.target.key.len(), *parent);
                }
                _ => push_keys(writer, part, ROOT, place.target, &place.target.key, &mut text)?,
            }
            Ok(text)
        }
    }
}

/// `SELECT … FROM target AS t0 … WHERE `, and what the rows have to fulfil to be seen.
fn select(writer: &mut Writer<'_>, part: &Part<'_>) -> Result<String, Error> {
    let target = &writer.metadata().entities[part.entity];
    let (mut list, mut joins) = (String::new(), String::new());
    part.shape.push(writer, &mut list, &mut joins)?;
    let seen = writer.seen(ROOT, target)?;
    let mut text = format!("SELECT {list} FROM {}{joins} WHERE ", seen.table);
    seen.push_first(&mut text);
    Ok(text)
}

/// Appends the condition that columns are one of the part's keys.
fn push_keys(
    writer: &mut Writer<'_>,
    part: &Part<'_>,
    alias: &str,
    entity: &EntityDef,
    columns: &[KeyColumnDef],
    text: &mut String,
) -> Result<(), Error> {
    let Source::Keys(keys) = &part.source else { return Err(not_a_relation(entity)) };
    let first = writer.bind_keys(entity, columns, keys)?;
    push_any_of(text, &placed(alias, columns), first);
    Ok(())
}

/// Appends `(t0."id") IN (SELECT c3 FROM "howdah:p0")`.
fn push_in(text: &mut String, alias: &str, columns: &[KeyColumnDef], numbers: std::ops::Range<usize>, part: usize) {
    text.push('(');
    push_list(text, columns, |text, column| push_column(text, alias, &column.name));
    text.push_str(") IN (SELECT ");
    push_list(text, numbers.zip(columns), |text, (number, column)| {
        let _ = write!(text, "c{number}");
        push_cast(text, column.sql_type.as_ref());
    });
    let _ = write!(text, " FROM {})", table_of(part));
}

/// Appends the keys of the owners, each once: `… AS k(k0, …)`.
fn push_owners(writer: &mut Writer<'_>, part: &Part<'_>, owner: &EntityDef, text: &mut String) -> Result<(), Error> {
    match &part.source {
        Source::Part { part, offset } => {
            let columns: Vec<usize> = owner.key_offsets.iter().map(|column| offset + column).collect();
            text.push_str("(SELECT DISTINCT ");
            push_list(text, &columns, |text, column| {
                let _ = write!(text, "c{column}");
            });
            let _ = write!(text, " FROM {} WHERE ", table_of(*part));
            push_joined(text, " AND ", &columns, |text, column| {
                let _ = write!(text, "c{column} IS NOT NULL");
            });
            text.push(')');
        }
        Source::Keys(keys) => {
            let first = writer.bind_keys(owner, &owner.key, keys)?;
            text.push_str("unnest(");
            push_list(text, owner.key.iter().enumerate(), |text, (index, column)| {
                let _ = write!(text, "${}::{}", first + index, column.pg.array_name);
            });
            text.push(')');
        }
        Source::Selection(_) => return Err(not_a_relation(owner)),
    }
    text.push_str(" AS k(");
    push_list(text, 0..owner.key.len(), |text, index| {
        let _ = write!(text, "k{index}");
    });
    text.push(')');
    Ok(())
}

/// Appends `, k.k0, …`.
fn push_owner_keys(owner: &EntityDef, text: &mut String) {
    for index in 0..owner.key.len() {
        let _ = write!(text, ", k.k{index}");
    }
}

/// Appends `t0."author_id" = k.k0 AND …`.
fn push_owned(alias: &str, columns: &[KeyColumnDef], text: &mut String) {
    push_joined(text, " AND ", columns.iter().enumerate(), |text, (index, column)| {
        push_column(text, alias, &column.name);
        let _ = write!(text, " = k.k{index}");
        push_cast(text, column.sql_type.as_ref());
    });
}

/// One column of entities that are loaded.
fn column(writer: &mut Writer<'_>, part: &Part<'_>) -> Result<String, Error> {
    let entity = &writer.metadata().entities[part.entity];
    let found = part.relation.and_then(|(_, property)| entity.column(property));
    let column = found.ok_or_else(|| not_a_relation(entity))?;
    let mut text = "SELECT ".to_owned();
    push_list(&mut text, &entity.key, |text, column| {
        push_column(text, ROOT, &column.name);
        if column.sql_type.is_some() {
            let _ = write!(text, "::{}", column.pg.name);
        }
    });
    text.push_str(", ");
    push_column(&mut text, ROOT, &column.name);
    if column.sql_type.is_some() {
        let _ = write!(text, "::{}", column.meta.pg.name);
    }
    let seen = writer.seen(ROOT, entity)?;
    let _ = write!(text, " FROM {} WHERE ", seen.table);
    seen.push_first(&mut text);
    push_keys(writer, part, ROOT, entity, &entity.key, &mut text)?;
    Ok(text)
}
