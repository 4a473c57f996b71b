//! `em.transaction()`: a transaction with options.

use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::sync::Weak;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::super::EntityManager;
use super::attempt::Attempt;
use super::back_off::pause;
use super::deadline::Deadline;
use crate::error::Error;
use crate::query::FlushMode;
use crate::sql::transaction::{IsolationLevel, TransactionOptions};

/// What a transaction does if another one is open on its manager, and if none is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Propagation {
    /// A savepoint of the open transaction, which can fail alone; or a transaction. The default.
    #[default]
    Nested,
    /// A part of the open transaction, or of its innermost savepoint; or a transaction. A part has no flush of its own. If it
    /// fails, it makes what it is part of fail: that is rolled back, and answers
    /// [`Error::TransactionRollbackOnly`] if it was to be committed nevertheless.
    Required,
    /// A transaction in any case, with a connection and a graph of its own, as of a [`fork`](EntityManager::fork): what it
    /// commits stays, whatever becomes of the open one. It does not see what the open one has written, waits for
    /// its locks, which nobody notices, and needs a second connection of the pool.
    RequiresNew,
    /// No transaction in any case, with a graph of its own, as of a [`fork`](EntityManager::fork): statements take connections
    /// from the pool, and each flush commits. There is one at the end.
    NotSupported,
    /// A part of the open transaction, as with [`Required`](Self::Required); or no transaction, and a flush at the end.
    Supports,
    /// No transaction, and a flush at the end; if one is open, [`Error::TransactionForbidden`].
    Never,
    /// A part of the open transaction, as with [`Required`](Self::Required); if none is open, [`Error::TransactionRequired`].
    Mandatory,
}

/// The closure of a [`Transaction`] runs once.
#[derive(Clone, Copy, Debug)]
pub struct Once;

/// The closure of a [`Transaction`] may run several times: it has to be `Clone`.
#[derive(Clone, Copy, Debug)]
pub struct Repeatedly;

/// A transaction that is about to be run. Made by [`EntityManager::transaction`].
#[must_use = "nothing happens until `run` is called and awaited"]
#[derive(Clone)]
pub struct Transaction<Runs = Once> {
    em: EntityManager,
    options: TransactionOptions,
    propagation: Propagation,
    timeout: Option<Duration>,
    retries: u32,
    flush_mode: Option<FlushMode>,
    runs: PhantomData<Runs>,
}

impl EntityManager {
    /// A transaction with options: [`transactional`](Self::transactional) is this without any.
    ///
    /// ```
    /// # howdah::doctest::run(async |url| {
    /// use howdah::prelude::*;
    /// use std::time::Duration;
    ///
    /// #[derive(Entity, Clone, Debug)]
    /// pub struct Account {
    ///     #[primary_key]
    ///     pub id: i64,
    ///     pub balance: i64,
    /// }
    ///
    /// # let orm = Orm::builder().url(&url).entities(entities![Account]).connect().await?;
    /// # orm.schema().create().await?;
    /// # let em = orm.em();
    /// # em.persist([NewAccount { balance: 100 }, NewAccount { balance: 0 }]);
    /// # em.flush().await?;
    /// em.transaction()
    ///     .isolation(IsolationLevel::Serializable)
    ///     .retries(3)
    ///     .timeout(Duration::from_secs(2))
    ///     .run(async |em| {
    ///         let from = em.find_one_or_fail::<Account>(1, ()).await?;
    ///         let to = em.find_one_or_fail::<Account>(2, ()).await?;
    ///         from.write().balance -= 30;
    ///         to.write().balance += 30;
    ///         Ok::<_, Error>(())
    ///     })
    ///     .await?;
    /// # assert_eq!(orm.em().find_one_or_fail::<Account>(2, ()).await?.read().balance, 30);
    /// # Ok(())
    /// # });
    /// ```
    pub fn transaction(&self) -> Transaction {
        Transaction {
            em: self.clone(),
            options: TransactionOptions::new(),
            propagation: Propagation::default(),
            timeout: None,
            retries: 0,
            flush_mode: None,
            runs: PhantomData,
        }
    }
}

impl<Runs> Transaction<Runs> {
    /// The isolation level; the server's default otherwise. Part of the `BEGIN`: it costs no round trip.
    ///
    /// Inside another transaction it cannot be changed any more: [`Error::Validation`], unless that was begun with the same.
    pub const fn isolation(mut self, level: IsolationLevel) -> Self {
        self.options = self.options.isolation(level);
        self
    }

    /// The server refuses to write: a flush that has something to write is [`Error::ReadOnlyTransaction`]. A savepoint can be
    /// read-only in a transaction that is not.
    pub const fn read_only(mut self) -> Self {
        self.options = self.options.read_only();
        self
    }

    /// Waits, at the first statement, until the transaction can run without conflicts. Only of effect together with
    /// [`IsolationLevel::Serializable`] and [`read_only`](Self::read_only).
    pub const fn deferrable(mut self) -> Self {
        self.options = self.options.deferrable();
        self
    }

    /// What happens if another transaction is open on the manager, and if none is. Default: [`Propagation::Nested`].
    pub const fn propagation(mut self, propagation: Propagation) -> Self {
        self.propagation = propagation;
        self
    }

    /// How long it may take, with all repetitions and the pauses between them. Then what the server is doing for it is
    /// cancelled, everything is rolled back as after an error, and the answer is [`Error::Timeout`].
    ///
    /// A COMMIT that has been sent is waited for, so that the answer is true. Where there is no transaction
    /// ([`Propagation::NotSupported`] and the like) the closure is dropped, and nothing is rolled back.
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// When queries flush until the transaction has ended, or the part of one, instead of the manager's
    /// [mode](EntityManager::set_flush_mode).
    pub const fn flush_mode(mut self, mode: FlushMode) -> Self {
        self.flush_mode = Some(mode);
        self
    }

    /// Repeats the transaction, up to this many times, if it fails and the server has reported a conflict with another one in
    /// it: a serialization failure (SQLSTATE 40001) or a dead-lock (40P01). The memory is restored first, with everything that
    /// was read in it, so that it is read again; what was read before the transaction is not: `refresh` it in the closure.
    /// Then there is a pause, which grows and has a random part.
    ///
    /// The closure has to be `Clone`, which it is if what it captures is shared or `Clone`: so it begins with the same each
    /// time.
    ///
    /// A part of another transaction is not repeated alone: the conflict is with all of that. The error goes up to the
    /// outermost transaction, whose `retries` count.
    pub fn retries(self, retries: u32) -> Transaction<Repeatedly> {
        let Self { em, options, propagation, timeout, flush_mode, .. } = self;
        Transaction { em, options, propagation, timeout, retries, flush_mode, runs: PhantomData }
    }

    async fn enter(&self, deadline: Deadline) -> Result<Attempt, Error> {
        let entering = Attempt::enter(&self.em, self.propagation, self.options);
        let mut attempt = deadline.limit(&Weak::new(), entering).await??;
        attempt.set_flush_mode(self.flush_mode);
        Ok(attempt)
    }
}

impl Transaction {
    /// Runs a closure in the transaction, as [`transactional`](EntityManager::transactional) does: flushes and commits when
    /// it succeeds, rolls back the database and the memory when it does not.
    ///
    /// # Errors
    /// The closure's own error; what the flush or the commit answered; before anything is sent,
    /// [`Error::ConcurrentTransaction`], [`Error::TransactionRequired`], [`Error::TransactionForbidden`], and
    /// [`Error::Validation`] for options that cannot be had. [`Error::TransactionRollbackOnly`] if a part has failed;
    /// [`Error::Timeout`].
    ///
    /// # Cancel safety
    /// As of [`transactional`](EntityManager::transactional).
    pub fn run<F, Fut, R, E>(self, work: F) -> impl Future<Output = Result<R, E>> + Send
    where
        F: FnOnce(EntityManager) -> Fut + Send,
        Fut: Future<Output = Result<R, E>> + Send,
        R: Send,
        E: From<Error> + Send,
    {
        async move {
            let deadline = Deadline::after(self.timeout);
            let attempt = self.enter(deadline).await?;
            let work = attempt.start(work);
            attempt.run(deadline, work).await
        }
    }
}

impl Transaction<Repeatedly> {
    /// Runs a closure in the transaction, and again after a conflict.
    ///
    /// # Errors
    /// As of the [`run`](Transaction::run) without repetitions; a conflict's is that of the last run.
    ///
    /// # Cancel safety
    /// As of [`transactional`](EntityManager::transactional).
    pub fn run<F, Fut, R, E>(self, work: F) -> impl Future<Output = Result<R, E>> + Send
    where
        F: FnOnce(EntityManager) -> Fut + Clone + Send,
        Fut: Future<Output = Result<R, E>> + Send,
        R: Send,
        E: From<Error> + Send,
    {
        async move {
            let deadline = Deadline::after(self.timeout);
            for repetition in 0..self.retries {
                let attempt = self.enter(deadline).await?;
                attempt.make_repeatable();
                let conflict = attempt.conflict();
                let work = attempt.start(work.clone());
                let outcome = attempt.run(deadline, work).await;
                let in_conflict = conflict.is_some_and(|conflict| conflict.load(Ordering::Acquire));
                let pause = pause(repetition);
                if outcome.is_ok() || !in_conflict || !deadline.allows(pause) {
                    return outcome;
                }
                tokio::time::sleep(pause).await;
            }
            let attempt = self.enter(deadline).await?;
            attempt.make_repeatable();
            let work = attempt.start(work);
            attempt.run(deadline, work).await
        }
    }
}

impl<Runs> fmt::Debug for Transaction<Runs> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transaction")
            .field("options", &self.options)
            .field("propagation", &self.propagation)
            .field("timeout", &self.timeout)
            .field("retries", &self.retries)
            .finish_non_exhaustive()
    }
}
