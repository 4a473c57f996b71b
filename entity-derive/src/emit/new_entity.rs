//! `NewUser`: a plain struct of the fields that a new entity cannot do without, so that a forgotten one is the
//! compiler's own "missing field".

use proc_macro2::TokenStream;
use quote::quote;

use super::entity_impl::default_value;
use super::field_access::FieldAccess;
use super::key::{Generation, generation};
use super::values::{Value, function_name};
use super::{generated, new_name};
use crate::field_type::{Shape, is_lazy, shape};
use crate::model::{Column, Entity, Field, FieldKind, Relation};

/// The struct.
pub fn definition(entity: &Entity) -> TokenStream {
    let (visibility, name) = (&entity.visibility, new_name(entity));
    let fields = entity.fields.iter().filter(|field| is_required(entity, field)).map(|field| {
        let (visibility, name, ty) = (&field.visibility, generated(&field.ident), &field.ty);
        let doc = format!("The value of `{}`.", field.name());
        quote!(#[doc = #doc] #visibility #name: #ty)
    });
    let doc = format!("What a new [`{}`] cannot do without.", entity.ident);
    quote! {
        #[doc = #doc]
        #visibility struct #name { #(#fields),* }
    }
}

/// `with`, `From`, `Debug`, `Clone`, and what makes an `IntoEntity`.
pub fn implementation(entity: &Entity) -> TokenStream {
    let conversions = conversions(entity);
    let required: Vec<&Field> = entity.fields.iter().filter(|field| is_required(entity, field)).collect();
    let values = values(entity);
    let copies = required.iter().map(|field| copied(field));
    let shown = required.iter().map(|field| shown(field));
    let (name, ident) = (new_name(entity), generated(&entity.ident));
    let text = name.to_string();
    // A struct without required fields has nothing to read.
    let argument = if required.is_empty() { quote!(_) } else { quote!(new) };
    quote! {
        #conversions
        #[automatically_derived]
        impl __h::From<#name> for #ident {
            fn from(#argument: #name) -> Self {
                Self { #(#values),* }
            }
        }
        #[automatically_derived]
        impl __h::Clone for #name {
            fn clone(&self) -> Self {
                Self { #(#copies),* }
            }
        }
        #[automatically_derived]
        impl __h::Debug for #name {
            fn fmt(&self, f: &mut __h::Formatter<'_>) -> __h::FormatResult {
                __h::debug_properties(f, #text, &[#(#shown),*])
            }
        }
        #[automatically_derived]
        impl __h::EntitySource for #name {
            type Entity = #ident;
            fn entity(self) -> #ident {
                __h::From::from(self)
            }
        }
    }
}

/// `with` and a `From` with nothing behind it.
pub fn stub(entity: &Entity) -> TokenStream {
    let conversions = conversions(entity);
    let (name, ident) = (new_name(entity), generated(&entity.ident));
    quote! {
        #conversions
        impl __h::From<#name> for #ident {
            fn from(_: #name) -> Self { loop {} }
        }
    }
}

fn conversions(entity: &Entity) -> TokenStream {
    let (name, ident) = (new_name(entity), generated(&entity.ident));
    let doc = format!("A new [`{ident}`] with more than the required fields set.");
    quote! {
        impl #name {
            #[doc = #doc]
            pub fn with(self, change: impl __h::FnOnce(&mut #ident)) -> #ident {
                let mut entity = __h::From::from(self);
                change(&mut entity);
                entity
            }
        }
    }
}

/// Whether a new entity cannot do without the field.
fn is_required(entity: &Entity, field: &Field) -> bool {
    match &field.kind {
        FieldKind::Column(column) => is_required_column(entity, field, column),
        FieldKind::Relation(relation) => is_required_relation(relation),
        FieldKind::Transient => false,
        FieldKind::Invalid => {
            matches!(shape(&field.ty), Shape::Value { nullable: false, .. } | Shape::Reference { nullable: false, .. })
        }
    }
}

fn is_required_column(entity: &Entity, field: &Field, column: &Column) -> bool {
    let is_made = column.default.is_some() || column.default_sql.is_some() || column.on_create.is_some();
    let is_generated = generation(entity, field, column) != Generation::Assigned && field.primary_key.is_some();
    !column.nullable && !is_made && !is_generated && column.version.is_none()
}

const fn is_required_relation(relation: &Relation) -> bool {
    !relation.nullable && relation.has_columns()
}

/// `field: value` for every field of the entity.
fn values(entity: &Entity) -> Vec<TokenStream> {
    let mut index = 0;
    let mut values = Vec::with_capacity(entity.fields.len());
    for field in &entity.fields {
        let name = generated(&field.ident);
        let value = if is_required(entity, field) { quote!(new.#name) } else { made(entity, field, index) };
        values.push(quote!(#name: #value));
        if !matches!(field.kind, FieldKind::Transient) {
            index += 1;
        }
    }
    values
}

/// The value of a field that is not required.
fn made(entity: &Entity, field: &Field, index: usize) -> TokenStream {
    match &field.kind {
        FieldKind::Column(column) => made_column(entity, field, column, index),
        FieldKind::Relation(relation) if relation.kind.is_to_many() => FieldAccess::new(field).empty(),
        FieldKind::Relation(_) => quote!(__h::None),
        FieldKind::Transient | FieldKind::Invalid => default_value(field),
    }
}

fn made_column(entity: &Entity, field: &Field, column: &Column, index: usize) -> TokenStream {
    if let Some(value) = [Value::OnCreate, Value::Default].into_iter().find(|value| value.of(column).is_some()) {
        let function = function_name(value, index);
        return quote!(#function());
    }
    if column.version.is_some() {
        return quote!(__h::initial_version());
    }
    if column.nullable && is_lazy(&field.ty) {
        return default_value(field);
    }
    if column.nullable {
        return quote!(__h::None);
    }
    match generation(entity, field, column) {
        Generation::Identity => quote!(0),
        Generation::UuidV7 => quote!(__h::Uuid::nil()),
        Generation::Assigned => quote!(__h::unset()),
    }
}

fn copied(field: &Field) -> TokenStream {
    let name = generated(&field.ident);
    let copy = FieldAccess::new(field).copy(&quote!(&self.#name));
    quote!(#name: #copy)
}

fn shown(field: &Field) -> TokenStream {
    let (name, text) = (generated(&field.ident), field.name());
    let property = FieldAccess::new(field).property(quote!(&self.#name));
    quote!((#text, #property))
}
