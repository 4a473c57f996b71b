//! The native enum types that columns have: their names, and whether they can be in one database.
//!
//! Several columns, and several enums in Rust, may share a type. It is made once.

use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::naming::{IDENTIFIER_LIMIT, NamingStrategy, fit_identifier};
use super::resolved::{EntityDef, EnumDef, PropertyDef, SqlType};
use crate::types::{EnumMeta, EnumStorage};

/// The type of an enum; `None` if it is stored in another type.
pub(super) fn definition(meta: &'static EnumMeta, naming: &dyn NamingStrategy) -> Option<EnumDef> {
    let EnumStorage::Native { labels, name, schema } = meta.storage else { return None };
    let name = name.map_or_else(|| fit_identifier(naming.enum_name(meta.name)), str::to_owned);
    Some(EnumDef { schema, name, labels, meta })
}

/// The types of all columns, in the order of the entities, each as often as it is used.
pub(super) fn used(entities: &[EntityDef]) -> Vec<Arc<EnumDef>> {
    let columns = entities.iter().flat_map(|entity| &entity.properties).filter_map(|property| match property {
        PropertyDef::Column(column) => column.sql_type.as_ref(),
        PropertyDef::Relation(_) => None,
    });
    let enums = columns.filter_map(|sql_type| match sql_type {
        SqlType::Enum { definition, .. } => Some(Arc::clone(definition)),
        SqlType::Given(_) => None,
    });
    enums.collect()
}

/// Each type once.
pub(super) fn distinct(enums: Vec<Arc<EnumDef>>) -> Vec<Arc<EnumDef>> {
    let mut distinct: Vec<Arc<EnumDef>> = Vec::new();
    for definition in enums {
        if !distinct.iter().any(|other| key(other) == key(&definition)) {
            distinct.push(definition);
        }
    }
    distinct
}

fn key(definition: &EnumDef) -> (Option<&str>, &str) {
    (definition.schema, &definition.name)
}

/// A type has one list of values, and no table has its name: each table is a type, too.
pub(super) fn validate(enums: &[Arc<EnumDef>], entities: &[EntityDef], problems: &mut Vec<String>) {
    let mut seen: FxHashMap<(Option<&str>, &str), &EnumDef> = FxHashMap::default();
    for definition in enums {
        let (name, type_name) = (definition.meta.name, &definition.name);
        let known = *seen.entry(key(definition)).or_insert(definition);
        if known.labels != definition.labels {
            problems.push(format!(
                "the enums {} (at {}) and {name} (at {}) are both the type {type_name}, but have other values: name one of \
                 them with #[db_enum(name = \"…\")]",
                known.meta.name, known.meta.source, definition.meta.source
            ));
        }
        if !std::ptr::eq(known, &**definition) {
            continue;
        }
        if type_name.len() > IDENTIFIER_LIMIT {
            problems.push(format!(
                "the enum {name}: the name {type_name} is {} bytes long, and PostgreSQL keeps {IDENTIFIER_LIMIT}: give a \
                 shorter one",
                type_name.len()
            ));
        }
        let table = tables(entities).find(|(schema, table, _)| (*schema, *table) == key(definition));
        if let Some((_, _, entity)) = table {
            problems.push(format!(
                "the enum {name} and a table of {entity} are both called {type_name}: name the type with \
                 #[db_enum(name = \"…\")]"
            ));
        }
    }
    problems.dedup();
}

/// Schema and name of all tables, and the entities that they belong to.
fn tables(entities: &[EntityDef]) -> impl Iterator<Item = (Option<&str>, &str, &'static str)> {
    entities.iter().flat_map(|entity| {
        let pivots = entity.relations().filter_map(|(_, relation)| relation.pivot.as_ref());
        let pivots = pivots.map(|pivot| (pivot.schema.as_deref(), pivot.table.as_str(), entity.meta.name));
        std::iter::once((entity.schema.as_deref(), entity.table.as_str(), entity.meta.name)).chain(pivots)
    })
}
