//! Quoted names.

/// Appends a quoted identifier.
pub(crate) fn push_identifier(out: &mut String, name: &str) {
    out.push('"');
    for character in name.chars() {
        if character == '"' {
            out.push('"');
        }
        out.push(character);
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

/// The name of a type without its modifiers: `numeric(10,2)` → `numeric`. What is compared must not be rounded first.
pub(super) fn without_modifiers(sql_type: &str) -> String {
    match (sql_type.find('('), sql_type.find(')')) {
        (Some(open), Some(close)) if open < close => {
            format!("{}{}", sql_type[..open].trim_end(), &sql_type[close + 1..])
        }
        _ => sql_type.to_owned(),
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
    }
}
