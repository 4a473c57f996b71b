//! Which filters hold for a query: those of the Orm and of the manager, and what the query says of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;

use super::EntityManager;
use super::find::Find;
use super::loading::Loading;
use super::query_builder::QueryBuilder;
use crate::entity::Entity;
use crate::error::Error;
use crate::metadata::Metadata;
use crate::query::{Filter, FilterOptions, FilterParams};
use crate::sql::{MakeCondition, RowFilters};

/// The filters of one manager.
#[derive(Default)]
pub(crate) struct ManagerFilters {
    /// Whether there is anything: a manager without filters does not lock.
    is_used: AtomicBool,
    state: Mutex<State>,
}

#[derive(Clone, Default)]
struct State {
    added: Vec<Filter>,
    params: Vec<(String, FilterParams)>,
    /// All that there are, once one was asked.
    known: Option<Arc<Known>>,
    /// What holds for queries that say nothing of filters, once one was asked.
    usual: Option<Arc<RowFilters>>,
}

impl ManagerFilters {
    fn change(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.state.lock();
        change(&mut state);
        (state.known, state.usual) = (None, None);
        self.is_used.store(true, Ordering::Release);
    }

    /// The same for another manager.
    pub(super) fn copy(&self) -> Self {
        let state = self.state.lock().clone();
        Self { is_used: AtomicBool::new(self.is_used.load(Ordering::Acquire)), state: Mutex::new(state) }
    }

    /// The filters of a query that says this of them.
    ///
    /// # Errors
    /// [`Error::Validation`] for a filter that there is not.
    pub(super) fn of(
        &self,
        metadata: &Arc<Metadata>,
        declared: &[Filter],
        options: &FilterOptions,
    ) -> Result<Option<Arc<RowFilters>>, Error> {
        if declared.is_empty() && options.named.is_empty() && !self.is_used.load(Ordering::Acquire) {
            return Ok(None);
        }
        let mut state = self.state.lock();
        if let (Some(usual), true) = (&state.usual, options.is_empty()) {
            return Ok(Some(Arc::clone(usual)));
        }
        let known = match &state.known {
            Some(known) => Arc::clone(known),
            None => {
                let known = Arc::new(Known::new(metadata, declared, &state));
                state.known = Some(Arc::clone(&known));
                known
            }
        };
        let filters = known.filters(options)?;
        if options.is_empty() {
            state.usual = Some(Arc::clone(&filters));
        }
        Ok(Some(filters))
    }
}

/// The filters that a manager has, and their parameters.
struct Known {
    metadata: Arc<Metadata>,
    filters: Vec<Filter>,
    params: Vec<(String, FilterParams)>,
}

impl Known {
    /// Those of the Orm, but for those that the manager has replaced, and its own.
    fn new(metadata: &Arc<Metadata>, declared: &[Filter], state: &State) -> Self {
        let is_replaced = |filter: &&Filter| {
            let same = |other: &Filter| {
                other.inner.name == filter.inner.name && std::ptr::eq(other.inner.entity, filter.inner.entity)
            };
            state.added.iter().any(same)
        };
        let own = declared.iter().filter(|filter| !is_replaced(filter));
        let filters = own.chain(&state.added).cloned().collect();
        Self { metadata: Arc::clone(metadata), filters, params: state.params.clone() }
    }

    /// Those that hold for a query that says this of them.
    fn filters(self: &Arc<Self>, options: &FilterOptions) -> Result<Arc<RowFilters>, Error> {
        options.check(self.filters.iter().map(|filter| filter.inner.name.as_str()))?;
        let known = Arc::clone(self);
        let make = Arc::new(move |said: &FilterOptions| known.filters(said));
        Ok(Arc::new(RowFilters::new(self.holding(options), options.clone(), make)))
    }

    /// Those that hold, each with the entity, what tells it from others, and its condition.
    fn holding<'a>(
        &'a self,
        options: &'a FilterOptions,
    ) -> impl Iterator<Item = (usize, (u64, u64), MakeCondition)> + 'a {
        self.filters.iter().filter_map(move |filter| {
            let filter = &filter.inner;
            let entity = self.metadata.find(filter.entity)?.index;
            let said = options.named.iter().rev().find(|(name, _)| *name == filter.name);
            let params = match said {
                Some((_, params)) => Some(params.clone()?),
                None if options.without_others || !filter.on_by_default => return None,
                None => self.params.iter().find(|(name, _)| *name == filter.name).map(|(_, params)| params.clone()),
            };
            let number = (filter.number, params.as_ref().map_or(0, |params| params.number));
            let filter = Arc::clone(filter);
            Some((entity, number, Arc::new(move || filter.condition(params.as_ref())) as MakeCondition))
        })
    }
}

impl EntityManager {
    /// Adds a filter to this manager, and to those that are [forked](Self::fork) from it later. It takes the place of one
    /// with the same name and entity. Sends nothing.
    pub fn add_filter(&self, filter: Filter) {
        self.session.filters.change(|state| {
            let new = &filter.inner;
            state.added.retain(|other| other.inner.name != new.name || !std::ptr::eq(other.inner.entity, new.entity));
            state.added.push(filter);
        });
    }

    /// Sets the parameters of all filters with this name, for this manager and those that are [forked](Self::fork) from it
    /// later: `em.set_filter_params("tenant", 7_i64)`. The type is that which the filters take. Sends nothing.
    pub fn set_filter_params<P: Clone + Send + Sync + 'static>(&self, name: impl Into<String>, params: P) {
        let (name, params) = (name.into(), FilterParams::new(params));
        self.session.filters.change(|state| {
            state.params.retain(|(other, _)| *other != name);
            state.params.push((name, params));
        });
    }
}

/// What a query can be told of filters: `[generics] type, where its options are`.
macro_rules! filter_options {
    ($([$($generic:tt)*] $query:ty, $($options:ident).+;)*) => {$(
        impl<$($generic)*> $query {
            /// Turns filters with this name on, with parameters of their own (`()` for a filter that takes none): for the
            /// entity, and for all others that conditions lead to or that are loaded along.
            ///
            /// Awaiting it is [`Error::Validation`](crate::Error::Validation) if there is no filter with this name, or if the
            /// filter takes parameters of another type.
            pub fn with_filter<P: Clone + Send + Sync + 'static>(mut self, name: impl Into<String>, params: P) -> Self {
                let params = crate::query::FilterParams::new(params);
                self.$($options).+.named.push((name.into(), Some(params)));
                self
            }

            /// Turns filters with this name off, for all entities of the query.
            ///
            /// Awaiting it is [`Error::Validation`](crate::Error::Validation) if there is no filter with this name.
            pub fn without_filter(mut self, name: impl Into<String>) -> Self {
                self.$($options).+.named.push((name.into(), None));
                self
            }

            /// Turns all filters off but those that [`with_filter`](Self::with_filter) has turned on.
            pub const fn without_filters(mut self) -> Self {
                self.$($options).+.without_others = true;
                self
            }
        }
    )*};
}

pub(super) use filter_options;

filter_options! {
    [T: Entity] Find<T>, plan.options.filters;
    [T: Entity, O] QueryBuilder<T, O>, options.filters;
    [O] Loading<O>, options.filters;
}
