//! An upsert without its type: which conflict is looked for, what it updates, and what becomes of the answer.

use std::fmt;
use std::sync::Arc;

use super::batches::{Shape, arrays, made_values, shapes};
use super::written_rows::WrittenRows;
use crate::error::Error;
use crate::manager::EntityManager;
use crate::metadata::{AnyCell, EntityDef, EntityMeta, EntityObject, IndexDef};
use crate::query::{FilterOptions, PropertyName};
use crate::sql::{self, ConflictAction, ConflictTarget, Expression, Param, Statement};
use crate::unit_of_work::{UnitOfWork, identifies};

/// What makes two rows the same, as it was asked for.
#[derive(Debug)]
pub(super) enum Target {
    /// What all rows have values for.
    Default,
    Properties(Vec<PropertyName>),
    Constraint(String),
}

/// What a row that is there gets.
#[derive(Debug)]
pub(super) enum Merge {
    /// What was sent, apart from what is its own.
    All,
    Only(Vec<PropertyName>),
    Nothing,
}

/// Rows, and what is to become of them.
pub(super) struct UpsertPlan {
    meta: &'static EntityMeta,
    rows: Vec<Box<dyn EntityObject>>,
    pub(super) target: Target,
    pub(super) merge: Merge,
    pub(super) excluded: Vec<PropertyName>,
    pub(super) filter: Vec<Expression>,
    pub(super) filters: FilterOptions,
}

impl UpsertPlan {
    pub(super) fn new(meta: &'static EntityMeta, rows: Vec<Box<dyn EntityObject>>) -> Self {
        Self {
            meta,
            rows,
            target: Target::Default,
            merge: Merge::All,
            excluded: Vec::new(),
            filter: Vec::new(),
            filters: FilterOptions::default(),
        }
    }

    /// Sends the rows; answers with their entities, in order.
    ///
    /// # Errors
    /// As [`EntityManager::upsert`].
    pub(super) async fn run(
        mut self,
        em: &EntityManager,
        graph: &Arc<UnitOfWork>,
    ) -> Result<Vec<Arc<dyn AnyCell>>, Error> {
        let view = em.session.view_through(&self.filters)?;
        let entity = view.of(self.meta)?;
        let (shapes, target) = self.prepare(entity)?;
        let mut statements = Vec::new();
        let mut sent = Vec::new();
        for shape in &shapes {
            for (rows, arrays) in arrays(entity, &self.rows, &shape.properties, &shape.rows)? {
                let action = self.action(entity, &target, &shape.properties)?;
                let (text, mut params) = sql::upsert(&view, entity, &shape.properties, &target, action)?;
                params.extend(arrays.into_iter().map(Param::Array));
                statements.push(Statement { text, params });
                sent.push(rows);
            }
        }
        if statements.is_empty() {
            return Ok(Vec::new());
        }
        let answers = em.session.write_directly(&statements).await;
        let answers = answers.map_err(|(error, _)| explain(entity, &target, error))?;
        let mut found = WrittenRows::new(graph, entity, self.rows.len());
        for (rows, answer) in sent.iter().zip(&answers) {
            found.take(rows, answer)?;
        }
        // A row that came into the way while the statement was running, and was left as it is, is not to be seen by it.
        let missing = found.missing();
        if !missing.is_empty() {
            for (rows, arrays) in arrays(entity, &self.rows, &target.properties, &missing)? {
                let (text, mut params) = sql::conflicting(&view, entity, &target)?;
                params.extend(arrays.into_iter().map(Param::Array));
                let answer = em.executor().await?.run(&Statement { text, params }).await?;
                found.take(&rows, &answer)?;
            }
        }
        found.into_cells().ok_or_else(|| Error::NotFound {
            entity: self.meta.name,
            criteria: format!(
                "the row that has the same {} as one that was upserted",
                names(entity, &target.properties)
            ),
        })
    }

    /// Completes the rows, and groups them by the columns that they have values for.
    fn prepare(&mut self, entity: &EntityDef) -> Result<(Vec<Shape>, ConflictTarget), Error> {
        // A UUID that is made here is a key that no other row has.
        let has_key = |row: &dyn EntityObject| entity.uuid_key.is_none_or(|key| !row.property(key).is_unset());
        let has_keys = self.rows.iter().all(|row| has_key(&**row));
        let shapes = shapes(entity, &mut self.rows)?;
        let target = match &self.target {
            Target::Default => self.default_target(entity, &shapes, has_keys)?,
            Target::Properties(given) => {
                let own = given.iter().map(|name| name.own(self.meta, "on_conflict()"));
                target_of(entity, own.collect::<Result<_, _>>()?)?
            }
            Target::Constraint(name) => target_named(entity, name)?,
        };
        if let Some((row, property)) = self.without_value(&shapes, &target.properties) {
            let message = format!(
                "row {} has no value for {}.{}, which a conflict is to be found by: NULL is in conflict with nothing",
                row + 1,
                self.meta.name,
                entity.property_name(usize::from(property))
            );
            return Err(Error::validation(self.meta.name, message));
        }
        Ok((shapes, target))
    }

    /// The key, or else the first unique constraint that every row has values for.
    fn default_target(&self, entity: &EntityDef, shapes: &[Shape], has_keys: bool) -> Result<ConflictTarget, Error> {
        let key = has_keys.then(|| key_of(entity));
        let constraints = entity.indexes.iter().filter(|index| index.predicate.is_none() && index.deferrable.is_none());
        let unique = constraints.filter(|index| index.is_unique_by_columns()).map(|index| properties_of(entity, index));
        let found = key.into_iter().chain(unique).find(|properties| self.without_value(shapes, properties).is_none());
        let missing = || {
            let message = format!(
                "no conflict can be found: the rows have neither their keys nor values for a unique constraint of {}; \
                 name the fields with on_conflict()",
                self.meta.name
            );
            Error::validation(self.meta.name, message)
        };
        Ok(ConflictTarget { properties: found.ok_or_else(missing)?, predicate: None })
    }

    /// A row that has no value for one of these properties.
    fn without_value(&self, shapes: &[Shape], properties: &[u16]) -> Option<(usize, u16)> {
        shapes.iter().flat_map(|shape| shape.rows.iter().map(move |row| (shape, *row))).find_map(|(shape, row)| {
            let has = |property: &&u16| shape.properties.contains(property) && identifies(&*self.rows[row], **property);
            properties.iter().find(|property| !has(property)).map(|property| (row, *property))
        })
    }

    /// What happens to a row that is there already.
    fn action(&self, entity: &EntityDef, target: &ConflictTarget, sent: &[u16]) -> Result<ConflictAction, Error> {
        let own = |name: &PropertyName, operation| name.own(self.meta, operation);
        let excluded = self.excluded.iter().map(|name| own(name, "exclude()")).collect::<Result<Vec<_>, _>>()?;
        let mut merged = match &self.merge {
            Merge::Nothing => return Ok(ConflictAction::Nothing),
            Merge::Only(given) => {
                given.iter().map(|name| own(name, "merge_fields()")).collect::<Result<Vec<_>, _>>()?
            }
            Merge::All => sent.iter().copied().filter(|property| is_merged(entity, target, *property)).collect(),
        };
        if let Some(key) = merged.iter().find(|property| entity.key_properties.contains(&usize::from(**property))) {
            let name = entity.property_name(usize::from(*key));
            let message = format!("merge_fields() names {}.{name}: the key of a row is not changed", self.meta.name);
            return Err(Error::validation(self.meta.name, message));
        }
        // The version is counted up, whatever was sent.
        merged.retain(|property| !excluded.contains(property) && Some(usize::from(*property)) != entity.version);
        merged.sort_unstable();
        merged.dedup();
        let is_set = |property: u16| merged.contains(&property) || excluded.contains(&property);
        let made = made_values(entity, |column| column.on_update, is_set)?;
        if merged.is_empty() && made.is_empty() {
            return Ok(ConflictAction::Nothing);
        }
        Ok(ConflictAction::Update { merged, made, filter: self.filter.clone() })
    }
}

impl fmt::Debug for UpsertPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UpsertPlan")
            .field("entity", &self.meta.name)
            .field("rows", &self.rows.len())
            .field("target", &self.target)
            .field("merge", &self.merge)
            .finish_non_exhaustive()
    }
}

/// Whether a row that is there gets the value of this property that was sent, if nothing else was asked for.
pub(in crate::manager) fn is_merged(entity: &EntityDef, target: &ConflictTarget, property: u16) -> bool {
    let index = usize::from(property);
    let is_own = entity.key_properties.contains(&index) || target.properties.contains(&property);
    // What has an on_update gets another value; what has an on_create alone keeps that of the day when it was created.
    !is_own
        && entity.column(index).is_none_or(|column| column.meta.on_create.is_none() && column.meta.on_update.is_none())
}

/// The target that consists of these properties. If that is an index of some rows, its condition is part of it.
pub(in crate::manager) fn target_of(entity: &EntityDef, properties: Vec<u16>) -> Result<ConflictTarget, Error> {
    let same = |other: &[u16]| other.len() == properties.len() && other.iter().all(|one| properties.contains(one));
    if same(&key_of(entity)) {
        return Ok(ConflictTarget { properties, predicate: None });
    }
    let unique = entity.indexes.iter().filter(|index| index.is_unique_by_columns());
    let known: Vec<&IndexDef> = unique.filter(|index| same(&properties_of(entity, index))).collect();
    match known.iter().find(|index| index.deferrable.is_none()) {
        Some(index) => {
            let of_all = known.iter().any(|other| other.predicate.is_none() && other.deferrable.is_none());
            Ok(ConflictTarget { properties, predicate: if of_all { None } else { index.predicate } })
        }
        None => match known.first() {
            Some(index) => Err(deferrable(entity, index)),
            // The server may have one that the entity does not declare.
            None => Ok(ConflictTarget { properties, predicate: None }),
        },
    }
}

/// The target with the name of a constraint or index.
fn target_named(entity: &EntityDef, name: &str) -> Result<ConflictTarget, Error> {
    let unique: Vec<&IndexDef> = entity.indexes.iter().filter(|index| index.unique).collect();
    let Some(index) = unique.iter().find(|index| index.name == name) else {
        let known: Vec<&str> = unique.iter().map(|index| index.name.as_str()).collect();
        let message = format!(
            "{} declares no unique constraint or index {name}; it has: {}",
            entity.meta.name,
            if known.is_empty() { "none".to_owned() } else { known.join(", ") }
        );
        return Err(Error::validation(entity.meta.name, message));
    };
    if !index.is_unique_by_columns() {
        let message = format!(
            "{name} is a unique index over expressions, and a conflict is found by fields: name those of the key, or of \
             another unique constraint or index"
        );
        return Err(Error::validation(entity.meta.name, message));
    }
    if index.deferrable.is_some() {
        return Err(deferrable(entity, index));
    }
    Ok(ConflictTarget { properties: properties_of(entity, index), predicate: index.predicate })
}

fn deferrable(entity: &EntityDef, index: &IndexDef) -> Error {
    let message = format!("{} is deferrable: PostgreSQL finds no conflicts with such constraints", index.name);
    Error::validation(entity.meta.name, message)
}

fn key_of(entity: &EntityDef) -> Vec<u16> {
    entity.key_properties.iter().filter_map(|index| u16::try_from(*index).ok()).collect()
}

fn properties_of(entity: &EntityDef, index: &IndexDef) -> Vec<u16> {
    let position = |name: &&str| entity.meta.properties.iter().position(|property| property.name == *name);
    index.properties.iter().filter_map(|name| u16::try_from(position(name)?).ok()).collect()
}

fn names(entity: &EntityDef, properties: &[u16]) -> String {
    let names: Vec<&str> = properties.iter().map(|property| entity.property_name(usize::from(*property))).collect();
    names.join(", ")
}

/// The server's answer to rows that are the same (SQLSTATE 21000), and that of the statement itself to rows that it cannot
/// tell apart, in words that say what to do.
pub(in crate::manager) fn explain(entity: &EntityDef, target: &ConflictTarget, error: Error) -> Error {
    let names = names(entity, &target.properties);
    let message = match &error {
        Error::Database { sqlstate, .. } if sqlstate == "21000" => format!(
            "two of the rows have the same {names}: a row can be updated once in an upsert; leave one of them out, or \
             ignore() conflicts"
        ),
        Error::Database { message, .. } if sql::is_ambiguous(message) => format!(
            "a row is not one of those that the unique index of {names} has, and another one has the same values: insert \
             it by itself"
        ),
        _ => return error,
    };
    Error::validation(entity.meta.name, message)
}
