//! UPDATE and DELETE by conditions, without their types: checked, sent, and which loaded entities become stale.

use std::sync::Arc;

use futures_util::future::BoxFuture;

use super::returning::Write;
use super::touched::keys_of;
use crate::driver::Answer;
use crate::error::Error;
use crate::manager::EntityManager;
use crate::metadata::{EntityDef, EntityMeta, PropertyDef};
use crate::query::{Assignment, FindOptions};
use crate::sql::{self, Expression, SelectQuery, SetProperty, SetValue, Statement};
use crate::unit_of_work::UnitOfWork;

impl EntityManager {
    /// Sends statements that may touch loaded entities; answers with the rows of all.
    pub(in crate::manager) async fn write_and_mark(
        &self,
        statements: &[Statement],
        mark: impl Fn(&Arc<UnitOfWork>),
    ) -> Result<Answer, Error> {
        let graph = self.graph();
        // Before: the statement may take effect though nobody waits for the answer. Behind: somebody may have read in between.
        mark(&graph);
        let answers = self.session.write_directly(statements).await.map_err(|(error, _)| error)?;
        mark(&graph);
        let mut all = Answer { rows: Vec::new(), affected: 0 };
        for answer in answers {
            all.affected += answer.affected;
            all.rows.extend(answer.rows);
        }
        Ok(all)
    }
}

/// An UPDATE without its type.
#[derive(Debug)]
pub(super) struct UpdatePlan {
    pub(super) meta: &'static EntityMeta,
    pub(super) filter: Vec<Expression>,
    pub(super) options: FindOptions,
    pub(super) assignments: Vec<Assignment>,
}

impl Write for UpdatePlan {
    fn run<'a>(
        self: Box<Self>,
        em: &'a EntityManager,
        returned: Option<&'a SelectQuery>,
    ) -> BoxFuture<'a, Result<Answer, Error>> {
        Box::pin(async move { Self::run(&self, em, returned).await })
    }
}

impl UpdatePlan {
    pub(super) async fn run(&self, em: &EntityManager, returned: Option<&SelectQuery>) -> Result<Answer, Error> {
        let view = em.view_of(self.meta, &self.options)?;
        let entity = view.of(self.meta)?;
        let assignments = self.checked(entity)?;
        let rows = sql::Rows { entity, filter: &self.filter, returned };
        let statement = sql::native_update(&view, rows, &assignments)?;
        let keys = keys_of(entity, &self.filter);
        // Which rows of loaded entities it has written, and which others have: only the first may be written over (rule C9).
        let graph = em.graph();
        let is_asked = returned.is_none() && entity.version.is_some() && self.options.schema.is_none();
        let loaded = if is_asked { graph.loaded_keys(entity.index, keys.as_deref()) } else { Vec::new() };
        let statement = if loaded.is_empty() { statement } else { sql::with_versions(entity, statement, &loaded)? };
        let mark = |graph: &Arc<UnitOfWork>| graph.mark_stale(entity.index, keys.as_deref());
        let mut answer = em.write_and_mark(&[statement], mark).await?;
        if !loaded.is_empty() {
            answer.affected = graph.wrote_versions(entity, &answer)?;
        }
        Ok(answer)
    }

    /// The properties with their values, each once.
    fn checked(&self, entity: &EntityDef) -> Result<Vec<SetProperty>, Error> {
        let refuse = |message: String| Err(Error::validation(self.meta.name, message));
        let mut assignments: Vec<SetProperty> = Vec::new();
        for Assignment { name, value } in &self.assignments {
            let property = name.own(self.meta, "set()")?;
            let index = usize::from(property);
            let field = entity.property_name(index);
            if entity.key_properties.contains(&index) {
                return refuse(format!("set() names {}.{field}: the key of a row is not changed", self.meta.name));
            }
            let nullable = match entity.properties.get(index) {
                Some(PropertyDef::Column(column)) => column.meta.nullable,
                Some(PropertyDef::Relation(relation)) if relation.is_owning_to_one() => relation.meta.nullable,
                _ => return refuse(format!("{}.{field} is no column: set the other side", self.meta.name)),
            };
            if matches!(value, SetValue::Null) && !nullable {
                return refuse(format!("{}.{field} cannot be set to NULL: it is not an Option", self.meta.name));
            }
            assignments.retain(|other| other.property != property);
            assignments.push(SetProperty { path: name.path.clone(), property, value: value.clone() });
        }
        if assignments.is_empty() {
            return refuse(format!("native_update::<{0}>() sets nothing: call set()", self.meta.name));
        }
        Ok(assignments)
    }
}

/// A DELETE without its type.
#[derive(Debug)]
pub(super) struct DeletePlan {
    pub(super) meta: &'static EntityMeta,
    pub(super) filter: Vec<Expression>,
    pub(super) options: FindOptions,
}

impl Write for DeletePlan {
    fn run<'a>(
        self: Box<Self>,
        em: &'a EntityManager,
        returned: Option<&'a SelectQuery>,
    ) -> BoxFuture<'a, Result<Answer, Error>> {
        Box::pin(async move { Self::run(&self, em, returned).await })
    }
}

impl DeletePlan {
    pub(super) async fn run(&self, em: &EntityManager, returned: Option<&SelectQuery>) -> Result<Answer, Error> {
        let view = em.view_of(self.meta, &self.options)?;
        let entity = view.of(self.meta)?;
        let statement = sql::native_delete(&view, sql::Rows { entity, filter: &self.filter, returned })?;
        let keys = keys_of(entity, &self.filter);
        let mark = |graph: &Arc<UnitOfWork>| {
            graph.mark_stale(entity.index, keys.as_deref());
            graph.mark_dependents_stale(entity.index);
        };
        em.write_and_mark(&[statement], mark).await
    }
}

/// Rows of another schema have the keys of other rows: they cannot be entities of the manager.
///
/// # Errors
/// [`Error::Validation`] if there is another schema.
pub(super) fn check_own_schema(meta: &'static EntityMeta, options: &FindOptions) -> Result<(), Error> {
    match options.schema {
        None => Ok(()),
        Some(_) => Err(Error::validation(
            meta.name,
            "rows of another schema are not managed: returning(…) or returning_into() answers with values of them",
        )),
    }
}
