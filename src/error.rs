//! What can go wrong, with the facts a program needs as fields.

use std::time::Duration;

mod classify;

pub(crate) use classify::{ConstraintNames, is_plan_outdated};

/// The error of every operation of this crate.
///
/// Messages are lower-case, say what happened to which entity, field or constraint, and what to do. They never contain
/// passwords, and quote no values; the server's own message, which [`Database`](Self::Database) repeats, may. [`source`](std::error::Error::source) leads to the driver's error, where there is one.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No row matches: from `find_one_or_fail`, `refresh` and `load`.
    #[error("{entity} not found: {criteria}")]
    NotFound {
        /// The entity that was looked for.
        entity: &'static str,
        /// The key, or the condition without its values.
        criteria: String,
    },

    /// A relation was read that is not loaded. There is no implicit lazy loading: populate it in the query, or `load` it.
    #[error("{entity}{dot}{relation} is not loaded: populate it in the query, or call load()", dot = if relation.is_empty() { "" } else { "." })]
    NotLoaded {
        /// The entity that has the relation; of a [`Ref`](crate::Ref), the entity that it refers to.
        entity: &'static str,
        /// The relation's field; empty where the entity itself is not loaded.
        relation: &'static str,
    },

    /// This thread holds a guard of an entity that the operation needs. Drop the guard first.
    #[error("{entity} is borrowed: this thread holds a read() or write() guard of it; drop the guard first")]
    EntityBorrowed {
        /// The entity.
        entity: &'static str,
    },

    /// The entity does not belong to this manager, or no longer does.
    #[error(
        "{entity} is detached: it does not belong to this entity manager (any more); find it again with this manager"
    )]
    Detached {
        /// The entity.
        entity: &'static str,
    },

    /// A unique constraint or a primary key was violated (SQLSTATE 23505).
    #[error("{what} must be unique: constraint {constraint} of table {table}{detail}", what = describe(*entity, properties), detail = detail_of(source))]
    UniqueViolation {
        /// The entity that the constraint belongs to, if it is known.
        entity: Option<&'static str>,
        /// The fields of the constraint, if they are known.
        properties: Vec<&'static str>,
        /// The constraint's name.
        constraint: String,
        /// The table.
        table: String,
        /// The columns of the constraint, if they are known.
        columns: Box<[String]>,
        /// The server's answer.
        source: Box<tokio_postgres::Error>,
    },

    /// Rows exchange the values of a unique constraint in one flush, in a circle, and none of them can let go first: the
    /// columns must not be NULL, and the constraint is not deferrable (rule C8). Nothing was sent. Declare it `deferrable`, or flush in between
    /// with another value.
    #[error("rows exchange values of the unique constraint {constraint}: {}; declare it deferrable (an index with a condition or an expression cannot be), or flush one of them with another value first", entities.join(", "))]
    UnresolvableUniqueSwap {
        /// The constraint's name.
        constraint: String,
        /// Two of the entities, as `Name#key`.
        entities: Vec<String>,
    },

    /// A foreign key was violated: the row that is referred to is not there, or is still referred to (SQLSTATE 23503).
    #[error("{what} refers to a row that is not there, or the row is still referred to: constraint {constraint} of table {table}{detail}", what = describe(*entity, properties), detail = detail_of(source))]
    ForeignKeyViolation {
        /// The entity that the constraint belongs to, if it is known.
        entity: Option<&'static str>,
        /// The relation, if it is known.
        properties: Vec<&'static str>,
        /// The constraint's name.
        constraint: String,
        /// The table.
        table: String,
        /// The columns of the constraint, if they are known.
        columns: Box<[String]>,
        /// The server's answer.
        source: Box<tokio_postgres::Error>,
    },

    /// A column that must not be NULL would be (SQLSTATE 23502).
    #[error("{what} must not be NULL: column {column} of table {table}", what = describe(*entity, properties))]
    NotNullViolation {
        /// The entity, if it is known.
        entity: Option<&'static str>,
        /// The field, if it is known.
        properties: Vec<&'static str>,
        /// The table.
        table: String,
        /// The column.
        column: String,
        /// The server's answer.
        source: Box<tokio_postgres::Error>,
    },

    /// A check constraint was violated (SQLSTATE 23514).
    #[error("{what} is refused by check constraint {constraint} of table {table}", what = describe(*entity, properties))]
    CheckViolation {
        /// The entity, if it is known.
        entity: Option<&'static str>,
        /// The field, if the check belongs to one.
        properties: Vec<&'static str>,
        /// The constraint's name.
        constraint: String,
        /// The table.
        table: String,
        /// The server's answer.
        source: Box<tokio_postgres::Error>,
    },

    /// An exclusion constraint was violated (SQLSTATE 23P01).
    #[error("{what} conflicts with another row: exclusion constraint {constraint} of table {table}{detail}", what = describe(*entity, &[]), detail = detail_of(source))]
    ExclusionViolation {
        /// The entity, if it is known.
        entity: Option<&'static str>,
        /// The constraint's name.
        constraint: String,
        /// The table.
        table: String,
        /// The server's answer.
        source: Box<tokio_postgres::Error>,
    },

    /// Rows were changed or deleted by others since they were read: an UPDATE or DELETE found another `#[version]`, or no
    /// row; or `lock` was asked for another version than the one that was loaded. Nothing was written. `refresh` the
    /// entities and try again.
    #[error("changed or deleted by somebody else since it was read: {}; refresh and try again", entities.join(", "))]
    OptimisticLock {
        /// The stale entities, as `Name#key`.
        entities: Vec<String>,
    },

    /// The transaction could not be serialized with others (SQLSTATE 40001). Run it again.
    #[error("the transaction conflicts with a concurrent one; run it again")]
    SerializationFailure {
        /// The server's answer.
        source: Box<tokio_postgres::Error>,
    },

    /// The server ended a dead-lock by failing this transaction (SQLSTATE 40P01). Run it again.
    #[error("the server resolved a dead-lock by failing this transaction; run it again")]
    Deadlock {
        /// The server's answer.
        source: Box<tokio_postgres::Error>,
    },

    /// A lock was not available (SQLSTATE 55P03): somebody else holds one that conflicts. Try again later.
    #[error("{} is locked by another transaction; try again later", entity.unwrap_or("a row or table"))]
    LockNotAvailable {
        /// The entity that was to be locked, if it is known.
        entity: Option<&'static str>,
        /// The server's answer; `None` where a row that was to be locked was skipped.
        source: Option<Box<tokio_postgres::Error>>,
    },

    /// The statement was cancelled (SQLSTATE 57014): by a timeout of the server, or by request.
    #[error("the statement was cancelled{}", detail_of(source))]
    QueryCanceled {
        /// The server's answer.
        source: Box<tokio_postgres::Error>,
    },

    /// Waiting took longer than allowed.
    #[error("{what} took longer than {after:?}")]
    Timeout {
        /// What was waited for.
        what: &'static str,
        /// The limit.
        after: Duration,
    },

    /// The entities, arguments or options cannot be worked with; nothing was sent.
    #[error("{message}")]
    Validation {
        /// The entity, where there is one.
        entity: Option<&'static str>,
        /// What is wrong, and what to do.
        message: String,
    },

    /// The definitions of the entities do not fit together. All problems are listed.
    #[error("the entities do not fit together:\n  - {}", problems.join("\n  - "))]
    Metadata {
        /// Every problem, one sentence each.
        problems: Vec<String>,
    },

    /// A column's value could not be read into its field, or a field's value not be written.
    #[error("{entity}: column {column} cannot be converted: {message}")]
    Conversion {
        /// The entity.
        entity: &'static str,
        /// The column.
        column: String,
        /// What is wrong with the value.
        message: String,
    },

    /// The operation needs an open transaction.
    #[error("{operation} needs an open transaction: call begin() first, or use transactional()")]
    TransactionRequired {
        /// The operation.
        operation: &'static str,
    },

    /// The operation is not allowed inside a transaction: [`Propagation::Never`](crate::Propagation::Never).
    #[error("{operation} is not allowed inside a transaction")]
    TransactionForbidden {
        /// The operation.
        operation: &'static str,
    },

    /// A transaction was started on a manager while another one is open that this call is not inside of. One manager is
    /// one unit of work: use `fork()`.
    #[error(
        "another transaction is open on this entity manager: one manager is one unit of work; use fork() for concurrent ones"
    )]
    ConcurrentTransaction,

    /// A statement of the transaction has failed and its error was not passed on (SQLSTATE 25P02), or the transaction was
    /// rolled back while this operation was under way. Nothing of the transaction can be committed.
    #[error(
        "the transaction is rolled back: one of its statements has failed; pass that error on, or run what may fail in a nested transactional()"
    )]
    TransactionAborted,

    /// A row of a [`copy_in`](crate::EntityManager::copy_in) was refused; nothing was written.
    #[error("row {row}: {source}")]
    Row {
        /// Which row, from 1.
        row: u64,
        /// What is wrong with it.
        source: Box<Self>,
    },

    /// The transaction was to be committed, but a part of it that had joined it, by
    /// [`Propagation::Required`](crate::Propagation::Required) and the like, has failed. It was rolled back.
    #[error(
        "the transaction is rolled back: a part that had joined it has failed; pass its error on, or use Propagation::Nested for what may fail alone"
    )]
    TransactionRollbackOnly,

    /// A table was altered since a statement on it was prepared, and a transaction has met that (SQLSTATE 0A000, "cached plan must
    /// not change result type"); or it has got a trigger, and several rows were inserted. Nothing was written. Run the transaction
    /// again: the statement is prepared anew then.
    #[error(
        "a table was altered since the statement was prepared, and the transaction has failed over it: run it again, the statement is prepared anew"
    )]
    PlanOutdated {
        /// The server's answer.
        source: Box<tokio_postgres::Error>,
    },

    /// The transaction is read-only: it was begun so, or the server is a standby (SQLSTATE 25006). Nothing was written.
    #[error("the transaction is read-only{}", detail_of(source))]
    ReadOnlyTransaction {
        /// The server's answer.
        source: Box<tokio_postgres::Error>,
    },

    /// The connection was lost after COMMIT was sent, so it is not known whether the transaction was committed.
    #[error("the connection was lost during COMMIT: it is not known whether the transaction was committed")]
    CommitOutcomeUnknown {
        /// What the driver said.
        source: Box<tokio_postgres::Error>,
    },

    /// The server could not be reached, refused the connection or the password, or the connection was lost.
    #[error("{message}")]
    Connection {
        /// What happened, and to which server.
        message: String,
        /// The SQLSTATE, if the server answered.
        sqlstate: Option<String>,
        /// What the driver said.
        source: Option<Box<tokio_postgres::Error>>,
    },

    /// No connection of the pool was free in time, or the pool is closed.
    #[error("no connection available: {message}")]
    Pool {
        /// What happened.
        message: String,
    },

    /// Anything else that the server refused.
    #[error("the server refused the statement (SQLSTATE {sqlstate}): {message}")]
    Database {
        /// The SQLSTATE.
        sqlstate: String,
        /// The server's message.
        message: String,
        /// The server's answer.
        source: Box<tokio_postgres::Error>,
    },
}

impl Error {
    /// Whether running the same transaction again may succeed: a serialization failure, a dead-lock, a lock that was not
    /// available, a table that was altered meanwhile.
    #[must_use]
    pub const fn is_retryable(&self) -> bool {
        match self {
            Self::Row { source, .. } => source.is_retryable(),
            Self::SerializationFailure { .. }
            | Self::Deadlock { .. }
            | Self::LockNotAvailable { .. }
            | Self::PlanOutdated { .. } => true,
            _ => false,
        }
    }

    /// The SQLSTATE that the server answered with, if it did.
    #[must_use]
    pub fn sqlstate(&self) -> Option<&str> {
        match self {
            Self::Connection { sqlstate, .. } => sqlstate.as_deref(),
            Self::LockNotAvailable { .. } => Some("55P03"),
            Self::Row { source, .. } => source.sqlstate(),
            error => error.driver()?.code().map(tokio_postgres::error::SqlState::code),
        }
    }

    /// The server's answer to a statement, with all its fields.
    pub(crate) fn server(&self) -> Option<&tokio_postgres::error::DbError> {
        self.driver()?.as_db_error()
    }

    fn driver(&self) -> Option<&tokio_postgres::Error> {
        match self {
            Self::UniqueViolation { source, .. }
            | Self::ForeignKeyViolation { source, .. }
            | Self::NotNullViolation { source, .. }
            | Self::CheckViolation { source, .. }
            | Self::ExclusionViolation { source, .. }
            | Self::SerializationFailure { source }
            | Self::Deadlock { source }
            | Self::QueryCanceled { source }
            | Self::ReadOnlyTransaction { source }
            | Self::PlanOutdated { source }
            | Self::CommitOutcomeUnknown { source }
            | Self::Database { source, .. } => Some(source),
            _ => None,
        }
    }

    /// A validation error about an entity.
    pub(crate) fn validation(entity: &'static str, message: impl Into<String>) -> Self {
        Self::Validation { entity: Some(entity), message: message.into() }
    }
}

/// `User.email`, `User.(first, last)`, `User`, or `a value`.
fn describe(entity: Option<&'static str>, properties: &[&'static str]) -> String {
    match (entity, properties) {
        (None, _) => "a value".to_owned(),
        (Some(entity), []) => entity.to_owned(),
        (Some(entity), [property]) => format!("{entity}.{property}"),
        (Some(entity), properties) => format!("{entity}.({})", properties.join(", ")),
    }
}

/// The server's message; its detail is left out, because it quotes values.
fn detail_of(source: &tokio_postgres::Error) -> String {
    source.as_db_error().map(|error| format!(" ({})", error.message())).unwrap_or_default()
}
