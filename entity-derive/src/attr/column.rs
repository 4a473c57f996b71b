//! `#[property(…)]`, `#[primary_key(…)]` and `#[version(…)]`.

use proc_macro2::Span;

use super::Arguments;
use crate::model::Column;

const PROPERTY: [&str; 13] = [
    "unique",
    "index",
    "length",
    "precision",
    "scale",
    "column",
    "sql_type",
    "default",
    "default_sql",
    "on_create",
    "on_update",
    "check",
    "comment",
];

const PRIMARY_KEY: [&str; 9] =
    ["assigned", "default", "column", "length", "precision", "scale", "sql_type", "check", "comment"];

const VERSION: [&str; 3] = ["column", "sql_type", "comment"];

/// Reads `#[property(…)]` into the column.
pub fn property(mut arguments: Arguments<'_>, column: &mut Column) {
    storage(&mut arguments, column);
    column.unique |= arguments.flag("unique").is_some();
    column.index |= arguments.flag("index").is_some();
    column.default = arguments.expression("default");
    column.default_sql = arguments.string("default_sql").or(column.default_sql.take());
    column.on_create = arguments.expression("on_create");
    column.on_update = arguments.expression("on_update");
    arguments.finish(&PROPERTY);
}

/// Reads `#[primary_key(…)]` into the column. Its `default` is SQL: the database makes the key.
pub fn primary_key(mut arguments: Arguments<'_>, column: &mut Column) {
    storage(&mut arguments, column);
    column.assigned = arguments.flag("assigned");
    let default = arguments.string("default");
    column.default_sql = arguments.string("default_sql").or(default).or(column.default_sql.take());
    arguments.finish(&PRIMARY_KEY);
}

/// Reads `#[version(…)]` into the column.
pub fn version(mut arguments: Arguments<'_>, span: Span, column: &mut Column) {
    column.version = Some(span);
    column.name = arguments.string("column").or(column.name.take());
    column.sql_type = arguments.string("sql_type").or(column.sql_type.take());
    column.comment = arguments.string("comment").or(column.comment.take());
    arguments.finish(&VERSION);
}

/// The options that say how a column is declared. What an earlier attribute of the field said stays.
fn storage(arguments: &mut Arguments<'_>, column: &mut Column) {
    column.name = arguments.string("column").or(column.name.take());
    column.length = arguments.integer("length").or(column.length);
    column.precision = arguments.integer("precision").or(column.precision);
    column.scale = arguments.integer("scale").or(column.scale);
    column.sql_type = arguments.string("sql_type").or(column.sql_type.take());
    column.check = arguments.string("check").or(column.check.take());
    column.comment = arguments.string("comment").or(column.comment.take());
}
