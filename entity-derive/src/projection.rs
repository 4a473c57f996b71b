//! `#[derive(Projection)]`: a struct of some columns of an entity.
//!
//! The same way as for entities: `parse` reads the struct into the model below, `emit` writes the code, and all problems
//! are collected before any is reported. Which kind of field a type is (a column, a projection, a list of projections), the
//! compiler finds out.

mod emit;
mod parse;
#[cfg(test)]
mod tests;

use proc_macro2::TokenStream;
use syn::{DeriveInput, Ident, LitStr, Path, Type};

use crate::errors::Errors;

/// A struct with `#[derive(Projection)]`.
struct Projection {
    ident: Ident,
    /// The entity that the fields are compared with while the program is compiled, where it was named.
    entity: Option<Path>,
    fields: Vec<Field>,
}

/// A field, and what it is read from.
struct Field {
    ident: Ident,
    ty: Type,
    rename: Option<LitStr>,
}

impl Field {
    /// The field of the entity, or the way to it.
    fn source(&self) -> String {
        use syn::ext::IdentExt;
        self.rename.as_ref().map_or_else(|| self.ident.unraw().to_string(), |rename| rename.value().trim().to_owned())
    }
}

/// The code of a projection.
pub fn expand(input: &DeriveInput) -> TokenStream {
    let errors = Errors::default();
    let Some(projection) = parse::projection(input, &errors) else { return errors.into_compile_errors() };
    if errors.is_empty() {
        return emit::projection(&projection);
    }
    // Queries for the projection still compile, so that one mistake is one error.
    let mut tokens = errors.into_compile_errors();
    tokens.extend(emit::stub(&projection));
    tokens
}
