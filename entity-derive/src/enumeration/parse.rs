//! From the enum to the model. What the enum cannot be at all is said here; the rules for what it may say are in `check`.

use proc_macro2::Span;
use syn::ext::IdentExt;
use syn::spanned::Spanned;
use syn::{Attribute, Data, DeriveInput, Fields, Ident, LitStr};

use super::rename::{RULES, RenameRule};
use super::{Enum, Storage, Variant};
use crate::attr::Arguments;
use crate::errors::Errors;

/// The model of the enum; `None` if it is nothing that could be a column's type.
pub fn enumeration(input: &DeriveInput, errors: &Errors) -> Option<Enum> {
    let name = &input.ident;
    let found = match &input.data {
        Data::Enum(_) if !input.generics.params.is_empty() => {
            errors.push_on(&input.generics, "an enum of a column cannot be generic: it has one list of values");
            return None;
        }
        Data::Enum(data) => data,
        Data::Struct(_) => {
            errors.push(name.span(), format!("DbEnum is for enums without fields, and `{name}` is a struct"));
            return None;
        }
        Data::Union(_) => {
            errors.push(name.span(), format!("DbEnum is for enums without fields, and `{name}` is a union"));
            return None;
        }
    };
    let (storage, rule) = options(input, errors);
    let variants = found.variants.iter().map(|each| variant(each, rule, &storage, errors)).collect();
    Some(Enum { ident: name.clone(), storage, variants })
}

/// The attribute `#[db_enum(…)]`, if there is one.
fn attribute<'a>(attributes: &'a [Attribute], errors: &Errors) -> Option<&'a Attribute> {
    let mut found = attributes.iter().filter(|attribute| attribute.path().is_ident("db_enum"));
    let first = found.next();
    for other in found {
        errors.push_on(other.path(), "#[db_enum] is given twice: keep one");
    }
    first
}

/// What the attribute of the enum says.
fn options(input: &DeriveInput, errors: &Errors) -> (Storage, Option<RenameRule>) {
    let Some(attribute) = attribute(&input.attrs, errors) else { return (Storage::Text, None) };
    let mut arguments = Arguments::parse(attribute, "db_enum", errors);
    let native = arguments.flag("native");
    let integer = arguments.flag("integer");
    let (name, schema) = (arguments.string("name"), arguments.string("schema"));
    let rename_all = arguments.string("rename_all");
    arguments.finish(&["native", "name", "schema", "integer", "rename_all"]);
    if let (Some(_), Some(integer)) = (native, integer) {
        errors.push(integer, "`native` and `integer` exclude each other: a column has one type");
    }
    if native.is_none()
        && let Some(of_type) = name.as_ref().or(schema.as_ref())
    {
        errors.push(of_type.span(), "this is about a native type: add `native`");
    }
    if let (Some(_), Some(rename_all)) = (integer, &rename_all) {
        errors.push(rename_all.span(), "the variants of an integer enum have no names in the database");
    }
    let storage = match integer {
        Some(_) => Storage::Integer { bits: bits(input, errors) },
        None if native.is_some() => Storage::Native { name, schema },
        None => Storage::Text,
    };
    (storage, rename_all.and_then(|rule| rename_rule(&rule, errors)))
}

fn rename_rule(name: &LitStr, errors: &Errors) -> Option<RenameRule> {
    let rule = RenameRule::from_name(&name.value());
    if rule.is_none() {
        let known = RULES.map(|(rule, _)| format!("\"{rule}\"")).join(", ");
        errors.push(name.span(), format!("there is no such rule; there are {known}"));
    }
    rule
}

/// The width of the column, by the `#[repr(…)]`: one that can hold what Rust holds.
fn bits(input: &DeriveInput, errors: &Errors) -> u8 {
    let mut bits = 16;
    for attribute in input.attrs.iter().filter(|attribute| attribute.path().is_ident("repr")) {
        // What is wrong with a `repr`, the compiler says.
        let _ = attribute.parse_nested_meta(|meta| {
            let name = meta.path.get_ident().map(Ident::to_string).unwrap_or_default();
            match name.as_str() {
                "u16" | "i32" => bits = 32,
                "u32" | "i64" => bits = 64,
                "u64" | "usize" | "isize" | "u128" | "i128" => {
                    errors.push(meta.path.span(), "an integer column is an i16, i32 or i64: #[repr(i64)]");
                }
                _ => {}
            }
            Ok(())
        });
    }
    bits
}

fn variant(variant: &syn::Variant, rule: Option<RenameRule>, storage: &Storage, errors: &Errors) -> Variant {
    if !matches!(variant.fields, Fields::Unit) {
        errors.push_on(&variant.fields, "a column holds one of a list of values: a variant cannot have fields");
    }
    let rename = rename(&variant.attrs, storage, errors);
    let name = variant.ident.unraw().to_string();
    let (label, label_span): (String, Span) = match rename {
        Some(label) => (label.value(), label.span()),
        None => (rule.map_or_else(|| name.clone(), |rule| rule.apply(&name)), variant.ident.span()),
    };
    let discriminant = variant.discriminant.as_ref().map(|(_, value)| value.clone());
    Variant { ident: variant.ident.clone(), label, label_span, discriminant }
}

/// `#[db_enum(rename = "…")]` of a variant.
fn rename(attributes: &[Attribute], storage: &Storage, errors: &Errors) -> Option<LitStr> {
    let mut arguments = Arguments::parse(attribute(attributes, errors)?, "db_enum", errors);
    let rename = arguments.string("rename");
    arguments.finish(&["rename"]);
    if let (Some(rename), Storage::Integer { .. }) = (&rename, storage) {
        errors.push(rename.span(), "the variants of an integer enum have no names in the database");
        return None;
    }
    rename
}
