//! The attributes of the struct: `#[entity(…)]`, `#[index(…)]`, `#[unique(…)]` and `#[check(…)]`.

use proc_macro2::Span;
use syn::{LitStr, Type};

use super::Arguments;
use super::relation::deferrable;
use crate::model::{Check, Index};

/// What `#[entity(…)]` says.
#[derive(Default)]
pub struct EntityOptions {
    pub table: Option<LitStr>,
    pub schema: Option<LitStr>,
    pub comment: Option<LitStr>,
    pub repository: Option<Type>,
}

/// Reads `#[entity(…)]`.
pub fn entity(mut arguments: Arguments<'_>) -> EntityOptions {
    let options = EntityOptions {
        table: arguments.string("table"),
        schema: arguments.string("schema"),
        comment: arguments.string("comment"),
        repository: arguments.type_name("repository"),
    };
    arguments.finish(&["table", "schema", "comment", "repository"]);
    options
}

/// Reads `#[index(…)]` or `#[unique(…)]`: the names of the fields, and options.
pub fn index(mut arguments: Arguments<'_>, unique: bool, span: Span) -> Index {
    let listed = arguments.valued_words("properties");
    let name = arguments.valued_string("name");
    let predicate = arguments.valued_string("where");
    let when = if unique { deferrable(&mut arguments) } else { None };
    if let (Some(predicate), Some(_)) = (&predicate, when) {
        let message =
            "only a constraint can be deferrable, and a constraint has no condition: leave out `deferrable` or `where`";
        arguments.report(predicate.span(), message);
    }
    let mut fields = listed.unwrap_or_default();
    fields.extend(arguments.remaining_flags());
    arguments.finish(if unique { &["name", "where", "deferrable"] } else { &["name", "where"] });
    Index { span, unique, fields, name, predicate, deferrable: when }
}

/// Reads `#[check("…")]`. `None` if there is no condition.
pub fn check(mut arguments: Arguments<'_>, span: Span) -> Option<Check> {
    let expression = arguments.bare_string("check");
    let name = arguments.string("name");
    if expression.is_none() {
        arguments.report(span, "#[check] needs a condition: #[check(\"price >= 0\")]");
    }
    arguments.finish(&["name"]);
    Some(Check { expression: expression?, name })
}
