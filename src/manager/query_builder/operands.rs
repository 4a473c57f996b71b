//! Queries as operands of others: `is_in(query)`, `eq(query)`, `exists(query)`.

use std::sync::Arc;

use super::QueryBuilder;
use crate::entity::Entity;
use crate::metadata::ColumnType;
use crate::query::{ExistsOperand, Expr, FindOptions, IntoExpr, IntoList};
use crate::sql::{Expression, Piece, SelectList, SelectQuery, SelectedTerm, Term};
use crate::types::ScalarType;

impl<T: Entity, O> QueryBuilder<T, O> {
    /// The query as a part of another one. What it was asked for and a part cannot have is an error when that runs.
    pub(super) fn into_part(self) -> SelectQuery {
        let mut query = self.query;
        let FindOptions { schema, timeout, cache, filters, .. } = &self.options;
        let is_of_all = schema.is_some() || timeout.is_some() || cache.is_some() || !filters.is_empty();
        let of_all = "with_filter(), without_filter(), schema(), timeout() and cache() hold for all of a statement: say them \
                      of the query around this one";
        if let Some(message) = self.refused.or_else(|| is_of_all.then_some(of_all)) {
            refuse(&mut query, message);
        }
        query
    }

    /// The query in parentheses.
    pub(super) fn into_term(self) -> Term {
        Term::Query(Arc::new(self.into_part()))
    }
}

/// Makes writing a query an error.
fn refuse(query: &mut SelectQuery, message: &str) {
    match &mut query.combined {
        Some(combined) => refuse(Arc::make_mut(&mut combined.left), message),
        None => query.selection.filter.push(Expression::Holds(Term::Invalid(message.to_owned()))),
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
