//! Loading one relation of an entity, starting at the handle: no guard is alive across the await.

use std::future::Future;
use std::sync::Arc;

use super::batch::Wanted;
use super::loading::LoadOptions;
use super::{EntityManager, Find};
use crate::entity::{Entity, FieldPath, FieldSet, Managed, Ref};
use crate::error::Error;
use crate::metadata::{AnyCell, Graph};
use crate::query::{Condition, LoadPath, PopulateRequest, ToMany};
use crate::sql::Expression;
use crate::types::{EntityKey, Key};

impl<T: Entity> Managed<T> {
    /// Loads a relation, if it is not loaded, and answers with what it refers to:
    /// `post.load(&em, |p| p.author()).await?` is a `Managed<User>`, `user.load(&em, |u| u.posts()).await?` a
    /// `Vec<Managed<Post>>`, a nullable relation an `Option`.
    ///
    /// Loads that are awaited together share their queries, with those of [`Ref::load`], too: `join_all` over many entities
    /// sends one for each relation.
    ///
    /// # Errors
    /// [`Error::Detached`] if the entity belongs to another manager, [`Error::NotFound`] if the row that is referred to is
    /// gone, [`Error::Validation`] for a to-one relation behind a to-many one; what the server answered.
    pub fn load<P>(
        &self,
        em: &EntityManager,
        relation: impl FnOnce(T::Fields<T>) -> P,
    ) -> impl Future<Output = Result<P::Loaded, Error>> + Send
    where
        P: LoadPath<T> + Send + Sync,
    {
        let path = relation(T::Fields::at(FieldPath::root(T::meta)));
        let (handle, em) = (self.clone(), em.clone());
        async move {
            path.check()?;
            let hops = path.target_path().hops().to_vec();
            em.load_relation(handle.any(), hops).await?;
            let (graph, view) = (em.graph(), em.session.view()?);
            let is_seen = |meta, key: &Key| {
                let entity = graph.metadata.find(meta);
                entity.is_some_and(|entity| graph.find_seen(&view, entity.index, key).is_some())
            };
            path.take(&handle, &is_seen)
        }
    }
}

impl<T: Entity> Managed<T> {
    /// A find among the items of a collection, whether they are loaded or not: conditions, order, limit and the rest as of
    /// every [`find`](EntityManager::find). The collection itself stays as it is.
    /// `user.matching(&em, |u| u.posts()).filter(|p| p.title().like("Note%")).limit(3).await?`
    ///
    /// Of an entity that has no key yet nothing is found. Awaiting it is [`Error::Validation`] for a path over several
    /// relations.
    pub fn matching<X: Entity>(
        &self,
        em: &EntityManager,
        collection: impl FnOnce(T::Fields<T>) -> ToMany<T, X>,
    ) -> Find<X> {
        let path = collection(T::Fields::at(FieldPath::root(T::meta))).fields().path().clone();
        let items = match self.key() {
            Some(key) => Expression::Item { path, key },
            None => Expression::Any(Vec::new()),
        };
        em.find::<X>().filter(|_| Condition::new(items))
    }

    /// How many items the database has in a collection, without loading them. One statement: `SELECT count(*)`.
    ///
    /// # Errors
    /// [`Error::Validation`] for a path over several relations; what the server answered.
    pub fn load_count<X: Entity>(
        &self,
        em: &EntityManager,
        collection: impl FnOnce(T::Fields<T>) -> ToMany<T, X>,
    ) -> impl Future<Output = Result<u64, Error>> + Send {
        self.matching(em, collection).count()
    }
}

impl<T: Entity> Ref<T> {
    /// The entity: loaded from the database, if it is not loaded. Loads that are awaited together share a query, and the
    /// future borrows nothing: `join_all(posts.iter().map(|post| post.read().author.load(&em)))` sends one.
    ///
    /// # Errors
    /// [`Error::NotFound`] if there is no such row; what the server answered.
    pub fn load(&self, em: &EntityManager) -> impl Future<Output = Result<Managed<T>, Error>> + Send + use<T> {
        let (reference, em) = (self.clone(), em.clone());
        async move {
            if let Ok(loaded) = reference.get()
                && em.graph().owns(&*loaded.cell)
                && !loaded.any().is_stale()
                && !em.session.view()?.is_filtered(em.graph().metadata.of(T::meta())?.index)
            {
                return Ok(loaded);
            }
            if let Ok(id) = reference.try_id()
                && em.load_together(Wanted::Row(T::meta, id.to_key())).await?
                && let Some(loaded) = em.loaded::<T>(&id.to_key())?
                && !loaded.any().is_stale()
            {
                return Ok(loaded);
            }
            em.find_one_or_fail::<T>(&reference, ()).await
        }
    }
}

impl EntityManager {
    async fn load_relation(&self, cell: Arc<dyn AnyCell>, hops: Vec<u16>) -> Result<(), Error> {
        let meta = cell.meta();
        if !self.graph().contains(&cell) {
            return Err(Error::Detached { entity: meta.name });
        }
        if self.load_together(Wanted::Relation(Arc::clone(&cell), hops.clone())).await? && self.graph().contains(&cell)
        {
            return Ok(());
        }
        self.populate_cells(meta, vec![cell], &[PopulateRequest::Hops(hops)], LoadOptions::default()).await
    }

    /// The entity with this key, if it is loaded.
    fn loaded<T: Entity>(&self, key: &Key) -> Result<Option<Managed<T>>, Error> {
        let (graph, view) = (self.graph(), self.session.view()?);
        let cell = graph.metadata.find(T::meta()).and_then(|entity| graph.find_seen(&view, entity.index, key));
        Ok(cell.and_then(|cell| Managed::from_cell(cell, graph as Arc<dyn Graph>)))
    }
}

/// One entity can be passed where several are expected: `em.populate(&user, "posts")`.
impl<'a, T: Entity> IntoIterator for &'a Managed<T> {
    type Item = &'a Managed<T>;
    type IntoIter = std::iter::Once<&'a Managed<T>>;

    fn into_iter(self) -> Self::IntoIter {
        std::iter::once(self)
    }
}
