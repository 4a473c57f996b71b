//! Where the path of a condition or an order ends: what has to be joined to get there, and the columns that are there.
//!
//! A key column of an entity that a foreign key leads to is the foreign key itself: `author.id` is found as `author_id`
//! and joins nothing.

use std::fmt::Write as _;
use std::ops::Range;

use super::condition::{Writer, not_a_relation};
use super::identifier::{push_array_cast, push_cast, push_column, push_list, push_table};
use super::select::push_column_pairs;
use crate::entity::FieldPath;
use crate::error::Error;
use crate::metadata::{EntityDef, KeyColumnDef, PropertyDef, SqlType};
use crate::types::PgType;

/// One FROM list: the entity that it starts with, and what was joined to it.
pub(super) struct Scope {
    alias: String,
    entity: usize,
    joined: Vec<(Vec<u16>, String)>,
    sql: String,
}

impl Scope {
    pub(super) const fn new(alias: String, entity: usize) -> Self {
        Self { alias, entity, joined: Vec::new(), sql: String::new() }
    }

    /// The alias of the entity that it starts with.
    pub(super) fn alias(&self) -> &str {
        &self.alias
    }

    /// The entity that it starts with.
    pub(super) const fn entity(&self) -> usize {
        self.entity
    }

    /// The joins, to be put behind the FROM list's first entry.
    pub(super) fn joins(&self) -> &str {
        &self.sql
    }
}

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

/// Where a path ends.
pub(super) enum Place<'a> {
    /// At the entity with this alias.
    At(String, &'a EntityDef),
    /// It goes on over a to-many relation, after this many hops.
    Many(usize),
}

/// Where a property is.
pub(super) enum Location<'a> {
    /// The columns, and the entity that has them; of a relation, its key columns.
    At { entity: &'a EntityDef, columns: Vec<Placed<'a>> },
    /// Behind a to-many relation, which follows after this many hops.
    Many(usize),
}

/// The place nearest to the start that has the same columns.
struct Nearest<'p> {
    hops: &'p [u16],
    property: u16,
    /// Which of the property's columns; all if `None`.
    part: Option<Range<usize>>,
}

impl<'a> Writer<'a> {
    /// Follows a path, joining what is not joined yet.
    pub(super) fn place(&mut self, scope: &mut Scope, path: &[u16]) -> Result<Place<'a>, Error> {
        let metadata = self.metadata();
        let mut entity = &metadata.entities[scope.entity];
        let mut alias = scope.alias.clone();
        for (index, hop) in path.iter().enumerate() {
            let relation = entity.relation(usize::from(*hop)).ok_or_else(|| not_a_relation(entity))?;
            if relation.meta.kind.is_to_many() {
                return Ok(Place::Many(index));
            }
            let target = metadata.target(relation);
            let prefix = &path[..=index];
            let known = scope.joined.iter().find(|(hops, _)| hops == prefix).map(|(_, alias)| alias.clone());
            alias = match known {
                Some(alias) => alias,
                None => {
                    let next = self.alias();
                    scope.sql.push_str(" LEFT JOIN ");
                    push_table(&mut scope.sql, target.schema.as_deref(), &target.table);
                    let _ = write!(scope.sql, " AS {next} ON ");
                    if relation.is_owning_to_one() {
                        push_column_pairs(&mut scope.sql, &next, &target.key, &alias, &relation.columns);
                    } else {
                        let owning = relation.inverse.and_then(|inverse| target.relation(inverse));
                        let owning = owning.ok_or_else(|| not_a_relation(entity))?;
                        push_column_pairs(&mut scope.sql, &next, &owning.columns, &alias, &entity.key);
                    }
                    scope.joined.push((prefix.to_vec(), next.clone()));
                    next
                }
            };
            entity = target;
        }
        Ok(Place::At(alias, entity))
    }

    /// Finds the columns of a property at the end of a path; of a relation, its key columns.
    pub(super) fn locate(&mut self, scope: &mut Scope, path: &FieldPath, property: u16) -> Result<Location<'a>, Error> {
        let Nearest { hops, property, part } = self.nearest(scope, path.hops(), property)?;
        let (alias, entity) = match self.place(scope, hops)? {
            Place::Many(hop) => return Ok(Location::Many(hop)),
            Place::At(alias, entity) => (alias, entity),
        };
        let columns = match entity.properties.get(usize::from(property)) {
            Some(PropertyDef::Column(column)) => {
                vec![Placed::new(&alias, &column.name, column.meta.pg, column.sql_type.as_ref())]
            }
            Some(PropertyDef::Relation(relation)) if relation.is_owning_to_one() => {
                let columns = part.map_or(Some(relation.columns.as_slice()), |part| relation.columns.get(part));
                placed(&alias, columns.unwrap_or_default())
            }
            Some(PropertyDef::Relation(relation)) if relation.is_inverse_one_to_one() => {
                match self.place(scope, &[hops, &[property]].concat())? {
                    Place::At(alias, target) => placed(&alias, &target.key),
                    Place::Many(_) => return Err(not_a_relation(entity)),
                }
            }
            _ => return Err(not_a_relation(entity)),
        };
        Ok(Location::At { entity, columns })
    }

    /// Moves columns nearer to the start: as long as a property is part of its entity's key and a foreign key leads to
    /// that entity, the foreign key has them.
    fn nearest<'p>(&self, scope: &Scope, path: &'p [u16], property: u16) -> Result<Nearest<'p>, Error> {
        let metadata = self.metadata();
        let mut entities = vec![&metadata.entities[scope.entity]];
        for hop in path {
            let Some(entity) = entities.last() else { break };
            let relation = entity.relation(usize::from(*hop)).ok_or_else(|| not_a_relation(entity))?;
            entities.push(metadata.target(relation));
        }
        let (mut hops, mut property, mut part) = (path, property, None::<Range<usize>>);
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
