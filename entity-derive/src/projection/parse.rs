//! From the struct to the model.

use syn::{Attribute, Data, DeriveInput, Fields};

use super::{Field, Projection};
use crate::attr::Arguments;
use crate::errors::Errors;

/// The model of the struct; `None` if it is nothing that a row could be read into.
pub fn projection(input: &DeriveInput, errors: &Errors) -> Option<Projection> {
    let name = &input.ident;
    let found = match &input.data {
        Data::Struct(data) => match &data.fields {
            Fields::Named(fields) if !fields.named.is_empty() => return with_fields(input, fields, errors),
            Fields::Unnamed(_) => "a tuple struct",
            Fields::Named(_) | Fields::Unit => "a struct without fields",
        },
        Data::Enum(_) => "an enum",
        Data::Union(_) => "a union",
    };
    errors.push(name.span(), format!("a projection is a struct with named fields, and `{name}` is {found}"));
    None
}

fn with_fields(input: &DeriveInput, fields: &syn::FieldsNamed, errors: &Errors) -> Option<Projection> {
    if !input.generics.params.is_empty() || input.generics.where_clause.is_some() {
        errors.push_on(&input.generics, "a projection cannot be generic: it has one list of columns");
        return None;
    }
    let entity = attribute(&input.attrs, errors).and_then(|attribute| {
        let mut arguments = Arguments::parse(attribute, "projection", errors);
        let entity = arguments.path("entity");
        arguments.finish(&["entity"]);
        entity
    });
    let fields = fields.named.iter().filter_map(|found| field(found, errors)).collect();
    Some(Projection { ident: input.ident.clone(), entity, fields })
}

fn field(found: &syn::Field, errors: &Errors) -> Option<Field> {
    let rename = attribute(&found.attrs, errors).and_then(|attribute| {
        let mut arguments = Arguments::parse(attribute, "projection", errors);
        let rename = arguments.string("rename");
        arguments.finish(&["rename"]);
        rename
    });
    if let Some(rename) = &rename
        && rename.value().trim().split('.').any(|name| syn::parse_str::<syn::Ident>(name).is_err())
    {
        let message = "this is the name of the entity's field, or the way to it: \"name\", \"author.name\"";
        errors.push(rename.span(), message);
    }
    Some(Field { ident: found.ident.clone()?, ty: found.ty.clone(), rename })
}

/// The attribute `#[projection(…)]`, if there is one.
fn attribute<'a>(attributes: &'a [Attribute], errors: &Errors) -> Option<&'a Attribute> {
    let mut found = attributes.iter().filter(|attribute| attribute.path().is_ident("projection"));
    let first = found.next();
    for other in found {
        errors.push_on(other.path(), "#[projection] is given twice: keep one");
    }
    first
}
