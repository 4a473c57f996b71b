//! Statements that write rows, and answer with values of them.

use std::fmt;
use std::future::IntoFuture;

use futures_util::future::BoxFuture;

use crate::driver::Answer;
use crate::entity::Entity;
use crate::error::Error;
use crate::manager::EntityManager;
use crate::manager::find::fields;
use crate::manager::selected_rows::SelectedRows;
use crate::query::Selectable;
use crate::sql::{SelectList, SelectQuery, Selection};
use crate::types::Projection;

/// A statement that writes rows, without its type.
pub(in crate::manager) trait Write: Send + fmt::Debug {
    /// Sends it; `returned` is what of the rows it answers with.
    fn run<'a>(
        self: Box<Self>,
        em: &'a EntityManager,
        returned: Option<&'a SelectQuery>,
    ) -> BoxFuture<'a, Result<Answer, Error>>;
}

/// The query for the entities of written rows.
pub(in crate::manager) fn entities_of<T: Entity>() -> SelectQuery {
    SelectQuery::new(T::meta, Selection::all(T::meta()), SelectList::Entity)
}

/// An INSERT, UPDATE or DELETE that answers with values of the rows that it has written. `.await` sends it; the rows come in
/// the order of the server. Made by `returning` and `returning_into` of [`NativeUpdate`](crate::NativeUpdate),
/// [`NativeDelete`](crate::NativeDelete) and [`InsertFrom`](crate::InsertFrom).
///
/// Columns have the values that they have been given, or of a DELETE those that they had. What relations lead to is as it was before
/// the statement.
#[must_use = "a statement does nothing until it is awaited"]
pub struct Returning<O> {
    em: EntityManager,
    write: Box<dyn Write>,
    query: SelectQuery,
    rows: SelectedRows<O>,
}

impl<O: Send + 'static> Returning<O> {
    /// Of a selection.
    pub(in crate::manager) fn selecting<T: Entity, S: Selectable<T, Output = O>>(
        em: EntityManager,
        write: Box<dyn Write>,
        list: impl FnOnce(T::Fields<T>) -> S,
    ) -> Self {
        let mut terms = Vec::new();
        list(fields::<T>()).push_selected(&mut terms);
        let query = SelectQuery { list: SelectList::Terms(terms), ..entities_of::<T>() };
        Self { em, write, query, rows: SelectedRows::of_selection::<T, S>() }
    }

    /// Of a projection.
    pub(in crate::manager) fn projecting<T: Entity>(em: EntityManager, write: Box<dyn Write>) -> Self
    where
        O: Projection,
    {
        let query = SelectQuery { list: SelectList::Projection(O::meta()), ..entities_of::<T>() };
        Self { em, write, query, rows: SelectedRows::of_projection() }
    }
}

impl<O: Send + 'static> IntoFuture for Returning<O> {
    type Output = Result<Vec<O>, Error>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        let Self { em, write, query, rows } = self;
        Box::pin(async move {
            let mut intake = rows.intake();
            intake.take(&write.run(&em, Some(&query)).await?.rows)?;
            Ok(intake.into_rows())
        })
    }
}

impl<O> fmt::Debug for Returning<O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Returning").field("write", &self.write).field("list", &self.query.list).finish_non_exhaustive()
    }
}
