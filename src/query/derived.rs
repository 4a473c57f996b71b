//! What can be joined beside relations: tables under a name of their own, and the rows of queries.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use super::expr::Expr;
use super::path::{ToMany, ToOne};
use crate::entity::{Entity, FieldPath, FieldSet};
use crate::sql::{Cte, FromItem, FromKind, SelectQuery, SetOperator, Term};
use crate::types::{FromRow, RowValue};

/// The table of an entity under a name of its own, to be joined to a query, more than once if need be.
///
/// [`fields`](Self::fields) are its columns, in any query that it is joined to, and in sub-queries of that.
pub struct Alias<T: Entity> {
    number: u32,
    entity: PhantomData<fn() -> T>,
}

impl<T: Entity> Alias<T> {
    /// Another name for the table.
    #[must_use]
    #[allow(clippy::new_without_default, reason = "two of them are never the same: a default would hide that")]
    pub fn new() -> Self {
        Self { number: FromItem::next_number(), entity: PhantomData }
    }

    /// The columns, in a query of `R`.
    #[must_use]
    pub fn fields<R: Entity>(&self) -> T::Fields<R> {
        T::Fields::at(FieldPath::of_source(T::meta, self.number))
    }
}

impl<T: Entity> Clone for Alias<T> {
    fn clone(&self) -> Self {
        Self { number: self.number, entity: PhantomData }
    }
}

impl<T: Entity> fmt::Debug for Alias<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Alias({} #{})", T::meta().name, self.number)
    }
}

/// The rows of a query that select values of type `O`, to be joined to another one: a sub-query in the FROM list, or a
/// common table expression (`WITH`).
pub struct DerivedTable<O> {
    source: FromItem,
    output: PhantomData<fn() -> O>,
}

impl<O: OutputRow> DerivedTable<O> {
    /// A sub-query.
    pub(crate) fn of_query(query: SelectQuery) -> Self {
        Self::new(FromItem::next_number(), FromKind::Query(Arc::new(query)))
    }

    /// A common table expression.
    pub(crate) fn of_cte(name: &str, query: SelectQuery) -> Self {
        let cte = Cte { name: name.to_owned(), query: Arc::new(query), step: None, materialized: None };
        Self::new(FromItem::next_number(), FromKind::Cte(Arc::new(cte)))
    }

    /// A common table expression that begins with some rows, and to which `step` adds those that it makes of them.
    pub(crate) fn recursive(
        name: &str,
        query: SelectQuery,
        operator: SetOperator,
        step: impl FnOnce(&Self) -> SelectQuery,
    ) -> Self {
        let number = FromItem::next_number();
        let step = step(&Self::new(number, FromKind::Itself { name: name.to_owned() }));
        let (query, step) = (Arc::new(query), Some((operator, Arc::new(step))));
        Self::new(number, FromKind::Cte(Arc::new(Cte { name: name.to_owned(), query, step, materialized: None })))
    }

    const fn new(number: u32, kind: FromKind) -> Self {
        Self { source: FromItem { number, kind }, output: PhantomData }
    }

    /// Its columns, in a query of `R`: one expression, or a tuple.
    #[must_use]
    pub fn columns<R: Entity>(&self) -> O::Columns<R> {
        O::columns(self.source.number)
    }

    /// A common table expression is computed once, whatever uses it (`AS MATERIALIZED`), or not (`AS NOT MATERIALIZED`).
    /// Without a word the server decides. Nothing of a sub-query.
    #[must_use]
    pub fn materialized(mut self, materialized: bool) -> Self {
        if let FromKind::Cte(cte) = &mut self.source.kind {
            let changed = Cte { materialized: Some(materialized), ..(**cte).clone() };
            *cte = Arc::new(changed);
        }
        self
    }
}

impl<O> Clone for DerivedTable<O> {
    fn clone(&self) -> Self {
        Self { source: self.source.clone(), output: PhantomData }
    }
}

impl<O> fmt::Debug for DerivedTable<O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.source.fmt(f)
    }
}

/// What can be joined to a query of `R`: an [`Alias`] or a [`DerivedTable`].
pub trait JoinSource<R: Entity> {
    /// Its columns: the fields of the entity, or one expression or a tuple.
    type Columns;

    /// Its columns.
    fn join_columns(&self) -> Self::Columns;

    #[doc(hidden)]
    #[allow(private_interfaces, reason = "only this crate calls it")]
    fn source(&self) -> FromItem;
}

impl<R: Entity, T: Entity> JoinSource<R> for Alias<T> {
    type Columns = T::Fields<R>;

    fn join_columns(&self) -> T::Fields<R> {
        self.fields()
    }

    #[allow(private_interfaces, reason = "only this crate calls it")]
    fn source(&self) -> FromItem {
        FromItem { number: self.number, kind: FromKind::Entity(T::meta) }
    }
}

impl<R: Entity, O: OutputRow> JoinSource<R> for DerivedTable<O> {
    type Columns = O::Columns<R>;

    fn join_columns(&self) -> O::Columns<R> {
        self.columns()
    }

    #[allow(private_interfaces, reason = "only this crate calls it")]
    fn source(&self) -> FromItem {
        self.source.clone()
    }
}

/// A path of relations that a query can join: `a.books().tags()`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a relation of `{R}`",
    label = "cannot be joined",
    note = "join() takes relations: `query.join(|u| u.posts().tags())`"
)]
pub trait JoinPath<R: Entity> {
    #[doc(hidden)]
    fn into_path(self) -> FieldPath;
}

impl<R: Entity, T: Entity, L> JoinPath<R> for ToOne<R, T, L> {
    fn into_path(self) -> FieldPath {
        self.fields().path().clone()
    }
}

impl<R: Entity, T: Entity> JoinPath<R> for ToMany<R, T> {
    fn into_path(self) -> FieldPath {
        self.fields().path().clone()
    }
}

/// A result whose columns other queries can use: a value, or a tuple of values.
pub trait OutputRow: FromRow {
    /// An expression for each column.
    type Columns<R: Entity>;

    #[doc(hidden)]
    fn columns<R: Entity>(source: u32) -> Self::Columns<R>;
}

impl<V: RowValue> OutputRow for V {
    type Columns<R: Entity> = Expr<R, V>;

    fn columns<R: Entity>(source: u32) -> Expr<R, V> {
        Expr::new(Term::Output { source, column: 0 })
    }
}

macro_rules! tuple {
    ($($name:ident $position:literal),*) => {
        impl<$($name: RowValue),*> OutputRow for ($($name,)*) {
            type Columns<R: Entity> = ($(Expr<R, $name>,)*);

            fn columns<R: Entity>(source: u32) -> Self::Columns<R> {
                ($(Expr::new(Term::Output { source, column: $position }),)*)
            }
        }
    };
}

tuple!(A 0);
tuple!(A 0, B 1);
tuple!(A 0, B 1, C 2);
tuple!(A 0, B 1, C 2, D 3);
tuple!(A 0, B 1, C 2, D 3, E 4);
tuple!(A 0, B 1, C 2, D 3, E 4, F 5);
tuple!(A 0, B 1, C 2, D 3, E 4, F 5, G 6);
tuple!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7);
tuple!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8);
tuple!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9);
tuple!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, K 10);
tuple!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, K 10, L 11);
tuple!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, K 10, L 11, M 12);
tuple!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, K 10, L 11, M 12, N 13);
tuple!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, K 10, L 11, M 12, N 13, O 14);
tuple!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, K 10, L 11, M 12, N 13, O 14, P 15);
