//! Prepared statements, bounded per connection.
//!
//! deadpool's own cache never forgets, so it is not used; its address, which is the same for the life of a connection,
//! tells the connections of the pool apart.

use std::num::NonZeroUsize;
use std::sync::{Arc, Weak};

use dashmap::DashMap;
use deadpool_postgres::StatementCache as ConnectionIdentity;
use lru::LruCache;
use parking_lot::Mutex;
use tokio_postgres::Statement;

/// The prepared statements of one connection. The least recently used one is closed on the server when the cache is full.
pub(super) type PreparedStatements = Mutex<LruCache<Arc<str>, Statement>>;

/// The caches of all connections of a pool.
#[derive(Debug)]
pub(super) struct StatementCaches {
    caches: DashMap<usize, (Weak<ConnectionIdentity>, Arc<PreparedStatements>)>,
    capacity: Option<NonZeroUsize>,
}

impl StatementCaches {
    /// Caches of this size; 0 turns prepared statements off.
    pub(super) fn new(capacity: usize) -> Self {
        Self { caches: DashMap::new(), capacity: NonZeroUsize::new(capacity) }
    }

    /// The cache of a connection, `None` if prepared statements are off.
    pub(super) fn of(&self, connection: &Arc<ConnectionIdentity>) -> Option<Arc<PreparedStatements>> {
        let capacity = self.capacity?;
        let address = Arc::as_ptr(connection).addr();
        if let Some(found) = self.caches.get(&address) {
            // The address may have been given to a new connection since.
            if found.0.ptr_eq(&Arc::downgrade(connection)) && found.0.strong_count() > 0 {
                return Some(Arc::clone(&found.1));
            }
        }
        self.caches.retain(|_, entry| entry.0.strong_count() > 0);
        let cache = Arc::new(Mutex::new(LruCache::new(capacity)));
        self.caches.insert(address, (Arc::downgrade(connection), Arc::clone(&cache)));
        Some(cache)
    }
}
