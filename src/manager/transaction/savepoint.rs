//! Savepoints by hand.

use super::super::EntityManager;
use super::{Kind, OpenScope};
use crate::error::Error;
use crate::sql::transaction::TransactionOptions;

/// A point of the open transaction to which database and memory can go back. Made by [`EntityManager::savepoint`].
///
/// One that is dropped without [`release`](Self::release) is rolled back, as every scope that does not come to its end.
#[must_use = "a savepoint that is dropped is rolled back: keep it until release() or rollback()"]
pub struct Savepoint {
    scope: OpenScope,
}

impl EntityManager {
    /// Makes a savepoint of the open transaction. The name is for the server's log: any text, also one that is used already.
    /// `SAVEPOINT` is sent along with the next statement, and costs no round trip; nothing is flushed.
    ///
    /// ```
    /// # howdah::doctest::run(async |url| {
    /// use howdah::prelude::*;
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
    /// em.begin().await?;
    /// let account = em.persist(NewAccount { balance: 100 });
    /// let savepoint = em.savepoint("before the fee").await?;
    /// account.write().balance -= 200;
    /// em.flush().await?;
    /// savepoint.rollback().await?;
    /// assert_eq!((account.read().balance, account.state()), (100, EntityState::New));
    /// em.commit().await?;
    /// # Ok(())
    /// # });
    /// ```
    ///
    /// # Errors
    /// [`Error::TransactionRequired`] outside of a transaction, [`Error::ConcurrentTransaction`] if the call is not inside of
    /// the open one, [`Error::TransactionAborted`] if one of its statements has failed.
    pub async fn savepoint(&self, name: &str) -> Result<Savepoint, Error> {
        let _serial = self.session.serialised().await?;
        if self.innermost()?.is_none() {
            return Err(Error::TransactionRequired { operation: "savepoint()" });
        }
        let scope = self.open_savepoint(Kind::Savepoint, TransactionOptions::new(), Some(name))?;
        Ok(Savepoint { scope })
    }
}

impl Savepoint {
    /// Ends the savepoint and keeps what was done since. Nothing is flushed: what has changed since the last flush is
    /// written by the next one. Sent along with the next statement.
    ///
    /// # Errors
    /// [`Error::TransactionAborted`] if a statement has failed since, or if the transaction was rolled back;
    /// [`Error::TransactionRollbackOnly`] if a part that had joined the transaction since has failed; [`Error::Validation`]
    /// if a transaction or savepoint inside of it has not been ended. Then it is rolled back.
    pub async fn release(mut self) -> Result<(), Error> {
        let session = self.scope.session.clone();
        let _serial = session.serialised().await?;
        let (connection, number) = self.scope.ready()?;
        if let Some(number) = number {
            connection.release(number);
        }
        session.released();
        session.tracker.commit();
        self.scope.ended = true;
        Ok(())
    }

    /// Goes back to the savepoint, in the database and in memory, and ends it: fields, keys, versions, states, collections
    /// and the schedule are as they were, and what was begun inside of it is over. Sent along with the next statement.
    ///
    /// # Errors
    /// [`Error::TransactionAborted`] if the transaction was rolled back meanwhile, and this savepoint with it.
    pub async fn rollback(mut self) -> Result<(), Error> {
        if !self.scope.is_open() {
            return Err(Error::TransactionAborted);
        }
        self.scope.undo();
        Ok(())
    }
}

impl std::fmt::Debug for Savepoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Savepoint").field("is_open", &self.scope.is_open()).finish_non_exhaustive()
    }
}
