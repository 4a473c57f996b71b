//! What a handle tells of its entity's state.

use crate::metadata::Lifecycle;

/// Where an entity stands in its unit of work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EntityState {
    /// Not in the database yet.
    New,
    /// A row that is known to exist.
    Managed,
    /// Scheduled for deletion, or deleted.
    Removed,
    /// Not part of a unit of work any more: `clear()`, `detach()`, or loaded in a scope that failed. Changes to it are
    /// not written.
    Detached,
}

impl From<Lifecycle> for EntityState {
    fn from(lifecycle: Lifecycle) -> Self {
        match lifecycle {
            Lifecycle::New | Lifecycle::Scheduled => Self::New,
            Lifecycle::Managed => Self::Managed,
            Lifecycle::Removing | Lifecycle::Removed => Self::Removed,
            Lifecycle::Detached => Self::Detached,
        }
    }
}

/// One property that the next flush would write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The field.
    pub property: &'static str,
    /// What the database has, in PostgreSQL's text form; `None` for NULL, for a collection and for a new entity.
    pub before: Option<String>,
    /// What the flush would write, in PostgreSQL's text form; `None` for NULL and for a collection.
    pub after: Option<String>,
}
