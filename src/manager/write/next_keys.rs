//! Keys that are taken from the database before rows are inserted: what is sent, and what has come back (rule C2).

use crate::driver::Answer;
use crate::error::Error;
use crate::metadata::Metadata;
use crate::sql::{self, Param, Statement};
use crate::types::{ConversionError, KeyPart, RawColumn, ScalarType, for_each_element};
use crate::unit_of_work::Allocation;

/// The statement that takes keys for new rows.
pub(super) fn next_keys(metadata: &Metadata, allocation: &Allocation, count: usize) -> Statement {
    let entity = &metadata.entities[allocation.entity];
    let count = Param::int8(i64::try_from(count).unwrap_or(i64::MAX));
    match entity.column(allocation.property) {
        Some(column) if Some(allocation.property) != entity.identity => {
            let default = column.meta.default_sql.unwrap_or("NULL");
            Statement { text: sql::default_values(default, column.meta.pg).into(), params: vec![count] }
        }
        column => {
            let table = Param::text(&sql::table_name(entity));
            let column = Param::text(column.map_or("", |column| &column.name));
            Statement { text: sql::NEXT_KEYS.into(), params: vec![table, column, count] }
        }
    }
}

/// The keys that the server has made, `None` if it does not make any.
pub(super) fn keys_of(
    metadata: &Metadata,
    allocation: &Allocation,
    answer: &Answer,
) -> Result<Option<Vec<KeyPart>>, Error> {
    let entity = &metadata.entities[allocation.entity];
    let Some(column) = entity.column(allocation.property) else { return Ok(None) };
    let array = answer.rows.first().and_then(|row| row.try_get::<usize, RawColumn<'_>>(0).ok());
    let Some(array) = array.and_then(|column| column.0) else { return Ok(None) };
    // A sequence counts in bigint, whatever the column.
    let is_sequence = Some(allocation.property) == entity.identity;
    let pg = if is_sequence { <i64 as ScalarType>::TYPE } else { column.meta.pg };
    let mut keys = Vec::new();
    let decoded = for_each_element(array, |_, element| {
        keys.push(KeyPart::decode(pg, element).ok_or_else(|| ConversionError::new("not a key of this type"))?);
        Ok(())
    });
    decoded.map_err(|error| Error::Conversion {
        entity: entity.meta.name,
        column: column.name.clone(),
        message: error.message,
    })?;
    Ok(Some(keys))
}
