//! The rows of pivot tables.

use std::fmt::Write as _;

use super::identifier::{push_cast, push_column, push_identifier, push_joined, push_list, push_table};
use super::placed::{placed, push_any_of};
use crate::metadata::{KeyColumnDef, PivotDef};

/// The name under which the pivot table is joined.
pub(super) const PIVOT: &str = "p";

/// Both foreign keys, owning side first.
fn columns(pivot: &PivotDef) -> impl Iterator<Item = &KeyColumnDef> + Clone {
    pivot.join.iter().chain(&pivot.inverse_join)
}

/// Appends `unnest($1::int8[], …) AS s(c0, …)`, with a number for each row where that is asked for.
fn push_rows(out: &mut String, pivot: &PivotDef, numbered: bool) {
    out.push_str("unnest(");
    push_list(out, columns(pivot).enumerate(), |out, (index, column)| {
        let _ = write!(out, "${}::{}", index + 1, column.pg.array_name);
    });
    out.push_str(if numbered { ") WITH ORDINALITY AS s(" } else { ") AS s(" });
    push_list(out, columns(pivot).enumerate(), |out, (index, _)| {
        let _ = write!(out, "c{index}");
    });
    out.push_str(if numbered { ", n)" } else { ")" });
}

/// Appends `s.c0`, cast to the column's type where that was given by hand.
fn push_value(out: &mut String, index: usize, column: &KeyColumnDef) {
    let _ = write!(out, "s.c{index}");
    push_cast(out, column.sql_type.as_ref());
}

/// The text that links pairs; a pair that is linked already stays as it is.
pub(crate) fn pivot_insert(pivot: &PivotDef) -> String {
    let mut text = pivot_add(pivot);
    text.push_str(" ON CONFLICT DO NOTHING");
    text
}

/// The text that puts pairs behind all others, in their order, linked already or not.
pub(crate) fn pivot_place(pivot: &PivotDef) -> String {
    let mut text = pivot_add(pivot);
    if let Some(order) = &pivot.order {
        text.push_str(" ON CONFLICT (");
        push_list(&mut text, columns(pivot), |text, column| push_identifier(text, &column.name));
        text.push_str(") DO UPDATE SET ");
        push_identifier(&mut text, order);
        text.push_str(" = EXCLUDED.");
        push_identifier(&mut text, order);
    }
    text
}

/// The text that links pairs none of which is linked: `INSERT INTO … SELECT … FROM unnest(…)`. Where there is an order, the database
/// numbers the rows in theirs.
pub(crate) fn pivot_add(pivot: &PivotDef) -> String {
    let mut text = "INSERT INTO ".to_owned();
    push_table(&mut text, pivot.schema.as_deref(), &pivot.table);
    text.push_str(" (");
    push_list(&mut text, columns(pivot), |text, column| push_identifier(text, &column.name));
    text.push_str(") SELECT ");
    push_list(&mut text, columns(pivot).enumerate(), |text, (index, column)| push_value(text, index, column));
    text.push_str(" FROM ");
    push_rows(&mut text, pivot, pivot.order.is_some());
    if pivot.order.is_some() {
        text.push_str(" ORDER BY s.n");
    }
    text
}

/// The text that unlinks pairs.
pub(crate) fn pivot_delete(pivot: &PivotDef) -> String {
    let mut text = "DELETE FROM ".to_owned();
    push_table(&mut text, pivot.schema.as_deref(), &pivot.table);
    let _ = write!(text, " AS {PIVOT} USING ");
    push_rows(&mut text, pivot, false);
    text.push_str(" WHERE ");
    push_joined(&mut text, " AND ", columns(pivot).enumerate(), |text, (index, column)| {
        push_column(text, PIVOT, &column.name);
        text.push_str(" = ");
        push_value(text, index, column);
    });
    text
}

/// The text that unlinks everything from the entities on the `join` side.
pub(crate) fn pivot_clear(pivot: &PivotDef) -> String {
    let mut text = "DELETE FROM ".to_owned();
    push_table(&mut text, pivot.schema.as_deref(), &pivot.table);
    let _ = write!(text, " AS {PIVOT} WHERE ");
    push_any_of(&mut text, &placed(PIVOT, &pivot.join), 1);
    text
}
