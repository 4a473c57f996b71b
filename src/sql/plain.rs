//! SQL that users write: its placeholders become bind parameters, which are cast to the type of their value, so that their
//! type is never guessed by the server.
//!
//! A placeholder is a `?`, or `$1`, `$2`, … where the text uses those. Literals, quoted identifiers and comments are left
//! alone.

use std::fmt::Write as _;

use super::condition::Writer;
use super::identifier::{push_column, push_list};
use super::parameter::{Param, Statement};
use super::select::ROOT;
use super::shape::Shape;
use super::view::View;
use crate::error::Error;
use crate::metadata::EntityDef;
use crate::metadata::lexer::{Token, token};
use crate::types::{ConversionError, PgType};

/// What stands in a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Piece<'t> {
    Text(&'t str),
    /// `?`
    Next,
    /// `??`: the operator `?`.
    Operator,
    /// `$1`
    Number(&'t str, usize),
}

/// A value for a placeholder, as it was given.
pub(crate) type PlainValue = Result<(PgType, Option<bytes::Bytes>), ConversionError>;

/// The statement that a text and its values are.
///
/// # Errors
/// [`Error::Validation`] if there are more or fewer values than placeholders, [`Error::Conversion`] for a value that
/// PostgreSQL cannot hold.
pub(crate) fn plain(text: &str, values: Vec<PlainValue>) -> Result<Statement, Error> {
    let pieces = pieces(text);
    let highest = pieces.iter().filter_map(|piece| match piece {
        Piece::Number(_, number) => Some(*number),
        _ => None,
    });
    let (numbered, placeholders) = match highest.max() {
        Some(highest) => (true, highest),
        None => (false, pieces.iter().filter(|piece| **piece == Piece::Next).count()),
    };
    if placeholders != values.len() {
        let also =
            if numbered { " (where $1 is used, `?` is an operator)" } else { " (an operator `?` is spelled `??`)" };
        let message = format!("the SQL has {placeholders} placeholders, and {} values are given{also}", values.len());
        return Err(Error::Validation { entity: None, message });
    }
    let mut params = Vec::with_capacity(values.len());
    let mut types = Vec::with_capacity(values.len());
    for (index, value) in values.into_iter().enumerate() {
        let (pg, value) = value.map_err(|error| Error::Conversion {
            entity: "SQL",
            column: format!("${}", index + 1),
            message: error.message,
        })?;
        types.push(pg.name);
        params.push(Param::One(pg, value));
    }
    let mut out = String::with_capacity(text.len() + params.len() * 8);
    let mut next = 0;
    for piece in pieces {
        match piece {
            Piece::Text(text) => out.push_str(text),
            Piece::Next if numbered => out.push('?'),
            Piece::Operator if numbered => out.push_str("??"),
            Piece::Operator => out.push('?'),
            Piece::Next => {
                let _ = write!(out, "${}::{}", next + 1, types.get(next).copied().unwrap_or_default());
                next += 1;
            }
            Piece::Number(_, number) => {
                let pg = number.checked_sub(1).and_then(|index| types.get(index));
                let pg = pg.ok_or_else(|| Error::Validation {
                    entity: None,
                    message: format!("there is no placeholder ${number}: they are counted from $1"),
                })?;
                let _ = write!(out, "${number}::{pg}");
            }
        }
    }
    Ok(Statement { text: out.into(), params })
}

/// The same rows, with the columns of an entity in the order in which it is read.
///
/// Done on the server, so that types which are read as others are cast as in every other SELECT. The server complains of a
/// column that is not there: [`missing_column`] understands it.
///
/// # Errors
/// As [`select`](super::select()).
pub(crate) fn plain_entities(view: &View, entity: &EntityDef, statement: Statement) -> Result<Statement, Error> {
    let (mut list, mut joins) = (String::new(), String::new());
    let mut writer = Writer::with_params(view, statement.params);
    Shape::of(entity).push(&mut writer, &mut list, &mut joins)?;
    let inner = statement.text.trim_end().trim_end_matches(';');
    // The line break ends a comment that the text may end with.
    let rows = format!("\"plain rows\" AS (\n{inner}\n)");
    let mut text = format!("SELECT {list} FROM ");
    if joins.is_empty() {
        text.push_str("\"plain rows\" AS t0");
    } else {
        // A join may change the order that the text has asked for.
        text.push_str("(SELECT ");
        push_list(&mut text, entity.column_names(), |text, name| push_column(text, ROOT, name));
        text.push_str(", row_number() OVER () AS \"plain order\" FROM \"plain rows\" AS t0) AS t0");
        text.push_str(&joins);
        text.push_str(" ORDER BY t0.\"plain order\"");
    }
    let text = writer.with(&rows, text);
    Ok(Statement { text: view.finish(text), params: writer.into_params() })
}

/// The column of the entity that the rows of a text do not have, by what the server has said to [`plain_entities`].
pub(crate) fn missing_column<'e>(entity: &'e EntityDef, error: &Error) -> Option<&'e str> {
    let Error::Database { sqlstate, message, .. } = error else { return None };
    if sqlstate != "42703" {
        return None;
    }
    // `column t0.email does not exist`, in whatever language; names are quoted where they need it.
    entity.column_names().find(|name| {
        let named = |written: &str| {
            message.match_indices(written).any(|(start, _)| {
                let behind = message[start + written.len()..].chars().next();
                !behind.is_some_and(|character| character.is_alphanumeric() || character == '_')
            })
        };
        named(&format!("t0.{name}")) || named(&format!("t0.\"{name}\""))
    })
}

/// Takes a text apart.
fn pieces(text: &str) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let (mut start, mut at) = (0, 0);
    while let Some((found, length)) = token(&text[at..]) {
        let written = &text[at..at + length];
        let (length, piece) = match found {
            // A number that is too large has no value, which is reported.
            Token::Parameter => (length, Piece::Number(written, written[1..].parse().unwrap_or(usize::MAX))),
            Token::Other if text[at..].starts_with("??") => (2, Piece::Operator),
            Token::Other if written == "?" => (1, Piece::Next),
            _ => {
                at += length;
                continue;
            }
        };
        if start < at {
            pieces.push(Piece::Text(&text[start..at]));
        }
        pieces.push(piece);
        at += length;
        start = at;
    }
    if start < text.len() {
        pieces.push(Piece::Text(&text[start..]));
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::SqlValue;

    fn text(text: &str, values: &[&dyn SqlValue]) -> Result<String, String> {
        let statement = plain(text, values.iter().map(|value| value.bind()).collect());
        statement.map(|statement| statement.text.to_string()).map_err(|error| error.to_string())
    }

    #[test]
    fn placeholders_are_bound_with_their_types() {
        let cases: [(&str, &[&dyn SqlValue], &str); 8] = [
            ("select ?", &[&1_i64], "select $1::int8"),
            ("select ?, ?", &[&"a", &None::<i32>], "select $1::text, $2::int4"),
            ("select $2, $1, $2", &[&1_i16, &true], "select $2::bool, $1::int2, $2::bool"),
            ("where a ?? 'b' and c=?", &[&vec![1_i32]], "where a ? 'b' and c=$1::int4[]"),
            ("where a ? 'b' and c=$1", &[&1_i32], "where a ? 'b' and c=$1::int4"),
            (
                "select '?', \"?\", E'\\'?', '''?' -- ?\n, ?",
                &[&1_i64],
                "select '?', \"?\", E'\\'?', '''?' -- ?\n, $1::int8",
            ),
            (
                "select /* ? /* ? */ ? */ $$?$$, $a$ ? $$ ? $a$, a$1, ?",
                &[&1_i64],
                "select /* ? /* ? */ ? */ $$?$$, $a$ ? $$ ? $a$, a$1, $1::int8",
            ),
            ("select 'ü' || ?", &[&"é"], "select 'ü' || $1::text"),
        ];
        for (written, values, expected) in cases {
            assert_eq!(text(written, values).as_deref(), Ok(expected));
        }
    }

    #[test]
    fn what_does_not_fit_together_is_refused() {
        assert!(text("select ?", &[]).unwrap_err().starts_with("the SQL has 1 placeholders, and 0 values are given"));
        assert!(text("select 1", &[&1_i64]).unwrap_err().contains("0 placeholders, and 1 values"));
        assert!(text("select $2", &[&1_i64]).unwrap_err().contains("2 placeholders, and 1 values"));
        assert!(text("select $0, $1", &[&1_i64]).unwrap_err().contains("counted from $1"));
        assert!(text("select $99999999999999999999999", &[&1_i64]).is_err());
        assert!(text("select ?", &[&"a\0"]).unwrap_err().contains("NUL"));
    }

    #[test]
    fn texts_that_end_in_the_middle_are_left_to_the_server() {
        for written in ["'", "\"", "/*", "/* /* */", "$a$", "$", "--", "E'\\", "-", "$tag"] {
            assert_eq!(text(written, &[]).as_deref(), Ok(written));
        }
    }
}
