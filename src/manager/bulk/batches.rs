//! Rows of values on their way into statements: completed, grouped by the columns that they have values for, and bound as one
//! array a column (rule C4).

use crate::error::Error;
use crate::metadata::{ColumnMeta, EntityDef, EntityObject, PropertyDef, PropertyValue};
use crate::sql::{ColumnArray, Param};
use crate::unit_of_work::{CUT, column_types, prepare, push_values};

/// Rows that have values for the same columns.
pub(in crate::manager) struct Shape {
    pub(in crate::manager) properties: Vec<u16>,
    pub(in crate::manager) rows: Vec<usize>,
}

/// Completes rows, and groups them.
///
/// # Errors
/// [`Error::Validation`] for a row that refers to what has no row yet, or has items in a collection.
pub(in crate::manager) fn shapes(entity: &EntityDef, rows: &mut [Box<dyn EntityObject>]) -> Result<Vec<Shape>, Error> {
    let mut shapes: Vec<Shape> = Vec::new();
    for (index, row) in rows.iter_mut().enumerate() {
        let properties = prepare(entity, &mut **row)?;
        match shapes.iter_mut().find(|shape| shape.properties == properties) {
            Some(shape) => shape.rows.push(index),
            None => shapes.push(Shape { properties, rows: vec![index] }),
        }
    }
    Ok(shapes)
}

/// The values of some of the rows as arrays: as many rows at a time as a statement takes.
///
/// # Errors
/// [`Error::Conversion`] for a value that PostgreSQL cannot hold.
pub(in crate::manager) fn arrays(
    entity: &EntityDef,
    all: &[Box<dyn EntityObject>],
    properties: &[u16],
    rows: &[usize],
) -> Result<Vec<(Vec<usize>, Vec<ColumnArray>)>, Error> {
    let types = column_types(entity, properties);
    let new = || types.iter().map(|pg| ColumnArray::new(*pg, rows.len())).collect::<Vec<_>>();
    let (mut bound, mut arrays, mut from) = (Vec::new(), new(), 0);
    for (index, row) in rows.iter().enumerate() {
        push_values(&mut arrays, entity, &*all[*row], properties)?;
        if index + 1 == rows.len() || arrays.iter().map(ColumnArray::size).sum::<usize>() > CUT {
            bound.push((rows[from..=index].to_vec(), std::mem::replace(&mut arrays, new())));
            from = index + 1;
        }
    }
    Ok(bound)
}

/// The values that are made for columns (`on_create`, `on_update`), but for those that are set already.
///
/// # Errors
/// As [`arrays`].
pub(in crate::manager) fn made_values(
    entity: &EntityDef,
    maker: impl Fn(&'static ColumnMeta) -> Option<PropertyValue>,
    is_set: impl Fn(u16) -> bool,
) -> Result<Vec<(u16, Param)>, Error> {
    let mut made = Vec::new();
    for (index, property) in entity.properties.iter().enumerate() {
        let (PropertyDef::Column(column), Ok(number)) = (property, u16::try_from(index)) else { continue };
        let Some(make) = maker(column.meta).filter(|_| !is_set(number)) else { continue };
        let mut out = Vec::new();
        let is_value = make().encode(&mut out).map_err(|error| Error::Conversion {
            entity: entity.meta.name,
            column: column.name.clone(),
            message: error.message,
        })?;
        made.push((number, Param::One(column.meta.pg, is_value.then(|| out.into()))));
    }
    Ok(made)
}
