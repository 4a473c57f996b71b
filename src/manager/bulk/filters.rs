//! Which filters hold for a statement past the unit of work: as for a find, one is turned on or off by its name.

use super::native::{NativeDelete, NativeUpdate};
use super::upsert::Upsert;
use crate::entity::Entity;
use crate::query::FilterParams;

macro_rules! filter_options {
    ($([$($generic:tt)*] $builder:ty, $($options:ident).+;)*) => {$(
        impl<$($generic)*> $builder {
            /// Turns filters with this name on, with parameters of their own, as [`Find::with_filter`](crate::Find::with_filter).
            pub fn with_filter<P: Clone + Send + Sync + 'static>(mut self, name: impl Into<String>, params: P) -> Self {
                self.$($options).+.named.push((name.into(), Some(FilterParams::new(params))));
                self
            }

            /// Turns filters with this name off, as [`Find::without_filter`](crate::Find::without_filter).
            pub fn without_filter(mut self, name: impl Into<String>) -> Self {
                self.$($options).+.named.push((name.into(), None));
                self
            }

            /// Turns all filters off but those that [`with_filter`](Self::with_filter) has turned on.
            pub fn without_filters(mut self) -> Self {
                self.$($options).+.without_others = true;
                self
            }
        }
    )*};
}

filter_options! {
    [T: Entity] NativeUpdate<T>, plan.options.filters;
    [T: Entity] NativeDelete<T>, plan.options.filters;
    [T: Entity, R] Upsert<T, R>, plan.filters;
}
