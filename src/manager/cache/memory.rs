//! The store that there is without another one: in this process, bounded in bytes.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use dashmap::DashMap;
use moka::Expiry;
use moka::sync::Cache;

use super::{CacheEntry, CacheError, ResultCache};

/// Results in the memory of this process. What is rarely asked for makes room for what is new.
pub struct MemoryCache {
    entries: Cache<Vec<u8>, Kept>,
    /// How often each tag was invalidated: what was kept before is worth nothing.
    generations: DashMap<String, u64>,
}

#[derive(Clone)]
struct Kept {
    value: Arc<[u8]>,
    time_to_live: Duration,
    /// Its tags, and their generations when it was kept.
    tags: Arc<[(String, u64)]>,
}

/// Every result has a time of its own.
struct OwnTime;

impl Expiry<Vec<u8>, Kept> for OwnTime {
    fn expire_after_create(&self, _: &Vec<u8>, kept: &Kept, _: Instant) -> Option<Duration> {
        Some(kept.time_to_live)
    }

    fn expire_after_update(&self, _: &Vec<u8>, kept: &Kept, _: Instant, _: Option<Duration>) -> Option<Duration> {
        Some(kept.time_to_live)
    }
}

/// How many bytes are kept without saying: 64 MiB.
const CAPACITY: u64 = 64 << 20;

impl MemoryCache {
    /// A store that keeps this many bytes of results at most, their keys included.
    #[must_use]
    pub fn with_capacity(bytes: u64) -> Self {
        let weigh = |key: &Vec<u8>, kept: &Kept| u32::try_from(key.len() + kept.value.len()).unwrap_or(u32::MAX);
        let entries = Cache::builder().max_capacity(bytes).weigher(weigh).expire_after(OwnTime).build();
        Self { entries, generations: DashMap::new() }
    }

    fn generation(&self, tag: &str) -> u64 {
        self.generations.get(tag).map_or(0, |generation| *generation)
    }
}

/// A store of 64 MiB.
impl Default for MemoryCache {
    fn default() -> Self {
        Self::with_capacity(CAPACITY)
    }
}

impl fmt::Debug for MemoryCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryCache").field("entries", &self.entries.entry_count()).finish_non_exhaustive()
    }
}

#[async_trait]
impl ResultCache for MemoryCache {
    async fn get(&self, key: &[u8]) -> Result<Option<Arc<[u8]>>, CacheError> {
        let Some(kept) = self.entries.get(key) else { return Ok(None) };
        if kept.tags.iter().all(|(tag, generation)| self.generation(tag) == *generation) {
            return Ok(Some(kept.value));
        }
        self.entries.invalidate(key);
        Ok(None)
    }

    async fn set(&self, entry: CacheEntry<'_>) -> Result<(), CacheError> {
        let tags = entry.tags.iter().map(|tag| (tag.clone(), self.generation(tag))).collect();
        let kept = Kept { value: entry.value, time_to_live: entry.time_to_live, tags };
        self.entries.insert(entry.key.to_vec(), kept);
        Ok(())
    }

    async fn invalidate(&self, tags: &[String]) -> Result<(), CacheError> {
        for tag in tags {
            *self.generations.entry(tag.clone()).or_default() += 1;
        }
        Ok(())
    }

    async fn clear(&self) -> Result<(), CacheError> {
        self.entries.invalidate_all();
        Ok(())
    }
}
