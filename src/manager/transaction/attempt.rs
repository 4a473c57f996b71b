//! One run of a closure: where it stands, and how that ends.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Weak};

use super::super::EntityManager;
use super::super::flush_mode::ScopedFlushMode;
use super::super::session::Session;
use super::builder::Propagation;
use super::deadline::Deadline;
use super::{INSIDE, Innermost, Kind, OpenScope};
use crate::driver::TransactionConnection;
use crate::error::Error;
use crate::query::FlushMode;
use crate::sql::transaction::TransactionOptions;

/// A place that a closure runs in. Dropping it is a failure.
pub(super) struct Attempt {
    /// What the closure is given.
    em: EntityManager,
    place: Place,
    /// Sets the manager's mode back when it is dropped.
    flush_mode: Option<ScopedFlushMode>,
}

enum Place {
    /// The transaction that was begun for it.
    Transaction(OpenScope),
    /// The savepoint that was made for it.
    Savepoint(OpenScope),
    /// The scope that it has joined.
    Joined(Joined),
    /// No transaction.
    Outside,
}

impl Attempt {
    /// Finds or makes the place that the propagation asks for.
    ///
    /// # Errors
    /// [`Error::TransactionRequired`], [`Error::TransactionForbidden`], [`Error::ConcurrentTransaction`], or
    /// [`Error::Validation`] for options that cannot be had there. Nothing was sent then.
    pub(super) async fn enter(
        em: &EntityManager,
        propagation: Propagation,
        options: TransactionOptions,
    ) -> Result<Self, Error> {
        let em = match propagation {
            Propagation::RequiresNew | Propagation::NotSupported => em.fork(),
            _ => em.clone(),
        };
        let session = Arc::clone(&em.session);
        let _serial = session.serialised().await?;
        match (propagation, em.innermost()?) {
            (Propagation::Nested, Some(_)) => {
                let scope = em.open_savepoint(Kind::Closure, options, None)?;
                Ok(Self::inside(&session, scope.scope, Place::Savepoint(scope)))
            }
            (Propagation::Never, Some(_)) => Err(Error::TransactionForbidden { operation: "Propagation::Never" }),
            (_, Some(innermost)) => {
                let joined = Joined::of(&session, innermost, options)?;
                Ok(Self::inside(&session, innermost.owner, Place::Joined(joined)))
            }
            (Propagation::Required | Propagation::RequiresNew | Propagation::Nested, None) => {
                let scope = em.open_transaction(Kind::Closure, options).await?;
                Ok(Self::inside(&session, scope.scope, Place::Transaction(scope)))
            }
            (Propagation::Mandatory, None) => Err(Error::TransactionRequired { operation: "Propagation::Mandatory" }),
            (Propagation::NotSupported | Propagation::Supports | Propagation::Never, None) => {
                if options != TransactionOptions::new() {
                    let message = format!(
                        "isolation level, read_only() and deferrable() are those of a transaction, and \
                         Propagation::{propagation:?} begins none"
                    );
                    return Err(Error::Validation { entity: None, message });
                }
                Ok(Self { em, place: Place::Outside, flush_mode: None })
            }
        }
    }

    fn inside(session: &Arc<Session>, scope: u64, place: Place) -> Self {
        let em = EntityManager { session: Arc::clone(session), scope: Some(scope) };
        Self { em, place, flush_mode: None }
    }

    /// Chooses when queries flush, until this is dropped.
    pub(super) fn set_flush_mode(&mut self, mode: Option<FlushMode>) {
        self.flush_mode = mode.map(|mode| ScopedFlushMode::set(&self.em.session, mode));
    }

    /// Prepares for another attempt: it has to read again what this one reads, and not to find it in the identity map.
    pub(super) fn make_repeatable(&self) {
        if let Place::Transaction(_) = self.place {
            self.em.session.tracker.undo_reads();
        }
    }

    /// What tells whether the server has reported a conflict, if the closure has a transaction of its own: only the whole of
    /// one can be repeated.
    pub(super) fn conflict(&self) -> Option<Arc<AtomicBool>> {
        match self.place {
            Place::Transaction(_) => self.connection().upgrade().map(|connection| connection.conflict()),
            _ => None,
        }
    }

    /// The connection of the transaction. Not held on to: callbacks that run after the COMMIT may want it.
    fn connection(&self) -> Weak<TransactionConnection> {
        match self.place {
            Place::Outside => Weak::new(),
            _ => self.em.session.transaction().map_or_else(Weak::new, |connection| Arc::downgrade(&connection)),
        }
    }

    /// Calls the closure. What it answers is boxed: transactions are nested, and each future has those inside of it in it,
    /// several times in a program that is not optimised.
    pub(super) fn start<F, Fut>(&self, work: F) -> Pin<Box<impl Future<Output = Fut::Output> + use<F, Fut>>>
    where
        F: FnOnce(EntityManager) -> Fut,
        Fut: Future,
    {
        let mut inside = INSIDE.try_with(Clone::clone).unwrap_or_default();
        inside.extend(self.em.scope);
        Box::pin(INSIDE.scope(inside, work(self.em.clone())))
    }

    /// Waits for the closure's work and ends the place.
    pub(super) async fn run<R, E: From<Error>>(
        self,
        deadline: Deadline,
        work: impl Future<Output = Result<R, E>> + Unpin,
    ) -> Result<R, E> {
        let connection = self.connection();
        let failure = match deadline.limit(&connection, work).await {
            Ok(Ok(answer)) => {
                self.succeed(deadline, &connection).await?;
                return Ok(answer);
            }
            Ok(Err(error)) => error,
            Err(timeout) => timeout.into(),
        };
        deadline.limit_rollback(self.fail()).await;
        Err(failure)
    }

    async fn succeed(self, deadline: Deadline, connection: &Weak<TransactionConnection>) -> Result<(), Error> {
        match self.place {
            Place::Transaction(scope) | Place::Savepoint(scope) => {
                // Dropped: a handle of the manager that nobody uses any more must not outlive the COMMIT.
                drop(self.em);
                deadline.limit_commit(connection, Box::pin(scope.commit())).await
            }
            Place::Joined(mut joined) => {
                joined.ended = true;
                Ok(())
            }
            Place::Outside => self.em.flush().await.map(|_| ()),
        }
    }

    async fn fail(self) {
        match self.place {
            Place::Transaction(scope) | Place::Savepoint(scope) => scope.roll_back().await,
            Place::Joined(_) | Place::Outside => {}
        }
    }
}

/// A part of an open scope. If it fails, so will the scope: the part cannot be undone alone (rule D4).
struct Joined {
    session: Arc<Session>,
    scope: u64,
    ended: bool,
}

impl Joined {
    fn of(session: &Arc<Session>, innermost: Innermost, options: TransactionOptions) -> Result<Self, Error> {
        if let Some(open) = &*session.open.lock() {
            open.check_options(options)?;
        }
        Ok(Self { session: Arc::clone(session), scope: innermost.scope, ended: false })
    }
}

impl Drop for Joined {
    fn drop(&mut self) {
        if self.ended {
            return;
        }
        if let Some(open) = &mut *self.session.open.lock() {
            // If the scope has ended meanwhile, what was done belongs to the one around it.
            let position = open.levels.iter().position(|level| level.scope == self.scope);
            let level = match position {
                Some(position) => open.levels.get_mut(position),
                None => open.levels.last_mut(),
            };
            if let Some(level) = level {
                level.rollback_only = true;
            }
        }
    }
}
