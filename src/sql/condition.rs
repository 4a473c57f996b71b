//! Conditions and orders: paths over to-one relations become LEFT JOINs (each once), over to-many relations EXISTS.

use std::fmt::Write as _;

use super::expression::{Bound, Expression, Operator, OrderTerm, Quantifier};
use super::identifier::{push_column, push_joined, push_table, without_modifiers};
use super::parameter::Param;
use super::select::push_column_pairs;
use crate::entity::FieldPath;
use crate::error::Error;
use crate::metadata::{EntityDef, KeyColumnDef, Metadata, PropertyDef, RelationDef};
use crate::types::Key;

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

    /// The joins, to be put behind the FROM list's first entry.
    pub(super) fn joins(&self) -> &str {
        &self.sql
    }
}

/// Where a path ends.
enum Place<'a> {
    /// At the entity with this alias.
    At(String, &'a EntityDef),
    /// It goes on over a to-many relation, after this many hops.
    Many(usize),
}

/// Writes conditions and collects their parameters.
pub(super) struct Writer<'a> {
    metadata: &'a Metadata,
    params: Vec<Param>,
    aliases: usize,
}

impl<'a> Writer<'a> {
    pub(super) const fn new(metadata: &'a Metadata) -> Self {
        Self { metadata, params: Vec::new(), aliases: 0 }
    }

    pub(super) fn into_params(self) -> Vec<Param> {
        self.params
    }

    fn alias(&mut self) -> String {
        self.aliases += 1;
        format!("t{}", self.aliases)
    }

    /// Binds a number of rows.
    pub(super) fn bind_count(&mut self, count: u64) -> String {
        self.params.push(Param::int8(i64::try_from(count).unwrap_or(i64::MAX)));
        format!("${}::int8", self.params.len())
    }

    /// Binds a value and casts it to what the column is, where that was given by hand.
    fn bind(&mut self, entity: &EntityDef, value: &Bound, sql_type: Option<&str>) -> Result<String, Error> {
        let bytes = value.value.clone().map_err(|error| Error::Conversion {
            entity: entity.meta.name,
            column: "of a condition".to_owned(),
            message: error.message,
        })?;
        self.params.push(Param::One(value.pg, Some(bytes)));
        let mut text = format!("${}::{}", self.params.len(), value.pg.name);
        if let Some(sql_type) = sql_type {
            let base = without_modifiers(sql_type);
            let array = value.pg.is_array() && !base.ends_with("[]");
            let _ = write!(text, "::{base}{}", if array { "[]" } else { "" });
        }
        Ok(text)
    }

    /// All expressions together; empty if there is nothing to check.
    pub(super) fn filter(&mut self, scope: &mut Scope, filter: &[Expression]) -> Result<String, Error> {
        let mut out = String::new();
        for expression in filter {
            if matches!(expression, Expression::All(all) if all.is_empty()) {
                continue;
            }
            if !out.is_empty() {
                out.push_str(" AND ");
            }
            self.expression(scope, expression, &mut out)?;
        }
        Ok(out)
    }

    /// The terms of an ORDER BY.
    pub(super) fn order(&mut self, scope: &mut Scope, terms: &[OrderTerm]) -> Result<String, Error> {
        let mut out = String::new();
        for term in terms {
            let columns = match self.place(scope, &term.path)? {
                Place::At(alias, entity) => self.columns(scope, &term.path, term.property, &alias, entity)?,
                Place::Many(_) => {
                    let message = format!("cannot order by {:?}: it leads over a to-many relation", term.path);
                    return Err(Error::validation(term.path.start().name, message));
                }
            };
            for column in columns {
                if !out.is_empty() {
                    out.push_str(", ");
                }
                out.push_str(&column);
                if term.descending {
                    out.push_str(" DESC");
                }
                match term.nulls_first {
                    Some(true) => out.push_str(" NULLS FIRST"),
                    Some(false) => out.push_str(" NULLS LAST"),
                    None => {}
                }
            }
        }
        Ok(out)
    }

    fn expression(&mut self, scope: &mut Scope, expression: &Expression, out: &mut String) -> Result<(), Error> {
        match expression {
            Expression::All(list) => self.list(scope, list, " AND ", "TRUE", out),
            Expression::Any(list) => self.list(scope, list, " OR ", "FALSE", out),
            Expression::Not(inner) => {
                out.push_str("NOT (");
                self.expression(scope, inner, out)?;
                out.push(')');
                Ok(())
            }
            Expression::Compare { path, property, operator, value } => match self.place(scope, path)? {
                Place::Many(hop) => self.through(scope, path, hop, out, |path| Expression::Compare {
                    path,
                    property: *property,
                    operator: *operator,
                    value: value.clone(),
                }),
                Place::At(alias, entity) => {
                    let column = self.columns(scope, path, *property, &alias, entity)?.concat();
                    let value = self.bind(entity, value, sql_type(entity, *property))?;
                    out.push_str(&column);
                    push_operator(out, *operator, &value);
                    Ok(())
                }
            },
            Expression::Between { path, property, low, high } => match self.place(scope, path)? {
                Place::Many(hop) => self.through(scope, path, hop, out, |path| Expression::Between {
                    path,
                    property: *property,
                    low: low.clone(),
                    high: high.clone(),
                }),
                Place::At(alias, entity) => {
                    let column = self.columns(scope, path, *property, &alias, entity)?.concat();
                    let low = self.bind(entity, low, sql_type(entity, *property))?;
                    let high = self.bind(entity, high, sql_type(entity, *property))?;
                    let _ = write!(out, "{column} BETWEEN {low} AND {high}");
                    Ok(())
                }
            },
            Expression::Null { path, property, is_null } => match self.place(scope, path)? {
                Place::Many(hop) => self.through(scope, path, hop, out, |path| Expression::Null {
                    path,
                    property: *property,
                    is_null: *is_null,
                }),
                Place::At(alias, entity) => {
                    let columns = self.columns(scope, path, *property, &alias, entity)?;
                    let column = columns.first().map_or("", String::as_str);
                    let _ = write!(out, "{column} IS {}NULL", if *is_null { "" } else { "NOT " });
                    Ok(())
                }
            },
            Expression::Key { path, keys } => self.key(scope, path, keys, out),
            Expression::Quantified { path, property, quantifier, inner } => match self.place(scope, path)? {
                Place::Many(hop) => self.through(scope, path, hop, out, |path| Expression::Quantified {
                    path,
                    property: *property,
                    quantifier: *quantifier,
                    inner: inner.clone(),
                }),
                Place::At(alias, entity) => {
                    let relation = entity.relation(usize::from(*property)).ok_or_else(|| not_a_relation(entity))?;
                    self.quantified(&alias, entity, relation, *quantifier, inner, out)
                }
            },
        }
    }

    fn list(
        &mut self,
        scope: &mut Scope,
        list: &[Expression],
        word: &str,
        empty: &str,
        out: &mut String,
    ) -> Result<(), Error> {
        if list.is_empty() {
            out.push_str(empty);
            return Ok(());
        }
        out.push('(');
        for (index, expression) in list.iter().enumerate() {
            if index > 0 {
                out.push_str(word);
            }
            self.expression(scope, expression, out)?;
        }
        out.push(')');
        Ok(())
    }

    /// A condition behind a to-many relation: some related entity fulfils the rest of it.
    fn through(
        &mut self,
        scope: &mut Scope,
        path: &FieldPath,
        hop: usize,
        out: &mut String,
        rest: impl FnOnce(FieldPath) -> Expression,
    ) -> Result<(), Error> {
        let (before, after) = path.hops().split_at(hop);
        let head = before.iter().fold(path.starting_over(), |path, hop| path.then(*hop));
        let Place::At(alias, entity) = self.place(scope, &head)? else {
            return Err(Error::validation(path.start().name, format!("{path:?} cannot be followed")));
        };
        let relation = after.first().and_then(|hop| entity.relation(usize::from(*hop)));
        let relation = relation.ok_or_else(|| not_a_relation(entity))?;
        let start = FieldPath::root(relation.meta.target);
        let inner = rest(after.iter().skip(1).fold(start, |path, hop| path.then(*hop)));
        self.quantified(&alias, entity, relation, Quantifier::Some, &inner, out)
    }

    /// `EXISTS (SELECT 1 FROM target WHERE …)`.
    fn quantified(
        &mut self,
        alias: &str,
        entity: &EntityDef,
        relation: &RelationDef,
        quantifier: Quantifier,
        inner: &Expression,
        out: &mut String,
    ) -> Result<(), Error> {
        let target = self.metadata.target(relation);
        let mut scope = Scope::new(self.alias(), target.index);
        let mut link = String::new();
        let mut from = String::new();
        push_table(&mut from, target.schema.as_deref(), &target.table);
        let _ = write!(from, " AS {}", scope.alias);
        if let Some(pivot) = &relation.pivot {
            let pivot_alias = self.alias();
            from.push_str(" JOIN ");
            push_table(&mut from, pivot.schema.as_deref(), &pivot.table);
            let _ = write!(from, " AS {pivot_alias} ON ");
            push_column_pairs(&mut from, &pivot_alias, &pivot.inverse_join, &scope.alias, &target.key);
            push_column_pairs(&mut link, &pivot_alias, &pivot.join, alias, &entity.key);
        } else {
            let owning = relation.inverse.and_then(|inverse| target.relation(inverse));
            let owning = owning.ok_or_else(|| not_a_relation(entity))?;
            push_column_pairs(&mut link, &scope.alias, &owning.columns, alias, &entity.key);
        }
        let mut condition = String::new();
        self.expression(&mut scope, inner, &mut condition)?;
        let exists = if quantifier == Quantifier::Some { "EXISTS" } else { "NOT EXISTS" };
        // What is neither true nor false (NULL) does not fulfil the condition either.
        let refuted = if quantifier == Quantifier::Every { " IS NOT TRUE" } else { "" };
        let _ = write!(out, "{exists} (SELECT 1 FROM {from}{} WHERE {link} AND ({condition}){refuted})", scope.joins());
        Ok(())
    }

    /// The entity at the end of the path has one of the keys.
    fn key(&mut self, scope: &mut Scope, path: &FieldPath, keys: &[Key], out: &mut String) -> Result<(), Error> {
        if keys.is_empty() {
            out.push_str("FALSE");
            return Ok(());
        }
        let columns = match path.hops().split_last() {
            None => {
                let entity = &self.metadata.entities[scope.entity];
                qualified(&scope.alias, &entity.key)
            }
            Some((last, before)) => {
                let head = before.iter().fold(path.starting_over(), |path, hop| path.then(*hop));
                match self.place(scope, &head)? {
                    Place::Many(hop) => {
                        return self
                            .through(scope, path, hop, out, |path| Expression::Key { path, keys: keys.to_vec() });
                    }
                    Place::At(alias, entity) => {
                        let relation = entity.relation(usize::from(*last)).ok_or_else(|| not_a_relation(entity))?;
                        if relation.is_owning_to_one() {
                            qualified(&alias, &relation.columns)
                        } else {
                            let Place::At(alias, target) = self.place(scope, path)? else {
                                return Err(not_a_relation(entity));
                            };
                            qualified(&alias, &target.key)
                        }
                    }
                }
            }
        };
        out.push('(');
        for (index, key) in keys.iter().enumerate() {
            if index > 0 {
                out.push_str(" OR ");
            }
            push_joined(out, " AND ", columns.iter().zip(key.parts()), |out, ((column, definition), part)| {
                self.params.push(Param::key_part(definition.pg, part));
                let _ = write!(out, "{column} = ${}::{}", self.params.len(), definition.pg.name);
                if let Some(sql_type) = definition.sql_type {
                    let _ = write!(out, "::{sql_type}");
                }
            });
        }
        out.push(')');
        Ok(())
    }

    /// Follows a path, joining what is not joined yet.
    fn place(&mut self, scope: &mut Scope, path: &FieldPath) -> Result<Place<'a>, Error> {
        let metadata = self.metadata;
        let mut entity = &metadata.entities[scope.entity];
        let mut alias = scope.alias.clone();
        for (index, hop) in path.hops().iter().enumerate() {
            let relation = entity.relation(usize::from(*hop)).ok_or_else(|| not_a_relation(entity))?;
            if relation.meta.kind.is_to_many() {
                return Ok(Place::Many(index));
            }
            let target = metadata.target(relation);
            let prefix = &path.hops()[..=index];
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

    /// The column of a property at a place; the key columns of a relation.
    fn columns(
        &mut self,
        scope: &mut Scope,
        path: &FieldPath,
        property: u16,
        alias: &str,
        entity: &EntityDef,
    ) -> Result<Vec<String>, Error> {
        match entity.properties.get(usize::from(property)) {
            Some(PropertyDef::Column(column)) => {
                let mut out = String::new();
                push_column(&mut out, alias, &column.name);
                Ok(vec![out])
            }
            Some(PropertyDef::Relation(relation)) if relation.is_owning_to_one() => {
                Ok(qualified(alias, &relation.columns).into_iter().map(|(column, _)| column).collect())
            }
            Some(PropertyDef::Relation(relation)) if relation.is_inverse_one_to_one() => {
                match self.place(scope, &path.then(property))? {
                    Place::At(alias, target) => {
                        Ok(qualified(&alias, &target.key).into_iter().map(|(column, _)| column).collect())
                    }
                    Place::Many(_) => Err(not_a_relation(entity)),
                }
            }
            _ => Err(not_a_relation(entity)),
        }
    }
}

fn qualified<'a>(alias: &str, columns: &'a [KeyColumnDef]) -> Vec<(String, &'a KeyColumnDef)> {
    columns
        .iter()
        .map(|column| {
            let mut out = String::new();
            push_column(&mut out, alias, &column.name);
            (out, column)
        })
        .collect()
}

/// The SQL type of a column, where it was given by hand.
fn sql_type(entity: &EntityDef, property: u16) -> Option<&'static str> {
    entity.column(usize::from(property)).and_then(|column| column.meta.sql_type)
}

fn push_operator(out: &mut String, operator: Operator, value: &str) {
    let _ = match operator {
        Operator::Equal => write!(out, " = {value}"),
        Operator::NotEqual => write!(out, " <> {value}"),
        Operator::Greater => write!(out, " > {value}"),
        Operator::GreaterOrEqual => write!(out, " >= {value}"),
        Operator::Less => write!(out, " < {value}"),
        Operator::LessOrEqual => write!(out, " <= {value}"),
        Operator::Like => write!(out, " LIKE {value}"),
        Operator::Ilike => write!(out, " ILIKE {value}"),
        Operator::In => write!(out, " = ANY({value})"),
        Operator::NotIn => write!(out, " <> ALL({value})"),
    };
}

fn not_a_relation(entity: &EntityDef) -> Error {
    Error::validation(
        entity.meta.name,
        format!("a condition follows something of {} that is no relation", entity.meta.name),
    )
}
