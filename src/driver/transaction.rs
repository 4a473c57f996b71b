//! A connection with an open transaction.
//!
//! `BEGIN`, savepoints and rollbacks are sent without waiting: requests are answered in order, so they share the flight of
//! the next statement and cost no trip of their own (rule D1).

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;

use parking_lot::Mutex;
use rustc_hash::FxHashMap;

use super::connection::{Answer, Connection, RowSink};
use super::pipeline::Posted;
use crate::error::Error;
use crate::sql::Statement;
use crate::sql::transaction::{
    COMMIT, IsolationLevel, NUMBER, READ_ONLY, ROLLBACK, TransactionOptions, begin, release, rollback_to, savepoint,
    savepoint_name,
};

/// An open transaction. Dropping it rolls back: the `ROLLBACK` is sent before the connection goes back to the pool, so
/// whoever gets it next is behind it (rule C12).
pub(crate) struct TransactionConnection {
    connection: Connection,
    options: TransactionOptions,
    /// Whether anything was sent in it but savepoints.
    is_used: AtomicBool,
    /// Locked while something is sent, so that nothing can be sent behind the end of the transaction, where it would
    /// commit by itself.
    sent: Mutex<Sent>,
    /// Whether a statement has failed that no savepoint was rolled back for: the server refuses all others.
    failed: AtomicBool,
    /// Whether the server has reported a conflict with another transaction, even one that a savepoint was rolled back for.
    conflict: Arc<AtomicBool>,
}

/// Why a transaction is not known to be committed.
pub(crate) enum CommitFailure {
    /// Nothing was committed.
    RolledBack {
        error: Error,
        /// Which statement has failed, if it was one of them.
        statement: Option<usize>,
    },
    /// The connection was lost before COMMIT was answered.
    Unknown {
        source: Box<tokio_postgres::Error>,
        /// The number of the transaction, if the server has told it.
        number: Option<String>,
        /// The answers to the statements, if all have arrived.
        answers: Option<Vec<Answer>>,
    },
}

impl From<Error> for CommitFailure {
    fn from(error: Error) -> Self {
        Self::RolledBack { error, statement: None }
    }
}

struct Sent {
    /// Answers that nobody has waited for yet.
    posted: Vec<(SentAt, Posted<'static, Result<(), tokio_postgres::Error>>)>,
    open: bool,
    savepoints: u64,
    /// The savepoints that were rolled back to, one after the other.
    rolled_back: Vec<u64>,
    /// The names of savepoints with a label.
    labelled: FxHashMap<u64, String>,
    /// Whether the server was asked to cancel what it is doing.
    cancelled: bool,
}

/// Where in a transaction something was sent: how many savepoints it had, and how often it had gone back to one.
#[derive(Clone, Copy)]
pub(super) struct SentAt {
    savepoints: u64,
    undone: usize,
}

impl SentAt {
    /// In front of everything.
    const BEFORE_ALL: Self = Self { savepoints: 0, undone: 0 };
}

impl Sent {
    const fn now(&self) -> SentAt {
        SentAt { savepoints: self.savepoints, undone: self.rolled_back.len() }
    }

    /// Whether the transaction has gone back behind what was sent there: to a savepoint that was there already.
    fn has_undone(&self, at: SentAt) -> bool {
        self.rolled_back.iter().skip(at.undone).any(|savepoint| *savepoint <= at.savepoints)
    }

    fn name(&self, savepoint: u64) -> String {
        self.labelled.get(&savepoint).cloned().unwrap_or_else(|| savepoint_name(savepoint, None))
    }
}

impl TransactionConnection {
    /// Begins a transaction.
    pub(crate) fn begin(connection: Connection) -> Self {
        Self::begin_with(connection, TransactionOptions::new())
    }

    /// Begins a transaction with options, which are part of the `BEGIN`.
    pub(crate) fn begin_with(connection: Connection, options: TransactionOptions) -> Self {
        let connection = connection.in_transaction();
        let posted = vec![(SentAt::BEFORE_ALL, connection.post(&begin(options)))];
        let (rolled_back, labelled) = (Vec::new(), FxHashMap::default());
        let sent = Sent { posted, open: true, savepoints: 0, rolled_back, labelled, cancelled: false };
        Self {
            connection,
            options,
            is_used: AtomicBool::new(false),
            sent: Mutex::new(sent),
            failed: AtomicBool::new(false),
            conflict: Arc::default(),
        }
    }

    /// Whether nothing was sent in it: it has read nothing and written nothing.
    pub(crate) fn is_unused(&self) -> bool {
        !self.is_used.load(Ordering::Acquire)
    }

    /// Ends it, without waiting for that, and begins another one like it. What that meets counts for this one, too.
    pub(crate) fn begin_again(&self) -> Self {
        self.abandon();
        // Nobody waits for the answers.
        self.sent.lock().posted.clear();
        self.conflict.store(false, Ordering::Release);
        let mut again = Self::begin_with(self.connection.clone(), self.options);
        again.conflict = Arc::clone(&self.conflict);
        again
    }

    /// The connection, for what is sent while the transaction is open.
    pub(super) const fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Whether the transaction has not ended yet.
    pub(crate) fn is_open(&self) -> bool {
        self.sent.lock().open
    }

    /// Checks that the transaction can still be committed, as far as that is known without asking the server.
    ///
    /// # Errors
    /// [`Error::TransactionAborted`] if a statement has failed, or if the transaction has ended.
    pub(crate) fn check(&self) -> Result<(), Error> {
        if self.failed.load(Ordering::Acquire) || !self.is_open() { Err(Error::TransactionAborted) } else { Ok(()) }
    }

    /// Begins a savepoint; answers with its number in this transaction.
    ///
    /// # Errors
    /// [`Error::TransactionAborted`] if a statement has failed: the server would refuse the savepoint.
    pub(crate) fn savepoint(&self) -> Result<u64, Error> {
        self.savepoint_with(None, false)
    }

    /// Begins a savepoint: with a label in its name, or one that nothing can be written in.
    ///
    /// # Errors
    /// As [`savepoint`](Self::savepoint).
    pub(crate) fn savepoint_with(&self, label: Option<&str>, read_only: bool) -> Result<u64, Error> {
        self.check()?;
        let mut sent = self.sent.lock();
        sent.savepoints += 1;
        let number = sent.savepoints;
        if label.is_some() {
            sent.labelled.insert(number, savepoint_name(number, label));
        }
        let begin = savepoint(&sent.name(number));
        self.post(&mut sent, &begin);
        if read_only {
            self.post(&mut sent, READ_ONLY);
        }
        Ok(number)
    }

    /// Ends a savepoint and keeps what was done since.
    pub(crate) fn release(&self, number: u64) {
        let mut sent = self.sent.lock();
        let text = release(&sent.name(number));
        self.post(&mut sent, &text);
    }

    /// Undoes everything since the savepoint, and ends it.
    pub(crate) fn roll_back_to(&self, number: u64) {
        let mut sent = self.sent.lock();
        let text = rollback_to(&sent.name(number));
        sent.rolled_back.push(number);
        self.post(&mut sent, &text);
        self.failed.store(false, Ordering::Release);
    }

    /// How often the transaction has gone back to a savepoint.
    pub(crate) fn undone(&self) -> usize {
        self.sent.lock().rolled_back.len()
    }

    /// Closes a cursor without waiting for the answer. In a transaction that has failed it is gone with that.
    pub(crate) fn close_cursor(&self, text: &str) {
        if self.check().is_ok() {
            self.post(&mut self.sent.lock(), text);
        }
    }

    /// Sends a statement without parameters, if the transaction is open; a failure shows in the next
    /// [`run_all`](Self::run_all).
    fn post(&self, sent: &mut Sent, text: &str) {
        if sent.open {
            let request = self.connection.post(text);
            sent.posted.push((sent.now(), request));
        }
    }

    /// Runs one statement: one round trip, together with everything that was posted.
    ///
    /// # Errors
    /// What the server answered, to the posted statements first; [`Error::TransactionAborted`] if the transaction has
    /// ended.
    pub(crate) async fn run(&self, statement: &Statement) -> Result<Answer, Error> {
        let (answer, at) = self.while_open(pin!(self.connection.run(statement))).await?;
        self.note(answer.as_ref().err(), at);
        self.settle().await?;
        answer
    }

    /// Runs one statement and hands its rows over as they arrive: one round trip, together with everything that was posted.
    ///
    /// # Errors
    /// What the server answered, to the posted statements first, or what `take` did not accept;
    /// [`Error::TransactionAborted`] if the transaction has ended.
    pub(crate) async fn stream(&self, statement: &Statement, take: RowSink<'_>) -> Result<(), Error> {
        // Only sending needs the transaction to be open: `take` locks entities.
        let (streamed, at) = match self.while_open(pin!(self.connection.begin_stream(statement))).await? {
            (Ok(started), at) => (self.connection.hand_over(started, take).await, at),
            (Err(error), at) => (Err(error), at),
        };
        self.note(streamed.as_ref().err(), at);
        self.settle().await?;
        streamed
    }

    /// Runs statements pipelined: one round trip, together with everything that was posted.
    ///
    /// # Errors
    /// What the server answered to a posted statement; the statements have their own answers.
    /// [`Error::TransactionAborted`] if the transaction has ended.
    pub(crate) async fn run_all(&self, statements: &[Statement]) -> Result<Vec<Result<Answer, Error>>, Error> {
        let (answers, at) = self.while_open(pin!(self.connection.run_all(statements))).await?;
        self.note(answers.iter().find_map(|answer| answer.as_ref().err()), at);
        self.settle().await?;
        Ok(answers)
    }

    /// Runs statements on the connection of a transaction that has ended, each by itself: one round trip.
    pub(crate) async fn run_after(&self, statements: &[Statement]) -> Vec<Result<Answer, Error>> {
        self.connection.run_all(statements).await
    }

    /// Sends a request, which its first poll does, unless the transaction has ended; then waits for the answer. Says where it was
    /// sent.
    pub(super) fn while_open<T, R: Future<Output = T>>(
        &self,
        mut request: Pin<&mut R>,
    ) -> impl Future<Output = Result<(T, SentAt), Error>> {
        self.is_used.store(true, Ordering::Release);
        let mut sent_at = None;
        poll_fn(move |context| {
            let guard = if sent_at.is_some() { None } else { Some(self.sent.lock()) };
            if guard.as_ref().is_some_and(|sent| !sent.open) {
                return Poll::Ready(Err(Error::TransactionAborted));
            }
            let at = *sent_at.get_or_insert_with(|| guard.as_ref().map_or(SentAt::BEFORE_ALL, |sent| sent.now()));
            request.as_mut().poll(context).map(|answer| Ok((answer, at)))
        })
    }

    /// Notes that the server has failed the transaction with what was sent there, unless that has gone back behind it since. What
    /// only this side did not accept has not failed it.
    pub(super) fn note(&self, error: Option<&Error>, at: SentAt) {
        let Some(error) = error else { return };
        let failed =
            error.sqlstate().is_some() || matches!(error, Error::Connection { .. } | Error::TransactionAborted);
        if failed {
            // Locked: nobody goes back in between.
            let sent = self.sent.lock();
            if matches!(error, Error::Connection { .. }) || !sent.has_undone(at) {
                self.failed.store(true, Ordering::Release);
            }
        }
        // Everything is prepared anew when it is run again.
        let is_conflict = |error: &Error| {
            matches!(error, Error::SerializationFailure { .. } | Error::Deadlock { .. } | Error::PlanOutdated { .. })
        };
        if is_conflict(error) {
            self.conflict.store(true, Ordering::Release);
        }
    }

    /// Where something would be sent now.
    pub(super) fn now(&self) -> SentAt {
        self.sent.lock().now()
    }

    /// Whether the server has reported a conflict with another transaction. The answer outlives the connection's use.
    pub(crate) fn conflict(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.conflict)
    }

    /// Asks the server to cancel the statement that it is running for this transaction; answers when it has been told.
    /// Nothing happens if it is running none.
    pub(crate) async fn cancel(self: &Arc<Self>) {
        self.sent.lock().cancelled = true;
        // Finished even if this future is dropped, with the connection in hand: a request that arrived late would cancel
        // a statement of whoever has the connection next.
        let this = Arc::clone(self);
        let _ = tokio::spawn(async move { this.connection.cancel().await }).await;
    }

    /// Waits for what was posted.
    ///
    /// # Errors
    /// What the server answered.
    pub(super) async fn settle(&self) -> Result<(), Error> {
        let posted = std::mem::take(&mut self.sent.lock().posted);
        let mut failure = None;
        for (at, request) in posted {
            if let Err(error) = request.answer().await {
                failure.get_or_insert((at, error));
            }
        }
        let Some((at, error)) = failure else { return Ok(()) };
        let error = self.connection.error(error);
        self.note(Some(&error), at);
        Err(error)
    }

    /// Runs the last statements and commits, all in one flight: one round trip.
    ///
    /// # Errors
    /// [`CommitFailure::RolledBack`] with what the server answered to the first statement that failed, or to COMMIT
    /// (deferred constraints are checked there); [`CommitFailure::Unknown`] if the connection was lost first.
    ///
    /// # Cancel safety
    /// COMMIT is sent by the first poll: the server carries it out even if the future is dropped.
    pub(crate) async fn commit(&self, statements: &[Statement]) -> Result<Vec<Answer>, CommitFailure> {
        self.check()?;
        if self.connection.is_closed() {
            self.abandon();
            let message = "the connection to the server was lost".to_owned();
            return Err(Error::Connection { message, sqlstate: None, source: None }.into());
        }
        let mut work = pin!(self.connection.run_all(statements));
        let mut ending = None;
        let answers = poll_fn(|context| {
            if ending.is_some() {
                return work.as_mut().poll(context).map(Ok);
            }
            let mut sent = self.sent.lock();
            if !sent.open {
                return Poll::Ready(Err(Error::TransactionAborted));
            }
            let polled = work.as_mut().poll(context);
            ending = Some((self.connection.post_query(NUMBER), self.connection.post(COMMIT)));
            sent.open = false;
            polled.map(Ok)
        })
        .await?;
        let settled = self.settle().await;
        let Some((number, commit)) = ending else { return Err(Error::TransactionAborted.into()) };
        let number = number.answer().await.map_err(|error| self.connection.error(error));
        let commit = commit.answer().await.map_err(|error| self.connection.error(error));
        let (mut done, mut failures) = (Vec::with_capacity(answers.len()), Vec::new());
        failures.extend(settled.err().map(|error| (error, None)));
        for (index, answer) in answers.into_iter().enumerate() {
            match answer {
                Ok(answer) => done.push(answer),
                Err(error) => failures.push((error, Some(index))),
            }
        }
        let at = self.now();
        for (error, _) in &failures {
            self.note(Some(error), at);
        }
        self.note(commit.as_ref().err(), at);
        let is_complete = failures.is_empty();
        let number = number.map_err(|error| failures.push((error, None))).unwrap_or_default();
        // The first failure is the cause; what follows only says that the transaction is aborted.
        match (failures.into_iter().next(), commit) {
            (None, Ok(())) => Ok(done),
            (Some((error, statement)), Ok(())) => Err(CommitFailure::RolledBack { error, statement }),
            // The server has said no before it came to COMMIT.
            (Some((error, statement)), Err(_)) if error.sqlstate().is_some() => {
                Err(CommitFailure::RolledBack { error, statement })
            }
            // A session that the server ends before it has answered has not committed.
            (_, Err(Error::Connection { sqlstate: None, source: Some(source), .. })) => {
                Err(CommitFailure::Unknown { source, number, answers: is_complete.then_some(done) })
            }
            (_, Err(error)) => Err(error.into()),
        }
    }

    /// Runs statements in a read-only transaction of their own that sees what was committed before it began, all in one
    /// flight: one round trip.
    ///
    /// # Errors
    /// What the server answered to the first statement that failed.
    ///
    /// # Cancel safety
    /// COMMIT is sent by the first poll, behind the statements: the transaction ends even if the future is dropped.
    pub(super) async fn snapshot(connection: Connection, statements: &[Statement]) -> Result<Vec<Answer>, Error> {
        let options = TransactionOptions::new().isolation(IsolationLevel::RepeatableRead).read_only();
        let this = Self::begin_with(connection, options);
        let mut work = pin!(this.connection.run_all(statements));
        let mut ending = None;
        let answers = poll_fn(|context| {
            let polled = work.as_mut().poll(context);
            if ending.is_none() {
                ending = Some(this.connection.post(COMMIT));
                this.sent.lock().open = false;
            }
            polled
        })
        .await;
        this.settle().await?;
        if let Some(ending) = ending {
            ending.answer().await.map_err(|error| this.connection.error(error))?;
        }
        answers.into_iter().collect()
    }

    /// Rolls back without waiting for the answer. Nothing is sent any more after that.
    pub(crate) fn abandon(&self) {
        let mut sent = self.sent.lock();
        self.post(&mut sent, ROLLBACK);
        sent.open = false;
    }

    /// Waits until the server has rolled back: one round trip.
    ///
    /// # Errors
    /// If the connection is lost.
    pub(crate) async fn ended(&self) -> Result<(), Error> {
        self.connection.count_trip();
        self.settle().await
    }
}

impl Drop for TransactionConnection {
    fn drop(&mut self) {
        self.abandon();
        if self.sent.lock().cancelled {
            // What the request to cancel has hit may have been the ROLLBACK, or the COMMIT.
            drop(self.connection.post(ROLLBACK));
        }
    }
}
