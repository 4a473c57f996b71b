//! What the values of a unique index are made of, and which expressions are understood: `lower(trim(email))`.
//!
//! Of strict functions of one column it is known that equal texts give equal values, and NULL gives none. Of any other
//! expression only the columns are known that go into it.

use crate::metadata::lexer::{Token, name, tokens};
use crate::metadata::{EntityDef, IndexDef, PropertyDef};

/// A column that the values are made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) property: usize,
    pub(super) used: PartUse,
}

/// What is made of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PartUse {
    /// Nothing: the value is that of the column.
    Itself,
    /// Functions that are understood.
    Folded,
    /// Something that is not understood.
    Somehow,
}

impl Part {
    pub(super) const fn itself(property: usize) -> Self {
        Self { property, used: PartUse::Itself }
    }

    /// Whether equal columns surely are equal values, and a row with NULL there surely has no value.
    pub(super) fn is_strict(self) -> bool {
        self.used != PartUse::Somehow
    }
}

/// What the values of an index are made of.
pub(super) fn parts(entity: &EntityDef, index: &IndexDef) -> Vec<Part> {
    let position = |name: &&str| entity.meta.properties.iter().position(|property| property.name == *name);
    let mut parts: Vec<Part> = index.properties.iter().filter_map(position).map(Part::itself).collect();
    for expression in &index.expressions {
        match understood(entity, &tokens(expression.text)) {
            Some(part) => parts.push(part),
            None => {
                let inputs = inputs(entity, &expression.properties).into_iter();
                parts.extend(inputs.map(|property| Part { property, used: PartUse::Somehow }));
            }
        }
    }
    parts
}

/// The properties that SQL which mentions these ones looks at: if it is none, it may be any that has columns.
pub(super) fn inputs(entity: &EntityDef, mentioned: &[usize]) -> Vec<usize> {
    if !mentioned.is_empty() {
        return mentioned.to_vec();
    }
    let has_columns = |property: &PropertyDef| match property {
        PropertyDef::Column(_) => true,
        PropertyDef::Relation(relation) => relation.is_owning_to_one(),
    };
    let properties = entity.properties.iter().enumerate();
    properties.filter(|(_, property)| has_columns(property)).map(|(position, _)| position).collect()
}

/// A column, or functions of one.
fn understood(entity: &EntityDef, tokens: &[(Token, &str)]) -> Option<Part> {
    const STRICT: [&str; 6] = ["lower", "upper", "trim", "btrim", "ltrim", "rtrim"];
    match tokens {
        [(token, text)] => {
            let property = entity.property_of_column(&name(*token, text)?)?;
            entity.column(property)?;
            Some(Part::itself(property))
        }
        [(Token::Other, "("), inner @ .., (Token::Other, ")")] => understood(entity, inner),
        [(Token::Word, function), (Token::Other, "("), inner @ .., (Token::Other, ")")] => {
            let part = understood(entity, inner)?;
            let is_known = STRICT.contains(&function.to_ascii_lowercase().as_str());
            (is_known && is_text(entity, part.property)).then_some(Part { used: PartUse::Folded, ..part })
        }
        _ => None,
    }
}

/// Whether a column holds text. Functions of these names do something else with ranges, whose bounds may be NULL.
fn is_text(entity: &EntityDef, property: usize) -> bool {
    const NAMES: [&str; 8] = ["text", "varchar", "character varying", "citext", "char", "character", "bpchar", "name"];
    entity.column(property).is_some_and(|column| match column.meta.sql_type {
        Some(given) => {
            let name = given.split('(').next().unwrap_or_default().trim();
            NAMES.contains(&name.to_ascii_lowercase().as_str()) && !given.ends_with(']')
        }
        None => column.meta.pg.name == "text" && !column.meta.is_native_enum(),
    })
}
