//! Queries as operands of others: `is_in(query)`, `eq(query)`, `exists(query)`.

use std::sync::Arc;

use super::QueryBuilder;
use crate::entity::Entity;
use crate::metadata::ColumnType;
use crate::query::{ExistsOperand, Expr, IntoExpr, IntoList};
use crate::sql::{Expression, Piece, SelectList, SelectQuery, SelectedTerm, Term};
use crate::types::ScalarType;

impl<T: Entity, O> QueryBuilder<T, O> {
    /// The query in parentheses.
    pub(super) fn into_term(self) -> Term {
        Term::Query(Arc::new(self.into_part()))
    }

    /// The query as a part of another one: with what it says of filters, for itself and its own parts. What was asked of a whole
    /// statement, or of entities, is an error when the query runs.
    pub(super) fn into_part(self) -> SelectQuery {
        let options = &self.options;
        let is_whole = options.schema.is_some()
            || options.comment.is_some()
            || options.timeout.is_some()
            || options.cache.is_some()
            || options.flush_mode.is_some();
        let message = "schema(), comment(), timeout(), cache() and flush_mode() are of whole statements: say them of the query around";
        let refused = self.refused.or(is_whole.then_some(message)).or(self.query.refused);
        SelectQuery { filters: self.options.filters, refused, ..self.query }
    }
}

/// What the query selects is the list; columns of the query around it are `outer()`.
impl<R: Entity, V: ScalarType, W: ColumnType<Operand = V>, T: Entity> IntoList<R, V> for QueryBuilder<T, W> {
    #[allow(private_interfaces, reason = "only this crate calls it")]
    fn into_list(self) -> Term {
        self.into_term()
    }
}

/// The value of the row that it selects; NULL if there is none. If there are several, that is an error of the server.
impl<R: Entity, V: ScalarType, W: ColumnType<Operand = V>, T: Entity> IntoExpr<R, V> for QueryBuilder<T, W> {
    type Type = Option<V>;

    fn into_expr(self) -> Expr<R, Option<V>> {
        Expr::new(self.into_term())
    }
}

impl<T: Entity, O> ExistsOperand for QueryBuilder<T, O> {
    #[allow(private_interfaces, reason = "only this crate calls it")]
    fn into_exists(mut self) -> Expression {
        // Only whether there are rows matters.
        if matches!(self.query.list, SelectList::Entity) {
            let one = Term::Raw(vec![Piece::Text("1".to_owned())]);
            self.query.list = SelectList::Terms(vec![SelectedTerm { term: one, pg: None }]);
        }
        Expression::Holds(Term::Raw(vec![Piece::Text("EXISTS ".to_owned()), Piece::Term(self.into_term())]))
    }
}
