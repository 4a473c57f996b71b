//! Conditions and orders: paths over to-one relations become LEFT JOINs (each once), over to-many relations EXISTS.
//!
//! A comparison behind a to-many relation holds if some related row fulfils it. Paths over the same relation mean the same
//! row; a comparison that goes over different ones is refused.

use std::fmt::Write as _;

use super::expression::{Expression, Operator, OrderTerm};
use super::identifier::{push_cast, push_joined, push_list};
use super::parameter::{Param, key_arrays};
use super::placed::{Placed, placed, push_any_of};
use super::query::{Casts, WrittenCte};
use super::scope::Scope;
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
    pub(super) casts: Casts,
}

impl<'a> Writer<'a> {
    pub(super) const fn new(view: &'a View) -> Self {
        Self::with_params(view, Vec::new())
    }

    /// A writer whose parameters stand behind these.
    pub(super) const fn with_params(view: &'a View, params: Vec<Param>) -> Self {
        Self {
            view,
            params,
            aliases: 0,
            is_unfiltered: false,
            shares: false,
            ctes: Vec::new(),
            recursive: false,
            casts: Casts::WhereRead,
        }
    }

    pub(super) fn into_params(self) -> Vec<Param> {
        self.params
    }

    pub(super) const fn view(&self) -> &'a View {
        self.view
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
        for OrderTerm { term, descending, nulls_first } in terms {
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
        let mut follow: Option<(&FieldPath, usize)> = None;
        for path in paths {
            let Some(hops) = self.first_many(scope, path)? else { continue };
            match follow {
                Some((other, count))
                    if other.source() != path.source() || other.hops().get(..count) != path.hops().get(..hops) =>
                {
                    let message = format!(
                        "a condition compares {other:?} with {path:?}, which lead over different to-many relations: put \
                         one of them into some()"
                    );
                    return Err(Error::validation(path.start().name, message));
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

    fn compare(
        &mut self,
        scope: &mut Scope,
        left: &Term,
        operator: Operator,
        right: &Term,
        out: &mut String,
    ) -> Result<(), Error> {
        if let Term::Row(terms) = left {
            return self.compare_rows(scope, terms, operator, right, out);
        }
        let like_left = self.like(left).or_else(|| self.like(right));
        let like_right = self.like(right).or(like_left);
        self.push_term(scope, left, like_left, out)?;
        match operator {
            Operator::In if !right.is_query() => out.push_str(" = ANY("),
            Operator::NotIn if !right.is_query() => out.push_str(" <> ALL("),
            Operator::NotIn => return self.not_in_subquery(scope, right, 1, out),
            operator => {
                let _ = write!(out, " {} ", operator.symbol());
                return self.push_term(scope, right, like_right, out);
            }
        }
        self.push_term(scope, right, like_right, out)?;
        out.push(')');
        Ok(())
    }

    /// The entity is an item of a collection.
    fn item(&mut self, alias: &str, path: &FieldPath, key: &Key, out: &mut String) -> Result<(), Error> {
        let owner = self.metadata().of(path.start())?;
        let [property] = path.hops() else {
            let message =
                format!("{path:?} is no collection of {} itself: start at the entity that has it", owner.meta.name);
            return Err(Error::validation(owner.meta.name, message));
        };
        let relation = owner.relation(usize::from(*property)).ok_or_else(|| not_a_relation(owner))?;
        let target = self.metadata().target(relation);
        let Some(pivot) = &relation.pivot else {
            let owning = relation.inverse.and_then(|inverse| target.relation(inverse));
            let columns = owning.map(|owning| placed(alias, &owning.columns)).ok_or_else(|| not_a_relation(owner))?;
            self.push_key(&columns, key, out);
            return Ok(());
        };
        let linked = self.alias();
        out.push('(');
        push_joined(out, ", ", &placed(alias, &target.key), |out, column| out.push_str(&column.text));
        out.push_str(") IN (SELECT ");
        push_joined(out, ", ", &placed(&linked, &pivot.inverse_join), |out, column| out.push_str(&column.text));
        out.push_str(" FROM ");
        self.view().push_pivot(out, pivot);
        let _ = write!(out, " AS {linked} WHERE ");
        self.push_key(&placed(&linked, &pivot.join), key, out);
        out.push(')');
        Ok(())
    }

    /// Appends ` NOT IN (SELECT …)` without the rows that have a NULL: nothing equals them, but as soon as there is one,
    /// `NOT IN` is never true.
    fn not_in_subquery(
        &mut self,
        scope: &mut Scope,
        subquery: &Term,
        width: usize,
        out: &mut String,
    ) -> Result<(), Error> {
        let mut names = String::new();
        push_list(&mut names, 0..width, |out, index| {
            let _ = write!(out, "v{index}");
        });
        let _ = write!(out, " NOT IN (SELECT {names} FROM ");
        self.push_term(scope, subquery, None, out)?;
        let _ = write!(out, " AS s({names}) WHERE ");
        push_joined(out, " AND ", 0..width, |out, index| {
            let _ = write!(out, "v{index} IS NOT NULL");
        });
        out.push(')');
        Ok(())
    }

    /// The columns are this key.
    fn push_key(&mut self, columns: &[Placed<'_>], key: &Key, out: &mut String) {
        out.push('(');
        push_joined(out, " AND ", columns.iter().zip(key.parts()), |out, (column, part)| {
            self.params.push(Param::key_part(column.pg, part));
            let _ = write!(out, "{} = ${}::{}", column.text, self.params.len(), column.pg.name);
            push_cast(out, column.sql_type);
        });
        out.push(')');
    }

    /// Compares several terms at once: with as many others, with rows of values, or with what a sub-query selects.
    fn compare_rows(
        &mut self,
        scope: &mut Scope,
        left: &[Term],
        operator: Operator,
        right: &Term,
        out: &mut String,
    ) -> Result<(), Error> {
        let likes: Vec<_> = left.iter().map(|term| self.like(term)).collect();
        out.push('(');
        for (index, term) in left.iter().enumerate() {
            out.push_str(if index > 0 { ", " } else { "" });
            self.push_term(scope, term, None, out)?;
        }
        out.push(')');
        if operator == Operator::NotIn && right.is_query() {
            return self.not_in_subquery(scope, right, left.len(), out);
        }
        let _ = write!(out, " {} ", operator.symbol());
        match right {
            Term::Row(right) => {
                out.push('(');
                for (index, (term, like)) in right.iter().zip(likes).enumerate() {
                    out.push_str(if index > 0 { ", " } else { "" });
                    self.push_term(scope, term, like, out)?;
                }
                out.push(')');
                Ok(())
            }
            Term::Rows(columns) => self.push_rows(scope, columns, &likes, out),
            other => self.push_term(scope, other, None, out),
        }
    }

    /// The entity at the end of the path has one of the keys.
    fn key(&mut self, scope: &mut Scope, path: &FieldPath, keys: &[Key], out: &mut String) -> Result<(), Error> {
        let columns = match path.hops().split_last() {
            // The rows that a to-many relation leads to are in the FROM list: their key is a key like any other.
            Some((last, before))
                if scope.home(path.source(), path.hops()).is_some_and(|home| home.hops < path.hops().len()) =>
            {
                let head = before.iter().fold(path.starting_over(), |path, hop| path.then(*hop));
                self.locate(scope, &head, *last)?.columns
            }
            _ => {
                let (alias, entity) = self.place(scope, path)?;
                placed(&alias, &entity.key)
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
        self.push_key(&columns, key, out);
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

pub(super) fn no_column(path: &FieldPath) -> Error {
    Error::validation(path.start().name, format!("a condition on {path:?} compares something that is no column"))
}

pub(super) fn not_a_relation(entity: &EntityDef) -> Error {
    Error::validation(
        entity.meta.name,
        format!("a condition follows something of {} that is no relation", entity.meta.name),
    )
}
