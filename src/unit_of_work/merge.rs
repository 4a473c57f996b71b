//! A row that was read of an entity that is there already: clean fields take the database's values, dirty ones keep the
//! user's (rule A3).

use std::sync::Arc;

use super::UnitOfWork;
use crate::error::Error;
use crate::metadata::{AnyCell, EntityDef, EntityObject, Lifecycle, Property, PropertyDef};
use crate::types::Version;

/// Merges a row into an entity. `overwrite` drops the user's changes, too: a refresh.
///
/// # Errors
/// [`Error::EntityBorrowed`] if this thread holds a guard of the entity.
pub(crate) fn merge(
    graph: &UnitOfWork,
    entity: &EntityDef,
    cell: &Arc<dyn AnyCell>,
    fresh: &dyn EntityObject,
    overwrite: bool,
) -> Result<(), Error> {
    let mut differs = false;
    let mut drops_changes = false;
    cell.read(&mut |view| {
        differs = overwrite || changed(entity, view.baseline.unwrap_or(view.value), fresh);
        drops_changes = overwrite && view.baseline.is_some();
    })?;
    if !differs {
        return Ok(());
    }
    if drops_changes || graph.tracker.has_written() {
        graph.tracker.keep_all(cell)?;
    }
    if overwrite {
        return cell.overwrite(&mut |value| {
            take_all(entity, value, fresh);
            for property in entity.lazy_columns() {
                value.property_mut(property).assign(fresh.property(property));
            }
            for (property, _) in entity.relations() {
                if let Some(collection) = value.property_mut(property).as_collection_mut() {
                    collection.discard();
                }
            }
        });
    }
    // A removal was decided on what the user has seen, as a change is.
    let is_removing = cell.lifecycle() == Lifecycle::Removing;
    cell.write(&mut |value, baseline| match baseline {
        None if !is_removing => take_all(entity, value, fresh),
        Some(baseline) if !is_removing && is_clean(entity, value, baseline) => {
            take_all(entity, value, fresh);
            take_all(entity, baseline, fresh);
        }
        mut baseline => {
            for (index, precision) in readable(entity) {
                // The version stays what it was when the user began to change the entity, or a lost update would pass.
                if Some(index) == entity.version {
                    continue;
                }
                let clean = baseline
                    .as_ref()
                    .is_none_or(|baseline| value.property(index).same(baseline.property(index), precision));
                if clean {
                    value.property_mut(index).assign(fresh.property(index));
                }
                if let Some(baseline) = &mut baseline {
                    baseline.property_mut(index).assign(fresh.property(index));
                }
            }
        }
    })
}

/// Whether one version may come directly behind the other.
pub(super) fn is_next(known: Version, next: Version) -> bool {
    match (known, next) {
        (Version::Integer(known), Version::Integer(next)) => known.checked_add(1) == Some(next),
        // A point in time does not tell how often the row was written.
        _ => true,
    }
}

/// The version that an entity was read with.
///
/// # Errors
/// [`Error::EntityBorrowed`] if this thread holds a write guard of the entity.
pub(super) fn known_version(cell: &Arc<dyn AnyCell>, property: usize) -> Result<Option<Version>, Error> {
    let mut known = None;
    cell.read(&mut |view| known = Version::of(view.baseline.unwrap_or(view.value).property(property)))?;
    Ok(known)
}

/// Forgets the lazy columns of an entity whose row was written: what was loaded of them may be outdated. What the user has set
/// stays.
///
/// # Errors
/// [`Error::EntityBorrowed`] if this thread holds a guard of the entity.
pub(crate) fn forget_lazy(
    graph: &UnitOfWork,
    entity: &EntityDef,
    cell: &Arc<dyn AnyCell>,
    fresh: &dyn EntityObject,
) -> Result<(), Error> {
    if entity.lazy_columns().next().is_none() {
        return Ok(());
    }
    if graph.tracker.has_written() {
        graph.tracker.keep_all(cell)?;
    }
    cell.write(&mut |value, mut baseline| {
        for index in entity.lazy_columns() {
            let unloaded = fresh.property(index);
            match &mut baseline {
                None => value.property_mut(index).assign(unloaded),
                Some(baseline) if value.property(index).same(baseline.property(index), None) => {
                    value.property_mut(index).assign(unloaded);
                    baseline.property_mut(index).assign(unloaded);
                }
                Some(_) => {}
            }
        }
    })
}

/// Sets the version that an entity is taken to have been read with.
pub(super) fn set_version(
    graph: &UnitOfWork,
    cell: &Arc<dyn AnyCell>,
    property: usize,
    version: &dyn Property,
) -> Result<(), Error> {
    if graph.tracker.has_written() {
        graph.tracker.keep_all(cell)?;
    }
    cell.write(&mut |value, baseline| {
        value.property_mut(property).assign(version);
        if let Some(baseline) = baseline {
            baseline.property_mut(property).assign(version);
        }
    })
}

/// The properties that a row has values for, with their precision.
fn readable(entity: &EntityDef) -> impl Iterator<Item = (usize, Option<u8>)> + '_ {
    entity.properties.iter().enumerate().filter_map(|(index, property)| match property {
        PropertyDef::Column(column) => (!column.meta.lazy).then(|| (index, column.meta.digits())),
        PropertyDef::Relation(relation) if relation.is_owning_to_one() || relation.is_inverse_one_to_one() => {
            Some((index, None))
        }
        PropertyDef::Relation(_) => None,
    })
}

fn changed(entity: &EntityDef, known: &dyn EntityObject, fresh: &dyn EntityObject) -> bool {
    // What is read has the column's precision already: it is compared exactly.
    readable(entity).any(|(index, _)| !known.property(index).same(fresh.property(index), None))
}

/// Whether an entity that was touched has no changed column after all, lazy ones included.
fn is_clean(entity: &EntityDef, value: &dyn EntityObject, baseline: &dyn EntityObject) -> bool {
    let lazy = entity.lazy_columns().map(|index| (index, entity.column(index).and_then(|column| column.meta.digits())));
    readable(entity)
        .chain(lazy)
        .all(|(index, precision)| value.property(index).same(baseline.property(index), precision))
}

fn take_all(entity: &EntityDef, value: &mut dyn EntityObject, fresh: &dyn EntityObject) {
    for (index, _) in readable(entity) {
        value.property_mut(index).assign(fresh.property(index));
    }
}
