//! What stories keep away from, because it is not settled what the library does then.

/// An entity that was deleted is persisted again while its many-to-many collection is loaded: the rows of the pivot table
/// went with it, the items in memory did not. Without this its collections are emptied first.
pub const LINKS_PERSISTED_AGAIN: bool = false;
