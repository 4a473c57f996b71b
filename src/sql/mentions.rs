//! Which tables a statement names.
//!
//! Read from its text, so that it holds for every statement, those of users included. Columns stand behind an alias and a
//! period, tables do not: a name that could be either counts as a table.

use std::borrow::Cow;

use rustc_hash::FxHashSet;

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
        while let Some(first) = rest.chars().next() {
            if let Some(length) = skipped(rest) {
                rest = &rest[length..];
                if !text[..text.len() - rest.len()].ends_with(char::is_whitespace) {
                    (before, is_part) = (None, false);
                }
                continue;
            }
            let (name, length) = match first {
                '"' => quoted(rest),
                _ if first == '_' || first.is_alphabetic() => {
                    let is_name = |letter: char| letter == '_' || letter == '$' || letter.is_alphanumeric();
                    let end = rest.find(|letter| !is_name(letter)).unwrap_or(rest.len());
                    let name = &rest[..end];
                    let is_lower = !name.contains(char::is_uppercase);
                    (if is_lower { Cow::Borrowed(name) } else { Cow::Owned(name.to_lowercase()) }, end)
                }
                _ => {
                    is_part = first == '.' && before.is_some();
                    if !is_part {
                        before = None;
                    }
                    rest = &rest[first.len_utf8()..];
                    continue;
                }
            };
            let qualifier = if is_part { before.take() } else { None };
            before = Some(name.clone());
            names.insert((qualifier, name));
            is_part = false;
            rest = &rest[length..];
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

/// The length of blanks, a text, a parameter or a comment.
fn skipped(rest: &str) -> Option<usize> {
    let first = rest.chars().next()?;
    let behind = |end: &str, from: usize| rest[from..].find(end).map_or(rest.len(), |at| from + at + end.len());
    match first {
        _ if first.is_whitespace() => Some(rest.find(|letter: char| !letter.is_whitespace()).unwrap_or(rest.len())),
        '\'' => Some(behind("'", 1)),
        '$' => {
            let tag = rest[1..].find('$').map(|end| &rest[..end + 2]);
            let is_tag =
                |tag: &&str| tag[1..tag.len() - 1].chars().all(|letter| letter == '_' || letter.is_alphanumeric());
            let starts_with_digit = rest[1..].starts_with(|letter: char| letter.is_ascii_digit());
            match tag.filter(is_tag) {
                Some(tag) if !starts_with_digit => Some(behind(tag, tag.len())),
                _ => {
                    let digits = rest[1..].find(|letter: char| !letter.is_ascii_digit());
                    Some(digits.map_or(rest.len(), |end| end + 1))
                }
            }
        }
        '-' if rest.starts_with("--") => Some(behind("\n", 2)),
        '/' if rest.starts_with("/*") => Some(behind("*/", 2)),
        _ => None,
    }
}

/// A quoted name, and its length with the quotes.
fn quoted(rest: &str) -> (Cow<'_, str>, usize) {
    let mut end = 1;
    let mut has_quotes = false;
    while let Some(at) = rest[end..].find('"') {
        end += at + 1;
        if !rest[end..].starts_with('"') {
            let name = &rest[1..end - 1];
            let name = if has_quotes { Cow::Owned(name.replace("\"\"", "\"")) } else { Cow::Borrowed(name) };
            return (name, end);
        }
        has_quotes = true;
        end += 1;
    }
    (Cow::Borrowed(&rest[1..]), rest.len())
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
