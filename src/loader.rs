//! Runs finds: rows → entities of the identity map → relations.

mod hydrate;
mod rows;
mod select_in;

pub(crate) use hydrate::Hydrator;
pub(crate) use rows::{ReadRow, RowIntake};
pub(crate) use select_in::populate;
