//! An entity's rows in a FROM list: every statement that reads them names its tables here.

use std::fmt::Write as _;

use super::condition::Writer;
use super::scope::Scope;
use crate::error::Error;
use crate::metadata::EntityDef;

/// The rows of an entity that a query sees.
pub(super) struct Seen {
    /// `"users" AS t0`: one item of the FROM list.
    pub(super) table: String,
    /// What the rows have to fulfil; empty if all are seen.
    condition: String,
}

impl Seen {
    /// Rows that are all seen.
    pub(super) const fn whole(table: String) -> Self {
        Self::fulfilling(table, String::new())
    }

    /// Rows that fulfil a condition.
    pub(super) const fn fulfilling(table: String, condition: String) -> Self {
        Self { table, condition }
    }

    /// Appends what the rows have to fulfil behind another condition, there or not.
    pub(super) fn push_and(&self, out: &mut String) {
        if !self.condition.is_empty() {
            if !out.is_empty() {
                out.push_str(" AND ");
            }
            out.push_str(&self.condition);
        }
    }

    /// Appends what the rows have to fulfil in front of another condition.
    pub(super) fn push_first(&self, out: &mut String) {
        if !self.condition.is_empty() {
            let _ = write!(out, "{} AND ", self.condition);
        }
    }

    /// ` WHERE …` with what the rows have to fulfil, and these conditions; nothing where there are none.
    pub(super) fn push_where(&self, out: &mut String, conditions: &[impl AsRef<str>]) {
        let mut word = " WHERE ";
        let all = std::iter::once(self.condition.as_str()).chain(conditions.iter().map(AsRef::as_ref));
        for condition in all.filter(|condition| !condition.is_empty()) {
            out.push_str(word);
            out.push_str(condition);
            word = " AND ";
        }
    }
}

impl Writer<'_> {
    /// The rows of an entity under an alias.
    ///
    /// # Errors
    /// [`Error::Validation`] for a filter whose parameters are missing; those of its condition.
    pub(super) fn seen(&mut self, alias: &str, entity: &EntityDef) -> Result<Seen, Error> {
        let mut table = String::with_capacity(entity.table.len() + alias.len() + 8);
        self.view().push_entity(&mut table, entity);
        table.push_str(" AS ");
        table.push_str(alias);
        let mut condition = String::new();
        // What the condition of a filter leads to is there, whatever other filters say of it: they may lead back here.
        let filters = self.filters.clone().filter(|_| !self.is_unfiltered);
        let filters = filters.as_ref().map_or(Ok(&[][..]), |filters| filters.of(entity.index))?;
        if !filters.is_empty() {
            let mut scope = Scope::new(alias.to_owned(), entity.index);
            self.is_unfiltered = true;
            let written = self.filter(&mut scope, filters);
            self.is_unfiltered = false;
            condition = written?;
            if !scope.joins().is_empty() {
                table = format!("({table}{})", scope.joins());
            }
        }
        Ok(Seen { table, condition })
    }
}
