//! Writing past the unit of work: statements that are sent at once, without a flush.
//!
//! Outside of a transaction they commit by themselves; inside of one they are a savepoint of it, so that a failure undoes no
//! more than they have written. Both take one round trip.

use std::sync::Arc;

use super::commit_outcome::resolve;
use super::flight::{Extent, Flight, OpenFlush, Place};
use super::unfinished::Flying;
use super::{FlushSummary, Session};
use crate::driver::{Answer, Executor, TransactionConnection};
use crate::error::Error;
use crate::manager::keys::AskAgain;
use crate::sql::Statement;
use crate::types::Key;
use crate::unit_of_work::{ChangeSet, plan};

impl Session {
    /// Inserts the rows of a change set; answers with their keys, in order.
    ///
    /// # Errors
    /// What the server answered.
    pub(in crate::manager) async fn insert_rows(&self, changes: ChangeSet) -> Result<Vec<Option<Key>>, Error> {
        if changes.is_empty() {
            return Ok(Vec::new());
        }
        let _serial = self.serialised().await?;
        let (metadata, order, keys) = (&self.orm.metadata, &self.orm.order, &self.orm.keys);
        let plan = plan(metadata, order, &changes, keys)
            .or_else(|error| plan(metadata, order, &changes, &AskAgain(keys)).map_err(|_| error))?;
        let place = match self.transaction() {
            None => Place::Own(Some(self.orm.pool.acquire().await?)),
            Some(connection) => Place::Savepoint(connection),
        };
        let changes = Arc::new(changes);
        let flight = Flight::new(&self.orm, &changes, plan, place, FlushSummary::default(), false);
        self.wrote_directly();
        let mut written = Flying::new(flight, &self.orm, &changes).arrived().await?;
        if let Some(open) = &mut written.open {
            open.finish()?;
        }
        self.wrote_directly();
        self.wrote_tables(|| changes.tables(metadata));
        self.settle_results().await;
        Ok(written.outcome.keys)
    }

    /// Sends statements, all or none of which take effect.
    ///
    /// # Errors
    /// What the server answered to the first that failed, and which one that is.
    pub(in crate::manager) async fn write_directly(
        &self,
        statements: &[Statement],
    ) -> Result<Vec<Answer>, (Error, Option<usize>)> {
        let plain = |error: Error| (error, None);
        let _serial = self.serialised().await.map_err(plain)?;
        let Some(connection) = self.transaction() else {
            let connection = self.orm.pool.acquire().await.map_err(plain)?;
            let sent = self.sends(statements, &Executor::Pooled(connection.clone()));
            let answers = match statements {
                [] => Ok(Vec::new()),
                [statement] => connection.run_alone(statement).await,
                _ => TransactionConnection::begin(connection).commit(statements).await,
            };
            let answers = resolve(&self.orm, answers).await;
            sent.answered().await;
            return answers;
        };
        let sent = self.sends(statements, &Executor::Transaction(Arc::clone(&connection)));
        let extent = Extent::Savepoint(connection.savepoint().map_err(plain)?);
        let mut open = OpenFlush::new(connection, extent);
        let mut done = Vec::with_capacity(statements.len());
        // The first failure is the cause; what follows only says that the transaction is aborted.
        for (index, answer) in open.connection.run_all(statements).await.map_err(plain)?.into_iter().enumerate() {
            done.push(answer.map_err(|error| (error, Some(index)))?);
        }
        open.finish().map_err(plain)?;
        sent.answered().await;
        Ok(done)
    }

    /// Notes that rows were written: what is read now is undone with the transaction, and what filters hide may be other rows.
    pub(in crate::manager) fn wrote_directly(&self) {
        self.tracker.wrote();
        self.graph().sights.forget_rows();
    }
}
