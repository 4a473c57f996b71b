//! A question on its way: answered by what is kept of it, if it may be and is, and by the server otherwise.

use std::slice::from_ref;
use std::time::Duration;

use tokio_postgres::Row;

use super::reading::Flight;
use crate::error::Error;
use crate::manager::Session;
use crate::manager::cache::{Answered, Cached, Chunk, Recorder};
use crate::manager::flush_mode::Reads;
use crate::metadata::EntityDef;
use crate::query::FindOptions;
use crate::sql::{RowLock, Statement};

/// What is asked, of whom, and how.
pub(in crate::manager) struct Question<'q> {
    pub(in crate::manager) session: &'q Session,
    pub(in crate::manager) entity: &'q EntityDef,
    pub(in crate::manager) lock: Option<RowLock>,
    pub(in crate::manager) options: &'q FindOptions,
    pub(in crate::manager) reads: Reads<'q>,
}

impl<'q> Question<'q> {
    /// Takes a connection; from now on the time runs.
    ///
    /// # Errors
    /// As [`Flight::begin`].
    pub(in crate::manager) async fn begin(&self) -> Result<Flight<'q>, Error> {
        Flight::begin(self.session, self.lock, self.options, self.reads).await
    }

    /// For how long the answer is kept, if it is.
    pub(super) fn keeps_result(&self) -> Option<Duration> {
        let asks_anew = self.lock.is_some() || self.options.refresh;
        if asks_anew { None } else { self.session.keeps_result(self.options.cache) }
    }

    /// What is kept of the statements, behind a flush of what they would not see otherwise. Boxed where it is awaited, as is
    /// what keeps results: those who do not ask for it have no room for it.
    ///
    /// # Errors
    /// What the flush answered.
    async fn cached(&self, statements: &[Statement]) -> Result<Cached, Error> {
        self.session.flush_before(self.options.flush_mode, self.reads).await?;
        Ok(self.session.cached(statements).await)
    }

    /// The answers to statements that are sent together. There is no flight if all of them were kept: nothing was sent.
    ///
    /// # Errors
    /// What the server answered.
    pub(in crate::manager) async fn answers(
        &self,
        statements: &[Statement],
    ) -> Result<(Option<Flight<'q>>, Vec<Answered>), Error> {
        let mut missing = None;
        if let Some(time) = self.keeps_result() {
            match Box::pin(self.cached(statements)).await? {
                Cached::Hit(kept) => return Ok((None, kept.into_iter().map(Answered::Kept).collect())),
                Cached::Miss(places) => missing = Some((places, time)),
            }
        }
        let flight = self.begin().await?;
        let outcome = flight.limit(flight.executor().run_all(statements)).await;
        let (flight, answers) = flight.landed(outcome, self.entity)?;
        // A transaction that was begun in the meantime sees what others do not.
        if let (Some((places, time)), false) = (missing, flight.executor().is_transaction()) {
            let recorded = answers.iter().map(|answer| Recorder::of(&answer.rows)).collect();
            Box::pin(self.session.keep_results(places, statements, recorded, time)).await;
        }
        Ok((Some(flight), answers.into_iter().map(|answer| Answered::Fresh(answer.rows)).collect()))
    }

    /// Hands over the answer to a statement as it arrives, or as a whole if it was kept: then there is no flight.
    ///
    /// # Errors
    /// What the server answered, or what `take` did not accept.
    pub(in crate::manager) async fn stream(
        &self,
        statement: &Statement,
        take: &mut (dyn FnMut(Chunk<'_>) -> Result<(), Error> + Send),
    ) -> Result<Option<Flight<'q>>, Error> {
        let mut missing = None;
        if let Some(time) = self.keeps_result() {
            match Box::pin(self.cached(from_ref(statement))).await? {
                Cached::Hit(kept) => {
                    kept.iter().try_for_each(|kept| take(Chunk::Kept(kept)))?;
                    return Ok(None);
                }
                Cached::Miss(places) => missing = Some((places, time)),
            }
        }
        let flight = self.begin().await?;
        let mut recorder = missing.as_ref().map(|_| Recorder::default());
        let mut hand_over = |rows: &[Row]| {
            if let Some(recorder) = &mut recorder {
                recorder.push(rows);
            }
            take(Chunk::Fresh(rows))
        };
        let outcome = flight.limit(flight.executor().stream(statement, &mut hand_over)).await;
        let (flight, ()) = flight.landed(outcome, self.entity)?;
        // A transaction that was begun in the meantime sees what others do not.
        if let (Some((places, time)), Some(recorder), false) = (missing, recorder, flight.executor().is_transaction()) {
            Box::pin(self.session.keep_results(places, from_ref(statement), vec![recorder], time)).await;
        }
        Ok(Some(flight))
    }
}
