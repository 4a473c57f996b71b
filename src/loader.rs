//! Runs finds: rows → entities of the identity map → relations.

mod hydrate;
mod select_in;

pub(crate) use hydrate::Hydrator;
pub(crate) use select_in::populate;
