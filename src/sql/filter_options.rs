//! What a query says of filters. It is said of a query and of each that is a part of it, so it stands in the descriptions of
//! queries; what the filters are is known further up.

use std::any::{Any, TypeId};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::error::Error;

/// The parameters of filters, without their type.
#[derive(Clone)]
pub(crate) struct FilterParams {
    /// What tells them from others.
    pub(crate) number: u64,
    pub(crate) type_id: TypeId,
    pub(crate) type_name: &'static str,
    pub(crate) value: Arc<dyn Any + Send + Sync>,
}

impl FilterParams {
    pub(crate) fn new<P: Clone + Send + Sync + 'static>(params: P) -> Self {
        let (type_id, type_name) = (TypeId::of::<P>(), std::any::type_name::<P>());
        Self { number: next_number(), type_id, type_name, value: Arc::new(params) }
    }
}

impl fmt::Debug for FilterParams {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.type_name)
    }
}

/// A number that no other filter and no other parameters have.
pub(crate) fn next_number() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// What a query says of filters.
#[derive(Clone, Debug, Default)]
pub(crate) struct FilterOptions {
    /// Those that are turned on with parameters, or off, by name. The last word counts.
    pub(crate) named: Vec<(String, Option<FilterParams>)>,
    /// Whether all others are off.
    pub(crate) without_others: bool,
}

impl FilterOptions {
    /// Nothing.
    pub(crate) const fn none() -> Self {
        Self { named: Vec::new(), without_others: false }
    }

    /// Whether nothing is said.
    pub(crate) const fn is_empty(&self) -> bool {
        self.named.is_empty() && !self.without_others
    }

    /// What holds for a part of the query that says more: its word is the last one.
    pub(super) fn and(&self, more: &Self) -> Self {
        if more.without_others {
            return more.clone();
        }
        let named = self.named.iter().chain(&more.named).cloned().collect();
        Self { named, without_others: self.without_others }
    }

    /// Checks the names against those of the filters that there are.
    ///
    /// # Errors
    /// [`Error::Validation`] for a name that no filter has.
    pub(crate) fn check<'f>(&self, filters: impl Iterator<Item = &'f str>) -> Result<(), Error> {
        if self.named.is_empty() {
            return Ok(());
        }
        let mut known: Vec<&str> = filters.collect();
        known.sort_unstable();
        known.dedup();
        for (name, _) in &self.named {
            if !known.contains(&name.as_str()) {
                let known = if known.is_empty() { "there are none".to_owned() } else { known.join(", ") };
                let message = format!("there is no filter \"{name}\" (filters: {known})");
                return Err(Error::Validation { entity: None, message });
            }
        }
        Ok(())
    }
}
