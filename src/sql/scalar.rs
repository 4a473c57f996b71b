//! Terms as text: columns are found and joined, values are bound, functions are called.

use std::fmt::Write as _;

use super::compared::is_inferred;
use super::condition::{Writer, no_column};
use super::expression::OrderTerm;
use super::identifier::{push_array_cast, push_cast, push_element_cast, push_list};
use super::parameter::Param;
use super::placed::Placed;
use super::scope::Scope;
use super::select_list::{Casts, Rest};
use super::term::{Aggregate, Bound, Piece, Term, WindowCall};
use crate::entity::FieldPath;
use crate::error::Error;
use crate::metadata::{ColumnDef, EntityDef, KeyColumnDef, PropertyDef, SqlType};
use crate::types::PgType;

/// The column that a value is compared with: bound, it is cast to what the column is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Like<'a> {
    entity: &'static str,
    column: &'a str,
    pub(super) pg: PgType,
    pub(super) sql_type: Option<&'a SqlType>,
    /// Whether the value becomes that of the column.
    is_written: bool,
}

impl<'a> Like<'a> {
    /// A column of an entity.
    pub(super) fn of(entity: &'a EntityDef, column: &'a ColumnDef) -> Self {
        let (pg, sql_type) = (column.meta.pg, column.sql_type.as_ref());
        Self { entity: entity.meta.name, column: &column.name, pg, sql_type, is_written: false }
    }

    /// A column of a key.
    pub(super) fn of_key(entity: &'a EntityDef, column: &'a KeyColumnDef) -> Self {
        let (pg, sql_type) = (column.pg, column.sql_type.as_ref());
        Self { entity: entity.meta.name, column: &column.name, pg, sql_type, is_written: false }
    }

    /// The same, for a value that stays what it is.
    pub(super) const fn as_it_travels(self) -> Self {
        Self { sql_type: None, ..self }
    }

    /// The same, for a value that is written into the column.
    pub(super) const fn written(self) -> Self {
        Self { is_written: true, ..self }
    }
}

impl<'a> Writer<'a> {
    /// A term that has one value for each row of the current FROM list.
    ///
    /// # Errors
    /// [`Error::Validation`] if it leads over a to-many relation outside of an aggregate, [`Error::Conversion`] for a value
    /// that cannot be bound.
    pub(super) fn term(&mut self, scope: &mut Scope, term: &Term) -> Result<String, Error> {
        let mut out = String::new();
        self.push_term(scope, term, None, &mut out)?;
        Ok(out)
    }

    /// The column that has the type of a term.
    pub(super) fn like(&self, term: &Term) -> Option<Like<'a>> {
        let (path, property) = match term.exemplar()? {
            Term::Output { source, column } => return self.kept_of(*source).get(*column).copied().flatten(),
            Term::Column { path, property } => (path, *property),
            _ => return None,
        };
        let entity = self.entity_at(path).ok()?;
        match entity.properties.get(usize::from(property))? {
            PropertyDef::Column(column) => Some(Like::of(entity, column)),
            PropertyDef::Relation(relation) => Some(Like::of_key(entity, relation.columns.first()?)),
        }
    }

    /// The column that the values of a term are like: one that is among them, or what all of them are compared with. Alone, they
    /// have no type that the server could infer.
    fn like_of_several(&self, term: &Term, around: Option<Like<'a>>) -> Option<Like<'a>> {
        self.like(term).or_else(|| around.map(Like::written))
    }

    /// Appends a term; values in it are cast to what they are `like`.
    pub(super) fn push_term(
        &mut self,
        scope: &mut Scope,
        term: &Term,
        like: Option<Like<'a>>,
        out: &mut String,
    ) -> Result<(), Error> {
        match term {
            Term::Column { path, property } => {
                let columns = self.locate(scope, path, *property)?.columns;
                out.push_str(&one(&columns, path)?.text);
            }
            Term::Key(path) => {
                let columns = self.key_columns(scope, path)?;
                let is_row = columns.len() > 1;
                out.push_str(if is_row { "(" } else { "" });
                push_list(out, &columns, |out, column| out.push_str(&column.text));
                out.push_str(if is_row { ")" } else { "" });
            }
            Term::Bound(value) => {
                self.push_bound(value, like, self.start(scope), out)?;
            }
            Term::Call { function, arguments, uniform } => {
                let like = if *uniform { self.like_of_several(term, like) } else { None };
                out.push_str(function);
                self.push_terms(scope, arguments, like, out)?;
            }
            Term::Infix { operator, left, right } => {
                out.push('(');
                self.push_term(scope, left, None, out)?;
                let _ = write!(out, " {operator} ");
                self.push_term(scope, right, None, out)?;
                out.push(')');
            }
            Term::Cast { term, to } => {
                out.push('(');
                self.push_term(scope, term, None, out)?;
                let _ = write!(out, ")::{to}");
            }
            Term::Raw(pieces) => {
                for piece in pieces {
                    match piece {
                        Piece::Text(text) => out.push_str(text),
                        Piece::Term(term) => self.push_term(scope, term, None, out)?,
                    }
                }
            }
            Term::Row(terms) => self.push_terms(scope, terms, None, out)?,
            Term::Rows(columns) => self.push_rows(scope, columns, &[], out)?,
            Term::TextVector { configuration, term } => {
                self.push_text_vector(scope, configuration.as_deref(), term, out)?
            }
            Term::Configuration(name) => self.push_configuration(scope, name, out)?,
            Term::Invalid(message) => return Err(Error::validation(self.start(scope), message.clone())),
            Term::Subquery(select) => self.push_subselect(scope, select, out)?,
            Term::Aggregate(aggregate) => self.push_aggregate(scope, aggregate, out)?,
            Term::Condition(condition) => {
                out.push('(');
                self.expression(scope, condition, out)?;
                out.push(')');
            }
            Term::Case { branches, otherwise } => {
                let like = self.like_of_several(term, like);
                out.push_str("CASE");
                for (condition, term) in branches {
                    out.push_str(" WHEN ");
                    self.expression(scope, condition, out)?;
                    out.push_str(" THEN ");
                    self.push_term(scope, term, like, out)?;
                }
                if let Some(term) = otherwise {
                    out.push_str(" ELSE ");
                    self.push_term(scope, term, like, out)?;
                }
                out.push_str(" END");
            }
            Term::Outer(term) => {
                let Some(entered) = scope.go_outside() else {
                    let message = format!("{term:?} is said to be outer(), and there is no query around this one");
                    return Err(Error::validation(self.start(scope), message));
                };
                let outcome = self.push_term(scope, term, like, out);
                scope.come_back(&entered);
                outcome?;
            }
            Term::Output { source, column } => match scope.source_alias(*source) {
                Some(alias) => {
                    let _ = write!(out, "{alias}.\"c{column}\"");
                }
                None => {
                    let entity = self.metadata().entities[scope.start()].meta.name;
                    let message = "a column of a sub-query is used that is not joined to this query";
                    return Err(Error::validation(entity, message));
                }
            },
            Term::Query(query) => {
                // What it is compared with is a column as it is.
                let casts = Casts { kept: self.kept(query)?, rest: Rest::Never };
                let (text, _) = self.casting(casts, |writer| writer.nested(scope, query))?;
                let _ = write!(out, "({text})");
            }
            Term::Window(window) => self.push_window(scope, window, out)?,
        }
        Ok(())
    }

    /// The name of the entity that the current query is of.
    fn start(&self, scope: &Scope) -> &'static str {
        self.metadata().entities[scope.start()].meta.name
    }

    /// Rows of values that are compared with terms which are `likes`.
    pub(super) fn push_rows(
        &mut self,
        scope: &Scope,
        columns: &[Bound],
        likes: &[Option<Like<'a>>],
        out: &mut String,
    ) -> Result<(), Error> {
        let mut from = String::new();
        out.push_str("(SELECT ");
        for (index, values) in columns.iter().enumerate() {
            let comma = if index > 0 { ", " } else { "" };
            let like = likes.get(index).copied().flatten();
            let _ = write!(out, "{comma}k{index}");
            if let Some(like) = like.filter(|like| like.pg.array() == values.pg) {
                push_cast(out, like.sql_type);
            }
            from.push_str(comma);
            // The array stays what it is; its elements are cast in front.
            self.push_bound(values, like.map(Like::as_it_travels), self.start(scope), &mut from)?;
        }
        let _ = write!(out, " FROM unnest({from}) AS k(");
        push_list(out, 0..columns.len(), |out, index| {
            let _ = write!(out, "k{index}");
        });
        out.push_str("))");
        Ok(())
    }

    /// `to_tsvector('english'::regconfig, term)`; a column that is a `tsvector` stays as it is.
    fn push_text_vector(
        &mut self,
        scope: &mut Scope,
        configuration: Option<&str>,
        term: &Term,
        out: &mut String,
    ) -> Result<(), Error> {
        let sql_type =
            if matches!(term, Term::Column { .. }) { self.like(term).and_then(|like| like.sql_type) } else { None };
        if matches!(sql_type, Some(SqlType::Given(name)) if name.eq_ignore_ascii_case("tsvector")) {
            return self.push_term(scope, term, None, out);
        }
        out.push_str("to_tsvector(");
        if let Some(name) = configuration {
            self.push_configuration(scope, name, out)?;
            out.push_str(", ");
        }
        self.push_term(scope, term, None, out)?;
        out.push(')');
        Ok(())
    }

    /// The name of a text search configuration. It is an identifier and no value: only as a constant does it find an index
    /// on `to_tsvector('english', …)`.
    fn push_configuration(&self, scope: &Scope, name: &str, out: &mut String) -> Result<(), Error> {
        let is_plain = |character: char| character.is_alphanumeric() || matches!(character, '_' | '.');
        if name.is_empty() || !name.chars().all(is_plain) {
            let message =
                format!("{name:?} is no name of a text search configuration such as english or public.english");
            return Err(Error::validation(self.start(scope), message));
        }
        let _ = write!(out, "'{name}'::regconfig");
        Ok(())
    }

    /// `(a, b)`
    fn push_terms(
        &mut self,
        scope: &mut Scope,
        terms: &[Term],
        like: Option<Like<'a>>,
        out: &mut String,
    ) -> Result<(), Error> {
        out.push('(');
        for (index, term) in terms.iter().enumerate() {
            if index > 0 {
                out.push_str(", ");
            }
            self.push_term(scope, term, like, out)?;
        }
        out.push(')');
        Ok(())
    }

    /// Binds a value and casts it to what the column is, where that was given by hand. A value may be an array of what the
    /// column holds, or an element of it.
    fn push_bound(
        &mut self,
        value: &Bound,
        like: Option<Like<'a>>,
        entity: &'static str,
        out: &mut String,
    ) -> Result<(), Error> {
        let bytes = value.value.clone().map_err(|error| Error::Conversion {
            entity: like.map_or(entity, |like| like.entity),
            column: like.map_or("(an expression)", |like| like.column).to_owned(),
            message: error.message,
        })?;
        let param = Param::One(value.pg, bytes);
        let inferred = like.filter(|like| {
            let is_alike = value.pg == like.pg || value.pg == like.pg.array();
            is_alike && !like.is_written && is_inferred(like.pg, like.sql_type)
        });
        if let Some(like) = inferred {
            let _ = write!(out, "${}", self.bind_value(param.inferred(like.sql_type)));
            return Ok(());
        }
        let _ = write!(out, "${}::{}", self.bind_value(param), value.pg.name);
        if let Some(like) = like {
            if value.pg == like.pg {
                push_cast(out, like.sql_type);
            } else if value.pg == like.pg.array() {
                push_array_cast(out, like.sql_type);
            } else if value.pg.array() == like.pg {
                push_element_cast(out, like.sql_type);
            }
        }
        Ok(())
    }

    /// Binds a value, or finds it among those that are; answers with its number.
    fn bind_value(&mut self, param: Param) -> usize {
        let known = self.shares.then(|| self.params.iter().position(|other| other.is(&param))).flatten();
        known.map_or_else(|| self.bind_param(param), |known| known + 1)
    }

    /// `function OVER (PARTITION BY … ORDER BY …)`
    fn push_window(&mut self, scope: &mut Scope, window: &WindowCall, out: &mut String) -> Result<(), Error> {
        self.push_term(scope, &window.function, None, out)?;
        let mut clauses = Vec::new();
        if !window.partition.is_empty() {
            clauses.push(format!("PARTITION BY {}", self.grouping(scope, &window.partition)?));
        }
        if !window.order.is_empty() {
            clauses.push(format!("ORDER BY {}", self.order(scope, &window.order)?));
        }
        clauses.extend(window.frame.clone());
        let _ = write!(out, " OVER ({})", clauses.join(" "));
        Ok(())
    }

    /// Appends the call of an aggregate function for the rows of the current FROM list.
    pub(super) fn push_aggregate_call(
        &mut self,
        scope: &mut Scope,
        aggregate: &Aggregate,
        out: &mut String,
    ) -> Result<(), Error> {
        out.push_str(aggregate.function);
        out.push('(');
        // Different values are ordered by what they are: the server has to see that it is the same.
        let shares = self.shares;
        self.shares |= aggregate.distinct;
        if aggregate.distinct {
            out.push_str("DISTINCT ");
        }
        if aggregate.arguments.is_empty() {
            out.push('*');
        }
        for (index, argument) in aggregate.arguments.iter().enumerate() {
            if index > 0 {
                out.push_str(", ");
            }
            self.push_term(scope, argument, None, out)?;
        }
        if !aggregate.order.is_empty() {
            out.push_str(" ORDER BY ");
            out.push_str(&self.aggregate_order(scope, aggregate)?);
        }
        self.shares = shares;
        out.push(')');
        if let Some(filter) = &aggregate.filter {
            out.push_str(" FILTER (WHERE ");
            self.expression(scope, filter, out)?;
            out.push(')');
        }
        Ok(())
    }

    /// The order of an aggregate's values. Where the argument is cast (text of some length to `text`), it is the argument
    /// that they are ordered by.
    fn aggregate_order(&mut self, scope: &mut Scope, aggregate: &Aggregate) -> Result<String, Error> {
        let Some((argument @ Term::Cast { term, .. }, true)) =
            aggregate.arguments.first().map(|argument| (argument, aggregate.distinct))
        else {
            return self.order(scope, &aggregate.order);
        };
        let written = self.term(scope, term)?;
        let mut order = Vec::with_capacity(aggregate.order.len());
        for by in &aggregate.order {
            let is_same = self.term(scope, &by.term).is_ok_and(|text| text == written);
            order.push(OrderTerm { term: if is_same { argument.clone() } else { by.term.clone() }, ..by.clone() });
        }
        self.order(scope, &order)
    }
}

/// The column of a property that has one.
fn one<'c, 'a>(columns: &'c [Placed<'a>], path: &FieldPath) -> Result<&'c Placed<'a>, Error> {
    match columns {
        [column] => Ok(column),
        _ => Err(no_column(path)),
    }
}
