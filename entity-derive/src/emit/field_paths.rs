//! `UserFields`: the typed paths to the fields, and `User::fields()`.

use proc_macro2::TokenStream;
use quote::quote;

use super::entity_impl::number;
use super::field_access::FieldAccess;
use super::{fields_name, generated};
use crate::model::{Entity, Field, FieldKind};

/// The struct.
pub fn definition(entity: &Entity) -> TokenStream {
    let (visibility, name, entity) = (&entity.visibility, fields_name(entity), generated(&entity.ident));
    let doc = format!("The typed paths to the fields of [`{entity}`], in a query for `R`.");
    quote! {
        #[doc = #doc]
        #visibility struct #name<R = #entity>(::howdah::__private::RootedPath<R>);
    }
}

/// Its methods, and `User::fields()`.
pub fn implementation(entity: &Entity) -> TokenStream {
    with_methods(entity, method)
}

/// The same of an entity whose definition has errors.
pub fn stub(entity: &Entity) -> TokenStream {
    with_methods(entity, stub_method)
}

fn with_methods(entity: &Entity, method: fn(usize, &Field) -> Option<TokenStream>) -> TokenStream {
    let methods = entity.properties().filter_map(|(index, field)| method(index, field));
    let (name, ident) = (fields_name(entity), generated(&entity.ident));
    let doc = format!("The typed paths to the fields: `{ident}::fields().…`.");
    quote! {
        #[automatically_derived]
        impl<R> __h::Clone for #name<R> {
            fn clone(&self) -> Self {
                Self(__h::Clone::clone(&self.0))
            }
        }
        #[automatically_derived]
        impl<R: __h::Entity> __h::FieldSet for #name<R> {
            fn at(path: __h::FieldPath) -> Self {
                Self(__h::RootedPath::new(path))
            }
            fn path(&self) -> &__h::FieldPath {
                &self.0
            }
        }
        #[allow(
            dead_code,
            private_interfaces,
            unreachable_pub,
            clippy::must_use_candidate,
            clippy::missing_inline_in_public_items
        )]
        impl<R: __h::Entity> #name<R> {
            #(#methods)*
        }
        impl #ident {
            #[doc = #doc]
            pub fn fields() -> #name {
                #name(__h::RootedPath::new(__h::FieldPath::root(__h::meta_of::<Self>)))
            }
        }
    }
}

fn method(index: usize, field: &Field) -> Option<TokenStream> {
    if matches!(field.kind, FieldKind::Transient) {
        return None;
    }
    let method = FieldAccess::new(field).path_method(&number(index));
    let doc = format!("The field `{}`.", field.name());
    Some(quote!(#[doc = #doc] #method))
}

/// The method of an entity whose definition has errors: what is not certain fits everywhere.
fn stub_method(index: usize, field: &Field) -> Option<TokenStream> {
    let name = generated(&field.ident);
    let is_sure = match &field.kind {
        FieldKind::Column(_) => FieldAccess::new(field).is_certain(),
        FieldKind::Relation(_) => true,
        FieldKind::Invalid => false,
        FieldKind::Transient => return None,
    };
    if is_sure { method(index, field) } else { Some(quote!(pub fn #name(&self) -> __h::InvalidPath { loop {} })) }
}
