//! From the model to code: one file for each thing that is generated.
//!
//! What users name (`NewUser`, `UserFields`) stands beside the struct, everything else inside `const _: () = {…}`. All
//! names are absolute, through `howdah::__private`, which the block calls `__h`. The few names that the block defines
//! begin with two underscores: the user's expressions are evaluated inside it.

mod entity_impl;
mod field_access;
mod field_paths;
mod inverse_checks;
mod key;
mod metadata;
mod new_entity;
mod property;
mod values;

use proc_macro2::{Ident, Span, TokenStream};
use quote::{format_ident, quote};

use crate::model::Entity;

/// The code of an entity.
pub fn entity(entity: &Entity) -> TokenStream {
    let definitions = definitions(entity);
    let values = values::functions(entity);
    let metadata = metadata::statics(entity);
    let entity_impl = entity_impl::implementation(entity);
    let paths_impl = field_paths::implementation(entity);
    let new_impl = new_entity::implementation(entity);
    let inverse_checks = inverse_checks::functions(entity);
    let registration = metadata::registration(entity);
    quote! {
        #definitions
        const _: () = {
            use ::howdah::__private as __h;
            #values
            #metadata
            #entity_impl
            #paths_impl
            #new_impl
            #inverse_checks
            #registration
        };
    }
}

/// What other code needs to see of an entity whose definition has errors, without anything behind it: the build fails
/// anyway, but only with the errors of the definition.
pub fn stub(entity: &Entity) -> TokenStream {
    let definitions = definitions(entity);
    let entity_impl = entity_impl::stub(entity);
    let paths_impl = field_paths::stub(entity);
    let new_impl = new_entity::stub(entity);
    quote! {
        #definitions
        const _: () = {
            use ::howdah::__private as __h;
            #entity_impl
            #paths_impl
            #new_impl
        };
    }
}

fn definitions(entity: &Entity) -> TokenStream {
    let mut tokens = new_entity::definition(entity);
    tokens.extend(field_paths::definition(entity));
    tokens
}

/// The name of the struct of required fields.
fn new_name(entity: &Entity) -> Ident {
    generated(&format_ident!("New{}", entity.ident))
}

/// The name of the struct of typed paths.
fn fields_name(entity: &Entity) -> Ident {
    generated(&format_ident!("{}Fields", entity.ident))
}

/// The user's name at the user's place, but of generated code: lints do not speak of it.
pub fn generated(ident: &Ident) -> Ident {
    let mut ident = ident.clone();
    ident.set_span(ident.span().resolved_at(Span::call_site()));
    ident
}
