//! Entities of a query that joins something of which each has many: a limit is one of entities, not of joined rows (rule E3).
//!
//! The keys of the joined rows are taken once each, at the place of the first of their rows, and cut off; then the
//! entities are read by them.

use std::fmt::Write as _;

use super::condition::Writer;
use super::identifier::push_joined;
use super::placed::placed;
use super::query::{Listing, SelectList, SelectQuery};
use super::scope::Scope;
use super::select::ROOT;
use super::shape::Shape;
use super::source::{Join, Joined};
use crate::error::Error;
use crate::metadata::PropertyMeta;

impl SelectQuery {
    /// Whether it is of entities that may come more than once.
    pub(super) fn repeats_entities(&self) -> bool {
        matches!(self.list, SelectList::Entity | SelectList::Keys)
            && self.combined.is_none()
            && self.joins.iter().any(Join::multiplies)
    }

    /// Whether only some of the rows are asked for.
    pub(super) const fn is_cut_off(&self) -> bool {
        self.selection.limit.is_some() || self.selection.offset.is_some()
    }
}

impl Join {
    /// Whether there may be several joined rows for one.
    fn multiplies(&self) -> bool {
        let Joined::Relation(path) = &self.joined else { return true };
        let mut meta = path.start();
        path.hops().iter().any(|hop| {
            let relation = meta.properties.get(usize::from(*hop)).and_then(PropertyMeta::as_relation);
            relation.is_none_or(|relation| {
                meta = (relation.target)();
                relation.kind.is_to_many()
            })
        })
    }
}

impl Writer<'_> {
    /// The keys of the entities that a query is of, each once, in its order and within its limit: `SELECT k0, …, n FROM …`.
    ///
    /// # Errors
    /// As [`query`](super::query()); [`Error::Validation`] with a lock, under which the conditions could not be checked again.
    pub(super) fn root_keys(&mut self, query: &SelectQuery) -> Result<String, Error> {
        let plan = &query.selection;
        if plan.lock.is_some() {
            let message = "a query that joins many rows and has a limit cannot lock: put the condition on the joined rows into \
                           some(), without the join";
            return Err(Error::validation(plan.meta.name, message));
        }
        let entity = self.metadata().of(plan.meta)?;
        let mut scope = Scope::new(ROOT.to_owned(), entity.index);
        let (rows, _) = self.body(&mut scope, query, Listing::Keys)?;
        let keys = names(entity.key.len());
        let mut text =
            format!("SELECT {keys}, min(r.n) FROM ({rows}) AS r({keys}, n) GROUP BY {keys} ORDER BY min(r.n)");
        self.push_limit(plan, &mut text);
        Ok(text)
    }

    /// The same inside of another query, without the order; and how many columns that is.
    ///
    /// # Errors
    /// As [`root_keys`](Self::root_keys).
    pub(super) fn nested_root_keys(&mut self, query: &SelectQuery) -> Result<(String, usize), Error> {
        let width = self.metadata().of(query.selection.meta)?.key.len();
        let found = self.root_keys(query)?;
        let keys = names(width);
        Ok((format!("SELECT {keys} FROM ({found}) AS q({keys}, n)"), width))
    }

    /// The entities that a query is of, each once, in its order and within its limit.
    ///
    /// # Errors
    /// As [`root_keys`](Self::root_keys).
    pub(super) fn root_rows(&mut self, query: &SelectQuery) -> Result<String, Error> {
        let entity = self.metadata().of(query.selection.meta)?;
        let found = self.root_keys(query)?;
        let (mut list, mut joins) = (String::new(), String::new());
        Shape::of(entity).push(self, &mut list, &mut joins)?;
        let keys = names(entity.key.len());
        let mut text = format!("SELECT {list} FROM ");
        self.view().push_entity(&mut text, entity);
        let _ = write!(text, " AS {ROOT} JOIN ({found}) AS q({keys}, n) ON ");
        push_joined(&mut text, " AND ", placed(ROOT, &entity.key).iter().enumerate(), |out, (index, column)| {
            let _ = write!(out, "{} = q.k{index}", column.text);
        });
        let _ = write!(text, "{joins} ORDER BY q.n");
        Ok(text)
    }
}

/// `k0, k1`
fn names(width: usize) -> String {
    (0..width).map(|index| format!("k{index}")).collect::<Vec<_>>().join(", ")
}
