//! Writing past the unit of work: many rows at once, by statements that are sent when they are awaited. No entity is tracked for
//! it, and none has to be loaded.

mod conflict;
mod copy;
mod filters;
mod insert;
mod native;
mod stale;
mod touched;
mod upsert;
mod written_rows;

pub use copy::CopyItem;
pub use native::{NativeDelete, NativeUpdate};
pub use upsert::Upsert;
