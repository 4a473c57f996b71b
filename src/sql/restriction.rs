//! Conditions and terms of statements that have no FROM list of their own to join to: UPDATE, DELETE, ON CONFLICT DO UPDATE.
//!
//! What needs joins is asked of the same row in a SELECT.

use std::fmt::Write as _;

use super::condition::Writer;
use super::expression::Expression;
use super::identifier::{push_joined, push_list};
use super::placed::placed;
use super::scalar::Like;
use super::scope::Scope;
use super::select::ROOT;
use super::term::Term;
use crate::error::Error;
use crate::metadata::EntityDef;

impl<'a> Writer<'a> {
    /// What the row that is called `t0` has to fulfil to be seen by the query; empty if all rows are.
    ///
    /// # Errors
    /// As [`seen`](Self::seen).
    pub(super) fn visible(&mut self, entity: &EntityDef) -> Result<String, Error> {
        let filters = self.filters.clone().filter(|_| !self.is_unfiltered);
        let filters = filters.as_ref().map_or(Ok(&[][..]), |filters| filters.of(entity.index))?;
        if filters.is_empty() {
            return Ok(String::new());
        }
        // What the condition of a filter leads to is not filtered in turn.
        self.is_unfiltered = true;
        let condition = self.restriction(entity, filters);
        self.is_unfiltered = false;
        condition
    }

    /// A condition on the row that is called `t0`. Empty if there is nothing to check. A condition that needs joins asks whether
    /// the row's key is among those that a SELECT finds.
    ///
    /// # Errors
    /// As [`filter`](Self::filter).
    pub(super) fn restriction(&mut self, entity: &EntityDef, filter: &[Expression]) -> Result<String, Error> {
        let before = (self.params.len(), self.ctes.len());
        let mut scope = Scope::new(ROOT.to_owned(), entity.index);
        let condition = self.filter(&mut scope, filter)?;
        if scope.joins().is_empty() {
            return Ok(condition);
        }
        self.forget_behind(before);
        let alias = self.alias();
        let mut scope = Scope::new(alias.clone(), entity.index);
        let condition = self.filter(&mut scope, filter)?;
        let mut text = "(".to_owned();
        push_list(&mut text, placed(ROOT, &entity.key), |text, column| text.push_str(&column.text));
        text.push_str(") IN (SELECT ");
        push_list(&mut text, placed(&alias, &entity.key), |text, column| text.push_str(&column.text));
        self.push_row(&mut text, entity, &scope, &condition);
        text.push(')');
        Ok(text)
    }

    /// A term of the row that is called `t0`. One that needs joins is selected.
    ///
    /// # Errors
    /// As [`push_term`](Self::push_term).
    pub(super) fn row_term(
        &mut self,
        entity: &EntityDef,
        term: &Term,
        like: Option<Like<'a>>,
    ) -> Result<String, Error> {
        let before = (self.params.len(), self.ctes.len());
        let mut scope = Scope::new(ROOT.to_owned(), entity.index);
        let mut value = String::new();
        self.push_term(&mut scope, term, like, &mut value)?;
        if scope.joins().is_empty() {
            return Ok(value);
        }
        self.forget_behind(before);
        let alias = self.alias();
        let mut scope = Scope::new(alias.clone(), entity.index);
        let mut text = "(SELECT ".to_owned();
        self.push_term(&mut scope, term, like, &mut text)?;
        let pairs = placed(&alias, &entity.key).into_iter().zip(placed(ROOT, &entity.key));
        let mut is_same = String::new();
        push_joined(&mut is_same, " AND ", pairs, |text, (this, that)| {
            text.push_str(&this.text);
            text.push_str(" = ");
            text.push_str(&that.text);
        });
        self.push_row(&mut text, entity, &scope, &is_same);
        text.push(')');
        Ok(text)
    }

    /// Takes back parameters and common table expressions, for what they are part of is written once more.
    fn forget_behind(&mut self, (params, ctes): (usize, usize)) {
        self.params.truncate(params);
        self.ctes.truncate(ctes);
    }

    /// Appends the FROM list and the condition. Which rows are seen says the statement around it.
    fn push_row(&self, out: &mut String, entity: &EntityDef, scope: &Scope, condition: &str) {
        out.push_str(" FROM ");
        self.view().push_entity(out, entity);
        let _ = write!(out, " AS {}{} WHERE {condition}", scope.alias(), scope.joins());
    }
}

/// Appends ` WHERE …` with these conditions; nothing where all are empty.
pub(super) fn push_where(out: &mut String, conditions: &[&str]) {
    let mut word = " WHERE ";
    for condition in conditions.iter().filter(|condition| !condition.is_empty()) {
        let _ = write!(out, "{word}{condition}");
        word = " AND ";
    }
}
