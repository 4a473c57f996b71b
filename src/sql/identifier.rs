//! Quoted names, and casts to types.

use crate::metadata::SqlType;

/// Appends a quoted identifier.
pub(crate) fn push_identifier(out: &mut String, name: &str) {
    out.push('"');
    let mut parts = name.split('"');
    out.push_str(parts.next().unwrap_or_default());
    for part in parts {
        out.push_str("\"\"");
        out.push_str(part);
    }
    out.push('"');
}

/// Appends a table, with its schema where it has one.
pub(crate) fn push_table(out: &mut String, schema: Option<&str>, table: &str) {
    if let Some(schema) = schema {
        push_identifier(out, schema);
        out.push('.');
    }
    push_identifier(out, table);
}

/// Appends `alias."column"`.
pub(super) fn push_column(out: &mut String, alias: &str, column: &str) {
    out.push_str(alias);
    out.push('.');
    push_identifier(out, column);
}

/// Appends the items separated by `, `.
pub(super) fn push_list<T>(out: &mut String, items: impl IntoIterator<Item = T>, mut push: impl FnMut(&mut String, T)) {
    push_joined(out, ", ", items, &mut push);
}

/// Appends the items separated by `separator`.
pub(super) fn push_joined<T>(
    out: &mut String,
    separator: &str,
    items: impl IntoIterator<Item = T>,
    mut push: impl FnMut(&mut String, T),
) {
    for (index, item) in items.into_iter().enumerate() {
        if index > 0 {
            out.push_str(separator);
        }
        push(out, item);
    }
}

/// Appends a type, with its modifiers.
pub(super) fn push_type(out: &mut String, sql_type: &SqlType) {
    match sql_type {
        SqlType::Given(text) => out.push_str(text),
        SqlType::Enum { definition, is_array } => {
            push_table(out, definition.schema, &definition.name);
            if *is_array {
                out.push_str("[]");
            }
        }
    }
}

/// Appends the cast to a column's type, where its values travel as another one.
pub(super) fn push_cast(out: &mut String, sql_type: Option<&SqlType>) {
    let Some(sql_type) = sql_type else { return };
    out.push_str("::");
    match sql_type {
        SqlType::Given(text) => out.push_str(&without_modifiers(text)),
        SqlType::Enum { .. } => push_type(out, sql_type),
    }
}

/// Appends the cast to arrays of a column's type, where its values travel as another one.
pub(super) fn push_array_cast(out: &mut String, sql_type: Option<&SqlType>) {
    push_cast(out, sql_type);
    if sql_type.is_some() {
        out.push_str("[]");
    }
}

/// Appends the cast to the element of a column's type, where its values travel as another one.
pub(super) fn push_element_cast(out: &mut String, sql_type: Option<&SqlType>) {
    match sql_type {
        None => {}
        Some(SqlType::Given(text)) => {
            let name = without_modifiers(text);
            out.push_str("::");
            out.push_str(name.strip_suffix("[]").unwrap_or(&name));
        }
        Some(SqlType::Enum { definition, .. }) => {
            out.push_str("::");
            push_table(out, definition.schema, &definition.name);
        }
    }
}

/// The name of a type without its modifiers: `numeric(10,2)` → `numeric`.
///
/// What is compared must not be rounded first, and what is written must not be cut off without an error: an explicit cast
/// to `varchar(5)` does that, the assignment to such a column refuses.
fn without_modifiers(sql_type: &str) -> String {
    let name = match (sql_type.find('('), sql_type.find(')')) {
        (Some(open), Some(close)) if open < close => {
            format!("{}{}", sql_type[..open].trim_end(), &sql_type[close + 1..])
        }
        _ => sql_type.to_owned(),
    };
    let (element, suffix) = name.strip_suffix("[]").map_or((name.as_str(), ""), |element| (element, "[]"));
    // Alone, these mean a length of one.
    match element.to_ascii_lowercase().as_str() {
        "char" | "character" | "nchar" => format!("bpchar{suffix}"),
        "bit" => format!("varbit{suffix}"),
        _ => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_are_doubled() {
        let mut out = String::new();
        push_table(&mut out, Some("my\"schema"), "Ä table");
        assert_eq!(out, "\"my\"\"schema\".\"Ä table\"");
    }

    #[test]
    fn modifiers_are_cut_out() {
        assert_eq!(without_modifiers("numeric(10, 2)"), "numeric");
        assert_eq!(without_modifiers("timestamp(3) with time zone"), "timestamp with time zone");
        assert_eq!(without_modifiers("mood"), "mood");
        assert_eq!(without_modifiers("varchar(5)[]"), "varchar[]");
    }

    #[test]
    fn types_whose_length_is_one_by_default_get_a_name_without_length() {
        assert_eq!(without_modifiers("char(5)"), "bpchar");
        assert_eq!(without_modifiers("CHARACTER(5)[]"), "bpchar[]");
        assert_eq!(without_modifiers("bit(8)"), "varbit");
        assert_eq!(without_modifiers("character varying(5)"), "character varying");
    }
}
