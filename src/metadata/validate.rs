//! What only the whole model can tell: every rule is a function, and all problems are reported at once.

use rustc_hash::{FxHashMap, FxHashSet};

use super::definition::{ColumnMeta, EntityMeta, PropertyKind, PropertyMeta, RelationKind, RelationMeta};
use super::naming::IDENTIFIER_LIMIT;
use super::resolved::{EntityDef, PivotDef, PropertyDef};

/// Problems of the definitions, before names are resolved.
pub(super) fn definitions(metas: &[&'static EntityMeta]) -> Vec<String> {
    let mut problems = Vec::new();
    if metas.is_empty() {
        problems.push(
            "there are no entities: derive Entity on a struct in a crate that is linked, or list them with entities(…)"
                .to_owned(),
        );
    }
    duplicate_entities(metas, &mut problems);
    for meta in metas {
        for property in meta.properties {
            if let PropertyKind::Relation(relation) = &property.kind {
                relation_target(metas, meta, property, relation, &mut problems);
                inverse_sides(meta, property, relation, &mut problems);
            }
        }
    }
    key_circles(metas, &mut problems);
    for property in metas.iter().flat_map(|meta| meta.properties) {
        if let PropertyKind::Column(column) = &property.kind {
            column_modifiers(property, column, &mut problems);
        }
    }
    problems
}

/// A length is that of text, a precision that of numbers, text and points in time; elsewhere they would be ignored.
fn column_modifiers(property: &PropertyMeta, column: &ColumnMeta, problems: &mut Vec<String>) {
    let here = format!("{}.{}", property.entity, property.name);
    let is_native_enum = column.is_native_enum();
    let name = if is_native_enum { "a native enum" } else { column.pg.name };
    let is_text = name.trim_end_matches("[]") == "text";
    let is_time = matches!(name.trim_end_matches("[]"), "timestamptz" | "timestamp" | "time");
    if column.length.is_some() && !is_text {
        problems.push(format!("{here}: length has no meaning for {name}"));
    }
    if column.precision.is_some() && !is_time && !column.is_number_or_text() {
        problems.push(format!("{here}: precision has no meaning for {name}"));
    }
    if column.scale.is_some() && !column.is_number_or_text() {
        problems.push(format!("{here}: scale has no meaning for {name}"));
    }
}

/// Two structs of one name could not be told apart in messages, and one listed twice would be two tables.
fn duplicate_entities(metas: &[&'static EntityMeta], problems: &mut Vec<String>) {
    let mut seen: FxHashMap<&str, &EntityMeta> = FxHashMap::default();
    for meta in metas {
        if let Some(other) = seen.insert(meta.name, meta) {
            problems.push(if std::ptr::eq(other, *meta) {
                format!("entity {} is listed twice", meta.name)
            } else {
                format!("there are two entities called {}: at {} and at {}", meta.name, other.source, meta.source)
            });
        }
    }
}

/// A relation must lead to an entity of the same Orm, and its other side must point back.
fn relation_target(
    metas: &[&'static EntityMeta],
    meta: &EntityMeta,
    property: &PropertyMeta,
    relation: &RelationMeta,
    problems: &mut Vec<String>,
) {
    let target = (relation.target)();
    let here = format!("{}.{}", meta.name, property.name);
    if !metas.iter().any(|other| std::ptr::eq(*other, target)) {
        problems.push(format!("{here} refers to {}, which is not among the entities of this Orm", target.name));
        return;
    }
    let named = relation.mapped_by.map(|name| ("mapped_by", name));
    let Some((option, name)) = named.or(relation.inversed_by.map(|name| ("inversed_by", name))) else { return };
    let Some(other) = target.properties.iter().find(|other| other.name == name) else {
        problems.push(format!("{here}: {option} = {name}, but {} has no field {name}", target.name));
        return;
    };
    let there = format!("{}.{name}", target.name);
    let PropertyKind::Relation(back) = &other.kind else {
        problems.push(format!("{here}: {option} = {name}, but {there} is not a relation"));
        return;
    };
    if !std::ptr::eq((back.target)(), meta) {
        problems.push(format!("{here}: {option} = {name}, but {there} refers to {}", (back.target)().name));
        return;
    }
    let fits = matches!(
        (relation.kind, back.kind),
        (RelationKind::OneToMany, RelationKind::ManyToOne)
            | (RelationKind::ManyToOne, RelationKind::OneToMany)
            | (RelationKind::OneToOne, RelationKind::OneToOne)
            | (RelationKind::ManyToMany, RelationKind::ManyToMany)
    );
    if !fits {
        problems.push(format!("{here} and {there} are not the two sides of one relation"));
        return;
    }
    if option == "mapped_by" && back.mapped_by.is_some() {
        problems.push(format!("{here} and {there} are both inverse sides: one of them must own the relation"));
    }
    if option == "inversed_by" && back.mapped_by != Some(property.name) {
        problems.push(format!("{here}: inversed_by = {name}, but {there} is not mapped_by = {}", property.name));
    }
}

/// Whether a property is mapped by a relation of this entity.
pub(super) fn is_inverse_of(inverse: &PropertyMeta, meta: &EntityMeta, owning: &PropertyMeta) -> bool {
    inverse
        .as_relation()
        .is_some_and(|relation| relation.mapped_by == Some(owning.name) && std::ptr::eq((relation.target)(), meta))
}

/// A relation has one inverse side: of two, only one would see what is written to the owning side.
fn inverse_sides(meta: &EntityMeta, property: &PropertyMeta, relation: &RelationMeta, problems: &mut Vec<String>) {
    let target = (relation.target)();
    let sides: Vec<String> = target
        .properties
        .iter()
        .filter(|other| is_inverse_of(other, meta, property))
        .map(|other| format!("{}.{}", target.name, other.name))
        .collect();
    if relation.mapped_by.is_none() && sides.len() > 1 {
        problems.push(format!(
            "{} are all mapped_by {}.{}: a relation has one inverse side",
            sides.join(" and "),
            meta.name,
            property.name
        ));
    }
}

/// A key that refers to itself through relations has no columns.
fn key_circles(metas: &[&'static EntityMeta], problems: &mut Vec<String>) {
    fn circular(meta: &'static EntityMeta, path: &mut Vec<&'static EntityMeta>) -> bool {
        if path.iter().any(|other| std::ptr::eq(*other, meta)) {
            return true;
        }
        path.push(meta);
        let found = meta
            .properties
            .iter()
            .filter(|property| property.primary)
            .filter_map(PropertyMeta::as_relation)
            .any(|relation| circular((relation.target)(), path));
        path.pop();
        found
    }
    for meta in metas {
        if circular(meta, &mut Vec::new()) {
            problems.push(format!("the key of {} refers to itself through relations", meta.name));
        }
    }
}

/// Problems of the resolved model.
pub(super) fn model(entities: &[EntityDef]) -> Vec<String> {
    let mut problems = Vec::new();
    duplicate_tables(entities, &mut problems);
    for entity in entities {
        long_names(entity, &mut problems);
        duplicate_columns(entity, &mut problems);
        foreign_key_widths(entities, entity, &mut problems);
        index_properties(entity, &mut problems);
        pivot_tables(entities, entity, &mut problems);
    }
    shared_pivot_tables(entities, &mut problems);
    duplicate_constraints(entities, &mut problems);
    problems
}

fn qualified(schema: Option<&str>, table: &str) -> String {
    schema.map_or_else(|| table.to_owned(), |schema| format!("{schema}.{table}"))
}

/// Two entities in one table would overwrite each other's rows.
fn duplicate_tables(entities: &[EntityDef], problems: &mut Vec<String>) {
    let mut seen: FxHashMap<String, &str> = FxHashMap::default();
    for entity in entities {
        let table = qualified(entity.schema.as_deref(), &entity.table);
        if let Some(other) = seen.insert(table.clone(), entity.meta.name) {
            problems.push(format!("{other} and {} both map the table {table}", entity.meta.name));
        }
    }
}

/// The server cuts a name off without an error, and then calls the thing by another name than the program.
fn long_names(entity: &EntityDef, problems: &mut Vec<String>) {
    let own = entity.schema.iter().chain([&entity.table]);
    let indexes = entity.indexes.iter().map(|index| &index.name);
    let checks = entity.checks.iter().map(|check| &check.name);
    let pivots = entity.relations().filter_map(|(_, relation)| relation.pivot.as_ref().filter(|pivot| pivot.owning));
    let pivots = pivots.flat_map(|pivot| {
        let columns = pivot.join.iter().chain(&pivot.inverse_join).map(|column| &column.name);
        std::iter::once(&pivot.table).chain(columns).chain(&pivot.order)
    });
    let columns = entity.properties.iter().flat_map(|property| match property {
        PropertyDef::Column(column) => vec![&column.name],
        PropertyDef::Relation(relation) => relation.columns.iter().map(|column| &column.name).collect(),
    });
    for name in own.chain(columns).chain(indexes).chain(checks).chain(pivots) {
        if name.len() > IDENTIFIER_LIMIT {
            let length = name.len();
            problems.push(format!(
                "{}: the name {name} is {length} bytes long, and PostgreSQL keeps {IDENTIFIER_LIMIT}: give a shorter one",
                entity.meta.name
            ));
        }
    }
}

/// A column that two fields write has no defined value.
fn duplicate_columns(entity: &EntityDef, problems: &mut Vec<String>) {
    let mut seen: FxHashMap<&str, &str> = FxHashMap::default();
    for (position, property) in entity.properties.iter().enumerate() {
        let field = entity.property_name(position);
        let columns: Vec<&str> = match property {
            PropertyDef::Column(column) => vec![&column.name],
            PropertyDef::Relation(relation) => relation.columns.iter().map(|column| column.name.as_str()).collect(),
        };
        for column in columns {
            if let Some(other) = seen.insert(column, field) {
                problems.push(format!("{}: {other} and {field} both map the column {column}", entity.meta.name));
            }
        }
    }
}

/// Columns that were named by hand must be as many as the target's key has.
fn foreign_key_widths(entities: &[EntityDef], entity: &EntityDef, problems: &mut Vec<String>) {
    for (position, relation) in entity.relations() {
        let target = &entities[relation.target];
        let here = format!("{}.{}", entity.meta.name, entity.property_name(position));
        let mut check = |what: &str, given: usize, of: &EntityDef| {
            if given != 0 && given != of.key.len() {
                let key = of.key.len();
                problems.push(format!("{here} names {given} {what}, but the key of {} has {key}", of.meta.name));
            }
        };
        check("columns", relation.meta.columns.len(), target);
        check("join columns", relation.meta.join_columns.len(), entity);
        check("inverse join columns", relation.meta.inverse_join_columns.len(), target);
    }
}

/// Indexes are made of columns of the table.
fn index_properties(entity: &EntityDef, problems: &mut Vec<String>) {
    for index in entity.meta.indexes {
        for name in index.properties {
            let position = entity.meta.properties.iter().position(|property| property.name == *name);
            let has_columns =
                position.and_then(|position| entity.properties.get(position)).is_some_and(|property| match property {
                    PropertyDef::Column(_) => true,
                    PropertyDef::Relation(relation) => relation.is_owning_to_one(),
                });
            if !has_columns {
                problems.push(format!("{}: an index names {name}, which has no column", entity.meta.name));
            }
        }
    }
}

/// A pivot table may be an entity's table too, if it has the columns.
fn pivot_tables(entities: &[EntityDef], entity: &EntityDef, problems: &mut Vec<String>) {
    for (position, relation) in entity.relations() {
        let here = format!("{}.{}", entity.meta.name, entity.property_name(position));
        let Some(pivot) = relation.pivot.as_ref().filter(|pivot| pivot.owning) else { continue };
        let mut names = FxHashSet::default();
        for column in pivot.join.iter().chain(&pivot.inverse_join) {
            if !names.insert(column.name.as_str()) {
                problems.push(format!(
                    "{here}: both sides are the column {} of the pivot table {}: name them with join_column and \
                     inverse_join_column",
                    column.name, pivot.table
                ));
            }
        }
        if let Some(order) = pivot.order.as_ref().filter(|order| names.contains(order.as_str())) {
            problems.push(format!(
                "{here}: the column {order} of the pivot table {} is a foreign key already: name the one of the order with \
                 fixed_order_column",
                pivot.table
            ));
        }
        let Some(mapped) = pivot.entity.map(|index| &entities[index]) else { continue };
        for column in pivot.join.iter().chain(&pivot.inverse_join).map(|column| &column.name).chain(&pivot.order) {
            let there = mapped.properties.iter().any(|property| match property {
                PropertyDef::Column(definition) => definition.name == *column,
                PropertyDef::Relation(other) => other.columns.iter().any(|part| part.name == *column),
            });
            if !there {
                problems.push(format!(
                    "{here} uses the table of {} as its pivot table, which has no column {column}",
                    mapped.meta.name
                ));
            }
        }
        if let Some(order) = &pivot.order {
            ordered_pivot_entity(&here, mapped, pivot, order, problems);
        }
    }
}

/// Rows of an ordered relation get their place from the database, and are found by the pair that they link.
fn ordered_pivot_entity(here: &str, mapped: &EntityDef, pivot: &PivotDef, order: &str, problems: &mut Vec<String>) {
    let counted = mapped.properties.iter().enumerate().any(|(index, property)| match property {
        PropertyDef::Column(column) => {
            column.name == order && (mapped.identity == Some(index) || column.meta.default_sql.is_some())
        }
        PropertyDef::Relation(_) => false,
    });
    if !counted {
        problems.push(format!(
            "{here} has a fixed_order, but the database does not count up the column {order} of {}: make it the entity's \
             integer key, or give it a default_sql",
            mapped.meta.name
        ));
    }
    let pair: FxHashSet<&str> = pivot.join.iter().chain(&pivot.inverse_join).map(|part| part.name.as_str()).collect();
    let is_pair = |columns: &mut dyn Iterator<Item = &str>| columns.collect::<FxHashSet<&str>>() == pair;
    let is_key = is_pair(&mut mapped.key.iter().map(|column| column.name.as_str()));
    let mut unique = mapped
        .indexes
        .iter()
        .filter(|index| index.is_unique_by_columns() && index.predicate.is_none() && index.deferrable.is_none());
    if !is_key && !unique.any(|index| is_pair(&mut index.columns.iter().map(String::as_str))) {
        problems.push(format!(
            "{here} has a fixed_order, but {} does not say that each pair is linked once: add #[unique(…)] over its two \
             relations",
            mapped.meta.name
        ));
    }
}

/// Two relations in one pivot table would read each other's rows. Where an entity maps the table, it is meant.
fn shared_pivot_tables(entities: &[EntityDef], problems: &mut Vec<String>) {
    let mut seen: FxHashMap<String, String> = FxHashMap::default();
    for entity in entities {
        for (position, relation) in entity.relations() {
            let Some(pivot) = relation.pivot.as_ref().filter(|pivot| pivot.owning && pivot.entity.is_none()) else {
                continue;
            };
            let here = format!("{}.{}", entity.meta.name, entity.property_name(position));
            let table = qualified(pivot.schema.as_deref(), &pivot.table);
            if let Some(other) = seen.insert(table.clone(), here.clone()) {
                problems.push(format!(
                    "{other} and {here} both use the pivot table {table}: name one with pivot_table, or make one of them \
                     the inverse side with mapped_by"
                ));
            }
        }
    }
}

/// Names of indexes are unique in a schema.
fn duplicate_constraints(entities: &[EntityDef], problems: &mut Vec<String>) {
    let mut seen = FxHashSet::default();
    for entity in entities {
        for index in &entity.indexes {
            if !seen.insert((entity.schema.as_deref(), index.name.as_str())) {
                problems.push(format!("{}: there are two indexes called {}", entity.meta.name, index.name));
            }
        }
    }
}
