//! `#[derive(DbEnum)]`: an enum without fields, as the type of a column.
//!
//! The same way as for entities: `parse` reads the enum into the model below, `check` holds the rules, `emit` writes the
//! code, and all problems are collected before any is reported.

mod check;
mod emit;
mod parse;
mod rename;
#[cfg(test)]
mod tests;

use proc_macro2::{Span, TokenStream};
use syn::{DeriveInput, Expr, Ident, LitStr};

use crate::errors::Errors;

/// An enum with `#[derive(DbEnum)]`.
struct Enum {
    ident: Ident,
    storage: Storage,
    variants: Vec<Variant>,
}

/// How the values are stored.
enum Storage {
    Text,
    Native {
        name: Option<LitStr>,
        schema: Option<LitStr>,
    },
    /// An integer of this many bits.
    Integer {
        bits: u8,
    },
}

/// A variant, and what it is called in the database.
struct Variant {
    ident: Ident,
    label: String,
    /// Where the label comes from: `rename`, or the variant itself.
    label_span: Span,
    discriminant: Option<Expr>,
}

/// The code of an enum.
pub fn expand(input: &DeriveInput) -> TokenStream {
    let errors = Errors::default();
    let Some(enumeration) = parse::enumeration(input, &errors) else { return errors.into_compile_errors() };
    check::enumeration(&enumeration, &errors);
    if errors.is_empty() {
        return emit::enumeration(&enumeration);
    }
    // Entities that have the enum as a column still compile, so that one mistake is one error.
    let mut tokens = errors.into_compile_errors();
    tokens.extend(emit::stub(&enumeration));
    tokens
}
