//! Which filters hold for a statement past the unit of work: as for a find, one is turned on or off by its name.

use super::native::{NativeDelete, NativeUpdate};
use super::upsert::Upsert;
use crate::entity::Entity;
use crate::manager::filters::filter_options;

filter_options! {
    [T: Entity] NativeUpdate<T>, plan.options.filters;
    [T: Entity] NativeDelete<T>, plan.options.filters;
    [T: Entity, R] Upsert<T, R>, plan.filters;
}
