//! Filters: named conditions on the rows of an entity, which hold for every query that reads it.

use std::any::{Any, TypeId};
use std::fmt;
use std::sync::Arc;

use super::condition::Condition;
use crate::entity::{Entity, FieldPath, FieldSet};
use crate::error::Error;
use crate::metadata::EntityMeta;
use crate::sql::{Expression, FilterParams, next_filter_number as next_number};

/// A named condition that the rows of an entity have to fulfil to be seen: by finds, by whatever loads relations, by counts,
/// and by conditions that lead to the entity.
///
/// Declared with `#[filter(name = "…", condition = |post| …)]` on the entity, for all managers with
/// [`OrmBuilder::filter`](crate::OrmBuilder::filter), or for one with
/// [`EntityManager::add_filter`](crate::EntityManager::add_filter). Several filters of an entity have to hold together, and
/// filters of several entities may have the same name: then they are turned off, and get their parameters, together.
///
/// What the condition itself leads to is not filtered in turn.
#[derive(Clone)]
pub struct Filter {
    pub(crate) inner: Arc<FilterInner>,
}

pub(crate) struct FilterInner {
    /// What tells the filter from others.
    pub(crate) number: u64,
    pub(crate) name: String,
    pub(crate) entity: &'static EntityMeta,
    pub(crate) on_by_default: bool,
    /// The type of its parameters.
    takes: Option<(TypeId, &'static str)>,
    condition: Box<dyn Fn(Option<&(dyn Any + Send + Sync)>) -> Option<Expression> + Send + Sync>,
}

impl Filter {
    /// A filter without parameters, which is on unless a query turns it off.
    pub fn new<T: Entity>(
        name: impl Into<String>,
        condition: impl Fn(T::Fields<T>) -> Condition<T> + Send + Sync + 'static,
    ) -> Self {
        Self::of(name.into(), T::meta(), None, Box::new(move |_| Some(condition(root::<T>()).expression)))
    }

    /// A filter with parameters, which is on unless a query turns it off: whoever reads the entity while there are no
    /// parameters gets [`Error::Validation`].
    ///
    /// `P` is any type; several parameters are a tuple or a struct.
    pub fn with_params<T: Entity, P: Clone + Send + Sync + 'static>(
        name: impl Into<String>,
        condition: impl Fn(T::Fields<T>, P) -> Condition<T> + Send + Sync + 'static,
    ) -> Self {
        let takes = (TypeId::of::<P>(), std::any::type_name::<P>());
        let condition = move |params: Option<&(dyn Any + Send + Sync)>| {
            let params = params.and_then(|params| params.downcast_ref::<P>())?;
            Some(condition(root::<T>(), params.clone()).expression)
        };
        Self::of(name.into(), T::meta(), Some(takes), Box::new(condition))
    }

    fn of(
        name: String,
        entity: &'static EntityMeta,
        takes: Option<(TypeId, &'static str)>,
        condition: Box<dyn Fn(Option<&(dyn Any + Send + Sync)>) -> Option<Expression> + Send + Sync>,
    ) -> Self {
        let number = next_number();
        Self { inner: Arc::new(FilterInner { number, name, entity, on_by_default: true, takes, condition }) }
    }

    /// The filter only holds for queries that turn it on: [`with_filter`](crate::Find::with_filter).
    #[must_use]
    pub fn off_by_default(self) -> Self {
        let FilterInner { name, entity, takes, .. } = &*self.inner;
        let (name, entity, takes) = (name.clone(), *entity, *takes);
        let number = next_number();
        let whole = Arc::clone(&self.inner);
        let condition = Box::new(move |params: Option<&(dyn Any + Send + Sync)>| (whole.condition)(params));
        Self { inner: Arc::new(FilterInner { number, name, entity, on_by_default: false, takes, condition }) }
    }
}

fn root<T: Entity>() -> T::Fields<T> {
    T::Fields::at(FieldPath::root(T::meta))
}

impl FilterInner {
    /// The condition.
    ///
    /// # Errors
    /// [`Error::Validation`] if its parameters are missing, or of another type.
    pub(crate) fn condition(&self, params: Option<&FilterParams>) -> Result<Expression, Error> {
        let Self { name, entity, takes, .. } = self;
        let entity = entity.name;
        let message = match (takes, params) {
            (None, None) => None,
            (None, Some(given)) if given.type_id == TypeId::of::<()>() => None,
            (None, Some(_)) => Some(format!("the filter \"{name}\" of {entity} takes no parameters: give it `()`")),
            (Some((_, takes)), None) => Some(format!(
                "the filter \"{name}\" of {entity} has no parameters: set them with set_filter_params(\"{name}\", …), \
                 give them to with_filter(\"{name}\", …), or turn it off with without_filter(\"{name}\") (they are \
                 `{takes}`)"
            )),
            (Some((takes, expected)), Some(given)) if *takes != given.type_id => Some(format!(
                "the filter \"{name}\" of {entity} takes parameters of type `{expected}`, and was given `{}`",
                given.type_name
            )),
            (Some(_), Some(_)) => None,
        };
        if let Some(message) = message {
            return Err(Error::validation(entity, message));
        }
        let made = (self.condition)(params.map(|params| &*params.value));
        made.ok_or_else(|| Error::validation(entity, format!("the filter \"{name}\" of {entity} has no condition")))
    }
}

/// Shows the name and the entity.
impl fmt::Debug for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Filter({:?} of {})", self.inner.name, self.inner.entity.name)
    }
}
