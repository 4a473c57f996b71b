//! What the clones of one entity manager share: the graph, the open transaction, the order of flushes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::future::BoxFuture;
use parking_lot::{Mutex, RwLock};

use super::batch::OpenBatch;
use super::filters::ManagerFilters;
use super::flush_mode::FlushModeCell;
use super::shared::Shared;
use super::transaction::{Callback, OpenTransaction};
use super::write::Unfinished;
use crate::driver::{Connect, Executor, TransactionConnection};
use crate::error::Error;
use crate::query::FilterOptions;
use crate::sql::View;
use crate::unit_of_work::{Tracker, UnitOfWork};

/// One unit of work.
pub(crate) struct Session {
    pub(crate) orm: Arc<Shared>,
    graph: RwLock<Arc<UnitOfWork>>,
    pub(crate) tracker: Arc<Tracker>,
    pub(super) filters: ManagerFilters,
    pub(super) open: Mutex<Option<OpenTransaction>>,
    /// When queries flush (rule E6).
    pub(super) flush_mode: FlushModeCell,
    /// What was registered outside of a transaction, and runs after the next COMMIT (rule D6).
    pub(super) callbacks: Mutex<Vec<Callback>>,
    /// Held while a flush runs, or a scope begins or ends (rule A5).
    pub(super) serial: tokio::sync::Mutex<()>,
    /// A flush that nobody waits for any more, and that the server may carry out.
    pub(super) unfinished: Mutex<Option<Unfinished>>,
    /// Loads that wait to be sent together.
    pub(super) batch: Mutex<OpenBatch>,
}

impl Session {
    pub(super) fn new(orm: Arc<Shared>) -> Self {
        Self::with_filters(orm, ManagerFilters::default())
    }

    pub(super) fn with_filters(orm: Arc<Shared>, filters: ManagerFilters) -> Self {
        let tracker = Arc::new(Tracker::default());
        let graph = UnitOfWork::new(Arc::clone(&orm.metadata), Arc::clone(&tracker));
        Self {
            flush_mode: FlushModeCell::new(orm.flush_mode),
            orm,
            graph: RwLock::new(graph),
            tracker,
            filters,
            open: Mutex::new(None),
            callbacks: Mutex::new(Vec::new()),
            serial: tokio::sync::Mutex::new(()),
            unfinished: Mutex::new(None),
            batch: Mutex::default(),
        }
    }

    /// The graph.
    pub(crate) fn graph(&self) -> Arc<UnitOfWork> {
        Arc::clone(&self.graph.read())
    }

    /// What queries see of the database that say nothing of filters.
    pub(crate) fn view(&self) -> Result<View, Error> {
        self.view_through(&FilterOptions::default())
    }

    /// What queries see of the database.
    ///
    /// # Errors
    /// [`Error::Validation`] for a filter that there is not.
    pub(crate) fn view_through(&self, filters: &FilterOptions) -> Result<View, Error> {
        let metadata = &self.orm.metadata;
        Ok(View::new(metadata, self.filters.of(metadata, &self.orm.filters, filters)?))
    }

    /// The open transaction's connection.
    pub(super) fn transaction(&self) -> Option<Arc<TransactionConnection>> {
        self.open.lock().as_ref().map(|open| Arc::clone(&open.connection))
    }

    /// Where a statement runs.
    pub(super) async fn executor(&self) -> Result<Executor, Error> {
        self.settled().await?;
        match self.transaction() {
            Some(transaction) => Ok(Executor::Transaction(transaction)),
            None => Ok(Executor::Pooled(self.orm.pool.acquire().await?)),
        }
    }

    /// Replaces the graph by an empty one.
    pub(super) fn clear(&self) {
        {
            let mut graph = self.graph.write();
            graph.set_detached(true);
            self.tracker.cleared(&graph);
            *graph = UnitOfWork::new(Arc::clone(&self.orm.metadata), Arc::clone(&self.tracker));
        }
        // They were waiting for what is forgotten now.
        let forgotten = std::mem::take(&mut *self.callbacks.lock());
        drop(forgotten);
    }

    /// Restores the memory to the start of a scope (rule D2).
    pub(super) fn roll_back_memory(&self, scope: u64) {
        let graph = self.graph();
        if let Some(restored) = self.tracker.roll_back(scope, &graph) {
            graph.set_detached(true);
            *self.graph.write() = restored;
        }
        let graph = self.graph();
        graph.sights.forget();
        graph.forget_own_versions(scope);
    }
}

impl Connect for Session {
    fn connect(&self) -> BoxFuture<'_, Result<Executor, Error>> {
        Box::pin(self.executor())
    }
}

impl Drop for Session {
    /// What `begin()` has begun and nobody has ended is rolled back, in memory, too: handles may outlive the manager.
    fn drop(&mut self) {
        if let Some(open) = self.open.get_mut().take()
            && let Some(scope) = open.outermost()
        {
            drop(open);
            self.roll_back_memory(scope);
        }
    }
}

/// A number that no other scope or flush of the process has.
pub(super) fn next_number() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}
