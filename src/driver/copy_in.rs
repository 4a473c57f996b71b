//! `COPY … FROM STDIN`: rows are sent as they come, and the server has them only when the copy is finished.

use std::pin::{Pin, pin};

use bytes::Bytes;
use futures_util::SinkExt;
use tokio_postgres::CopyInSink;

use super::connection::Connection;
use super::transaction::TransactionConnection;
use crate::error::Error;

/// A copy that is under way. Dropping it gives it up: the server keeps nothing of it.
pub(crate) struct CopyIn {
    sink: Pin<Box<CopyInSink<Bytes>>>,
    connection: Connection,
}

impl Connection {
    /// Begins a copy: two round trips, because its statement has to be prepared.
    ///
    /// # Errors
    /// What the server answered.
    pub(crate) async fn copy_in(&self, text: &str) -> Result<CopyIn, Error> {
        let statement = self.prepare_copy(text).await?;
        self.begin_copy(&statement).await
    }

    async fn prepare_copy(&self, text: &str) -> Result<tokio_postgres::Statement, Error> {
        self.count_trip();
        self.record(&text.into());
        self.client().prepare(text).await.map_err(|error| self.error(error))
    }

    /// Sends the request with the first poll.
    async fn begin_copy(&self, statement: &tokio_postgres::Statement) -> Result<CopyIn, Error> {
        self.count_trip();
        let sink = self.client().copy_in(statement).await.map_err(|error| self.error(error))?;
        Ok(CopyIn { sink: Box::pin(sink), connection: self.clone() })
    }
}

impl TransactionConnection {
    /// Begins a copy in the transaction: two round trips, together with everything that was posted. Other statements wait until it has
    /// ended.
    ///
    /// # Errors
    /// What the server answered, to the posted statements first; [`Error::TransactionAborted`] if the transaction has
    /// ended.
    pub(crate) async fn copy_in(&self, text: &str) -> Result<CopyIn, Error> {
        let (statement, at) = self.while_open(pin!(self.connection().prepare_copy(text))).await?;
        self.note(statement.as_ref().err(), at);
        self.settle().await?;
        let (begun, at) = self.while_open(pin!(self.connection().begin_copy(&statement?))).await?;
        self.note(begun.as_ref().err(), at);
        begun
    }

    /// Ends a copy of the transaction.
    ///
    /// # Errors
    /// As [`CopyIn::finish`].
    pub(crate) async fn finish_copy(&self, copy: CopyIn) -> Result<u64, Error> {
        let at = self.now();
        let finished = copy.finish().await;
        self.note(finished.as_ref().err(), at);
        finished
    }
}

impl CopyIn {
    /// Sends some rows; waits while the server is slower.
    ///
    /// # Errors
    /// [`Error::Connection`] if the connection is lost. What the server does not like about a row it says at the end.
    pub(crate) async fn send(&mut self, rows: Bytes) -> Result<(), Error> {
        self.sink.send(rows).await.map_err(|error| self.connection.error(error))
    }

    /// Ends the copy; answers with the number of rows.
    ///
    /// # Errors
    /// What the server answered; then it has kept nothing.
    pub(crate) async fn finish(mut self) -> Result<u64, Error> {
        self.connection.count_trip();
        self.sink.as_mut().finish().await.map_err(|error| self.connection.error(error))
    }
}
