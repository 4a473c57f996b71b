//! The attributes of the struct: `#[entity(…)]`, `#[index(…)]`, `#[unique(…)]`, `#[check(…)]` and
//! `#[filter(…)]`.

use proc_macro2::Span;
use syn::spanned::Spanned;
use syn::{Expr, LitStr, Type};

use super::Arguments;
use super::relation::deferrable;
use crate::model::{Check, Filter, Index};

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

/// Reads `#[index(…)]` or `#[unique(…)]`: the names of the fields, expressions, and options.
pub fn index(mut arguments: Arguments<'_>, unique: bool, span: Span) -> Index {
    let listed = arguments.valued_words("properties");
    let name = arguments.valued_string("name");
    let predicate = arguments.valued_string("where");
    let when = if unique { deferrable(&mut arguments) } else { None };
    let expressions = arguments.valued_strings("expression");
    if when.is_some() {
        let rule = "only a constraint can be deferrable, and a constraint has no";
        if let Some(predicate) = &predicate {
            arguments.report(predicate.span(), format!("{rule} condition: leave out `deferrable` or `where`"));
        }
        if let Some(expression) = expressions.iter().flatten().next() {
            arguments.report(expression.span(), format!("{rule} expressions: leave out `deferrable` or `expression`"));
        }
    }
    let mut fields = listed.unwrap_or_default();
    fields.extend(arguments.remaining_flags());
    let known = ["expression", "name", "where", "deferrable"];
    arguments.finish(if unique { &known } else { &known[..3] });
    Index { span, unique, fields, expressions, name, predicate, deferrable: when }
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

/// Reads `#[filter(name = "…", condition = |post| …)]`. `None` if the name or the condition is missing.
pub fn filter(mut arguments: Arguments<'_>, span: Span) -> Option<Filter> {
    let name = arguments.string("name");
    let given = arguments.expression("condition");
    let default = arguments.boolean("default").unwrap_or(true);
    let what = "a closure of the fields, and of the parameters if there are any";
    let place = given.as_ref().map_or(span, Spanned::span);
    let condition = match given {
        Some(Expr::Closure(closure)) if matches!(closure.inputs.len(), 1 | 2) => Some(closure),
        _ => {
            let form = "|post| post.deleted_at().is_null(), or |post, tenant: i64| post.tenant_id().eq(tenant)";
            arguments.report(place, format!("#[filter] needs a `condition`, {what}: condition = {form}"));
            None
        }
    };
    if name.is_none() {
        arguments.report(span, "#[filter] needs a `name`: name = \"not_deleted\"");
    }
    arguments.finish(&["name", "condition", "default"]);
    Some(Filter { name: name?, condition: condition?, default })
}
