//! The order in which a model is made and dropped.
//!
//! Foreign keys come when all tables are there: tables that refer to each other, or to themselves, need no order of
//! their own.

use super::model::{Database, Table};
use crate::sql::ddl;

/// The statements that make everything in the model.
pub(super) fn create(database: &Database) -> Vec<String> {
    let mut statements: Vec<String> = database.schemas.iter().map(|schema| ddl::create_schema(schema)).collect();
    statements.extend(database.enums.iter().map(|each| ddl::create_enum(each.qualified_name(), &each.labels)));
    for pass in [create_tables, add_foreign_keys, create_indexes, set_comments] {
        for table in &database.tables {
            pass(table, &mut statements);
        }
    }
    statements
}

/// The statements that drop the tables in the model, and no others, and then the enum types. Schemas stay: somebody else
/// may use them, too.
pub(super) fn drop(database: &Database) -> Vec<String> {
    let tables = database.tables.iter().rev().map(|table| ddl::drop_table(table.qualified_name()));
    tables.chain(database.enums.iter().map(|each| ddl::drop_type(each.qualified_name()))).collect()
}

fn create_tables(table: &Table, statements: &mut Vec<String>) {
    let mut parts: Vec<String> = Vec::new();
    for column in &table.columns {
        let default = column.default.as_deref();
        parts.push(ddl::column(&column.name, &column.sql_type, column.nullable, default, column.identity));
    }
    let key = &table.primary_key;
    parts.push(ddl::constraint(&key.name, &ddl::primary_key(&key.columns)));
    for unique in &table.unique_constraints {
        let definition = ddl::unique(&unique.columns, unique.deferrable.as_deref());
        parts.push(ddl::constraint(&unique.name, &definition));
    }
    for check in &table.checks {
        parts.push(ddl::constraint(&check.name, &ddl::check(&check.expression)));
    }
    statements.push(ddl::create_table(table.qualified_name(), &parts));
}

fn add_foreign_keys(table: &Table, statements: &mut Vec<String>) {
    for key in &table.foreign_keys {
        let definition = ddl::foreign_key(
            &key.columns,
            key.target(),
            &key.target_columns,
            key.on_update.as_deref(),
            key.on_delete.as_deref(),
            key.deferrable.as_deref(),
        );
        statements.push(ddl::add_constraint(table.qualified_name(), &key.name, &definition));
    }
}

fn create_indexes(table: &Table, statements: &mut Vec<String>) {
    for index in &table.indexes {
        let predicate = index.predicate.as_deref();
        let parts = ddl::index_parts(&index.columns, &index.expressions);
        statements.push(ddl::create_index(table.qualified_name(), &index.name, &parts, index.unique, predicate));
    }
}

fn set_comments(table: &Table, statements: &mut Vec<String>) {
    if let Some(comment) = &table.comment {
        statements.push(ddl::comment_on_table(table.qualified_name(), comment));
    }
    for column in &table.columns {
        if let Some(comment) = &column.comment {
            statements.push(ddl::comment_on_column(table.qualified_name(), &column.name, comment));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::model::{Column, Database, EnumType, ForeignKey, Index, PrimaryKey, Table, UniqueConstraint};
    use super::*;

    fn table(name: &str, refers_to: &str) -> Table {
        Table {
            name: name.to_owned(),
            columns: vec![
                Column { name: "id".to_owned(), sql_type: "integer".to_owned(), identity: true, ..Column::default() },
                Column {
                    name: "other_id".to_owned(),
                    sql_type: "integer".to_owned(),
                    nullable: true,
                    comment: Some("the other one".to_owned()),
                    ..Column::default()
                },
            ],
            primary_key: PrimaryKey { name: format!("{name}_pkey"), columns: vec!["id".to_owned()] },
            unique_constraints: vec![UniqueConstraint {
                name: format!("{name}_unique"),
                columns: vec!["other_id".to_owned()],
                deferrable: Some("initially deferred".to_owned()),
            }],
            foreign_keys: vec![ForeignKey {
                name: format!("{name}_foreign"),
                columns: vec!["other_id".to_owned()],
                target_schema: None,
                target_table: refers_to.to_owned(),
                target_columns: vec!["id".to_owned()],
                on_update: None,
                on_delete: Some("set null".to_owned()),
                deferrable: None,
            }],
            indexes: vec![Index {
                name: format!("{name}_index"),
                columns: vec!["other_id".to_owned()],
                expressions: vec!["abs(id)".to_owned()],
                unique: false,
                predicate: Some("id > 5".to_owned()),
            }],
            ..Table::default()
        }
    }

    fn database() -> Database {
        let labels = vec!["low", "it's high"];
        let level = EnumType { schema: Some("s".to_owned()), name: "level".to_owned(), labels };
        let tables = vec![table("a", "b"), table("b", "a")];
        Database { schemas: vec!["s".to_owned()], enums: vec![level], tables }
    }

    #[test]
    fn tables_come_before_the_foreign_keys_between_them() {
        let database = database();
        let statements = create(&database);
        let verbs: Vec<&str> = statements.iter().map(|text| text.split(['"', '(']).next().unwrap().trim()).collect();
        assert_eq!(
            verbs,
            [
                "CREATE SCHEMA IF NOT EXISTS",
                "CREATE TYPE",
                "CREATE TABLE",
                "CREATE TABLE",
                "ALTER TABLE",
                "ALTER TABLE",
                "CREATE INDEX",
                "CREATE INDEX",
                "COMMENT ON COLUMN",
                "COMMENT ON COLUMN",
            ]
        );
        assert_eq!(statements[1], "CREATE TYPE \"s\".\"level\" AS ENUM ('low', 'it''s high')");
        assert_eq!(
            statements[2],
            "CREATE TABLE \"a\" (\n  \
             \"id\" integer GENERATED BY DEFAULT AS IDENTITY NOT NULL,\n  \
             \"other_id\" integer,\n  \
             CONSTRAINT \"a_pkey\" PRIMARY KEY (\"id\"),\n  \
             CONSTRAINT \"a_unique\" UNIQUE (\"other_id\") DEFERRABLE INITIALLY DEFERRED\n)"
        );
        assert_eq!(
            statements[4],
            "ALTER TABLE \"a\" ADD CONSTRAINT \"a_foreign\" FOREIGN KEY (\"other_id\") REFERENCES \"b\" (\"id\") \
             ON DELETE SET NULL"
        );
    }

    #[test]
    fn tables_are_dropped_in_reverse_and_schemas_stay() {
        let database = database();
        assert_eq!(
            drop(&database),
            [
                "DROP TABLE IF EXISTS \"b\" CASCADE",
                "DROP TABLE IF EXISTS \"a\" CASCADE",
                "DROP TYPE IF EXISTS \"s\".\"level\"",
            ]
        );
    }
}
