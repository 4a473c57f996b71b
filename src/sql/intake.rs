//! Whether a table takes rows as they are, and makes keys that grow: what the catalog says of triggers, rules and sequences.
//!
//! A guarded INSERT answers with it (rule C5). It is asked for all tables at once, too, when an Orm connects or has made its tables: so the
//! first INSERT of several rows need not find it out by failing.

use std::fmt::Write as _;

use super::ddl::literal;
use super::keys::table_name;
use crate::metadata::EntityDef;

/// What the catalog tells of a table, as a number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Intake {
    /// Nothing was asked yet.
    #[default]
    Unknown = 0,
    /// A trigger or rule may suppress or change rows.
    Altering = 1,
    /// It takes every row as it is, but the keys that it makes need not grow.
    Unordered = 2,
    /// It takes every row as it is, and the keys that it makes grow in the order of the rows.
    Plain = 3,
}

impl Intake {
    /// The answer of the statement.
    pub(crate) fn from_number(number: i64) -> Self {
        [Self::Altering, Self::Unordered, Self::Plain].into_iter().find(|one| *one as i64 == number).unwrap_or_default()
    }
}

/// Appends `, f AS (…)`: the [`Intake`] of a table.
pub(super) fn push_intake(out: &mut String, entity: &EntityDef) {
    let column = entity.identity.and_then(|identity| entity.column(identity)).map(|column| literal(&column.name));
    out.push_str(", f AS MATERIALIZED (SELECT ");
    push_case(out, column.as_deref());
    let table = literal(&table_name(entity));
    let _ = write!(out, " AS intake FROM pg_catalog.pg_class AS c WHERE c.oid = {table}::regclass)");
}

/// The query for the [`Intake`] of the tables of these entities, whose keys are identity columns: a number each, in
/// order, or NULL if the table is not there. `None` if there are no entities.
pub(crate) fn intakes<'e>(entities: impl IntoIterator<Item = &'e EntityDef>) -> Option<String> {
    let (mut tables, mut columns) = (String::new(), String::new());
    for entity in entities {
        let column = entity.identity.and_then(|identity| entity.column(identity))?;
        for (list, text) in [(&mut tables, &table_name(entity)), (&mut columns, &column.name)] {
            list.push_str(if list.is_empty() { "" } else { ", " });
            list.push_str(&literal(text));
        }
    }
    let mut text = "SELECT CASE WHEN c.oid IS NULL THEN NULL ELSE ".to_owned();
    push_case(&mut text, Some("e.k"));
    let _ = write!(
        text,
        " END FROM unnest(ARRAY[{tables}]::text[], ARRAY[{columns}]::text[]) WITH ORDINALITY AS e(t, k, o) \
         LEFT JOIN pg_catalog.pg_class AS c ON c.oid = pg_catalog.to_regclass(e.t) ORDER BY e.o",
    );
    (!tables.is_empty()).then_some(text)
}

/// Appends the number of the [`Intake`] of table `c`, whose keys are made by the sequence of this column, if by one.
fn push_case(out: &mut String, column: Option<&str>) {
    let _ = write!(
        out,
        "CASE WHEN c.relkind <> 'r' OR c.relhasrules OR EXISTS (SELECT FROM pg_catalog.pg_trigger AS t WHERE t.tgrelid = c.oid \
         AND t.tgtype & 7 = 7) THEN {} ",
        Intake::Altering as u8
    );
    if let Some(column) = column {
        let _ = write!(
            out,
            "WHEN NOT EXISTS (SELECT FROM pg_catalog.pg_depend AS d JOIN pg_catalog.pg_attribute AS a \
             ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid JOIN pg_catalog.pg_sequence AS q \
             ON q.seqrelid = d.objid WHERE d.classid = 'pg_catalog.pg_class'::regclass \
             AND d.refclassid = 'pg_catalog.pg_class'::regclass AND d.refobjid = c.oid AND a.attname = {column} \
             AND q.seqincrement > 0 AND NOT q.seqcycle) THEN {} ",
            Intake::Unordered as u8
        );
    }
    let _ = write!(out, "ELSE {} END", Intake::Plain as u8);
}
