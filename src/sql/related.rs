//! What is asked of the rows behind a to-many relation: whether some, none or all of them fulfil a condition, and what
//! they are together.

use std::fmt::Write as _;

use super::condition::{Writer, not_a_relation};
use super::expression::{Expression, Quantifier};
use super::identifier::push_column;
use super::placed::not_joined;
use super::scope::Scope;
use super::select::push_column_pairs;
use super::term::{Aggregate, Term};
use crate::entity::FieldPath;
use crate::error::Error;
use crate::metadata::{EntityDef, RelationDef};

/// The rows of a relation: `FROM target AS t1 JOIN pivot … WHERE <link>`.
pub(super) struct Rows<'a> {
    pub(super) target: &'a EntityDef,
    pub(super) alias: String,
    pub(super) from: String,
    pub(super) link: String,
    /// The column of the pivot table that the rows are ordered by, if they have an order.
    pub(super) order: Option<String>,
}

impl<'a> Writer<'a> {
    /// The rows of a to-many relation of the entity with this alias.
    pub(super) fn rows(&mut self, alias: &str, entity: &'a EntityDef, property: u16) -> Result<Rows<'a>, Error> {
        let relation = entity.relation(usize::from(property)).ok_or_else(|| not_a_relation(entity))?;
        let target = self.metadata().target(relation);
        let own = self.alias();
        let seen = self.seen(&own, target)?;
        let (mut from, mut link, mut order) = (seen.table.clone(), String::new(), None);
        if let Some(pivot) = &relation.pivot {
            let pivot_alias = self.alias();
            from.push_str(" JOIN ");
            self.view().push_pivot(&mut from, pivot);
            let _ = write!(from, " AS {pivot_alias} ON ");
            push_column_pairs(&mut from, &pivot_alias, &pivot.inverse_join, &own, &target.key);
            push_column_pairs(&mut link, &pivot_alias, &pivot.join, alias, &entity.key);
            order = pivot.order.as_ref().map(|column| {
                let mut text = String::new();
                push_column(&mut text, &pivot_alias, column);
                text
            });
        } else {
            let owning = self.owning(entity, relation)?;
            push_column_pairs(&mut link, &own, &owning.columns, alias, &entity.key);
        }
        seen.push_and(&mut link);
        Ok(Rows { target, alias: own, from, link, order })
    }

    fn owning(&self, entity: &EntityDef, relation: &RelationDef) -> Result<&'a RelationDef, Error> {
        let target = self.metadata().target(relation);
        relation.inverse.and_then(|inverse| target.relation(inverse)).ok_or_else(|| not_a_relation(entity))
    }

    /// The rows at the end of the first hops of a path, of which the last is a to-many relation.
    fn rows_of(&mut self, scope: &mut Scope, path: &FieldPath, hops: usize) -> Result<(Rows<'a>, Vec<u16>), Error> {
        let prefix = path.hops().get(..hops).unwrap_or_default();
        let Some((last, before)) = prefix.split_last() else {
            return Err(Error::validation(path.start().name, format!("{path:?} cannot be followed")));
        };
        let head = before.iter().fold(path.starting_over(), |path, hop| path.then(*hop));
        let (alias, entity) = self.place(scope, &head)?;
        Ok((self.rows(&alias, entity, *last)?, prefix.to_vec()))
    }

    /// Some row at the end of the first hops of a path fulfils a condition.
    pub(super) fn some_row(
        &mut self,
        scope: &mut Scope,
        path: &FieldPath,
        hops: usize,
        condition: &Expression,
        out: &mut String,
    ) -> Result<(), Error> {
        let (Rows { target, alias, from, link, .. }, prefix) = self.rows_of(scope, path, hops)?;
        let entered = scope.enter_rows(alias, target.index, path.source(), prefix);
        let mut text = String::new();
        self.expression(scope, condition, &mut text)?;
        let joins = scope.leave(entered);
        let _ = write!(out, "EXISTS (SELECT 1 FROM {from}{joins} WHERE {link} AND ({text}))");
        Ok(())
    }

    /// `EXISTS (SELECT 1 FROM target WHERE …)` for a condition that starts at the target.
    pub(super) fn quantified(
        &mut self,
        scope: &mut Scope,
        path: &FieldPath,
        property: u16,
        quantifier: Quantifier,
        inner: &Expression,
        out: &mut String,
    ) -> Result<(), Error> {
        let (alias, entity) = self.place(scope, path)?;
        let Rows { target, alias, from, link, .. } = self.rows(&alias, entity, property)?;
        let entered = scope.enter_level(alias, target.index);
        let mut text = String::new();
        self.expression(scope, inner, &mut text)?;
        let joins = scope.leave(entered);
        let exists = if quantifier == Quantifier::Some { "EXISTS" } else { "NOT EXISTS" };
        // What is neither true nor false (NULL) does not fulfil the condition either.
        let refuted = if quantifier == Quantifier::Every { " IS NOT TRUE" } else { "" };
        let _ = write!(out, "{exists} (SELECT 1 FROM {from}{joins} WHERE {link} AND ({text}){refuted})");
        Ok(())
    }

    /// Appends an aggregate: of the rows of the query, or, if it leads over a to-many relation, of the related rows of
    /// each row.
    pub(super) fn push_aggregate(
        &mut self,
        scope: &mut Scope,
        aggregate: &Aggregate,
        out: &mut String,
    ) -> Result<(), Error> {
        let mut paths: Vec<&FieldPath> = aggregate.rows.iter().collect();
        aggregate.arguments.iter().for_each(|argument| argument.each_path(&mut |path| paths.push(path)));
        // All related rows are meant, also where the term stands in a condition on one of them.
        let entered = scope.go_to_start();
        let outcome = self.push_related_aggregate(scope, aggregate, &paths, out);
        scope.come_back(&entered);
        if outcome? {
            return Ok(());
        }
        match &aggregate.rows {
            // They are in the FROM list, maybe more than once, and with NULLs where a LEFT JOIN has found none.
            Some(rows) => self.push_aggregate_call(scope, &different_rows(aggregate, rows), out),
            None => self.push_aggregate_call(scope, aggregate, out),
        }
    }

    /// Appends an aggregate of related rows; `false` if the paths lead to none.
    fn push_related_aggregate(
        &mut self,
        scope: &mut Scope,
        aggregate: &Aggregate,
        paths: &[&FieldPath],
        out: &mut String,
    ) -> Result<bool, Error> {
        let several = |one: &FieldPath, other: &FieldPath| {
            format!(
                "an aggregate is of {one:?} and {other:?}, which lead over different to-many relations: use an aggregate of \
                 each"
            )
        };
        let Some((path, hops)) = self.common_relation(scope, paths, several)? else { return Ok(false) };
        let (Rows { target, alias, from, link, .. }, prefix) = self.rows_of(scope, path, hops)?;
        let entered = scope.enter_rows(alias, target.index, path.source(), prefix);
        while let Some((path, hops)) = self.common_relation(scope, paths, several)? {
            self.join_rows(scope, path, hops)?;
        }
        let mut text = String::new();
        self.push_aggregate_call(scope, aggregate, &mut text)?;
        let joins = scope.leave(entered);
        let _ = write!(out, "(SELECT {text} FROM {from}{joins} WHERE {link})");
        Ok(true)
    }

    /// Joins the rows of a further to-many relation to the current FROM list.
    fn join_rows(&mut self, scope: &mut Scope, path: &FieldPath, hops: usize) -> Result<(), Error> {
        self.join_rows_as(scope, path, hops, " JOIN ")
    }

    fn join_rows_as(&mut self, scope: &mut Scope, path: &FieldPath, hops: usize, join: &str) -> Result<(), Error> {
        let home = scope.home(path.source(), path.hops()).ok_or_else(|| not_joined(path))?;
        let (frame, start) = (home.index, home.hops);
        let (Rows { alias, from, link, .. }, prefix) = self.rows_of(scope, path, hops)?;
        // `FROM a AS t1 JOIN pivot AS t2 ON …` is one item of the FROM list.
        let item = if from.contains(" JOIN ") { format!("({from})") } else { from };
        scope.join(frame, prefix.get(start..).unwrap_or_default(), &alias, &format!("{join}{item} ON {link}"));
        Ok(())
    }

    /// Joins every relation of a path that is not joined yet, to-many ones, too: a row for each of the related rows.
    ///
    /// # Errors
    /// [`Error::Validation`] if the path is none of the query.
    pub(super) fn join_path(&mut self, scope: &mut Scope, path: &FieldPath, join: &str) -> Result<(), Error> {
        for count in 1..=path.hops().len() {
            let (before, last) = path.hops().split_at(count - 1);
            let Some(hop) = last.first() else { break };
            let head = before.iter().fold(path.starting_over(), |path, hop| path.then(*hop));
            let (alias, entity) = self.place(scope, &head)?;
            let home = scope.home(path.source(), before).ok_or_else(|| not_joined(path))?;
            let (frame, start) = (home.index, home.hops);
            let prefix = path.hops().get(start..count).unwrap_or_default();
            if scope.joined(frame, prefix).is_some() {
                continue;
            }
            let relation = entity.relation(usize::from(*hop)).ok_or_else(|| not_a_relation(entity))?;
            if relation.meta.kind.is_to_many() {
                self.join_rows_as(scope, path, count, join)?;
            } else {
                self.join_one(scope, (frame, prefix), (&alias, entity), *hop, join)?;
            }
        }
        Ok(())
    }
}

/// The aggregate of rows that are in the FROM list: each of them once.
fn different_rows(aggregate: &Aggregate, rows: &FieldPath) -> Aggregate {
    let key = || Term::Key(rows.clone());
    let there = Expression::Null { term: key(), is_null: false };
    let filter = match &aggregate.filter {
        Some(filter) => Expression::All(vec![there, filter.clone()]),
        None => there,
    };
    Aggregate { arguments: vec![key()], distinct: true, filter: Some(filter), rows: None, ..aggregate.clone() }
}
