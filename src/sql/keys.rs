//! Keys before rows: what the database would make when the rows are inserted is taken from it first, so that rows that refer to
//! each other can be written in one flight (rule C2).

use std::fmt::Write as _;

use super::identifier::push_table;
use crate::metadata::{EntityDef, PropertyDef};
use crate::types::PgType;

/// The text that takes keys from an identity column's sequence, as one array. NULL if there is no such sequence, or if the user may not use it
/// (`USAGE` is needed, which an INSERT does not need): then the rows have to be inserted level by level.
///
/// `$1` is the table, `$2` the column, `$3` the number.
pub(crate) const NEXT_KEYS: &str = "WITH s AS MATERIALIZED (SELECT q.s FROM (SELECT \
    pg_catalog.pg_get_serial_sequence($1::text, $2::text)::regclass AS s) AS q \
    WHERE pg_catalog.has_sequence_privilege(q.s, 'USAGE, UPDATE')) \
    SELECT array_agg(nextval(s.s)) FROM s, generate_series(1, $3::int8)";

/// The table as `$1` of [`NEXT_KEYS`].
pub(crate) fn table_name(entity: &EntityDef) -> String {
    let mut table = String::new();
    push_table(&mut table, entity.schema.as_deref(), &entity.table);
    table
}

/// The text that makes as many values of a column's default as `$1` says, as one array.
pub(crate) fn default_values(default: &str, pg: PgType) -> String {
    let mut text = "SELECT array_agg((".to_owned();
    let _ = write!(text, "{default})::{}) FROM generate_series(1, $1::int8)", pg.name);
    text
}

/// The one column of the key that the database makes.
pub(crate) fn generated_key(entity: &EntityDef) -> Option<usize> {
    entity.identity.or_else(|| {
        let made = |index: &&usize| match entity.properties.get(**index) {
            Some(PropertyDef::Column(column)) => column.meta.default_sql.is_some(),
            _ => false,
        };
        entity.key_properties.iter().find(made).copied()
    })
}
