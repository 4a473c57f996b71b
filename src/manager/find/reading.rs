//! One find on its way: checked, sent with its lock and its limit of time, and what is loaded along with it.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::MutexGuard;
use tokio_postgres::Row;

use super::deadline::Deadline;
use super::{Cells, EntityManager};
use crate::driver::{Executor, LazyExecutor};
use crate::error::Error;
use crate::loader::{Hydrator, Loader, check_filters};
use crate::manager::Session;
use crate::manager::cache::{Cached, Recorder};
use crate::manager::flush_mode::Reads;
use crate::manager::lock::{LockScope, check_comparable, check_versions};
use crate::metadata::{EntityDef, EntityMeta};
use crate::query::{FindOptions, FindPlan, LoadStrategy, PopulateNode};
use crate::sql::{self, RowLock, Shape, Statement, View};
use crate::unit_of_work::UnitOfWork;

/// A find that was checked.
pub(super) struct Reading<'a> {
    em: &'a EntityManager,
    graph: &'a Arc<UnitOfWork>,
    plan: &'a FindPlan,
    pub(super) view: View,
    pub(super) entity: &'a EntityDef,
    pub(super) tree: Vec<PopulateNode>,
}

impl<'a> Reading<'a> {
    /// # Errors
    /// [`Error::Validation`] for what cannot be populated, a version that cannot be compared, a filter that there is not, or
    /// one without its parameters. Nothing was sent.
    pub(super) fn of(em: &'a EntityManager, graph: &'a Arc<UnitOfWork>, plan: &'a FindPlan) -> Result<Self, Error> {
        let entity = graph.metadata.of(plan.selection.meta)?;
        let tree = PopulateNode::tree(plan.selection.meta, &plan.populate)?;
        if let Some(version) = plan.version {
            check_comparable(entity, version)?;
        }
        let view = em.view_of(plan.selection.meta, &plan.options)?;
        check_filters(&view, entity, &tree)?;
        Ok(Self { em, graph, plan, view, entity, tree })
    }

    /// What takes in the rows.
    pub(super) fn hydrator(&self) -> Hydrator<'a> {
        Hydrator::new(self.graph, self.entity, self.plan.options.refresh).through(&self.view)
    }

    /// Takes a connection; from now on the time runs.
    ///
    /// # Errors
    /// As [`Flight::begin`].
    pub(super) async fn begin(&self) -> Result<Flight<'a>, Error> {
        let (view, selection, tree) = (&self.view, Some(&self.plan.selection), self.tree.as_slice());
        let reads = Reads::Entities { view, selection, entity: self.entity, tree };
        Flight::begin(&self.em.session, self.plan.selection.lock, &self.plan.options, reads).await
    }

    /// For how long the result is kept, if it is.
    pub(super) fn keeps_result(&self) -> Option<Duration> {
        if self.is_behind() { None } else { self.em.session.keeps_result(self.plan.options.cache) }
    }

    /// Flushes what the find would not see otherwise.
    ///
    /// # Errors
    /// What the flush answered.
    pub(super) async fn flush_before(&self) -> Result<(), Error> {
        let (view, selection, tree) = (&self.view, Some(&self.plan.selection), self.tree.as_slice());
        let reads = Reads::Entities { view, selection, entity: self.entity, tree };
        self.em.session.flush_before(self.plan.options.flush_mode, reads).await
    }

    /// The first column of the one row that a statement answers with, which may be kept.
    ///
    /// # Errors
    /// What the server answered.
    pub(super) async fn first_column(&self, statement: &Statement) -> Result<Option<Vec<u8>>, Error> {
        let session = &self.em.session;
        let time = self.keeps_result();
        let missing = match time {
            None => None,
            Some(_) => {
                self.flush_before().await?;
                match session.cached(statement).await {
                    Cached::Hit(rows) => return Ok(rows.first_column()),
                    Cached::Miss(missing) => Some(missing),
                }
            }
        };
        let flight = self.begin().await?;
        let answer = flight.limit(flight.executor().run(statement)).await?;
        let mut recorder = Recorder::default();
        recorder.push(&answer.rows);
        let first = recorder.first_column();
        // A transaction that was begun in the meantime sees what others do not.
        if let (Some(missing), Some(time), false) = (missing, time, flight.executor().is_transaction()) {
            session.keep_result(missing, statement, recorder, time).await;
        }
        Ok(first)
    }

    /// The entities, of rows that are kept or that are kept from now on, and what is loaded along with them.
    ///
    /// # Errors
    /// As of a find.
    pub(super) async fn find_cached(&self, time: Duration) -> Result<Cells, Error> {
        let session = &self.em.session;
        self.flush_before().await?;
        let statement = sql::select(&self.view, &self.plan.selection, &Shape::of(self.entity))?;
        let (cells, flight) = match session.cached(&statement).await {
            Cached::Hit(rows) => {
                let mut hydrator = self.hydrator().outdated();
                rows.hydrate(&mut hydrator)?;
                (hydrator.finish().0, None)
            }
            Cached::Miss(missing) => {
                let flight = self.begin().await?;
                let (mut hydrator, mut recorder) = (self.hydrator(), Recorder::default());
                let mut take = |rows: &[Row]| {
                    recorder.push(rows);
                    hydrator.take_rows(rows)
                };
                flight.limit(flight.executor().stream(&statement, &mut take)).await?;
                // A transaction that was begun in the meantime sees what others do not.
                if !flight.executor().is_transaction() {
                    session.keep_result(missing, &statement, recorder, time).await;
                }
                (hydrator.finish().0, Some(flight))
            }
        };
        if self.tree.is_empty() {
            self.check(&cells)?;
            return Ok(cells);
        }
        let flight = match flight {
            Some(flight) => flight,
            None => self.begin().await?,
        };
        self.load_along(flight, cells).await
    }

    /// Whether relations are loaded behind the rows, which are locked then (another transaction may have changed them until
    /// then), or not taken for loaded.
    pub(super) const fn is_behind(&self) -> bool {
        self.plan.selection.lock.is_some() || self.plan.options.refresh
    }

    /// What loads entities on the connection of a flight.
    pub(super) fn loader(&'a self, flight: &Flight<'_>) -> Loader<'a> {
        let executor = LazyExecutor::ready(&*self.em.session, flight.executor.clone());
        let strategy = if self.is_behind() { Some(LoadStrategy::SelectIn) } else { self.plan.strategy };
        let loader = self.em.loader(self.graph, &self.view, executor, strategy);
        Loader { refresh: self.plan.options.refresh, ..loader }
    }

    /// Checks the versions of what was found.
    ///
    /// # Errors
    /// [`Error::OptimisticLock`] for entities of another version.
    pub(super) fn check(&self, cells: &Cells) -> Result<(), Error> {
        self.plan.version.map_or(Ok(()), |version| check_versions(self.entity, cells, version))
    }

    /// Checks what was found, and loads relations along with it.
    ///
    /// # Errors
    /// As [`check`](Self::check); what the server answered.
    pub(super) async fn load_along(&self, flight: Flight<'_>, cells: Cells) -> Result<Cells, Error> {
        self.check(&cells)?;
        if !self.tree.is_empty() {
            let mut loader = self.loader(&flight);
            flight.limit(loader.populate(self.entity.index, cells.clone(), &self.tree)).await?;
        }
        Ok(cells)
    }
}

/// A find that has a connection.
pub(in crate::manager) struct Flight<'a> {
    scope: Option<LockScope<'a>>,
    _serial: Option<MutexGuard<'a, ()>>,
    executor: Executor,
    deadline: Deadline,
}

impl<'a> Flight<'a> {
    /// Flushes what the find would not see otherwise, and takes a connection, for as long as the find may take.
    ///
    /// # Errors
    /// If there is none; what the flush answered; those of [`LockScope::begin`].
    pub(in crate::manager) async fn begin(
        session: &'a Session,
        lock: Option<RowLock>,
        options: &FindOptions,
        reads: Reads<'_>,
    ) -> Result<Self, Error> {
        if !options.refresh {
            session.flush_before(options.flush_mode, reads).await?;
        }
        let scope = match lock {
            Some(lock) => Some(LockScope::begin(session, lock).await?),
            None => None,
        };
        // A flush of the same entities that runs now would send what is overwritten here.
        let is_serial = scope.as_ref().is_some_and(LockScope::is_serial);
        let serial = if options.refresh && !is_serial { Some(session.serialised().await?) } else { None };
        let executor = match &scope {
            Some(scope) => scope.executor(),
            None => session.executor().await?,
        };
        Ok(Self { scope, _serial: serial, executor, deadline: Deadline::after(options.timeout) })
    }

    pub(in crate::manager) const fn executor(&self) -> &Executor {
        &self.executor
    }

    /// Waits for something that was sent, as long as the find may take.
    ///
    /// # Errors
    /// [`Error::Timeout`]; what the server answered.
    pub(in crate::manager) fn limit<T, W: Future<Output = Result<T, Error>>>(
        &self,
        work: W,
    ) -> impl Future<Output = Result<T, Error>> {
        self.deadline.limit(&self.executor, work)
    }

    /// Keeps the locks, if the statement that took them has not failed.
    ///
    /// # Errors
    /// That of the statement.
    pub(in crate::manager) fn landed<R>(
        mut self,
        outcome: Result<R, Error>,
        entity: &EntityDef,
    ) -> Result<(Self, R), Error> {
        let answer = match self.scope.take() {
            Some(scope) => scope.end(outcome, entity)?,
            None => outcome?,
        };
        Ok((self, answer))
    }
}

impl EntityManager {
    /// What a find sees of the database.
    ///
    /// # Errors
    /// If the entity is not known.
    pub(in crate::manager) fn view_of(&self, meta: &'static EntityMeta, options: &FindOptions) -> Result<View, Error> {
        let mut view = self.session.view_through(&options.filters)?;
        if let Some(schema) = &options.schema {
            view = view.in_schema(self.session.orm.metadata.of(meta)?, schema);
        }
        if let Some(comment) = &options.comment {
            view = view.commented(comment);
        }
        Ok(view)
    }

    /// Where what a find loads belongs to: the unit of work, or a graph that nobody else has.
    pub(super) fn graph_of(&self, plan: &FindPlan) -> Arc<UnitOfWork> {
        // Rows of another schema have the same keys: in the identity map they would be taken for the entity's own.
        if !plan.options.unmanaged && plan.options.schema.is_none() {
            return self.graph();
        }
        UnitOfWork::detached(&self.session.orm.metadata)
    }
}
