//! The entities of one [`Orm`](crate::Orm), resolved: every name made, every relation followed to its columns.
//!
//! Indexes are the same everywhere: an entity's position in [`Metadata::entities`], a property's position in
//! [`EntityMeta::properties`].

use std::ops::Range;

use rustc_hash::FxHashMap;

use super::definition::{ColumnMeta, EntityMeta, PropertyKind, PropertyMeta, RelationKind, RelationMeta};
use super::naming::{NamingStrategy, fit_identifier};
use super::{discovery, validate};
use crate::error::{ConstraintNames, Error};
use crate::types::PgType;

/// A column that holds (a part of) a key.
#[derive(Clone, Debug)]
pub(crate) struct KeyColumnDef {
    pub(crate) name: String,
    pub(crate) pg: PgType,
    /// The SQL type of the column, where it was given by hand.
    pub(crate) sql_type: Option<&'static str>,
    pub(crate) length: Option<u32>,
}

/// A column of its own.
#[derive(Debug)]
pub(crate) struct ColumnDef {
    pub(crate) name: String,
    pub(crate) meta: &'static ColumnMeta,
    /// Where it stands in the SELECT list.
    pub(crate) offset: usize,
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
    /// Where the columns stand in the SELECT list (of an inverse one-to-one: the target's key).
    pub(crate) offset: usize,
}

impl RelationDef {
    /// Whether this side has the foreign key.
    pub(crate) fn is_owning_to_one(&self) -> bool {
        !self.columns.is_empty()
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
    pub(crate) unique: bool,
    pub(crate) deferrable: Option<&'static str>,
    pub(crate) predicate: Option<&'static str>,
}

/// A check constraint.
#[derive(Debug)]
pub(crate) struct CheckDef {
    pub(crate) name: String,
    pub(crate) expression: &'static str,
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

    /// All relations with their property indexes.
    pub(crate) fn relations(&self) -> impl Iterator<Item = (usize, &RelationDef)> {
        self.properties.iter().enumerate().filter_map(|(index, property)| match property {
            PropertyDef::Relation(relation) => Some((index, relation)),
            PropertyDef::Column(_) => None,
        })
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

    /// The columns of the properties with these names.
    fn columns_of(&self, names: &[&str]) -> Vec<String> {
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

/// Entity, fields and columns of a constraint.
#[derive(Clone, Debug)]
pub(crate) struct ConstraintOwner {
    pub(crate) entity: &'static str,
    pub(crate) properties: Vec<&'static str>,
    pub(crate) columns: Vec<String>,
}

/// All entities of one [`Orm`](crate::Orm).
#[derive(Debug)]
pub(crate) struct Metadata {
    pub(crate) entities: Vec<EntityDef>,
    by_address: FxHashMap<usize, usize>,
    constraints: FxHashMap<(String, String), ConstraintOwner>,
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
        let problems = validate::model(&entities);
        if !problems.is_empty() {
            return Err(Error::Metadata { problems });
        }
        let by_address = resolver.by_address;
        let constraints = constraint_owners(&entities, &*naming);
        Ok(Self { entities, by_address, constraints, naming })
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

impl ConstraintNames for Metadata {
    fn constraint(&self, table: &str, constraint: &str) -> Option<(&'static str, Vec<&'static str>, Vec<String>)> {
        let owner = self.constraints.get(&(table.to_owned(), constraint.to_owned()))?;
        Some((owner.entity, owner.properties.clone(), owner.columns.clone()))
    }

    fn column(&self, table: &str, column: &str) -> Option<(&'static str, &'static str)> {
        let entity = self.entities.iter().find(|entity| entity.table == table)?;
        let position = entity.properties.iter().position(|property| match property {
            PropertyDef::Column(definition) => definition.name == column,
            PropertyDef::Relation(relation) => relation.columns.iter().any(|part| part.name == column),
        })?;
        Some((entity.meta.name, entity.property_name(position)))
    }
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

    /// The key columns of an entity. Keys that consist of relations in a circle were refused before.
    fn key(&self, meta: &'static EntityMeta) -> Vec<KeyColumnDef> {
        let mut key = Vec::new();
        for property in meta.properties.iter().filter(|property| property.primary) {
            match &property.kind {
                PropertyKind::Column(column) => key.push(KeyColumnDef {
                    name: self.column_name(property, column),
                    pg: column.pg,
                    sql_type: column.sql_type,
                    length: column.length,
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
                    offset += 1;
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
                    properties.push(PropertyDef::Column(ColumnDef { name, meta: column, offset: start }));
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
        EntityDef {
            index,
            meta,
            schema: meta.schema.map(str::to_owned),
            table: self.table(meta),
            properties,
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
            indexes.push(IndexDef {
                name: index.name.map_or_else(|| self.name(&table, &columns, suffix), str::to_owned),
                columns,
                properties: index.properties.to_vec(),
                unique: index.unique,
                deferrable: index.deferrable,
                predicate: index.predicate,
            });
        }
        for (position, property) in entity.properties.iter().enumerate() {
            let name = entity.property_name(position);
            let (columns, unique, indexed) = match property {
                PropertyDef::Column(column) => {
                    if let Some(expression) = column.meta.check {
                        let columns = [column.name.clone()];
                        let check = self.name(&table, &columns, "check");
                        checks.push(CheckDef { name: check, expression, properties: vec![name] });
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
                expression: check.expression,
                properties: Vec::new(),
            });
        }
        entity.indexes = indexes;
        entity.checks = checks;
    }
}

impl Metadata {
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
fn constraint_owners(
    entities: &[EntityDef],
    naming: &dyn NamingStrategy,
) -> FxHashMap<(String, String), ConstraintOwner> {
    let mut owners = FxHashMap::default();
    let mut add = |table: &str, names: [String; 2], owner: ConstraintOwner| {
        for name in names {
            owners.entry((table.to_owned(), name)).or_insert_with(|| owner.clone());
        }
    };
    for entity in entities {
        let table = entity.table.as_str();
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
        add(table, [own_name, format!("{table}_pkey")], owner(key_properties, key));
        for index in entity.indexes.iter().filter(|index| index.unique) {
            let names = [index.name.clone(), by_server(&index.columns, "key")];
            add(table, names, owner(index.properties.clone(), index.columns.clone()));
        }
        for check in &entity.checks {
            let names = [check.name.clone(), check.name.clone()];
            add(table, names, owner(check.properties.clone(), Vec::new()));
        }
        for (position, relation) in entity.relations() {
            let name = entity.property_name(position);
            if relation.is_owning_to_one() {
                let columns: Vec<String> = relation.columns.iter().map(|column| column.name.clone()).collect();
                let names = [foreign_key_name(naming, table, &relation.columns), by_server(&columns, "fkey")];
                add(table, names, owner(vec![name], columns));
            }
            if let Some(pivot) = relation.pivot.as_ref().filter(|pivot| pivot.owning) {
                for side in [&pivot.join, &pivot.inverse_join] {
                    let columns: Vec<String> = side.iter().map(|column| column.name.clone()).collect();
                    let by_server = fit_identifier(format!("{}_{}_fkey", pivot.table, columns.join("_")));
                    let names = [foreign_key_name(naming, &pivot.table, side), by_server];
                    add(&pivot.table, names, owner(vec![name], columns));
                }
            }
        }
    }
    owners
}
