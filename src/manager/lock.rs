//! Locking: rows against other transactions, versions against what was changed since they were read.
//!
//! The lock of a flush, which compares versions in the writing statement itself, is not here: it needs nobody to ask for it.

use std::sync::Arc;

use tokio::sync::MutexGuard;

use super::EntityManager;
use super::find::Find;
use super::session::Session;
use crate::driver::{Executor, TransactionConnection};
use crate::entity::{Entity, Managed};
use crate::error::Error;
use crate::metadata::{AnyCell, EntityDef, Lifecycle};
use crate::query::{FindPlan, LockKind, LockMode};
use crate::sql::{self, LockWait, RowLock, Statement};
use crate::types::{Key, Version};
use crate::unit_of_work::UnitOfWork;

impl<T: Entity> Find<T> {
    /// Locks the rows that are found, or compares their versions with one that is given: see [`LockMode`].
    ///
    /// A pessimistic mode adds `FOR UPDATE OF t0` (or what the mode says) to the statement. Rows of the entity that is found
    /// are locked, those that filters, orders and [`populate`](Self::populate) lead to are not. What was loaded already is
    /// read again, as by every find: fields without pending changes show the row as it is once it is locked, and fields with
    /// pending changes keep them. The version stays that which these changes were made on, so a flush does not overwrite
    /// what somebody else has written before the lock was there: it is [`Error::OptimisticLock`]. `limit` is the way
    /// to lock some rows only; with an `order_by`, a row that was waited for may come in the place that it had before.
    ///
    /// The optimistic mode compares after loading: each entity's loaded version must be the one that is given. An entity that
    /// nobody finds has none.
    ///
    /// A pessimistic mode and an optimistic one can be combined; of two of a kind the last counts.
    ///
    /// Awaiting the find then has these errors, too: [`Error::TransactionRequired`] for a pessimistic mode outside of a
    /// transaction; [`Error::LockNotAvailable`] for a mode that does not wait, and then the transaction goes on, without
    /// the locks of this find; [`Error::OptimisticLock`] naming the entities of another version; [`Error::Validation`] if
    /// the entity has no `#[version]`, or one of another kind, and from [`count`](Self::count) and
    /// [`exists`](Self::exists), which load nothing that could be locked.
    ///
    /// ```
    /// # howdah::doctest::run(async |url| {
    /// use howdah::prelude::*;
    ///
    /// #[derive(Entity, Clone, Debug)]
    /// pub struct Job {
    ///     #[primary_key]
    ///     pub id: i64,
    ///     pub command: String,
    ///     #[property(default = false)]
    ///     pub done: bool,
    /// }
    ///
    /// # let orm = Orm::builder().url(&url).entities(entities![Job]).connect().await?;
    /// # orm.schema().create().await?;
    /// # let em = orm.em();
    /// # em.persist([NewJob { command: "one".into() }, NewJob { command: "two".into() }]);
    /// # em.flush().await?;
    /// // A queue: each worker takes a job that no other worker has taken.
    /// let next = async |em: &EntityManager| {
    ///     em.find::<Job>()
    ///         .filter(|job| job.done().eq(false))
    ///         .order_by(|job| job.id().asc())
    ///         .lock(LockMode::PessimisticPartialWrite)
    ///         .one()
    ///         .await
    /// };
    /// em.transactional(async |em| {
    ///     let job = next(&em).await?;
    ///     orm.em()
    ///         .transactional(async |other| {
    ///             assert_ne!(next(&other).await?.map(|job| job.id()), job.as_ref().map(Managed::id));
    ///             Ok::<_, Error>(())
    ///         })
    ///         .await?;
    ///     if let Some(job) = job {
    ///         job.write().done = true;
    ///     }
    ///     Ok::<_, Error>(())
    /// })
    /// .await?;
    /// # assert_eq!(em.find::<Job>().filter(|job| job.done().eq(true)).count().await?, 1);
    /// # Ok(())
    /// # });
    /// ```
    pub const fn lock(mut self, mode: LockMode) -> Self {
        match mode.kind() {
            LockKind::Rows(lock) => self.plan.selection.lock = Some(lock),
            LockKind::Version(version) => self.plan.version = Some(version),
        }
        self
    }
}

impl EntityManager {
    /// Locks one entity: see [`LockMode`].
    ///
    /// A pessimistic mode locks the row until the transaction ends, with `SELECT 1 FROM … WHERE id = $1 FOR UPDATE OF t0` or
    /// what the mode says: one statement. Nothing is read again: [`refresh`](Self::refresh) the entity behind the lock to
    /// see what others have written before, or find it with [`Find::lock`]. (With a `#[version]`, a flush that would
    /// overwrite it is refused anyway.) A `Partial` mode has no row that it could skip: if the row is locked by
    /// another transaction, that is [`Error::LockNotAvailable`], as of an `OrFail` mode.
    ///
    /// The optimistic mode compares the version that was loaded with the one that is given, which is that of a form
    /// somebody has filled in, for example. It sends nothing and needs no transaction; what happens to the row from then on
    /// is found out by the flush, if it writes the entity.
    ///
    /// # Errors
    /// [`Error::TransactionRequired`] for a pessimistic mode outside of a transaction; [`Error::LockNotAvailable`] for a
    /// mode that does not wait, and then the transaction goes on; [`Error::NotFound`] if the row is gone, or hidden by a
    /// [`Filter`](crate::Filter);
    /// [`Error::OptimisticLock`] naming the entity if its version is another one; [`Error::Validation`] for an entity that
    /// is new, or has no `#[version]` or one of another kind; [`Error::Detached`] for an entity of another manager, or
    /// one that was removed; [`Error::EntityBorrowed`] if this thread holds a `write()` guard of it; what the server
    /// answered.
    ///
    /// # Cancel safety
    /// If the future is dropped while it waits, the server may still take the lock; it is given up with the transaction.
    pub async fn lock<T: Entity>(&self, entity: &Managed<T>, mode: LockMode) -> Result<(), Error> {
        self.lock_cell(&entity.any(), mode).await
    }

    async fn lock_cell(&self, cell: &Arc<dyn AnyCell>, mode: LockMode) -> Result<(), Error> {
        self.session.settled().await?;
        let graph = self.graph();
        let entity = graph.metadata.of(cell.meta())?;
        let key = row_of(&graph, cell)?;
        match mode.kind() {
            LockKind::Version(version) => {
                check_comparable(entity, version)?;
                check_versions(entity, std::slice::from_ref(cell), version)
            }
            LockKind::Rows(lock) => self.lock_row(entity, &key, lock).await,
        }
    }

    async fn lock_row(&self, entity: &EntityDef, key: &Key, lock: RowLock) -> Result<(), Error> {
        let scope = LockScope::begin(&self.session, lock).await?;
        let executor = scope.executor();
        let outcome = executor.run(&self.row_statement(entity, key, Some(lock))?).await;
        if !scope.end(outcome, entity)?.rows.is_empty() {
            return Ok(());
        }
        let is_skipped = lock.wait == LockWait::SkipLocked
            && !executor.run(&self.row_statement(entity, key, None)?).await?.rows.is_empty();
        let name = entity.meta.name;
        if is_skipped {
            return Err(Error::LockNotAvailable { entity: Some(name), source: None });
        }
        Err(Error::NotFound { entity: name, criteria: format!("{name}#{key}") })
    }

    /// The statement that looks for the row with this key.
    fn row_statement(&self, entity: &EntityDef, key: &Key, lock: Option<RowLock>) -> Result<Statement, Error> {
        sql::row(&self.session.view()?, &self.session.orm.texts, entity, key, lock)
    }
}

impl FindPlan {
    /// Refuses locks where no entity is loaded.
    ///
    /// # Errors
    /// [`Error::Validation`] if there is a lock.
    pub(super) fn check_unlocked(&self, operation: &str) -> Result<(), Error> {
        if self.selection.lock.is_none() && self.version.is_none() {
            return Ok(());
        }
        let message = format!("{operation} loads no entities that could be locked: find them, or leave lock() out");
        Err(Error::validation(self.selection.meta.name, message))
    }
}

/// The part of a transaction that takes row locks. For a lock that may fail it is a savepoint, which costs no trip: the
/// failure is then only its own, as that of a flush. Dropping it rolls that back.
pub(super) struct LockScope<'a> {
    connection: Arc<TransactionConnection>,
    savepoint: Option<u64>,
    /// Savepoints are nested: none of a flush may begin inside of this one and end behind it.
    serial: Option<MutexGuard<'a, ()>>,
}

impl<'a> LockScope<'a> {
    /// # Errors
    /// [`Error::TransactionRequired`] without a transaction, [`Error::TransactionAborted`] if it has failed;
    /// [`Error::EntityBorrowed`] if this thread holds a guard of an entity that a flush has written which was given up.
    pub(super) async fn begin(session: &'a Session, lock: RowLock) -> Result<Self, Error> {
        let may_fail = lock.wait == LockWait::NoWait;
        session.settled().await?;
        let serial = if may_fail { Some(session.serialised().await?) } else { None };
        let required = Error::TransactionRequired { operation: "a pessimistic lock" };
        let connection = session.transaction().ok_or(required)?;
        let savepoint = if may_fail { Some(connection.savepoint()?) } else { None };
        Ok(Self { connection, savepoint, serial })
    }

    /// Whether no flush can run meanwhile.
    pub(super) const fn is_serial(&self) -> bool {
        self.serial.is_some()
    }

    /// Where the locking statement runs, whatever becomes of the manager's transaction meanwhile.
    pub(super) fn executor(&self) -> Executor {
        Executor::Transaction(Arc::clone(&self.connection))
    }

    /// Keeps the locks, if there was no error; the error is given back with the entity that it is about.
    pub(super) fn end<R>(mut self, outcome: Result<R, Error>, entity: &EntityDef) -> Result<R, Error> {
        match outcome {
            Ok(answer) => {
                if let Some(number) = self.savepoint.take() {
                    self.connection.release(number);
                }
                Ok(answer)
            }
            Err(Error::LockNotAvailable { source, .. }) => {
                Err(Error::LockNotAvailable { entity: Some(entity.meta.name), source })
            }
            Err(error) => Err(error),
        }
    }
}

impl Drop for LockScope<'_> {
    fn drop(&mut self) {
        if let Some(number) = self.savepoint {
            self.connection.roll_back_to(number);
        }
    }
}

/// The key of the row that an entity of this graph is.
fn row_of(graph: &Arc<UnitOfWork>, cell: &Arc<dyn AnyCell>) -> Result<Key, Error> {
    let name = cell.meta().name;
    let detached = Error::Detached { entity: name };
    if !graph.owns(&**cell) {
        return Err(detached);
    }
    match cell.lifecycle() {
        Lifecycle::New | Lifecycle::Scheduled => {
            Err(Error::validation(name, format!("{name} is new: there is no row to lock before it is flushed")))
        }
        Lifecycle::Managed | Lifecycle::Removing => cell.key().ok_or(detached),
        Lifecycle::Removed | Lifecycle::Detached => Err(detached),
    }
}

/// Checks that an entity has a version that this one can be compared with.
///
/// # Errors
/// [`Error::Validation`] if not.
pub(super) fn check_comparable(entity: &EntityDef, version: Version) -> Result<(), Error> {
    let name = entity.meta.name;
    let Some((property, column)) = entity.version.and_then(|property| Some((property, entity.column(property)?)))
    else {
        let message = format!("{name} has no #[version] that an optimistic lock could compare");
        return Err(Error::validation(name, message));
    };
    if version.fits(column.meta.pg) {
        return Ok(());
    }
    let message = format!(
        "{name}.{} is a version of type {}, and cannot be compared with {}",
        entity.property_name(property),
        column.meta.pg.name,
        version.kind()
    );
    Err(Error::validation(name, message))
}

/// Compares the versions that entities were loaded with.
///
/// # Errors
/// [`Error::OptimisticLock`] with all that have another one, [`Error::EntityBorrowed`] if this thread holds a guard of one.
pub(super) fn check_versions(entity: &EntityDef, cells: &[Arc<dyn AnyCell>], version: Version) -> Result<(), Error> {
    let Some(property) = entity.version else { return Ok(()) };
    let mut stale = Vec::new();
    for cell in cells {
        let mut loaded = None;
        cell.read(&mut |view| loaded = Version::of(view.baseline.unwrap_or(view.value).property(property)))?;
        if loaded != Some(version) {
            stale.push(format!("{cell:?}"));
        }
    }
    if stale.is_empty() { Ok(()) } else { Err(Error::OptimisticLock { entities: stale }) }
}
