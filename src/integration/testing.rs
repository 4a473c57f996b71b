//! A PostgreSQL that starts itself, and a database of its own for every test.
//!
//! The first test of a process that asks for a database starts an ephemeral server from the PostgreSQL programs that are
//! installed on the machine; all tests of the process share it. It listens on a Unix socket only, keeps its files in memory
//! where it can, and is gone with the process, however the process ends. Nothing has to be configured, and nothing is left.
//!
//! ```
//! use howdah::testing::{TestDatabase, TestingError};
//!
//! # fn main() -> Result<(), TestingError> {
//! # let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
//! # runtime.block_on(async {
//! let database = TestDatabase::new().await?;
//! database.execute("CREATE TABLE books (title text); INSERT INTO books VALUES ('Emma')").await?;
//! assert_eq!(database.query("SELECT title FROM books").await?, [[Some("Emma".to_owned())]]);
//! // database.url() is what an Orm, a pool or another client connects to
//! # Ok(())
//! # })
//! # }
//! ```
//!
//! # Which server
//!
//! | environment | what happens |
//! |---|---|
//! | `DATABASE_URL` is set | the databases are made on that server; its user needs the right `CREATEDB` |
//! | `PG_BIN_DIR` is set | the server programs are taken from that directory |
//! | neither | the programs are looked for in `PATH`, where `pg_config` says, and where Linux and macOS usually have them |
//!
//! No database that exists on the server of `DATABASE_URL` is touched. What the tests make there is called
//! `howdah_test_…`; what a killed process left behind is dropped by the next one.
//!
//! # The ephemeral server
//!
//! It runs with `fsync`, autovacuum and JIT switched off, in UTC, with byte-wise collation and UTF-8. Everything it
//! writes is in one directory under `/dev/shm`, or the directory for temporary files where that is too small. The result
//! of `initdb` is kept in the user's cache directory (`howdah` in `$XDG_CACHE_HOME`, `~/.cache` or `~/Library/Caches`), so
//! that later starts take about a tenth of a second. PostgreSQL refuses to run as root: root runs it as the
//! user `postgres` or `nobody`.

mod account;
mod administration;
mod administrator;
mod cluster;
mod cluster_template;
mod copy;
mod database;
mod directory;
mod error;
mod package;
mod programs;
mod server;
mod server_url;

pub use database::TestDatabase;
pub use error::TestingError;
