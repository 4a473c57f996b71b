//! The names of constraints: how they are made, and whose they are when the server reports one.

use rustc_hash::FxHashMap;

use super::naming::{NamingStrategy, fit_identifier};
use super::resolve::Metadata;
use super::resolved::{EntityDef, KeyColumnDef, PropertyDef};
use crate::error::ConstraintNames;

/// Entity, fields and columns of a constraint.
#[derive(Clone, Debug)]
struct ConstraintOwner {
    entity: &'static str,
    properties: Vec<&'static str>,
    columns: Vec<String>,
}

/// Which entity and fields every constraint belongs to, by schema (where the entity names one), table and name.
#[derive(Debug)]
pub(super) struct ConstraintOwners(FxHashMap<(Option<String>, String, String), ConstraintOwner>);

impl ConstraintOwners {
    fn get(&self, schema: Option<&str>, table: &str, constraint: &str) -> Option<&ConstraintOwner> {
        self.0.get(&(schema.map(str::to_owned), table.to_owned(), constraint.to_owned()))
    }
}

impl ConstraintNames for Metadata {
    fn constraint(
        &self,
        schema: &str,
        table: &str,
        constraint: &str,
    ) -> Option<(&'static str, Vec<&'static str>, Vec<String>)> {
        // An entity without a schema is in whichever the search path says.
        let owner = self.constraints.get(Some(schema), table, constraint);
        let owner = owner.or_else(|| self.constraints.get(None, table, constraint))?;
        Some((owner.entity, owner.properties.clone(), owner.columns.clone()))
    }

    fn table(&self, schema: &str, table: &str) -> Option<&'static str> {
        self.of_table(schema, table).map(|entity| entity.meta.name)
    }

    fn column(&self, schema: &str, table: &str, column: &str) -> Option<(&'static str, &'static str)> {
        let entity = self.of_table(schema, table)?;
        let position = entity.properties.iter().position(|property| match property {
            PropertyDef::Column(definition) => definition.name == column,
            PropertyDef::Relation(relation) => relation.columns.iter().any(|part| part.name == column),
        })?;
        Some((entity.meta.name, entity.property_name(position)))
    }
}

impl Metadata {
    /// The entity of this table; one without a schema is in whichever the search path says.
    fn of_table(&self, schema: &str, table: &str) -> Option<&EntityDef> {
        let named = |entity: &&EntityDef| entity.table == table && entity.schema.as_deref() == Some(schema);
        let unnamed = |entity: &&EntityDef| entity.table == table && entity.schema.is_none();
        self.entities.iter().find(named).or_else(|| self.entities.iter().find(unnamed))
    }

    /// The name of a foreign key constraint.
    pub(crate) fn foreign_key_name(&self, table: &str, columns: &[KeyColumnDef]) -> String {
        foreign_key_name(&*self.naming, table, columns)
    }

    /// The name of an index on a pivot table.
    pub(crate) fn index_name(&self, table: &str, columns: &[KeyColumnDef]) -> String {
        let columns: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
        fit_identifier(self.naming.constraint_name(table, &columns, "index"))
    }

    /// The name of a table's primary key constraint.
    pub(crate) fn primary_key_name(&self, table: &str) -> String {
        fit_identifier(self.naming.constraint_name(table, &[], "pkey"))
    }
}

fn foreign_key_name(naming: &dyn NamingStrategy, table: &str, columns: &[KeyColumnDef]) -> String {
    let columns: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
    fit_identifier(naming.constraint_name(table, &columns, "foreign"))
}

/// Which entity and fields every constraint belongs to: under the name that the schema generator gives it, and under
/// the one that PostgreSQL makes up where somebody else wrote the DDL.
pub(super) fn constraint_owners(entities: &[EntityDef], naming: &dyn NamingStrategy) -> ConstraintOwners {
    let mut owners = FxHashMap::default();
    let mut add = |schema: Option<&str>, table: &str, names: [String; 2], owner: ConstraintOwner| {
        for name in names {
            let key = (schema.map(str::to_owned), table.to_owned(), name);
            owners.entry(key).or_insert_with(|| owner.clone());
        }
    };
    for entity in entities {
        let (schema, table) = (entity.schema.as_deref(), entity.table.as_str());
        let owner = |properties: Vec<&'static str>, columns: Vec<String>| ConstraintOwner {
            entity: entity.meta.name,
            properties,
            columns,
        };
        let by_server =
            |columns: &[String], suffix: &str| fit_identifier(format!("{table}_{}_{suffix}", columns.join("_")));
        let key: Vec<String> = entity.key.iter().map(|column| column.name.clone()).collect();
        let key_properties = entity.key_properties.iter().map(|index| entity.property_name(*index)).collect();
        let own_name = fit_identifier(naming.constraint_name(table, &[], "pkey"));
        add(schema, table, [own_name, format!("{table}_pkey")], owner(key_properties, key));
        for index in entity.indexes.iter().filter(|index| index.unique) {
            let (mut properties, mut columns) = (index.properties.clone(), index.columns.clone());
            for property in index.expressions.iter().flat_map(|expression| &expression.properties) {
                let name = entity.property_name(*property);
                if !properties.contains(&name) {
                    properties.push(name);
                    columns.extend(entity.columns_of(&[name]));
                }
            }
            // Of expressions the server makes other names.
            let made = index.expressions.is_empty().then(|| by_server(&index.columns, "key"));
            let names = [index.name.clone(), made.unwrap_or_else(|| index.name.clone())];
            add(schema, table, names, owner(properties, columns));
        }
        for check in &entity.checks {
            let names = [check.name.clone(), check.name.clone()];
            add(schema, table, names, owner(check.properties.clone(), Vec::new()));
        }
        for (position, relation) in entity.relations() {
            let name = entity.property_name(position);
            if relation.is_owning_to_one() {
                let columns: Vec<String> = relation.columns.iter().map(|column| column.name.clone()).collect();
                let names = [foreign_key_name(naming, table, &relation.columns), by_server(&columns, "fkey")];
                add(schema, table, names, owner(vec![name], columns));
            }
            if let Some(pivot) = relation.pivot.as_ref().filter(|pivot| pivot.owning) {
                for side in [&pivot.join, &pivot.inverse_join] {
                    let columns: Vec<String> = side.iter().map(|column| column.name.clone()).collect();
                    let by_server = fit_identifier(format!("{}_{}_fkey", pivot.table, columns.join("_")));
                    let names = [foreign_key_name(naming, &pivot.table, side), by_server];
                    add(pivot.schema.as_deref(), &pivot.table, names, owner(vec![name], columns));
                }
            }
        }
    }
    ConstraintOwners(owners)
}
