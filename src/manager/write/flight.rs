//! The I/O of a flush: keys that are needed first, then all statements with BEGIN and COMMIT in one flight (rule C2).
//!
//! Statements fail by themselves when they do not write what they were asked to, so COMMIT need not wait for their answers. Only if
//! keys that the database makes can neither be known nor taken beforehand, statements wait for those that make them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::FlushSummary;
use super::commit_outcome::resolve;
use super::next_keys::{keys_of, next_keys};
use super::stale::checks_rows;
use super::unfinished::Written;
use crate::driver::{Answer, Connection, TransactionConnection};
use crate::error::Error;
use crate::manager::Shared;
use crate::sql::{self, GuardFailure, Intake, Statement};
use crate::unit_of_work::{Allocation, ChangeSet, Outcome, Plan, PlannedStatement, bind, plan, stale, suppressed};

/// Where a flush takes place.
pub(super) enum Place {
    /// In a transaction of its own, on this connection; on another one if it has to be tried again.
    Own(Option<Connection>),
    /// In an open one; a failure gives up no more than the flush.
    Savepoint(Arc<TransactionConnection>),
    /// In an open one, whose innermost scope fails with it.
    Scope(Arc<TransactionConnection>),
    /// In an open one, which it commits.
    Ending(Arc<TransactionConnection>),
}

/// A flush on its way. Owns everything it needs: it goes on even if nobody waits for it.
pub(super) struct Flight {
    pub(super) orm: Arc<Shared>,
    pub(super) changes: Arc<ChangeSet>,
    pub(super) plan: Plan,
    place: Place,
    summary: FlushSummary,
    is_committing: Arc<AtomicBool>,
    /// Whether nobody waits for it any more: what fails is not tried again.
    is_given_up: Arc<AtomicBool>,
    /// Whether a failure undoes no more than the flush, so that it can be tried again.
    is_repeatable: bool,
    /// Whether it is all that its transaction does.
    is_everything: bool,
    /// Whether the transaction has written before.
    pub(super) has_written: bool,
    /// Whether it is the second attempt, because statements had been prepared for tables that were altered since.
    is_prepared_anew: bool,
    /// Whether pivot rows of new rows are inserted without looking for those that are there.
    links_anew: bool,
    /// Whether stale rows may be more than those of one statement.
    pub(super) is_stale_elsewhere: bool,
}

/// Why a flush did not arrive.
enum Failure {
    /// The keys of this entity have no order: nothing was written, and it is done in another way.
    Unordered(usize),
    /// Pivot rows of this entity were there, though one end of each is new: nothing was written, and those are left out.
    Linked(usize),
    /// A table was altered since a statement was prepared: nothing was written, and all statements are prepared anew.
    Outdated,
    /// These rows of the change set were not found as they have been read.
    Stale(Vec<usize>),
    Final(Error),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Final(error)
    }
}

/// Statements that are sent together, each with what was planned and the rows that it writes.
struct Batch<'p> {
    statements: Vec<Statement>,
    written: Vec<(&'p PlannedStatement, Vec<usize>)>,
    is_last: bool,
}

/// Where the statements of a flush are sent.
pub(super) enum Line {
    /// A connection without a transaction: the statement alone commits.
    Alone(Connection),
    Transaction(OpenFlush),
}

/// The transaction, or the part of it, that is undone if the flush does not end well.
pub(in crate::manager) struct OpenFlush {
    pub(super) connection: Arc<TransactionConnection>,
    pub(super) extent: Extent,
    is_done: bool,
}

#[derive(Clone, Copy)]
pub(in crate::manager) enum Extent {
    Transaction,
    Savepoint(u64),
    /// Whoever ends the scope undoes it.
    Nothing,
}

impl Flight {
    pub(super) fn new(
        orm: &Arc<Shared>,
        changes: &Arc<ChangeSet>,
        plan: Plan,
        place: Place,
        summary: FlushSummary,
        has_written: bool,
    ) -> Self {
        let (orm, changes) = (Arc::clone(orm), Arc::clone(changes));
        let is_everything = match &place {
            Place::Own(_) => true,
            Place::Ending(connection) => connection.is_unused(),
            Place::Savepoint(_) | Place::Scope(_) => false,
        };
        Self {
            orm,
            changes,
            plan,
            place,
            summary,
            is_committing: Arc::default(),
            is_given_up: Arc::default(),
            is_repeatable: false,
            is_everything,
            has_written,
            is_prepared_anew: false,
            links_anew: true,
            is_stale_elsewhere: false,
        }
    }

    /// Becomes true when COMMIT is sent, and false again if the server has rolled back.
    pub(super) fn is_committing(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.is_committing)
    }

    /// Becomes true when nobody waits any more.
    pub(super) fn is_given_up(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.is_given_up)
    }

    /// Writes everything.
    pub(super) async fn fly(mut self: Box<Self>) -> Result<Written, Error> {
        let mut is_first = true;
        loop {
            if let (Place::Ending(connection), true, false) = (&self.place, self.is_everything, is_first) {
                self.place = Place::Ending(Arc::new(connection.begin_again()));
            }
            is_first = false;
            match self.attempt().await {
                Err(Failure::Unordered(_) | Failure::Linked(_) | Failure::Outdated)
                    if self.is_given_up.load(Ordering::Acquire) =>
                {
                    return Err(Error::TransactionAborted);
                }
                Err(Failure::Unordered(entity)) => {
                    // Nothing was written. With keys that are taken beforehand it does not matter in which order they come.
                    self.orm.keys.set_intake(entity, Intake::Altering);
                    self.plan = plan(&self.orm.metadata, &self.orm.order, &self.changes, &self.orm.keys)?;
                }
                Err(Failure::Linked(entity)) => {
                    self.orm.keys.note_links(entity);
                    self.links_anew = false;
                    self.plan = plan(&self.orm.metadata, &self.orm.order, &self.changes, &self.orm.keys)?;
                }
                Err(Failure::Outdated) => {
                    self.is_prepared_anew = true;
                    self.plan = plan(&self.orm.metadata, &self.orm.order, &self.changes, &self.orm.keys)?;
                }
                Err(Failure::Stale(rows)) => return Err(stale(&self.orm.metadata, &self.changes, &rows)),
                Err(Failure::Final(error)) => return Err(error),
                Ok((outcome, open)) => return Ok(Written { outcome, summary: self.summary, open }),
            }
        }
    }

    /// Whether it may turn out that keys cannot be told apart which the database makes, in a table of which that is believed.
    fn may_be_unordered(&self, believes: impl Fn(usize) -> bool) -> bool {
        self.plan.statements.iter().any(|statement| match statement {
            PlannedStatement::Insert { entity, rows, makes_keys, .. } => {
                *makes_keys && rows.len() > 1 && self.orm.keys.intake(*entity) == Intake::Unknown && believes(*entity)
            }
            _ => false,
        })
    }

    async fn attempt(&mut self) -> Result<(Outcome, Option<OpenFlush>), Failure> {
        self.is_stale_elsewhere = self.may_be_stale_twice();
        self.is_repeatable = match self.place {
            Place::Own(_) | Place::Savepoint(_) => true,
            // The savepoint takes no trip.
            Place::Scope(_) => self.is_stale_elsewhere || self.may_be_unordered(|_| true),
            // With a savepoint, COMMIT would take a trip of its own.
            Place::Ending(_) => {
                !self.is_everything && self.may_be_unordered(|entity| !self.orm.keys.is_expected_plain(entity))
            }
        };
        self.links_anew &= self.is_repeatable || self.is_everything;
        let mut line = self.open().await?;
        let mut outcome = self.take_keys(&line).await?;
        let plan = std::mem::take(&mut self.plan);
        let mut next = 0;
        loop {
            let batch = self.next_batch(&plan, &mut outcome, &mut next)?;
            if batch.statements.len() > 1 || !batch.is_last {
                line.begin();
            }
            self.summary.statements += batch.statements.len() as u64;
            self.summary.round_trips += 1;
            let answers = match self.send(&mut line, &batch).await {
                Err(Failure::Stale(rows)) => return Err(Box::pin(self.all_stale(&mut line, rows)).await.into()),
                answers => answers?,
            };
            self.take_in(&mut outcome, &batch, &answers)?;
            if batch.is_last {
                self.summary.deleted += outcome.removed_rows;
                return Ok((outcome, line.into_open()));
            }
        }
    }

    /// Commits an open transaction without writing anything more: one round trip.
    ///
    /// # Errors
    /// What the server answered; [`Error::CommitOutcomeUnknown`] if the connection was lost and it cannot be found out.
    pub(super) async fn commit(orm: &Shared, connection: &TransactionConnection) -> Result<(), Error> {
        let answers = connection.commit(&[]).await;
        resolve(orm, answers).await.map(|_| ()).map_err(|(error, _)| error)
    }

    /// Opens what the statements are sent on.
    async fn open(&mut self) -> Result<Line, Error> {
        if let Place::Own(connection) = &mut self.place
            && let Some(connection) = connection.take()
        {
            return Ok(Line::Alone(connection));
        }
        let (connection, extent) = match &self.place {
            // In a box: rare, and large.
            Place::Own(_) => return Ok(Line::Alone(Box::pin(self.orm.pool.acquire()).await?)),
            Place::Savepoint(connection) => (connection, Extent::Savepoint(connection.savepoint()?)),
            Place::Scope(connection) | Place::Ending(connection) if self.is_repeatable => {
                (connection, Extent::Savepoint(connection.savepoint()?))
            }
            Place::Scope(connection) | Place::Ending(connection) => (connection, Extent::Nothing),
        };
        Ok(Line::Transaction(OpenFlush::new(Arc::clone(connection), extent)))
    }

    /// Takes the keys that new rows refer to, before anything is written: from the stock, or all that are missing in one flight.
    async fn take_keys(&mut self, line: &Line) -> Result<Outcome, Error> {
        let (orm, changes) = (Arc::clone(&self.orm), Arc::clone(&self.changes));
        loop {
            let missing = |allocation: &Allocation| orm.keys.missing(allocation.entity, allocation.rows.len());
            let asked = self.plan.allocations.iter().map(|allocation| (allocation, missing(allocation)));
            let asked: Vec<(&Allocation, usize)> = asked.filter(|(_, missing)| *missing > 0).collect();
            let mut is_refused = false;
            if !asked.is_empty() {
                let statements: Vec<Statement> =
                    asked.iter().map(|(allocation, count)| next_keys(&orm.metadata, allocation, *count)).collect();
                self.summary.statements += statements.len() as u64;
                self.summary.round_trips += 1;
                let answers = match line {
                    Line::Alone(connection) => Box::pin(connection.run_all(&statements)).await,
                    Line::Transaction(open) => Box::pin(open.connection.run_all(&statements)).await?,
                };
                for ((allocation, _), answer) in asked.iter().zip(answers) {
                    match keys_of(&orm.metadata, allocation, &answer?)? {
                        Some(keys) => orm.keys.put(allocation.entity, keys),
                        None => {
                            orm.keys.refuse(allocation.entity);
                            is_refused = true;
                        }
                    }
                }
            }
            if is_refused {
                self.plan = plan(&orm.metadata, &orm.order, &changes, &orm.keys)?;
                continue;
            }
            let mut outcome = Outcome::before(&orm.metadata, &changes);
            let mut is_complete = true;
            for allocation in &self.plan.allocations {
                match orm.keys.take(allocation.entity, allocation.rows.len()) {
                    Some(keys) => outcome.allocate(&orm.metadata, &changes, allocation, keys)?,
                    // Another manager has emptied the stock: what was taken already is a gap in the sequence.
                    None => is_complete = false,
                }
            }
            if is_complete {
                outcome.compose(&orm.metadata, &changes)?;
                return Ok(outcome);
            }
        }
    }

    /// The statements that can be sent now: all, unless some need keys that others make.
    fn next_batch<'p>(&self, plan: &'p Plan, outcome: &mut Outcome, next: &mut usize) -> Result<Batch<'p>, Error> {
        let orm = &self.orm;
        let left = plan.statements.len() - *next;
        let mut batch =
            Batch { statements: Vec::with_capacity(left), written: Vec::with_capacity(left), is_last: false };
        while let Some(statement) = plan.statements.get(*next) {
            // The first is ready, or no later one can be: what it needs has been answered.
            if !batch.statements.is_empty() && !statement.is_ready(&self.changes, &outcome.keys) {
                break;
            }
            let is_plain = |entity: usize| matches!(orm.keys.intake(entity), Intake::Unordered | Intake::Plain);
            let now = outcome.now(&orm.metadata, &self.changes);
            let links_anew = |entity: usize| self.links_anew && !orm.keys.has_links(entity);
            let bound = bind(&orm.metadata, &orm.texts, now, &is_plain, &links_anew, statement)?;
            outcome.bound(&orm.metadata, &self.changes, statement)?;
            for (bound, rows) in bound {
                batch.statements.push(bound);
                batch.written.push((statement, rows));
            }
            *next += 1;
        }
        batch.is_last = *next >= plan.statements.len();
        Ok(batch)
    }

    /// Sends statements and waits for the answers.
    async fn send(&self, line: &mut Line, batch: &Batch<'_>) -> Result<Vec<Answer>, Failure> {
        let commits = batch.is_last
            && match self.place {
                Place::Own(_) => true,
                Place::Ending(_) => !self.is_repeatable,
                Place::Savepoint(_) | Place::Scope(_) => false,
            };
        if commits {
            self.is_committing.store(true, Ordering::Release);
        }
        match (line, batch.statements.first()) {
            (Line::Alone(connection), Some(statement)) => {
                let answer = connection.run_alone(statement).await;
                self.landed(resolve(&self.orm, answer).await, batch)
            }
            (Line::Alone(_), None) => Ok(Vec::new()),
            (Line::Transaction(open), _) if commits => {
                // In a box, so that a flush of one statement has room in a small one.
                let answers = Box::pin(open.connection.commit(&batch.statements)).await;
                open.is_done = true;
                self.landed(resolve(&self.orm, answers).await, batch)
            }
            (Line::Transaction(open), _) => {
                let answers = open.connection.run_all(&batch.statements).await?;
                let mut done = Vec::with_capacity(answers.len());
                // The first failure is the cause; what follows only says that the transaction is aborted.
                for (index, answer) in answers.into_iter().enumerate() {
                    done.push(answer.map_err(|error| self.explain((error, Some(index)), batch))?);
                }
                Ok(done)
            }
        }
    }

    /// What has become of a COMMIT.
    fn landed(
        &self,
        resolved: Result<Vec<Answer>, (Error, Option<usize>)>,
        batch: &Batch<'_>,
    ) -> Result<Vec<Answer>, Failure> {
        resolved.map_err(|failure| {
            if !matches!(failure.0, Error::CommitOutcomeUnknown { .. }) {
                self.is_committing.store(false, Ordering::Release);
            }
            self.explain(failure, batch)
        })
    }

    /// The error for what a statement has found wrong with itself.
    fn explain(&self, (error, statement): (Error, Option<usize>), batch: &Batch<'_>) -> Failure {
        if let (Error::PlanOutdated { .. }, true, false) = (&error, self.is_everything, self.is_prepared_anew) {
            return Failure::Outdated;
        }
        if let (Some("23505" | "23P01"), Some(index), true) = (error.sqlstate(), statement, self.links_anew)
            && let Some((PlannedStatement::Link { link }, _)) = batch.written.get(index)
        {
            return Failure::Linked(self.changes.links[*link].entity);
        }
        if let (Error::Database { message, .. }, Some(index)) = (&error, statement)
            && let Some(failure) = sql::guard_failure(message)
            && let Some((statement, rows)) = batch.written.get(index)
        {
            if let (GuardFailure::Unordered, PlannedStatement::Insert { entity, .. }) = (&failure, statement) {
                let may_again = self.is_repeatable || self.is_everything;
                return if may_again { Failure::Unordered(*entity) } else { self.altered(*entity, error) };
            }
            if let (GuardFailure::NotFound(positions), true) = (&failure, checks_rows(statement)) {
                return Failure::Stale(positions.iter().filter_map(|position| rows.get(*position).copied()).collect());
            }
            return suppressed(&self.orm.metadata, statement).into();
        }
        error.into()
    }

    /// The failure for a table that was plain when the Orm has looked at it, and is no more: what the transaction has done before is lost.
    fn altered(&self, entity: usize, error: Error) -> Failure {
        self.orm.keys.set_intake(entity, Intake::Altering);
        if let Place::Ending(connection) = &self.place {
            connection.conflict().store(true, Ordering::Release);
        }
        match error {
            Error::Database { source, .. } => Error::PlanOutdated { source }.into(),
            error => error.into(),
        }
    }

    fn take_in(&self, outcome: &mut Outcome, batch: &Batch<'_>, answers: &[Answer]) -> Result<(), Error> {
        let (metadata, changes) = (&self.orm.metadata, &*self.changes);
        for ((statement, rows), answer) in batch.written.iter().zip(answers) {
            outcome.take(metadata, statement, rows, answer)?;
            if let PlannedStatement::Insert { entity, .. } = statement
                && matches!(self.orm.keys.intake(*entity), Intake::Unknown | Intake::Altering)
            {
                self.orm.keys.set_intake(*entity, intake_of(answer));
            }
        }
        outcome.compose(metadata, changes)
    }
}

impl Line {
    /// Begins a transaction for more than one statement.
    fn begin(&mut self) {
        if let Self::Alone(connection) = self {
            let connection = Arc::new(TransactionConnection::begin(connection.clone()));
            *self = Self::Transaction(OpenFlush::new(connection, Extent::Transaction));
        }
    }

    /// What is not committed yet.
    fn into_open(self) -> Option<OpenFlush> {
        match self {
            Self::Transaction(open) if !open.is_done => Some(open),
            _ => None,
        }
    }
}

impl OpenFlush {
    pub(in crate::manager) const fn new(connection: Arc<TransactionConnection>, extent: Extent) -> Self {
        Self { connection, extent, is_done: false }
    }

    /// Ends it, and keeps what was written.
    pub(in crate::manager) fn finish(&mut self) -> Result<(), Error> {
        self.connection.check()?;
        if let Extent::Savepoint(number) = self.extent {
            self.connection.release(number);
        }
        self.is_done = true;
        Ok(())
    }
}

impl OpenFlush {
    /// Undoes what was written, without waiting for it.
    pub(super) fn undo(&mut self) {
        if std::mem::replace(&mut self.is_done, true) {
            return;
        }
        match self.extent {
            Extent::Nothing => {}
            Extent::Savepoint(number) => self.connection.roll_back_to(number),
            Extent::Transaction => self.connection.abandon(),
        }
    }
}

impl Drop for OpenFlush {
    fn drop(&mut self) {
        self.undo();
    }
}

/// What a guarded INSERT tells of its table, in its last column.
fn intake_of(answer: &Answer) -> Intake {
    let last = answer.rows.first().and_then(|row| row.try_get::<usize, i32>(row.len().checked_sub(1)?).ok());
    last.map_or(Intake::Unknown, |number| Intake::from_number(number.into()))
}
