//! `DELETE … USING unnest(…)`: any number of rows by key, and version where there is one.

use super::guard::push_guard;
use super::identifier::push_table;
use super::insert::key_columns;
use super::placed::{placed, push_any_of};
use super::update::{push_found_keys, push_match, push_rows, version_column};
use crate::metadata::EntityDef;

/// The text that deletes the rows with these keys, whatever their version. How many it has found the server says anyway.
pub(crate) fn delete_by_keys(entity: &EntityDef) -> String {
    let mut text = "DELETE FROM ".to_owned();
    push_table(&mut text, entity.schema.as_deref(), &entity.table);
    text.push_str(" AS t0 WHERE ");
    push_any_of(&mut text, &placed("t0", &entity.key), 1);
    text
}

/// The text that deletes rows by key (and version), and fails unless it has found every row (rule C9).
pub(crate) fn delete(entity: &EntityDef) -> String {
    let mut text = "WITH u AS (".to_owned();
    push_delete(&mut text, entity, 0);
    text.push(')');
    push_guard(&mut text, &key_columns(entity), false);
    text
}

/// Appends the DELETE, which returns the keys that it has found as `k0` and so on. Its parameters begin behind `first`.
pub(super) fn push_delete(out: &mut String, entity: &EntityDef, first: usize) {
    let keys = key_columns(entity);
    let version = version_column(entity);
    out.push_str("DELETE FROM ");
    push_table(out, entity.schema.as_deref(), &entity.table);
    out.push_str(" AS t0 USING ");
    push_rows(out, &keys, version.as_ref(), &[], first);
    out.push_str(" WHERE ");
    push_match(out, &keys, version.as_ref());
    push_found_keys(out, &keys);
}
