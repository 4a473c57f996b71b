//! One connection of the pool, for as long as somebody uses it.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use deadpool_postgres::Object;
use futures_util::future::{BoxFuture, join};
use futures_util::{Stream, TryStreamExt};
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Row, RowStream, SimpleQueryMessage};

use super::cancel::CancelAddress;
use super::ended::EndedConnections;
use super::log::StatementLog;
use super::pipeline::{InOrder, Posted};
use super::statement_cache::{PreparedStatements, StatementCaches};
use super::transaction::CommitFailure;
use crate::error::{Error, is_plan_outdated};
use crate::metadata::Metadata;
use crate::sql::{Param, Statement, is_of_a_cursor};

/// What the server answered to one statement.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) rows: Vec<Row>,
    /// How many rows the statement wrote or read.
    pub(crate) affected: u64,
}

type DriverResult<T> = Result<T, tokio_postgres::Error>;

/// A connection that was taken from the pool; goes back when the last clone is dropped.
#[derive(Clone)]
pub(crate) struct Connection {
    client: Arc<Object>,
    /// Its own prepared statements, and those of all connections of the pool.
    prepared: Option<(Arc<PreparedStatements>, Arc<StatementCaches>)>,
    ended: EndedConnections,
    log: Option<StatementLog>,
    metadata: Arc<Metadata>,
    address: Arc<CancelAddress>,
    /// Whether a statement that has failed cannot be run again: it is part of a transaction.
    in_transaction: bool,
}

impl Connection {
    pub(super) fn new(
        client: Object,
        prepared: Option<(Arc<PreparedStatements>, Arc<StatementCaches>)>,
        ended: EndedConnections,
        log: Option<StatementLog>,
        metadata: Arc<Metadata>,
        address: Arc<CancelAddress>,
    ) -> Self {
        Self { client: Arc::new(client), prepared, ended, log, metadata, address, in_transaction: false }
    }

    /// The connection for a transaction: statements that fail are not run again.
    pub(super) fn in_transaction(mut self) -> Self {
        self.in_transaction = true;
        self
    }

    /// Asks the server to cancel the statement that it is running for this connection; answers when it has been told.
    pub(super) async fn cancel(&self) {
        self.address.cancel(&self.client.cancel_token()).await;
    }

    /// Keeps the pool from giving the connection out again.
    pub(super) fn give_up(&self) {
        self.ended.add(&self.client.statement_cache);
    }

    /// Runs one statement: one round trip.
    ///
    /// # Errors
    /// What the server answered.
    pub(crate) async fn run(&self, statement: &Statement) -> Result<Answer, Error> {
        self.count_trip();
        self.send(statement).await.map_err(|error| self.error(error))
    }

    /// Runs one statement, which commits by itself: one round trip.
    ///
    /// # Errors
    /// What the server answered; [`CommitFailure::Unknown`] if the connection was lost first.
    pub(crate) async fn run_alone(&self, statement: &Statement) -> Result<Vec<Answer>, CommitFailure> {
        let was_open = !self.is_closed();
        match self.run(statement).await {
            Ok(answer) => Ok(vec![answer]),
            Err(Error::Connection { sqlstate: None, source: Some(source), .. }) if was_open => {
                Err(CommitFailure::Unknown { source, number: None, answers: None })
            }
            Err(error) => Err(CommitFailure::RolledBack { error, statement: Some(0) }),
        }
    }

    /// Runs statements pipelined: one round trip. Every statement has its own answer; the ones behind a failed one fail,
    /// too, if a transaction is open.
    pub(crate) async fn run_all(&self, statements: &[Statement]) -> Vec<Result<Answer, Error>> {
        self.count_trip();
        let futures =
            statements.iter().map(|statement| Box::pin(self.send(statement)) as BoxFuture<'_, DriverResult<Answer>>);
        let answers = InOrder::new(futures).await;
        answers.into_iter().map(|answer| answer.map_err(|error| self.error(error))).collect()
    }

    /// Sends statements without parameters, and does not wait for the answer.
    pub(super) fn post(&self, text: &str) -> Posted<'static, DriverResult<()>> {
        let text: Arc<str> = text.into();
        self.record(&text);
        let client = Arc::clone(&self.client);
        Posted::send(Box::pin(async move { client.batch_execute(&text).await }))
    }

    /// Sends a query without parameters, and does not wait for the answer: the first column of its first row, as text.
    pub(super) fn post_query(&self, text: &str) -> Posted<'static, DriverResult<Option<String>>> {
        let text: Arc<str> = text.into();
        self.record(&text);
        let client = Arc::clone(&self.client);
        Posted::send(Box::pin(async move {
            let messages = client.simple_query(&text).await?;
            Ok(messages.iter().find_map(|message| match message {
                SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
                _ => None,
            }))
        }))
    }

    /// Whether the connection is known to be lost: nothing that is sent now reaches the server.
    pub(crate) fn is_closed(&self) -> bool {
        self.client.is_closed()
    }

    /// Runs statements without parameters, separated by `;`: one round trip, one transaction.
    ///
    /// # Errors
    /// What the server answered.
    pub(crate) async fn batch(&self, text: &str) -> Result<(), Error> {
        self.count_trip();
        self.record(&text.into());
        self.client.batch_execute(text).await.map_err(|error| self.error(error))
    }

    /// Runs a query without parameters that is not part of anybody's work, and neither recorded nor counted: the first column
    /// of its rows, as text. One round trip.
    ///
    /// # Errors
    /// What the server answered.
    pub(crate) async fn look_up(&self, query: &str) -> Result<Vec<Option<String>>, Error> {
        tracing::debug!(target: "howdah::sql", sql = query);
        let messages = self.client.simple_query(query).await.map_err(|error| self.error(error))?;
        let first = messages.iter().filter_map(|message| match message {
            SimpleQueryMessage::Row(row) => Some(row.get(0).map(str::to_owned)),
            _ => None,
        });
        Ok(first.collect())
    }

    /// A [`batch`](Self::batch) with a query to [`look_up`](Self::look_up) behind it: one round trip.
    pub(crate) async fn batch_and_look_up(
        &self,
        text: &str,
        query: &str,
    ) -> (Result<(), Error>, Result<Vec<Option<String>>, Error>) {
        // Each is sent by its first poll, and both answers are taken in as they come.
        join(self.batch(text), self.look_up(query)).await
    }

    /// Waits until the server has answered everything that was sent, or the connection is lost.
    pub(super) async fn drained(&self) {
        let _ = self.client.batch_execute("").await;
    }

    /// The driver's connection.
    pub(super) fn client(&self) -> &tokio_postgres::Client {
        &self.client
    }

    /// Notes that an answer is waited for.
    pub(super) fn count_trip(&self) {
        if let Some(log) = &self.log {
            log.record_trip();
        }
    }

    /// The typed form of the driver's error. A connection that has ended is not used again.
    pub(super) fn error(&self, error: tokio_postgres::Error) -> Error {
        let error = Error::from_driver(error, &*self.metadata);
        if matches!(error, Error::Connection { .. }) {
            self.ended.add(&self.client.statement_cache);
        }
        error
    }

    pub(super) fn record(&self, text: &Arc<str>) {
        tracing::debug!(target: "howdah::sql", sql = &**text);
        if let Some(log) = &self.log {
            log.record(text);
        }
    }

    /// Runs a statement and keeps its rows.
    async fn send(&self, statement: &Statement) -> DriverResult<Answer> {
        let Started { rows, prepare } = self.start(statement).await?;
        let mut rows = pin!(rows);
        let mut answer = Answer { rows: Vec::new(), affected: 0 };
        while let Some(row) = rows.try_next().await? {
            answer.rows.push(row);
        }
        answer.affected = rows.rows_affected().unwrap_or_default();
        finish(prepare).await;
        Ok(answer)
    }

    /// Runs one statement and hands its rows over as they arrive, some at a time: one round trip.
    ///
    /// # Errors
    /// What the server answered, or what `take` did not accept; then the other rows are not looked at.
    pub(crate) async fn stream(&self, statement: &Statement, take: RowSink<'_>) -> Result<(), Error> {
        let started = self.begin_stream(statement).await?;
        self.hand_over(started, take).await
    }

    /// The first part of [`stream`](Self::stream): sends the statement.
    ///
    /// # Errors
    /// What the server answered.
    pub(super) async fn begin_stream(&self, statement: &Statement) -> Result<Started<'_>, Error> {
        self.count_trip();
        self.start(statement).await.map_err(|error| self.error(error))
    }

    /// The other part of [`stream`](Self::stream): hands over the rows.
    ///
    /// # Errors
    /// What the server answered, or what `take` did not accept.
    pub(super) async fn hand_over(&self, started: Started<'_>, take: RowSink<'_>) -> Result<(), Error> {
        let Started { rows, prepare } = started;
        let mut rows = pin!(rows);
        let mut some = Vec::with_capacity(ROWS_AT_A_TIME);
        loop {
            let has_more = poll_fn(|context| {
                while some.len() < ROWS_AT_A_TIME {
                    match rows.as_mut().poll_next(context) {
                        Poll::Ready(Some(Ok(row))) => some.push(row),
                        Poll::Ready(Some(Err(error))) => return Poll::Ready(Err(error)),
                        Poll::Ready(None) => return Poll::Ready(Ok(false)),
                        Poll::Pending => return Poll::Pending,
                    }
                }
                Poll::Ready(Ok(true))
            });
            let has_more = has_more.await.map_err(|error| self.error(error))?;
            if !has_more {
                break;
            }
            take(&some)?;
            some.clear();
        }
        finish(prepare).await;
        take(&some)
    }

    /// Sends a statement, prepared if it was run on this connection before.
    ///
    /// The first time it is sent unprepared and prepared behind it, in the same flight: preparing first would cost a
    /// round trip of its own.
    ///
    /// A statement whose result has other types than when it was prepared is refused by the server before it has done anything:
    /// it is run again unprepared, once, unless that would be part of a transaction, which has failed by then (rule E7).
    async fn start(&self, statement: &Statement) -> DriverResult<Started<'_>> {
        self.record(&statement.text);
        let kept = self.prepared.as_ref().filter(|_| !is_of_a_cursor(&statement.text));
        let mut known = kept.map(|(cache, _)| (cache, cache.find(&statement.text)));
        if let Some((cache, Some(Some(prepared)))) = &known {
            let params = statement.params.iter().map(|param| param as &(dyn ToSql + Sync));
            // In a box: the driver's future has room for preparing, too, and would make those of all callers large.
            match Box::pin(self.client.query_raw(prepared, params)).await {
                Err(error) if is_plan_outdated(&error) => {
                    // So are others, of this connection and of the others: whoever altered the table is done with it.
                    if let Some((_, all)) = &self.prepared {
                        all.forget_all();
                    }
                    if self.in_transaction {
                        return Err(error);
                    }
                    self.count_trip();
                    self.record(&statement.text);
                    known = Some((cache, None));
                }
                rows => return Ok(Started { rows: rows?, prepare: None }),
            }
        }
        let mut unprepared = Box::pin(self.client.query_typed_raw(&statement.text, typed(&statement.params)));
        let Some((cache, None)) = known else {
            // Not prepared on purpose, or already under way: the same statement twice in one flight.
            return Ok(Started { rows: unprepared.await?, prepare: None });
        };
        let preparing = cache.begin(&statement.text);
        let sent = poll_fn(|context| Poll::Ready(unprepared.as_mut().poll(context))).await;
        let (text, client) = (Arc::clone(&statement.text), &self.client);
        let prepare = Posted::send(Box::pin(async move {
            // If this fails, so did the statement itself, or the next run tries again.
            if let Ok(prepared) = client.prepare(&text).await {
                preparing.done(prepared);
            }
        }));
        let rows = match sent {
            Poll::Ready(rows) => rows?,
            Poll::Pending => unprepared.await?,
        };
        Ok(Started { rows, prepare: Some(prepare) })
    }
}

/// A statement whose rows are arriving, and its preparation, which is answered behind them.
pub(super) struct Started<'a> {
    rows: RowStream,
    prepare: Option<Posted<'a, ()>>,
}

/// Waits for the preparation of a statement whose rows have all arrived, so that it takes no trip.
async fn finish(prepare: Option<Posted<'_, ()>>) {
    if let Some(prepare) = prepare {
        prepare.answer().await;
    }
}

/// Parameters with the types that the statement's casts name.
fn typed(params: &[Param]) -> Vec<(&(dyn ToSql + Sync), Type)> {
    params
        .iter()
        .map(|param| (param as &(dyn ToSql + Sync), Type::from_oid(param.oid()).unwrap_or(Type::UNKNOWN)))
        .collect()
}

/// Takes in some rows of a result.
pub(crate) type RowSink<'a> = &'a mut (dyn FnMut(&[Row]) -> Result<(), Error> + Send);

/// How many rows are handed over at once: few enough to be in the first-level cache when they are read, many enough for
/// the locks.
const ROWS_AT_A_TIME: usize = 32;
