//! SELECT of anything: entities, projections or terms, of joined, grouped and combined rows.

use std::fmt::Write as _;
use std::sync::Arc;

use super::condition::Writer;
use super::expression::{Expression, OrderTerm, Selection};
use super::filter_options::FilterOptions;
use super::lock::push_lock;
use super::output::Kept;
use super::parameter::Statement;
use super::placed::placed;
use super::row_filters::RowFilters;
use super::scope::Scope;
use super::select::ROOT;
use super::source::{FromItem, Join, JoinKind, Joined, column_names};
use super::term::{OWN, Piece, Term};
use super::view::View;
use crate::error::Error;
use crate::metadata::{EntityDef, EntityMeta};
use crate::types::{PgType, ProjectionMeta};

/// What of the rows is selected.
#[derive(Clone, Debug)]
pub(crate) enum SelectList {
    /// All columns of the entity, in the order in which it is read.
    Entity,
    /// The keys of the entities, each once and within the limit, where they are joined to many rows.
    Keys,
    Projection(&'static ProjectionMeta),
    Terms(Vec<SelectedTerm>),
}

/// One column of a result.
#[derive(Clone, Debug)]
pub(crate) struct SelectedTerm {
    pub(crate) term: Term,
    /// The type that it is read as; `None` of keys, which are read as they are.
    pub(crate) pg: Option<PgType>,
}

/// Which of several equal rows are kept.
#[derive(Clone, Debug)]
pub(crate) enum Distinct {
    All,
    Once,
    /// The first row of those with the same values.
    On(Vec<Term>),
}

/// What the rows of a query are listed for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Listing {
    /// What is selected.
    Selected,
    /// The key of the entity, and the number of the row in the order of the query; all rows.
    Keys,
}

/// How the rows of queries are combined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SetOperator {
    Union,
    UnionAll,
    Intersect,
    IntersectAll,
    Except,
    ExceptAll,
}

impl SetOperator {
    const fn sql(self) -> &'static str {
        match self {
            Self::Union => "UNION",
            Self::UnionAll => "UNION ALL",
            Self::Intersect => "INTERSECT",
            Self::IntersectAll => "INTERSECT ALL",
            Self::Except => "EXCEPT",
            Self::ExceptAll => "EXCEPT ALL",
        }
    }
}

/// A query.
#[derive(Clone, Debug)]
pub(crate) struct SelectQuery {
    pub(crate) root: fn() -> &'static EntityMeta,
    pub(crate) selection: Selection,
    pub(crate) list: SelectList,
    pub(crate) distinct: Distinct,
    /// What the rows come from, where that is not the table of the entity.
    pub(crate) from: Option<FromItem>,
    pub(crate) joins: Vec<Join>,
    pub(crate) group_by: Vec<Term>,
    pub(crate) having: Vec<Expression>,
    /// If these are given, the rows are theirs; only order, limit and offset are the query's own.
    pub(crate) combined: Option<Combined>,
    /// What it says of filters, as a part of another query: more than that one.
    pub(crate) filters: FilterOptions,
    /// What it was asked for that a part of another query cannot have.
    pub(crate) refused: Option<&'static str>,
}

/// The rows of two queries, put together.
#[derive(Clone, Debug)]
pub(crate) struct Combined {
    pub(crate) left: Arc<SelectQuery>,
    pub(crate) operator: SetOperator,
    pub(crate) right: Arc<SelectQuery>,
}

impl SelectQuery {
    /// A query for the rows of a selection.
    pub(crate) const fn new(root: fn() -> &'static EntityMeta, selection: Selection, list: SelectList) -> Self {
        Self {
            root,
            selection,
            list,
            distinct: Distinct::All,
            from: None,
            joins: Vec::new(),
            group_by: Vec::new(),
            having: Vec::new(),
            combined: None,
            filters: FilterOptions::none(),
            refused: None,
        }
    }
}

impl SelectQuery {
    /// Of a combination only the result can be ordered, by its columns, and cut off.
    fn check_combined(&self) -> Result<(), Error> {
        let is_column = |order: &OrderTerm| matches!(order.term, Term::Output { source: OWN, .. });
        let message = if !self.selection.order.iter().all(is_column) {
            "the rows of a union are ordered by its columns: order_by_result()"
        } else if !self.selection.filter.is_empty()
            || !self.joins.is_empty()
            || !self.group_by.is_empty()
            || !self.having.is_empty()
            || !matches!(self.distinct, Distinct::All)
        {
            "the rows of a union are those of its parts: filter, join or group these, or query from as_table()"
        } else if self.selection.lock.is_some() || self.combined.as_ref().is_some_and(Combined::is_locked) {
            "the rows of a union cannot be locked, nor those of its parts: a union of entities can, as a whole"
        } else {
            return Ok(());
        };
        Err(Error::validation(self.selection.meta.name, message))
    }
}

impl Combined {
    /// Whether a part is locked.
    fn is_locked(&self) -> bool {
        self.left.selection.lock.is_some() || self.right.selection.lock.is_some()
    }
}

/// The rows of a query.
///
/// # Errors
/// [`Error::Validation`] for what cannot be selected, [`Error::Conversion`] for a value that cannot be bound.
pub(crate) fn query(view: &View, query: &SelectQuery) -> Result<Statement, Error> {
    let mut writer = Writer::new(view);
    let text = writer.outermost(query)?;
    Ok(writer.statement(text))
}

/// How many rows a query has, with its limit and offset.
///
/// # Errors
/// As [`query`].
pub(crate) fn count_query(view: &View, query: &SelectQuery) -> Result<Statement, Error> {
    let mut writer = Writer::new(view);
    let rows = if query.repeats_entities() { writer.root_keys(query)? } else { writer.outermost(query)? };
    let text = format!("SELECT count(*) FROM ({rows}) AS q");
    Ok(writer.statement(text))
}

/// Whether a query has rows.
///
/// # Errors
/// As [`query`].
pub(crate) fn exists_query(view: &View, query: &SelectQuery) -> Result<Statement, Error> {
    let mut writer = Writer::new(view);
    let text = format!("SELECT EXISTS ({})", writer.outermost(query)?);
    Ok(writer.statement(text))
}

impl Writer<'_> {
    fn outermost(&mut self, query: &SelectQuery) -> Result<String, Error> {
        if query.repeats_entities() && query.is_cut_off() {
            return self.root_rows(query);
        }
        let entity = self.metadata().of(query.selection.meta)?;
        let mut scope = Scope::new(ROOT.to_owned(), entity.index);
        if let Some(order) = self.order_of_kept(query)? {
            self.ordered_outside(&mut scope, query, &order)
        } else if query.combined.is_some() {
            Ok(self.nested(&mut scope, query)?.0)
        } else {
            Ok(self.body(&mut scope, query, Listing::Selected)?.0)
        }
    }

    /// Of a query that is ordered by its result and cannot be by anything else: this order, if it is one by columns that are
    /// read as another type, which has another order.
    fn order_of_kept(&mut self, query: &SelectQuery) -> Result<Option<Vec<OrderTerm>>, Error> {
        if query.selection.order.is_empty() || query.combined.is_none() && !matches!(query.distinct, Distinct::Once) {
            return Ok(None);
        }
        let order = self.order_by_result(query)?;
        let kept = self.kept(query)?;
        let mut outside = Vec::with_capacity(order.len());
        let mut is_kept = false;
        for term in &order {
            let Term::Output { source: OWN, column } = term.term else { return Ok(None) };
            is_kept |= kept.get(column).is_some_and(Kept::is_some);
            let name = Term::Raw(vec![Piece::Text(format!("q.\"c{column}\""))]);
            outside.push(OrderTerm { term: name, ..term.clone() });
        }
        Ok(is_kept.then_some(outside))
    }

    /// `SELECT q."c0"::text FROM (…) AS q("c0") ORDER BY q."c0"`
    fn ordered_outside(
        &mut self,
        scope: &mut Scope,
        query: &SelectQuery,
        order: &[OrderTerm],
    ) -> Result<String, Error> {
        if query.combined.is_some() {
            query.check_combined()?;
        }
        let plan = Selection { order: Vec::new(), limit: None, offset: None, ..query.selection.clone() };
        let inner = SelectQuery { selection: plan, ..query.clone() };
        let kept = self.kept(&inner)?;
        let (text, width) = self.nested_keeping(scope, &inner, kept.clone())?;
        let list = (0..width).map(|column| {
            let travel =
                kept.get(column).copied().flatten().map_or_else(String::new, |like| format!("::{}", like.pg.name));
            format!("q.\"c{column}\"{travel}")
        });
        let list = list.collect::<Vec<_>>().join(", ");
        let mut text = format!("SELECT {list} FROM ({text}) AS q({})", column_names(width));
        self.push_end(scope, order, query, &mut text)?;
        Ok(text)
    }

    /// A query inside of another one, and how many columns it has.
    ///
    /// # Errors
    /// As [`query`].
    pub(super) fn nested(&mut self, scope: &mut Scope, query: &SelectQuery) -> Result<(String, usize), Error> {
        if let Some(message) = query.refused {
            return Err(Error::validation(query.selection.meta.name, message));
        }
        let filters = self.filters_saying(query)?;
        let around = std::mem::replace(&mut self.filters, filters);
        let text = self.part(scope, query);
        self.filters = around;
        text
    }

    /// The filters of a part of the current query.
    fn filters_saying(&self, query: &SelectQuery) -> Result<Option<Arc<RowFilters>>, Error> {
        let said = &query.filters;
        if said.is_empty() {
            return Ok(self.filters.clone());
        }
        if self.is_unfiltered && said.named.iter().any(|(_, params)| params.is_some()) {
            let message = "a query in the condition of a filter sees all rows: with_filter() is of no effect there";
            return Err(Error::validation(query.selection.meta.name, message));
        }
        match &self.filters {
            Some(filters) => filters.saying(said).map(Some),
            None => said.check(std::iter::empty()).map(|()| None),
        }
    }

    fn part(&mut self, scope: &mut Scope, query: &SelectQuery) -> Result<(String, usize), Error> {
        if let Some(combined) = &query.combined {
            query.check_combined()?;
            let (left, width) = self.nested(scope, &combined.left)?;
            let (right, _) = self.nested(scope, &combined.right)?;
            let mut text = format!("({left}) {} ({right})", combined.operator.sql());
            self.push_end(scope, &query.selection.order, query, &mut text)?;
            return Ok((text, width));
        }
        if matches!(query.list, SelectList::Keys) {
            return self.nested_root_keys(query);
        }
        let entity = self.metadata().of(query.selection.meta)?;
        let entered = scope.enter_level(self.alias(), entity.index);
        let outcome = self.body(scope, query, Listing::Selected);
        scope.leave(entered);
        outcome
    }

    /// The text of a query whose level is entered.
    pub(super) fn body(
        &mut self,
        scope: &mut Scope,
        query: &SelectQuery,
        listing: Listing,
    ) -> Result<(String, usize), Error> {
        self.shares |= !query.group_by.is_empty() || !matches!(query.distinct, Distinct::All);
        let plan = &query.selection;
        let entity = self.metadata().of(plan.meta)?;
        let alias = scope.alias().to_owned();
        // All names and types are known before anything is written that may speak of them.
        self.note_sources(query)?;
        if let Some(source) = &query.from {
            scope.add_source(source.number, alias.clone(), entity.index);
        }
        let mut frames = Vec::with_capacity(query.joins.len());
        for join in &query.joins {
            frames.push(match &join.joined {
                Joined::Source(source) => {
                    let next = self.alias();
                    Some(scope.add_source(source.number, next, source.entity(self.metadata(), entity)?))
                }
                Joined::Relation(_) => None,
            });
        }
        for join in &query.joins {
            if let Joined::Relation(path) = &join.joined {
                self.join_path(scope, path, join.kind.sql())?;
            }
        }
        let mut entity_joins = String::new();
        let list = match listing {
            Listing::Selected => self.select_list(scope, query, entity, &alias, &mut entity_joins)?,
            Listing::Keys => self.numbered_keys(scope, query, &alias, entity)?,
        };
        let distinct = match &query.distinct {
            Distinct::All => String::new(),
            Distinct::Once if listing == Listing::Keys => String::new(),
            Distinct::Once => "DISTINCT ".to_owned(),
            Distinct::On(terms) => format!("DISTINCT ON ({}) ", self.grouping(scope, terms)?),
        };
        let filter = self.filter(scope, &plan.filter)?;
        let group_by = self.grouping(scope, &query.group_by)?;
        let having = self.filter(scope, &query.having)?;
        let mut end = String::new();
        let order = self.uncast_order(query)?;
        match listing {
            Listing::Selected => self.push_end(scope, &order, query, &mut end)?,
            Listing::Keys if matches!(query.distinct, Distinct::On(_)) => self.push_order(scope, &order, &mut end)?,
            Listing::Keys => {}
        }
        let mut joined = String::new();
        for (join, frame) in query.joins.iter().zip(frames) {
            if let (Joined::Source(source), Some(frame)) = (&join.joined, frame) {
                self.push_join(scope, join, source, frame, &mut joined)?;
            }
        }
        let mut text = format!("SELECT {distinct}{} FROM ", list.join(", "));
        match &query.from {
            None => {
                let seen = self.seen(&alias, entity)?;
                let _ = write!(text, "{}{entity_joins}{}{joined}", seen.table, scope.joins());
                seen.push_where(&mut text, &[&filter]);
            }
            Some(source) => {
                let seen = self.source_item(scope, source, &alias)?;
                let _ = write!(text, "{}{}{joined}", seen.table, scope.joins());
                seen.push_where(&mut text, &[&filter]);
            }
        }
        for (word, clause) in [("GROUP BY", group_by), ("HAVING", having)] {
            if !clause.is_empty() {
                let _ = write!(text, " {word} {clause}");
            }
        }
        text.push_str(&end);
        if let Some(lock) = plan.lock {
            push_lock(&mut text, lock, &alias);
        }
        Ok((text, list.len()))
    }

    /// Appends order, limit and offset.
    fn push_end(
        &mut self,
        scope: &mut Scope,
        order: &[OrderTerm],
        query: &SelectQuery,
        out: &mut String,
    ) -> Result<(), Error> {
        self.push_order(scope, order, out)?;
        self.push_limit(&query.selection, out);
        Ok(())
    }

    fn push_order(&mut self, scope: &mut Scope, order: &[OrderTerm], out: &mut String) -> Result<(), Error> {
        let order = self.order(scope, order)?;
        if !order.is_empty() {
            let _ = write!(out, " ORDER BY {order}");
        }
        Ok(())
    }

    /// Appends limit and offset.
    pub(super) fn push_limit(&mut self, plan: &Selection, out: &mut String) {
        if let Some(limit) = plan.limit {
            let _ = write!(out, " LIMIT {}", self.bind_count(limit));
        }
        if let Some(offset) = plan.offset {
            let _ = write!(out, " OFFSET {}", self.bind_count(offset));
        }
    }

    /// The columns of the key, and the number of the row.
    fn numbered_keys(
        &mut self,
        scope: &mut Scope,
        query: &SelectQuery,
        alias: &str,
        entity: &EntityDef,
    ) -> Result<Vec<String>, Error> {
        let mut number = String::new();
        self.push_order(scope, &query.selection.order, &mut number)?;
        let keys = placed(alias, &entity.key).into_iter().map(|column| column.text);
        Ok(keys.chain([format!("row_number() OVER ({})", number.trim_start())]).collect())
    }

    /// ` LEFT JOIN LATERAL (…) AS t1("c0") ON …`
    fn push_join(
        &mut self,
        scope: &mut Scope,
        join: &Join,
        source: &FromItem,
        frame: usize,
        out: &mut String,
    ) -> Result<(), Error> {
        let alias = scope.source_alias(source.number).unwrap_or_default().to_owned();
        let mut on = self.filter(scope, &join.on)?;
        let seen = self.source_item(scope, source, &alias)?;
        seen.push_and(&mut on);
        let item = seen.table;
        let kind = match join.kind {
            JoinKind::Cross if !on.is_empty() => JoinKind::Inner,
            kind => kind,
        };
        if on.is_empty() && kind != JoinKind::Cross {
            on.push_str("TRUE");
        }
        out.push_str(kind.sql());
        if join.lateral {
            out.push_str("LATERAL ");
        }
        // What its own to-one relations lead to is there before the condition speaks of it.
        match scope.joins_of(frame) {
            "" => out.push_str(&item),
            joins => {
                let _ = write!(out, "({item}{joins})");
            }
        }
        if !on.is_empty() {
            let _ = write!(out, " ON {on}");
        }
        Ok(())
    }
    /// The order of a query: columns of its result that are read as another type are ordered as what they are.
    fn uncast_order(&self, query: &SelectQuery) -> Result<Vec<OrderTerm>, Error> {
        let mut order = query.selection.order.clone();
        let (SelectList::Terms(terms), Distinct::All | Distinct::On(_)) = (&query.list, &query.distinct) else {
            return self.order_by_result(query);
        };
        for OrderTerm { term, .. } in &mut order {
            if let Term::Output { source: OWN, column } = *term
                && let Some(selected) = terms.get(column)
                && self.casts.change(column)
                && self.like(&selected.term).is_some_and(|like| like.sql_type.is_some())
            {
                *term = selected.term.clone();
            }
        }
        Ok(order)
    }
}
