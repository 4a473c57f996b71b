//! The columns that a statement writes, found out once a statement and filled row by row.

use super::{Binder, conversion};
use crate::error::Error;
use crate::metadata::{AnyReference, ColumnDef, EntityDef, EntityView, PropertyDef, ReferenceTarget, RelationDef};
use crate::sql::ColumnArray;
use crate::types::{KeyPart, PgType};
use crate::unit_of_work::change_set::{ChangeKind, RowChange};
use crate::unit_of_work::key_changes::{Done, KeysNow};

/// Where the values of one property come from.
enum Source<'a> {
    Column {
        property: u16,
        column: &'a ColumnDef,
        is_array: bool,
        /// Which of the key's columns it is, if it is one.
        key_part: Option<usize>,
    },
    Relation {
        property: u16,
        relation: &'a RelationDef,
    },
}

/// The columns of some properties of an entity.
pub(super) struct Columns<'a> {
    entity: &'a EntityDef,
    sources: Vec<Source<'a>>,
}

impl<'a> Columns<'a> {
    pub(super) fn new(entity: &'a EntityDef, properties: &[u16]) -> Self {
        let source = |property: &u16| {
            let index = usize::from(*property);
            Some(match entity.properties.get(index)? {
                PropertyDef::Column(column) => Source::Column {
                    property: *property,
                    column,
                    is_array: column.meta.pg.is_array(),
                    key_part: entity.key_columns_of(index).map(|range| range.start),
                },
                PropertyDef::Relation(relation) => Source::Relation { property: *property, relation },
            })
        };
        let mut sources = Vec::with_capacity(properties.len());
        sources.extend(properties.iter().filter_map(source));
        Self { entity, sources }
    }

    /// The types of the columns.
    pub(super) fn types(&self) -> Vec<PgType> {
        let mut types = Vec::with_capacity(self.sources.len());
        for source in &self.sources {
            match source {
                Source::Column { column, .. } => types.push(column.meta.pg),
                Source::Relation { relation, .. } => types.extend(relation.columns.iter().map(|part| part.pg)),
            }
        }
        types
    }

    /// Appends the values of one row.
    pub(super) fn push(
        &self,
        binder: &Binder<'_>,
        arrays: &mut [ColumnArray],
        row: &RowChange,
        position: usize,
        view: &EntityView<'_>,
    ) -> Result<(), Error> {
        let mut next = arrays.iter_mut();
        for source in &self.sources {
            match source {
                Source::Column { property, column, is_array, key_part } => {
                    let Some(array) = next.next() else { continue };
                    let taken = key_part.and_then(|part| taken_part(binder, row, position, *property, part));
                    let pushed = if taken.is_some() {
                        array.push_key_part(taken)
                    } else {
                        let value = row.value(view, *property);
                        if *is_array { array.push_text(value.text()) } else { array.push_with(|out| value.encode(out)) }
                    };
                    if let Err(error) = pushed {
                        return Err(conversion(self.entity, &column.name, error));
                    }
                }
                Source::Relation { property, relation } => {
                    let held;
                    // A row may refer to itself, and change its key.
                    let done = if relation.is_checked_last() { Done::Everything } else { binder.now.done };
                    let now = KeysNow { behind: Some(position), done, ..binder.now };
                    let key = match row.targets.iter().find(|(index, _)| index == property) {
                        Some((_, target)) => now.of_target(relation.target, target),
                        // A relation that has not changed is as it is in the entity.
                        None => {
                            let reference = view.value.property(usize::from(*property)).as_reference();
                            held = reference.map(AnyReference::target);
                            match &held {
                                Some(ReferenceTarget::Key(key)) => Some(now.of(relation.target, key)),
                                _ => None,
                            }
                        }
                    };
                    for (index, column) in relation.columns.iter().enumerate() {
                        if let Some(array) = next.next() {
                            let part = key.as_ref().and_then(|key| key.parts().get(index));
                            array.push_key_part(part).map_err(|error| conversion(self.entity, &column.name, error))?;
                        }
                    }
                }
            }
        }
        Ok(())
    }
}

/// The part of a new row's key that was taken from the database beforehand.
fn taken_part<'a>(
    binder: &Binder<'a>,
    row: &RowChange,
    position: usize,
    property: u16,
    part: usize,
) -> Option<&'a KeyPart> {
    if row.kind != ChangeKind::Insert || row.key.is_some() || row.properties.contains(&property) {
        return None;
    }
    binder.keys[position].as_ref()?.parts().get(part)
}
