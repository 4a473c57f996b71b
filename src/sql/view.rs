//! What a query sees of the database: in which schema its tables are, which of their rows are there, and what goes in
//! front of its statements.
//!
//! Every statement that reads rows by a query names its tables through here, so that all of a query's statements, those
//! that load relations along with it, too, see the same.

use std::ops::Deref;
use std::sync::Arc;

use super::expression::Expression;
use super::identifier::push_table;
use super::row_filters::{RowFilters, Sight};
use super::texts::{StatementTexts, Verb};
use crate::error::Error;
use crate::metadata::{EntityDef, Metadata, PivotDef};

/// The view of one query.
#[derive(Clone)]
pub(crate) struct View {
    metadata: Arc<Metadata>,
    /// A schema, and the one that is read instead.
    moved: Option<(Option<String>, Arc<str>)>,
    comment: Option<Arc<str>>,
    filters: Option<Arc<RowFilters>>,
}

impl View {
    /// The tables as the entities name them, without the rows that filters hide.
    pub(crate) fn new(metadata: &Arc<Metadata>, filters: Option<Arc<RowFilters>>) -> Self {
        Self { metadata: Arc::clone(metadata), moved: None, comment: None, filters }
    }

    /// Reads tables that are in the schema of this entity in another schema.
    pub(crate) fn in_schema(mut self, entity: &EntityDef, schema: &Arc<str>) -> Self {
        self.moved = Some((entity.schema.clone(), Arc::clone(schema)));
        self
    }

    /// The same, with all tables where their entities are.
    pub(super) fn in_own_schema(&self) -> Self {
        Self { moved: None, ..self.clone() }
    }

    /// Puts a comment in front of every statement.
    pub(crate) fn commented(mut self, comment: &str) -> Self {
        self.comment = Some(comment_of(comment).into());
        self
    }

    /// Whether statements about this entity are those that every query sends.
    pub(super) fn is_common(&self, entity: &EntityDef) -> bool {
        if self.moved.is_some() || self.comment.is_some() {
            return false;
        }
        // The key of an inverse side is read from the other side's table.
        let mut read_along = entity.relations().filter(|(_, relation)| relation.is_inverse_one_to_one());
        !self.is_filtered(entity.index) && !read_along.any(|(_, relation)| self.is_filtered(relation.target))
    }

    /// Whether filters may hide rows of an entity.
    pub(crate) fn is_filtered(&self, entity: usize) -> bool {
        self.filters.as_ref().is_some_and(|filters| filters.has(entity))
    }

    /// What tells the filters of an entity from others; `None` if all of its rows are seen.
    pub(crate) fn sight(&self, entity: usize) -> Option<&Sight> {
        self.filters.as_ref()?.sight(entity)
    }

    /// The filters of the query, if there are any.
    pub(super) const fn filters(&self) -> Option<&Arc<RowFilters>> {
        self.filters.as_ref()
    }

    /// The conditions that rows of an entity have to fulfil.
    ///
    /// # Errors
    /// As [`RowFilters::of`].
    pub(crate) fn conditions(&self, entity: usize) -> Result<&[Expression], Error> {
        self.filters.as_ref().map_or(Ok(&[]), |filters| filters.of(entity))
    }

    /// The text of a statement that reads an entity, and depends on these numbers only: kept, if every query sends it.
    pub(super) fn text(
        &self,
        texts: &StatementTexts,
        (owner, verb, columns): (usize, Verb, &[u16]),
        entity: &EntityDef,
        write: impl FnOnce() -> Result<String, Error>,
    ) -> Result<Arc<str>, Error> {
        if self.is_common(entity) {
            return texts.try_get(owner, verb, columns, write);
        }
        write().map(|text| self.finish(text))
    }

    /// A statement's text, with what goes in front of it.
    pub(super) fn finish(&self, text: String) -> Arc<str> {
        match &self.comment {
            Some(comment) => format!("{comment}{text}").into(),
            None => text.into(),
        }
    }

    fn schema<'a>(&'a self, named: Option<&'a str>) -> Option<&'a str> {
        match &self.moved {
            Some((from, to)) if from.as_deref() == named => Some(to),
            _ => named,
        }
    }

    /// Appends the table of an entity.
    pub(super) fn push_entity(&self, out: &mut String, entity: &EntityDef) {
        push_table(out, self.schema(entity.schema.as_deref()), &entity.table);
    }

    /// Appends a pivot table.
    pub(super) fn push_pivot(&self, out: &mut String, pivot: &PivotDef) {
        push_table(out, self.schema(pivot.schema.as_deref()), &pivot.table);
    }
}

impl Deref for View {
    type Target = Metadata;

    fn deref(&self) -> &Metadata {
        &self.metadata
    }
}

/// `/* text */ `, whatever the text is: it cannot end the comment or begin another one (PostgreSQL nests them), and has
/// no character that cannot be sent.
fn comment_of(text: &str) -> String {
    let mut out = "/* ".to_owned();
    for character in text.chars() {
        match (out.chars().next_back(), character) {
            (Some('*'), '/') | (Some('/'), '*') => out.push(' '),
            _ => {}
        }
        out.push(if character.is_control() { ' ' } else { character });
    }
    out.push_str(" */ ");
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comment_stays_one() {
        for (text, expected) in [
            ("report.rs:17", "/* report.rs:17 */ "),
            ("*/ DROP TABLE users; --", "/* * / DROP TABLE users; -- */ "),
            ("/* nested", "/* / * nested */ "),
            ("*/*/", "/* * / * / */ "),
            ("/", "/* / */ "),
            ("*", "/* * */ "),
            ("two\nlines\0", "/* two lines  */ "),
        ] {
            assert_eq!(comment_of(text), expected, "{text:?}");
        }
    }
}
