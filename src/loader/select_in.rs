//! Relations by a query each: `… WHERE key = ANY($1)`. All relations of one depth share a flight, so a tree of depth d
//! costs d round trips behind the root's (rule E2).

use std::sync::Arc;

use indexmap::IndexMap;
use rustc_hash::{FxBuildHasher, FxHashSet};
use tokio_postgres::Row;

use super::hydrate::{Hydrator, key_in};
use crate::driver::LazyExecutor;
use crate::error::Error;
use crate::metadata::{AnyCell, EntityDef, KeyColumnDef, ReferenceTarget, RelationDef, RelationKind};
use crate::query::PopulateNode;
use crate::sql::{self, Statement, StatementTexts, Verb, key_arrays};
use crate::types::Key;
use crate::unit_of_work::UnitOfWork;

type Cells = Vec<Arc<dyn AnyCell>>;

/// Some entities of one type, and what to populate of them.
struct Branch<'a> {
    entity: &'a EntityDef,
    cells: Cells,
    nodes: &'a [PopulateNode],
}

/// One relation of a branch, and the query that loads what is missing of it.
struct Step<'a, 'c> {
    entity: &'a EntityDef,
    cells: &'c [Arc<dyn AnyCell>],
    node: &'a PopulateNode,
    relation: &'a RelationDef,
    target: &'a EntityDef,
    /// Position of the answer, if a query is needed.
    query: Option<usize>,
    /// The entities whose collections are loaded by the query, and what it has found for them.
    owners: IndexMap<Key, Owner, FxBuildHasher>,
}

struct Owner {
    cell: Arc<dyn AnyCell>,
    items: Cells,
}

/// Loads relations of loaded entities, as far as they are not loaded.
///
/// # Errors
/// What the server answered; [`Error::EntityBorrowed`] if this thread holds a guard of one of the entities.
pub(crate) async fn populate(
    graph: &Arc<UnitOfWork>,
    texts: &StatementTexts,
    executor: &mut LazyExecutor<'_>,
    entity: usize,
    cells: Cells,
    nodes: &[PopulateNode],
) -> Result<(), Error> {
    let metadata = Arc::clone(&graph.metadata);
    let mut branches = vec![Branch { entity: &metadata.entities[entity], cells, nodes }];
    while branches.iter().any(|branch| !branch.nodes.is_empty() && !branch.cells.is_empty()) {
        let mut statements = Vec::new();
        let mut steps = Vec::new();
        for branch in branches.iter().filter(|branch| !branch.cells.is_empty()) {
            for node in branch.nodes {
                let Some(relation) = branch.entity.relation(node.relation) else { continue };
                let mut step = Step {
                    entity: branch.entity,
                    cells: &branch.cells,
                    node,
                    relation,
                    target: metadata.target(relation),
                    query: None,
                    owners: IndexMap::default(),
                };
                if let Some(statement) = step.query(graph, texts)? {
                    step.query = Some(statements.len());
                    statements.push(statement);
                }
                steps.push(step);
            }
        }
        let answers =
            if statements.is_empty() { Vec::new() } else { executor.get().await?.run_all(&statements).await? };
        let mut next = Vec::new();
        for step in &mut steps {
            if let Some(answer) = step.query.and_then(|query| answers.get(query)) {
                step.take(graph, &answer.rows)?;
            }
            if !step.node.children.is_empty() {
                let cells = step.reached(graph)?;
                next.push(Branch { entity: step.target, cells, nodes: &step.node.children });
            }
        }
        branches = next;
    }
    Ok(())
}

impl Step<'_, '_> {
    /// The query for what is missing.
    fn query(&mut self, graph: &Arc<UnitOfWork>, texts: &StatementTexts) -> Result<Option<Statement>, Error> {
        let metadata = &graph.metadata;
        let (entity, target) = (self.entity, self.target);
        if !self.relation.meta.kind.is_to_many() {
            let mut missing: Vec<Key> = Vec::new();
            let mut seen = FxHashSet::default();
            for key in self.referenced()? {
                if graph.find(target.index, &key).is_none() && seen.insert(key.clone()) {
                    missing.push(key);
                }
            }
            let text = texts.get(target.index, Verb::SelectByKeys, &[], || {
                sql::select_by_columns(metadata, target, &target.key, false)
            });
            return statement(entity, text, &target.key, &missing);
        }
        let property = self.node.relation;
        for cell in self.cells {
            let mut loaded = true;
            cell.read(&mut |view| {
                loaded = view.value.property(property).as_collection().is_none_or(|collection| collection.is_filled());
            })?;
            if let (false, Some(key)) = (loaded, cell.key()) {
                self.owners.insert(key, Owner { cell: Arc::clone(cell), items: Vec::new() });
            }
        }
        let mut keys: Vec<Key> = self.owners.keys().cloned().collect();
        keys.sort_unstable();
        let number = u16::try_from(property).unwrap_or_default();
        if let Some(pivot) = &self.relation.pivot {
            let text = texts.get(entity.index, Verb::SelectThroughPivot, &[number], || {
                sql::select_through_pivot(metadata, target, pivot)
            });
            return statement(entity, text, &entity.key, &keys);
        }
        let Some(owning) = self.owning() else { return Ok(None) };
        let text = texts.get(entity.index, Verb::SelectByForeignKey, &[number], || {
            sql::select_by_columns(metadata, target, &owning.columns, false)
        });
        statement(entity, text, &owning.columns, &keys)
    }

    /// The other side of a one-to-many relation.
    fn owning(&self) -> Option<&RelationDef> {
        self.relation.inverse.and_then(|inverse| self.target.relation(inverse))
    }

    /// The keys that a to-one relation refers to.
    fn referenced(&self) -> Result<Vec<Key>, Error> {
        let mut keys = Vec::new();
        for cell in self.cells {
            cell.read(&mut |view| {
                let reference = view.value.property(self.node.relation).as_reference().map(|r| r.target());
                if let Some(ReferenceTarget::Key(key)) = reference {
                    keys.push(key);
                }
            })?;
        }
        Ok(keys)
    }

    /// Takes in what the query has found.
    fn take(&mut self, graph: &Arc<UnitOfWork>, rows: &[Row]) -> Result<(), Error> {
        let mut hydrator = Hydrator::new(graph, self.target, false);
        hydrator.take(rows)?;
        let cells = hydrator.into_cells();
        if !self.relation.meta.kind.is_to_many() {
            return Ok(());
        }
        // Behind which column the owner's key stands: the foreign key among the target's own, the pivot's behind them.
        let offset = match self.relation.meta.kind {
            RelationKind::ManyToMany => self.target.width,
            _ => self.owning().map(|owning| owning.offset).unwrap_or_default(),
        };
        for (row, cell) in rows.iter().zip(cells) {
            let owner = key_in(row, (offset..).zip(&self.entity.key)).and_then(|key| self.owners.get_mut(&key));
            if let Some(owner) = owner {
                owner.items.push(cell);
            }
        }
        for Owner { cell: owner, items } in self.owners.values() {
            if graph.tracker.has_written() {
                graph.tracker.keep_all(owner)?;
            }
            owner.write(&mut |value, baseline| {
                for fields in [Some(value), baseline].into_iter().flatten() {
                    if let Some(collection) = fields.property_mut(self.node.relation).as_collection_mut() {
                        collection.fill(items);
                    }
                }
            })?;
        }
        Ok(())
    }

    /// The entities at the other end of the relation, each once.
    fn reached(&self, graph: &Arc<UnitOfWork>) -> Result<Cells, Error> {
        let mut reached = Vec::new();
        let mut seen = FxHashSet::default();
        let mut add = |cell: Arc<dyn AnyCell>| {
            if cell.key().is_some() && seen.insert(crate::metadata::address(&cell)) {
                reached.push(cell);
            }
        };
        if self.relation.meta.kind.is_to_many() {
            for cell in self.cells {
                let mut items = None;
                cell.read(&mut |view| {
                    items = view.value.property(self.node.relation).as_collection().and_then(|c| c.cells());
                })?;
                items.into_iter().flatten().for_each(&mut add);
            }
        } else {
            for key in self.referenced()? {
                if let Some(cell) = graph.find(self.target.index, &key) {
                    add(cell);
                }
            }
        }
        Ok(reached)
    }
}

fn statement(
    entity: &EntityDef,
    text: Arc<str>,
    columns: &[KeyColumnDef],
    keys: &[Key],
) -> Result<Option<Statement>, Error> {
    if keys.is_empty() {
        return Ok(None);
    }
    let types = columns.iter().map(|column| column.pg);
    let params = key_arrays(types, keys.iter(), keys.len()).map_err(|error| Error::Conversion {
        entity: entity.meta.name,
        column: "of the key".to_owned(),
        message: error.message,
    })?;
    Ok(Some(Statement { text, params }))
}
