//! `impl Entity`: what the untyped core needs to reach the fields of the struct.

use proc_macro2::{Literal, Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;

use super::field_access::FieldAccess;
use super::key::{key_items, key_type};
use super::{fields_name, generated, new_name};
use crate::field_type::is_well_known_key;
use crate::model::{Entity, Field, FieldKind};

/// `impl Entity`, and what makes an `IntoEntity` of the entity itself.
pub fn implementation(entity: &Entity) -> TokenStream {
    // The user's own name, so that a missing `Clone` is reported there.
    let name = &entity.ident;
    let paths = fields_name(entity);
    let key = key_items(entity);
    let shared = property_arms(entity, false);
    let mutable = property_arms(entity, true);
    let fields = entity.fields.iter().scan(0, |next, field| Some(hydrated(field, next)));
    let repository = entity.repository.as_ref().map_or_else(|| quote!(__h::Repository<Self>), |own| quote!(#own));
    quote! {
        #[automatically_derived]
        impl __h::Entity for #name {
            #key
            type Fields<R: __h::Entity> = #paths<R>;
            fn meta() -> &'static __h::EntityMeta {
                &__META
            }
            fn property_at(&self, index: usize) -> &dyn __h::Property {
                match index { #shared }
            }
            fn property_at_mut(&mut self, index: usize) -> &mut dyn __h::Property {
                match index { #mutable }
            }
            fn hydrate(row: &mut __h::RowReader<'_>, graph: &__h::GraphLink) -> __h::Result<#name, __h::Error> {
                __h::Ok(Self { #(#fields),* })
            }
        }
        #[automatically_derived]
        impl __h::HasRepository for #name {
            type Repository = #repository;
        }
        #[automatically_derived]
        impl __h::EntitySource for #name {
            type Entity = Self;
            fn entity(self) -> Self {
                self
            }
        }
    }
}

/// The same without anything behind it. The key may be what is wrong, so another one stands in for it.
pub fn stub(entity: &Entity) -> TokenStream {
    let (name, new, paths) = (&entity.ident, new_name(entity), fields_name(entity));
    let repository = entity.repository.as_ref().map_or_else(|| quote!(__h::Repository<Self>), |own| quote!(#own));
    let id = if entity.key().count() > 0 && entity.key().all(|field| is_well_known_key(&field.ty)) {
        key_type(entity)
    } else {
        quote!(i64)
    };
    quote! {
        impl __h::Entity for #name {
            type Id = #id;
            type Fields<R: __h::Entity> = #paths<R>;
            fn meta() -> &'static __h::EntityMeta { loop {} }
            fn key_of(&self) -> #id { loop {} }
            fn property_at(&self, _: usize) -> &dyn __h::Property { loop {} }
            fn property_at_mut(&mut self, _: usize) -> &mut dyn __h::Property { loop {} }
            fn hydrate(_: &mut __h::RowReader<'_>, _: &__h::GraphLink) -> __h::Result<#name, __h::Error> { loop {} }
        }
        impl __h::HasRepository for #name {
            type Repository = #repository;
        }
        impl __h::EntitySource for #name {
            type Entity = #name;
            fn entity(self) -> #name { loop {} }
        }
        impl __h::EntitySource for #new {
            type Entity = #name;
            fn entity(self) -> #name { loop {} }
        }
    }
}

/// The arms of the match over indexes. The last property takes every other index, too: the core asks for no other.
fn property_arms(entity: &Entity, mutable: bool) -> TokenStream {
    let last = entity.properties().count().saturating_sub(1);
    let arms = entity.properties().map(|(index, field)| {
        let name = generated(&field.ident);
        let place = if mutable { quote!(&mut self.#name) } else { quote!(&self.#name) };
        let access = FieldAccess::new(field);
        let property = if mutable { access.property_mut(place) } else { access.property(place) };
        let pattern = if index == last { quote!(_) } else { number(index) };
        quote!(#pattern => #property)
    });
    quote!(#(#arms),*)
}

/// `field: value` of the struct that `hydrate` makes. `next` is the index of the next property.
fn hydrated(field: &Field, next: &mut usize) -> TokenStream {
    let index = number(*next);
    let value = match &field.kind {
        FieldKind::Column(_) | FieldKind::Relation(_) => FieldAccess::new(field).read(&index),
        FieldKind::Transient | FieldKind::Invalid => default_value(field),
    };
    if !matches!(field.kind, FieldKind::Transient) {
        *next += 1;
    }
    let name = generated(&field.ident);
    quote!(#name: #value)
}

/// The value of a transient field that was not set, asked for at the place of its type.
pub fn default_value(field: &Field) -> TokenStream {
    let ty = &field.ty;
    let span = ty.span().resolved_at(Span::call_site());
    quote_spanned!(span=> <#ty as __h::Default>::default())
}

/// An index without a suffix.
pub fn number(index: usize) -> TokenStream {
    let literal = Literal::usize_unsuffixed(index);
    quote!(#literal)
}
