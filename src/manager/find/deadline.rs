//! The limit of time of one query.

use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use futures_util::future::Either;
use tokio::time::{Instant, timeout, timeout_at};

use crate::driver::Executor;
use crate::error::Error;

/// When a query has to be over.
#[derive(Clone, Copy)]
pub(super) struct Deadline {
    /// The time, and how long that was from the start; `None` if there is no limit.
    limit: Option<(Instant, Duration)>,
}

/// How long the server is given to answer that it has cancelled the statement.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long is waited before the server is asked again: the request may have come between two statements.
const FIRST_PAUSE: Duration = Duration::from_millis(50);

impl Deadline {
    pub(super) fn after(timeout: Option<Duration>) -> Self {
        Self { limit: timeout.and_then(|timeout| Some((Instant::now().checked_add(timeout)?, timeout))) }
    }

    /// Waits for what a connection is doing. When the deadline is reached, the server is asked to cancel it, and its answer
    /// is waited for: until then the connection is of no use to anybody.
    ///
    /// # Errors
    /// [`Error::Timeout`] if the server has cancelled the statement, or does not answer; the errors of the work itself.
    pub(super) fn limit<T, W: Future<Output = Result<T, Error>>>(
        self,
        executor: &Executor,
        work: W,
    ) -> impl Future<Output = Result<T, Error>> {
        // Work without a limit is not wrapped: futures that hold others add up.
        match self.limit {
            None => Either::Left(work),
            Some((at, after)) => Either::Right(Box::pin(limited(at, after, executor, work))),
        }
    }
}

async fn limited<T>(
    at: Instant,
    after: Duration,
    executor: &Executor,
    work: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    let mut work = pin!(work);
    if let Ok(done) = timeout_at(at, &mut work).await {
        return done;
    }
    let timed_out = Error::Timeout { what: "the query", after };
    let given_up = Instant::now() + PATIENCE;
    let mut pause = FIRST_PAUSE;
    loop {
        executor.cancel().await;
        match timeout(pause, &mut work).await {
            Ok(Err(Error::QueryCanceled { .. })) => return Err(timed_out),
            Ok(done) => return done,
            Err(_) if Instant::now() >= given_up => {
                executor.give_up();
                return Err(timed_out);
            }
            Err(_) => pause = (pause * 2).min(PATIENCE),
        }
    }
}
