//! The conditions that filters put on the rows of entities, for one query.
//!
//! They are made when a statement names an entity for the first time: a filter of an entity that the query has nothing to do
//! with is not asked, and need not have its parameters.

use std::fmt;
use std::sync::{Arc, OnceLock};

use rustc_hash::FxHashMap;

use super::expression::Expression;
use super::filter_options::FilterOptions;
use crate::error::Error;

/// Makes the condition of a filter.
pub(crate) type MakeCondition = Arc<dyn Fn() -> Result<Expression, Error> + Send + Sync>;

/// Makes the filters of a query that says this of them: those that there are for the query which it is a part of.
pub(crate) type MakeFilters = Arc<dyn Fn(&FilterOptions) -> Result<Arc<RowFilters>, Error> + Send + Sync>;

/// What tells the filters of one entity from others: each filter's number, and that of its parameters.
pub(crate) type Sight = Arc<[(u64, u64)]>;

/// The filters of a query, entity by entity.
pub(crate) struct RowFilters {
    entities: FxHashMap<usize, EntityFilters>,
    said: FilterOptions,
    make: MakeFilters,
}

struct EntityFilters {
    conditions: Vec<MakeCondition>,
    sight: Sight,
    made: OnceLock<Vec<Expression>>,
}

impl RowFilters {
    /// The filters of these entities, each with what tells it from others; what was said of them, and what makes others.
    pub(crate) fn new(
        filters: impl IntoIterator<Item = (usize, (u64, u64), MakeCondition)>,
        said: FilterOptions,
        make: MakeFilters,
    ) -> Self {
        let mut lists: FxHashMap<usize, (Vec<MakeCondition>, Vec<(u64, u64)>)> = FxHashMap::default();
        for (entity, number, condition) in filters {
            let (conditions, sight) = lists.entry(entity).or_default();
            conditions.push(condition);
            sight.push(number);
        }
        let entities = lists.into_iter().map(|(entity, (conditions, sight))| {
            (entity, EntityFilters { conditions, sight: sight.into(), made: OnceLock::new() })
        });
        Self { entities: entities.collect(), said, make }
    }

    /// The filters of a part of the query that says more of them.
    ///
    /// # Errors
    /// [`Error::Validation`] for a filter that there is not.
    pub(super) fn saying(&self, more: &FilterOptions) -> Result<Arc<Self>, Error> {
        (self.make)(&self.said.and(more))
    }

    /// Whether an entity has filters.
    pub(crate) fn has(&self, entity: usize) -> bool {
        self.entities.contains_key(&entity)
    }

    /// What tells the filters of an entity from others; `None` if it has none.
    pub(crate) fn sight(&self, entity: usize) -> Option<&Sight> {
        self.entities.get(&entity).map(|filters| &filters.sight)
    }

    /// The conditions on the rows of an entity.
    ///
    /// # Errors
    /// [`Error::Validation`] for a filter whose parameters are missing, or of another type.
    pub(crate) fn of(&self, entity: usize) -> Result<&[Expression], Error> {
        let Some(filters) = self.entities.get(&entity) else { return Ok(&[]) };
        if let Some(made) = filters.made.get() {
            return Ok(made);
        }
        let made = filters.conditions.iter().map(|make| make()).collect::<Result<Vec<_>, _>>()?;
        Ok(filters.made.get_or_init(|| made))
    }
}

impl fmt::Debug for RowFilters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.entities.keys()).finish()
    }
}
