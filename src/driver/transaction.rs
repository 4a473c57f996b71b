//! A connection with an open transaction.
//!
//! `BEGIN`, savepoints and rollbacks are sent without waiting: requests are answered in order, so they share the flight of
//! the next statement and cost no trip of their own (rule D1).

use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;

use super::connection::{Answer, Connection, RowSink};
use super::pipeline::Posted;
use crate::error::Error;
use crate::sql::Statement;
use crate::sql::transaction::{BEGIN, COMMIT, ROLLBACK};

/// An open transaction. Dropping it rolls back: the `ROLLBACK` is sent before the connection goes back to the pool, so
/// whoever gets it next is behind it (rule C12).
pub(crate) struct TransactionConnection {
    connection: Connection,
    posted: Mutex<Vec<Posted<'static, Result<(), tokio_postgres::Error>>>>,
    open: AtomicBool,
}

impl TransactionConnection {
    /// Begins a transaction.
    pub(crate) fn begin(connection: Connection) -> Self {
        let transaction = Self { connection, posted: Mutex::default(), open: AtomicBool::new(true) };
        transaction.post(BEGIN);
        transaction
    }

    /// Sends a statement without parameters; a failure shows in the next [`run_all`](Self::run_all).
    pub(crate) fn post(&self, text: &str) {
        let mut posted = self.posted.lock();
        let request = self.connection.post(text);
        posted.push(request);
    }

    /// Runs one statement: one round trip, together with everything that was posted.
    ///
    /// # Errors
    /// What the server answered, to the posted statements first.
    pub(crate) async fn run(&self, statement: &Statement) -> Result<Answer, Error> {
        let answer = self.connection.run(statement).await;
        self.settle().await?;
        answer
    }

    /// Runs one statement and hands its rows over as they arrive: one round trip, together with everything that was posted.
    ///
    /// # Errors
    /// What the server answered, to the posted statements first, or what `take` did not accept.
    pub(crate) async fn stream(&self, statement: &Statement, take: RowSink<'_>) -> Result<(), Error> {
        let streamed = self.connection.stream(statement, take).await;
        self.settle().await?;
        streamed
    }

    /// Runs statements pipelined: one round trip, together with everything that was posted.
    ///
    /// # Errors
    /// What the server answered to a posted statement; the statements have their own answers.
    pub(crate) async fn run_all(&self, statements: &[Statement]) -> Result<Vec<Result<Answer, Error>>, Error> {
        let answers = self.connection.run_all(statements).await;
        self.settle().await?;
        Ok(answers)
    }

    /// Waits for what was posted.
    ///
    /// # Errors
    /// What the server answered.
    async fn settle(&self) -> Result<(), Error> {
        let posted = std::mem::take(&mut *self.posted.lock());
        let mut failure = None;
        for request in posted {
            if let Err(error) = request.answer().await {
                failure.get_or_insert(error);
            }
        }
        failure.map_or(Ok(()), |error| Err(self.connection.error(error)))
    }

    /// Commits: one round trip.
    ///
    /// # Errors
    /// [`Error::TransactionAborted`] if a statement of the transaction had failed; what the server answered to COMMIT
    /// (deferred constraints are checked there). The transaction is rolled back then.
    pub(crate) async fn commit(&self) -> Result<(), Error> {
        self.post(COMMIT);
        self.connection.count_trip();
        match self.settle().await {
            Ok(()) => {
                self.open.store(false, Ordering::Release);
                Ok(())
            }
            Err(error) => {
                // The SELECT in front of COMMIT has failed, or a deferred constraint: the first leaves the transaction open.
                let _ = self.rollback().await;
                Err(if error.sqlstate() == Some("25P02") { Error::TransactionAborted } else { error })
            }
        }
    }

    /// Rolls back: one round trip.
    ///
    /// # Errors
    /// If the connection is lost.
    pub(crate) async fn rollback(&self) -> Result<(), Error> {
        self.post(ROLLBACK);
        self.open.store(false, Ordering::Release);
        self.connection.count_trip();
        self.settle().await
    }
}

impl TransactionConnection {
    /// Rolls back without waiting for the answer.
    pub(crate) fn abandon(&self) {
        if self.open.swap(false, Ordering::AcqRel) {
            drop(self.connection.post(ROLLBACK));
        }
    }
}

impl Drop for TransactionConnection {
    fn drop(&mut self) {
        self.abandon();
    }
}
