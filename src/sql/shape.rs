//! What a row of a SELECT holds: the columns of an entity, and behind them those of the entities that to-one relations
//! lead to, joined.
//!
//! Each of them is a segment: a run of columns in the order of its entity's properties, hydrated by itself.

use std::fmt::Write as _;

use super::condition::Writer;
use super::identifier::push_column;
use super::select::{ROOT, push_column_pairs};
use crate::error::Error;
use crate::metadata::{EntityDef, Metadata, PropertyDef};

/// The segments of a row. The first is the entity that is selected.
#[derive(Clone, Debug)]
pub(crate) struct Shape {
    segments: Vec<Segment>,
    width: usize,
}

/// The columns of one entity.
#[derive(Clone, Debug)]
pub(crate) struct Segment {
    /// The entity.
    pub(crate) entity: usize,
    /// Where its first column stands.
    pub(crate) offset: usize,
    /// The segment and the relation that it is joined by.
    from: Option<(usize, usize)>,
    alias: String,
}

impl Shape {
    /// The columns of one entity.
    pub(crate) fn of(entity: &EntityDef) -> Self {
        let first = Segment { entity: entity.index, offset: 0, from: None, alias: ROOT.to_owned() };
        Self { segments: vec![first], width: entity.width }
    }

    /// Joins a to-one relation of a segment's entity; answers with the number of the new segment.
    pub(crate) fn join(&mut self, metadata: &Metadata, segment: usize, property: usize) -> Option<usize> {
        let from = self.segments.get(segment)?;
        let relation = metadata.entities[from.entity].relation(property)?;
        let target = metadata.target(relation);
        let number = self.segments.len();
        // The join that finds the key of an inverse side has the rest of the row, too.
        let alias =
            if relation.is_inverse_one_to_one() { key_alias(&from.alias, property) } else { format!("j{number}") };
        let offset = self.width;
        self.segments.push(Segment { entity: target.index, offset, from: Some((segment, property)), alias });
        self.width += target.width;
        Some(number)
    }

    /// The segments.
    pub(crate) fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// How many columns there are.
    pub(crate) const fn width(&self) -> usize {
        self.width
    }

    /// What tells this shape from others of the same entity.
    pub(super) fn signature(&self) -> impl Iterator<Item = u16> + '_ {
        let joins = self.segments.iter().filter_map(|segment| segment.from);
        joins
            .flat_map(|(segment, property)| [segment, property])
            .map(|number| u16::try_from(number).unwrap_or(u16::MAX))
    }

    /// Appends the columns of all segments, and the joins that they need.
    ///
    /// # Errors
    /// As [`Writer::seen`].
    pub(super) fn push(&self, writer: &mut Writer<'_>, list: &mut String, joins: &mut String) -> Result<(), Error> {
        for segment in &self.segments {
            let entity = &writer.metadata().entities[segment.entity];
            if let Some((from, property)) = segment.from {
                self.push_join(writer, from, property, &segment.alias, joins)?;
            }
            push_columns(writer, entity, &segment.alias, list, joins)?;
        }
        Ok(())
    }

    fn push_join(
        &self,
        writer: &mut Writer<'_>,
        from: usize,
        property: usize,
        alias: &str,
        joins: &mut String,
    ) -> Result<(), Error> {
        let metadata = writer.metadata();
        let Some(from) = self.segments.get(from) else { return Ok(()) };
        let Some(relation) = metadata.entities[from.entity].relation(property) else { return Ok(()) };
        if relation.is_owning_to_one() {
            let target = metadata.target(relation);
            let seen = writer.seen(alias, target)?;
            let _ = write!(joins, " LEFT JOIN {} ON ", seen.table);
            push_column_pairs(joins, alias, &target.key, &from.alias, &relation.columns);
            seen.push_and(joins);
        }
        Ok(())
    }
}

/// The alias of the other side of a one-to-one, joined for its key.
fn key_alias(alias: &str, property: usize) -> String {
    if alias == ROOT { format!("i{property}") } else { format!("{alias}i{property}") }
}

/// Appends the columns of an entity in the order of its properties.
///
/// The inverse side of a one-to-one has no column: the key of the other side is selected from `joins`, where the join that
/// finds it is appended.
fn push_columns(
    writer: &mut Writer<'_>,
    entity: &EntityDef,
    alias: &str,
    out: &mut String,
    joins: &mut String,
) -> Result<(), Error> {
    let metadata = writer.metadata();
    let push = |out: &mut String, alias: &str, name: &str, cast: Option<&str>| {
        if !out.is_empty() {
            out.push_str(", ");
        }
        push_column(out, alias, name);
        if let Some(cast) = cast {
            out.push_str("::");
            out.push_str(cast);
        }
    };
    for (index, property) in entity.properties.iter().enumerate() {
        match property {
            PropertyDef::Column(column) if column.meta.lazy => {}
            PropertyDef::Column(column) => {
                push(out, alias, &column.name, column.sql_type.as_ref().map(|_| column.meta.pg.name));
            }
            PropertyDef::Relation(relation) if relation.is_owning_to_one() => {
                for column in &relation.columns {
                    push(out, alias, &column.name, column.sql_type.as_ref().map(|_| column.pg.name));
                }
            }
            PropertyDef::Relation(relation) if relation.is_inverse_one_to_one() => {
                let target = metadata.target(relation);
                let key_alias = key_alias(alias, index);
                let owning = relation.inverse.and_then(|inverse| target.relation(inverse));
                let foreign_key = owning.map_or(&[][..], |owning| &owning.columns);
                for column in &target.key {
                    push(out, &key_alias, &column.name, column.sql_type.as_ref().map(|_| column.pg.name));
                }
                let seen = writer.seen(&key_alias, target)?;
                let _ = write!(joins, " LEFT JOIN {} ON ", seen.table);
                push_column_pairs(joins, &key_alias, foreign_key, alias, &entity.key);
                seen.push_and(joins);
            }
            PropertyDef::Relation(_) => {}
        }
    }
    Ok(())
}
