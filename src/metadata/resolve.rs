//! The entities of one [`Orm`](crate::Orm), resolved: every name made, every relation followed to its columns.
//!
//! Indexes are the same everywhere: an entity's position in [`Metadata::entities`], a property's position in
//! [`EntityMeta::properties`].

use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::constraints::{ConstraintOwners, constraint_owners};
use super::definition::{ColumnMeta, EntityMeta, PropertyKind, PropertyMeta, RelationKind, RelationMeta};
use super::enums;
use super::expressions;
use super::naming::{NamingStrategy, fit_identifier};
use super::resolved::{
    CheckCondition, CheckDef, ColumnDef, EntityDef, EnumDef, ExpressionDef, IndexDef, KeyColumnDef, PivotDef,
    PropertyDef, RelationDef, SqlType,
};
use super::{discovery, validate};
use crate::error::Error;

/// All entities of one [`Orm`](crate::Orm).
#[derive(Debug)]
pub(crate) struct Metadata {
    pub(crate) entities: Vec<EntityDef>,
    /// The native enum types that columns have.
    pub(crate) enums: Vec<Arc<EnumDef>>,
    by_address: FxHashMap<usize, usize>,
    pub(super) constraints: ConstraintOwners,
    pub(crate) naming: Box<dyn NamingStrategy>,
}

impl Metadata {
    /// Resolves the listed entities, or all registered ones.
    ///
    /// # Errors
    /// [`Error::Metadata`] with every problem that was found.
    pub(crate) fn resolve(
        listed: Option<Vec<&'static EntityMeta>>,
        naming: Box<dyn NamingStrategy>,
    ) -> Result<Self, Error> {
        let metas = listed.unwrap_or_else(discovery::registered);
        let problems = validate::definitions(&metas);
        if !problems.is_empty() {
            return Err(Error::Metadata { problems });
        }
        let by_address = metas.iter().enumerate().map(|(index, meta)| (address(meta), index)).collect();
        let resolver = Resolver { metas: &metas, by_address, naming: &*naming };
        let mut entities: Vec<EntityDef> = (0..metas.len()).map(|index| resolver.entity(index)).collect();
        resolver.pivots(&mut entities);
        for entity in &mut entities {
            resolver.indexes(entity);
        }
        let enums = enums::used(&entities);
        let mut problems = validate::model(&entities);
        enums::validate(&enums, &entities, &mut problems);
        if !problems.is_empty() {
            return Err(Error::Metadata { problems });
        }
        let by_address = resolver.by_address;
        let constraints = constraint_owners(&entities, &*naming);
        let enums = enums::distinct(enums);
        Ok(Self { entities, enums, by_address, constraints, naming })
    }

    /// The entity with this description, if the [`Orm`](crate::Orm) knows it.
    pub(crate) fn find(&self, meta: &'static EntityMeta) -> Option<&EntityDef> {
        self.by_address.get(&address(meta)).and_then(|index| self.entities.get(*index))
    }

    /// The entity with this description.
    ///
    /// # Errors
    /// [`Error::Validation`] if the [`Orm`](crate::Orm) was built without it.
    pub(crate) fn of(&self, meta: &'static EntityMeta) -> Result<&EntityDef, Error> {
        self.find(meta).ok_or_else(|| {
            let message = format!("{} is not among the entities of this Orm: add it to entities(…)", meta.name);
            Error::validation(meta.name, message)
        })
    }

    /// The entity that a relation leads to.
    pub(crate) fn target(&self, relation: &RelationDef) -> &EntityDef {
        &self.entities[relation.target]
    }
}

fn address(meta: &'static EntityMeta) -> usize {
    std::ptr::from_ref(meta).addr()
}

struct Resolver<'a> {
    metas: &'a [&'static EntityMeta],
    by_address: FxHashMap<usize, usize>,
    naming: &'a dyn NamingStrategy,
}

impl Resolver<'_> {
    fn table(&self, meta: &EntityMeta) -> String {
        meta.table.map_or_else(|| fit_identifier(self.naming.table_name(meta.name)), str::to_owned)
    }

    fn column_name(&self, property: &PropertyMeta, column: &ColumnMeta) -> String {
        column.column.map_or_else(|| fit_identifier(self.naming.column_name(property.name)), str::to_owned)
    }

    /// The SQL type of a column, where it is not that of its values.
    fn sql_type(&self, column: &ColumnMeta) -> Option<SqlType> {
        if let Some(given) = column.sql_type {
            return Some(SqlType::Given(given));
        }
        let definition = enums::definition(column.enumeration?, self.naming)?;
        Some(SqlType::Enum { definition: Arc::new(definition), is_array: column.pg.is_array() })
    }

    /// The key columns of an entity. Keys that consist of relations in a circle were refused before.
    fn key(&self, meta: &'static EntityMeta) -> Vec<KeyColumnDef> {
        let mut key = Vec::new();
        for property in meta.properties.iter().filter(|property| property.primary) {
            match &property.kind {
                PropertyKind::Column(column) => key.push(KeyColumnDef {
                    name: self.column_name(property, column),
                    pg: column.pg,
                    sql_type: self.sql_type(column),
                }),
                PropertyKind::Relation(relation) => key.extend(self.foreign_key(property, relation)),
            }
        }
        key
    }

    /// The foreign key columns of an owning to-one relation.
    fn foreign_key(&self, property: &PropertyMeta, relation: &RelationMeta) -> Vec<KeyColumnDef> {
        let mut columns = self.key((relation.target)());
        for (position, column) in columns.iter_mut().enumerate() {
            column.name = match relation.columns.get(position) {
                Some(name) => (*name).to_owned(),
                None => fit_identifier(self.naming.join_column_name(property.name, &column.name)),
            };
        }
        columns
    }

    fn entity(&self, index: usize) -> EntityDef {
        let meta = self.metas[index];
        let mut offset = 0;
        let mut properties = Vec::with_capacity(meta.properties.len());
        let mut key_offsets = Vec::new();
        let (mut identity, mut uuid_key, mut version) = (None, None, None);
        for (position, property) in meta.properties.iter().enumerate() {
            let start = offset;
            match &property.kind {
                PropertyKind::Column(column) => {
                    offset += usize::from(!column.lazy);
                    if column.identity {
                        identity = Some(position);
                    }
                    if column.uuid_v7 {
                        uuid_key = Some(position);
                    }
                    if column.version {
                        version = Some(position);
                    }
                    let name = self.column_name(property, column);
                    let sql_type = self.sql_type(column);
                    let may_be_made = column.identity
                        || column.uuid_v7
                        || column.default_sql.is_some()
                        || (column.nullable && (column.default.is_some() || column.on_create.is_some()));
                    let column = ColumnDef { name, meta: column, sql_type, offset: start, may_be_made };
                    properties.push(PropertyDef::Column(column));
                }
                PropertyKind::Relation(relation) => {
                    let definition = self.relation(meta, property, relation, start);
                    offset += if definition.is_inverse_one_to_one() {
                        ((relation.target)().key_types)().len()
                    } else {
                        definition.columns.len()
                    };
                    properties.push(PropertyDef::Relation(definition));
                }
            }
            if property.primary {
                key_offsets.extend(start..offset);
            }
        }
        let key_properties =
            meta.properties.iter().enumerate().filter(|(_, property)| property.primary).map(|(i, _)| i).collect();
        let relations = properties.iter().enumerate();
        let relations = relations.filter(|(_, property)| matches!(property, PropertyDef::Relation(_)));
        let relation_properties = relations.map(|(position, _)| position).collect();
        EntityDef {
            index,
            meta,
            schema: meta.schema.map(str::to_owned),
            table: self.table(meta),
            properties,
            relation_properties,
            key_properties,
            key: self.key(meta),
            key_offsets,
            width: offset,
            identity,
            uuid_key,
            version,
            indexes: Vec::new(),
            checks: Vec::new(),
        }
    }

    fn relation(
        &self,
        meta: &'static EntityMeta,
        property: &PropertyMeta,
        relation: &'static RelationMeta,
        offset: usize,
    ) -> RelationDef {
        let target = (relation.target)();
        let owning = !relation.kind.is_to_many() && relation.mapped_by.is_none();
        // The owning side need not name the inverse side: that names the owning one.
        let named = relation.mapped_by.or(relation.inversed_by);
        let inverse = match named {
            Some(name) => target.properties.iter().position(|other| other.name == name),
            None => target.properties.iter().position(|other| validate::is_inverse_of(other, meta, property)),
        };
        RelationDef {
            meta: relation,
            target: self.by_address.get(&address(target)).copied().unwrap_or_default(),
            columns: if owning { self.foreign_key(property, relation) } else { Vec::new() },
            inverse,
            pivot: None,
            on_update: relation.on_update.or_else(|| (owning && is_given(target)).then_some("cascade")),
            offset,
        }
    }

    /// Fills in the pivot tables: first of the owning sides, then mirrored on the inverse sides.
    fn pivots(&self, entities: &mut [EntityDef]) {
        let mut found = Vec::new();
        for entity in entities.iter() {
            for (position, relation) in entity.relations() {
                if relation.meta.kind == RelationKind::ManyToMany && relation.meta.mapped_by.is_none() {
                    found.push((entity.index, position, self.pivot(entities, entity, position, relation)));
                }
            }
        }
        for (entity, position, pivot) in found {
            let Some(PropertyDef::Relation(relation)) = entities[entity].properties.get_mut(position) else { continue };
            let (target, inverse) = (relation.target, relation.inverse);
            let mirrored = PivotDef {
                join: pivot.inverse_join.clone(),
                inverse_join: pivot.join.clone(),
                order: None,
                owning: false,
                ..pivot.clone()
            };
            relation.pivot = Some(pivot);
            let inverse = inverse.and_then(|inverse| entities[target].properties.get_mut(inverse));
            if let Some(PropertyDef::Relation(relation)) = inverse {
                relation.pivot = Some(mirrored);
            }
        }
    }

    fn pivot(&self, entities: &[EntityDef], entity: &EntityDef, position: usize, relation: &RelationDef) -> PivotDef {
        let target = &entities[relation.target];
        let same = entity.index == target.index;
        let columns = |of: &EntityDef, given: &[&'static str], role: u8| -> Vec<KeyColumnDef> {
            let mut columns = of.key.clone();
            for (part, column) in columns.iter_mut().enumerate() {
                column.name = match given.get(part) {
                    Some(name) => (*name).to_owned(),
                    None => {
                        let role = same.then_some(role);
                        fit_identifier(self.naming.pivot_column_name(&of.table, &column.name, role))
                    }
                };
            }
            columns
        };
        let table = match relation.meta.pivot_table {
            Some(table) => table.to_owned(),
            None => fit_identifier(self.naming.pivot_table_name(&entity.table, entity.property_name(position))),
        };
        PivotDef {
            schema: entity.schema.clone(),
            entity: entities.iter().position(|other| other.table == table && other.schema == entity.schema),
            table,
            join: columns(entity, relation.meta.join_columns, 1),
            inverse_join: columns(target, relation.meta.inverse_join_columns, 2),
            order: relation.meta.fixed_order.then(|| match relation.meta.fixed_order_column {
                Some(column) => column.to_owned(),
                None => fit_identifier(self.naming.order_column_name()),
            }),
            owning: true,
        }
    }

    fn name(&self, table: &str, columns: &[String], suffix: &str) -> String {
        let columns: Vec<&str> = columns.iter().map(String::as_str).collect();
        fit_identifier(self.naming.constraint_name(table, &columns, suffix))
    }

    /// Indexes, unique constraints and checks. Foreign key columns are indexed, unless an index or the key begins with
    /// them already.
    fn indexes(&self, entity: &mut EntityDef) {
        let mut indexes: Vec<IndexDef> = Vec::new();
        let mut checks = Vec::new();
        let table = entity.table.clone();
        for index in entity.meta.indexes {
            let columns = entity.columns_of(index.properties);
            let suffix = if index.unique { "unique" } else { "index" };
            // Of expressions a name is made when the others are known.
            let made =
                || if index.expressions.is_empty() { self.name(&table, &columns, suffix) } else { String::new() };
            let expressions = index.expressions.iter();
            let expressions = expressions.map(|&text| ExpressionDef { text, properties: entity.mentioned_in(text) });
            indexes.push(IndexDef {
                name: index.name.map_or_else(made, str::to_owned),
                columns,
                properties: index.properties.to_vec(),
                expressions: expressions.collect(),
                unique: index.unique,
                deferrable: index.deferrable,
                predicate: index.predicate,
            });
        }
        for (position, property) in entity.properties.iter().enumerate() {
            let name = entity.property_name(position);
            let (columns, unique, indexed) = match property {
                PropertyDef::Column(column) => {
                    for (number, condition) in conditions(column).enumerate() {
                        let numbered = (number > 0).then(|| (number + 1).to_string());
                        let columns: Vec<String> = [column.name.clone()].into_iter().chain(numbered).collect();
                        let check = self.name(&table, &columns, "check");
                        checks.push(CheckDef { name: check, condition, properties: vec![name] });
                    }
                    (vec![column.name.clone()], column.meta.unique, column.meta.index)
                }
                PropertyDef::Relation(relation) if relation.is_owning_to_one() => {
                    let columns = relation.columns.iter().map(|column| column.name.clone()).collect();
                    let unique = relation.meta.unique || relation.meta.kind == RelationKind::OneToOne;
                    (columns, unique, true)
                }
                PropertyDef::Relation(_) => continue,
            };
            let is_key = entity.key.iter().map(|column| &column.name).eq(columns.iter());
            let push = |unique: bool, indexes: &mut Vec<IndexDef>| {
                let name_of = self.name(&table, &columns, if unique { "unique" } else { "index" });
                indexes.push(IndexDef {
                    name: name_of,
                    columns: columns.clone(),
                    properties: vec![name],
                    expressions: Vec::new(),
                    unique,
                    deferrable: None,
                    predicate: None,
                });
            };
            if unique && !is_key {
                push(true, &mut indexes);
            }
            let covered = entity.key.iter().map(|column| &column.name).take(columns.len()).eq(columns.iter())
                || indexes.iter().any(|index| index.predicate.is_none() && index.columns.starts_with(&columns));
            if indexed && !covered {
                push(false, &mut indexes);
            }
        }
        for (number, check) in entity.meta.checks.iter().enumerate() {
            let unnamed = || {
                let columns = if number == 0 { vec![] } else { vec![(number + 1).to_string()] };
                self.name(&table, &columns, "check")
            };
            checks.push(CheckDef {
                name: check.name.map_or_else(unnamed, str::to_owned),
                condition: CheckCondition::Written(check.expression),
                properties: Vec::new(),
            });
        }
        expressions::name_indexes(&mut indexes, |parts, suffix| self.name(&table, parts, suffix));
        entity.indexes = indexes;
        entity.checks = checks;
    }
}

/// What is checked of a column: that an enum which is no type of its own holds its values, and what was written by hand.
fn conditions(column: &ColumnDef) -> impl Iterator<Item = CheckCondition> {
    let enumeration = column.meta.enumeration.filter(|enumeration| !enumeration.is_native());
    let one_of = enumeration.map(|enumeration| CheckCondition::OneOf {
        column: column.name.clone(),
        pg: column.meta.pg,
        enumeration,
    });
    one_of.into_iter().chain(column.meta.check.map(CheckCondition::Written))
}

/// Whether the program gives the keys of an entity, so that they may be changed.
fn is_given(meta: &EntityMeta) -> bool {
    !meta.properties.iter().filter(|property| property.primary).any(|property| match &property.kind {
        PropertyKind::Column(column) => column.identity || column.uuid_v7,
        PropertyKind::Relation(_) => false,
    })
}
