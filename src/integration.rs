//! The neighbours: one file for each thing outside this crate that it works with, each behind a feature of its own.
//!
//! Nothing else in the crate imports from here, so a neighbour that is switched off costs nothing.

#[cfg(feature = "testing")]
pub mod testing;
