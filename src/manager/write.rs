//! The way of a flush: change set → commit order → plan → one flight or more → publish.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::EntityManager;
use super::session::{Session, next_number};
use crate::driver::TransactionConnection;
use crate::error::Error;
use crate::metadata::Lifecycle;
use crate::unit_of_work::{ChangeKind, ChangeSet, Outcome, Plan, Tracker, bind, check_guards, collect, plan, publish};

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
    /// Statements that wrote rows, pivot tables included; not `BEGIN`, `COMMIT` and savepoints.
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
    /// [`Error::CommitOutcomeUnknown`] is the exception: the connection was lost before COMMIT was answered, so the rows may
    /// have been written. A failed flush inside a transaction gives up only its own savepoint.
    ///
    /// # Cancel safety
    /// Dropping the future rolls back; entities and schedule are as before. If COMMIT was sent already, the server may have
    /// carried it out.
    pub async fn flush(&self) -> Result<FlushSummary, Error> {
        self.session.flush().await
    }
}

impl Session {
    pub(super) async fn flush(&self) -> Result<FlushSummary, Error> {
        let _serial = self.serial.lock().await;
        self.flush_unserialised(true).await
    }

    /// A flush by somebody who holds `serial`. Without a savepoint of its own, if its failure fails the scope anyway.
    pub(super) async fn flush_unserialised(&self, with_savepoint: bool) -> Result<FlushSummary, Error> {
        let graph = self.graph();
        let flushing = Flushing::begin(&self.tracker);
        let changes = match collect(&graph, flushing.number) {
            Ok(changes) => changes,
            Err(error) => {
                if matches!(error, Error::Detached { .. }) {
                    self.tracker.retain_pending(|cell| {
                        graph.owns(&**cell) && !matches!(cell.lifecycle(), Lifecycle::Removed | Lifecycle::Detached)
                    });
                }
                return Err(error);
            }
        };
        check_guards(&graph, &changes)?;
        if changes.is_empty() {
            publish(&graph, &changes, &Outcome::default())?;
            return Ok(FlushSummary::default());
        }
        let plan = plan(&self.orm.metadata, &self.orm.order, &changes)?;
        let transaction = FlushTransaction::begin(self, with_savepoint).await?;
        let mut summary = summarise(&changes);
        let outcome = self.execute(&transaction, &changes, &plan, &mut summary).await?;
        check_guards(&graph, &changes)?;
        transaction.commit(&mut summary).await?;
        self.tracker.wrote();
        // Another task of this thread may have taken a guard while COMMIT was waited for: it gets time to drop it.
        for _ in 0..PATIENCE {
            if check_guards(&graph, &changes).is_ok() {
                break;
            }
            tokio::task::yield_now().await;
        }
        publish(&graph, &changes, &outcome)?;
        Ok(summary)
    }

    /// Runs the plan: statements whose keys are known share a flight; those that need keys that the database makes wait for
    /// them.
    async fn execute(
        &self,
        transaction: &FlushTransaction,
        changes: &ChangeSet,
        plan: &Plan,
        summary: &mut FlushSummary,
    ) -> Result<Outcome, Error> {
        let (metadata, texts) = (&self.orm.metadata, &self.orm.texts);
        let mut outcome = Outcome::before(metadata, changes);
        let mut next = 0;
        while next < plan.statements.len() {
            let mut statements = Vec::new();
            let mut written = Vec::new();
            while let Some(statement) = plan.statements.get(next) {
                // The first of a flight is ready, or no later one can be: what it needs has been answered.
                if !statement.is_ready(changes, &outcome.keys) && !statements.is_empty() {
                    break;
                }
                for (bound, rows) in bind(metadata, texts, changes, &outcome.keys, statement)? {
                    statements.push(bound);
                    written.push((statement, rows));
                }
                next += 1;
            }
            summary.statements += statements.len() as u64;
            summary.round_trips += 1;
            // The first failure is the cause; what follows only says that the transaction is aborted.
            let answers = transaction.connection.run_all(&statements).await?;
            for (answer, (statement, rows)) in answers.into_iter().zip(written) {
                outcome.take(metadata, changes, statement, &rows, &answer?.rows)?;
            }
            outcome.compose(metadata, changes)?;
        }
        outcome.check()?;
        Ok(outcome)
    }
}

fn summarise(changes: &ChangeSet) -> FlushSummary {
    let count = |kind| changes.rows.iter().filter(|row| row.kind == kind).count() as u64;
    FlushSummary {
        inserted: count(ChangeKind::Insert),
        updated: count(ChangeKind::Update),
        deleted: count(ChangeKind::Delete),
        ..FlushSummary::default()
    }
}

/// How often a flush that has committed lets other tasks of its thread run, so that they drop the guards it waits for.
const PATIENCE: usize = 1000;

/// Marks that a flush is under way, so that entities that are written to meanwhile keep what was sent.
struct Flushing {
    tracker: Arc<Tracker>,
    number: u64,
}

impl Flushing {
    fn begin(tracker: &Arc<Tracker>) -> Self {
        let number = next_number();
        tracker.begin_flush(number);
        Self { tracker: Arc::clone(tracker), number }
    }
}

impl Drop for Flushing {
    fn drop(&mut self) {
        self.tracker.end_flush();
    }
}

/// The transaction of one flush: its own, or a savepoint of the open one. Dropping it rolls back.
struct FlushTransaction {
    connection: Arc<TransactionConnection>,
    extent: Extent,
    done: AtomicBool,
}

/// What is rolled back if a flush fails.
#[derive(Clone, Copy)]
enum Extent {
    /// The flush has a transaction of its own.
    Transaction,
    /// The savepoint with this number.
    Savepoint(u64),
    /// The scope that is about to end, by whoever ends it.
    Scope,
}

impl FlushTransaction {
    async fn begin(session: &Session, with_savepoint: bool) -> Result<Self, Error> {
        let done = AtomicBool::new(false);
        if let Some(connection) = session.transaction() {
            if !with_savepoint {
                return Ok(Self { connection, extent: Extent::Scope, done });
            }
            let extent = Extent::Savepoint(connection.savepoint()?);
            return Ok(Self { connection, extent, done });
        }
        let connection = Arc::new(TransactionConnection::begin(session.orm.pool.acquire().await?));
        Ok(Self { connection, extent: Extent::Transaction, done })
    }

    async fn commit(&self, summary: &mut FlushSummary) -> Result<(), Error> {
        match self.extent {
            Extent::Scope => self.connection.check()?,
            Extent::Savepoint(number) => {
                self.connection.check()?;
                self.connection.release(number);
            }
            Extent::Transaction => {
                summary.round_trips += 1;
                self.connection.commit().await?;
            }
        }
        self.done.store(true, Ordering::Release);
        Ok(())
    }
}

impl Drop for FlushTransaction {
    fn drop(&mut self) {
        if self.done.load(Ordering::Acquire) {
            return;
        }
        match self.extent {
            Extent::Scope => {}
            Extent::Savepoint(number) => self.connection.roll_back_to(number),
            Extent::Transaction => self.connection.abandon(),
        }
    }
}
