//! The static description of the entity and its registration.

use proc_macro2::TokenStream;
use quote::quote;

use super::entity_impl::number;
use super::generated;
use super::property::property;
use crate::model::{Check, Entity, Filter, Index};

/// `static __PROPERTIES` and `static __META`.
pub fn statics(entity: &Entity) -> TokenStream {
    let ident = generated(&entity.ident);
    let name = entity_name(entity);
    let properties: Vec<TokenStream> =
        entity.properties().filter_map(|(index, field)| property(entity, &name, index, field)).collect();
    let count = number(properties.len());
    let options = options(entity);
    quote! {
        static __PROPERTIES: [__h::PropertyMeta; #count] = [#(#properties),*];
        static __META: __h::EntityMeta =
            __h::describe::<#ident>(#name, __h::concat!(__h::file!(), ":", __h::line!()), &__PROPERTIES) #options;
    }
}

/// The name of the entity.
pub fn entity_name(entity: &Entity) -> String {
    syn::ext::IdentExt::unraw(&entity.ident).to_string()
}

/// The entity, for every `Orm` that discovers its entities.
pub fn registration(entity: &Entity) -> TokenStream {
    let name = generated(&entity.ident);
    quote! {
        __h::inventory::submit! { __h::EntityRegistration(__h::meta_of::<#name>) }
    }
}

fn options(entity: &Entity) -> TokenStream {
    let table = entity.table.iter();
    let schema = entity.schema.iter();
    let comment = entity.comment.iter();
    let indexes = (!entity.indexes.is_empty()).then(|| {
        let each = entity.indexes.iter().map(index);
        quote!(.indexes(&[#(#each),*]))
    });
    let checks = (!entity.checks.is_empty()).then(|| {
        let each = entity.checks.iter().map(check);
        quote!(.checks(&[#(#each),*]))
    });
    let filters = (!entity.filters.is_empty()).then(|| {
        let each = entity.filters.iter().map(|each| filter(entity, each));
        quote!(.filters(&[#(#each),*]))
    });
    quote!(#(.table(#table))* #(.schema(#schema))* #(.comment(#comment))* #indexes #checks #filters)
}

fn index(index: &Index) -> TokenStream {
    let name = optional(index.name.as_ref());
    let fields = index.fields.iter().map(|field| syn::ext::IdentExt::unraw(field).to_string());
    let expressions = index.expressions.iter().flatten();
    let unique = index.unique;
    let deferrable = optional(index.deferrable);
    let predicate = optional(index.predicate.as_ref());
    quote! {
        __h::IndexMeta {
            name: #name,
            properties: &[#(#fields),*],
            expressions: &[#(#expressions),*],
            unique: #unique,
            deferrable: #deferrable,
            predicate: #predicate,
        }
    }
}

fn check(check: &Check) -> TokenStream {
    let name = optional(check.name.as_ref());
    let expression = &check.expression;
    quote!(__h::CheckMeta { name: #name, expression: #expression })
}

fn filter(entity: &Entity, filter: &Filter) -> TokenStream {
    let ident = generated(&entity.ident);
    let Filter { name, condition, default } = filter;
    let made = match condition.inputs.len() {
        1 => quote!(__h::Filter::new::<#ident>(#name, #condition)),
        _ => quote!(__h::Filter::with_params::<#ident, _>(#name, #condition)),
    };
    let off = (!default).then(|| quote!(.off_by_default()));
    quote!(__h::FilterMeta(|| __h::filter(#made #off)))
}

fn optional(value: Option<impl quote::ToTokens>) -> TokenStream {
    match value {
        Some(value) => quote!(__h::Some(#value)),
        None => quote!(__h::None),
    }
}
