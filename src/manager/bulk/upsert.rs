//! Rows that are inserted, or update the row that is there already.

use std::fmt;
use std::future::IntoFuture;
use std::marker::PhantomData;

use futures_util::future::BoxFuture;

use super::conflict::{Merge, Target, UpsertPlan};
use crate::entity::{Entity, FieldPath, FieldSet, IntoEntity, Managed};
use crate::error::Error;
use crate::manager::EntityManager;
use crate::manager::find::handles;
use crate::metadata::EntityObject;
use crate::query::{IntoCondition, PropertyList};

/// An upsert, made by [`EntityManager::upsert`] and [`EntityManager::upsert_many`]. `.await` sends it; `R` is what it answers with.
#[must_use = "an upsert does nothing until it is awaited"]
pub struct Upsert<T: Entity, R = Managed<T>> {
    em: EntityManager,
    pub(super) plan: UpsertPlan,
    types: PhantomData<fn() -> (T, R)>,
}

impl<T: Entity, R> Upsert<T, R> {
    /// What makes two rows the same: the fields of the key, of a unique constraint, or of a unique index. If the index was
    /// declared with a condition (`#[unique(…, where = "…")]`), that becomes part of the statement.
    ///
    /// Without it, it is the key, if all rows have one, or else the first unique constraint that all rows have values for.
    pub fn on_conflict<P: PropertyList<T>>(mut self, properties: impl FnOnce(T::Fields<T>) -> P) -> Self {
        self.plan.target = Target::Properties(names(properties));
        self
    }

    /// The same by the name of the constraint or unique index, as the entity declares it.
    pub fn on_constraint(mut self, name: impl Into<String>) -> Self {
        self.plan.target = Target::Constraint(name.into());
        self
    }

    /// A row that is there gets the new values of these fields, and of no others.
    ///
    /// Without it, it gets those of all fields, except for the key, the conflict target, and what has an `on_create` and no
    /// `on_update`.
    pub fn merge_fields<P: PropertyList<T>>(mut self, properties: impl FnOnce(T::Fields<T>) -> P) -> Self {
        let mut merged = names(properties);
        match &mut self.plan.merge {
            Merge::Only(known) => known.append(&mut merged),
            merge => *merge = Merge::Only(merged),
        }
        self
    }

    /// A row that is there keeps its values of these fields.
    pub fn exclude<P: PropertyList<T>>(mut self, properties: impl FnOnce(T::Fields<T>) -> P) -> Self {
        self.plan.excluded.append(&mut names(properties));
        self
    }

    /// A row that is there stays as it is (`DO NOTHING`), and is answered with.
    pub fn ignore(mut self) -> Self {
        self.plan.merge = Merge::Nothing;
        self
    }

    /// Updates a row that is there only if it fulfils a condition: one that does not is answered with as it is. Several
    /// conditions have to hold together. New rows are inserted in any case.
    pub fn r#where<C: IntoCondition<T>>(mut self, condition: impl FnOnce(T::Fields<T>) -> C) -> Self {
        self.plan.filter.push(condition(fields::<T>()).into_condition().expression);
        self
    }

    async fn run(self) -> Result<Vec<Managed<T>>, Error> {
        let graph = self.em.graph();
        let cells = self.plan.run(&self.em, &graph).await?;
        Ok(handles(&graph, cells))
    }
}

fn fields<T: Entity>() -> T::Fields<T> {
    T::Fields::at(FieldPath::root(T::meta))
}

fn names<T: Entity, P: PropertyList<T>>(properties: impl FnOnce(T::Fields<T>) -> P) -> Vec<crate::query::PropertyName> {
    let mut names = Vec::new();
    properties(fields::<T>()).push_properties(&mut names);
    names
}

impl<T: Entity> IntoFuture for Upsert<T> {
    type Output = Result<Managed<T>, Error>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        let missing = || Error::validation(T::meta().name, "the server answered without the row");
        Box::pin(async move { self.run().await?.pop().ok_or_else(missing) })
    }
}

impl<T: Entity> IntoFuture for Upsert<T, Vec<Managed<T>>> {
    type Output = Result<Vec<Managed<T>>, Error>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}

impl<T: Entity, R> fmt::Debug for Upsert<T, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upsert").field("plan", &self.plan).finish_non_exhaustive()
    }
}

impl EntityManager {
    /// Inserts a row, or updates the one that is there already: `INSERT … ON CONFLICT … DO UPDATE`, at once, past the unit of work.
    /// Takes an entity or its `New…` struct, and answers with the managed entity, whatever has happened to the row: also one
    /// that [`ignore`](Upsert::ignore) or [`where`](Upsert::where) has left as it was.
    ///
    /// ```
    /// # howdah::doctest::run(async |url| {
    /// use howdah::prelude::*;
    ///
    /// #[derive(Entity, Clone, Debug)]
    /// pub struct Page {
    ///     #[primary_key]
    ///     pub id: i64,
    ///     #[property(unique)]
    ///     pub path: String,
    ///     pub title: String,
    ///     #[version]
    ///     pub version: i32,
    /// }
    ///
    /// # let orm = Orm::builder().url(&url).entities(entities![Page]).connect().await?;
    /// # orm.schema().create().await?;
    /// # let em = orm.em();
    /// let page = em.upsert(NewPage { path: "/".into(), title: "Home".into() }).on_conflict(|p| p.path()).await?;
    /// let same = em.upsert(NewPage { path: "/".into(), title: "Start".into() }).on_conflict(|p| p.path()).await?;
    /// assert_eq!(page, same); // one row, one entity
    /// assert_eq!((page.read().title.as_str(), page.read().version), ("Start", 2));
    /// # Ok(())
    /// # });
    /// ```
    ///
    /// A row that is updated gets a new `#[version]`, and new `on_update` values. Its version is not compared: that is
    /// what [`where`](Upsert::where) can do.
    ///
    /// If the entity is loaded already, its fields take the values of the row, except for those with pending changes: they keep
    /// them, and the next flush writes them. (If somebody else has changed the row since these changes were begun, that flush is
    /// [`Error::OptimisticLock`]; whether somebody has cannot be told from a version that is a point in time.)
    ///
    /// One statement and one round trip; a second one only if a row has come into the way at the same moment, and is left as it
    /// is. Pending work is not flushed before. Outside of a transaction the statement commits; inside of one it is a part of
    /// it, and a failure undoes no more than it has written.
    ///
    /// # Errors
    /// [`Error::Validation`] before anything is sent, for a row without a value for the conflict target, a target that is
    /// deferrable, or an unknown constraint; [`Error::NotFound`] if a row that was left as it is has vanished at the same moment, or a
    /// trigger has suppressed it; what the server answered, with entity and fields as from a flush.
    ///
    /// # Cancel safety
    /// Dropping the future leaves the row written, or not. Inside a transaction it is not written.
    pub fn upsert<N: IntoEntity>(&self, entity: N) -> Upsert<N::Entity> {
        self.upserting([entity])
    }

    /// Like [`upsert`](Self::upsert), for rows of one type, whatever their number; answers in their order. Rows that have values
    /// for the same columns are one statement, and all take one round trip. Nothing is written if one of them fails.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/model/blog.rs"));
    /// # fn main() { howdah::doctest::run(async |url| { let em = blog(&url).await?.em();
    /// let names = ["mathematics", "poetry"];
    /// let tags = em.upsert_many(names.map(|name| NewTag { name: name.into() })).on_conflict(|t| t.name()).ignore().await?;
    /// assert_eq!(tags.iter().map(|tag| tag.read().name.clone()).collect::<Vec<_>>(), names);
    /// # Ok(()) }) }
    /// ```
    ///
    /// # Errors
    /// As [`upsert`](Self::upsert); [`Error::Validation`] if two of the rows would update the same one.
    pub fn upsert_many<N: IntoEntity>(
        &self,
        entities: impl IntoIterator<Item = N>,
    ) -> Upsert<N::Entity, Vec<Managed<N::Entity>>> {
        self.upserting(entities)
    }

    fn upserting<N: IntoEntity, R>(&self, entities: impl IntoIterator<Item = N>) -> Upsert<N::Entity, R> {
        let rows = entities.into_iter().map(|entity| Box::new(entity.into_entity()) as Box<dyn EntityObject>).collect();
        Upsert { em: self.clone(), plan: UpsertPlan::new(<N::Entity as Entity>::meta(), rows), types: PhantomData }
    }
}
