//! The limit of time of a transaction.

use std::future::Future;
use std::pin::pin;
use std::sync::Weak;
use std::time::Duration;

use tokio::time::{Instant, timeout, timeout_at};

use crate::driver::TransactionConnection;
use crate::error::Error;

/// When a transaction has to be over.
#[derive(Clone, Copy)]
pub(super) struct Deadline {
    /// The time, and how long that was from the start; `None` if there is no limit.
    limit: Option<(Instant, Duration)>,
}

/// How long the server is given to answer that it has rolled back; it does so later, then.
const PATIENCE: Duration = Duration::from_secs(5);

impl Deadline {
    pub(super) fn after(timeout: Option<Duration>) -> Self {
        Self { limit: timeout.and_then(|timeout| Some((Instant::now().checked_add(timeout)?, timeout))) }
    }

    /// Whether a pause of this length ends in time.
    pub(super) fn allows(&self, pause: Duration) -> bool {
        self.limit.is_none_or(|(at, _)| Instant::now() + pause < at)
    }

    /// Waits for a future, at most until the deadline. When that is reached, what the server is doing on the connection is
    /// cancelled, and only then the future is dropped: nothing it sends when it is dropped can be what is cancelled.
    ///
    /// # Errors
    /// [`Error::Timeout`].
    pub(super) async fn limit<T>(
        &self,
        connection: &Weak<TransactionConnection>,
        future: impl Future<Output = T>,
    ) -> Result<T, Error> {
        let Some((at, after)) = self.limit else { return Ok(future.await) };
        let mut future = pin!(future);
        if let Ok(output) = timeout_at(at, &mut future).await {
            return Ok(output);
        }
        cancel(connection).await;
        Err(timed_out(after))
    }

    /// Waits for the end of a transaction, which may not be given up: nobody would know whether the COMMIT that was sent has
    /// been carried out. When the deadline is reached, what the server is doing is cancelled.
    ///
    /// # Errors
    /// [`Error::Timeout`] if that has made it fail; its own errors.
    pub(super) async fn limit_commit(
        &self,
        connection: &Weak<TransactionConnection>,
        commit: impl Future<Output = Result<(), Error>>,
    ) -> Result<(), Error> {
        let Some((mut at, after)) = self.limit else { return commit.await };
        let mut commit = pin!(commit);
        let mut is_late = false;
        let mut pause = Duration::from_millis(50);
        loop {
            match timeout_at(at, &mut commit).await {
                Ok(Err(Error::QueryCanceled { .. })) if is_late => return Err(timed_out(after)),
                Ok(ended) => return ended,
                Err(_) => {}
            }
            // It may have come between two statements: until the commit is over there may be another one.
            is_late = true;
            cancel(connection).await;
            at = Instant::now() + pause;
            pause = (pause * 2).min(PATIENCE);
        }
    }

    /// Waits for a rollback: as long as it takes, unless the deadline has been missed.
    pub(super) async fn limit_rollback(&self, rollback: impl Future<Output = ()>) {
        match self.limit {
            None => rollback.await,
            // Dropping it gives up the answer, not the rollback.
            Some(_) => drop(timeout(PATIENCE, rollback).await),
        }
    }
}

async fn cancel(connection: &Weak<TransactionConnection>) {
    // If it is gone, the transaction is over.
    if let Some(connection) = connection.upgrade() {
        connection.cancel().await;
    }
}

const fn timed_out(after: Duration) -> Error {
    Error::Timeout { what: "the transaction", after }
}
