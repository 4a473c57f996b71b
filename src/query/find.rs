//! A find, without its type.

use super::condition::Expression;
use super::order::OrderTerm;
use super::populate::PopulateRequest;
use crate::entity::Entity;
use crate::metadata::EntityMeta;

/// Which rows of an entity to load, in which order, and what along with them.
#[derive(Clone, Debug)]
pub(crate) struct FindPlan {
    pub(crate) meta: &'static EntityMeta,
    /// All of them have to hold.
    pub(crate) filter: Vec<Expression>,
    pub(crate) order: Vec<OrderTerm>,
    pub(crate) limit: Option<u64>,
    pub(crate) offset: Option<u64>,
    pub(crate) populate: Vec<PopulateRequest>,
}

impl FindPlan {
    /// All rows of `T`.
    pub(crate) fn all<T: Entity>() -> Self {
        Self { meta: T::meta(), filter: Vec::new(), order: Vec::new(), limit: None, offset: None, populate: Vec::new() }
    }
}
