//! A flush that nobody waits for any more, though its COMMIT was sent: the server may carry it out.
//!
//! Dropping the future of such a flush leaves the entities as before and still scheduled (rules C3, C12). What has become of it is found out
//! by the next operation of the manager, before it does anything: if the rows were written, they are published then,
//! and nothing is written twice.

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::future::BoxFuture;
use tokio::runtime::Handle;

use super::FlushSummary;
use super::flight::{Flight, OpenFlush};
use crate::error::Error;
use crate::manager::Shared;
use crate::manager::session::{Session, next_number};
use crate::unit_of_work::{ChangeSet, Outcome, Tracker, UnitOfWork, check_guards, publish};

/// How often a flush that has committed lets other tasks of its thread run, so that they drop the guards it waits for.
const PATIENCE: usize = 1000;

/// What a flight that has arrived brings.
pub(super) struct Written {
    pub(super) outcome: Outcome,
    pub(super) summary: FlushSummary,
    /// The part of an open transaction that is undone unless it is finished; `None` if it is committed.
    pub(super) open: Option<OpenFlush>,
}

/// A flush between sending and publishing.
pub(crate) struct Unfinished {
    stage: Stage,
    /// Whether COMMIT was sent, so that the outcome is up to the server, and it is not known that it was rolled back.
    is_committing: Arc<AtomicBool>,
    graph: Arc<UnitOfWork>,
    changes: Arc<ChangeSet>,
    /// Entities that are written to keep what was sent, until it is known what has become of that.
    _flushing: Flushing,
}

enum Stage {
    Flying(Flying),
    Written(Box<Written>),
}

impl Unfinished {
    pub(super) fn new(
        flight: Flight,
        orm: &Arc<Shared>,
        graph: Arc<UnitOfWork>,
        changes: Arc<ChangeSet>,
        flushing: Flushing,
    ) -> Self {
        let is_committing = flight.is_committing();
        let stage = Stage::Flying(Flying::new(flight, orm, &changes));
        Self { stage, is_committing, graph, changes, _flushing: flushing }
    }
}

/// A flight that somebody waits for. If nobody does any more though COMMIT was sent, it goes on by itself where results are kept: those of
/// the tables that it writes are forgotten when it arrives.
pub(super) struct Flying {
    future: Option<BoxFuture<'static, Result<Written, Error>>>,
    is_committing: Arc<AtomicBool>,
    is_given_up: Arc<AtomicBool>,
    orm: Arc<Shared>,
    changes: Arc<ChangeSet>,
}

impl Flying {
    pub(super) fn new(flight: Flight, orm: &Arc<Shared>, changes: &Arc<ChangeSet>) -> Self {
        let (is_committing, is_given_up) = (flight.is_committing(), flight.is_given_up());
        let (orm, changes) = (Arc::clone(orm), Arc::clone(changes));
        Self { future: Some(Box::pin(Box::new(flight).fly())), is_committing, is_given_up, orm, changes }
    }

    /// What it brings. Can be asked for again after it was given up.
    pub(super) async fn arrived(&mut self) -> Result<Written, Error> {
        let Some(future) = &mut self.future else { return Err(Error::TransactionAborted) };
        let arrived = poll_fn(|context| future.as_mut().poll(context)).await;
        self.future = None;
        arrived
    }

    /// Nobody waits for it at the moment.
    fn give_up(&mut self) {
        let is_committing = self.is_committing.load(Ordering::Acquire) && self.orm.results.is_used();
        if !is_committing || self.is_given_up.load(Ordering::Acquire) {
            return;
        }
        let (Ok(runtime), Some(future)) = (Handle::try_current(), self.future.take()) else { return };
        // From here on it sends nothing anew.
        self.is_given_up.store(true, Ordering::Release);
        let (orm, changes) = (Arc::clone(&self.orm), Arc::clone(&self.changes));
        let task = runtime.spawn(async move {
            let arrived = future.await;
            orm.results.write_changes(&orm.metadata, &changes);
            arrived
        });
        self.future = Some(Box::pin(async move {
            // It ends without an answer only with the runtime.
            let lost = || "the runtime has ended before the server has answered".to_owned();
            let lost = |_| Error::Connection { message: lost(), sqlstate: None, source: None };
            task.await.map_err(lost)?
        }));
    }
}

impl Drop for Flying {
    fn drop(&mut self) {
        self.give_up();
    }
}

/// Somebody waits for a flush.
pub(super) struct Running<'a> {
    session: &'a Session,
    unfinished: Option<Unfinished>,
    /// Whether the flush has a transaction of its own: then it can be finished later.
    is_own: bool,
}

impl<'a> Running<'a> {
    pub(super) const fn of(session: &'a Session, unfinished: Unfinished, is_own: bool) -> Self {
        Self { session, unfinished: Some(unfinished), is_own }
    }

    /// Waits for the server, and publishes what was written.
    ///
    /// # Errors
    /// What the server answered; [`Error::EntityBorrowed`] if another task of this thread does not let go of an entity: then it is
    /// published by the next operation, or undone if it is not committed.
    pub(super) async fn finish(mut self) -> Result<FlushSummary, Error> {
        let Some(unfinished) = &mut self.unfinished else { return Ok(FlushSummary::default()) };
        if let Stage::Flying(flight) = &mut unfinished.stage {
            match flight.arrived().await {
                Ok(written) => {
                    self.session.wrote_tables(|| unfinished.changes.tables(&self.session.orm.metadata));
                    unfinished.stage = Stage::Written(Box::new(written));
                }
                Err(error) => {
                    if unfinished.is_committing.load(Ordering::Acquire) {
                        self.session.wrote_tables(|| unfinished.changes.tables(&self.session.orm.metadata));
                    }
                    self.unfinished = None;
                    return Err(error);
                }
            }
        }
        // Another task of this thread may have taken a guard in the meantime: it gets time to drop it.
        for _ in 0..PATIENCE {
            if check_guards(&unfinished.graph, &unfinished.changes).is_ok() {
                break;
            }
            tokio::task::yield_now().await;
        }
        let Stage::Written(written) = &mut unfinished.stage else { return Ok(FlushSummary::default()) };
        if let Some(open) = &mut written.open {
            // What cannot be published is undone, as long as that is possible.
            check_guards(&unfinished.graph, &unfinished.changes)?;
            open.finish()?;
        }
        let summary = written.summary;
        let published = publish(&unfinished.graph, &unfinished.changes, &written.outcome);
        let unfinished = self.unfinished.take();
        if published.is_err() {
            // It is written, whoever has committed it.
            *self.session.unfinished.lock() = unfinished;
        }
        published.map(|()| summary)
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        let Some(mut unfinished) = self.unfinished.take() else { return };
        let is_committing = unfinished.is_committing.load(Ordering::Acquire);
        if !self.is_own {
            // It counts with the transaction, of which nobody knows what becomes if COMMIT was sent.
            if is_committing {
                self.session.wrote_tables(|| unfinished.changes.tables(&self.session.orm.metadata));
            }
        } else if is_committing || matches!(unfinished.stage, Stage::Written(_)) {
            if let Stage::Flying(flight) = &mut unfinished.stage {
                flight.give_up();
            }
            *self.session.unfinished.lock() = Some(unfinished);
        }
    }
}

impl Session {
    /// Waits for the flush or the scope that is under way to end, and for what has become of one that was given up.
    ///
    /// # Errors
    /// [`Error::EntityBorrowed`] if this thread holds a guard of an entity that was written then;
    /// [`Error::CommitOutcomeUnknown`], once, if it cannot be found out what has become of it.
    pub(in crate::manager) async fn serialised(&self) -> Result<tokio::sync::MutexGuard<'_, ()>, Error> {
        let serial = self.serial.lock().await;
        let unfinished = self.unfinished.lock().take();
        if let Some(unfinished) = unfinished {
            let is_committing = Arc::clone(&unfinished.is_committing);
            // A rollback was told to nobody, and nobody needs to know: everything is as before, and still scheduled. Whatever else has
            // happened, the rows may be there, and whoever writes them again has to know.
            if let Err(error) = Running::of(self, unfinished, true).finish().await
                && is_committing.load(Ordering::Acquire)
            {
                return Err(error);
            }
        }
        Ok(serial)
    }

    /// Whether a flush is written that could not be published.
    pub(in crate::manager) fn has_unpublished(&self) -> bool {
        self.unfinished.lock().is_some()
    }

    /// Finds out what has become of a flush that was given up, if there is one.
    ///
    /// # Errors
    /// As [`serialised`](Self::serialised).
    pub(in crate::manager) async fn settled(&self) -> Result<(), Error> {
        if self.unfinished.lock().is_some() {
            drop(self.serialised().await?);
        }
        Ok(())
    }
}

/// Marks that a flush is under way, so that entities that are written to meanwhile keep what was sent.
pub(super) struct Flushing {
    tracker: Arc<Tracker>,
    pub(super) number: u64,
}

impl Flushing {
    pub(super) fn begin(tracker: &Arc<Tracker>) -> Self {
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
