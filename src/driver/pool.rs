//! The pool: connections, their number, and what is wrong when there is none.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use deadpool_postgres::{
    ClientWrapper, Hook, HookError, Manager, ManagerConfig, PoolError, RecyclingMethod, TimeoutType, Timeouts,
};
use futures_util::future::{Either, select};
use tokio_postgres::NoTls;
use tokio_postgres::config::Host;
use tokio_postgres::types::Type;

use super::cancel::CancelAddress;
use super::connection::Connection;
use super::ended::EndedConnections;
use super::log::StatementLog;
use super::statement_cache::StatementCaches;
use crate::error::Error;
use crate::metadata::Metadata;
use crate::sql::transaction::STATUS;

/// How often a transaction's outcome is asked for: for five seconds.
const STATUS_ATTEMPTS: u32 = 9;

/// How the pool is set up.
#[derive(Debug)]
pub(crate) struct PoolOptions {
    pub(crate) server: tokio_postgres::Config,
    pub(crate) min_connections: usize,
    pub(crate) max_connections: usize,
    pub(crate) acquire_timeout: Option<Duration>,
    pub(crate) statement_cache_size: usize,
    pub(crate) log: Option<StatementLog>,
}

/// The connections of one Orm.
pub(crate) struct Pool {
    pool: deadpool_postgres::Pool,
    server: tokio_postgres::Config,
    caches: Arc<StatementCaches>,
    ended: EndedConnections,
    log: Option<StatementLog>,
    metadata: Arc<Metadata>,
    cancel_address: Arc<CancelAddress>,
    /// `host:port/database`, for messages.
    address: String,
    acquire_timeout: Option<Duration>,
    connect_timeout: Option<Duration>,
}

impl Pool {
    /// Opens the pool and its first connections.
    ///
    /// # Errors
    /// [`Error::Connection`] if the server cannot be reached or refuses; [`Error::Pool`] for bad options.
    pub(crate) async fn open(options: PoolOptions, metadata: Arc<Metadata>) -> Result<Self, Error> {
        let address = address_of(&options.server);
        // The driver's own limit ends when the socket is open; a server that then says nothing is waited for, too.
        let hosts = u32::try_from(options.server.get_hosts().len()).unwrap_or(1).max(1);
        let connect_timeout = options.server.get_connect_timeout().map(|timeout| timeout.saturating_mul(hosts));
        let cancel_address = Arc::new(CancelAddress::of(&options.server));
        let config = ManagerConfig { recycling_method: RecyclingMethod::Fast };
        let manager = Manager::from_config(options.server.clone(), NoTls, config);
        let ended = EndedConnections::default();
        let known = ended.clone();
        let is_open = Hook::sync_fn(move |client: &mut ClientWrapper, _| {
            if known.contains(&client.statement_cache) {
                return Err(HookError::message("the server has ended the connection"));
            }
            Ok(())
        });
        let pool = deadpool_postgres::Pool::builder(manager)
            .pre_recycle(is_open)
            .max_size(options.max_connections)
            .runtime(deadpool_postgres::Runtime::Tokio1)
            .wait_timeout(options.acquire_timeout)
            .create_timeout(connect_timeout)
            .build()
            .map_err(|error| Error::Pool { message: error.to_string() })?;
        let pool = Self {
            pool,
            server: options.server,
            caches: Arc::new(StatementCaches::new(options.statement_cache_size)),
            ended,
            log: options.log,
            metadata,
            cancel_address,
            address,
            acquire_timeout: options.acquire_timeout,
            connect_timeout,
        };
        // At least one connection is opened, so that a wrong address or password shows here and not at the first query.
        let mut first = Vec::new();
        for _ in 0..options.min_connections.max(1).min(options.max_connections) {
            first.push(pool.acquire().await?);
        }
        Ok(pool)
    }

    /// A connection.
    ///
    /// # Errors
    /// [`Error::Pool`] if none gets free in time, [`Error::Connection`] if a new one cannot be opened.
    pub(crate) async fn acquire(&self) -> Result<Connection, Error> {
        // One that is free now needs no timer.
        let now = Timeouts { wait: Some(Duration::ZERO), ..self.pool.timeouts() };
        let client = match self.pool.timeout_get(&now).await {
            Err(PoolError::Timeout(TimeoutType::Wait)) => Box::pin(self.pool.get()).await,
            client => client,
        };
        let client = client.map_err(|error| self.error(error))?;
        let prepared = self.caches.of(&client.statement_cache).map(|own| (own, Arc::clone(&self.caches)));
        let (ended, log, metadata) = (self.ended.clone(), self.log.clone(), Arc::clone(&self.metadata));
        Ok(Connection::new(client, prepared, ended, log, metadata, Arc::clone(&self.cancel_address)))
    }

    /// What has become of the transaction with this number (rule C11): whether it was committed, `None` if that cannot be
    /// found out. Asks on a connection of its own: those of the pool may all be lost, and not given back yet.
    pub(crate) async fn is_committed(&self, number: &str) -> Option<bool> {
        // The server may not have noticed yet that the connection is gone, or be restarting.
        for attempt in 0..STATUS_ATTEMPTS {
            tokio::time::sleep(Duration::from_millis(10 << attempt)).await;
            let Ok(status) = self.status(number).await else { continue };
            match status.as_deref() {
                Some("committed") => return Some(true),
                Some("aborted") => return Some(false),
                Some(_) => {}
                None => return None,
            }
        }
        None
    }

    async fn status(&self, number: &str) -> Result<Option<String>, tokio_postgres::Error> {
        let (client, connection) = self.server.connect(NoTls).await?;
        let ask = async {
            // Without a prepared statement: there may be a pooler in between.
            let rows = client.query_typed(STATUS, &[(&number, Type::TEXT)]).await?;
            rows.first().map_or(Ok(None), |row| row.try_get::<_, Option<String>>(0))
        };
        // The connection ends with the client.
        match select(pin!(ask), pin!(connection)).await {
            Either::Left((answer, _)) => answer,
            Either::Right((ended, _)) => ended.map(|()| None),
        }
    }

    /// Which database it is: `host:port/database`.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// Closes the pool: connections that are in use are closed when they come back.
    pub(crate) fn close(&self) {
        self.pool.close();
    }

    fn error(&self, error: PoolError) -> Error {
        match error {
            PoolError::Backend(error) => self.connect_error(error),
            PoolError::Timeout(TimeoutType::Wait) => {
                let waited = self.acquire_timeout.unwrap_or_default();
                let max = self.pool.status().max_size;
                let message = format!(
                    "all {max} connections were in use for {waited:?}: raise max_connections, or keep transactions shorter"
                );
                Error::Pool { message }
            }
            PoolError::Timeout(TimeoutType::Create) => {
                let waited = self.connect_timeout.unwrap_or_default();
                let message = format!(
                    "cannot connect to {}: no answer within {waited:?}; is this a PostgreSQL server?",
                    self.address
                );
                Error::Connection { message, sqlstate: None, source: None }
            }
            PoolError::Closed => Error::Pool { message: "the Orm was closed".to_owned() },
            error => Error::Pool { message: error.to_string() },
        }
    }

    /// What is wrong with the address, the password or the database, in words. Never with the password.
    fn connect_error(&self, error: tokio_postgres::Error) -> Error {
        let address = &self.address;
        let Some(answer) = error.as_db_error() else {
            let cause = std::error::Error::source(&error).map_or_else(|| error.to_string(), ToString::to_string);
            let message =
                format!("cannot connect to {address}: {cause}; is the server running, and is the address right?");
            return Error::Connection { message, sqlstate: None, source: Some(Box::new(error)) };
        };
        let sqlstate = answer.code().code().to_owned();
        let what_to_do = match sqlstate.as_str() {
            "28P01" => "check the password",
            "28000" => "check the user, and the server's pg_hba.conf",
            "3D000" => "create the database, or check its name",
            "53300" => "the server has too many connections: lower max_connections",
            _ => "the server refused the connection",
        };
        let message = format!("cannot connect to {address}: {}; {what_to_do}", answer.message());
        Error::Connection { message, sqlstate: Some(sqlstate), source: Some(Box::new(error)) }
    }
}

/// `host:port/database`.
fn address_of(config: &tokio_postgres::Config) -> String {
    let host = match config.get_hosts().first() {
        Some(Host::Tcp(name)) => name.clone(),
        #[cfg(unix)]
        Some(Host::Unix(path)) => path.display().to_string(),
        None => "localhost".to_owned(),
    };
    let port = config.get_ports().first().copied().unwrap_or(5432);
    format!("{host}:{port}/{}", config.get_dbname().or(config.get_user()).unwrap_or_default())
}
