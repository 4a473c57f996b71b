//! From Rust names to database names, where no name was given by hand.

use std::fmt::Debug;

/// How tables, columns and constraints are called.
///
/// The default is [`UnderscoreNamingStrategy`]. Every method has a default, so a strategy of your own overrides what it
/// wants to be different; pass it to [`OrmBuilder::naming_strategy`](crate::OrmBuilder::naming_strategy).
pub trait NamingStrategy: Debug + Send + Sync + 'static {
    /// The table of an entity: `BlogPost` → `blog_post`.
    fn table_name(&self, entity: &str) -> String {
        snake_case(entity)
    }

    /// The native type of an enum: `OrderStatus` → `order_status`.
    fn enum_name(&self, name: &str) -> String {
        snake_case(name)
    }

    /// The column of a field: `first_name`.
    fn column_name(&self, property: &str) -> String {
        property.to_owned()
    }

    /// A foreign key column: `author` → `author_id`.
    fn join_column_name(&self, property: &str, referenced_column: &str) -> String {
        format!("{property}_{referenced_column}")
    }

    /// The pivot table of a many-to-many relation: table of the owning side and field.
    fn pivot_table_name(&self, table: &str, property: &str) -> String {
        format!("{table}_{property}")
    }

    /// A pivot table's foreign key column. `role` tells the two sides of a self-referencing relation apart: 1 is the
    /// owning side; it is `None` for relations between two entities.
    fn pivot_column_name(&self, table: &str, referenced_column: &str, role: Option<u8>) -> String {
        match role {
            None => format!("{table}_{referenced_column}"),
            Some(role) => format!("{table}_{role}_{referenced_column}"),
        }
    }

    /// The column of a pivot table that keeps the items' order (`fixed_order`): `id`, as in the pivot tables of MikroORM.
    fn order_column_name(&self) -> String {
        "id".to_owned()
    }

    /// An index or constraint: `suffix` is `unique`, `foreign`, `index`, `check` or `pkey`.
    fn constraint_name(&self, table: &str, columns: &[&str], suffix: &str) -> String {
        if columns.is_empty() {
            return format!("{table}_{suffix}");
        }
        format!("{table}_{}_{suffix}", columns.join("_"))
    }
}

/// `BlogPost.first_name` is `blog_post.first_name`. The default.
#[derive(Clone, Copy, Debug, Default)]
pub struct UnderscoreNamingStrategy;

impl NamingStrategy for UnderscoreNamingStrategy {}

/// `BlogPost.first_name` is `BlogPost.first_name`: tables and native enum types are called like those in Rust.
#[derive(Clone, Copy, Debug, Default)]
pub struct EntityCaseNamingStrategy;

impl NamingStrategy for EntityCaseNamingStrategy {
    fn table_name(&self, entity: &str) -> String {
        entity.to_owned()
    }

    fn enum_name(&self, name: &str) -> String {
        name.to_owned()
    }

    fn join_column_name(&self, property: &str, _referenced_column: &str) -> String {
        property.to_owned()
    }
}

/// `BlogPost` → `blog_post`, `HTTPServer2` → `http_server2`.
fn snake_case(name: &str) -> String {
    let characters: Vec<char> = name.chars().collect();
    let mut out = String::with_capacity(name.len() + 4);
    for (index, &character) in characters.iter().enumerate() {
        if character.is_uppercase() && index > 0 {
            let before = characters[index - 1];
            let next_is_lower = characters.get(index + 1).is_some_and(|next| next.is_lowercase());
            if before != '_' && (!before.is_uppercase() || next_is_lower) {
                out.push('_');
            }
        }
        out.extend(character.to_lowercase());
    }
    out
}

/// After how many bytes PostgreSQL cuts identifiers off.
pub(super) const IDENTIFIER_LIMIT: usize = 63;

/// PostgreSQL cuts identifiers off after 63 bytes; a name that is longer is shortened here, with a hash of the whole
/// name (FNV-1a), so that two long names stay different and the server's error messages can be mapped back.
pub(super) fn fit_identifier(name: String) -> String {
    if name.len() <= IDENTIFIER_LIMIT {
        return name;
    }
    let hash = name
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3));
    let hash = u32::try_from(hash >> 32).unwrap_or_default();
    let mut end = IDENTIFIER_LIMIT - 9;
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}_{hash:08x}", &name[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_split_at_capitals() {
        for (name, expected) in [
            ("User", "user"),
            ("BlogPost", "blog_post"),
            ("HTTPServer", "http_server"),
            ("OAuth2Token", "o_auth2_token"),
            ("already_snake", "already_snake"),
            ("Ünïcode", "ünïcode"),
        ] {
            assert_eq!(snake_case(name), expected);
        }
    }

    #[test]
    fn long_names_stay_different_and_within_the_limit() {
        let one = fit_identifier(format!("{}_a", "x".repeat(80)));
        let two = fit_identifier(format!("{}_b", "x".repeat(80)));
        assert_ne!(one, two);
        assert!(one.len() <= 63 && two.len() <= 63);
        assert_eq!(fit_identifier("short".to_owned()), "short");
    }
}
