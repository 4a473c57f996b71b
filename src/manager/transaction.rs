//! Transactions and savepoints: the database and the memory move together (rules D1 to D4).

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::EntityManager;
use super::cache::WrittenTables;
use super::session::{Session, next_number};
use super::write::Ending;
use crate::driver::TransactionConnection;
use crate::error::Error;
use crate::sql::transaction::TransactionOptions;

mod attempt;
mod back_off;
mod builder;
mod deadline;
mod on_commit;
mod savepoint;

pub use builder::{Once, Propagation, Repeatedly, Transaction};
pub use on_commit::{Asynchronous, CommitCallback, Plain};
pub(super) use on_commit::{Callback, run as run_callbacks};
pub use savepoint::Savepoint;

tokio::task_local! {
    /// The scopes whose closures this task is inside of: what tells a nested call from a concurrent one.
    static INSIDE: Vec<u64>;
}

/// The open transaction of a session.
pub(crate) struct OpenTransaction {
    pub(super) connection: Arc<TransactionConnection>,
    options: TransactionOptions,
    /// The transaction itself, then its savepoints.
    levels: Vec<Level>,
    /// What it has written, for results that are kept.
    pub(super) written: WrittenTables,
}

impl OpenTransaction {
    /// The scope of the transaction itself.
    pub(super) fn outermost(&self) -> Option<u64> {
        self.levels.first().map(|level| level.scope)
    }
}

struct Level {
    scope: u64,
    /// The number of its savepoint; the transaction itself has none.
    savepoint: Option<u64>,
    kind: Kind,
    read_only: bool,
    /// Whether a part of it that had no savepoint of its own has failed (rule D4).
    rollback_only: bool,
    /// What runs after the outermost COMMIT, if this scope does not fail (rule D6).
    callbacks: Vec<Callback>,
}

/// Who ends a scope.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// The closure that it is for.
    Closure,
    /// `commit()` or `rollback()`.
    ByHand,
    /// Its [`Savepoint`].
    Savepoint,
}

/// Where a call stands that is inside an open transaction.
#[derive(Clone, Copy)]
struct Innermost {
    /// The innermost scope.
    scope: u64,
    /// The innermost one that is not a savepoint made by hand: the one that a call is inside of.
    owner: u64,
}

/// A scope that has been opened and not ended. Dropping it (cancellation, a panic) rolls back.
struct OpenScope {
    session: Arc<Session>,
    scope: u64,
    ended: bool,
}

impl EntityManager {
    /// Runs a closure in a transaction: `BEGIN`, the closure, a flush, `COMMIT`. Inside another transaction of this manager
    /// it is a savepoint, to any depth. The closure gets a handle to the same unit of work; other handles to it act inside
    /// the transaction, too. Reads use the transaction's connection. Isolation levels, other ways to nest, retries and
    /// timeouts are options of [`transaction`](Self::transaction).
    ///
    /// If the closure answers with an error, panics or is cancelled, or if the flush or the commit fails, the database and
    /// the memory are as they were before: fields, keys, versions, states, collections, and what was scheduled. No
    /// query is needed for that, and an outer transaction goes on as if the inner one had never run. What was first read
    /// after the scope had written is [`Detached`](crate::EntityState::Detached), after a conflict with another transaction
    /// everything that was first read in it; what was created in it is new again.
    ///
    /// ```
    /// # howdah::doctest::run(async |url| {
    /// use howdah::prelude::*;
    ///
    /// #[derive(Entity, Clone, Debug)]
    /// pub struct Account {
    ///     #[primary_key]
    ///     pub id: i64,
    ///     pub owner: String,
    ///     pub balance: i64,
    /// }
    ///
    /// # let orm = Orm::builder().url(&url).entities(entities![Account]).connect().await?;
    /// # orm.schema().create().await?;
    /// let em = orm.em();
    /// let [ada, bob] = em.persist([
    ///     NewAccount { owner: "Ada".into(), balance: 100 },
    ///     NewAccount { owner: "Bob".into(), balance: 0 },
    /// ]);
    /// em.transactional(async |_| {
    ///     ada.write().balance -= 30;
    ///     bob.write().balance += 30;
    ///     Ok::<_, Error>(())
    /// })
    /// .await?;
    /// assert_eq!(bob.read().balance, 30);
    ///
    /// let failed: Result<(), Error> = em
    ///     .transactional(async |em| {
    ///         ada.write().balance = 0;
    ///         em.flush().await?;
    ///         Err(Error::NotFound { entity: "Account", criteria: "Eve".into() })
    ///     })
    ///     .await;
    /// assert!(failed.is_err());
    /// assert_eq!(ada.read().balance, 70);
    /// # Ok(())
    /// # });
    /// ```
    ///
    /// # Errors
    /// The closure's own error; [`Error::TransactionRollbackOnly`] if it has kept back the error of a part that had joined
    /// the transaction; [`Error::ConcurrentTransaction`] if a transaction is open on this manager that this call is
    /// not inside of; what the flush or the commit answered.
    ///
    /// # Cancel safety
    /// Dropping the future rolls back the database and the memory. The connection goes back to the pool behind the
    /// `ROLLBACK`. If COMMIT was sent already, the server may have carried it out.
    pub fn transactional<F, Fut, R, E>(&self, work: F) -> impl Future<Output = Result<R, E>> + Send
    where
        F: FnOnce(Self) -> Fut + Send,
        Fut: Future<Output = Result<R, E>> + Send,
        R: Send,
        E: From<Error> + Send,
    {
        self.transaction().run(work)
    }

    /// Begins a transaction, which stays open until [`commit`](Self::commit) or [`rollback`](Self::rollback); inside
    /// another one, a savepoint. If all handles of the manager are dropped first, it is rolled back.
    ///
    /// # Errors
    /// [`Error::ConcurrentTransaction`] if a transaction is open that this call is not inside of, [`Error::Pool`] or
    /// [`Error::Connection`] if there is no connection.
    pub async fn begin(&self) -> Result<(), Error> {
        self.begin_with(TransactionOptions::new()).await
    }

    /// [`begin`](Self::begin) with options, which are part of the `BEGIN`.
    ///
    /// ```
    /// # howdah::doctest::run(async |url| {
    /// # use howdah::prelude::*;
    /// # #[derive(Entity, Clone, Debug)]
    /// # pub struct Account {
    /// #     #[primary_key]
    /// #     pub id: i64,
    /// # }
    /// # let orm = Orm::builder().url(&url).entities(entities![Account]).connect().await?;
    /// # let em = orm.em();
    /// em.begin_with(TransactionOptions::new().isolation(IsolationLevel::RepeatableRead).read_only()).await?;
    /// // … reads that all see the same …
    /// em.commit().await?;
    /// # Ok(())
    /// # });
    /// ```
    ///
    /// # Errors
    /// As of [`begin`](Self::begin). Inside another transaction, [`Error::Validation`] for an isolation level, or for
    /// `deferrable`, that the other one was not begun with: the server cannot change it any more.
    pub async fn begin_with(&self, options: TransactionOptions) -> Result<(), Error> {
        let _serial = self.session.serialised().await?;
        let mut scope = match self.innermost()? {
            Some(_) => self.open_savepoint(Kind::ByHand, options, None)?,
            None => self.open_transaction(Kind::ByHand, options).await?,
        };
        scope.ended = true;
        Ok(())
    }

    /// Flushes and commits what [`begin`](Self::begin) has begun: the transaction, or its innermost savepoint.
    ///
    /// # Errors
    /// [`Error::TransactionRequired`] if nothing was begun. [`Error::Validation`] if a [`savepoint`](Self::savepoint) of it is
    /// open; nothing happens then. What the flush or the commit answered, or [`Error::TransactionRollbackOnly`]: then the
    /// transaction is rolled back (or what `begin` had begun inside of it), and the memory with it. Only if this thread has taken
    /// a guard of a written entity meanwhile, and not dropped it, [`Error::EntityBorrowed`] comes behind the COMMIT: then
    /// [`is_in_transaction`](Self::is_in_transaction) is false, and the next operation tells the entities what was written.
    ///
    /// # Cancel safety
    /// Dropping the future rolls back.
    pub async fn commit(&self) -> Result<(), Error> {
        let (scope, has_savepoint) = self.begun_by_hand("commit()")?;
        if has_savepoint {
            // Nothing was done: the transaction is open as before.
            scope.keep_open();
            return Err(Error::Validation { entity: None, message: NOT_ENDED.to_owned() });
        }
        scope.commit().await
    }

    /// Rolls back what [`begin`](Self::begin) has begun, in the database and in memory, with the savepoints in it.
    ///
    /// # Errors
    /// [`Error::TransactionRequired`] if nothing was begun.
    pub async fn rollback(&self) -> Result<(), Error> {
        self.begun_by_hand("rollback()")?.0.roll_back().await;
        Ok(())
    }

    /// The innermost scope, which `begin()` has opened, and whether a savepoint of it is open.
    fn begun_by_hand(&self, operation: &'static str) -> Result<(OpenScope, bool), Error> {
        let slot = self.session.open.lock();
        let levels = slot.as_ref().map_or(&[][..], |open| &open.levels);
        match levels.iter().rposition(|level| level.kind != Kind::Savepoint) {
            Some(position) if levels[position].kind == Kind::ByHand => {
                let scope = OpenScope::of(&self.session, levels[position].scope);
                Ok((scope, position + 1 < levels.len()))
            }
            _ => Err(Error::TransactionRequired { operation }),
        }
    }

    /// Where the call stands in the open transaction, if there is one.
    ///
    /// # Errors
    /// [`Error::ConcurrentTransaction`] if the call is not inside of it.
    fn innermost(&self) -> Result<Option<Innermost>, Error> {
        let slot = self.session.open.lock();
        let Some(open) = slot.as_ref() else { return Ok(None) };
        let owner = open.levels.iter().rfind(|level| level.kind != Kind::Savepoint);
        let (Some(owner), Some(top)) = (owner, open.levels.last()) else { return Ok(None) };
        let in_closure = || INSIDE.try_with(|inside| inside.contains(&owner.scope)).unwrap_or(false);
        if owner.kind == Kind::ByHand || self.scope == Some(owner.scope) || in_closure() {
            Ok(Some(Innermost { scope: top.scope, owner: owner.scope }))
        } else {
            Err(Error::ConcurrentTransaction)
        }
    }

    /// Opens a transaction, by somebody who holds `serial`: nobody else can begin meanwhile. `BEGIN` is sent, not waited for.
    async fn open_transaction(&self, kind: Kind, options: TransactionOptions) -> Result<OpenScope, Error> {
        let session = &self.session;
        let connection = session.orm.pool.acquire().await?;
        let connection = Arc::new(TransactionConnection::begin_with(connection, options));
        let scope = next_number();
        let levels = vec![Level {
            scope,
            savepoint: None,
            kind,
            read_only: options.read_only,
            rollback_only: false,
            callbacks: Vec::new(),
        }];
        let written = WrittenTables::new(&session.orm.results);
        *session.open.lock() = Some(OpenTransaction { connection, options, levels, written });
        session.tracker.open(scope);
        Ok(OpenScope::of(session, scope))
    }

    /// Opens a savepoint of the open transaction, by somebody who holds `serial`. `SAVEPOINT` is sent, not waited for.
    fn open_savepoint(&self, kind: Kind, options: TransactionOptions, label: Option<&str>) -> Result<OpenScope, Error> {
        let session = &self.session;
        let mut slot = session.open.lock();
        let Some(open) = slot.as_mut() else { return Err(Error::TransactionAborted) };
        open.check_options(TransactionOptions { read_only: false, ..options })?;
        let read_only = open.is_read_only();
        let savepoint = open.connection.savepoint_with(label, options.read_only && !read_only)?;
        let scope = next_number();
        open.levels.push(Level {
            scope,
            savepoint: Some(savepoint),
            kind,
            read_only: options.read_only || read_only,
            rollback_only: false,
            callbacks: Vec::new(),
        });
        session.tracker.open(scope);
        Ok(OpenScope::of(session, scope))
    }
}

impl OpenTransaction {
    fn is_read_only(&self) -> bool {
        self.levels.last().is_some_and(|level| level.read_only)
    }

    /// Checks that a call inside of the transaction does not ask for what can only be chosen at its beginning.
    fn check_options(&self, options: TransactionOptions) -> Result<(), Error> {
        let asked = if options.isolation.is_some() && options.isolation != self.options.isolation {
            "another isolation level"
        } else if options.deferrable && !self.options.deferrable {
            "deferrable"
        } else if options.read_only && !self.is_read_only() {
            "read only, where it only joins the open one,"
        } else {
            return Ok(());
        };
        let message = format!(
            "a transaction inside another one cannot be {asked}: choose it where the outermost one begins, or use \
             Propagation::RequiresNew"
        );
        Err(Error::Validation { entity: None, message })
    }
}

/// What is said to somebody who ends a scope before one that is inside of it.
const NOT_ENDED: &str = "a transaction or savepoint that was begun inside of this one has not been ended: commit, release or \
                         roll it back first";

impl OpenScope {
    fn of(session: &Arc<Session>, scope: u64) -> Self {
        Self { session: Arc::clone(session), scope, ended: false }
    }

    fn is_open(&self) -> bool {
        let slot = self.session.open.lock();
        slot.as_ref().is_some_and(|open| open.levels.iter().any(|level| level.scope == self.scope))
    }

    /// Leaves the scope open.
    fn keep_open(mut self) {
        self.ended = true;
    }

    /// Flushes and ends the scope.
    async fn commit(mut self) -> Result<(), Error> {
        let session = Arc::clone(&self.session);
        let serial = session.serialised().await?;
        let (connection, savepoint) = self.ready()?;
        let ending = if savepoint.is_none() { Ending::Transaction } else { Ending::Savepoint };
        let flushed = session.flush_unserialised(Some(ending)).await.map(|_| ());
        // Committed, though a guard keeps what was written from being published: the scope has succeeded.
        if flushed.is_err() && !session.has_unpublished() {
            return flushed;
        }
        let callbacks = match savepoint {
            None => session.committed(),
            Some(number) => {
                connection.release(number);
                session.released();
                Vec::new()
            }
        };
        session.tracker.commit();
        self.ended = true;
        // A callback may want the manager, or a connection.
        drop((connection, serial));
        session.settle_results().await;
        run_callbacks(callbacks).await;
        flushed
    }

    /// Checks that the scope can be ended without being undone, as far as is known.
    ///
    /// # Errors
    /// [`Error::TransactionAborted`], [`Error::TransactionRollbackOnly`], or [`Error::Validation`] if an inner scope is open.
    fn ready(&self) -> Result<(Arc<TransactionConnection>, Option<u64>), Error> {
        let place = {
            let slot = self.session.open.lock();
            let levels = slot.as_ref().map_or(&[][..], |open| &open.levels);
            let level = levels.iter().find(|level| level.scope == self.scope);
            slot.as_ref()
                .zip(level)
                .map(|(open, level)| (Arc::clone(&open.connection), level.savepoint, level.rollback_only))
        };
        // An outer scope may have been rolled back meanwhile.
        let Some((connection, savepoint, rollback_only)) = place else { return Err(Error::TransactionAborted) };
        if self.session.tracker.top() != Some(self.scope) {
            return Err(Error::Validation { entity: None, message: NOT_ENDED.to_owned() });
        }
        if rollback_only {
            return Err(Error::TransactionRollbackOnly);
        }
        connection.check()?;
        Ok((connection, savepoint))
    }

    /// Undoes the scope. A lost connection has rolled back by itself.
    async fn roll_back(mut self) {
        if let Some(connection) = self.undo() {
            let _ = connection.ended().await;
        }
    }

    /// Sends the `ROLLBACK`, to the savepoint or of the whole, and restores the memory; answers with the connection if it
    /// was the whole.
    fn undo(&mut self) -> Option<Arc<TransactionConnection>> {
        self.ended = true;
        let (connection, forgotten) = self.leave();
        if connection.as_ref().is_some_and(|connection| connection.conflict().load(Ordering::Acquire)) {
            self.session.tracker.distrust_reads();
        }
        self.session.roll_back_memory(self.scope);
        // Callbacks own what the program has put into them: nothing is locked any more when that is dropped.
        drop(forgotten);
        connection
    }

    fn leave(&self) -> (Option<Arc<TransactionConnection>>, Vec<Level>) {
        let mut slot = self.session.open.lock();
        let Some(open) = slot.as_mut() else { return (None, Vec::new()) };
        let Some(position) = open.levels.iter().position(|level| level.scope == self.scope) else {
            return (None, Vec::new());
        };
        let forgotten = open.levels.split_off(position);
        match forgotten.first().and_then(|level| level.savepoint) {
            None => {
                let is_ending = !open.connection.is_open();
                open.connection.abandon();
                let ended = slot.take().map(|open| {
                    if is_ending {
                        open.written.behind(&open.connection);
                    }
                    open.connection
                });
                (ended, forgotten)
            }
            Some(number) => {
                open.connection.roll_back_to(number);
                (None, forgotten)
            }
        }
    }
}

impl Drop for OpenScope {
    fn drop(&mut self) {
        if !self.ended {
            self.undo();
        }
    }
}
