//! How an [`Orm`] is set up.

use std::sync::Arc;
use std::time::Duration;

use tokio_postgres::config::Host;

use crate::driver::{PoolOptions, StatementLog};
use crate::entity::Entity;
use crate::error::Error;
use crate::manager::{IdAllocation, ResultCache};
use crate::metadata::{EntityMeta, NamingStrategy, UnderscoreNamingStrategy};
use crate::orm::Orm;
use crate::query::{Filter, FlushMode, LoadStrategy};

/// The options of an [`Orm`]. Made by [`Orm::builder`].
#[derive(Debug)]
pub struct OrmBuilder {
    url: Option<String>,
    host: Option<String>,
    port: Option<u16>,
    user: Option<String>,
    password: Option<Secret>,
    dbname: Option<String>,
    application_name: Option<String>,
    connect_timeout: Option<Duration>,
    acquire_timeout: Option<Duration>,
    statement_timeout: Option<Duration>,
    min_connections: usize,
    max_connections: usize,
    statement_cache_size: usize,
    prepared_statements: bool,
    entities: Option<Vec<&'static EntityMeta>>,
    naming: Box<dyn NamingStrategy>,
    log: Option<StatementLog>,
    pub(crate) id_allocation: IdAllocation,
    pub(crate) load_strategy: LoadStrategy,
    pub(crate) filters: Vec<Filter>,
    pub(crate) flush_mode: FlushMode,
    pub(crate) result_cache: Option<Arc<dyn ResultCache>>,
    pub(crate) cache_results: Option<Duration>,
}

/// How long opening a connection may take, if neither the URL nor the options say so.
const DEFAULT_CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// A password, which is never shown.
struct Secret(String);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("***")
    }
}

impl Default for OrmBuilder {
    fn default() -> Self {
        Self {
            url: None,
            host: None,
            port: None,
            user: None,
            password: None,
            dbname: None,
            application_name: None,
            connect_timeout: None,
            acquire_timeout: Some(Duration::from_secs(30)),
            statement_timeout: None,
            min_connections: 1,
            max_connections: 10,
            statement_cache_size: 256,
            prepared_statements: true,
            entities: None,
            naming: Box::new(UnderscoreNamingStrategy),
            log: None,
            load_strategy: LoadStrategy::default(),
            filters: Vec::new(),
            id_allocation: IdAllocation::default(),
            flush_mode: FlushMode::Auto,
            result_cache: None,
            cache_results: None,
        }
    }
}

impl OrmBuilder {
    /// The database, as `postgresql://user:password@host:5432/database` or as `host=… user=…` pairs. The other options
    /// override its parts.
    #[must_use]
    pub fn url(mut self, url: impl Into<String>) -> Self {
        self.url = Some(url.into());
        self
    }

    /// The server's host name, its address, or the directory of its Unix socket. Default: `localhost`.
    #[must_use]
    pub fn host(mut self, host: impl Into<String>) -> Self {
        self.host = Some(host.into());
        self
    }

    /// The server's port. Default: 5432.
    #[must_use]
    pub const fn port(mut self, port: u16) -> Self {
        self.port = Some(port);
        self
    }

    /// The user.
    #[must_use]
    pub fn user(mut self, user: impl Into<String>) -> Self {
        self.user = Some(user.into());
        self
    }

    /// The password. It is in no message and in no `Debug` output.
    #[must_use]
    pub fn password(mut self, password: impl Into<String>) -> Self {
        self.password = Some(Secret(password.into()));
        self
    }

    /// The database. Default: called like the user.
    #[must_use]
    pub fn dbname(mut self, dbname: impl Into<String>) -> Self {
        self.dbname = Some(dbname.into());
        self
    }

    /// The name under which the server lists the connections (`pg_stat_activity.application_name`).
    #[must_use]
    pub fn application_name(mut self, name: impl Into<String>) -> Self {
        self.application_name = Some(name.into());
        self
    }

    /// How long opening a connection may take. Default: what the URL says, or else 10 seconds.
    #[must_use]
    pub const fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = Some(timeout);
        self
    }

    /// How long to wait for a free connection of the pool. Default: 30 seconds.
    #[must_use]
    pub const fn acquire_timeout(mut self, timeout: Duration) -> Self {
        self.acquire_timeout = Some(timeout);
        self
    }

    /// How long one statement may run on the server; then it fails with [`Error::QueryCanceled`]. Default: the server's
    /// setting. In milliseconds; shorter ones count as one.
    #[must_use]
    pub const fn statement_timeout(mut self, timeout: Duration) -> Self {
        self.statement_timeout = Some(timeout);
        self
    }

    /// How many connections are opened at once by [`connect`](Self::connect). Default: 1.
    #[must_use]
    pub const fn min_connections(mut self, connections: usize) -> Self {
        self.min_connections = connections;
        self
    }

    /// How many connections there are at most. Default: 10.
    #[must_use]
    pub const fn max_connections(mut self, connections: usize) -> Self {
        self.max_connections = connections;
        self
    }

    /// How many prepared statements each connection keeps: the least recently used one makes room. 0 turns them off, as
    /// [`prepared_statements`](Self::prepared_statements) does. Default: 256.
    #[must_use]
    pub const fn statement_cache_size(mut self, statements: usize) -> Self {
        self.statement_cache_size = statements;
        self
    }

    /// Whether statements are prepared. `false` is for poolers in front of the server that give a connection to another client
    /// after each transaction and know nothing of prepared statements: PgBouncer before 1.21. Every statement is parsed and
    /// planned each time then; it takes one round trip, as it does prepared. Default: `true`.
    #[must_use]
    pub const fn prepared_statements(mut self, prepared: bool) -> Self {
        self.prepared_statements = prepared;
        self
    }

    /// The entities: `entities(entities![User, Post])`. Default: all that derive `Entity` in crates that are linked.
    #[must_use]
    pub fn entities(mut self, entities: impl IntoIterator<Item = &'static EntityMeta>) -> Self {
        self.entities.get_or_insert_default().extend(entities);
        self
    }

    /// Adds one entity to the listed ones.
    #[must_use]
    pub fn entity<T: Entity>(self) -> Self {
        self.entities([T::meta()])
    }

    /// How tables, columns and constraints are called where no name is given. Default: [`UnderscoreNamingStrategy`].
    #[must_use]
    pub fn naming_strategy(mut self, naming: impl NamingStrategy) -> Self {
        self.naming = Box::new(naming);
        self
    }

    /// Records the statements that are sent.
    #[must_use]
    pub fn statement_log(mut self, log: &StatementLog) -> Self {
        self.log = Some(log.clone());
        self
    }

    /// Takes the database from the environment: `DATABASE_URL`, or else the `PG*` variables (see [`Orm::from_env`]).
    ///
    /// # Errors
    /// [`Error::Validation`] if none of them is set, or if `PGPORT` or `PGCONNECT_TIMEOUT` is no number.
    #[allow(clippy::wrong_self_convention, reason = "reads as what it does in the chain of options")]
    pub fn from_env(self) -> Result<Self, Error> {
        self.variables(|name| std::env::var(name).ok().filter(|value| !value.is_empty()))
    }

    fn variables(mut self, variable: impl Fn(&str) -> Option<String>) -> Result<Self, Error> {
        if let Some(url) = variable("DATABASE_URL") {
            return Ok(self.url(url));
        }
        let number = |name: &str| -> Result<Option<u64>, Error> {
            let Some(value) = variable(name) else { return Ok(None) };
            let message = format!("{name} is not a number");
            value.parse().map(Some).map_err(|_| Error::Validation { entity: None, message })
        };
        self.host = variable("PGHOST").or(self.host);
        self.user = variable("PGUSER").or(self.user);
        self.password = variable("PGPASSWORD").map(Secret).or(self.password);
        self.dbname = variable("PGDATABASE").or(self.dbname);
        self.application_name = variable("PGAPPNAME").or(self.application_name);
        if let Some(port) = number("PGPORT")? {
            let message = format!("PGPORT is {port}, which is no port");
            self.port = Some(u16::try_from(port).map_err(|_| Error::Validation { entity: None, message })?);
        }
        if let Some(seconds) = number("PGCONNECT_TIMEOUT")? {
            self.connect_timeout = Some(Duration::from_secs(seconds));
        }
        if self.host.is_none() && self.user.is_none() && self.dbname.is_none() {
            let message =
                "the environment names no database: set DATABASE_URL to postgresql://user:password@host:5432/\
                           database, or PGHOST, PGUSER, PGPASSWORD and PGDATABASE"
                    .to_owned();
            return Err(Error::Validation { entity: None, message });
        }
        Ok(self)
    }

    /// How keys are taken that the database makes and that new rows of other tables refer to. Default: as many as a flush needs,
    /// in a round trip of their own ([`IdAllocation::OnDemand`]).
    #[must_use]
    pub const fn id_allocation(mut self, allocation: IdAllocation) -> Self {
        self.id_allocation = allocation;
        self
    }

    /// How relations are loaded that are populated, where a query does not say. Default: [`LoadStrategy::Balanced`].
    #[must_use]
    pub const fn load_strategy(mut self, strategy: LoadStrategy) -> Self {
        self.load_strategy = strategy;
        self
    }

    /// Adds a filter for all managers, beside those that entities declare.
    #[must_use]
    pub fn filter(mut self, filter: Filter) -> Self {
        self.filters.push(filter);
        self
    }

    /// When queries flush what is pending, where managers, transactions and finds do not say otherwise. Default:
    /// [`FlushMode::Auto`].
    #[must_use]
    pub const fn flush_mode(mut self, mode: FlushMode) -> Self {
        self.flush_mode = mode;
        self
    }

    /// Where results are kept that [`Find::cache`](crate::Find::cache) asks for. Default: in this process, 64 MiB of them
    /// ([`MemoryCache`](crate::MemoryCache)).
    #[must_use]
    pub fn result_cache(mut self, store: impl ResultCache) -> Self {
        self.result_cache = Some(Arc::new(store));
        self
    }

    /// Keeps the results of all finds, counts and queries for this long that do not [say otherwise](crate::Find::cache).
    /// Default: none are kept.
    #[must_use]
    pub const fn cache_results(mut self, time: Duration) -> Self {
        self.cache_results = Some(time);
        self
    }

    /// Checks the entities and connects.
    ///
    /// # Errors
    /// As [`Orm::connect`].
    ///
    /// # Cancel safety
    /// Dropping the future closes what was opened.
    pub async fn connect(self) -> Result<Orm, Error> {
        Orm::open(self).await
    }

    /// Entities, naming strategy and pool options.
    pub(crate) fn into_parts(
        self,
    ) -> Result<(Option<Vec<&'static EntityMeta>>, Box<dyn NamingStrategy>, PoolOptions), Error> {
        let invalid = |message: String| Error::Validation { entity: None, message };
        if self.max_connections == 0 {
            return Err(invalid("max_connections must be at least 1".to_owned()));
        }
        if self.min_connections > self.max_connections {
            let (min, max) = (self.min_connections, self.max_connections);
            return Err(invalid(format!("min_connections ({min}) is more than max_connections ({max})")));
        }
        let mut server = match &self.url {
            None => tokio_postgres::Config::new(),
            Some(url) => url.parse().map_err(|error: tokio_postgres::Error| {
                // The source says what is wrong; the text itself may contain the password.
                let cause = std::error::Error::source(&error).map(|cause| format!(" ({cause})")).unwrap_or_default();
                let form = "postgresql://user:password@host:5432/database";
                invalid(format!("the database URL cannot be read{cause}: it looks like {form}"))
            })?,
        };
        if self.host.is_some() || self.port.is_some() {
            server = at_address(&server, self.host.as_deref(), self.port);
        }
        if server.get_hosts().is_empty() && server.get_hostaddrs().is_empty() {
            server.host("localhost");
        }
        if let Some(user) = self.user {
            server.user(user);
        }
        if server.get_user().is_none() {
            server.user(std::env::var("USER").unwrap_or_else(|_| "postgres".to_owned()));
        }
        if let Some(Secret(password)) = self.password {
            server.password(password);
        }
        if let Some(dbname) = self.dbname {
            server.dbname(dbname);
        }
        if let Some(name) = self.application_name {
            server.application_name(name);
        }
        if let Some(timeout) = self.connect_timeout {
            server.connect_timeout(timeout);
        } else if server.get_connect_timeout().is_none() {
            server.connect_timeout(DEFAULT_CONNECT_TIMEOUT);
        }
        if let Some(timeout) = self.statement_timeout {
            let own = format!("-c statement_timeout={}", timeout.as_millis().max(1));
            let options = server.get_options().map_or_else(|| own.clone(), |given| format!("{given} {own}"));
            server.options(options);
        }
        let options = PoolOptions {
            server,
            min_connections: self.min_connections,
            max_connections: self.max_connections,
            acquire_timeout: self.acquire_timeout,
            statement_cache_size: if self.prepared_statements { self.statement_cache_size } else { 0 },
            log: self.log,
        };
        Ok((self.entities, self.naming, options))
    }
}

/// The same settings with another host, or another port of the same hosts. The driver's own type can only add addresses,
/// and a URL without a port has the default one already.
fn at_address(given: &tokio_postgres::Config, host: Option<&str>, port: Option<u16>) -> tokio_postgres::Config {
    let mut server = tokio_postgres::Config::new();
    match host {
        Some(host) => {
            server.host(host);
        }
        None => {
            for host in given.get_hosts() {
                match host {
                    Host::Tcp(name) => server.host(name),
                    #[cfg(unix)]
                    Host::Unix(path) => server.host_path(path),
                };
            }
            for address in given.get_hostaddrs() {
                server.hostaddr(*address);
            }
        }
    }
    // One port counts for all hosts.
    let ports = port.as_ref().map_or(given.get_ports(), std::slice::from_ref);
    let ports = if host.is_some() { &ports[..ports.len().min(1)] } else { ports };
    for port in ports {
        server.port(*port);
    }
    given.get_user().map(|user| server.user(user));
    given.get_password().map(|password| server.password(password));
    given.get_dbname().map(|dbname| server.dbname(dbname));
    given.get_options().map(|options| server.options(options));
    given.get_application_name().map(|name| server.application_name(name));
    given.get_connect_timeout().map(|timeout| server.connect_timeout(*timeout));
    given.get_tcp_user_timeout().map(|timeout| server.tcp_user_timeout(*timeout));
    given.get_keepalives_interval().map(|interval| server.keepalives_interval(interval));
    given.get_keepalives_retries().map(|retries| server.keepalives_retries(retries));
    server.keepalives(given.get_keepalives()).keepalives_idle(given.get_keepalives_idle());
    server.ssl_mode(given.get_ssl_mode()).ssl_negotiation(given.get_ssl_negotiation());
    server.channel_binding(given.get_channel_binding()).target_session_attrs(given.get_target_session_attrs());
    server.load_balance_hosts(given.get_load_balance_hosts());
    server
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(variables: &[(&str, &str)]) -> Result<OrmBuilder, Error> {
        Orm::builder()
            .variables(|name| variables.iter().find(|(other, _)| *other == name).map(|(_, value)| (*value).to_owned()))
    }

    #[test]
    fn database_url_comes_before_the_other_variables() {
        let builder = with(&[("DATABASE_URL", "postgresql://a@b/c"), ("PGHOST", "elsewhere")]).unwrap();
        let (_, _, options) = builder.into_parts().unwrap();
        assert_eq!(options.server.get_dbname(), Some("c"));
        assert_eq!(options.server.get_user(), Some("a"));
    }

    #[test]
    fn without_a_url_the_single_variables_count() {
        let variables = [("PGHOST", "db"), ("PGPORT", "5433"), ("PGUSER", "ada"), ("PGDATABASE", "shop")];
        let (_, _, options) = with(&variables).unwrap().into_parts().unwrap();
        assert_eq!(options.server.get_ports(), [5433]);
        assert_eq!(options.server.get_user(), Some("ada"));
        assert_eq!(options.server.get_dbname(), Some("shop"));
    }

    #[test]
    fn an_empty_environment_and_a_bad_number_say_what_to_set() {
        let error = with(&[]).unwrap_err().to_string();
        assert!(error.contains("DATABASE_URL"), "{error}");
        let error = with(&[("PGHOST", "db"), ("PGPORT", "high")]).unwrap_err().to_string();
        assert!(error.contains("PGPORT"), "{error}");
    }

    #[test]
    fn a_bad_url_is_told_without_the_password() {
        let error = Orm::builder().url("postgresql://ada:hunter2@host:port/db").into_parts().unwrap_err().to_string();
        assert!(error.contains("cannot be read") && !error.contains("hunter2"), "{error}");
        assert!(!format!("{:?}", Orm::builder().password("hunter2")).contains("hunter2"));
    }

    #[test]
    fn options_override_the_parts_of_the_url() {
        let url = "postgresql://ada:hunter2@one,two:1/shop?connect_timeout=3&keepalives_idle=7&sslmode=disable";
        let parts = |builder: OrmBuilder| builder.into_parts().unwrap().2.server;
        let server = parts(Orm::builder().url(url));
        assert_eq!((server.get_hosts().len(), server.get_connect_timeout()), (2, Some(&Duration::from_secs(3))));
        let server = parts(Orm::builder().url(url).host("three").connect_timeout(Duration::from_secs(4)));
        assert_eq!(server.get_hosts(), [Host::Tcp("three".into())]);
        assert_eq!((server.get_ports().len(), server.get_connect_timeout()), (1, Some(&Duration::from_secs(4))));
        let server = parts(Orm::builder().url(url).port(5433).user("bob"));
        assert_eq!((server.get_hosts().len(), server.get_ports()), (2, &[5433][..]));
        assert_eq!((server.get_user(), server.get_password()), (Some("bob"), Some(&b"hunter2"[..])));
        assert_eq!(server.get_keepalives_idle(), Duration::from_secs(7));
        assert_eq!(server.get_ssl_mode(), tokio_postgres::config::SslMode::Disable);
        let server = parts(Orm::builder().url("postgresql://ada@localhost/shop").port(5433));
        assert_eq!(server.get_ports(), [5433]);
    }
}
