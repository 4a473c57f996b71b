//! `rename_all`: the rules of serde, so that an enum can be called the same in JSON and in the database.

/// How the name of a variant is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RenameRule {
    case: Case,
    /// What stands between words.
    separator: Option<char>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Case {
    Lower,
    Upper,
    /// As it stands, but with a small first letter.
    Camel,
    AsWritten,
}

/// The names of the rules.
pub const RULES: [(&str, RenameRule); 8] = [
    ("lowercase", RenameRule { case: Case::Lower, separator: None }),
    ("UPPERCASE", RenameRule { case: Case::Upper, separator: None }),
    ("PascalCase", RenameRule { case: Case::AsWritten, separator: None }),
    ("camelCase", RenameRule { case: Case::Camel, separator: None }),
    ("snake_case", RenameRule { case: Case::Lower, separator: Some('_') }),
    ("SCREAMING_SNAKE_CASE", RenameRule { case: Case::Upper, separator: Some('_') }),
    ("kebab-case", RenameRule { case: Case::Lower, separator: Some('-') }),
    ("SCREAMING-KEBAB-CASE", RenameRule { case: Case::Upper, separator: Some('-') }),
];

impl RenameRule {
    /// The rule with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        RULES.iter().find(|(rule, _)| *rule == name).map(|(_, rule)| *rule)
    }

    /// The name of a variant by this rule. A word begins at every capital.
    pub fn apply(self, variant: &str) -> String {
        let mut out = String::with_capacity(variant.len() + 4);
        for (index, character) in variant.char_indices() {
            if let Some(separator) = self.separator
                && index > 0
                && character.is_uppercase()
            {
                out.push(separator);
            }
            match self.case {
                Case::Lower => out.push(character.to_ascii_lowercase()),
                Case::Upper => out.push(character.to_ascii_uppercase()),
                Case::Camel if index == 0 => out.push(character.to_ascii_lowercase()),
                Case::Camel | Case::AsWritten => out.push(character),
            }
        }
        out
    }
}
