//! Attributes: from tokens to typed options.
//!
//! [`Arguments`] reads what all attributes have in common (flags, `name = value`, `name(list)`) and reports what is
//! unknown, given twice or of the wrong form; `column`, `relation` and `table` know the options of each attribute.

mod argument;
mod arguments;
mod column;
mod relation;
mod table;

use proc_macro2::Span;
use syn::Attribute;

pub use arguments::Arguments;
pub use column::{primary_key, property, version};
pub use relation::relation;
pub use table::{check, entity, filter, index};

use crate::errors::Errors;
use crate::model::RelationKind;

/// The attributes of a field.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum FieldAttribute {
    PrimaryKey,
    Property,
    Version,
    Transient,
    Relation(RelationKind),
}

impl FieldAttribute {
    fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "primary_key" => Self::PrimaryKey,
            "property" => Self::Property,
            "version" => Self::Version,
            "transient" => Self::Transient,
            "many_to_one" => Self::Relation(RelationKind::ManyToOne),
            "one_to_many" => Self::Relation(RelationKind::OneToMany),
            "one_to_one" => Self::Relation(RelationKind::OneToOne),
            "many_to_many" => Self::Relation(RelationKind::ManyToMany),
            _ => return None,
        })
    }

    /// The name, as it is written.
    pub const fn name(self) -> &'static str {
        match self {
            Self::PrimaryKey => "primary_key",
            Self::Property => "property",
            Self::Version => "version",
            Self::Transient => "transient",
            Self::Relation(kind) => kind.attribute(),
        }
    }
}

/// One attribute of a field, with what stands in its parentheses.
pub struct FieldArguments<'e> {
    pub attribute: FieldAttribute,
    pub span: Span,
    pub arguments: Arguments<'e>,
}

/// The attributes of a field that belong to the derive macro. Attributes of others are left alone.
pub fn of_field<'e>(attributes: &[Attribute], errors: &'e Errors) -> Vec<FieldArguments<'e>> {
    let mut found: Vec<FieldArguments<'e>> = Vec::new();
    for attribute in attributes {
        let Some(name) = attribute.path().get_ident() else { continue };
        let span = name.span();
        let name = name.to_string();
        let Some(kind) = FieldAttribute::from_name(&name) else {
            refuse_on_field(&name, span, errors);
            continue;
        };
        let arguments = Arguments::parse(attribute, kind.name(), errors);
        if found.iter().any(|other| other.attribute == kind) {
            errors.push(span, format!("#[{name}] is given twice: keep one"));
            continue;
        }
        found.push(FieldArguments { attribute: kind, span, arguments });
    }
    found
}

/// Attributes that are the macro's, but have no meaning on a field.
fn refuse_on_field(name: &str, span: Span, errors: &Errors) {
    match name {
        "embedded" | "filter" => errors.push(span, format!("#[{name}] is not supported")),
        "entity" => errors.push(span, "#[entity(…)] belongs on the struct"),
        "index" | "unique" => errors
            .push(span, format!("#[{name}(…)] belongs on the struct; for this field alone write #[property({name})]")),
        "check" => errors
            .push(span, "#[check(…)] belongs on the struct; for this field alone write #[property(check = \"…\")]"),
        _ => {}
    }
}
