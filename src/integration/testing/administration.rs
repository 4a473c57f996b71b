//! The statements that create and drop test databases.
//!
//! Their connection also holds an advisory lock as long as the process lives, with the number that is part of the names of
//! its databases: a database whose number is not locked is a leftover. That holds for processes on other machines too.

use std::time::{Duration, Instant};

use tokio_postgres::{Client, Config, NoTls, SimpleQueryMessage, config::Host};

use super::TestingError;

/// How the names of all test databases start; the owner's number and a count follow.
const PREFIX: &str = "howdah_test_";

/// The first version that has `DROP DATABASE … WITH (FORCE)`.
const OLDEST_SERVER: u32 = 130_000;

/// The first version where the way a database is copied can be chosen.
const FIRST_WITH_STRATEGY: u32 = 150_000;

/// How long a server that does not answer is waited for.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// How long the connections that were ended are waited for.
const SEAL_TIMEOUT: Duration = Duration::from_secs(5);

/// What can be done with a test database.
#[derive(Debug)]
pub(super) enum Task {
    /// Makes it, as a copy of a template where one is named.
    Create { database: String, template: Option<String> },
    /// Closes it to connections, and ends those there are: a database that has any cannot be copied.
    Seal { database: String },
    /// Drops it, whoever is connected.
    Drop { database: String },
}

/// The administrator's connection.
pub(super) struct Administration {
    client: Client,
    /// The database of the connection.
    database: String,
    /// What is added to `CREATE DATABASE`.
    strategy: &'static str,
}

impl Administration {
    /// Connects, and takes the lock of this owner.
    pub(super) async fn connect(mut config: Config, owner: u64, is_ephemeral: bool) -> Result<Self, TestingError> {
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(CONNECT_TIMEOUT);
        }
        config.application_name("howdah testing");
        let connected = config.connect(NoTls).await;
        let (client, connection) =
            connected.map_err(|source| TestingError::Connect { server: describe(&config), source })?;
        tokio::spawn(connection);
        let database = config.get_dbname().or(config.get_user()).unwrap_or_default().to_owned();
        let mut administration = Self { client, database, strategy: "" };

        let query = "SELECT current_setting('server_version'), current_setting('server_version_num')";
        let rows = administration.rows(query).await?;
        let [version, number] = rows.first().map(Vec::as_slice).unwrap_or_default() else {
            return Err(TestingError::ServerVersion { version: "unknown".to_owned() });
        };
        let number = number.parse().unwrap_or(0);
        if number < OLDEST_SERVER {
            return Err(TestingError::ServerVersion { version: version.clone() });
        }
        // Copying files is more than twice as fast as logging them, unless they have to reach a disk.
        if is_ephemeral && number >= FIRST_WITH_STRATEGY {
            administration.strategy = " STRATEGY FILE_COPY";
        }
        let lock = "SELECT pg_advisory_lock($1)";
        let locked = administration.client.execute(lock, &[&owner.cast_signed()]).await;
        locked.map_err(|source| administration.refused(source))?;
        Ok(administration)
    }

    /// A name that says whose database it is.
    pub(super) fn database_name(owner: u64, count: u64) -> String {
        format!("{PREFIX}{owner:016x}_{count}")
    }

    /// Drops the databases of processes that have ended, as far as this user may.
    pub(super) async fn drop_leftovers(&self) {
        let leftovers = "SELECT datname FROM pg_database \
             WHERE datname ~ '^howdah_test_[0-9a-f]{16}_[0-9]+$' AND NOT EXISTS (SELECT FROM pg_locks \
                 WHERE locktype = 'advisory' AND objsubid = 1 AND substr(datname, 13, 16) = \
                     lpad(to_hex(classid::bigint), 8, '0') || lpad(to_hex(objid::bigint), 8, '0'))";
        for row in self.rows(leftovers).await.unwrap_or_default() {
            for database in row {
                // Another process may drop it at the same time, or it may be another user's.
                let _ = self.perform(Task::Drop { database }).await;
            }
        }
    }

    pub(super) async fn perform(&self, task: Task) -> Result<(), TestingError> {
        match task {
            Task::Create { database, template } => {
                let template = template.map(|template| format!(" TEMPLATE \"{template}\"")).unwrap_or_default();
                let strategy = self.strategy;
                self.rows(&format!("CREATE DATABASE \"{database}\"{template}{strategy}")).await.map(drop)
            }
            Task::Seal { database } => self.seal(&database).await,
            Task::Drop { database } => {
                self.rows(&format!("DROP DATABASE IF EXISTS \"{database}\" WITH (FORCE)")).await.map(drop)
            }
        }
    }

    async fn seal(&self, database: &str) -> Result<(), TestingError> {
        self.rows(&format!("ALTER DATABASE \"{database}\" WITH ALLOW_CONNECTIONS false")).await?;
        let connections = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1";
        let started = Instant::now();
        // What is told to end takes a moment to do so.
        while started.elapsed() < SEAL_TIMEOUT {
            let ended = self.client.query(connections, &[&database]).await;
            if ended.map_err(|source| self.refused(source))?.is_empty() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        Ok(())
    }

    async fn rows(&self, sql: &str) -> Result<Vec<Vec<String>>, TestingError> {
        let answer = self.client.simple_query(sql).await;
        let messages = answer.map_err(|source| self.refused(source))?;
        Ok(text_rows(&messages).into_iter().map(|row| row.into_iter().flatten().collect()).collect())
    }

    fn refused(&self, source: tokio_postgres::Error) -> TestingError {
        let database = self.database.clone();
        TestingError::Statement { database, source }
    }
}

/// The rows of a simple query, as text.
pub(super) fn text_rows(messages: &[SimpleQueryMessage]) -> Vec<Vec<Option<String>>> {
    let rows = messages.iter().filter_map(|message| match message {
        SimpleQueryMessage::Row(row) => Some(row),
        _ => None,
    });
    rows.map(|row| (0..row.len()).map(|column| row.get(column).map(str::to_owned)).collect()).collect()
}

/// User, hosts and ports.
fn describe(config: &Config) -> String {
    let hosts = config.get_hosts().iter().enumerate().map(|(index, host)| {
        let ports = config.get_ports();
        let port = ports.get(index).or(ports.first()).copied().unwrap_or(5432);
        match host {
            Host::Tcp(name) => format!("{name}:{port}"),
            Host::Unix(directory) => format!("{}:{port}", directory.display()),
        }
    });
    let hosts = hosts.collect::<Vec<_>>().join(", ");
    format!("{hosts}, as user {}", config.get_user().unwrap_or("of the operating system"))
}
