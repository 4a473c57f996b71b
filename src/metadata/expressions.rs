//! Expressions that indexes are made of: SQL that was written by hand. Which columns it mentions, and how an index is called
//! that nobody gave a name, is read from its words.

use super::lexer::{name, tokens};
use super::resolved::{EntityDef, IndexDef, PropertyDef};

impl EntityDef {
    /// The property that has a column of this name.
    pub(crate) fn property_of_column(&self, name: &str) -> Option<usize> {
        self.properties.iter().position(|property| match property {
            PropertyDef::Column(column) => column.name == name,
            PropertyDef::Relation(relation) => relation.columns.iter().any(|column| column.name == name),
        })
    }

    /// The properties whose columns are mentioned in SQL that was written by hand, each once. Empty if none is recognised, or
    /// if the row is mentioned as a whole: then it may be any.
    pub(crate) fn mentioned_in(&self, sql: &str) -> Vec<usize> {
        let tokens = tokens(sql);
        let mut properties = Vec::new();
        for (position, (token, text)) in tokens.iter().enumerate() {
            let next = tokens.get(position + 1).map(|(_, text)| *text);
            let Some(name) = name(*token, text) else { continue };
            match self.property_of_column(&name) {
                // Functions may be called like columns.
                Some(_) if next == Some("(") => {}
                Some(property) if !properties.contains(&property) => properties.push(property),
                None if name == self.table && next != Some(".") => return Vec::new(),
                None if name == self.table && tokens.get(position + 2).is_some_and(|(_, text)| *text == "*") => {
                    return Vec::new();
                }
                _ => {}
            }
        }
        properties
    }
}

/// Names the indexes that have no name yet, those of expressions, by their columns and the words of their expressions. `make`
/// makes a name of parts and a suffix. The same words in another order of signs are another index: they are numbered.
pub(super) fn name_indexes(indexes: &mut [IndexDef], make: impl Fn(&[String], &str) -> String) {
    for position in 0..indexes.len() {
        let index = &indexes[position];
        if !index.name.is_empty() {
            continue;
        }
        let mut parts = index.columns.clone();
        for expression in &index.expressions {
            let words = tokens(expression.text);
            parts.extend(words.into_iter().filter_map(|(token, text)| Some(name(token, text)?.into_owned())));
        }
        let suffix = if index.unique { "unique" } else { "index" };
        let mut made = make(&parts, suffix);
        let mut number = 1;
        // A naming strategy may make the same name of them for all that; then there are two of that name, which is an error.
        while number <= indexes.len() && indexes.iter().any(|other| other.name == made) {
            number += 1;
            parts.truncate(parts.len() - usize::from(number > 2));
            parts.push(number.to_string());
            made = make(&parts, suffix);
        }
        indexes[position].name = made;
    }
}
