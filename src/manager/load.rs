//! Loading one relation of an entity, starting at the handle: no guard is alive across the await.

use std::future::Future;

use super::EntityManager;
use crate::entity::{Entity, FieldPath, FieldSet, Managed, Ref};
use crate::error::Error;
use crate::query::{LoadPath, PopulateRequest};
use crate::types::Key;

impl<T: Entity> Managed<T> {
    /// Loads a relation, if it is not loaded, and answers with what it refers to:
    /// `post.load(&em, |p| p.author()).await?` is a `Managed<User>`, `user.load(&em, |u| u.posts()).await?` a
    /// `Vec<Managed<Post>>`, a nullable relation an `Option`.
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
        let request = PopulateRequest::Hops(path.target_path().hops().to_vec());
        let (handle, em) = (self.clone(), em.clone());
        async move {
            path.check()?;
            em.populate_cells(T::meta(), vec![handle.any()], &[request], None).await?;
            let (graph, view) = (em.graph(), em.session.view()?);
            let is_seen = |meta, key: &Key| {
                let entity = graph.metadata.find(meta);
                entity.is_some_and(|entity| graph.find_seen(&view, entity.index, key).is_some())
            };
            path.take(&handle, &is_seen)
        }
    }
}

impl<T: Entity> Ref<T> {
    /// The entity: loaded from the database, if it is not loaded.
    ///
    /// # Errors
    /// [`Error::NotFound`] if there is no such row; what the server answered.
    pub fn load(&self, em: &EntityManager) -> impl Future<Output = Result<Managed<T>, Error>> + Send {
        let (reference, em) = (self.clone(), em.clone());
        async move {
            if let Ok(loaded) = reference.get()
                && em.graph().owns(&*loaded.cell)
                && !em.session.view()?.is_filtered(em.graph().metadata.of(T::meta())?.index)
            {
                return Ok(loaded);
            }
            em.find_one_or_fail::<T>(&reference, ()).await
        }
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
