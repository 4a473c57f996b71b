//! What `persist` and `remove` take: one entity or many, as handles or as values.

use std::fmt;
use std::sync::Arc;

use super::EntityManager;
use crate::entity::{Entity, IntoEntity, Managed, Ref};
use crate::metadata::Graph;
use crate::unit_of_work::UnitOfWork;

/// Something that [`EntityManager::persist`] takes: a handle, an entity, its `New…` struct, or several of them.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be persisted",
    label = "expected a handle (&Managed<T>), an entity, its New… struct, or several of them"
)]
pub trait Persist {
    /// The type of the entities.
    type Entity: Entity;

    /// The handle, or the handles.
    type Persisted;

    #[doc(hidden)]
    fn persist_in(self, graph: PersistGraph<'_>) -> Self::Persisted;
}

/// The graph that something is persisted in: looked up once, however many entities there are.
#[derive(Clone, Copy)]
pub struct PersistGraph<'a>(pub(super) &'a Arc<UnitOfWork>);

impl fmt::Debug for PersistGraph<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PersistGraph").finish_non_exhaustive()
    }
}

impl<T: Entity> Persist for &Managed<T> {
    type Entity = T;
    type Persisted = Managed<T>;

    fn persist_in(self, graph: PersistGraph<'_>) -> Managed<T> {
        // An entity of another manager is refused by the flush: persist() itself sends nothing and has no error.
        graph.0.schedule(&self.any());
        self.clone()
    }
}

impl<N: IntoEntity> Persist for N {
    type Entity = N::Entity;
    type Persisted = Managed<N::Entity>;

    fn persist_in(self, graph: PersistGraph<'_>) -> Managed<N::Entity> {
        let cell = graph.0.create_scheduled(self.into_entity());
        Managed { cell, graph: Arc::clone(graph.0) as Arc<dyn Graph> }
    }
}

impl<T: Entity> Persist for Managed<T> {
    type Entity = T;
    type Persisted = Self;

    fn persist_in(self, graph: PersistGraph<'_>) -> Self {
        graph.0.schedule(&self.any());
        self
    }
}

impl<P: Persist> Persist for Vec<P> {
    type Entity = P::Entity;
    type Persisted = Vec<P::Persisted>;

    fn persist_in(self, graph: PersistGraph<'_>) -> Self::Persisted {
        graph.0.reserve(self.len());
        self.into_iter().map(|entity| entity.persist_in(graph)).collect()
    }
}

impl<P: Persist, const N: usize> Persist for [P; N] {
    type Entity = P::Entity;
    type Persisted = [P::Persisted; N];

    fn persist_in(self, graph: PersistGraph<'_>) -> Self::Persisted {
        self.map(|entity| entity.persist_in(graph))
    }
}

impl<T: Entity> Persist for &[Managed<T>] {
    type Entity = T;
    type Persisted = Vec<Managed<T>>;

    fn persist_in(self, graph: PersistGraph<'_>) -> Self::Persisted {
        self.iter().map(|entity| entity.persist_in(graph)).collect()
    }
}

impl<T: Entity> Persist for &Vec<Managed<T>> {
    type Entity = T;
    type Persisted = Vec<Managed<T>>;

    fn persist_in(self, graph: PersistGraph<'_>) -> Self::Persisted {
        self.as_slice().persist_in(graph)
    }
}

/// Something that [`EntityManager::remove`] takes: a handle, a reference, or several of them.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be removed",
    label = "expected a handle (&Managed<T>), a Ref<T>, or several of them"
)]
pub trait Remove {
    /// The type of the entities.
    type Entity: Entity;

    #[doc(hidden)]
    fn remove_from(self, em: &EntityManager);
}

impl<T: Entity> Remove for &Managed<T> {
    type Entity = T;

    fn remove_from(self, em: &EntityManager) {
        em.graph().schedule_removal(&self.any());
    }
}

impl<T: Entity> Remove for Managed<T> {
    type Entity = T;

    fn remove_from(self, em: &EntityManager) {
        (&self).remove_from(em);
    }
}

impl<T: Entity> Remove for &Ref<T> {
    type Entity = T;

    fn remove_from(self, em: &EntityManager) {
        match self.row() {
            Ok(row) => em.graph().schedule_row_removal(row.meta, row.key),
            Err(_) => {
                if let Ok(handle) = self.get() {
                    handle.remove_from(em);
                }
            }
        }
    }
}

impl<T: Entity> Remove for Ref<T> {
    type Entity = T;

    fn remove_from(self, em: &EntityManager) {
        (&self).remove_from(em);
    }
}

impl<R: Remove> Remove for Vec<R> {
    type Entity = R::Entity;

    fn remove_from(self, em: &EntityManager) {
        for entity in self {
            entity.remove_from(em);
        }
    }
}

impl<R: Remove, const N: usize> Remove for [R; N] {
    type Entity = R::Entity;

    fn remove_from(self, em: &EntityManager) {
        for entity in self {
            entity.remove_from(em);
        }
    }
}

impl<T: Entity> Remove for &[Managed<T>] {
    type Entity = T;

    fn remove_from(self, em: &EntityManager) {
        for entity in self {
            entity.remove_from(em);
        }
    }
}

impl<T: Entity> Remove for &Vec<Managed<T>> {
    type Entity = T;

    fn remove_from(self, em: &EntityManager) {
        self.as_slice().remove_from(em);
    }
}
