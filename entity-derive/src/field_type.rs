//! What can be told of a field by the spelling of its type. A macro sees no types, only their names: the last
//! segment of the path decides.

use syn::{GenericArgument, PathArguments, PathSegment, Type};

/// What the type of a field looks like.
pub enum Shape<'a> {
    /// `Ref<T>`, or `Option<Ref<T>>`.
    Reference { nullable: bool },
    /// `Collection<T>`.
    Collection,
    /// Anything else, or an `Option` of it.
    Value { inner: &'a Type, nullable: bool },
}

/// The shape of a type.
pub fn shape(ty: &Type) -> Shape<'_> {
    if argument_of(ty, "Collection").is_some() {
        return Shape::Collection;
    }
    if let Some(inner) = argument_of(ty, "Lazy") {
        return Shape::Value { inner: ty, nullable: argument_of(inner, "Option").is_some() };
    }
    let (inner, nullable) = match argument_of(ty, "Option") {
        Some(inner) => (inner, true),
        None => (ty, false),
    };
    match argument_of(inner, "Ref") {
        Some(_) => Shape::Reference { nullable },
        None => Shape::Value { inner, nullable },
    }
}

/// The name of the type: the last segment of its path, if that has no arguments.
pub fn plain_name(ty: &Type) -> Option<String> {
    let segment = last_segment(ty)?;
    segment.arguments.is_empty().then(|| segment.ident.to_string())
}

/// Whether the type is `name`.
pub fn is_named(ty: &Type, name: &str) -> bool {
    last_segment(ty).is_some_and(|segment| segment.arguments.is_empty() && segment.ident == name)
}

/// Whether the type is `Lazy<T>`.
pub fn is_lazy(ty: &Type) -> bool {
    argument_of(ty, "Lazy").is_some()
}

/// Whether the type is one that howdah itself stores in a column, judged by its name. Of any other type the generated
/// code asks in a longer form that makes the compiler's error say it once.
pub fn is_well_known(ty: &Type) -> bool {
    let inner = argument_of(ty, "Option").unwrap_or(ty);
    match argument_of(inner, "Vec") {
        Some(element) => is_well_known_scalar(element) || is_named(element, "u8"),
        None => is_well_known_scalar(inner),
    }
}

/// Whether the type is one that can be a key, judged by its name.
pub fn is_well_known_key(ty: &Type) -> bool {
    plain_name(ty).is_some_and(|name| ["i16", "i32", "i64", "String", "Uuid"].contains(&name.as_str()))
}

/// Whether the type is a point in time: `DateTime<Utc>` or `NaiveDateTime`.
pub fn is_timestamp(ty: &Type) -> bool {
    argument_of(ty, "DateTime").is_some_and(|zone| is_named(zone, "Utc")) || is_named(ty, "NaiveDateTime")
}

fn is_well_known_scalar(ty: &Type) -> bool {
    const NAMES: [&str; 10] = ["bool", "i16", "i32", "i64", "f32", "f64", "String", "Uuid", "NaiveDate", "NaiveTime"];
    is_timestamp(ty) || plain_name(ty).is_some_and(|name| NAMES.contains(&name.as_str()))
}

/// The argument of `name<…>`.
fn argument_of<'a>(ty: &'a Type, name: &str) -> Option<&'a Type> {
    let segment = last_segment(ty)?;
    let PathArguments::AngleBracketed(arguments) = &segment.arguments else { return None };
    match arguments.args.first() {
        Some(GenericArgument::Type(argument)) if segment.ident == name && arguments.args.len() == 1 => Some(argument),
        _ => None,
    }
}

fn last_segment(ty: &Type) -> Option<&PathSegment> {
    match ty {
        Type::Path(path) if path.qself.is_none() => path.path.segments.last(),
        // A type that came through a `macro_rules!` variable.
        Type::Group(group) => last_segment(&group.elem),
        Type::Paren(paren) => last_segment(&paren.elem),
        _ => None,
    }
}
