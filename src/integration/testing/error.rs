//! What can go wrong on the way to a test database, and what to do about it.

use std::error::Error;
use std::fmt;
use std::io;
use std::path::PathBuf;

/// The error of [`testing`](super): why there is no database for the test.
///
/// `Debug` prints the message and its causes, because that is what `unwrap()` and a test that returns `Err` show.
#[non_exhaustive]
#[derive(thiserror::Error)]
pub enum TestingError {
    /// PostgreSQL's server programs are not installed, or not where they were looked for.
    #[error(
        "PostgreSQL's server programs initdb and postgres were not found in {}; install them ({install}), or set \
         PG_BIN_DIR to their directory, or DATABASE_URL to use a running server",
        searched.join(", ")
    )]
    ProgramsNotFound {
        /// Where they were looked for.
        searched: Vec<String>,
        /// The command that installs them on this system.
        install: &'static str,
    },

    /// PostgreSQL refuses to run as root, and there is no other user to run it as.
    #[error(
        "PostgreSQL refuses to run as root, and there is no user `postgres` or `nobody` to run it as; run the tests as another user, or set DATABASE_URL"
    )]
    NoServerUser,

    /// No directory is fit for the server's files.
    #[error("no directory is fit for the files of a test server: {}; free some space, or set TMPDIR", rejected.join("; "))]
    NoDirectory {
        /// Every directory that was considered, and why it is not fit.
        rejected: Vec<String>,
    },

    /// A program did not do what it should.
    #[error("`{program}` failed: {output}")]
    Program {
        /// The program, with its arguments.
        program: String,
        /// What it printed, or why it could not be run.
        output: String,
    },

    /// The ephemeral server ended before it was ready, or was not ready in time.
    #[error("the test server did not start; its log says: {log}")]
    ServerStart {
        /// The server's log.
        log: String,
    },

    /// A file or directory of the ephemeral server could not be worked with.
    #[error("cannot {action} {}", path.display())]
    File {
        /// What was tried.
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },

    /// `DATABASE_URL` is not an URL that a test database can be derived from.
    #[error(
        "DATABASE_URL cannot be used for tests: {reason}; set it to postgresql://user@host:port/database, or unset it to use a server of the tests' own"
    )]
    DatabaseUrl {
        /// What is wrong with it.
        reason: String,
    },

    /// The server could not be reached, or refused the connection.
    #[error("cannot connect to the server for tests, {server}")]
    Connect {
        /// User, host and port; never the password.
        server: String,
        /// What the driver said.
        source: tokio_postgres::Error,
    },

    /// The server is too old.
    #[error("the server for tests is PostgreSQL {version}; version 13 or newer is needed")]
    ServerVersion {
        /// The version, as the server names it.
        version: String,
    },

    /// The server refused a statement.
    #[error("a statement failed in database {database}")]
    Statement {
        /// The database.
        database: String,
        /// The server's answer.
        source: tokio_postgres::Error,
    },

    /// The function that fills a template database failed. The next call with this key runs its own.
    #[error("the set-up of template database {key:?} failed")]
    Setup {
        /// The key of the template.
        key: String,
        /// The error that the set-up returned.
        source: Box<dyn Error + Send + Sync>,
    },

    /// The thread that administers the test databases has ended, or could not be started.
    #[error("the thread that administers the test databases is not running: {reason}")]
    Administrator {
        /// Why, as far as it is known.
        reason: String,
    },
}

impl TestingError {
    /// For `map_err` of the operations on files.
    pub(super) fn file(action: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { action, path, source }
    }
}

impl fmt::Debug for TestingError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{self}")?;
        let mut cause = self.source();
        while let Some(error) = cause {
            write!(formatter, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}
