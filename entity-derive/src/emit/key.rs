//! The type of the key, and its value.

use proc_macro2::{Span, TokenStream};
use quote::{quote, quote_spanned};

use super::field_access::FieldAccess;
use super::generated;
use crate::field_type::{is_named, plain_name};
use crate::model::{Column, Entity, Field};

/// Who makes the key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Generation {
    /// The database, as an identity column.
    Identity,
    /// `persist()`, as a UUID of version 7.
    UuidV7,
    /// The user, or the database by `default_sql`.
    Assigned,
}

/// Who makes the key that is this column. Every part of a composite key is assigned.
pub fn generation(entity: &Entity, field: &Field, column: &Column) -> Generation {
    let is_chosen = column.assigned.is_some() || column.default_sql.is_some();
    if field.primary_key.is_none() || is_chosen || entity.key().count() != 1 {
        return Generation::Assigned;
    }
    match plain_name(&field.ty).as_deref() {
        Some("i16" | "i32" | "i64") => Generation::Identity,
        _ if is_named(&field.ty, "Uuid") => Generation::UuidV7,
        _ => Generation::Assigned,
    }
}

/// The type of the key.
pub fn key_type(entity: &Entity) -> TokenStream {
    tuple(entity, |field| FieldAccess::new(field).key_type())
}

/// `Entity::Id` and `Entity::key_of`.
pub fn key_items(entity: &Entity) -> TokenStream {
    let key_type = key_type(entity);
    let value = tuple(entity, |field| {
        let name = generated(&field.ident);
        FieldAccess::new(field).key_value(&quote!(&self.#name))
    });
    // The error about a type that cannot be a key is one only if all of it is reported at one place.
    let places = entity.key().map(FieldAccess::new).filter(|access| !access.is_certain());
    let place = places.map(|access| access.place()).next().unwrap_or_else(Span::call_site);
    quote_spanned! {place=>
        type Id = #key_type;
        fn key_of(&self) -> #key_type { #value }
    }
}

/// One part as it is, several as a tuple.
fn tuple(entity: &Entity, part: impl Fn(&Field) -> TokenStream) -> TokenStream {
    let parts: Vec<TokenStream> = entity.key().map(part).collect();
    match parts.as_slice() {
        [part] => quote!(#part),
        parts => quote!((#(#parts),*)),
    }
}
