//! Statements past the unit of work that tell which versions they have given to rows of loaded entities.

use std::fmt::Write as _;

use super::identifier::{push_joined, push_list};
use super::insert::{Written, key_columns, push_returned};
use super::parameter::{Statement, key_arrays};
use super::update::version_column;
use crate::error::Error;
use crate::metadata::EntityDef;
use crate::types::Key;

/// An `UPDATE … AS t0 …` that returns nothing, made to answer with keys and versions of the rows that are among these, and in each row
/// with the number of all rows that it has written. At least one row comes back; its key may be NULL. Unchanged for an entity
/// without a version.
///
/// # Errors
/// [`Error::Conversion`] for too many keys.
pub(crate) fn with_versions(entity: &EntityDef, statement: Statement, keys: &[Key]) -> Result<Statement, Error> {
    let Some(version) = version_column(entity) else { return Ok(statement) };
    let columns = key_columns(entity);
    let Statement { text, mut params } = statement;
    let mut out = format!("WITH u AS ({text} RETURNING ");
    let named = columns.iter().enumerate().map(|(index, column)| (column, format!("k{index}")));
    push_list(&mut out, named.chain([(&version, "v".to_owned())]), |out, (column, name)| {
        push_returned(out, "t0.", column);
        let _ = write!(out, " AS {name}");
    });
    out.push_str(") SELECT ");
    push_keys(&mut out, "w", &columns);
    out.push_str(", w.v, c.n FROM (SELECT count(*) AS n FROM u) AS c LEFT JOIN (SELECT ");
    push_keys(&mut out, "u", &columns);
    out.push_str(", u.v FROM u JOIN unnest(");
    push_list(&mut out, columns.iter().enumerate(), |out, (index, column)| {
        let _ = write!(out, "${}::{}", params.len() + index + 1, column.pg.array_name);
    });
    out.push_str(") AS x(");
    push_list(&mut out, 0..columns.len(), |out, index| {
        let _ = write!(out, "k{index}");
    });
    out.push_str(") ON ");
    push_joined(&mut out, " AND ", 0..columns.len(), |out, index| {
        let _ = write!(out, "u.k{index} = x.k{index}");
    });
    out.push_str(") AS w ON true");
    let arrays = key_arrays(columns.iter().map(|column| column.pg), keys.iter(), keys.len());
    let arrays = arrays.map_err(|error| Error::Conversion {
        entity: entity.meta.name,
        column: columns.first().map(|column| column.name.to_owned()).unwrap_or_default(),
        message: error.message,
    })?;
    params.extend(arrays);
    Ok(Statement { text: out.into(), params })
}

fn push_keys(out: &mut String, alias: &str, columns: &[Written<'_>]) {
    push_list(out, 0..columns.len(), |out, index| {
        let _ = write!(out, "{alias}.k{index}");
    });
}
