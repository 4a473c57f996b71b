//! One connection of the pool, for as long as somebody uses it.

use std::pin::pin;
use std::sync::Arc;

use deadpool_postgres::Object;
use futures_util::TryStreamExt;
use futures_util::future::BoxFuture;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Row, RowStream};

use super::log::StatementLog;
use super::pipeline::{InOrder, Posted};
use super::statement_cache::PreparedStatements;
use crate::error::Error;
use crate::metadata::Metadata;
use crate::sql::{Param, Statement};

/// What the server answered to one statement.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) rows: Vec<Row>,
    /// How many rows were written, or read.
    pub(crate) affected: u64,
}

type DriverResult<T> = Result<T, tokio_postgres::Error>;

/// A connection that was taken from the pool; goes back when the last clone is dropped.
#[derive(Clone)]
pub(crate) struct Connection {
    client: Arc<Object>,
    prepared: Option<Arc<PreparedStatements>>,
    log: Option<StatementLog>,
    metadata: Arc<Metadata>,
}

impl Connection {
    pub(super) fn new(
        client: Object,
        prepared: Option<Arc<PreparedStatements>>,
        log: Option<StatementLog>,
        metadata: Arc<Metadata>,
    ) -> Self {
        Self { client: Arc::new(client), prepared, log, metadata }
    }

    /// Runs one statement: one round trip.
    ///
    /// # Errors
    /// What the server answered.
    pub(crate) async fn run(&self, statement: &Statement) -> Result<Answer, Error> {
        self.count_trip();
        self.send(statement).await.map_err(|error| self.error(error))
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
    pub(super) fn post(&self, text: &str) -> Posted<DriverResult<()>> {
        let text: Arc<str> = text.into();
        self.record(&text);
        let client = Arc::clone(&self.client);
        Posted::send(Box::pin(async move { client.batch_execute(&text).await }))
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

    /// Notes that an answer is waited for.
    pub(super) fn count_trip(&self) {
        if let Some(log) = &self.log {
            log.record_trip();
        }
    }

    /// The typed form of the driver's error.
    pub(super) fn error(&self, error: tokio_postgres::Error) -> Error {
        Error::from_driver(error, &*self.metadata)
    }

    fn record(&self, text: &Arc<str>) {
        tracing::debug!(target: "howdah::sql", sql = &**text);
        if let Some(log) = &self.log {
            log.record(text);
        }
    }

    /// Runs a statement, prepared if it was run on this connection before.
    ///
    /// The first time it is sent unprepared and prepared behind it, in the same flight: preparing first would cost a
    /// round trip of its own.
    async fn send(&self, statement: &Statement) -> DriverResult<Answer> {
        self.record(&statement.text);
        let params = || statement.params.iter().map(|param| param as &(dyn ToSql + Sync));
        let Some(cache) = &self.prepared else {
            return collect(self.client.query_typed_raw(&statement.text, typed(&statement.params)).await?).await;
        };
        let known = cache.lock().get(&statement.text).cloned();
        if let Some(prepared) = known {
            return collect(self.client.query_raw(&prepared, params()).await?).await;
        }
        let run =
            async { collect(self.client.query_typed_raw(&statement.text, typed(&statement.params)).await?).await };
        let prepare = async {
            // If this fails, so did the statement itself, or the next run tries again.
            if let Ok(prepared) = self.client.prepare(&statement.text).await {
                cache.lock().put(Arc::clone(&statement.text), prepared);
            }
        };
        let (answer, ()) = futures_util::future::join(run, prepare).await;
        answer
    }
}

/// Parameters with the types that the statement's casts name.
fn typed(params: &[Param]) -> Vec<(&(dyn ToSql + Sync), Type)> {
    params
        .iter()
        .map(|param| (param as &(dyn ToSql + Sync), Type::from_oid(param.oid()).unwrap_or(Type::UNKNOWN)))
        .collect()
}

async fn collect(stream: RowStream) -> DriverResult<Answer> {
    let mut stream = pin!(stream);
    let mut rows = Vec::new();
    while let Some(row) = stream.try_next().await? {
        rows.push(row);
    }
    let affected = stream.rows_affected().unwrap_or(rows.len() as u64);
    Ok(Answer { rows, affected })
}
