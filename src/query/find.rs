//! A find, without its type.

use std::sync::Arc;
use std::time::Duration;

use super::flush_mode::FlushMode;
use super::populate::PopulateRequest;
use super::strategy::LoadStrategy;
use crate::metadata::EntityMeta;
use crate::sql::{FilterOptions, Selection};
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
    pub(crate) options: FindOptions,
}

/// How a find is run.
#[derive(Clone, Debug, Default)]
pub(crate) struct FindOptions {
    /// Whether entities that are loaded already are overwritten.
    pub(crate) refresh: bool,
    /// Whether what is loaded stays outside of the unit of work.
    pub(crate) unmanaged: bool,
    /// What stands in front of each statement.
    pub(crate) comment: Option<String>,
    /// How long the statements may take.
    pub(crate) timeout: Option<Duration>,
    /// The schema that is read instead of the entity's own.
    pub(crate) schema: Option<Arc<str>>,
    pub(crate) filters: FilterOptions,
    /// When it flushes, if that is not up to the manager.
    pub(crate) flush_mode: Option<FlushMode>,
    /// Whether the result is kept: for how long, never with `Some(0)`, as the Orm says with `None`.
    pub(crate) cache: Option<Duration>,
}

impl FindPlan {
    /// All rows of an entity.
    pub(crate) fn all(meta: &'static EntityMeta) -> Self {
        Self::of(Selection::all(meta))
    }

    /// These rows, and nothing along with them.
    pub(crate) fn of(selection: Selection) -> Self {
        let options = FindOptions::default();
        Self { selection, populate: Vec::new(), strategy: None, version: None, options }
    }
}
