//! What rows have in a column, and what a flush gives them, in a form that can be compared.

use super::predicate::Held;
use crate::metadata::{EntityDef, EntityObject, EntityView, ReferenceTarget};
use crate::types::Key;
use crate::unit_of_work::change_set::{ChangeKind, Override, RowChange, Target};

/// A form that is the same for all values that the server may take for equal: types that are named by hand may have an equality
/// of their own (citext, padded characters).
pub(super) fn fold(entity: &EntityDef, property: usize, bytes: &[u8]) -> Vec<u8> {
    let Some(column) = entity.column(property) else { return bytes.to_vec() };
    if column.meta.sql_type.is_some() {
        return String::from_utf8_lossy(bytes).trim_end().to_lowercase().into_bytes();
    }
    match (column.meta.pg.name, bytes) {
        // There are two zeros.
        ("float4" | "float8", [0x80, rest @ ..]) if rest.iter().all(|byte| *byte == 0) => vec![0; bytes.len()],
        _ => bytes.to_vec(),
    }
}

/// The same for what is seen through an expression: as many make something of text that is the same for large and small letters,
/// and without the blanks around it, such texts count as equal.
pub(super) fn fold_loosely(entity: &EntityDef, property: usize, bytes: &[u8]) -> Vec<u8> {
    if entity.column(property).is_some_and(|column| column.meta.pg.name == "text") {
        return String::from_utf8_lossy(bytes).trim().to_lowercase().into_bytes();
    }
    fold(entity, property, bytes)
}

/// What the database has.
pub(super) fn old_part(entity: &EntityDef, view: &EntityView<'_>, property: usize) -> Held {
    held(entity, view.baseline.unwrap_or(view.value), property)
}

/// What the flush writes.
pub(super) fn new_part(entity: &EntityDef, row: &RowChange, view: &EntityView<'_>, property: usize) -> Held {
    let Ok(number) = u16::try_from(property) else { return Held::Unknown };
    if entity.column(property).is_some() {
        let unwritten = row.kind == ChangeKind::Insert && !row.properties.contains(&number);
        return if unwritten { Held::Unknown } else { encoded(|out| row.value(view, number).encode(out)) };
    }
    if let Some((_, target)) = row.targets.iter().find(|(index, _)| *index == number) {
        return match target {
            Target::Null => Held::Null,
            Target::Key(key) => Held::Value(key_bytes(key)),
            // A new row has a key that nothing has referred to.
            Target::Row(_) => Held::Unknown,
        };
    }
    let cleared =
        row.overrides.iter().any(|(index, value)| *index == number && matches!(value, Override::Reference(None)));
    if cleared { Held::Null } else { held(entity, view.value, property) }
}

/// The value of a property.
fn held(entity: &EntityDef, value: &dyn EntityObject, property: usize) -> Held {
    let value = value.property(property);
    if entity.column(property).is_some() {
        return encoded(|out| value.encode(out));
    }
    match value.as_reference().map(|reference| reference.target()) {
        Some(ReferenceTarget::Key(key)) => Held::Value(key_bytes(&key)),
        Some(ReferenceTarget::Nothing) => Held::Null,
        _ => Held::Unknown,
    }
}

fn encoded(encode: impl FnOnce(&mut Vec<u8>) -> Result<bool, crate::types::ConversionError>) -> Held {
    let mut out = Vec::new();
    match encode(&mut out) {
        Ok(true) => Held::Value(out),
        Ok(false) => Held::Null,
        Err(_) => Held::Unknown,
    }
}

fn key_bytes(key: &Key) -> Vec<u8> {
    let mut bytes = Vec::new();
    for part in key.parts() {
        let text = part.to_string();
        bytes.extend_from_slice(&text.len().to_be_bytes());
        bytes.extend_from_slice(text.as_bytes());
    }
    bytes
}
