//! The entity manager: the façade of a unit of work. Each verb is a few calls to the folders below.

use std::fmt;
use std::sync::Arc;

use crate::driver::Executor;
use crate::entity::{Entity, IntoEntity, Managed, Ref};
use crate::error::Error;
use crate::unit_of_work::UnitOfWork;

mod batch;
mod bulk;
mod cache;
mod filters;
mod find;
mod flush_mode;
mod keys;
mod load;
mod loading;
mod lock;
mod persist;
mod query_builder;
mod repository;
mod selected_rows;
mod session;
mod shared;
mod short_forms;
mod sql;
mod transaction;
mod write;

pub use bulk::{CopyItem, NativeDelete, NativeUpdate, Returning, Upsert};
pub(crate) use cache::Results;
pub use cache::{CacheEntry, CacheError, MemoryCache, ResultCache};
pub use find::{CursorFind, Find, FindStream, IntoCursor, Page};
pub use keys::IdAllocation;
pub(crate) use keys::KeySource;
pub use loading::Loading;
use persist::PersistGraph;
pub use persist::{Persist, Remove};
pub use query_builder::{InsertFrom, QueryBuilder, SqlParameter, SqlText};
pub use repository::{HasRepository, Repository, RepositoryOf};
pub(crate) use session::Session;
pub(crate) use shared::Shared;
pub use sql::{EntitySql, MappedSql, Row, Sql};
pub use transaction::{Asynchronous, CommitCallback, Once, Plain, Propagation, Repeatedly, Savepoint, Transaction};
pub use write::FlushSummary;

/// A unit of work: it knows the entities that it has loaded or created, and [`flush`](Self::flush) writes what was changed.
///
/// One manager serves one request or job; it is a cheap handle, and its clones are the same unit of work. Reads may run
/// concurrently on clones; flushes are serialised. Two requests must not share one: use [`Orm::em`](crate::Orm::em) or
/// [`fork`](Self::fork) for each.
#[derive(Clone)]
pub struct EntityManager {
    pub(crate) session: Arc<Session>,
    /// The transaction scope whose closure was given this handle.
    scope: Option<u64>,
}

impl EntityManager {
    pub(crate) fn new(orm: Arc<Shared>) -> Self {
        Self { session: Arc::new(Session::new(orm)), scope: None }
    }

    fn graph(&self) -> Arc<UnitOfWork> {
        self.session.graph()
    }

    async fn executor(&self) -> Result<Executor, Error> {
        self.session.executor().await
    }

    /// Makes an entity of a value, or of its `New…` struct. It belongs to this manager, but is not scheduled: pass the
    /// handle to [`persist`](Self::persist), or let another entity that is persisted refer to it. Sends nothing.
    pub fn create<N: IntoEntity>(&self, entity: N) -> Managed<N::Entity> {
        let graph = self.graph();
        let cell = graph.create(entity.into_entity());
        Managed { cell, graph }
    }

    /// Schedules entities for INSERT by the next flush: one or many handles, values or `New…` structs. What they refer to is
    /// inserted, too, if it is new and the relation cascades (it does by default). Of a managed entity it does nothing; a
    /// scheduled removal is taken back. UUID keys are made here. Sends nothing.
    ///
    /// An entity of another manager is refused by the flush ([`Error::Detached`]).
    pub fn persist<P: Persist>(&self, entity: P) -> P::Persisted {
        entity.persist_in(PersistGraph(&self.graph()))
    }

    /// Schedules entities for DELETE by the next flush: one or many handles. What their relations declare as
    /// `cascade(remove)` or `orphan_removal` goes with them, as far as it is loaded. A new entity is only taken off the
    /// schedule. Sends nothing.
    ///
    /// A [`Ref`] to a row that is not loaded schedules a DELETE by its key, without a SELECT: whatever the row's version is,
    /// and no error if there is no such row. Its rows in pivot tables go along, and nothing else.
    pub fn remove<R: Remove>(&self, entity: R) {
        entity.remove_from(self);
    }

    /// A reference to the row with this key, without looking whether there is one. Sends nothing.
    pub fn get_reference<T: Entity>(&self, id: impl IntoKey<T::Id>) -> Ref<T> {
        Ref::to_row(id.into_key(), self.graph().link().clone())
    }

    /// Gives the manager a new, empty graph; scheduled work is forgotten. Handles keep the old graph: their entities are
    /// [`Detached`](crate::EntityState::Detached), and what was loaded of them stays readable. Sends nothing.
    pub fn clear(&self) {
        self.session.clear();
    }

    /// Takes one entity out of the manager: it is no longer tracked, and a find of its row makes another one. Sends nothing.
    pub fn detach<T: Entity>(&self, entity: &Managed<T>) {
        let graph = self.graph();
        if graph.owns(&*entity.cell) {
            graph.detach(&entity.any());
        }
    }

    /// Another manager of the same [`Orm`](crate::Orm), with a graph and a transaction of its own, and the same filters.
    /// Sends nothing.
    #[must_use]
    pub fn fork(&self) -> Self {
        let fork = Session::with_filters(Arc::clone(&self.session.orm), self.session.filters.copy());
        let fork = Self { session: Arc::new(fork), scope: None };
        fork.set_flush_mode(self.flush_mode());
        fork
    }

    /// Whether a transaction is open: inside `transactional`, or between `begin` and `commit`.
    pub fn is_in_transaction(&self) -> bool {
        self.session.transaction().is_some()
    }
}

impl fmt::Debug for EntityManager {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EntityManager").field("in_transaction", &self.is_in_transaction()).finish_non_exhaustive()
    }
}

/// What the key of [`get_reference`](EntityManager::get_reference) can be given as.
#[diagnostic::on_unimplemented(message = "the key is a `{K}`, not a `{Self}`", label = "expected a key of type `{K}`")]
pub trait IntoKey<K> {
    /// The key.
    fn into_key(self) -> K;
}

impl<K: crate::types::EntityKey> IntoKey<K> for K {
    fn into_key(self) -> K {
        self
    }
}

impl IntoKey<String> for &str {
    fn into_key(self) -> String {
        self.to_owned()
    }
}
