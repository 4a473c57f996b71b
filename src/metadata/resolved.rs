//! What an entity is once it is resolved: tables, columns, foreign keys, pivot tables, each under its final name.

use std::ops::Range;
use std::sync::Arc;

use super::definition::{ColumnMeta, EntityMeta, RelationKind, RelationMeta};
use crate::types::{EnumMeta, PgType};

/// The SQL type of a column that is not the one its values travel as: they are cast in both directions.
#[derive(Clone, Debug)]
pub(crate) enum SqlType {
    /// Given by hand, as it stands in SQL: `numeric(10, 2)`.
    Given(&'static str),
    /// A native enum, or an array of one.
    Enum { definition: Arc<EnumDef>, is_array: bool },
}

/// A native enum type.
#[derive(Debug)]
pub(crate) struct EnumDef {
    pub(crate) schema: Option<&'static str>,
    pub(crate) name: String,
    /// In the order that PostgreSQL gives them.
    pub(crate) labels: &'static [&'static str],
    pub(crate) meta: &'static EnumMeta,
}

/// A column that holds (a part of) a key.
#[derive(Clone, Debug)]
pub(crate) struct KeyColumnDef {
    pub(crate) name: String,
    pub(crate) pg: PgType,
    /// The SQL type of the column, where it is not `pg`.
    pub(crate) sql_type: Option<SqlType>,
}

/// A column of its own.
#[derive(Debug)]
pub(crate) struct ColumnDef {
    pub(crate) name: String,
    pub(crate) meta: &'static ColumnMeta,
    /// The SQL type of the column, where it is not that of its values.
    pub(crate) sql_type: Option<SqlType>,
    /// Where it stands in the SELECT list. Of no meaning for one that is lazy.
    pub(crate) offset: usize,
    /// Whether a new row's value may be made by something else than the user: here, or by the database.
    pub(crate) may_be_made: bool,
}

/// A relation.
#[derive(Debug)]
pub(crate) struct RelationDef {
    pub(crate) meta: &'static RelationMeta,
    /// The entity it leads to.
    pub(crate) target: usize,
    /// The foreign key columns in this table; empty on the inverse side and for collections.
    pub(crate) columns: Vec<KeyColumnDef>,
    /// The property of the target that is the other side, if there is one.
    pub(crate) inverse: Option<usize>,
    pub(crate) pivot: Option<PivotDef>,
    /// The foreign key's action when the key that it refers to is changed, as it stands in SQL. `None`: none was given, and
    /// the database makes the keys that it refers to, so they do not change.
    pub(crate) on_update: Option<&'static str>,
    /// Where the columns stand in the SELECT list (of an inverse one-to-one: the target's key).
    pub(crate) offset: usize,
}

/// What the server does with a foreign key when the key that it refers to is changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeyRule {
    /// It is changed, too.
    Cascade,
    SetNull,
    SetDefault,
    /// Nothing but a check.
    Check,
}

impl RelationDef {
    /// Whether this side has the foreign key.
    pub(crate) fn is_owning_to_one(&self) -> bool {
        !self.columns.is_empty()
    }

    /// What becomes of the foreign key when the key that it refers to is changed.
    pub(crate) fn key_rule(&self) -> KeyRule {
        match self.on_update.unwrap_or_default().to_ascii_lowercase().as_str() {
            "cascade" => KeyRule::Cascade,
            "set null" => KeyRule::SetNull,
            "set default" => KeyRule::SetDefault,
            _ => KeyRule::Check,
        }
    }

    /// Whether the foreign key is checked at the end of the transaction.
    pub(crate) fn is_deferred(&self) -> bool {
        self.meta.deferrable.is_some_and(|when| when.to_ascii_lowercase().contains("initially deferred"))
    }

    /// Whether a key that it refers to may be changed behind it: it is only checked, and at the end of the transaction.
    pub(crate) fn is_checked_last(&self) -> bool {
        self.is_deferred() && self.key_rule() == KeyRule::Check
    }

    /// Whether this is the side of a one-to-one without the foreign key.
    pub(crate) fn is_inverse_one_to_one(&self) -> bool {
        self.meta.kind == RelationKind::OneToOne && self.meta.mapped_by.is_some()
    }
}

/// The pivot table of a many-to-many relation, as seen from one of its sides.
#[derive(Clone, Debug)]
pub(crate) struct PivotDef {
    pub(crate) schema: Option<String>,
    pub(crate) table: String,
    /// The columns that refer to the entity that has the relation.
    pub(crate) join: Vec<KeyColumnDef>,
    /// The columns that refer to the target.
    pub(crate) inverse_join: Vec<KeyColumnDef>,
    /// The column that the rows of this side's entity are ordered by, if they have an order.
    pub(crate) order: Option<String>,
    /// Whether the entity that has the relation is the owning side.
    pub(crate) owning: bool,
    /// The entity that maps the same table, if there is one.
    pub(crate) entity: Option<usize>,
}

/// A property.
#[derive(Debug)]
pub(crate) enum PropertyDef {
    Column(ColumnDef),
    Relation(RelationDef),
}

/// An index or unique constraint.
#[derive(Debug)]
pub(crate) struct IndexDef {
    pub(crate) name: String,
    pub(crate) columns: Vec<String>,
    pub(crate) properties: Vec<&'static str>,
    /// What it is made of behind the columns.
    pub(crate) expressions: Vec<ExpressionDef>,
    pub(crate) unique: bool,
    pub(crate) deferrable: Option<&'static str>,
    pub(crate) predicate: Option<&'static str>,
}

impl IndexDef {
    /// Whether rows with the same values in the columns are one row (of those that meet the condition): a unique index with
    /// expressions says nothing of its columns alone.
    pub(crate) fn is_unique_by_columns(&self) -> bool {
        self.unique && self.expressions.is_empty()
    }
}

/// An expression that an index is made of.
#[derive(Debug)]
pub(crate) struct ExpressionDef {
    /// SQL that was written by hand.
    pub(crate) text: &'static str,
    /// The properties whose columns it mentions. Empty if none was recognised: then it may be any.
    pub(crate) properties: Vec<usize>,
}

/// What a check constraint checks.
#[derive(Debug)]
pub(crate) enum CheckCondition {
    /// SQL that was written by hand.
    Written(&'static str),
    /// That a column holds values of an enum.
    OneOf { column: String, pg: PgType, enumeration: &'static EnumMeta },
}

/// A check constraint.
#[derive(Debug)]
pub(crate) struct CheckDef {
    pub(crate) name: String,
    pub(crate) condition: CheckCondition,
    pub(crate) properties: Vec<&'static str>,
}

/// An entity.
#[derive(Debug)]
pub(crate) struct EntityDef {
    pub(crate) index: usize,
    pub(crate) meta: &'static EntityMeta,
    pub(crate) schema: Option<String>,
    pub(crate) table: String,
    pub(crate) properties: Vec<PropertyDef>,
    /// The properties that are relations.
    pub(crate) relation_properties: Vec<usize>,
    /// The properties that are the key.
    pub(crate) key_properties: Vec<usize>,
    /// The columns that are the key.
    pub(crate) key: Vec<KeyColumnDef>,
    /// Where the key's columns stand in the SELECT list.
    pub(crate) key_offsets: Vec<usize>,
    /// How many columns the SELECT list has.
    pub(crate) width: usize,
    pub(crate) identity: Option<usize>,
    pub(crate) uuid_key: Option<usize>,
    pub(crate) version: Option<usize>,
    pub(crate) indexes: Vec<IndexDef>,
    pub(crate) checks: Vec<CheckDef>,
}

impl EntityDef {
    /// The relation with this property index.
    pub(crate) fn relation(&self, property: usize) -> Option<&RelationDef> {
        match self.properties.get(property) {
            Some(PropertyDef::Relation(relation)) => Some(relation),
            _ => None,
        }
    }

    /// The column with this property index.
    pub(crate) fn column(&self, property: usize) -> Option<&ColumnDef> {
        match self.properties.get(property) {
            Some(PropertyDef::Column(column)) => Some(column),
            _ => None,
        }
    }

    /// The property indexes of the columns that are not read together with the entity.
    pub(crate) fn lazy_columns(&self) -> impl Iterator<Item = usize> + '_ {
        let is_lazy = |property: &PropertyDef| matches!(property, PropertyDef::Column(column) if column.meta.lazy);
        self.properties.iter().enumerate().filter(move |(_, property)| is_lazy(property)).map(|(index, _)| index)
    }

    /// All relations with their property indexes.
    pub(crate) fn relations(&self) -> impl Iterator<Item = (usize, &RelationDef)> {
        self.relation_properties.iter().filter_map(|index| Some((*index, self.relation(*index)?)))
    }

    /// Which of the key's columns a property is; `None` if it is not part of the key.
    pub(crate) fn key_columns_of(&self, property: usize) -> Option<Range<usize>> {
        let mut start = 0;
        for candidate in &self.key_properties {
            let width = match self.properties.get(*candidate)? {
                PropertyDef::Column(_) => 1,
                PropertyDef::Relation(relation) => relation.columns.len(),
            };
            if *candidate == property {
                return Some(start..start + width);
            }
            start += width;
        }
        None
    }

    /// The name of a property.
    pub(crate) fn property_name(&self, property: usize) -> &'static str {
        self.meta.properties.get(property).map_or("", |property| property.name)
    }

    /// The names of all columns of the table.
    pub(crate) fn column_names(&self) -> impl Iterator<Item = &str> {
        self.properties.iter().flat_map(|property| match property {
            PropertyDef::Column(column) => vec![column.name.as_str()],
            PropertyDef::Relation(relation) => relation.columns.iter().map(|column| column.name.as_str()).collect(),
        })
    }

    /// The columns of the properties with these names.
    pub(super) fn columns_of(&self, names: &[&str]) -> Vec<String> {
        let mut columns = Vec::new();
        for name in names {
            let position = self.meta.properties.iter().position(|property| property.name == *name);
            match position.and_then(|position| self.properties.get(position)) {
                Some(PropertyDef::Column(column)) => columns.push(column.name.clone()),
                Some(PropertyDef::Relation(relation)) => {
                    columns.extend(relation.columns.iter().map(|column| column.name.clone()));
                }
                None => {}
            }
        }
        columns
    }
}
