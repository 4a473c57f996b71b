//! Where a statement runs: on the open transaction's connection (rule D4), or on one from the pool.

use std::sync::Arc;

use futures_util::future::BoxFuture;

use super::connection::{Answer, Connection, RowSink};
use super::transaction::TransactionConnection;
use crate::error::Error;
use crate::sql::Statement;

/// Where an executor comes from.
pub(crate) trait Connect: Send + Sync {
    /// The open transaction's connection, or one from the pool.
    ///
    /// # Errors
    /// [`Error::Pool`] or [`Error::Connection`] if there is none.
    fn connect(&self) -> BoxFuture<'_, Result<Executor, Error>>;
}

/// An executor that takes its connection when it is needed for the first time: what is loaded already needs none.
pub(crate) struct LazyExecutor<'a> {
    source: &'a dyn Connect,
    executor: Option<Executor>,
}

impl<'a> LazyExecutor<'a> {
    pub(crate) const fn new(source: &'a dyn Connect) -> Self {
        Self { source, executor: None }
    }

    /// This executor.
    pub(crate) const fn ready(source: &'a dyn Connect, executor: Executor) -> Self {
        Self { source, executor: Some(executor) }
    }

    /// The executor, always the same.
    ///
    /// # Errors
    /// As [`Connect::connect`].
    pub(crate) async fn get(&mut self) -> Result<&Executor, Error> {
        let executor = match self.executor.take() {
            Some(executor) => executor,
            None => self.source.connect().await?,
        };
        Ok(self.executor.insert(executor))
    }
}

/// A connection to run statements on.
#[derive(Clone)]
pub(crate) enum Executor {
    Pooled(Connection),
    Transaction(Arc<TransactionConnection>),
}

impl Executor {
    /// Runs one statement: one round trip.
    ///
    /// # Errors
    /// What the server answered.
    pub(crate) async fn run(&self, statement: &Statement) -> Result<Answer, Error> {
        match self {
            Self::Pooled(connection) => connection.run(statement).await,
            Self::Transaction(transaction) => transaction.run(statement).await,
        }
    }

    /// Runs one statement and hands its rows over as they arrive, some at a time: one round trip.
    ///
    /// # Errors
    /// What the server answered, or what `take` did not accept.
    pub(crate) async fn stream(&self, statement: &Statement, take: RowSink<'_>) -> Result<(), Error> {
        match self {
            Self::Pooled(connection) => connection.stream(statement, take).await,
            Self::Transaction(transaction) => transaction.stream(statement, take).await,
        }
    }

    /// Asks the server to cancel the statement that it is running here; answers when it has been told.
    pub(crate) async fn cancel(&self) {
        match self {
            Self::Pooled(connection) => {
                // Finished even if this future is dropped, with the connection in hand: a request that arrived late would
                // cancel a statement of whoever has the connection next.
                let connection = connection.clone();
                let _ = tokio::spawn(async move { connection.cancel().await }).await;
            }
            Self::Transaction(transaction) => transaction.cancel().await,
        }
    }

    /// Waits until the server has answered everything that was sent, or the connection is lost.
    pub(crate) async fn drained(&self) {
        match self {
            Self::Pooled(connection) => connection.drained().await,
            Self::Transaction(transaction) => transaction.connection().drained().await,
        }
    }

    /// Has the connection closed instead of given to somebody else, once it is not used here any more. The connection of a
    /// transaction is ended by it.
    pub(crate) fn give_up(&self) {
        if let Self::Pooled(connection) = self {
            connection.give_up();
        }
    }

    /// Runs statements pipelined: one round trip.
    ///
    /// # Errors
    /// What the server answered to the first that failed.
    pub(crate) async fn run_all(&self, statements: &[Statement]) -> Result<Vec<Answer>, Error> {
        let answers = match self {
            Self::Pooled(connection) => connection.run_all(statements).await,
            Self::Transaction(transaction) => transaction.run_all(statements).await?,
        };
        answers.into_iter().collect()
    }

    /// Whether this is the connection of an open transaction.
    pub(crate) const fn is_transaction(&self) -> bool {
        matches!(self, Self::Transaction(_))
    }

    /// Runs statements pipelined, as of one moment: in a transaction of their own, if none is open; one round trip.
    ///
    /// # Errors
    /// What the server answered to the first that failed.
    pub(crate) async fn snapshot(&self, statements: &[Statement]) -> Result<Vec<Answer>, Error> {
        match self {
            Self::Pooled(connection) => TransactionConnection::snapshot(connection.clone(), statements).await,
            Self::Transaction(_) => self.run_all(statements).await,
        }
    }
}
