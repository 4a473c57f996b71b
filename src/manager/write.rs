//! The way of a flush: change set → commit order → plan → one flight or more → publish.

use std::sync::Arc;

use super::EntityManager;
use super::keys::AskAgain;
use super::session::Session;
use super::transaction::run_callbacks;
use crate::error::Error;
use crate::metadata::Lifecycle;
use crate::unit_of_work::{ChangeKind, ChangeSet, Outcome, UnitOfWork, check_guards, collect, plan, publish};

mod commit_outcome;
mod direct;
mod flight;
mod next_keys;
mod stale;
mod unfinished;

pub(super) use flight::{Extent, OpenFlush};
use flight::{Flight, Place};
pub(super) use unfinished::Unfinished;
use unfinished::{Flushing, Running};

/// What a flush has written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct FlushSummary {
    /// Rows of entities that were inserted.
    pub inserted: u64,
    /// Rows of entities that were updated.
    pub updated: u64,
    /// Rows of entities that were deleted.
    pub deleted: u64,
    /// Statements that were sent: those that wrote rows, and those that took keys for them; not `BEGIN`, `COMMIT` and savepoints.
    pub statements: u64,
    /// How many times the flush has waited for the server.
    pub round_trips: u64,
}

impl EntityManager {
    /// Writes everything that has changed since the last flush, in one transaction: inserts parents first, updates, rows of
    /// pivot tables, deletes children first. Rows of one table with the same columns go in one statement, whatever their
    /// number. Inside a transaction the flush is a savepoint of it. Nothing to write: nothing is sent.
    ///
    /// Keys, versions and values that the database made are in the entities when this returns.
    ///
    /// # Errors
    /// [`Error::UniqueViolation`], [`Error::ForeignKeyViolation`], [`Error::NotNullViolation`], [`Error::CheckViolation`]
    /// name entity and field; [`Error::OptimisticLock`] names the entities that somebody else has changed or deleted;
    /// [`Error::EntityBorrowed`], [`Error::Detached`], [`Error::NotLoaded`] and [`Error::Validation`] come before anything
    /// is sent. After any error the database and the entities are as before the call, and everything is still
    /// scheduled: mend what is wrong and flush again. (An entity of another manager is taken off the schedule.)
    ///
    /// [`Error::CommitOutcomeUnknown`] is the exception: the connection was lost before COMMIT was answered, and the server
    /// could not be asked what has become of the transaction, so the rows may have been written. A failed flush inside a
    /// transaction gives up only its own savepoint.
    ///
    /// A guard that this thread takes while the flush is under way, and does not drop, is [`Error::EntityBorrowed`], too: inside a
    /// transaction the flush is given up then; what is committed by then stays, and the next operation of the manager
    /// tells the entities.
    ///
    /// # Cancel safety
    /// Dropping the future leaves entities and schedule as before. COMMIT travels with the statements, so the server may
    /// carry out what was sent: the next operation of the manager waits for that, and if the rows were written, the
    /// entities know it then. If that cannot be found out, it is [`Error::CommitOutcomeUnknown`] of that operation. Flushing
    /// again writes nothing twice without saying so. Inside a transaction, dropping the future undoes the flush.
    pub async fn flush(&self) -> Result<FlushSummary, Error> {
        self.session.flush().await
    }
}

impl Session {
    pub(super) async fn flush(&self) -> Result<FlushSummary, Error> {
        let serial = self.serialised().await?;
        let summary = self.flush_unserialised(None).await?;
        let callbacks = self.flushed();
        drop(serial);
        self.settle_results().await;
        run_callbacks(callbacks).await;
        Ok(summary)
    }

    /// A flush by somebody who holds `serial`. At the end of a scope it goes without a savepoint of its own, because its failure
    /// fails the scope anyway; at the end of a transaction COMMIT goes with it.
    pub(super) async fn flush_unserialised(&self, ending: Option<Ending>) -> Result<FlushSummary, Error> {
        let graph = self.graph();
        let flushing = Flushing::begin(&self.tracker);
        let changes = self.collect(&graph, flushing.number)?;
        check_guards(&graph, &changes)?;
        if changes.is_empty() {
            publish(&graph, &changes, &Outcome::default())?;
            if let (Some(Ending::Transaction), Some(connection)) = (ending, self.transaction()) {
                // In a box: rare, and large.
                Box::pin(Flight::commit(&self.orm, &connection)).await?;
            }
            return Ok(FlushSummary::default());
        }
        let (metadata, order, keys) = (&self.orm.metadata, &self.orm.order, &self.orm.keys);
        // What the server has refused once it may allow now: if it does not go without, it is asked again.
        let plan = plan(metadata, order, &changes, keys)
            .or_else(|error| plan(metadata, order, &changes, &AskAgain(keys)).map_err(|_| error))?;
        let place = match (self.transaction(), ending) {
            (None, _) => Place::Own(Some(self.orm.pool.acquire().await?)),
            (Some(connection), None) => Place::Savepoint(connection),
            (Some(connection), Some(Ending::Savepoint)) => Place::Scope(connection),
            (Some(connection), Some(Ending::Transaction)) => Place::Ending(connection),
        };
        let is_own = matches!(place, Place::Own(_));
        let changes = Arc::new(changes);
        let has_written = self.tracker.has_written();
        let flight = Flight::new(&self.orm, &changes, plan, place, summarise(&changes), has_written);
        let unfinished = Unfinished::new(flight, &self.orm, graph, changes, flushing);
        let connection = self.transaction();
        // What is read from now on may see what is undone together with the scope.
        self.tracker.wrote();
        let mut summary = Running::of(self, unfinished, is_own).finish().await?;
        // COMMIT could not travel with the statements if these might have had to be tried again.
        if let (Some(Ending::Transaction), Some(connection)) = (ending, connection)
            && connection.is_open()
        {
            summary.round_trips += 1;
            Box::pin(Flight::commit(&self.orm, &connection)).await?;
        }
        Ok(summary)
    }

    fn collect(&self, graph: &Arc<UnitOfWork>, flush: u64) -> Result<ChangeSet, Error> {
        collect(graph, flush).inspect_err(|error| {
            if matches!(error, Error::Detached { .. }) {
                self.tracker.retain_pending(|cell| {
                    graph.owns(&**cell) && !matches!(cell.lifecycle(), Lifecycle::Removed | Lifecycle::Detached)
                });
            }
        })
    }
}

/// What ends behind a flush.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    Savepoint,
    Transaction,
}

fn summarise(changes: &ChangeSet) -> FlushSummary {
    let inserted = changes.inserted.iter().map(|(_, rows)| *rows as u64).sum();
    let mut summary = FlushSummary { inserted, ..FlushSummary::default() };
    if !changes.inserts_only {
        let count = |kind| changes.rows.iter().filter(|row| row.kind == kind).count() as u64;
        summary.updated = count(ChangeKind::Update);
        summary.deleted = count(ChangeKind::Delete);
    }
    summary
}
