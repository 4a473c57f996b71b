//! Which tables a statement names.
//!
//! Read from its text, so that it holds for every statement, those of users included. Columns stand behind an alias and a
//! period, tables do not: a name that could be either counts as a table.

use std::borrow::Cow;

use rustc_hash::FxHashSet;

use crate::metadata::lexer::{Token, name, token};

/// The names in a statement that may be tables, each with what stands before its period.
pub(crate) struct Mentions<'t> {
    names: FxHashSet<(Option<Cow<'t, str>>, Cow<'t, str>)>,
}

impl<'t> Mentions<'t> {
    /// The names in a text.
    pub(crate) fn of(text: &'t str) -> Self {
        let mut names = FxHashSet::default();
        let mut rest = text;
        let mut before: Option<Cow<'t, str>> = None;
        // Whether a period stands before what comes next.
        let mut is_part = false;
        while let Some((found, length)) = token(rest) {
            let (piece, behind) = rest.split_at(length);
            rest = behind;
            let Some(name) = name(found, piece) else {
                match found {
                    // They may stand around a period.
                    Token::Blank | Token::LineComment | Token::BlockComment => {}
                    Token::Other if piece == "." && before.is_some() => is_part = true,
                    _ => (before, is_part) = (None, false),
                }
                continue;
            };
            let qualifier = if is_part { before.take() } else { None };
            before = Some(name.clone());
            names.insert((qualifier, name));
            is_part = false;
        }
        Self { names }
    }

    /// Whether a table is named.
    pub(crate) fn names(&self, schema: Option<&str>, table: &str) -> bool {
        let has = |schema: Option<&str>| self.names.contains(&(schema.map(Cow::Borrowed), Cow::Borrowed(table)));
        has(None) || has(Some(schema.unwrap_or("public")))
    }
}

/// Functions whose value is another one later, or the next time.
const MOVING: &[&str] = &[
    "now",
    "transaction_timestamp",
    "statement_timestamp",
    "clock_timestamp",
    "timeofday",
    "current_timestamp",
    "current_date",
    "current_time",
    "localtimestamp",
    "localtime",
    "random",
    "gen_random_uuid",
    "nextval",
];

impl Mentions<'_> {
    /// A function that is named, and whose value changes by itself.
    pub(crate) fn moving(&self) -> Option<&'static str> {
        let has = |schema: Option<&'static str>, name: &'static str| {
            self.names.contains(&(schema.map(Cow::Borrowed), Cow::Borrowed(name)))
        };
        MOVING.iter().copied().find(|name| has(None, name) || has(Some("pg_catalog"), name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_told_from_columns_texts_and_comments() {
        let text = r#"SELECT t0."id", t0."authors" FROM "app"."books" AS t0 JOIN "ta""gs" ON t0."x" = $1 -- "notes"
            WHERE name = 'it''s "genres"' AND EXISTS (SELECT FROM Covers AS c) /* "prints" */ AND a = $q$ "seals" $q$"#;
        let mentions = Mentions::of(text);
        for (schema, table) in [(Some("app"), "books"), (None, "ta\"gs"), (None, "covers"), (Some("app"), "covers")] {
            assert!(mentions.names(schema, table), "{table}");
        }
        for table in ["authors", "id", "notes", "genres", "prints", "seals", "books"] {
            assert!(!mentions.names(None, table), "{table}");
        }
        // A quote inside of a text does not end it, nor a comment inside of a comment the one around it.
        for text in [
            r"select E'it\'s' from books",
            r"select E'\\' from books",
            "/* a /* b */ ' */ select * from books",
            "select 1 as one, '' from books where '\"' = $1",
            "select * from public /* here */ . books",
        ] {
            assert!(Mentions::of(text).names(None, "books"), "{text}");
        }
        assert!(!Mentions::of(r"select E'\' from books --'").names(None, "books"));
        assert!(Mentions::of("select * from public.books").names(None, "books"));
        assert!(!Mentions::of("select * from other.books").names(None, "books"));
    }

    #[test]
    fn what_does_not_end_is_no_panic() {
        for text in ["\"", "'", "$", "$1", "$$", "$a$", "--", "/*", "a.", ".", "é.\"ü", "\"\"\""] {
            assert!(!Mentions::of(text).names(None, "books"), "{text}");
        }
    }
}
