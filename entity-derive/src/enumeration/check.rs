//! The rules that the definition must keep, one function each, with the reason.

use super::{Enum, Storage};
use crate::errors::Errors;

/// After how many bytes PostgreSQL refuses the value of an enum type.
const LABEL_LIMIT: usize = 63;

/// Reports every rule that the enum breaks.
pub fn enumeration(enumeration: &Enum, errors: &Errors) {
    check_variants(enumeration, errors);
    if matches!(enumeration.storage, Storage::Integer { .. }) {
        return;
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
