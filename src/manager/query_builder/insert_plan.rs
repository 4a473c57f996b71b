//! An INSERT of the query builder without its type: what each row is completed with, and what becomes of rows that are there.

use std::fmt;
use std::sync::Arc;

use futures_util::future::BoxFuture;

use crate::driver::Answer;
use crate::error::Error;
use crate::manager::EntityManager;
use crate::manager::bulk::{Write, arrays, explain, is_merged, made_values, shapes, target_of};
use crate::metadata::{EntityDef, EntityMeta, EntityObject, PropertyDef};
use crate::query::{FindOptions, PropertyName};
use crate::sql::{
    self, ConflictAction, ConflictTarget, Fill, Insert, InsertConflict, SelectList, SelectQuery, Statement,
};
use crate::unit_of_work::UnitOfWork;

/// Where the rows come from.
pub(super) enum InsertSource {
    Query { query: Box<SelectQuery>, names: Vec<PropertyName> },
    Values(Vec<Box<dyn EntityObject>>),
}

/// Rows, and where they go.
pub(super) struct InsertPlan {
    meta: &'static EntityMeta,
    source: InsertSource,
    pub(super) options: FindOptions,
    /// What the query was asked for, and cannot be had.
    refused: Option<&'static str>,
    /// What makes two rows the same; nothing in it for any unique constraint.
    pub(super) conflict: Option<Vec<PropertyName>>,
    /// Whether a row that is there gets the values of the new one.
    pub(super) merges: bool,
}

impl Write for InsertPlan {
    fn run<'a>(
        self: Box<Self>,
        em: &'a EntityManager,
        returned: Option<&'a SelectQuery>,
    ) -> BoxFuture<'a, Result<Answer, Error>> {
        Box::pin(Self::run(*self, em, returned))
    }
}

impl InsertPlan {
    pub(super) const fn new(
        meta: &'static EntityMeta,
        source: InsertSource,
        options: FindOptions,
        refused: Option<&'static str>,
    ) -> Self {
        Self { meta, source, options, refused, conflict: None, merges: true }
    }

    /// Sends the rows.
    ///
    /// # Errors
    /// As [`QueryBuilder::insert_into`](crate::QueryBuilder::insert_into).
    pub(super) async fn run(mut self, em: &EntityManager, returned: Option<&SelectQuery>) -> Result<Answer, Error> {
        if let Some(message) = self.refused {
            return Err(Error::validation(self.meta.name, message));
        }
        let (statements, merged) = self.statements(em, returned)?;
        let graph = em.graph();
        let entity = graph.metadata.of(self.meta)?;
        // Entities that come back are up to date, and no others were touched.
        let are_read = returned.is_some_and(|query| matches!(query.list, SelectList::Entity));
        let mark = |graph: &Arc<UnitOfWork>| {
            if merged.is_some() && !are_read {
                graph.mark_stale(entity.index, None);
            }
        };
        let answer = em.write_and_mark(&statements, mark).await;
        answer.map_err(|error| match &merged {
            Some(target) => explain(entity, target, error),
            None => error,
        })
    }

    /// The statements; if they may change rows that are there, how these are found.
    fn statements(
        &mut self,
        em: &EntityManager,
        returned: Option<&SelectQuery>,
    ) -> Result<(Vec<Statement>, Option<ConflictTarget>), Error> {
        let meta = self.meta;
        let mut source = std::mem::replace(&mut self.source, InsertSource::Values(Vec::new()));
        let read = match &source {
            InsertSource::Query { query, .. } => query.selection.meta,
            InsertSource::Values(_) => meta,
        };
        let view = em.view_of(read, &self.options)?;
        let entity = view.of(meta)?;
        let mut changed = None;
        let mut statements = Vec::new();
        match &mut source {
            InsertSource::Query { query, names } => {
                let properties = own(meta, names, "insert_into()")?;
                let fills = fills(entity, &properties)?;
                let conflict = self.conflict(entity, &properties, |_, _| true, &mut changed)?;
                let insert = Insert { entity, properties: &properties, conflict, returned };
                statements.push(sql::insert_select(&view, query, fills, insert)?);
            }
            InsertSource::Values(rows) => {
                for shape in shapes(entity, rows)? {
                    let properties = &shape.properties;
                    for (rows, arrays) in arrays(entity, rows, properties, &shape.rows)? {
                        let merged = |target: &ConflictTarget, property| is_merged(entity, target, property);
                        let conflict = self.conflict(entity, properties, merged, &mut changed)?;
                        let insert = Insert { entity, properties, conflict, returned };
                        statements.push(sql::insert_values(&view, arrays, rows.len(), insert)?);
                    }
                }
            }
        }
        Ok((statements, changed))
    }

    /// What happens to a row that is there already: of what was given, it gets what is `merged`.
    fn conflict(
        &self,
        entity: &EntityDef,
        given: &[u16],
        merged: impl Fn(&ConflictTarget, u16) -> bool,
        changed: &mut Option<ConflictTarget>,
    ) -> Result<InsertConflict, Error> {
        let Some(names) = &self.conflict else { return Ok(InsertConflict::Fail) };
        if names.is_empty() {
            return Ok(InsertConflict::Nothing);
        }
        let target = target_of(entity, own(self.meta, names, "on_conflict()")?)?;
        if !self.merges {
            return Ok(InsertConflict::On(target, ConflictAction::Nothing));
        }
        // The key stays, and the version is counted up.
        let stays = |property: u16| {
            let index = usize::from(property);
            target.properties.contains(&property)
                || entity.key_properties.contains(&index)
                || entity.version == Some(index)
        };
        let merged: Vec<u16> =
            given.iter().copied().filter(|property| !stays(*property) && merged(&target, *property)).collect();
        let made = made_values(entity, |column| column.on_update, |property| merged.contains(&property))?;
        if merged.is_empty() && made.is_empty() {
            return Ok(InsertConflict::On(target, ConflictAction::Nothing));
        }
        *changed = Some(target.clone());
        Ok(InsertConflict::On(target, ConflictAction::Update { merged, made, filter: Vec::new() }))
    }
}

impl fmt::Debug for InsertPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("InsertPlan");
        out.field("entity", &self.meta.name);
        match &self.source {
            InsertSource::Query { query, .. } => out.field("query", query),
            InsertSource::Values(rows) => out.field("rows", &rows.len()),
        };
        out.field("conflict", &self.conflict).finish_non_exhaustive()
    }
}

/// The properties with these names, each of the entity itself.
fn own(meta: &'static EntityMeta, names: &[PropertyName], operation: &str) -> Result<Vec<u16>, Error> {
    let mut properties = Vec::with_capacity(names.len());
    for name in names {
        let property = name.own(meta, operation)?;
        if properties.contains(&property) {
            let field = meta.properties.get(usize::from(property)).map_or("", |property| property.name);
            return Err(Error::validation(meta.name, format!("{operation} names {}.{field} twice", meta.name)));
        }
        properties.push(property);
    }
    Ok(properties)
}

/// What rows of a query get beside what is selected: what a flush would make for a new entity.
///
/// # Errors
/// [`Error::Validation`] for a part of the key that nobody makes.
fn fills(entity: &EntityDef, given: &[u16]) -> Result<Vec<Fill>, Error> {
    let uuid = entity.uuid_key.and_then(|key| u16::try_from(key).ok()).filter(|key| !given.contains(key));
    let made = made_values(entity, |column| column.on_create, |property| given.contains(&property))?;
    let is_made = |index: usize| match &entity.properties[index] {
        PropertyDef::Column(column) => {
            column.meta.identity
                || column.meta.uuid_v7
                || column.meta.default.is_some()
                || column.meta.default_sql.is_some()
                || column.meta.on_create.is_some()
        }
        PropertyDef::Relation(_) => false,
    };
    let is_given = |index: &usize| given.iter().any(|property| usize::from(*property) == *index);
    if let Some(key) = entity.key_properties.iter().find(|index| !is_given(index) && !is_made(**index)) {
        let (name, field) = (entity.meta.name, entity.property_name(*key));
        let message = format!("insert_into() has no value for {name}.{field}, a key that nobody makes: select one");
        return Err(Error::validation(name, message));
    }
    let made = made.into_iter().map(|(property, value)| Fill::Value(property, value));
    Ok(made.chain(uuid.map(Fill::Uuid)).collect())
}
