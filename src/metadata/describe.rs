//! The `const fn`s that the derive macro chains to describe a property: a constructor, then a setter an option.

use super::definition::{
    ColumnMeta, EntityMeta, PropertyKind, PropertyMeta, PropertyValue, RelationKind, RelationMeta,
};
use super::property::ColumnType;
use crate::types::{ScalarType, VersionType};

impl PropertyMeta {
    /// A column of the Rust type `C`.
    pub const fn column<C: ColumnType>(entity: &'static str, name: &'static str) -> Self {
        Self {
            name,
            entity,
            primary: false,
            kind: PropertyKind::Column(ColumnMeta {
                pg: <C::Operand as ScalarType>::TYPE,
                accepts: <C::Operand as ScalarType>::ACCEPTS,
                enumeration: <C::Operand as ScalarType>::ENUM,
                nullable: C::NULLABLE,
                column: None,
                length: None,
                precision: None,
                scale: None,
                sql_type: None,
                unique: false,
                index: false,
                identity: false,
                uuid_v7: false,
                version: false,
                lazy: false,
                default: None,
                default_sql: None,
                on_create: None,
                on_update: None,
                check: None,
                comment: None,
            }),
        }
    }

    /// A relation to the entity that `target` describes.
    pub const fn relation(
        entity: &'static str,
        name: &'static str,
        kind: RelationKind,
        nullable: bool,
        target: fn() -> &'static EntityMeta,
    ) -> Self {
        Self {
            name,
            entity,
            primary: false,
            kind: PropertyKind::Relation(RelationMeta {
                kind,
                target,
                nullable,
                mapped_by: None,
                inversed_by: None,
                cascade_persist: true,
                cascade_remove: false,
                orphan_removal: false,
                columns: &[],
                on_delete: None,
                on_update: None,
                deferrable: None,
                unique: false,
                index: false,
                comment: None,
                pivot_table: None,
                join_columns: &[],
                inverse_join_columns: &[],
                fixed_order: false,
                fixed_order_column: None,
            }),
        }
    }

    /// Marks the property as (part of) the key.
    #[must_use]
    pub const fn primary(mut self) -> Self {
        self.primary = true;
        self
    }
}

/// Setters for options that a column has.
macro_rules! column_options {
    ($($(#[$doc:meta])* $name:ident: $type:ty;)*) => {
        impl PropertyMeta {$(
            $(#[$doc])*
            #[must_use]
            pub const fn $name(mut self, value: $type) -> Self {
                if let PropertyKind::Column(column) = &mut self.kind {
                    column.$name = Some(value);
                }
                self
            }
        )*}
    };
}

column_options! {
    /// `length = 50`
    length: u32;
    /// `precision = 10`
    precision: u8;
    /// `scale = 2`
    scale: u8;
    /// `sql_type = "numeric(10, 2)"`
    sql_type: &'static str;
    /// `default = true`
    default: PropertyValue;
    /// `default_sql = "now()"`
    default_sql: &'static str;
    /// `on_create = Utc::now()`
    on_create: PropertyValue;
    /// `on_update = Utc::now()`
    on_update: PropertyValue;
    /// `check = "age >= 0"`
    check: &'static str;
}

/// Setters for flags that a column has.
macro_rules! column_flags {
    ($($(#[$doc:meta])* $name:ident;)*) => {
        impl PropertyMeta {$(
            $(#[$doc])*
            #[must_use]
            pub const fn $name(mut self) -> Self {
                if let PropertyKind::Column(column) = &mut self.kind {
                    column.$name = true;
                }
                self
            }
        )*}
    };
}

column_flags! {
    /// An identity column.
    identity;
    /// A UUID that is made at `persist()`.
    uuid_v7;
}

/// Setters for options that a relation has.
macro_rules! relation_options {
    ($($(#[$doc:meta])* $name:ident: $type:ty => $value:expr;)*) => {
        impl PropertyMeta {$(
            $(#[$doc])*
            #[must_use]
            pub const fn $name(mut self, value: $type) -> Self {
                if let PropertyKind::Relation(relation) = &mut self.kind {
                    relation.$name = $value(value);
                }
                self
            }
        )*}
    };
}

const fn plain<T: Copy>(value: T) -> T {
    value
}

relation_options! {
    /// `mapped_by = author`
    mapped_by: &'static str => Some;
    /// `inversed_by = posts`
    inversed_by: &'static str => Some;
    /// `cascade(persist)`, on unless `cascade(…)` leaves it out
    cascade_persist: bool => plain;
    /// `cascade(remove)`
    cascade_remove: bool => plain;
    /// `orphan_removal`
    orphan_removal: bool => plain;
    /// `column = "artist_id"`, `columns("a", "b")`
    columns: &'static [&'static str] => plain;
    /// `on_delete = "cascade"`
    on_delete: &'static str => Some;
    /// `deferrable`
    deferrable: &'static str => Some;
    /// `pivot_table = "post_tags"`
    pivot_table: &'static str => Some;
    /// `join_column = "post_id"`
    join_columns: &'static [&'static str] => plain;
    /// `inverse_join_column = "tag_id"`
    inverse_join_columns: &'static [&'static str] => plain;
    /// `fixed_order`
    fixed_order: bool => plain;
    /// `fixed_order_column = "position"`
    fixed_order_column: &'static str => Some;
}

impl PropertyMeta {
    /// `#[version]`
    #[must_use]
    pub const fn version<C: VersionType>(mut self) -> Self {
        if let PropertyKind::Column(column) = &mut self.kind {
            column.version = true;
            column.on_create = Some(|| Box::new(C::initial()));
        }
        self
    }

    /// The type that `precision` and `scale` make of a number or text column: `numeric(10, 2)`.
    #[must_use]
    pub const fn numeric(mut self, sql_type: &'static str) -> Self {
        if let PropertyKind::Column(column) = &mut self.kind
            && column.is_number_or_text()
            && column.sql_type.is_none()
        {
            column.sql_type = Some(sql_type);
        }
        self
    }

    /// `on_update = "cascade"` of a relation's foreign key.
    #[must_use]
    pub const fn on_key_update(mut self, action: &'static str) -> Self {
        if let PropertyKind::Relation(relation) = &mut self.kind {
            relation.on_update = Some(action);
        }
        self
    }

    /// `column = "name"` of a column.
    #[must_use]
    pub const fn named(mut self, name: &'static str) -> Self {
        if let PropertyKind::Column(column) = &mut self.kind {
            column.column = Some(name);
        }
        self
    }

    /// Whether it is a column that is not read together with the entity.
    pub(crate) const fn is_lazy(&self) -> bool {
        matches!(&self.kind, PropertyKind::Column(column) if column.lazy)
    }

    /// A column that is not read together with the entity.
    #[must_use]
    pub const fn lazy(mut self) -> Self {
        if let PropertyKind::Column(column) = &mut self.kind {
            column.lazy = true;
        }
        self
    }

    /// `unique`
    #[must_use]
    pub const fn unique(mut self) -> Self {
        match &mut self.kind {
            PropertyKind::Column(column) => column.unique = true,
            PropertyKind::Relation(relation) => relation.unique = true,
        }
        self
    }

    /// `index`
    #[must_use]
    pub const fn index(mut self) -> Self {
        match &mut self.kind {
            PropertyKind::Column(column) => column.index = true,
            PropertyKind::Relation(relation) => relation.index = true,
        }
        self
    }

    /// `comment = "…"`
    #[must_use]
    pub const fn comment(mut self, comment: &'static str) -> Self {
        match &mut self.kind {
            PropertyKind::Column(column) => column.comment = Some(comment),
            PropertyKind::Relation(relation) => relation.comment = Some(comment),
        }
        self
    }

    /// The column's options, if it is a column.
    pub const fn as_column(&self) -> Option<&ColumnMeta> {
        match &self.kind {
            PropertyKind::Column(column) => Some(column),
            PropertyKind::Relation(_) => None,
        }
    }

    /// The relation's options, if it is a relation.
    pub const fn as_relation(&self) -> Option<&RelationMeta> {
        match &self.kind {
            PropertyKind::Relation(relation) => Some(relation),
            PropertyKind::Column(_) => None,
        }
    }
}
