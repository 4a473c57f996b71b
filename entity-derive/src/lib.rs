//! The derive macros of `howdah`.
//!
//! One way through: `parse` reads the struct and its attributes (`attr`) into the typed model of `model`, `check`
//! holds the rules that the model must keep, `emit` writes the code, one file for each thing that is generated. Every
//! problem is collected before any is reported, so that a definition is not corrected error by error. `enumeration` is the
//! same way for enums.
#![allow(unreachable_pub, reason = "of a macro crate nothing but the macro can be reached")]

mod attr;
mod check;
mod emit;
mod enumeration;
mod errors;
mod field_type;
mod model;
mod parse;
mod projection;
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
        filter,
        primary_key,
        property,
        version,
        transient,
        many_to_one,
        one_to_many,
        one_to_one,
        many_to_many,
        embedded,
    )
)]
pub fn derive_entity(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    expand(input).into()
}

/// Makes an enum without fields the type of a column.
///
/// By default the column is `text` with a check constraint that lists the variants. `#[db_enum(…)]` on the enum takes:
///
/// * `native`: a PostgreSQL enum, made with `CREATE TYPE`; `name = "…"` and `schema = "…"` name the type, otherwise the
///   naming strategy does;
/// * `integer`: the discriminants, in an `int2`; of an enum with `#[repr(i32)]` or `#[repr(i64)]`, in an `int4` or `int8`;
/// * `rename_all = "snake_case"`: what the variants are called in the database. The rules are those of serde: `lowercase`,
///   `UPPERCASE`, `PascalCase`, `camelCase`, `snake_case`, `SCREAMING_SNAKE_CASE`, `kebab-case` and `SCREAMING-KEBAB-CASE`.
///   Without one they are called as in Rust.
///
/// `#[db_enum(rename = "…")]` on a variant names it alone. The enum must be `Clone` and `Debug`; as a key,
/// `PartialEq` as well.
#[proc_macro_derive(DbEnum, attributes(db_enum))]
pub fn derive_db_enum(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    enumeration::expand(&input).into()
}

/// Makes a struct with named fields something that rows are read into.
///
/// A field is read from the entity's field (or, of plain SQL, the column) of the same name; `#[projection(rename = "…")]`
/// names another one, also behind to-one relations: `"author.name"`. A field is
///
/// * a column: a type that columns have, or an `Option` of one where it may be NULL;
/// * another projection, of what a to-one relation leads to: an `Option` where the relation may be missing;
/// * a `Vec` of projections, of what a to-many relation leads to, in the order of their keys.
///
/// With `#[projection(entity = User)]` on the struct the compiler compares the fields with those of the entity; without,
/// that is done when the query runs, before anything is sent.
#[proc_macro_derive(Projection, attributes(projection))]
pub fn derive_projection(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    projection::expand(&input).into()
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
