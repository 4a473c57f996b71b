//! `Self` in the types and expressions of a definition. They are copied to places where `Self` is something else or
//! nothing, so the entity is named instead.

use proc_macro2::{Group, Ident, TokenStream, TokenTree};
use quote::quote;
use syn::{Attribute, Data, DeriveInput, Meta, Type};

/// Replaces `Self` by the name of the entity in every field.
pub fn spell_out(input: &mut DeriveInput) {
    let Data::Struct(data) = &mut input.data else { return };
    for field in &mut data.fields {
        spell_out_type(&mut field.ty, &input.ident);
        field.attrs.iter_mut().for_each(|attribute| spell_out_attribute(attribute, &input.ident));
    }
}

fn spell_out_type(ty: &mut Type, name: &Ident) {
    let tokens = quote!(#ty);
    if mentions_self(tokens.clone()) {
        // What was a type is one with another name in it.
        *ty = syn::parse2(replaced(tokens, name)).unwrap_or_else(|_| ty.clone());
    }
}

fn spell_out_attribute(attribute: &mut Attribute, name: &Ident) {
    if let Meta::List(list) = &mut attribute.meta
        && mentions_self(list.tokens.clone())
    {
        list.tokens = replaced(std::mem::take(&mut list.tokens), name);
    }
}

fn mentions_self(tokens: TokenStream) -> bool {
    tokens.into_iter().any(|token| match token {
        TokenTree::Ident(ident) => ident == "Self",
        TokenTree::Group(group) => mentions_self(group.stream()),
        TokenTree::Punct(_) | TokenTree::Literal(_) => false,
    })
}

fn replaced(tokens: TokenStream, name: &Ident) -> TokenStream {
    let tokens = tokens.into_iter().map(|token| match token {
        TokenTree::Ident(ident) if ident == "Self" => {
            let mut name = name.clone();
            name.set_span(ident.span());
            TokenTree::Ident(name)
        }
        TokenTree::Group(group) => {
            let mut inner = Group::new(group.delimiter(), replaced(group.stream(), name));
            inner.set_span(group.span());
            TokenTree::Group(inner)
        }
        other => other,
    });
    tokens.collect()
}
