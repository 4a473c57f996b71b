//! Full text search.

use super::super::condition::Condition;
use super::super::expr::Expr;
use crate::entity::Entity;
use crate::metadata::ColumnType;
use crate::sql::{Bound, Operator, Term};
use crate::types::TextType;

/// What a full text search looks for, in the syntax of search engines (`websearch_to_tsquery`): words that all have to
/// occur, `"a phrase"`, `or`, `-not`. No input is malformed.
///
/// The words are brought to their stems by a text search configuration: `english`, `german`, `simple`, …; without
/// [`language`](Self::language), by the server's `default_text_search_config`.
#[derive(Clone, Debug)]
pub struct FullText {
    query: String,
    language: Option<String>,
}

impl FullText {
    /// Looks for these words.
    pub fn new(query: impl Into<String>) -> Self {
        Self { query: query.into(), language: None }
    }

    /// The text search configuration for the text and the query. An index on `to_tsvector('english', column)` is used only if
    /// it is the same here.
    #[must_use]
    pub fn language(mut self, configuration: impl Into<String>) -> Self {
        self.language = Some(configuration.into());
        self
    }

    fn vector(&self, term: Term) -> Term {
        Term::TextVector { configuration: self.language.clone(), term: Box::new(term) }
    }

    fn query(&self) -> Term {
        let configuration = self.language.clone().map(Term::Configuration);
        let query = Term::Bound(Bound::one(&self.query));
        Term::call("websearch_to_tsquery", configuration.into_iter().chain([query]).collect())
    }
}

impl From<&str> for FullText {
    fn from(query: &str) -> Self {
        Self::new(query)
    }
}

impl From<String> for FullText {
    fn from(query: String) -> Self {
        Self::new(query)
    }
}

impl From<&String> for FullText {
    fn from(query: &String) -> Self {
        Self::new(query)
    }
}

/// Full text: text, and columns whose `sql_type` is `tsvector`.
impl<R: Entity, V: ColumnType> Expr<R, V> {
    /// `to_tsvector(…) @@ websearch_to_tsquery(…)`: the words of a search occur in the text.
    pub fn fulltext(&self, search: impl Into<FullText>) -> Condition<R>
    where
        V::Operand: TextType,
    {
        let search = search.into();
        Expr::<R, V>::new(search.vector(self.term.clone())).compare(Operator::FullText, search.query())
    }

    /// `ts_rank(…)`: how well the text fits a search, to order by; 0 if it does not.
    pub fn fulltext_rank(&self, search: impl Into<FullText>) -> Expr<R, V::With<f32>>
    where
        V::Operand: TextType,
    {
        let search = search.into();
        Expr::new(Term::call("ts_rank", vec![search.vector(self.term.clone()), search.query()]))
    }
}
