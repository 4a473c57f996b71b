//! From the model to code: the description, the variants, and which of them a value is.

use proc_macro2::{Ident, Literal, TokenStream};
use quote::{quote, quote_spanned};
use syn::LitStr;
use syn::ext::IdentExt;

use super::{Enum, Storage};
use crate::emit::generated;

/// The code of an enum.
pub fn enumeration(enumeration: &Enum) -> TokenStream {
    let meta = meta(enumeration);
    let variants: Vec<Ident> = enumeration.variants.iter().map(|variant| generated(&variant.ident)).collect();
    let positions = (0..variants.len()).map(Literal::usize_unsuffixed);
    // The order of text is that of the alphabet, not that of the variants.
    let ordered = !matches!(enumeration.storage, Storage::Text);
    let body = quote! {
        const META: &'static __h::EnumMeta = &#meta;
        const VARIANTS: &'static [Self] = &[#(Self::#variants),*];
        fn position(&self) -> __h::usize {
            match self { #(Self::#variants => #positions),* }
        }
    };
    implementations(enumeration, ordered, &body)
}

/// The same without variants, for an enum whose definition has errors.
pub fn stub(enumeration: &Enum) -> TokenStream {
    let body = quote! {
        const META: &'static __h::EnumMeta = &__h::EnumMeta::text("", "", &[]);
        const VARIANTS: &'static [Self] = &[];
        fn position(&self) -> __h::usize {
            0
        }
    };
    implementations(enumeration, true, &body)
}

fn implementations(enumeration: &Enum, ordered: bool, body: &TokenStream) -> TokenStream {
    // The user's own name, so that a missing `Clone` is reported there.
    let name = &enumeration.ident;
    let ordered = ordered.then(|| quote!(impl __h::OrderedEnum for #name {}));
    quote! {
        const _: () = {
            use ::howdah::__private as __h;
            #[automatically_derived]
            impl __h::DbEnum for #name {
                #body
            }
            #ordered
        };
    }
}

fn meta(enumeration: &Enum) -> TokenStream {
    let name = enumeration.ident.unraw().to_string();
    let source = quote!(__h::concat!(__h::file!(), ":", __h::line!()));
    let labels = enumeration.variants.iter().map(|variant| &variant.label);
    match &enumeration.storage {
        Storage::Text => quote!(__h::EnumMeta::text(#name, #source, &[#(#labels),*])),
        Storage::Native { name: type_name, schema } => {
            let (type_name, schema) = (optional(type_name.as_ref()), optional(schema.as_ref()));
            quote!(__h::EnumMeta::native(#name, #source, &[#(#labels),*], #type_name, #schema))
        }
        Storage::Integer { bits } => {
            let bits = Literal::u8_unsuffixed(*bits);
            // A discriminant that does not fit is reported at the name.
            let place = enumeration.ident.span();
            let numbers = enumeration.variants.iter().map(|variant| {
                let variant = generated(&variant.ident);
                quote!(Self::#variant as __h::i64)
            });
            let numbers = quote!(&[#(#numbers),*]);
            quote_spanned!(place=> __h::EnumMeta::integer(#name, #source, #bits, #numbers))
        }
    }
}

fn optional(text: Option<&LitStr>) -> TokenStream {
    text.map_or_else(|| quote!(__h::None), |text| quote!(__h::Some(#text)))
}
