//! The derive macro of `howdah`.
//!
//! One way through: `parse` reads the struct and its attributes (`attr`) into the typed model of `model`, `check`
//! holds the rules that the model must keep, `emit` writes the code, one file for each thing that is generated. Every
//! problem is collected before any is reported, so that a definition is not corrected error by error.
#![allow(unreachable_pub, reason = "of a macro crate nothing but the macro can be reached")]

mod attr;
mod check;
mod emit;
mod errors;
mod field_type;
mod model;
mod parse;
mod self_type;
#[cfg(test)]
mod tests;

use proc_macro::TokenStream;
use syn::{DeriveInput, parse_macro_input};

/// Makes a struct an entity.
///
/// A plain field is a column. `#[primary_key]`, `#[property(…)]`, `#[version]`, `#[transient]`, `#[many_to_one(…)]`,
/// `#[one_to_many(…)]`, `#[one_to_one(…)]` and `#[many_to_many(…)]` say more about a field; `#[entity(…)]`,
/// `#[index(…)]`, `#[unique(…)]` and `#[check(…)]` about the table. The struct must be `Clone`.
///
/// For a struct `User` this generates the implementation of `Entity`, `User::fields()` and the typed paths
/// `UserFields`, and the struct `NewUser` of the fields that a new entity cannot do without.
#[proc_macro_derive(
    Entity,
    attributes(
        entity,
        index,
        unique,
        check,
        primary_key,
        property,
        version,
        transient,
        many_to_one,
        one_to_many,
        one_to_one,
        many_to_many,
        embedded,
        filter
    )
)]
pub fn derive_entity(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    expand(input).into()
}

fn expand(mut input: DeriveInput) -> proc_macro2::TokenStream {
    self_type::spell_out(&mut input);
    let errors = errors::Errors::default();
    let Some(entity) = parse::entity(&input, &errors) else { return errors.into_compile_errors() };
    check::entity(&entity, &errors);
    if errors.is_empty() {
        return emit::entity(&entity);
    }
    // What other code asks of the entity is still there, so that one mistake is one error.
    let mut tokens = errors.into_compile_errors();
    tokens.extend(emit::stub(&entity));
    tokens
}
