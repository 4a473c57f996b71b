//! The database of the model test, seen past the library: over a connection of its own, with plain SQL.

use std::collections::{BTreeMap, BTreeSet};

use howdah::prelude::*;
use howdah::{OrmBuilder, StatementLog};
use tokio_postgres::{Client, NoTls, SimpleQueryMessage};

use super::operations::Fault;
use super::schema::{MORE, Tag, entities};
use super::tables::Table;
use crate::proxy::Proxy;
use crate::support::Fixture;

/// One for the work, one to find out what has become of it when the first was lost.
const CONNECTIONS: usize = 2;

/// How the library reaches the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    Direct,
    /// As a user who may not take keys from the sequences: rows are inserted level by level (rules C2, C7).
    WithoutSequences,
    /// Through a proxy that counts round trips, and gives the rows of answers another order (rule C5).
    Shuffled,
}

/// One database, for all stories.
pub struct Database {
    fixture: Fixture,
    observer: Client,
    pub way: Way,
    proxy: Option<Proxy>,
}

/// All rows, in text form: by table and key. And the keys of people and their tags.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Stored {
    pub rows: BTreeMap<(Table, String), Vec<Option<String>>>,
    pub links: BTreeSet<(String, String)>,
}

impl Database {
    pub async fn new(way: Way) -> Self {
        let options = |builder: OrmBuilder| builder.max_connections(CONNECTIONS);
        let (mut fixture, proxy) = match way {
            Way::Shuffled => {
                let (fixture, proxy) = Fixture::through_proxy_with(entities(), options).await;
                proxy.shuffle(7);
                (fixture, Some(proxy))
            }
            Way::Direct | Way::WithoutSequences => (Fixture::with(entities(), options).await, None),
        };
        fixture.database.execute(MORE).await.unwrap();
        if way == Way::WithoutSequences {
            let clerk = format!("clerk_of_{}", fixture.rows("SELECT current_database()").await[0]);
            let grants = format!(
                "CREATE ROLE \"{clerk}\" LOGIN; GRANT SELECT ON SEQUENCE fault TO \"{clerk}\"; \
                 GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO \"{clerk}\""
            );
            fixture.database.execute(&grants).await.unwrap();
            let builder = Orm::builder().url(fixture.database.url()).user(&clerk).statement_log(&fixture.log);
            fixture.orm = options(builder).entities(entities()).connect().await.unwrap();
        }
        let (observer, connection) = tokio_postgres::connect(fixture.database.url(), NoTls).await.unwrap();
        tokio::spawn(connection);
        Self { fixture, observer, way, proxy }
    }

    /// How many round trips were seen since [`begin_counting`](Self::begin_counting).
    pub fn round_trips(&self) -> u64 {
        self.proxy.as_ref().map_or_else(|| self.log().round_trips(), Proxy::round_trips)
    }

    /// Counts round trips and records statements from now on.
    pub fn begin_counting(&self) {
        self.log().clear();
        if let Some(proxy) = &self.proxy {
            proxy.reset();
        }
    }

    pub fn em(&self) -> EntityManager {
        let em = self.fixture.em();
        // Stories say themselves what is flushed when.
        em.set_flush_mode(howdah::FlushMode::Commit);
        em
    }

    pub fn log(&self) -> &StatementLog {
        &self.fixture.log
    }

    pub async fn execute(&self, sql: &str) {
        self.observer.batch_execute(sql).await.unwrap();
    }

    /// Empties all tables.
    pub async fn reset(&self) {
        self.set_fault(None).await;
        // One statement: foreign keys are checked at its end. For a few rows this is much faster than TRUNCATE.
        let deletes = Table::ALL.iter().map(|table| table.definition().name);
        let deletes = deletes.map(|name| format!("{name}_deleted AS (DELETE FROM {name})"));
        let deletes: Vec<String> = deletes.collect();
        self.execute(&format!("WITH {} DELETE FROM person_tags", deletes.join(", "))).await;
    }

    pub async fn set_fault(&self, fault: Option<Fault>) {
        self.execute(&format!("SELECT setval('fault', {})", fault.map_or(1, |fault| fault as u8))).await;
    }

    /// Ends all connections of the library, and comes back when they have ended.
    pub async fn kill_connections(&self) {
        let others = "FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()";
        self.execute(&format!("SELECT pg_terminate_backend(pid) {others}")).await;
        while !self.query(&format!("SELECT pid {others}")).await.is_empty() {
            tokio::task::yield_now().await;
        }
    }

    /// Waits until everything that the library has sent has been carried out, and all its connections work: whoever gets a
    /// connection is behind everything that was sent over it before.
    pub async fn settled(&self) {
        for _ in 0..5 {
            let counts = (0..CONNECTIONS).map(|_| async { self.em().count::<Tag>(()).await });
            if futures_util::future::join_all(counts).await.iter().all(Result::is_ok) {
                return;
            }
        }
        panic!("the library gets no connection that works");
    }

    /// How many connections have a transaction open.
    pub async fn open_transactions(&self) -> usize {
        let sql = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() \
                   AND state LIKE 'idle in transaction%'";
        self.query(sql).await.len()
    }

    async fn query(&self, sql: &str) -> Vec<Vec<Option<String>>> {
        let messages = self.observer.simple_query(sql).await.unwrap();
        let rows = messages.into_iter().filter_map(|message| match message {
            SimpleQueryMessage::Row(row) => {
                Some((0..row.len()).map(|index| row.get(index).map(str::to_owned)).collect())
            }
            _ => None,
        });
        rows.collect()
    }

    /// Everything that is committed.
    pub async fn stored(&self) -> Stored {
        let selects = Table::ALL.iter().enumerate().map(|(number, table)| {
            let definition = table.definition();
            let columns: Vec<&str> = definition.columns.iter().map(|column| column.name).collect();
            format!("SELECT {number}, {}, {} FROM {}", definition.key, columns.join(", "), definition.name)
        });
        let selects: Vec<String> = selects.collect();
        let sql = format!("{}; SELECT -1, person_id, tag_id FROM person_tags", selects.join("; "));
        let mut stored = Stored::default();
        for row in self.query(&sql).await {
            let mut row = row.into_iter();
            let table = row.next().unwrap().unwrap();
            let key = row.next().unwrap().unwrap();
            match table.parse::<usize>() {
                Ok(table) => {
                    let twice = stored.rows.insert((Table::ALL[table], key), row.collect());
                    assert!(twice.is_none(), "two rows with one key");
                }
                Err(_) => {
                    stored.links.insert((key, row.next().unwrap().unwrap()));
                }
            }
        }
        stored
    }
}
