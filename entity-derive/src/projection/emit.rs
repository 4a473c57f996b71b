//! From the model to code.

use proc_macro2::{Span, TokenStream};
use quote::{format_ident, quote, quote_spanned};
use syn::Ident;
use syn::ext::IdentExt;
use syn::spanned::Spanned;

use super::{Field, Projection};
use crate::emit::generated;

/// The code of a projection.
pub fn projection(projection: &Projection) -> TokenStream {
    let name = projection.ident.unraw().to_string();
    let consts: Vec<Ident> = (0..projection.fields.len()).map(|index| format_ident!("__FIELD{index}")).collect();
    let ways = projection.fields.iter().zip(&consts).map(|(field, way)| {
        let ty = &field.ty;
        let span = ty.span().resolved_at(Span::call_site());
        quote_spanned!(span=> const #way: __h::ProjectedField<#ty> = __h::projected_field::<_, #ty>();)
    });
    let fields = projection.fields.iter().zip(&consts).map(|(field, way)| {
        let source = field.source();
        quote!(__h::ProjectionFieldMeta { name: #source, shape: #way.shape })
    });
    let read = projection.fields.iter().zip(&consts).map(|(field, way)| {
        let ident = generated(&field.ident);
        quote!(#ident: (#way.read)(row)?)
    });
    let meta = quote! {
        #(#ways)*
        static __META: __h::ProjectionMeta = __h::ProjectionMeta { name: #name, fields: &[#(#fields),*] };
    };
    let check = projection.entity.as_ref().map(|entity| check(entity, &projection.fields));
    let implementation = implementation(projection, &quote!(&__META), &quote!(__h::Ok(Self { #(#read),* })));
    quote! {
        const _: () = {
            use ::howdah::__private as __h;
            #meta
            #implementation
            #check
        };
    }
}

/// The same without anything behind it, for a struct whose definition has errors.
pub fn stub(projection: &Projection) -> TokenStream {
    let implementation = implementation(projection, &quote!(loop {}), &quote!(loop {}));
    quote! {
        const _: () = {
            use ::howdah::__private as __h;
            #implementation
        };
    }
}

fn implementation(projection: &Projection, meta: &TokenStream, read: &TokenStream) -> TokenStream {
    let name = &projection.ident;
    quote! {
        #[automatically_derived]
        impl __h::Projection for #name {
            fn meta() -> &'static __h::ProjectionMeta {
                #meta
            }
        }
        #[automatically_derived]
        impl __h::FromRow for #name {
            fn expected() -> __h::ExpectedRow {
                __h::ExpectedRow::ByName(<Self as __h::Projection>::meta())
            }
            fn read(row: &mut __h::ColumnReader<'_>) -> __h::Result<Self, __h::Error> {
                #read
            }
        }
    }
}

/// A function that nobody calls: it compiles if the entity has the fields, with these types.
fn check(entity: &syn::Path, fields: &[Field]) -> TokenStream {
    let checks = fields.iter().map(|field| {
        let ty = &field.ty;
        let place = field.rename.as_ref().map_or_else(|| field.ident.span(), syn::LitStr::span);
        let names = field.source();
        let steps = names.split('.').map(|name| Ident::new_raw_if_needed(name, place.resolved_at(Span::call_site())));
        let span = ty.span().resolved_at(Span::call_site());
        quote_spanned!(span=> __h::projects::<_, #ty, _>(__fields #(.#steps())*);)
    });
    quote! {
        #[allow(dead_code, clippy::redundant_clone, reason = "the compiler looks at it, and nobody else")]
        fn __check(__fields: <#entity as __h::Entity>::Fields<#entity>) {
            #(#checks)*
        }
    }
}

/// A name that may be a keyword.
trait RawIfNeeded {
    fn new_raw_if_needed(name: &str, span: Span) -> Ident;
}

impl RawIfNeeded for Ident {
    fn new_raw_if_needed(name: &str, span: Span) -> Ident {
        match syn::parse_str::<Ident>(name) {
            Ok(_) => Ident::new(name, span),
            Err(_) => Ident::new_raw(name, span),
        }
    }
}
