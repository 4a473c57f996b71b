//! Prepared statements, bounded per connection (rule E7).
//!
//! deadpool's own cache never forgets, so it is not used; its address, which is the same for the life of a connection,
//! tells the connections of the pool apart.

use std::num::NonZeroUsize;
use std::sync::{Arc, Weak};

use dashmap::DashMap;
use deadpool_postgres::StatementCache as ConnectionIdentity;
use lru::LruCache;
use parking_lot::Mutex;
use rustc_hash::FxBuildHasher;
use tokio_postgres::Statement;

/// The prepared statements of one connection, `None` while one is being prepared. The least recently used one is closed on
/// the server when the cache is full.
#[derive(Debug)]
pub(super) struct PreparedStatements {
    statements: Mutex<LruCache<Arc<str>, Option<Statement>>>,
}

impl PreparedStatements {
    /// The statement with this text: `None` if it was never seen, `Some(None)` if it is being prepared.
    pub(super) fn find(&self, text: &Arc<str>) -> Option<Option<Statement>> {
        self.statements.lock().get(text).cloned()
    }

    /// Notes that the statement is being prepared. It is forgotten if the note is dropped before that is done.
    pub(super) fn begin(&self, text: &Arc<str>) -> Preparing<'_> {
        self.statements.lock().put(Arc::clone(text), None);
        Preparing { cache: self, text: Some(Arc::clone(text)) }
    }
}

/// A statement that is being prepared.
pub(super) struct Preparing<'a> {
    cache: &'a PreparedStatements,
    text: Option<Arc<str>>,
}

impl Preparing<'_> {
    /// Keeps the statement.
    pub(super) fn done(mut self, statement: Statement) {
        if let Some(text) = self.text.take() {
            self.cache.statements.lock().put(text, Some(statement));
        }
    }
}

impl Drop for Preparing<'_> {
    fn drop(&mut self) {
        if let Some(text) = self.text.take() {
            self.cache.statements.lock().pop(&text);
        }
    }
}

/// The caches of all connections of a pool.
#[derive(Debug)]
pub(super) struct StatementCaches {
    caches: DashMap<usize, (Weak<ConnectionIdentity>, Arc<PreparedStatements>), FxBuildHasher>,
    capacity: Option<NonZeroUsize>,
}

impl StatementCaches {
    /// Caches of this size; 0 turns prepared statements off.
    pub(super) fn new(capacity: usize) -> Self {
        Self { caches: DashMap::with_hasher(FxBuildHasher), capacity: NonZeroUsize::new(capacity) }
    }

    /// Forgets all statements of all connections: they were prepared for tables that have changed since.
    pub(super) fn forget_all(&self) {
        for entry in &self.caches {
            entry.1.statements.lock().clear();
        }
    }

    /// The cache of a connection, `None` if prepared statements are off.
    pub(super) fn of(&self, connection: &Arc<ConnectionIdentity>) -> Option<Arc<PreparedStatements>> {
        let capacity = self.capacity?;
        let address = Arc::as_ptr(connection).addr();
        if let Some(found) = self.caches.get(&address) {
            // The address may have been given to a new connection since.
            if std::ptr::eq(found.0.as_ptr(), Arc::as_ptr(connection)) && found.0.strong_count() > 0 {
                return Some(Arc::clone(&found.1));
            }
        }
        self.caches.retain(|_, entry| entry.0.strong_count() > 0);
        let cache = Arc::new(PreparedStatements { statements: Mutex::new(LruCache::new(capacity)) });
        self.caches.insert(address, (Arc::downgrade(connection), Arc::clone(&cache)));
        Some(cache)
    }
}
