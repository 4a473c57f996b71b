//! Writing what a query finds: its rows into another table, changes to them, or their end.

use std::fmt;
use std::future::IntoFuture;
use std::marker::PhantomData;

use futures_util::future::BoxFuture;

use super::QueryBuilder;
use crate::driver::Answer;
use crate::entity::{Entity, FieldPath, Managed};
use crate::error::Error;
use crate::loader::Hydrator;
use crate::manager::find::{fields, handles};
use crate::manager::{EntityManager, NativeDelete, NativeUpdate};
use crate::metadata::PropertyKind;
use crate::query::{Condition, FindOptions, InsertColumns, PropertyList, PropertyName};
use crate::sql::{
    self, Distinct, Expression, InsertSelect, Operator, SelectConflict, SelectList, SelectQuery, SelectedTerm, Term,
};

impl<T: Entity, O: Send + 'static> QueryBuilder<T, O> {
    /// Inserts the rows into the table of another entity (or the same): `INSERT INTO … SELECT …`. `columns` says what the
    /// selected values are, in their order; other columns get the defaults of the database, and a `#[version]` begins.
    ///
    /// ```
    /// # howdah::doctest::run(async |url| {
    /// # use howdah::prelude::*;
    /// # #[derive(Entity, Clone, Debug)]
    /// # pub struct Draft { #[primary_key] pub id: i64, pub title: String, pub done: bool }
    /// # #[derive(Entity, Clone, Debug)]
    /// # pub struct Page { #[primary_key] pub id: i64, #[property(unique)] pub title: String }
    /// # let orm = Orm::builder().url(&url).entities(entities![Draft, Page]).connect().await?;
    /// # orm.schema().create().await?;
    /// # let em = orm.em();
    /// # em.persist(NewDraft { title: "one".into(), done: true });
    /// # em.flush().await?;
    /// let done = em.query::<Draft>().filter(|d| d.done().eq(true)).select(|d| d.title());
    /// let pages = done.insert_into::<Page, _>(|page| page.title()).on_conflict(|page| page.title()).ignore();
    /// assert_eq!(pages.returning().await?[0].read().title, "one");
    /// # Ok(())
    /// # });
    /// ```
    pub fn insert_into<E: Entity, C: InsertColumns<E, O>>(
        self,
        columns: impl FnOnce(E::Fields<E>) -> C,
    ) -> InsertFrom<E> {
        let mut names = Vec::new();
        columns(fields::<E>()).push_properties(&mut names);
        let (em, query, options, refused) = (self.em, self.query, self.options, self.refused);
        InsertFrom { em, query, options, refused, names, conflict: None, merges: true, entity: PhantomData }
    }

    /// Updates the rows: a [`native_update`](EntityManager::native_update) of those that the query would find.
    pub fn update(self) -> NativeUpdate<T> {
        let em = self.em.clone();
        self.own_rows()
            .into_iter()
            .fold(em.native_update::<T>(), |update, condition| update.filter_opt(Some(condition)))
    }

    /// Deletes the rows: a [`native_delete`](EntityManager::native_delete) of those that the query would find.
    pub fn delete(self) -> NativeDelete<T> {
        let em = self.em.clone();
        self.own_rows()
            .into_iter()
            .fold(em.native_delete::<T>(), |delete, condition| delete.filter_opt(Some(condition)))
    }

    /// The rows of the entity that the query is about, as conditions.
    fn own_rows(mut self) -> Vec<Condition<T>> {
        if let Some(message) = self.refused {
            return vec![Condition::new(Expression::Holds(Term::Invalid(message.to_owned())))];
        }
        let query = &mut self.query;
        let is_plain = query.joins.is_empty()
            && query.from.is_none()
            && query.combined.is_none()
            && query.group_by.is_empty()
            && query.having.is_empty()
            && matches!(query.distinct, Distinct::All)
            && query.selection.limit.is_none()
            && query.selection.offset.is_none();
        if is_plain {
            return std::mem::take(&mut query.selection.filter).into_iter().map(Condition::new).collect();
        }
        let keys = T::meta().properties.iter().enumerate().filter(|(_, property)| property.primary);
        let keys: Vec<Term> = keys
            .filter(|(_, property)| matches!(property.kind, PropertyKind::Column(_) | PropertyKind::Relation(_)))
            .filter_map(|(index, _)| u16::try_from(index).ok())
            .map(|property| Term::Column { path: FieldPath::root(T::meta), property })
            .collect();
        query.selection.lock = None;
        query.list = SelectList::Terms(keys.iter().map(|term| SelectedTerm { term: term.clone(), pg: None }).collect());
        let left = match <[Term; 1]>::try_from(keys) {
            Ok([key]) => key,
            Err(keys) => Term::Row(keys),
        };
        let right = self.into_term();
        vec![Condition::new(Expression::Compare { left, operator: Operator::In, right })]
    }
}

/// An `INSERT INTO … SELECT …`, made by [`QueryBuilder::insert_into`]. `.await` sends it and answers with the number of rows
/// that were written.
#[must_use = "an insert does nothing until it is awaited"]
pub struct InsertFrom<T: Entity> {
    em: EntityManager,
    query: SelectQuery,
    options: FindOptions,
    refused: Option<&'static str>,
    names: Vec<PropertyName>,
    /// What makes two rows the same; nothing in it for any unique constraint.
    conflict: Option<Vec<PropertyName>>,
    merges: bool,
    entity: PhantomData<fn() -> T>,
}

impl<T: Entity> InsertFrom<T> {
    /// A row that is there already, by the unique constraint of these fields, gets the values of the new one:
    /// `ON CONFLICT (…) DO UPDATE`.
    pub fn on_conflict<P: PropertyList<T>>(mut self, properties: impl FnOnce(T::Fields<T>) -> P) -> Self {
        let mut names = Vec::new();
        properties(fields::<T>()).push_properties(&mut names);
        self.conflict = Some(names);
        self
    }

    /// A row that is there already stays as it is: `ON CONFLICT … DO NOTHING`. Without
    /// [`on_conflict`](Self::on_conflict), whatever unique constraint says that it is there.
    pub fn ignore(mut self) -> Self {
        self.conflict.get_or_insert_default();
        self.merges = false;
        self
    }

    /// Sends the INSERT, and answers with the entities of the rows that were written, managed: `INSERT … RETURNING`.
    ///
    /// # Errors
    /// As awaiting it.
    pub async fn returning(self) -> Result<Vec<Managed<T>>, Error> {
        let graph = self.em.graph();
        let answer = self.run(true).await?;
        let mut hydrator = Hydrator::new(&graph, graph.metadata.of(T::meta())?, false);
        hydrator.take_rows(&answer.rows)?;
        Ok(handles(&graph, hydrator.finish().0))
    }

    async fn run(self, returned: bool) -> Result<Answer, Error> {
        if let Some(message) = self.refused {
            return Err(Error::validation(T::meta().name, message));
        }
        let view = self.em.view_of(self.query.selection.meta, &self.options)?;
        let entity = view.of(T::meta())?;
        let own = |names: &[PropertyName], operation| {
            names.iter().map(|name| name.own(T::meta(), operation)).collect::<Result<Vec<u16>, Error>>()
        };
        let properties = own(&self.names, "insert_into()")?;
        let conflict = match &self.conflict {
            None => SelectConflict::Fail,
            Some(names) if names.is_empty() => SelectConflict::Nothing,
            Some(names) if self.merges => SelectConflict::Update(own(names, "on_conflict()")?),
            Some(names) => SelectConflict::NothingOn(own(names, "on_conflict()")?),
        };
        let insert = InsertSelect { entity, properties: &properties, conflict: &conflict, returned };
        let statement = sql::insert_select(&view, &self.query, &insert)?;
        let merges = matches!(conflict, SelectConflict::Update(_));
        let graph = self.em.graph();
        let answers = self.em.session.write_directly(&[statement]).await.map_err(|(error, _)| error)?;
        if merges && !returned {
            graph.mark_stale(entity.index, None);
        }
        Ok(answers.into_iter().next().unwrap_or(Answer { rows: Vec::new(), affected: 0 }))
    }
}

impl<T: Entity> fmt::Debug for InsertFrom<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InsertFrom")
            .field("entity", &T::meta().name)
            .field("query", &self.query)
            .finish_non_exhaustive()
    }
}

impl<T: Entity> IntoFuture for InsertFrom<T> {
    type Output = Result<u64, Error>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move { Ok(self.run(false).await?.affected) })
    }
}
