//! `DELETE … USING unnest(…)`: any number of rows by key, and version where there is one.

use super::identifier::{push_list, push_table};
use super::insert::{key_columns, push_returned};
use super::update::{push_match, push_rows, version_column};
use crate::metadata::EntityDef;

/// The text that deletes rows by key (and version) and returns the keys of those it found.
pub(crate) fn delete(entity: &EntityDef) -> String {
    let keys = key_columns(entity);
    let version = version_column(entity);
    let mut text = "DELETE FROM ".to_owned();
    push_table(&mut text, entity.schema.as_deref(), &entity.table);
    text.push_str(" AS t0 USING ");
    push_rows(&mut text, &keys, version.as_ref(), &[]);
    text.push_str(" WHERE ");
    push_match(&mut text, &keys, version.as_ref());
    text.push_str(" RETURNING ");
    push_list(&mut text, &keys, |text, column| push_returned(text, "t0.", column));
    text
}
