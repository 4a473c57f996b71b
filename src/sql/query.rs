//! SELECT of what is no entity: which rows, and what of them.

use std::fmt::Write as _;

use super::condition::Writer;
use super::expression::Selection;
use super::lock::push_lock;
use super::parameter::Statement;
use super::scope::Scope;
use super::select::ROOT;
use super::view::View;
use crate::entity::FieldPath;
use crate::error::Error;
use crate::metadata::EntityMeta;
use crate::types::ProjectionMeta;

/// What of the rows is selected.
#[derive(Clone, Debug)]
pub(crate) enum SelectList {
    Projection(&'static ProjectionMeta),
}

/// Some of the columns of some rows.
#[derive(Clone, Debug)]
pub(crate) struct SelectQuery {
    pub(crate) root: fn() -> &'static EntityMeta,
    pub(crate) selection: Selection,
    pub(crate) list: SelectList,
    pub(crate) distinct: bool,
}

/// The rows of a query.
///
/// # Errors
/// [`Error::Validation`] for what cannot be selected, [`Error::Conversion`] for a value that cannot be bound.
pub(crate) fn query(view: &View, query: &SelectQuery) -> Result<Statement, Error> {
    let mut writer = Writer::new(view);
    let text = writer.query(query)?;
    Ok(Statement { text: view.finish(text), params: writer.into_params() })
}

/// How many rows a query has, with its limit and offset.
///
/// # Errors
/// As [`query`].
pub(crate) fn count_query(view: &View, query: &SelectQuery) -> Result<Statement, Error> {
    let mut writer = Writer::new(view);
    let text = format!("SELECT count(*) FROM ({}) AS q", writer.query(query)?);
    Ok(Statement { text: view.finish(text), params: writer.into_params() })
}

impl Writer<'_> {
    fn query(&mut self, query: &SelectQuery) -> Result<String, Error> {
        let plan = &query.selection;
        let entity = self.metadata().of(plan.meta)?;
        let seen = self.seen(ROOT, entity)?;
        let mut scope = Scope::new(ROOT.to_owned(), entity.index);
        let mut list = Vec::new();
        match &query.list {
            SelectList::Projection(meta) => {
                self.projection(&mut scope, &FieldPath::root(query.root), meta, &mut Vec::new(), &mut list)?;
            }
        }
        let filter = self.filter(&mut scope, &plan.filter)?;
        let order = self.order(&mut scope, &plan.order)?;
        let mut text = "SELECT ".to_owned();
        if query.distinct {
            text.push_str("DISTINCT ");
        }
        let _ = write!(text, "{} FROM {}{}", list.join(", "), seen.table, scope.joins());
        seen.push_where(&mut text, &[&filter]);
        if !order.is_empty() {
            let _ = write!(text, " ORDER BY {order}");
        }
        if let Some(limit) = plan.limit {
            let _ = write!(text, " LIMIT {}", self.bind_count(limit));
        }
        if let Some(offset) = plan.offset {
            let _ = write!(text, " OFFSET {}", self.bind_count(offset));
        }
        if let Some(lock) = plan.lock {
            push_lock(&mut text, lock);
        }
        Ok(text)
    }
}
