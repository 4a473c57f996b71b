//! In what form columns of a type that was given by hand (`sql_type`) are compared with values.
//!
//! What is written is cast to the column's type, and so are the values that a column is compared with, where the type is
//! known. A name that is not may be that of a domain: a cast to it would refuse values that its rows cannot have, though it
//! makes sense to ask for them. The server finds out the type of such values by itself: that is the one beneath the domain.

use std::fmt::Write as _;

use super::expression::Operator;
use super::identifier::push_cast;
use super::parameter::Param;
use crate::metadata::SqlType;
use crate::types::{KeyPart, PgType};

/// The form in which both sides are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// The column as it is; values as they are cast to it.
    Column,
    /// The column as it is; values as they travel.
    Value,
    /// Both as another type.
    As(&'static str),
}

impl Form {
    /// The form in which an operator compares a column of this type.
    pub(super) fn of(sql_type: Option<&SqlType>, operator: Operator) -> Self {
        let Some(SqlType::Given(given)) = sql_type else { return Self::Column };
        let name = base_name(given);
        match operator {
            // A pattern is text, whatever it is compared with.
            Operator::Like | Operator::Ilike | Operator::Matches | Operator::MatchesAnyCase => {
                let is_text = TEXTS.contains(&name.as_str()) || !is_known(&name);
                if is_text { Self::Value } else { Self::As("text") }
            }
            // There is no `json = json`.
            Operator::Equal
            | Operator::NotEqual
            | Operator::In
            | Operator::NotIn
            | Operator::DistinctFrom
            | Operator::NotDistinctFrom
                if name == "json" =>
            {
                Self::As("jsonb")
            }
            _ => Self::Column,
        }
    }
}

/// Whether the server finds out of what type a value is that is compared with a column of this type.
pub(super) fn is_inferred(pg: PgType, sql_type: Option<&SqlType>) -> bool {
    match sql_type {
        Some(SqlType::Given(given)) => !pg.is_array() && !is_known(&base_name(given)),
        _ => false,
    }
}

/// A part of a key as a parameter, for a comparison with a column of this type.
pub(super) fn key_param(pg: PgType, sql_type: Option<&SqlType>, part: &KeyPart) -> Param {
    let param = Param::key_part(pg, part);
    if is_inferred(pg, sql_type) { param.inferred(sql_type) } else { param }
}

/// Appends ` = $1::uuid`: a column of this type is the key part that is bound as this parameter.
pub(super) fn push_key_param(out: &mut String, number: usize, pg: PgType, sql_type: Option<&SqlType>) {
    let _ = write!(out, " = ${number}");
    if !is_inferred(pg, sql_type) {
        let _ = write!(out, "::{}", pg.name);
        push_cast(out, sql_type);
    }
}

/// Types that are text, in whose operators patterns are.
const TEXTS: [&str; 9] =
    ["text", "varchar", "character varying", "char", "character", "bpchar", "nchar", "name", "citext"];

/// Whether a type is one of PostgreSQL's own, or of an extension: no domain.
fn is_known(name: &str) -> bool {
    const KNOWN: [&str; 46] = [
        "smallint",
        "int2",
        "integer",
        "int",
        "int4",
        "bigint",
        "int8",
        "numeric",
        "decimal",
        "real",
        "float",
        "float4",
        "float8",
        "double precision",
        "money",
        "boolean",
        "bool",
        "bytea",
        "bit",
        "varbit",
        "bit varying",
        "date",
        "time",
        "timetz",
        "time with time zone",
        "time without time zone",
        "timestamp",
        "timestamptz",
        "timestamp with time zone",
        "timestamp without time zone",
        "interval",
        "uuid",
        "json",
        "jsonb",
        "xml",
        "inet",
        "cidr",
        "macaddr",
        "macaddr8",
        "tsvector",
        "tsquery",
        "oid",
        "pg_lsn",
        "hstore",
        "ltree",
        "vector",
    ];
    TEXTS.contains(&name) || KNOWN.contains(&name)
}

/// The name of a type in small letters, without modifiers, brackets and the schema of PostgreSQL's own types.
fn base_name(given: &str) -> String {
    let name = match (given.find('('), given.find(')')) {
        (Some(open), Some(close)) if open < close => format!("{}{}", &given[..open], &given[close + 1..]),
        _ => given.to_owned(),
    };
    let name = name.split_whitespace().collect::<Vec<_>>().join(" ").to_ascii_lowercase();
    let name = name.strip_suffix("[]").unwrap_or(&name);
    name.strip_prefix("pg_catalog.").unwrap_or(name).trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_known_however_they_are_written() {
        for known in
            ["UUID", "numeric(10, 2)", "timestamp(3) with time zone", "varchar (5)", "pg_catalog.int4", "citext"]
        {
            assert!(is_known(&base_name(known)), "{known}");
        }
        for unknown in ["email", "\"uuid\"", "app.mood", "public.int4"] {
            assert!(!is_known(&base_name(unknown)), "{unknown}");
        }
    }
}
