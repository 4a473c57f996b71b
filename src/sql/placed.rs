//! Where the path of a condition or an order ends: what has to be joined to get there, and the columns that are there.
//!
//! A key column of an entity that a foreign key leads to is the foreign key itself: `author.id` is found as `author_id`
//! and joins nothing.

use std::fmt::Write as _;
use std::ops::Range;

use super::condition::{Writer, not_a_relation};
use super::identifier::{push_array_cast, push_cast, push_column, push_list};
use super::scope::Scope;
use super::select::push_column_pairs;
use crate::entity::FieldPath;
use crate::error::Error;
use crate::metadata::{EntityDef, KeyColumnDef, PropertyDef, SqlType};
use crate::types::PgType;

/// A column in a FROM list: `t0."id"`.
pub(super) struct Placed<'a> {
    pub(super) text: String,
    pub(super) name: &'a str,
    pub(super) pg: PgType,
    /// The SQL type of the column, where it is not `pg`.
    pub(super) sql_type: Option<&'a SqlType>,
}

impl<'a> Placed<'a> {
    fn new(alias: &str, name: &'a str, pg: PgType, sql_type: Option<&'a SqlType>) -> Self {
        let mut text = String::new();
        push_column(&mut text, alias, name);
        Self { text, name, pg, sql_type }
    }
}

/// Key columns in a FROM list.
pub(super) fn placed<'a>(alias: &str, columns: &'a [KeyColumnDef]) -> Vec<Placed<'a>> {
    columns.iter().map(|column| Placed::new(alias, &column.name, column.pg, column.sql_type.as_ref())).collect()
}

/// Appends the condition that the columns are one of the keys in the array parameters that start at `first`.
pub(super) fn push_any_of(out: &mut String, columns: &[Placed<'_>], first: usize) {
    if let [column] = columns {
        let _ = write!(out, "{} = ANY(${first}::{}", column.text, column.pg.array_name);
        push_array_cast(out, column.sql_type);
        out.push(')');
        return;
    }
    out.push('(');
    push_list(out, columns, |out, column| out.push_str(&column.text));
    out.push_str(") IN (SELECT ");
    push_list(out, columns.iter().enumerate(), |out, (index, column)| {
        let _ = write!(out, "k{index}");
        push_cast(out, column.sql_type);
    });
    out.push_str(" FROM unnest(");
    push_list(out, columns.iter().enumerate(), |out, (index, column)| {
        let _ = write!(out, "${}::{}", first + index, column.pg.array_name);
    });
    out.push_str(") AS k(");
    push_list(out, 0..columns.len(), |out, index| {
        let _ = write!(out, "k{index}");
    });
    out.push_str("))");
}

/// Where a property is.
pub(super) struct Location<'a> {
    /// The columns; of a relation, its key columns.
    pub(super) columns: Vec<Placed<'a>>,
}

/// The place nearest to the start that has the same columns.
struct Nearest<'p> {
    hops: &'p [u16],
    property: u16,
    /// Which of the property's columns; all if `None`.
    part: Option<Range<usize>>,
}

impl<'a> Writer<'a> {
    /// How many hops of a path lead up to the first to-many relation that is not in the FROM lists yet, that one included.
    pub(super) fn first_many(&self, scope: &Scope, path: &FieldPath) -> Result<Option<usize>, Error> {
        let metadata = self.metadata();
        let home = scope.home(path.source(), path.hops()).ok_or_else(|| not_joined(path))?;
        let mut entity = &metadata.entities[home.entity];
        let rest = path.hops().get(home.hops..).unwrap_or_default();
        for (index, hop) in rest.iter().enumerate() {
            let relation = entity.relation(usize::from(*hop)).ok_or_else(|| not_a_relation(entity))?;
            if relation.meta.kind.is_to_many() && scope.joined(home.index, &rest[..=index]).is_none() {
                return Ok(Some(home.hops + index + 1));
            }
            entity = metadata.target(relation);
        }
        Ok(None)
    }

    /// Follows a path, joining what is not joined yet: the alias and the entity at its end.
    ///
    /// # Errors
    /// [`Error::Validation`] if it leads over a to-many relation whose rows are not in the FROM lists.
    pub(super) fn place(&mut self, scope: &mut Scope, path: &FieldPath) -> Result<(String, &'a EntityDef), Error> {
        self.place_hops(scope, path, path.hops())
    }

    fn place_hops(
        &mut self,
        scope: &mut Scope,
        path: &FieldPath,
        hops: &[u16],
    ) -> Result<(String, &'a EntityDef), Error> {
        let metadata = self.metadata();
        let home = scope.home(path.source(), hops).ok_or_else(|| not_joined(path))?;
        let mut entity = &metadata.entities[home.entity];
        let (frame, mut alias) = (home.index, home.alias.to_owned());
        let rest = hops.get(home.hops..).unwrap_or_default();
        for (index, hop) in rest.iter().enumerate() {
            let relation = entity.relation(usize::from(*hop)).ok_or_else(|| not_a_relation(entity))?;
            let target = metadata.target(relation);
            let prefix = &rest[..=index];
            let known = scope.joined(frame, prefix).map(str::to_owned);
            alias = match known {
                Some(alias) => alias,
                None if relation.meta.kind.is_to_many() => return Err(to_many(path)),
                None => self.join_one(scope, (frame, prefix), (&alias, entity), *hop, " LEFT JOIN ")?,
            };
            entity = target;
        }
        Ok((alias, entity))
    }

    /// Joins what a to-one relation leads to: its alias.
    pub(super) fn join_one(
        &mut self,
        scope: &mut Scope,
        (frame, prefix): (usize, &[u16]),
        (alias, entity): (&str, &EntityDef),
        hop: u16,
        join: &str,
    ) -> Result<String, Error> {
        let relation = entity.relation(usize::from(hop)).ok_or_else(|| not_a_relation(entity))?;
        let target = self.metadata().target(relation);
        let next = self.alias();
        let seen = self.seen(&next, target)?;
        let mut sql = format!("{join}{} ON ", seen.table);
        if relation.is_owning_to_one() {
            push_column_pairs(&mut sql, &next, &target.key, alias, &relation.columns);
        } else {
            let owning = relation.inverse.and_then(|inverse| target.relation(inverse));
            let owning = owning.ok_or_else(|| not_a_relation(entity))?;
            push_column_pairs(&mut sql, &next, &owning.columns, alias, &entity.key);
        }
        seen.push_and(&mut sql);
        scope.join(frame, prefix, &next, &sql);
        Ok(next)
    }

    /// Finds the columns of a property at the end of a path; of a relation, its key columns.
    ///
    /// # Errors
    /// As [`place`](Self::place).
    pub(super) fn locate(&mut self, scope: &mut Scope, path: &FieldPath, property: u16) -> Result<Location<'a>, Error> {
        let Nearest { hops, property, part } = self.nearest(path, property)?;
        let (alias, entity) = self.place_hops(scope, path, hops)?;
        let columns = match entity.properties.get(usize::from(property)) {
            Some(PropertyDef::Column(column)) => {
                vec![Placed::new(&alias, &column.name, column.meta.pg, column.sql_type.as_ref())]
            }
            Some(PropertyDef::Relation(relation)) if relation.is_owning_to_one() => {
                let columns = part.map_or(Some(relation.columns.as_slice()), |part| relation.columns.get(part));
                placed(&alias, columns.unwrap_or_default())
            }
            Some(PropertyDef::Relation(relation)) if relation.is_inverse_one_to_one() => {
                let (alias, target) = self.place_hops(scope, path, &[hops, &[property]].concat())?;
                placed(&alias, &target.key)
            }
            _ => return Err(not_a_relation(entity)),
        };
        Ok(Location { columns })
    }

    /// Moves columns nearer to the start: as long as a property is part of its entity's key and a foreign key leads to
    /// that entity, the foreign key has them.
    fn nearest<'p>(&self, path: &'p FieldPath, property: u16) -> Result<Nearest<'p>, Error> {
        let metadata = self.metadata();
        let mut entities = vec![metadata.of(path.start())?];
        for hop in path.hops() {
            let Some(entity) = entities.last() else { break };
            let relation = entity.relation(usize::from(*hop)).ok_or_else(|| not_a_relation(entity))?;
            entities.push(metadata.target(relation));
        }
        let (mut hops, mut property, mut part) = (path.hops(), property, None::<Range<usize>>);
        while let (Some((last, before)), Some(target)) = (hops.split_last(), entities.pop()) {
            let owner = entities.last().and_then(|owner| owner.relation(usize::from(*last)));
            let owning = owner.is_some_and(|relation| relation.is_owning_to_one());
            let Some(range) = target.key_columns_of(usize::from(property)).filter(|_| owning) else { break };
            part = Some(match part {
                Some(part) => range.start + part.start..range.start + part.end,
                None => range,
            });
            (hops, property) = (before, *last);
        }
        Ok(Nearest { hops, property, part })
    }
}

pub(super) fn not_joined(path: &FieldPath) -> Error {
    let name = path.start().name;
    Error::validation(
        name,
        format!("an alias of {name} is used that is not joined to this query, nor to one around it"),
    )
}

fn to_many(path: &FieldPath) -> Error {
    let message = format!(
        "{path:?} leads over a to-many relation, which has many values where one is needed: aggregate them, or put the \
         condition into some(), none() or every()"
    );
    Error::validation(path.start().name, message)
}
