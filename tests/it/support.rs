//! What every test starts with: a database of its own, an Orm for some entities, and a record of what was sent.

use howdah::prelude::*;
use howdah::testing::TestDatabase;
use howdah::{EntityMeta, OrmBuilder, StatementLog};

use crate::proxy::Proxy;

/// A database with the tables of some entities.
pub struct Fixture {
    pub database: TestDatabase,
    pub orm: Orm,
    /// Statements and round trips since [`Fixture::forget`].
    pub log: StatementLog,
}

impl Fixture {
    /// A new database with the tables of these entities.
    pub async fn new(entities: impl IntoIterator<Item = &'static EntityMeta>) -> Self {
        Self::with(entities, |builder| builder).await
    }

    /// The same, with options.
    pub async fn with(
        entities: impl IntoIterator<Item = &'static EntityMeta>,
        options: impl FnOnce(OrmBuilder) -> OrmBuilder,
    ) -> Self {
        let database = TestDatabase::new().await.unwrap();
        let url = database.url().to_owned();
        Self::connect(database, &url, entities, options).await
    }

    /// The same through a proxy. What the fixture itself asks ([`Fixture::rows`] and the like) does not go through it.
    pub async fn through_proxy(entities: impl IntoIterator<Item = &'static EntityMeta>) -> (Self, Proxy) {
        Self::through_proxy_with(entities, |builder| builder).await
    }

    /// The same through a proxy, with options.
    pub async fn through_proxy_with(
        entities: impl IntoIterator<Item = &'static EntityMeta>,
        options: impl FnOnce(OrmBuilder) -> OrmBuilder,
    ) -> (Self, Proxy) {
        let database = TestDatabase::new().await.unwrap();
        let proxy = Proxy::start(&database).await;
        let fixture = Self::connect(database, proxy.url(), entities, options).await;
        proxy.reset();
        (fixture, proxy)
    }

    /// The same, for a database that is there, at an address of its own.
    pub async fn connect(
        database: TestDatabase,
        url: &str,
        entities: impl IntoIterator<Item = &'static EntityMeta>,
        options: impl FnOnce(OrmBuilder) -> OrmBuilder,
    ) -> Self {
        let log = StatementLog::new();
        let builder = Orm::builder().url(url).entities(entities).statement_log(&log);
        let orm = options(builder).connect().await.unwrap();
        orm.schema().create().await.unwrap();
        log.clear();
        Self { database, orm, log }
    }

    pub fn em(&self) -> EntityManager {
        self.orm.em()
    }

    /// Empties the record.
    pub fn forget(&self) {
        self.log.clear();
    }

    /// The statements since the last look, without `BEGIN`, `COMMIT` and savepoints.
    pub fn statements(&self) -> Vec<String> {
        let mut statements = self.log.take();
        statements.retain(|text| !is_control(text));
        statements
    }

    /// All statements since the last look: transactions and savepoints as they are, others by their verb. The question for the
    /// number of the transaction, which goes in front of COMMIT, is left out.
    pub fn flow(&self) -> Vec<String> {
        let mut statements = self.log.take();
        statements.retain(|text| text != NUMBER);
        statements.into_iter().map(|text| if is_control(&text) { text } else { verb(&text).to_owned() }).collect()
    }

    /// The rows of a plain SQL query, each as its columns joined by `|`, NULL as `~`.
    pub async fn rows(&self, sql: &str) -> Vec<String> {
        let rows = self.database.query(sql).await.unwrap();
        rows.into_iter()
            .map(|row| row.into_iter().map(|value| value.unwrap_or_else(|| "~".into())).collect::<Vec<_>>().join("|"))
            .collect()
    }

    /// How many connections of this database have a transaction open.
    pub async fn open_transactions(&self) -> usize {
        let sql = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() \
                   AND state LIKE 'idle in transaction%'";
        self.rows(sql).await.len()
    }

    /// Waits until no connection has a transaction open: a ROLLBACK is sent, and not waited for, when a future is dropped.
    pub async fn no_open_transaction(&self) {
        for _ in 0..200 {
            if self.open_transactions().await == 0 {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        panic!("a transaction is still open after two seconds");
    }
}

/// What is asked for in front of COMMIT.
const NUMBER: &str = "SELECT pg_current_xact_id_if_assigned()";

fn is_control(text: &str) -> bool {
    text == NUMBER || ["BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT", "RELEASE"].iter().any(|word| text.starts_with(word))
}

/// The verb of a statement, also of one that is guarded.
pub fn verb(text: &str) -> &str {
    unguarded(text).split_whitespace().next().unwrap_or_default()
}

/// A statement without the `WITH u AS (` in front of it, which makes it fail unless every row is written.
pub fn unguarded(text: &str) -> &str {
    text.strip_prefix("WITH ").and_then(|rest| rest.split_once('(')).map_or(text, |(_, statement)| statement)
}
