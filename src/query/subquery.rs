//! Queries as operands of others.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use super::condition::{Condition, IntoCondition};
use super::expr::{Expr, IntoExpr};
use super::operators::TypedExpr;
use super::order::IntoOrder;
use crate::entity::{Entity, FieldPath, FieldSet};
use crate::metadata::ColumnType;
use crate::sql::{Expression, OrderTerm, Selection, SubSelect, Term};
use crate::types::ScalarType;

/// The values that a query selects, as an operand: of `is_in` and `not_in`, or, where it selects one row, of any comparison.
///
/// ```
/// # howdah::doctest::run(async |url| {
/// # use howdah::prelude::*;
/// # #[derive(Entity, Clone, Debug)]
/// # pub struct Employee { #[primary_key] pub id: i64, pub name: String, pub salary: i32, pub department: String }
/// # let orm = Orm::builder().url(&url).entities(entities![Employee]).connect().await?;
/// # orm.schema().create().await?;
/// # let em = orm.em();
/// // Who earns most in their department.
/// let found = em.find::<Employee>().filter(|e| {
///     let best = Subquery::of::<Employee>()
///         .filter(|other| other.department().eq(e.department().outer()))
///         .order_by(|other| other.salary().desc())
///         .limit(1);
///     e.salary().eq(best.select(|other| other.salary()))
/// });
/// assert!(found.await?.is_empty());
/// # Ok(())
/// # });
/// ```
pub struct Subquery<V> {
    select: Arc<SubSelect>,
    value: PhantomData<fn() -> V>,
}

impl Subquery<()> {
    /// A query of an entity; it selects nothing yet.
    pub fn of<T: Entity>() -> SubqueryOf<T> {
        let select = SubSelect { selection: Selection::all(T::meta()), columns: Vec::new(), distinct: false };
        SubqueryOf { select, entity: PhantomData }
    }
}

impl<V> Subquery<V> {
    pub(super) fn into_term(self) -> Term {
        Term::Subquery(self.select)
    }
}

impl<V> Clone for Subquery<V> {
    fn clone(&self) -> Self {
        Self { select: Arc::clone(&self.select), value: PhantomData }
    }
}

impl<V> fmt::Debug for Subquery<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Subquery({})", self.select.selection.meta.name)
    }
}

/// The value of the row that it selects; NULL if there is none. If there are several, that is an error of the server.
impl<R: Entity, V: ScalarType, W: ColumnType<Operand = V>> IntoExpr<R, V> for Subquery<W> {
    type Type = Option<V>;

    fn into_expr(self) -> Expr<R, Option<V>> {
        Expr::new(self.into_term())
    }
}

/// A sub-query before it is said what it selects: for `exists`, or to be finished by [`select`](Self::select).
#[must_use = "call select(), or pass it to exists()"]
pub struct SubqueryOf<T: Entity> {
    select: SubSelect,
    entity: PhantomData<fn() -> T>,
}

fn fields<T: Entity>() -> T::Fields<T> {
    T::Fields::at(FieldPath::root(T::meta))
}

impl<T: Entity> SubqueryOf<T> {
    /// Keeps the rows that fulfil a condition. Columns of the query around it are `outer()`.
    pub fn filter<C: IntoCondition<T>>(mut self, condition: impl FnOnce(T::Fields<T>) -> C) -> Self {
        self.select.selection.filter.push(condition(fields::<T>()).into_condition().expression);
        self
    }

    /// Like [`filter`](Self::filter), if there is a condition.
    pub fn filter_opt(mut self, condition: Option<Condition<T>>) -> Self {
        self.select.selection.filter.extend(condition.map(|condition| condition.expression));
        self
    }

    /// Orders the rows; with [`limit`](Self::limit) this decides which there are.
    pub fn order_by<O: IntoOrder<T>>(mut self, order: impl FnOnce(T::Fields<T>) -> O) -> Self {
        let order: Vec<OrderTerm> = {
            let mut terms = Vec::new();
            order(fields::<T>()).push_terms(&mut terms);
            terms
        };
        self.select.selection.order.extend(order);
        self
    }

    /// At most this many rows.
    pub const fn limit(mut self, rows: u64) -> Self {
        self.select.selection.limit = Some(rows);
        self
    }

    /// Without the first rows.
    pub const fn offset(mut self, rows: u64) -> Self {
        self.select.selection.offset = Some(rows);
        self
    }

    /// Each value once.
    pub const fn distinct(mut self) -> Self {
        self.select.distinct = true;
        self
    }

    /// What it selects: a column or an expression, or a tuple of them.
    pub fn select<S: SubqueryColumns<T>>(mut self, columns: impl FnOnce(T::Fields<T>) -> S) -> Subquery<S::Row> {
        self.select.columns = columns(fields::<T>()).into_terms();
        Subquery { select: Arc::new(self.select), value: PhantomData }
    }
}

impl<T: Entity> SubqueryOf<T> {
    /// The query selects the keys of its entities.
    pub(super) fn select_key(mut self) -> Arc<SubSelect> {
        self.select.columns = vec![Term::Key(FieldPath::root(T::meta))];
        Arc::new(self.select)
    }
}

/// A query that has rows or not: a [`SubqueryOf`], or what [`EntityManager::query`](crate::EntityManager::query) begins.
pub trait ExistsOperand {
    #[doc(hidden)]
    #[allow(private_interfaces, reason = "only this crate calls it")]
    fn into_exists(self) -> Expression;
}

impl<T: Entity> ExistsOperand for SubqueryOf<T> {
    #[allow(private_interfaces, reason = "only this crate calls it")]
    fn into_exists(self) -> Expression {
        Expression::Exists(Arc::new(self.select))
    }
}

impl<T: Entity> Clone for SubqueryOf<T> {
    fn clone(&self) -> Self {
        Self { select: self.select.clone(), entity: PhantomData }
    }
}

impl<T: Entity> fmt::Debug for SubqueryOf<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SubqueryOf({})", self.select.selection.meta.name)
    }
}

/// What a sub-query selects: a column or expression, or a tuple of two to six.
pub trait SubqueryColumns<T: Entity> {
    /// The type of a row.
    type Row;

    #[doc(hidden)]
    #[allow(private_interfaces, reason = "only this crate calls it")]
    fn into_terms(self) -> Vec<Term>;
}

macro_rules! one_column {
    ($($type:ident)*) => {$(
        impl<T: Entity, V: ColumnType> SubqueryColumns<T> for super::$type<T, V> {
            type Row = V;

            #[allow(private_interfaces, reason = "only this crate calls it")]
            fn into_terms(self) -> Vec<Term> {
                vec![self.to_expr().term]
            }
        }
    )*};
}

one_column!(Column Expr);

macro_rules! several_columns {
    ($($name:ident),*) => {
        impl<R: Entity, $($name: TypedExpr<R>),*> SubqueryColumns<R> for ($($name,)*) {
            type Row = ($($name::Type,)*);

            #[allow(non_snake_case, reason = "the type parameters name the tuple's fields")]
            #[allow(private_interfaces, reason = "only this crate calls it")]
            fn into_terms(self) -> Vec<Term> {
                let ($($name,)*) = self;
                vec![$($name.to_expr().term),*]
            }
        }
    };
}

several_columns!(A, B);
several_columns!(A, B, C);
several_columns!(A, B, C, D);
several_columns!(A, B, C, D, E);
several_columns!(A, B, C, D, E, F);
