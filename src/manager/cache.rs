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
use rustc_hash::FxHashSet;

use super::EntityManager;
use super::session::Session;
use crate::entity::Entity;
use crate::error::Error;
use crate::metadata::{EntityDef, Metadata};
use crate::orm::Orm;
use crate::sql::{Mentions, Statement};
use crate::unit_of_work::TableName;

mod memory;
mod rows;

pub use memory::MemoryCache;
pub(super) use rows::{Answered, CachedRows, Chunk, Recorder};

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
/// An error is logged, and the query asks the database: a store that is not there makes nothing fail. Results that could
/// not be invalidated stay until their time is over.
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
    /// Tables that were written and the store has not been told of.
    written: Mutex<FxHashSet<String>>,
}

impl Results {
    pub(crate) fn new(store: Option<Arc<dyn ResultCache>>, time_to_live: Option<Duration>, database: String) -> Self {
        let is_used = AtomicBool::new(store.is_some());
        let store = store.unwrap_or_else(|| Arc::new(MemoryCache::default()));
        let (moment, written) = (AtomicU64::new(0), Mutex::default());
        Self { store, time_to_live, database, is_used, moment, written }
    }

    /// Whether it matters what is written.
    fn is_used(&self) -> bool {
        self.is_used.load(Ordering::Acquire)
    }

    /// Notes tables that were written, after COMMIT.
    fn write(&self, tables: impl IntoIterator<Item = String>) {
        self.written.lock().extend(tables);
        self.moment.fetch_add(1, Ordering::AcqRel);
    }

    /// Tells the store what was written.
    async fn settle(&self) {
        // Taken out when it is done: whoever else comes waits for nothing, and tells it once more.
        let tags: Vec<String> = self.written.lock().iter().cloned().collect();
        if tags.is_empty() {
            return;
        }
        if let Err(error) = self.store.invalidate(&tags).await {
            tracing::warn!(target: "howdah", %error, "cached results could not be invalidated");
        }
        let mut written = self.written.lock();
        tags.iter().for_each(|tag| {
            written.remove(tag);
        });
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
        if is_late() && self.store.invalidate(tags).await.is_err() {
            tracing::warn!(target: "howdah", "cached results could not be invalidated");
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

/// Adds tables whose rows the server may change along with those of the others, by the actions of foreign keys.
fn push_affected(metadata: &Metadata, tags: &mut Vec<String>, deletes: bool, updates: bool) {
    let tag_of = |entity: &EntityDef| tag((entity.schema.as_deref(), &entity.table));
    let mut from = 0;
    while from < tags.len() {
        let until = tags.len();
        for entity in &metadata.entities {
            for (_, relation) in entity.relations() {
                let acts = (deletes && relation.meta.on_delete.is_some()) || (updates && relation.on_update.is_some());
                let is_hit = |entity: &EntityDef| tags[from..until].contains(&tag_of(entity));
                let affected = match &relation.pivot {
                    Some(pivot) if (deletes || updates) && is_hit(entity) => {
                        tag((pivot.schema.as_deref(), &pivot.table))
                    }
                    None if relation.is_owning_to_one() && acts && is_hit(metadata.target(relation)) => tag_of(entity),
                    _ => continue,
                };
                if !tags.contains(&affected) {
                    tags.push(affected);
                }
            }
        }
        from = until;
    }
}

/// The tables that an open transaction has written: they count as written when it has ended.
pub(super) struct WrittenTables {
    results: Arc<Results>,
    tables: FxHashSet<String>,
}

impl WrittenTables {
    pub(super) fn new(results: &Arc<Results>) -> Self {
        Self { results: Arc::clone(results), tables: FxHashSet::default() }
    }
}

impl Drop for WrittenTables {
    /// Also when it was rolled back: nobody knows that for certain in all cases, and it costs no more than a query.
    fn drop(&mut self) {
        if !self.tables.is_empty() {
            self.results.write(std::mem::take(&mut self.tables));
        }
    }
}

impl Session {
    /// Notes what a flush has written.
    pub(super) fn wrote_tables<'t>(&self, tables: impl FnOnce() -> FxHashSet<TableName<'t>>) {
        if self.orm.results.is_used() {
            self.wrote_tags(tables().into_iter().map(tag).collect());
        }
    }

    /// Notes what a statement of the user's own may have written.
    pub(super) fn wrote_with(&self, text: &str) {
        self.wrote_tags(self.tags_written_with(text));
    }

    /// The tables that a statement of the user's own may write, as far as that matters.
    fn tags_written_with(&self, text: &str) -> Vec<String> {
        if !self.orm.results.is_used() || !may_write(text) {
            return Vec::new();
        }
        let (metadata, mentions) = (&self.orm.metadata, Mentions::of(text));
        let mut tags = tables_in(metadata, text);
        let has = |verbs: &[&str]| verbs.iter().any(|verb| mentions.names(None, verb));
        let deletes = has(&["delete", "merge", "truncate"]);
        push_affected(metadata, &mut tags, deletes, has(&["update", "merge"]));
        tags
    }

    /// Notes that a statement of the user's own is sent: whatever its text, it may call a function that writes. Results of the tables
    /// that it writes by its text are forgotten when the answer is there, or nobody waits for it any more.
    pub(super) fn sends(&self, statement: &Statement) -> SentStatement<'_> {
        self.wrote_directly();
        let mut written = WrittenTables::new(&self.orm.results);
        let tags = self.tags_written_with(&statement.text);
        match &mut *self.open.lock() {
            Some(open) => open.written.tables.extend(tags),
            None => written.tables.extend(tags),
        }
        SentStatement { session: self, written }
    }

    fn wrote_tags(&self, tags: Vec<String>) {
        match &mut *self.open.lock() {
            Some(open) => open.written.tables.extend(tags),
            None => self.orm.results.write(tags),
        }
    }

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

/// A statement of the user's own that is under way.
pub(super) struct SentStatement<'a> {
    session: &'a Session,
    written: WrittenTables,
}

impl SentStatement<'_> {
    /// It is answered.
    pub(super) async fn answered(self) {
        self.session.wrote_directly();
        drop(self.written);
        self.session.settle_results().await;
    }
}

/// Whether the text of a statement has a verb that writes.
pub(super) fn may_write(text: &str) -> bool {
    let mentions = Mentions::of(text);
    let verbs = ["insert", "update", "delete", "merge", "truncate", "copy", "drop", "alter", "call", "do"];
    verbs.iter().any(|verb| mentions.names(None, verb))
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
