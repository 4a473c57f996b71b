//! Conditions and orders: paths over to-one relations become LEFT JOINs (each once), over to-many relations EXISTS.
//!
//! A comparison behind a to-many relation holds if some related row fulfils it. Paths over the same relation mean the same
//! row; a comparison that goes over different ones is refused.

use std::fmt::Write as _;
use std::sync::Arc;

use super::common_table::WrittenCte;
use super::expression::{Expression, OrderTerm};
use super::key_condition::key_params;
use super::output::Kept;
use super::parameter::Param;
use super::row_filters::RowFilters;
use super::scope::Scope;
use super::select_list::Casts;
use super::term::{OWN, Term};
use super::view::View;
use crate::entity::FieldPath;
use crate::error::Error;
use crate::metadata::{EntityDef, KeyColumnDef, Metadata};
use crate::types::Key;

/// Writes conditions and terms, and collects their parameters.
pub(super) struct Writer<'a> {
    view: &'a View,
    pub(super) params: Vec<Param>,
    aliases: usize,
    /// The filters of the query that is being written; a part of another one may have its own.
    pub(super) filters: Option<Arc<RowFilters>>,
    /// Whether the condition of a filter is being written.
    pub(super) is_unfiltered: bool,
    /// Whether a value that occurs again is the same parameter, as in expressions that rows are grouped by and that are
    /// selected: the server takes others for different expressions.
    pub(super) shares: bool,
    /// The common table expressions so far.
    pub(super) ctes: Vec<WrittenCte>,
    /// Whether one of them is recursive.
    pub(super) recursive: bool,
    /// Which of the columns that are selected are cast to the type of their values.
    pub(super) casts: Casts<'a>,
    /// The types of the columns of queries in FROM lists, by their numbers.
    pub(super) outputs: Vec<(u32, Vec<Kept<'a>>)>,
}

impl<'a> Writer<'a> {
    pub(super) fn new(view: &'a View) -> Self {
        Self::with_params(view, Vec::new())
    }

    /// A writer whose parameters stand behind these.
    pub(super) fn with_params(view: &'a View, params: Vec<Param>) -> Self {
        Self {
            view,
            params,
            aliases: 0,
            filters: view.filters().cloned(),
            is_unfiltered: false,
            shares: false,
            ctes: Vec::new(),
            recursive: false,
            casts: Casts::where_read(),
            outputs: Vec::new(),
        }
    }

    pub(super) fn into_params(self) -> Vec<Param> {
        self.params
    }

    pub(super) const fn view(&self) -> &'a View {
        self.view
    }

    /// What is written from now on sees this.
    pub(super) const fn look_through(&mut self, view: &'a View) {
        self.view = view;
    }

    pub(super) fn metadata(&self) -> &'a Metadata {
        self.view
    }

    /// A new alias for a table.
    pub(super) fn alias(&mut self) -> String {
        self.aliases += 1;
        format!("t{}", self.aliases)
    }

    /// Binds a parameter; answers with its number.
    pub(super) fn bind_param(&mut self, param: Param) -> usize {
        self.params.push(param);
        self.params.len()
    }

    /// Binds a number of rows.
    pub(super) fn bind_count(&mut self, count: u64) -> String {
        format!("${}::int8", self.bind_param(Param::int8(i64::try_from(count).unwrap_or(i64::MAX))))
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
        for OrderTerm { term, descending, nulls_first, .. } in terms {
            // The columns of a foreign key are terms of their own.
            let columns = match term {
                Term::Column { path, property } => {
                    let columns = self.locate(scope, path, *property)?.columns;
                    columns.into_iter().map(|column| column.text).collect()
                }
                Term::Output { source: OWN, column } => vec![(column + 1).to_string()],
                term => vec![self.term(scope, term)?],
            };
            for column in columns {
                if !out.is_empty() {
                    out.push_str(", ");
                }
                out.push_str(&column);
                if *descending {
                    out.push_str(" DESC");
                }
                match nulls_first {
                    Some(true) => out.push_str(" NULLS FIRST"),
                    Some(false) => out.push_str(" NULLS LAST"),
                    None => {}
                }
            }
        }
        Ok(out)
    }

    /// Appends a condition.
    pub(super) fn expression(
        &mut self,
        scope: &mut Scope,
        expression: &Expression,
        out: &mut String,
    ) -> Result<(), Error> {
        match expression {
            Expression::All(list) => self.list(scope, list, " AND ", "TRUE", out),
            Expression::Any(list) => self.list(scope, list, " OR ", "FALSE", out),
            Expression::Not(inner) => {
                out.push_str("NOT (");
                self.expression(scope, inner, out)?;
                out.push(')');
                Ok(())
            }
            Expression::Key { keys, .. } if keys.is_empty() => {
                out.push_str("FALSE");
                Ok(())
            }
            atom => match self.relation_to_follow(scope, atom)? {
                Some((path, hops)) => self.some_row(scope, path, hops, atom, out),
                None => self.atom(scope, atom, out),
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

    /// The to-many relation whose rows a comparison is about, and which are not in the FROM lists yet: a path that leads
    /// over it, and up to which hop.
    fn relation_to_follow<'e>(
        &self,
        scope: &Scope,
        atom: &'e Expression,
    ) -> Result<Option<(&'e FieldPath, usize)>, Error> {
        let mut paths = Vec::new();
        atom.each_path(&mut |path| paths.push(path));
        self.common_relation(scope, &paths, |one, other| {
            format!(
                "a condition compares {one:?} with {other:?}, which lead over different to-many relations: put one of them \
                 into some()"
            )
        })
    }

    /// The first to-many relation that these paths lead over, and whose rows are not in the FROM lists yet: a path that leads
    /// over it, and up to which hop.
    ///
    /// # Errors
    /// [`Error::Validation`] if there are several: their rows would be multiplied with each other.
    pub(super) fn common_relation<'e>(
        &self,
        scope: &Scope,
        paths: &[&'e FieldPath],
        several: impl Fn(&FieldPath, &FieldPath) -> String,
    ) -> Result<Option<(&'e FieldPath, usize)>, Error> {
        let mut follow: Option<(&FieldPath, usize)> = None;
        for path in paths {
            let Some(hops) = self.first_many(scope, path)? else { continue };
            match follow {
                Some((other, count))
                    if other.source() != path.source() || other.hops().get(..count) != path.hops().get(..hops) =>
                {
                    return Err(Error::validation(path.start().name, several(other, path)));
                }
                _ => follow = Some((path, hops)),
            }
        }
        Ok(follow)
    }

    /// A comparison whose rows are all in the FROM lists.
    fn atom(&mut self, scope: &mut Scope, expression: &Expression, out: &mut String) -> Result<(), Error> {
        match expression {
            Expression::Compare { left, operator, right } => self.compare(scope, left, *operator, right, out),
            Expression::Between { term, low, high } => {
                let like = self.like(term).or_else(|| self.like(low));
                self.push_term(scope, term, like, out)?;
                out.push_str(" BETWEEN ");
                self.push_term(scope, low, like, out)?;
                out.push_str(" AND ");
                self.push_term(scope, high, like, out)
            }
            Expression::Null { term, is_null } => {
                match term {
                    // The columns of a foreign key are NULL together.
                    Term::Column { path, property } => {
                        let columns = self.locate(scope, path, *property)?.columns;
                        out.push_str(&columns.first().ok_or_else(|| no_column(path))?.text);
                    }
                    term => self.push_term(scope, term, None, out)?,
                }
                let _ = write!(out, " IS {}NULL", if *is_null { "" } else { "NOT " });
                Ok(())
            }
            Expression::Holds(term) => {
                out.push('(');
                self.push_term(scope, term, None, out)?;
                out.push(')');
                Ok(())
            }
            Expression::Exists(select) => {
                out.push_str("EXISTS ");
                self.push_subselect(scope, select, out)
            }
            Expression::Key { path, keys } => self.key(scope, path, keys, out),
            Expression::Item { path, key } => self.item(scope.alias(), path, key, out),
            Expression::At { path, inner } => {
                let (alias, entity) = self.place(scope, path)?;
                let entered = scope.enter_level(alias, entity.index);
                let outcome = self.expression(scope, inner, out);
                scope.leave_joined(entered);
                outcome
            }
            Expression::Quantified { path, property, quantifier, inner } => {
                self.quantified(scope, path, *property, *quantifier, inner, out)
            }
            Expression::All(_) | Expression::Any(_) | Expression::Not(_) => self.expression(scope, expression, out),
        }
    }
}

pub(super) fn no_column(path: &FieldPath) -> Error {
    Error::validation(path.start().name, format!("a condition on {path:?} compares something that is no column"))
}

pub(super) fn not_a_relation(entity: &EntityDef) -> Error {
    Error::validation(
        entity.meta.name,
        format!("a condition follows something of {} that is no relation", entity.meta.name),
    )
}
