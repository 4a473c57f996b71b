//! Conditions of partial indexes, as far as they can be told from the values of a row: `deleted_at IS NULL AND is_current`.
//!
//! What is not understood is not guessed: then it is only likely that a row is under the index.

use crate::metadata::EntityDef;

/// What a row has in a column.
pub(super) enum Held {
    Null,
    /// Its binary form.
    Value(Vec<u8>),
    /// It is the database's to make.
    Unknown,
}

/// A condition: terms that all have to hold.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Predicate {
    terms: Vec<Term>,
}

#[derive(Debug, PartialEq, Eq)]
struct Term {
    property: usize,
    test: Test,
}

#[derive(Debug, PartialEq, Eq)]
enum Test {
    Null(bool),
    /// The column equals one of these values; whether it has to.
    Equals(Vec<u8>, bool),
}

impl Predicate {
    /// Reads a condition. `None` if it is more than comparisons of columns with constants, joined by AND.
    pub(super) fn parse(entity: &EntityDef, text: &str) -> Option<Self> {
        let tokens = tokens(text)?;
        let mut terms = Vec::new();
        for words in tokens.split(|token| token.eq_ignore_ascii_case("and")) {
            terms.push(term(entity, words)?);
        }
        Some(Self { terms })
    }

    /// The properties that it looks at.
    pub(super) fn properties(&self) -> impl Iterator<Item = usize> {
        self.terms.iter().map(|term| term.property)
    }

    /// Whether a row meets it; `None` if that is not known.
    pub(super) fn holds(&self, held: &mut dyn FnMut(usize) -> Held) -> Option<bool> {
        let mut is_known = true;
        for term in &self.terms {
            let holds = match (held(term.property), &term.test) {
                (Held::Unknown, _) => {
                    is_known = false;
                    true
                }
                (Held::Null, Test::Null(wanted)) => *wanted,
                (Held::Value(_), Test::Null(wanted)) => !wanted,
                // Neither true nor false: the row is not under the index.
                (Held::Null, Test::Equals(..)) => false,
                (Held::Value(value), Test::Equals(constant, wanted)) => (value == *constant) == *wanted,
            };
            if !holds {
                return Some(false);
            }
        }
        is_known.then_some(true)
    }
}

/// Words, quoted names without their quotes (lower-case ones being themselves), `'texts'` with theirs, and signs.
fn tokens(text: &str) -> Option<Vec<String>> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let end = match first {
            '"' | '\'' => {
                let end = rest[1..].find(first)? + 2;
                // A doubled quote is a quote: not worth the trouble.
                if rest[end..].starts_with(first) {
                    return None;
                }
                end
            }
            '(' | ')' | '=' => 1,
            '<' if rest.starts_with("<>") => 2,
            '!' if rest.starts_with("!=") => 2,
            _ if first.is_ascii_alphanumeric() || first == '_' => {
                rest.find(|other: char| !other.is_ascii_alphanumeric() && other != '_').unwrap_or(rest.len())
            }
            _ => return None,
        };
        let token = &rest[..end];
        tokens.push(if first == '"' { token.trim_matches('"').to_owned() } else { token.to_owned() });
        rest = rest[end..].trim_start();
    }
    Some(tokens)
}

fn term(entity: &EntityDef, words: &[String]) -> Option<Term> {
    let words: Vec<String> = words
        .iter()
        .map(|word| if word.starts_with('\'') { word.clone() } else { word.to_ascii_lowercase() })
        .collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let column = |name: &str| entity.property_of_column(name);
    let boolean = |name: &str, value: bool| {
        let property = column(name)?;
        let is_boolean = entity.column(property)?.meta.pg.name == "bool";
        is_boolean.then(|| Term { property, test: Test::Equals(vec![u8::from(value)], true) })
    };
    match words.as_slice() {
        ["(", inner @ .., ")"] => {
            let inner: Vec<String> = inner.iter().map(|&word| word.to_owned()).collect();
            term(entity, &inner)
        }
        [name] | [name, "is", "true"] => boolean(name, true),
        ["not", name] => boolean(name, false),
        [name, "is", "null"] => Some(Term { property: column(name)?, test: Test::Null(true) }),
        [name, "is", "not", "null"] => Some(Term { property: column(name)?, test: Test::Null(false) }),
        [name, sign @ ("=" | "<>" | "!="), constant] => {
            let property = column(name)?;
            let meta = entity.column(property)?.meta;
            let bytes = match (meta.pg.name, meta.sql_type, *constant) {
                ("bool", None, "true") => vec![1],
                ("bool", None, "false") => vec![0],
                ("int2", None, number) => number.parse::<i16>().ok()?.to_be_bytes().to_vec(),
                ("int4", None, number) => number.parse::<i32>().ok()?.to_be_bytes().to_vec(),
                ("int8", None, number) => number.parse::<i64>().ok()?.to_be_bytes().to_vec(),
                ("text", None, text) => text.strip_prefix('\'')?.strip_suffix('\'')?.as_bytes().to_vec(),
                _ => return None,
            };
            Some(Term { property, test: Test::Equals(bytes, *sign == "=") })
        }
        _ => None,
    }
}
