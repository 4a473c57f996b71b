//! Conditions and orders: paths over to-one relations become LEFT JOINs (each once), over to-many relations EXISTS.

use std::fmt::Write as _;

use super::expression::{Bound, Expression, Operator, OrderTerm, Quantifier};
use super::identifier::{push_array_cast, push_cast, push_joined, push_table};
use super::parameter::{Param, key_arrays};
use super::placed::{Location, Place, Placed, Scope, placed, push_any_of};
use super::select::push_column_pairs;
use crate::entity::FieldPath;
use crate::error::Error;
use crate::metadata::{EntityDef, KeyColumnDef, Metadata, RelationDef};
use crate::types::Key;

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

    pub(super) const fn metadata(&self) -> &'a Metadata {
        self.metadata
    }

    /// A new alias for a table.
    pub(super) fn alias(&mut self) -> String {
        self.aliases += 1;
        format!("t{}", self.aliases)
    }

    /// Binds a number of rows.
    pub(super) fn bind_count(&mut self, count: u64) -> String {
        self.params.push(Param::int8(i64::try_from(count).unwrap_or(i64::MAX)));
        format!("${}::int8", self.params.len())
    }

    /// Binds keys, an array a column; answers with the number of the first parameter.
    pub(super) fn bind_keys(
        &mut self,
        entity: &EntityDef,
        columns: &[KeyColumnDef],
        keys: &[Key],
    ) -> Result<usize, Error> {
        let first = self.params.len() + 1;
        self.params.extend(key_params(entity, columns, keys)?);
        Ok(first)
    }

    /// Binds a value and casts it to what the column is, where that was given by hand. A value may be an array of what
    /// the column holds.
    fn bind(&mut self, entity: &EntityDef, column: &Placed<'_>, value: &Bound) -> Result<String, Error> {
        let bytes = value.value.clone().map_err(|error| Error::Conversion {
            entity: entity.meta.name,
            column: column.name.to_owned(),
            message: error.message,
        })?;
        self.params.push(Param::One(value.pg, Some(bytes)));
        let mut text = format!("${}::{}", self.params.len(), value.pg.name);
        if value.pg == column.pg {
            push_cast(&mut text, column.sql_type);
        } else {
            push_array_cast(&mut text, column.sql_type);
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
            let columns = match self.locate(scope, &term.path, term.property)? {
                Location::At { columns, .. } => columns,
                Location::Many(_) => {
                    let message = format!("cannot order by {:?}: it leads over a to-many relation", term.path);
                    return Err(Error::validation(term.path.start().name, message));
                }
            };
            for column in columns {
                if !out.is_empty() {
                    out.push_str(", ");
                }
                out.push_str(&column.text);
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
            Expression::Compare { path, property, operator, value } => match self.locate(scope, path, *property)? {
                Location::Many(hop) => self.through(scope, path, hop, out, |path| Expression::Compare {
                    path,
                    property: *property,
                    operator: *operator,
                    value: value.clone(),
                }),
                Location::At { entity, columns } => {
                    let column = one(&columns, path)?;
                    let value = self.bind(entity, column, value)?;
                    out.push_str(&column.text);
                    push_operator(out, *operator, &value);
                    Ok(())
                }
            },
            Expression::Between { path, property, low, high } => match self.locate(scope, path, *property)? {
                Location::Many(hop) => self.through(scope, path, hop, out, |path| Expression::Between {
                    path,
                    property: *property,
                    low: low.clone(),
                    high: high.clone(),
                }),
                Location::At { entity, columns } => {
                    let column = one(&columns, path)?;
                    let low = self.bind(entity, column, low)?;
                    let high = self.bind(entity, column, high)?;
                    let _ = write!(out, "{} BETWEEN {low} AND {high}", column.text);
                    Ok(())
                }
            },
            Expression::Null { path, property, is_null } => match self.locate(scope, path, *property)? {
                Location::Many(hop) => self.through(scope, path, hop, out, |path| Expression::Null {
                    path,
                    property: *property,
                    is_null: *is_null,
                }),
                Location::At { columns, .. } => {
                    // The columns of a foreign key are NULL together.
                    let column = columns.first().ok_or_else(|| no_column(path))?;
                    let _ = write!(out, "{} IS {}NULL", column.text, if *is_null { "" } else { "NOT " });
                    Ok(())
                }
            },
            Expression::Key { path, keys } => self.key(scope, path, keys, out),
            Expression::Quantified { path, property, quantifier, inner } => match self.place(scope, path.hops())? {
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
        let Place::At(alias, entity) = self.place(scope, before)? else {
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
        let _ = write!(from, " AS {}", scope.alias());
        if let Some(pivot) = &relation.pivot {
            let pivot_alias = self.alias();
            from.push_str(" JOIN ");
            push_table(&mut from, pivot.schema.as_deref(), &pivot.table);
            let _ = write!(from, " AS {pivot_alias} ON ");
            push_column_pairs(&mut from, &pivot_alias, &pivot.inverse_join, scope.alias(), &target.key);
            push_column_pairs(&mut link, &pivot_alias, &pivot.join, alias, &entity.key);
        } else {
            let owning = relation.inverse.and_then(|inverse| target.relation(inverse));
            let owning = owning.ok_or_else(|| not_a_relation(entity))?;
            push_column_pairs(&mut link, scope.alias(), &owning.columns, alias, &entity.key);
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
                let entity = &self.metadata.entities[scope.entity()];
                placed(scope.alias(), &entity.key)
            }
            Some((last, before)) => {
                let head = before.iter().fold(path.starting_over(), |path, hop| path.then(*hop));
                match self.locate(scope, &head, *last)? {
                    Location::At { columns, .. } => columns,
                    Location::Many(hop) => {
                        let rest = |path| Expression::Key { path, keys: keys.to_vec() };
                        return self.through(scope, path, hop, out, rest);
                    }
                }
            }
        };
        let first = self.params.len() + 1;
        let [key] = keys else {
            let types = columns.iter().map(|column| column.pg);
            let arrays = key_arrays(types, keys.iter(), keys.len());
            self.params.extend(arrays.map_err(|error| Error::Conversion {
                entity: path.start().name,
                column: columns.first().map_or("", |column| column.name).to_owned(),
                message: error.message,
            })?);
            push_any_of(out, &columns, first);
            return Ok(());
        };
        out.push('(');
        push_joined(out, " AND ", columns.iter().zip(key.parts()), |out, (column, part)| {
            self.params.push(Param::key_part(column.pg, part));
            let _ = write!(out, "{} = ${}::{}", column.text, self.params.len(), column.pg.name);
            push_cast(out, column.sql_type);
        });
        out.push(')');
        Ok(())
    }
}

/// Keys as parameters, an array a column.
pub(super) fn key_params(entity: &EntityDef, columns: &[KeyColumnDef], keys: &[Key]) -> Result<Vec<Param>, Error> {
    let types = columns.iter().map(|column| column.pg);
    key_arrays(types, keys.iter(), keys.len()).map_err(|error| Error::Conversion {
        entity: entity.meta.name,
        column: "of the key".to_owned(),
        message: error.message,
    })
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

/// The column of a property that has one.
fn one<'c, 'a>(columns: &'c [Placed<'a>], path: &FieldPath) -> Result<&'c Placed<'a>, Error> {
    match columns {
        [column] => Ok(column),
        _ => Err(no_column(path)),
    }
}

fn no_column(path: &FieldPath) -> Error {
    Error::validation(path.start().name, format!("a condition on {path:?} compares something that is no column"))
}

pub(super) fn not_a_relation(entity: &EntityDef) -> Error {
    Error::validation(
        entity.meta.name,
        format!("a condition follows something of {} that is no relation", entity.meta.name),
    )
}
