//! What generated code does with a field: describe, read, borrow, lead on.
//!
//! A field type that cannot be what the field says must give one error, at the type. The compiler reports a failed
//! bound once for every expression that needs it, unless the reports are the same: so of a type that the macro does
//! not know for certain, every expression asks the same trait, in the same form, at the same place. Of a column type
//! that it knows it writes a shorter form.

use proc_macro2::{Span, TokenStream};
use quote::{format_ident, quote, quote_spanned};
use syn::Type;

use super::generated;
use crate::field_type::{is_well_known, is_well_known_key};
use crate::model::{Field, FieldKind};

/// How a field is reached.
pub struct FieldAccess<'a> {
    field: &'a Field,
    /// The trait that is asked; `None` of a column whose type is known for certain.
    asked: Option<&'static str>,
}

impl<'a> FieldAccess<'a> {
    /// The access to a field that is a property.
    pub fn new(field: &'a Field) -> Self {
        let asked = match &field.kind {
            FieldKind::Relation(relation) if relation.kind.is_to_many() => Some("ToManyField"),
            FieldKind::Relation(_) => Some("ToOneField"),
            _ if field.primary_key.is_some() => (!is_well_known_key(&field.ty)).then_some("KeyField"),
            _ => (!is_well_known(&field.ty)).then_some("ColumnField"),
        };
        Self { field, asked }
    }

    /// `<Type as Trait>::member`, all of it at the place of the type.
    fn member(&self, asked: &str, member: &str) -> TokenStream {
        let ty = &self.field.ty;
        let (first, last) = ends(ty);
        let (asked, member) = (format_ident!("{asked}", span = last), format_ident!("{member}", span = last));
        let mut tokens = quote_spanned!(first=> <);
        tokens.extend(quote!(#ty));
        tokens.extend(quote_spanned!(last=> as __h::#asked>::#member));
        tokens
    }

    /// A member of the trait that is asked, or `known`.
    fn ask(&self, member: &str, known: TokenStream) -> TokenStream {
        self.asked.map_or(known, |asked| self.member(asked, member))
    }

    /// The `PropertyMeta` of a column, without options.
    pub fn column_meta(&self, entity: &str) -> TokenStream {
        let (ty, name) = (&self.field.ty, self.field.name());
        match self.asked {
            None => quote!(__h::PropertyMeta::column::<#ty>(#entity, #name)),
            Some(asked) => {
                let meta = self.member(asked, "META");
                quote!(__h::column(#meta, #entity, #name))
            }
        }
    }

    /// The function that describes the target of a relation.
    pub fn target(&self) -> TokenStream {
        self.ask("target", TokenStream::new())
    }

    /// Reads a column or the key of a to-one relation from `row`; a collection is not loaded.
    pub fn read(&self, index: &TokenStream) -> TokenStream {
        match self.asked {
            None => quote!(__h::read(row)?),
            Some("ToManyField") => {
                let unloaded = self.member("ToManyField", "unloaded");
                quote!(#unloaded(&__PROPERTIES[#index]))
            }
            Some(asked) => {
                let read = self.member(asked, "read");
                let more = match asked {
                    "ToOneField" => quote!(, graph),
                    "ColumnField" => quote!(, &__PROPERTIES[#index]),
                    _ => TokenStream::new(),
                };
                quote!(#read(row #more)?)
            }
        }
    }

    /// `place` (a borrow of the field) as a `&dyn Property`.
    pub fn property(&self, place: TokenStream) -> TokenStream {
        self.call("property", place)
    }

    /// `place` (a mutable borrow of the field) as a `&mut dyn Property`.
    pub fn property_mut(&self, place: TokenStream) -> TokenStream {
        self.call("property_mut", place)
    }

    fn call(&self, member: &str, place: TokenStream) -> TokenStream {
        let Some(asked) = self.asked else { return place };
        let function = self.member(asked, member);
        quote!(#function(#place))
    }

    /// A copy of the field at `place` (a borrow).
    pub fn copy(&self, place: &TokenStream) -> TokenStream {
        let function = self.ask("copy", quote!(__h::Clone::clone));
        quote!(#function(#place))
    }

    /// The part of the key that the field at `place` (a borrow) is.
    pub fn key_value(&self, place: &TokenStream) -> TokenStream {
        if self.asked == Some("ToOneField") {
            let function = self.member("ToOneField", "key");
            return quote!(#function(#place));
        }
        self.copy(place)
    }

    /// The type of the part of the key that the field is.
    pub fn key_type(&self) -> TokenStream {
        let ty = &self.field.ty;
        self.ask("Key", quote!(#ty))
    }

    /// The empty collection.
    pub fn empty(&self) -> TokenStream {
        let function = self.ask("empty", TokenStream::new());
        quote!(#function())
    }

    /// The method that makes the typed path, after its documentation.
    pub fn path_method(&self, index: &TokenStream) -> TokenStream {
        let name = generated(&self.field.ident);
        if let Some(asked) = self.asked {
            let (path, make) = (self.member(asked, "Path"), self.member(asked, "path"));
            let (_, last) = ends(&self.field.ty);
            return quote_spanned!(last=> pub fn #name(&self) -> #path<R> { #make(&self.0, #index) });
        }
        let ty = &self.field.ty;
        quote!(pub fn #name(&self) -> __h::Column<R, #ty> { __h::Column::new(&self.0, #index) })
    }

    /// The place where errors about the type are reported; nowhere in the user's code if it is certain.
    pub fn place(&self) -> Span {
        self.asked.map_or_else(Span::call_site, |_| ends(&self.field.ty).1)
    }

    /// Whether the type is certain to be one that the field can have.
    pub const fn is_certain(&self) -> bool {
        self.asked.is_none()
    }

    /// The typed paths to the fields of a relation's target.
    pub fn target_fields(&self) -> TokenStream {
        self.ask("Fields", TokenStream::new())
    }
}

/// Where a type begins and ends.
fn ends(ty: &Type) -> (Span, Span) {
    let mut tokens = quote!(#ty).into_iter().map(|token| token.span());
    let first = tokens.next().unwrap_or_else(Span::call_site);
    (first, tokens.last().unwrap_or(first))
}
