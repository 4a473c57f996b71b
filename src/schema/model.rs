//! What a database looks like: a pure value, wherever it came from.
//!
//! Two models can be compared; a model says what there is, not how it is made. Types, defaults and conditions are SQL,
//! as PostgreSQL takes it.

use crate::sql::ddl::TableName;

/// The tables of a database, with the schemas that they are in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Database {
    /// The schemas other than `public`.
    pub(crate) schemas: Vec<String>,
    pub(crate) enums: Vec<EnumType>,
    pub(crate) tables: Vec<Table>,
}

impl Database {
    /// The table with this name.
    pub(crate) fn table(&self, schema: Option<&str>, name: &str) -> Option<&Table> {
        self.tables.iter().find(|table| table.schema.as_deref() == schema && table.name == name)
    }
}

/// An enum type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct EnumType {
    /// `None` is the first schema of the connection's search path.
    pub(crate) schema: Option<String>,
    pub(crate) name: String,
    /// In their order.
    pub(crate) labels: Vec<&'static str>,
}

impl EnumType {
    /// The name, as SQL is written with it.
    pub(crate) fn qualified_name(&self) -> TableName<'_> {
        TableName { schema: self.schema.as_deref(), name: &self.name }
    }
}

/// A table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Table {
    /// `None` is the first schema of the connection's search path.
    pub(crate) schema: Option<String>,
    pub(crate) name: String,
    pub(crate) columns: Vec<Column>,
    pub(crate) primary_key: PrimaryKey,
    pub(crate) unique_constraints: Vec<UniqueConstraint>,
    pub(crate) checks: Vec<Check>,
    pub(crate) foreign_keys: Vec<ForeignKey>,
    pub(crate) indexes: Vec<Index>,
    pub(crate) comment: Option<String>,
}

impl Table {
    /// The name, as SQL is written with it.
    pub(crate) fn qualified_name(&self) -> TableName<'_> {
        TableName { schema: self.schema.as_deref(), name: &self.name }
    }
}

/// A column.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Column {
    pub(crate) name: String,
    /// With its modifiers: `varchar(50)`.
    pub(crate) sql_type: String,
    pub(crate) nullable: bool,
    /// An SQL expression.
    pub(crate) default: Option<String>,
    /// Whether the database counts it up.
    pub(crate) identity: bool,
    pub(crate) comment: Option<String>,
}

/// A primary key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct PrimaryKey {
    pub(crate) name: String,
    pub(crate) columns: Vec<String>,
}

/// A unique constraint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct UniqueConstraint {
    pub(crate) name: String,
    pub(crate) columns: Vec<String>,
    /// `initially immediate` or `initially deferred`.
    pub(crate) deferrable: Option<String>,
}

/// A check constraint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Check {
    pub(crate) name: String,
    /// An SQL condition.
    pub(crate) expression: String,
}

/// A foreign key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ForeignKey {
    pub(crate) name: String,
    pub(crate) columns: Vec<String>,
    pub(crate) target_schema: Option<String>,
    pub(crate) target_table: String,
    pub(crate) target_columns: Vec<String>,
    /// `cascade`, `set null`, …; `None` is `no action`.
    pub(crate) on_update: Option<String>,
    pub(crate) on_delete: Option<String>,
    /// `initially immediate` or `initially deferred`.
    pub(crate) deferrable: Option<String>,
}

impl ForeignKey {
    /// The table that is referred to, as SQL is written with it.
    pub(crate) fn target(&self) -> TableName<'_> {
        TableName { schema: self.target_schema.as_deref(), name: &self.target_table }
    }
}

/// An index that is not a constraint's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Index {
    pub(crate) name: String,
    pub(crate) columns: Vec<String>,
    /// SQL expressions behind the columns.
    pub(crate) expressions: Vec<String>,
    pub(crate) unique: bool,
    /// An SQL condition: only these rows are in the index.
    pub(crate) predicate: Option<String>,
}
