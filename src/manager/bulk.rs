//! Writing past the unit of work: many rows at once, by statements that are sent when they are awaited. No entity is tracked for
//! it, and none has to be loaded.

mod batches;
mod conflict;
mod copy;
mod filters;
mod insert;
mod native;
mod native_plan;
mod returning;
mod stale;
mod touched;
mod upsert;
mod written_rows;

pub use copy::CopyItem;
pub use native::{NativeDelete, NativeUpdate};
pub use returning::Returning;
pub use upsert::Upsert;

pub(in crate::manager) use batches::{arrays, made_values, shapes};
pub(in crate::manager) use conflict::{explain, is_merged, target_of};
pub(in crate::manager) use returning::{Write, entities_of};
pub(in crate::manager) use written_rows::managed_rows;
