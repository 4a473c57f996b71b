//! A record of what was sent: for looking at it, and for tests that count.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

/// Records the statements that an [`Orm`](crate::Orm) sends, and counts round trips.
///
/// Clones share the record. Give one to [`OrmBuilder::statement_log`](crate::OrmBuilder::statement_log) and keep the
/// other. Parameter values are not recorded, and neither is what an Orm looks up in the catalog when it connects or has made its tables.
#[derive(Clone, Debug, Default)]
pub struct StatementLog {
    inner: Arc<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    statements: Mutex<Vec<Arc<str>>>,
    round_trips: AtomicU64,
}

impl StatementLog {
    /// An empty record.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The texts of the statements so far, in the order in which they were sent. `BEGIN`, `COMMIT` and savepoints are
    /// among them.
    #[must_use]
    pub fn statements(&self) -> Vec<String> {
        self.inner.statements.lock().iter().map(|text| (**text).to_owned()).collect()
    }

    /// How many times an answer of the server was waited for. Statements that are pipelined share one round trip.
    #[must_use]
    pub fn round_trips(&self) -> u64 {
        self.inner.round_trips.load(Ordering::Acquire)
    }

    /// Empties the record.
    pub fn clear(&self) {
        self.inner.statements.lock().clear();
        self.inner.round_trips.store(0, Ordering::Release);
    }

    /// The texts of the statements so far; empties the record.
    #[must_use]
    pub fn take(&self) -> Vec<String> {
        let statements = self.statements();
        self.clear();
        statements
    }

    pub(super) fn record(&self, text: &Arc<str>) {
        self.inner.statements.lock().push(Arc::clone(text));
    }

    pub(super) fn record_trip(&self) {
        self.inner.round_trips.fetch_add(1, Ordering::AcqRel);
    }
}
