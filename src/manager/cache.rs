//! Results that are kept for a while: the rows of what finds, pages, counts and selections have asked, under what that was,
//! until a table that they were read from is written.
//!
//! The store is somebody else's business ([`ResultCache`]); what is stored when, and when it is worth nothing any more, is
//! decided here. A table counts as written when the COMMIT has succeeded, not before.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use rustc_hash::FxHashMap;

use super::EntityManager;
use super::session::Session;
use crate::entity::Entity;
use crate::error::Error;
use crate::metadata::Metadata;
use crate::orm::Orm;
use crate::sql::{Mentions, Statement};
use crate::unit_of_work::TableName;

mod memory;
mod rows;
mod written;

pub use memory::MemoryCache;
pub(super) use rows::{Answered, CachedRows, Chunk, Recorder};
pub(super) use written::{WrittenTables, may_write};

/// Why a store could not do what it was asked to.
pub type CacheError = Box<dyn std::error::Error + Send + Sync>;

/// What is to be kept.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CacheEntry<'a> {
    /// What was asked: the database, the text of the statement and its parameters. Not secret, and as long as these are: a
    /// store may keep a cryptographic hash instead.
    pub key: &'a [u8],
    /// The rows.
    pub value: Arc<[u8]>,
    /// The tables that were read, as `table` or `schema.table`.
    pub tags: &'a [String],
    /// For how long.
    pub time_to_live: Duration,
}

/// A store for results. One store may serve several programs, if it is a server of its own.
///
/// An error is logged, and the query asks the database: a store that is not there makes nothing fail. What could not be
/// invalidated is invalidated before the next result is asked for, as soon as the store can be told.
#[async_trait]
pub trait ResultCache: fmt::Debug + Send + Sync + 'static {
    /// What is kept under a key.
    ///
    /// # Errors
    /// If the store cannot be asked.
    async fn get(&self, key: &[u8]) -> Result<Option<Arc<[u8]>>, CacheError>;

    /// Keeps a value, instead of what was there.
    ///
    /// # Errors
    /// If the store does not take it.
    async fn set(&self, entry: CacheEntry<'_>) -> Result<(), CacheError>;

    /// Forgets all that has one of these tags.
    ///
    /// # Errors
    /// If the store cannot be told.
    async fn invalidate(&self, tags: &[String]) -> Result<(), CacheError>;

    /// Forgets everything.
    ///
    /// # Errors
    /// If the store cannot be told.
    async fn clear(&self) -> Result<(), CacheError>;
}

/// The results of one Orm.
pub(crate) struct Results {
    store: Arc<dyn ResultCache>,
    time_to_live: Option<Duration>,
    /// What tells this database from others in the same store.
    database: String,
    /// Whether there may be results: somebody else may have stored some, or a query of this Orm has.
    is_used: AtomicBool,
    /// How often something was invalidated: what was asked before must not be stored behind it.
    moment: AtomicU64,
    /// Tables that were written and the store has not been told of, and the moment when that was.
    written: Mutex<FxHashMap<String, u64>>,
}

impl Results {
    pub(crate) fn new(store: Option<Arc<dyn ResultCache>>, time_to_live: Option<Duration>, database: String) -> Self {
        let is_used = AtomicBool::new(store.is_some());
        let store = store.unwrap_or_else(|| Arc::new(MemoryCache::default()));
        let (moment, written) = (AtomicU64::new(0), Mutex::default());
        Self { store, time_to_live, database, is_used, moment, written }
    }

    /// Whether it matters what is written.
    pub(super) fn is_used(&self) -> bool {
        self.is_used.load(Ordering::Acquire)
    }

    /// Notes tables that were written, after COMMIT.
    fn write(&self, tables: impl IntoIterator<Item = String>) {
        let mut written = self.written.lock();
        let moment = self.moment.fetch_add(1, Ordering::AcqRel) + 1;
        written.extend(tables.into_iter().map(|table| (table, moment)));
    }

    /// Tells the store what was written. If it cannot be told, it is told the next time.
    async fn settle(&self) {
        // Taken out when it is done: whoever else comes waits for nothing, and tells it once more.
        let told: Vec<(String, u64)> = self.written.lock().iter().map(|(tag, moment)| (tag.clone(), *moment)).collect();
        if told.is_empty() {
            return;
        }
        let tags: Vec<String> = told.iter().map(|(tag, _)| tag.clone()).collect();
        if let Err(error) = self.store.invalidate(&tags).await {
            tracing::warn!(target: "howdah", %error, "cached results could not be invalidated");
            return;
        }
        let mut written = self.written.lock();
        for (tag, moment) in told {
            // What was written again in the meantime is told again.
            if written.get(&tag) == Some(&moment) {
                written.remove(&tag);
            }
        }
    }

    async fn clear(&self) -> Result<(), Error> {
        self.moment.fetch_add(1, Ordering::AcqRel);
        let cleared = self.store.clear().await;
        cleared.map_err(|error| Error::Validation {
            entity: None,
            message: format!("the result cache could not be cleared: {error}"),
        })
    }

    /// What was asked, in bytes.
    fn key(&self, statement: &Statement) -> Vec<u8> {
        let mut key = Vec::with_capacity(self.database.len() + statement.text.len() + 64);
        for part in [self.database.as_bytes(), statement.text.as_bytes()] {
            key.extend_from_slice(&part.len().to_be_bytes());
            key.extend_from_slice(part);
        }
        for param in &statement.params {
            param.push_bytes(&mut key);
        }
        key
    }

    async fn get(&self, key: &[u8]) -> Option<CachedRows> {
        let value = match self.store.get(key).await {
            Ok(value) => value?,
            Err(error) => {
                tracing::warn!(target: "howdah", %error, "cached results could not be read");
                return None;
            }
        };
        let rows = CachedRows::of(value);
        if rows.is_none() {
            tracing::warn!(target: "howdah", "a cached result is not one of these");
        }
        rows
    }

    /// Keeps a result, unless something was written since it was asked for.
    async fn put(&self, entry: CacheEntry<'_>, asked_at: u64) {
        let is_late = || self.moment.load(Ordering::Acquire) != asked_at;
        if is_late() {
            return;
        }
        let tags = entry.tags;
        if let Err(error) = self.store.set(entry).await {
            tracing::warn!(target: "howdah", %error, "a result could not be cached");
        }
        // Written in between: it may have come behind the invalidation.
        if is_late() {
            self.write(tags.iter().cloned());
            self.settle().await;
        }
    }
}

/// A table as a tag.
fn tag((schema, table): TableName<'_>) -> String {
    schema.map_or_else(|| table.to_owned(), |schema| format!("{schema}.{table}"))
}

/// The tables of the entities that a statement names.
fn tables_in(metadata: &Metadata, text: &str) -> Vec<String> {
    let mentions = Mentions::of(text);
    let mut tags = Vec::new();
    for entity in &metadata.entities {
        let pivots = entity.relations().filter_map(|(_, relation)| relation.pivot.as_ref());
        let pivots = pivots.filter(|pivot| pivot.owning).map(|pivot| (pivot.schema.as_deref(), pivot.table.as_str()));
        let tables = std::iter::once((entity.schema.as_deref(), entity.table.as_str())).chain(pivots);
        tags.extend(tables.filter(|(schema, table)| mentions.names(*schema, table)).map(tag));
    }
    tags
}

impl Session {
    /// Tells the result cache what was written, if it was committed.
    pub(super) async fn settle_results(&self) {
        if self.orm.results.is_used() {
            self.orm.results.settle().await;
        }
    }

    /// For how long the result of a query is kept; `None` if it is asked for anew. In a transaction it always is: what it sees
    /// is not what others see.
    pub(super) fn keeps_result(&self, wanted: Option<Duration>) -> Option<Duration> {
        let time_to_live = wanted.or(self.orm.results.time_to_live);
        time_to_live.filter(|time| !time.is_zero() && self.transaction().is_none())
    }

    /// The rows that are kept of statements that are asked together, or places to keep them.
    pub(super) async fn cached(&self, statements: &[Statement]) -> Cached {
        let results = &self.orm.results;
        results.is_used.store(true, Ordering::Release);
        results.settle().await;
        let asked_at = results.moment.load(Ordering::Acquire);
        let (mut keys, mut kept) = (Vec::with_capacity(statements.len()), Vec::new());
        for statement in statements {
            let key = results.key(statement);
            // One that is missing is enough to ask all of them: their answers are to be of the same time.
            if kept.len() == keys.len() {
                kept.extend(results.get(&key).await);
            }
            keys.push(key);
        }
        if kept.len() == keys.len() { Cached::Hit(kept) } else { Cached::Miss(Missing { keys, asked_at }) }
    }

    /// Keeps what statements have answered.
    pub(super) async fn keep_results(
        &self,
        missing: Missing,
        statements: &[Statement],
        recorded: Vec<Recorder>,
        time: Duration,
    ) {
        for ((key, statement), rows) in missing.keys.iter().zip(statements).zip(recorded) {
            let Some(value) = rows.finish() else { continue };
            let tags = tables_in(&self.orm.metadata, &statement.text);
            let entry = CacheEntry { key, value, tags: &tags, time_to_live: time };
            self.orm.results.put(entry, missing.asked_at).await;
        }
    }
}

/// What the cache has of some statements.
pub(super) enum Cached {
    /// The rows of each.
    Hit(Vec<CachedRows>),
    Miss(Missing),
}

/// Places for results.
pub(super) struct Missing {
    keys: Vec<Vec<u8>>,
    asked_at: u64,
}

impl Orm {
    /// Forgets all results that are kept.
    ///
    /// # Errors
    /// [`Error::Validation`] if the store cannot be told.
    pub async fn clear_cache(&self) -> Result<(), Error> {
        self.inner.results.clear().await
    }
}

impl EntityManager {
    /// Forgets all results that are kept for the managers of this [`Orm`].
    ///
    /// # Errors
    /// [`Error::Validation`] if the store cannot be told.
    pub async fn clear_cache(&self) -> Result<(), Error> {
        self.session.orm.results.clear().await
    }

    /// Forgets the results that were read from the table of an entity: somebody else has written it.
    pub async fn invalidate_cache<T: Entity>(&self) {
        if let Some(entity) = self.session.orm.metadata.find(T::meta()) {
            self.session.orm.results.write([tag((entity.schema.as_deref(), &entity.table))]);
            self.session.orm.results.settle().await;
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that fails panics")]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use futures_util::FutureExt;
    use tokio::sync::Semaphore;

    use super::*;

    /// A store that notes what is invalidated; the first time it takes as long as it has no permit.
    #[derive(Debug)]
    struct Store {
        invalidated: Mutex<Vec<String>>,
        broken: AtomicUsize,
        permits: Semaphore,
    }

    #[derive(Clone, Debug)]
    struct Shared(Arc<Store>);

    #[async_trait]
    impl ResultCache for Shared {
        async fn get(&self, _: &[u8]) -> Result<Option<Arc<[u8]>>, CacheError> {
            Ok(None)
        }

        async fn set(&self, _: CacheEntry<'_>) -> Result<(), CacheError> {
            Ok(())
        }

        async fn invalidate(&self, tags: &[String]) -> Result<(), CacheError> {
            if self.0.broken.load(Ordering::Acquire) > 0 {
                return Err("it is not there".into());
            }
            self.0.invalidated.lock().extend(tags.iter().cloned());
            self.0.permits.acquire().await?.forget();
            Ok(())
        }

        async fn clear(&self) -> Result<(), CacheError> {
            Ok(())
        }
    }

    fn results() -> (Results, Arc<Store>) {
        let (invalidated, broken) = (Mutex::default(), AtomicUsize::new(0));
        let store = Arc::new(Store { invalidated, broken, permits: Semaphore::new(0) });
        (Results::new(Some(Arc::new(Shared(Arc::clone(&store)))), None, String::new()), store)
    }

    #[tokio::test]
    async fn what_is_written_again_while_the_store_is_told_is_told_again() {
        let (results, store) = results();
        results.write(["author".to_owned()]);
        let mut telling = Box::pin(results.settle());
        assert!((&mut telling).now_or_never().is_none());
        results.write(["author".to_owned()]);
        store.permits.add_permits(2);
        telling.await;
        results.settle().await;
        assert_eq!(*store.invalidated.lock(), ["author", "author"]);
        results.settle().await;
        assert_eq!(store.invalidated.lock().len(), 2, "once is enough");
    }

    #[tokio::test]
    async fn what_the_store_could_not_be_told_is_told_again() {
        let (results, store) = results();
        store.broken.store(1, Ordering::Release);
        results.write(["author".to_owned()]);
        results.settle().await;
        store.broken.store(0, Ordering::Release);
        // Nor is it forgotten if nobody waits for the store.
        assert!(results.settle().now_or_never().is_none());
        store.permits.add_permits(1);
        results.settle().await;
        assert_eq!(*store.invalidated.lock(), ["author", "author"]);
    }
}
