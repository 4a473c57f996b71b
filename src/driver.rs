//! The connection to PostgreSQL: the only folder that calls tokio-postgres' client.
//!
//! Everything above hands over finished statements and gets rows; here they are pipelined, prepared and counted, and the
//! server's errors are turned into [`Error`](crate::Error)s.

mod cancel;
mod connection;
mod copy_in;
mod ended;
mod executor;
mod log;
mod pipeline;
mod pool;
mod statement_cache;
mod transaction;

pub(crate) use connection::{Answer, Connection};
pub(crate) use copy_in::CopyIn;
pub(crate) use executor::{Connect, Executor, LazyExecutor};
pub use log::StatementLog;
pub(crate) use pool::{Pool, PoolOptions};
pub(crate) use transaction::{CommitFailure, TransactionConnection};
