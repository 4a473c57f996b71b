//! Transactions and savepoints: the database and the memory move together (rules D1 to D4).

use std::future::Future;
use std::sync::Arc;

use super::EntityManager;
use super::session::{Session, next_number};
use super::write::Ending;
use crate::driver::TransactionConnection;
use crate::error::Error;

tokio::task_local! {
    /// The scopes whose closures this task is inside of: what tells a nested call from a concurrent one.
    static INSIDE: Vec<u64>;
}

/// The open transaction of a session.
pub(crate) struct OpenTransaction {
    pub(super) connection: Arc<TransactionConnection>,
    /// The transaction itself, then its savepoints.
    levels: Vec<Level>,
}

impl OpenTransaction {
    /// The scope of the transaction itself.
    pub(super) fn outermost(&self) -> Option<u64> {
        self.levels.first().map(|level| level.scope)
    }
}

#[derive(Clone, Copy)]
struct Level {
    scope: u64,
    /// The number of its savepoint; the transaction itself has none.
    savepoint: Option<u64>,
    /// Begun by `begin()`, not by `transactional()`.
    by_hand: bool,
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
    /// the transaction, too. Reads use the transaction's connection.
    ///
    /// If the closure answers with an error, panics or is cancelled, or if the flush or the commit fails, the database and
    /// the memory are as they were before: fields, keys, versions, states, collections, and what was scheduled. No
    /// query is needed for that, and an outer transaction goes on as if the inner one had never run. What was first read
    /// after the scope had written is [`Detached`](crate::EntityState::Detached); what was created in it is new again.
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
    /// The closure's own error; [`Error::ConcurrentTransaction`] if a transaction is open on this manager that this call is
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
        async move {
            let scope = self.open_scope(false).await?;
            let inner = Self { session: Arc::clone(&self.session), scope: Some(scope.scope) };
            let mut inside = INSIDE.try_with(Clone::clone).unwrap_or_default();
            inside.push(scope.scope);
            match INSIDE.scope(inside, work(inner)).await {
                Ok(answer) => {
                    scope.commit().await?;
                    Ok(answer)
                }
                Err(error) => {
                    scope.roll_back().await;
                    Err(error)
                }
            }
        }
    }

    /// Begins a transaction, which stays open until [`commit`](Self::commit) or [`rollback`](Self::rollback); inside
    /// another one, a savepoint. If all handles of the manager are dropped first, it is rolled back.
    ///
    /// # Errors
    /// [`Error::ConcurrentTransaction`] if a transaction is open that this call is not inside of, [`Error::Pool`] or
    /// [`Error::Connection`] if there is no connection.
    pub async fn begin(&self) -> Result<(), Error> {
        let mut scope = self.open_scope(true).await?;
        scope.ended = true;
        Ok(())
    }

    /// Flushes and commits what [`begin`](Self::begin) has begun: the transaction, or its innermost savepoint.
    ///
    /// # Errors
    /// [`Error::TransactionRequired`] if nothing was begun; what the flush or the commit answered. Then the transaction
    /// (or savepoint) is rolled back, and the memory with it.
    ///
    /// # Cancel safety
    /// Dropping the future rolls back.
    pub async fn commit(&self) -> Result<(), Error> {
        self.begun_by_hand("commit()")?.commit().await
    }

    /// Rolls back what [`begin`](Self::begin) has begun, in the database and in memory.
    ///
    /// # Errors
    /// [`Error::TransactionRequired`] if nothing was begun.
    pub async fn rollback(&self) -> Result<(), Error> {
        self.begun_by_hand("rollback()")?.roll_back().await;
        Ok(())
    }

    fn begun_by_hand(&self, operation: &'static str) -> Result<OpenScope, Error> {
        let top = self.session.open.lock().as_ref().and_then(|open| open.levels.last().copied());
        match top {
            Some(level) if level.by_hand => {
                Ok(OpenScope { session: Arc::clone(&self.session), scope: level.scope, ended: false })
            }
            _ => Err(Error::TransactionRequired { operation }),
        }
    }

    /// Opens a transaction or a savepoint. `BEGIN` and `SAVEPOINT` are sent, not waited for.
    async fn open_scope(&self, by_hand: bool) -> Result<OpenScope, Error> {
        let session = &self.session;
        let _serial = session.serialised().await?;
        let scope = next_number();
        if let Some(open) = &mut *session.open.lock() {
            let inside = open.levels.last().is_none_or(|top| {
                let in_closure = INSIDE.try_with(|inside| inside.contains(&top.scope)).unwrap_or(false);
                top.by_hand || in_closure || self.scope == Some(top.scope)
            });
            if !inside {
                return Err(Error::ConcurrentTransaction);
            }
            let savepoint = Some(open.connection.savepoint()?);
            open.levels.push(Level { scope, savepoint, by_hand });
            session.tracker.open(scope);
            return Ok(OpenScope { session: Arc::clone(session), scope, ended: false });
        }
        // Nobody else can begin meanwhile: `serial` is held.
        let connection = Arc::new(TransactionConnection::begin(session.orm.pool.acquire().await?));
        let levels = vec![Level { scope, savepoint: None, by_hand }];
        *session.open.lock() = Some(OpenTransaction { connection, levels });
        session.tracker.open(scope);
        Ok(OpenScope { session: Arc::clone(session), scope, ended: false })
    }
}

impl OpenScope {
    /// Flushes and ends the scope.
    async fn commit(mut self) -> Result<(), Error> {
        let session = Arc::clone(&self.session);
        let _serial = session.serialised().await?;
        let Some((connection, savepoint)) = self.place() else { return Err(Error::TransactionAborted) };
        if session.tracker.top() != Some(self.scope) {
            let message =
                "a transaction that was begun inside of this one has not been ended: commit() or rollback() it \
                           first"
                    .to_owned();
            return Err(Error::Validation { entity: None, message });
        }
        connection.check()?;
        let ending = if savepoint.is_none() { Ending::Transaction } else { Ending::Savepoint };
        session.flush_unserialised(Some(ending)).await?;
        match savepoint {
            None => *session.open.lock() = None,
            Some(number) => {
                connection.release(number);
                if let Some(open) = &mut *session.open.lock() {
                    open.levels.pop();
                }
            }
        }
        session.tracker.commit();
        self.ended = true;
        Ok(())
    }

    /// The connection, and the number of the scope's savepoint; `None` if an outer scope has been rolled back meanwhile.
    fn place(&self) -> Option<(Arc<TransactionConnection>, Option<u64>)> {
        let slot = self.session.open.lock();
        let open = slot.as_ref()?;
        let level = open.levels.iter().find(|level| level.scope == self.scope)?;
        Some((Arc::clone(&open.connection), level.savepoint))
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
        let connection = self.leave();
        self.session.roll_back_memory(self.scope);
        connection
    }

    fn leave(&self) -> Option<Arc<TransactionConnection>> {
        let mut slot = self.session.open.lock();
        let open = slot.as_mut()?;
        let position = open.levels.iter().position(|level| level.scope == self.scope)?;
        match open.levels[position].savepoint {
            None => {
                open.connection.abandon();
                slot.take().map(|open| open.connection)
            }
            Some(number) => {
                open.levels.truncate(position);
                open.connection.roll_back_to(number);
                None
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
