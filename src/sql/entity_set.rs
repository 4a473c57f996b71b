//! Queries of entities as parts of other statements. An entity is known by its key: what a query finds is what has one of the
//! keys that it selects, so a union of entities is a condition on their keys, and is filtered, ordered and locked like any query.

use std::sync::Arc;

use super::expression::{Expression, Operator, Selection};
use super::query::{Combined, Distinct, SelectList, SelectQuery, SelectedTerm, SetOperator};
use super::term::Term;
use crate::entity::FieldPath;

impl SelectQuery {
    /// Whether it is all rows of the entity, without any clause.
    pub(crate) const fn is_whole(&self) -> bool {
        let selection = &self.selection;
        self.joins.is_empty()
            && self.from.is_none()
            && self.combined.is_none()
            && self.group_by.is_empty()
            && self.having.is_empty()
            && matches!(self.distinct, Distinct::All)
            && selection.filter.is_empty()
            && selection.order.is_empty()
            && selection.limit.is_none()
            && selection.offset.is_none()
            && selection.lock.is_none()
    }

    /// The condition that an entity is one of those that the query is about.
    ///
    /// # Errors
    /// What keeps the query from being about entities.
    pub(crate) fn into_membership(self) -> Result<Expression, &'static str> {
        Ok(self.into_keys()?.contains())
    }

    /// The entities that are in one query or the other, in both, or not in the other.
    ///
    /// # Errors
    /// As [`into_membership`](Self::into_membership).
    pub(crate) fn combined_entities(self, operator: SetOperator, other: Self) -> Result<Self, &'static str> {
        let (left, right) = (self.into_keys()?, other.into_keys()?);
        let whole = |list| Self::new(left.root, Selection::all(left.selection.meta), list);
        let mut keys = whole(left.list.clone());
        let mut entities = whole(SelectList::Entity);
        keys.combined = Some(Combined { left: Arc::new(left), operator: operator.once(), right: Arc::new(right) });
        entities.selection.filter.push(keys.contains());
        Ok(entities)
    }

    /// The condition that an entity has one of the keys that the query selects.
    fn contains(self) -> Expression {
        let left = Term::Key(FieldPath::root(self.root));
        Expression::Compare { left, operator: Operator::In, right: Term::Query(Arc::new(self)) }
    }

    /// The query, selecting the keys of the entities.
    fn into_keys(mut self) -> Result<Self, &'static str> {
        if self.combined.is_some() {
            return Err("the rows of a union of values are no rows of an entity: combine queries of entities");
        }
        if self.from.is_some() {
            return Err("a query of the rows of another one finds no entities: say is_in(…) in a query of the entity");
        }
        self.list = SelectList::Keys;
        if self.repeats_entities() && self.is_cut_off() {
            return Ok(self);
        }
        let key = Term::Key(FieldPath::root(self.root));
        if matches!(self.distinct, Distinct::Once) && self.group_by.is_empty() {
            // Unlike DISTINCT, this can still be ordered by what is not selected.
            self.group_by.push(key.clone());
            self.distinct = Distinct::All;
        }
        self.list = SelectList::Terms(vec![SelectedTerm { term: key, pg: None }]);
        Ok(self)
    }
}

impl SetOperator {
    /// Entities are in a set or not, however often.
    const fn once(self) -> Self {
        match self {
            Self::Union | Self::UnionAll => Self::Union,
            Self::Intersect | Self::IntersectAll => Self::Intersect,
            Self::Except | Self::ExceptAll => Self::Except,
        }
    }
}
