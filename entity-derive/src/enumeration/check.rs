//! The rules that the definition must keep, one function each, with the reason.

use syn::{Expr, ExprUnary, Lit, UnOp};

use super::{Enum, Storage};
use crate::errors::Errors;

/// After how many bytes PostgreSQL refuses the value of an enum type.
const LABEL_LIMIT: usize = 63;

/// Reports every rule that the enum breaks.
pub fn enumeration(enumeration: &Enum, errors: &Errors) {
    check_variants(enumeration, errors);
    if let Storage::Integer { bits } = enumeration.storage {
        return check_numbers(enumeration, bits, errors);
    }
    check_duplicates(enumeration, errors);
    check_labels(enumeration, errors);
}

/// A column that can hold nothing.
fn check_variants(enumeration: &Enum, errors: &Errors) {
    if enumeration.variants.is_empty() {
        let name = &enumeration.ident;
        errors.push(name.span(), format!("`{name}` has no variants: a column of this type could hold no value"));
    }
}

/// A column of so many bits must hold the discriminants. Those that are not plain numbers are checked when the enum is
/// compiled.
fn check_numbers(enumeration: &Enum, bits: u8, errors: &Errors) {
    let limit = i128::from(i64::MAX >> (64 - bits));
    let mut next = Some(0);
    for variant in &enumeration.variants {
        let number = match &variant.discriminant {
            Some(value) => number(value),
            None => next,
        };
        if number.is_some_and(|number| !(-limit - 1..=limit).contains(&number)) {
            let span = variant.discriminant.as_ref().map_or_else(|| variant.ident.span(), syn::spanned::Spanned::span);
            let message = format!("this does not fit into {bits} bits: add #[repr(i32)] or #[repr(i64)] to the enum");
            return errors.push(span, message);
        }
        next = number.and_then(|number| number.checked_add(1));
    }
}

/// The number that an expression is, if it is a plain one.
fn number(value: &Expr) -> Option<i128> {
    match value {
        Expr::Lit(literal) => match &literal.lit {
            Lit::Int(number) => number.base10_parse().ok(),
            _ => None,
        },
        Expr::Unary(ExprUnary { op: UnOp::Neg(_), expr, .. }) => number(expr).map(|number| -number),
        Expr::Group(group) => number(&group.expr),
        Expr::Paren(paren) => number(&paren.expr),
        _ => None,
    }
}

/// Two variants with one name could not be told apart when they are read.
fn check_duplicates(enumeration: &Enum, errors: &Errors) {
    for (index, variant) in enumeration.variants.iter().enumerate() {
        if let Some(other) = enumeration.variants.iter().take(index).find(|other| other.label == variant.label) {
            let (one, two, label) = (&other.ident, &variant.ident, &variant.label);
            errors.push(
                variant.label_span,
                format!("`{one}` and `{two}` are both called \"{label}\": give one another name with `rename`"),
            );
        }
    }
}

/// What PostgreSQL cannot hold.
fn check_labels(enumeration: &Enum, errors: &Errors) {
    let is_native = matches!(enumeration.storage, Storage::Native { .. });
    for variant in &enumeration.variants {
        let length = variant.label.len();
        if variant.label.contains('\0') {
            errors.push(variant.label_span, "text cannot contain a NUL byte");
        } else if is_native && length > LABEL_LIMIT {
            let message = format!("a value of a native enum has at most {LABEL_LIMIT} bytes, and this has {length}");
            errors.push(variant.label_span, message);
        }
    }
}
