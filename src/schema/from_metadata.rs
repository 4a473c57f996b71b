//! The database that the entities need: a table for each entity, one for each many-to-many relation, and the enum types.
//!
//! All names were made when the metadata was resolved; errors of the server are mapped back by the same names.

use super::model::{Check, Column, Database, EnumType, ForeignKey, Index, PrimaryKey, Table, UniqueConstraint};
use crate::metadata::{
    CheckCondition, ColumnDef, EntityDef, IndexDef, KeyColumnDef, Metadata, PivotDef, PropertyDef, RelationDef,
};
use crate::sql::ddl;

/// The model of the entities' tables, in the order of the entities, pivot tables behind them.
pub(super) fn database(metadata: &Metadata) -> Database {
    let mut database = Database::default();
    for definition in &metadata.enums {
        add_schema(&mut database, definition.schema);
        database.enums.push(EnumType {
            schema: owned(definition.schema),
            name: definition.name.clone(),
            labels: definition.labels.to_vec(),
        });
    }
    for entity in &metadata.entities {
        add_schema(&mut database, entity.schema.as_deref());
        database.tables.push(entity_table(metadata, entity));
    }
    for entity in &metadata.entities {
        for (_, relation) in entity.relations() {
            // The inverse side describes the same table once more, and so may an entity.
            let Some(pivot) = relation.pivot.as_ref().filter(|pivot| pivot.owning && pivot.entity.is_none()) else {
                continue;
            };
            if database.table(pivot.schema.as_deref(), &pivot.table).is_none() {
                add_schema(&mut database, pivot.schema.as_deref());
                database.tables.push(pivot_table(metadata, entity, metadata.target(relation), pivot));
            }
        }
    }
    database
}

/// `public` is in every database, and to ask for it takes a privilege that not every user has.
fn add_schema(database: &mut Database, schema: Option<&str>) {
    if let Some(schema) = schema
        && schema != "public"
        && !database.schemas.iter().any(|known| known == schema)
    {
        database.schemas.push(schema.to_owned());
    }
}

fn entity_table(metadata: &Metadata, entity: &EntityDef) -> Table {
    let mut table = Table {
        schema: entity.schema.clone(),
        name: entity.table.clone(),
        primary_key: PrimaryKey { name: metadata.primary_key_name(&entity.table), columns: names(&entity.key) },
        comment: owned(entity.meta.comment),
        ..Table::default()
    };
    for property in &entity.properties {
        match property {
            PropertyDef::Column(column) => table.columns.push(own_column(column)),
            PropertyDef::Relation(relation) if relation.is_owning_to_one() => {
                let target = metadata.target(relation);
                table.columns.extend(relation_columns(metadata, relation, target));
                table.foreign_keys.push(relation_foreign_key(metadata, entity, relation, target));
            }
            PropertyDef::Relation(_) => {}
        }
    }
    for index in &entity.indexes {
        add_index(&mut table, index);
    }
    table.checks = entity
        .checks
        .iter()
        .map(|check| Check { name: check.name.clone(), expression: condition(&check.condition) })
        .collect();
    table
}

fn condition(condition: &CheckCondition) -> String {
    match condition {
        CheckCondition::Written(expression) => (*expression).to_owned(),
        CheckCondition::OneOf { column, pg, enumeration } => ddl::one_of(column, *pg, enumeration),
    }
}

fn own_column(column: &ColumnDef) -> Column {
    let meta = column.meta;
    Column {
        name: column.name.clone(),
        sql_type: column_type(column),
        nullable: meta.nullable,
        default: default_of(column),
        identity: meta.identity,
        comment: owned(meta.comment),
    }
}

fn column_type(column: &ColumnDef) -> String {
    match &column.sql_type {
        Some(sql_type) => ddl::sql_type(sql_type),
        None => ddl::column_type(column.meta.pg, column.meta.length, column.meta.precision),
    }
}

/// What is filled in on `on_create` is the program's: it may be another value every time.
fn default_of(column: &ColumnDef) -> Option<String> {
    let meta = column.meta;
    if let Some(expression) = meta.default_sql {
        return Some(expression.to_owned());
    }
    let text = meta.default?().text()?;
    // What another type makes of a bare number is not known; every type reads its own text form.
    Some(if column.sql_type.is_some() { ddl::literal(&text) } else { ddl::default_value(meta.pg, &text) })
}

/// The types of an entity's key columns. A foreign key has exactly these types: a timestamp that is rounded in one table
/// and not in the other would refer to nothing.
fn key_types(metadata: &Metadata, entity: &EntityDef) -> Vec<String> {
    let mut types = Vec::new();
    for property in entity.key_properties.iter().filter_map(|index| entity.properties.get(*index)) {
        match property {
            PropertyDef::Column(column) => types.push(column_type(column)),
            PropertyDef::Relation(relation) => types.extend(key_types(metadata, metadata.target(relation))),
        }
    }
    types
}

/// Foreign key columns. The comment of the relation is on the first.
fn relation_columns(metadata: &Metadata, relation: &RelationDef, target: &EntityDef) -> Vec<Column> {
    let mut comment = owned(relation.meta.comment);
    let types = key_types(metadata, target);
    relation
        .columns
        .iter()
        .zip(types)
        .map(|(column, sql_type)| Column {
            name: column.name.clone(),
            sql_type,
            nullable: relation.meta.nullable,
            comment: comment.take(),
            ..Column::default()
        })
        .collect()
}

fn relation_foreign_key(
    metadata: &Metadata,
    entity: &EntityDef,
    relation: &RelationDef,
    target: &EntityDef,
) -> ForeignKey {
    ForeignKey {
        name: metadata.foreign_key_name(&entity.table, &relation.columns),
        columns: names(&relation.columns),
        target_schema: target.schema.clone(),
        target_table: target.table.clone(),
        target_columns: names(&target.key),
        on_update: owned(relation.on_update),
        on_delete: owned(relation.meta.on_delete),
        deferrable: owned(relation.meta.deferrable),
    }
}

/// A unique constraint has no condition and no expressions: with one, it is a unique index.
fn add_index(table: &mut Table, index: &IndexDef) {
    if index.is_unique_by_columns() && index.predicate.is_none() {
        table.unique_constraints.push(UniqueConstraint {
            name: index.name.clone(),
            columns: index.columns.clone(),
            deferrable: owned(index.deferrable),
        });
    } else {
        table.indexes.push(Index {
            name: index.name.clone(),
            columns: index.columns.clone(),
            expressions: index.expressions.iter().map(|expression| expression.text.to_owned()).collect(),
            unique: index.unique,
            predicate: owned(index.predicate),
        });
    }
}

/// Both foreign keys are the key, owning side first; the other direction gets an index. Rows go with either side. The order
/// of the items is a number that the database counts up: a row that is written comes behind all others.
fn pivot_table(metadata: &Metadata, owner: &EntityDef, target: &EntityDef, pivot: &PivotDef) -> Table {
    let mut table = Table {
        schema: pivot.schema.clone(),
        name: pivot.table.clone(),
        primary_key: PrimaryKey {
            name: metadata.primary_key_name(&pivot.table),
            columns: pivot.join.iter().chain(&pivot.inverse_join).map(|column| column.name.clone()).collect(),
        },
        ..Table::default()
    };
    for (columns, referenced) in [(&pivot.join, owner), (&pivot.inverse_join, target)] {
        let types = key_types(metadata, referenced);
        table.columns.extend(columns.iter().zip(types).map(|(column, sql_type)| Column {
            name: column.name.clone(),
            sql_type,
            ..Column::default()
        }));
        table.foreign_keys.push(ForeignKey {
            name: metadata.foreign_key_name(&pivot.table, columns),
            columns: names(columns),
            target_schema: referenced.schema.clone(),
            target_table: referenced.table.clone(),
            target_columns: names(&referenced.key),
            on_update: owned(Some("cascade")),
            on_delete: owned(Some("cascade")),
            deferrable: None,
        });
    }
    table.columns.extend(pivot.order.iter().map(|order| Column {
        name: order.clone(),
        sql_type: "bigint".to_owned(),
        identity: true,
        ..Column::default()
    }));
    table.indexes.push(Index {
        name: metadata.index_name(&pivot.table, &pivot.inverse_join),
        columns: names(&pivot.inverse_join),
        expressions: Vec::new(),
        unique: false,
        predicate: None,
    });
    table
}

fn names(columns: &[KeyColumnDef]) -> Vec<String> {
    columns.iter().map(|column| column.name.clone()).collect()
}

fn owned(text: Option<&str>) -> Option<String> {
    text.map(str::to_owned)
}
