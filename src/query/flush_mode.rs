//! Whether queries see what has not been flushed.

/// When queries flush (rule E6).
///
/// Chosen for all managers by [`OrmBuilder::flush_mode`](crate::OrmBuilder::flush_mode), for one by
/// [`EntityManager::set_flush_mode`](crate::EntityManager::set_flush_mode), for a transaction or a find by their options.
/// What needs no query, as looking a loaded key up, flushes in no mode.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FlushMode {
    /// A query flushes everything that is pending if that writes a table which the query reads: also in joins, conditions and
    /// for `populate`. The default.
    #[default]
    Auto,
    /// Only `flush()` and the end of a transaction do.
    Commit,
    /// Every query flushes everything that is pending.
    Always,
}
