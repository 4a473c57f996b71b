//! Connections that the server has ended: it says so before it closes the stream, and meanwhile they look open.

use std::sync::{Arc, Weak};

use deadpool_postgres::StatementCache as ConnectionIdentity;
use parking_lot::Mutex;

/// The connections of one pool that must not be given out again.
#[derive(Clone, Debug, Default)]
pub(super) struct EndedConnections {
    ended: Arc<Mutex<Vec<Weak<ConnectionIdentity>>>>,
}

impl EndedConnections {
    /// Notes that a connection has ended.
    pub(super) fn add(&self, connection: &Arc<ConnectionIdentity>) {
        let mut ended = self.ended.lock();
        ended.retain(|other| other.strong_count() > 0);
        ended.push(Arc::downgrade(connection));
    }

    /// Whether a connection has ended.
    pub(super) fn contains(&self, connection: &Arc<ConnectionIdentity>) -> bool {
        self.ended.lock().iter().any(|other| std::ptr::eq(other.as_ptr(), Arc::as_ptr(connection)))
    }
}
