//! A find, without its type.

use super::populate::PopulateRequest;
use super::strategy::LoadStrategy;
use crate::entity::Entity;
use crate::sql::Selection;
use crate::types::Version;

/// Which rows of an entity to load, and what along with them.
#[derive(Clone, Debug)]
pub(crate) struct FindPlan {
    pub(crate) selection: Selection,
    pub(crate) populate: Vec<PopulateRequest>,
    /// How relations are loaded, if not as the Orm says.
    pub(crate) strategy: Option<LoadStrategy>,
    /// What the version of every entity that is found must be.
    pub(crate) version: Option<Version>,
}

impl FindPlan {
    /// All rows of `T`.
    pub(crate) fn all<T: Entity>() -> Self {
        Self { selection: Selection::all(T::meta()), populate: Vec::new(), strategy: None, version: None }
    }
}
