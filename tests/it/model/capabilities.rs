//! What stories keep away from, because the library cannot do it yet.

/// Entities that were deleted are persisted again: what refers to them does it by key (rules C6, C7).
pub const PERSISTED_AGAIN: bool = false;
