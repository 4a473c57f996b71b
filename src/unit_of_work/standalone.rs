//! Entities that are written by themselves, past the unit of work: nothing tracks them, and nothing follows their relations.
//!
//! What a flush would do to a new entity before it is inserted (UUIDs, versions, `on_create`) is done here to the value
//! itself, because nobody else sees it.

use std::sync::Arc;

use super::bind::conversion;
use super::change_set::{ChangeSet, NewValue, collect, new_value};
use super::{Tracker, UnitOfWork};
use crate::entity::{Entity, IntoEntity};
use crate::error::Error;
use crate::metadata::{EntityDef, EntityObject, Metadata, PropertyDef, ReferenceTarget};
use crate::sql::ColumnArray;
use crate::types::{ConversionError, Key, KeyPart, PgType};

/// The change set that inserts entities and nothing else; its rows are in the order of the entities. They are in a graph of
/// their own, which nobody looks into.
///
/// # Errors
/// [`Error::Validation`] for an entity that is not in the metadata, or refers to what has no row yet.
pub(crate) fn insertion<N: IntoEntity>(
    metadata: &Arc<Metadata>,
    entities: impl IntoIterator<Item = N>,
) -> Result<(Arc<UnitOfWork>, ChangeSet), Error> {
    let entity = metadata.of(<N::Entity as Entity>::meta())?;
    let graph = UnitOfWork::new(Arc::clone(metadata), Arc::new(Tracker::default()));
    let entities = entities.into_iter();
    graph.reserve(entities.size_hint().0);
    for value in entities {
        let value = value.into_entity();
        check(entity, &value)?;
        graph.create_scheduled(value);
    }
    let changes = collect(&graph, 0)?;
    Ok((graph, changes))
}

/// Makes what a new entity is to have and does not have yet; answers with the properties that its INSERT writes.
///
/// # Errors
/// As [`insertion`].
pub(crate) fn prepare(entity: &EntityDef, value: &mut dyn EntityObject) -> Result<Vec<u16>, Error> {
    check(entity, value)?;
    let mut properties = Vec::with_capacity(entity.properties.len());
    for (index, property) in entity.properties.iter().enumerate() {
        let Ok(number) = u16::try_from(index) else { continue };
        match property {
            PropertyDef::Column(column) => {
                let held = value.property_mut(index);
                if let (true, true, Some(make)) = (column.meta.version, held.is_unset(), column.meta.on_create) {
                    held.assign(&*make());
                }
                match new_value(entity, index, column, held) {
                    NewValue::Held => {}
                    NewValue::Made(made) => held.assign(&*made),
                    NewValue::OfDatabase => continue,
                }
                properties.push(number);
            }
            PropertyDef::Relation(relation) if relation.is_owning_to_one() => properties.push(number),
            PropertyDef::Relation(_) => {}
        }
    }
    Ok(properties)
}

/// Refuses relations that lead to what has no row, or that other tables would have to be written for.
fn check(entity: &EntityDef, value: &dyn EntityObject) -> Result<(), Error> {
    for (index, relation) in entity.relations() {
        let held = value.property(index);
        let name = entity.property_name(index);
        let refused = match held.as_reference().map(|reference| reference.target()) {
            Some(ReferenceTarget::Cell(_) | ReferenceTarget::Lost) => {
                "refers to an entity that has no row yet: flush it first"
            }
            Some(ReferenceTarget::Key(_)) if !relation.is_owning_to_one() => {
                "is the other table's column: set it there"
            }
            None if held.as_collection().is_some_and(|collection| collection.is_changed()) => {
                "has items, which are rows of another table: persist() the entity, or write them by themselves"
            }
            _ => continue,
        };
        let message = format!("{}.{name} {refused}; only rows of {0} are written", entity.meta.name);
        return Err(Error::validation(entity.meta.name, message));
    }
    Ok(())
}

/// Appends the values of these properties to the arrays of their columns.
///
/// # Errors
/// [`Error::Conversion`] for a value that PostgreSQL cannot hold.
pub(crate) fn push_values(
    arrays: &mut [ColumnArray],
    entity: &EntityDef,
    value: &dyn EntityObject,
    properties: &[u16],
) -> Result<(), Error> {
    let mut next = arrays.iter_mut();
    for property in properties {
        let index = usize::from(*property);
        match entity.properties.get(index) {
            Some(PropertyDef::Column(column)) => {
                let Some(array) = next.next() else { continue };
                let held = value.property(index);
                // Arrays travel as text literals (rule C4).
                let is_array = column.meta.pg.is_array();
                let pushed =
                    if is_array { array.push_text(held.text()) } else { array.push_with(|out| held.encode(out)) };
                pushed.map_err(|error| conversion(entity, &column.name, error))?;
            }
            Some(PropertyDef::Relation(relation)) => {
                let key = key_held(value, index);
                for (part, column) in relation.columns.iter().enumerate() {
                    let part = key.as_ref().and_then(|key| key.parts().get(part));
                    if let Some(array) = next.next() {
                        array.push_key_part(part).map_err(|error| conversion(entity, &column.name, error))?;
                    }
                }
            }
            None => {}
        }
    }
    Ok(())
}

/// The types that the values of these properties travel as, column by column.
pub(crate) fn column_types(entity: &EntityDef, properties: &[u16]) -> Vec<PgType> {
    let mut types = Vec::new();
    for property in properties {
        match entity.properties.get(usize::from(*property)) {
            Some(PropertyDef::Column(column)) => types.push(column.meta.pg),
            Some(PropertyDef::Relation(relation)) => types.extend(relation.columns.iter().map(|part| part.pg)),
            None => {}
        }
    }
    types
}

/// The values of one row, column by column: the binary form, `None` for NULL, and what makes the text form.
pub(crate) type ValueSink<'a> =
    &'a mut dyn FnMut(Option<&[u8]>, &dyn Fn() -> Result<String, ConversionError>) -> Result<(), ConversionError>;

/// Looks at the values of these properties. `scratch` is where values are encoded.
///
/// # Errors
/// [`Error::Conversion`] for a value that PostgreSQL cannot hold, or that `take` does not accept.
pub(crate) fn for_each_value(
    entity: &EntityDef,
    value: &dyn EntityObject,
    properties: &[u16],
    scratch: &mut Vec<u8>,
    take: ValueSink<'_>,
) -> Result<(), Error> {
    for property in properties {
        let index = usize::from(*property);
        match entity.properties.get(index) {
            Some(PropertyDef::Column(column)) => {
                let held = value.property(index);
                scratch.clear();
                let text = || Ok(held.text().unwrap_or_default());
                held.encode(scratch)
                    .and_then(|is_value| take(is_value.then_some(&**scratch), &text))
                    .map_err(|error| conversion(entity, &column.name, error))?;
            }
            Some(PropertyDef::Relation(relation)) => {
                let key = key_held(value, index);
                for (part, column) in relation.columns.iter().enumerate() {
                    let part = key.as_ref().and_then(|key| key.parts().get(part));
                    match part {
                        None => take(None, &|| Ok(String::new())),
                        Some(part) => part.with_bytes(column.pg, |bytes| take(Some(bytes), &|| part_text(part))),
                    }
                    .map_err(|error| conversion(entity, &column.name, error))?;
                }
            }
            None => {}
        }
    }
    Ok(())
}

/// A property that a conflict, or a key, is found by has a value that identifies a row.
pub(crate) fn identifies(value: &dyn EntityObject, property: u16) -> bool {
    let index = usize::from(property);
    let held = value.property(index);
    match held.as_reference() {
        Some(reference) => matches!(reference.target(), ReferenceTarget::Key(_)),
        None => held.text().is_some(),
    }
}

fn key_held(value: &dyn EntityObject, property: usize) -> Option<Key> {
    match value.property(property).as_reference()?.target() {
        ReferenceTarget::Key(key) => Some(key),
        _ => None,
    }
}

/// A part of a key as PostgreSQL reads it.
fn part_text(part: &KeyPart) -> Result<String, ConversionError> {
    match part {
        // Only the field that it was made of knows how to write it.
        KeyPart::Binary(_) => Err(ConversionError::new("a key of this type has no text form here: use insert_many()")),
        part => Ok(part.to_string()),
    }
}
