//! The walk over entities that are there: what is missing below them is asked for, in one flight for all branches that have
//! got as far; what is loaded is walked on.

use std::sync::Arc;

use rustc_hash::FxHashSet;

use super::forest::{Forest, has_links};
use super::owners::Owners;
use super::{Cells, Loader};
use crate::error::Error;
use crate::metadata::{AnyCell, EntityDef, Metadata, ReferenceTarget, RelationDef, address};
use crate::query::PopulateNode;
use crate::sql::Source;
use crate::types::Key;

/// Some entities of one type, and what to populate of them.
pub(super) struct Branch<'a> {
    pub(super) entity: &'a EntityDef,
    pub(super) cells: Cells,
    pub(super) nodes: Vec<&'a PopulateNode>,
    /// Whether all of the entities were just made of rows: what they refer to is what the database has, and their
    /// collections are not loaded.
    pub(super) fresh: bool,
    /// How many depths of relations were asked for already: some items of a collection are not asked for again.
    pub(super) asked: usize,
}

/// A relation of a branch of which something is missing.
struct Step<'a> {
    entity: &'a EntityDef,
    cells: Cells,
    node: &'a PopulateNode,
    /// `None` if it is a lazy column.
    relation: Option<&'a RelationDef>,
    keys: Vec<Key>,
    owners: Option<Owners>,
    /// Whether nothing was there before.
    complete: bool,
    asked: usize,
}

impl Loader<'_> {
    /// Loads what is missing.
    pub(super) async fn walk(&mut self, mut branches: Vec<Branch<'_>>) -> Result<(), Error> {
        let metadata = Arc::clone(&self.graph.metadata);
        let depth = if self.strategy.is_whole() { usize::MAX } else { 0 };
        loop {
            let mut steps = Vec::new();
            while let Some(branch) = branches.pop() {
                if branch.cells.is_empty() {
                    continue;
                }
                for node in &branch.nodes {
                    match look(self, &metadata, &branch, node)? {
                        Look::Missing(step) => {
                            // What is below those that are there can share the flight.
                            if depth > 0 && !step.complete && !node.children.is_empty() {
                                branches.extend(reached(self, &metadata, &step, 0)?);
                            }
                            steps.push(step);
                        }
                        Look::Loaded(next) => branches.extend(next),
                    }
                }
            }
            if steps.is_empty() {
                return Ok(());
            }
            let mut forest = Forest::new(&metadata, self.view, self.strategy, self.refresh);
            let mut owners: Vec<Option<Owners>> = Vec::new();
            let mut numbers = Vec::new();
            for step in &mut steps {
                let source = Source::Keys(std::mem::take(&mut step.keys));
                let number = forest.add(step.entity, step.node, source, depth);
                owners.resize_with(forest.parts.len(), || None);
                owners[number] = step.owners.take();
                // Behind the links comes what they lead to.
                numbers
                    .push(number + usize::from(step.relation.is_some_and(|relation| has_links(relation, step.node))));
            }
            let (mut taken, is_one_moment) = self.fly(&forest, owners).await?;
            for (step, number) in steps.into_iter().zip(numbers) {
                let mut taken = std::mem::take(&mut taken[number]);
                if step.node.children.is_empty() || (depth > 0 && is_one_moment && step.complete && taken.all_fresh) {
                    continue;
                }
                if step.complete && taken.all_fresh && depth == 0 {
                    branches.extend(forest.below(number, &mut taken, step.asked.saturating_sub(1)));
                } else {
                    let asked = if depth == 0 { step.asked.saturating_sub(1) } else { usize::MAX };
                    branches.extend(reached(self, &metadata, &step, asked)?);
                }
            }
        }
    }
}

enum Look<'a> {
    Missing(Step<'a>),
    Loaded(Option<Branch<'a>>),
}

/// Looks for what is missing of a relation.
fn look<'a>(
    loader: &Loader<'_>,
    metadata: &'a Metadata,
    branch: &Branch<'a>,
    node: &'a PopulateNode,
) -> Result<Look<'a>, Error> {
    let (graph, entity) = (loader.graph, branch.entity);
    let mut step = Step {
        entity,
        cells: Vec::new(),
        node,
        relation: entity.relation(node.relation),
        keys: Vec::new(),
        owners: None,
        complete: branch.fresh,
        asked: branch.asked,
    };
    let Some(relation) = step.relation else { return look_for_column(branch, step) };
    if relation.meta.kind.is_to_many() {
        let mut owners = Owners::new(branch.cells.len());
        for cell in &branch.cells {
            let mut missing = branch.fresh || loader.refresh;
            if !missing {
                cell.read(&mut |view| {
                    let collection = view.value.property(node.relation).as_collection();
                    missing = collection.is_some_and(|items| match &node.options {
                        Some(_) => branch.asked == 0 || !(items.is_partial() || items.is_filled()),
                        None => !items.is_filled(),
                    });
                })?;
            }
            if let (false, None, Some(key)) = (missing, &node.options, cell.key()) {
                let sight = loader.view.sight(relation.target);
                missing = !graph.sights.is_filled(entity.index, &key, node.relation, sight);
            }
            if let (true, Some(key)) = (missing, cell.key()) {
                owners.add(key, Some(Arc::clone(cell)));
            }
        }
        step.keys = owners.keys();
        step.owners = Some(owners);
    } else {
        let mut seen = FxHashSet::default();
        for key in referenced(&branch.cells, node)? {
            if seen.contains(&key) {
                continue;
            }
            let known = graph.find_seen(loader.view, relation.target, &key);
            if loader.refresh || known.is_none_or(|cell| cell.is_stale()) {
                step.keys.push(key.clone());
            } else {
                step.complete = false;
            }
            seen.insert(key);
        }
    }
    if !node.children.is_empty() {
        step.cells.clone_from(&branch.cells);
    }
    if step.keys.is_empty() {
        let next = if node.children.is_empty() {
            None
        } else {
            reached(loader, metadata, &step, branch.asked.saturating_sub(1))?
        };
        return Ok(Look::Loaded(next));
    }
    Ok(Look::Missing(step))
}

/// Looks for entities without their value of a lazy column.
fn look_for_column<'a>(branch: &Branch<'a>, mut step: Step<'a>) -> Result<Look<'a>, Error> {
    let mut owners = Owners::new(branch.cells.len());
    for cell in &branch.cells {
        let mut is_missing = false;
        cell.read(&mut |view| is_missing = view.value.property(step.node.relation).is_missing())?;
        if let (true, Some(key)) = (is_missing, cell.key()) {
            owners.add(key, Some(Arc::clone(cell)));
        }
    }
    step.keys = owners.keys();
    step.owners = Some(owners);
    Ok(if step.keys.is_empty() { Look::Loaded(None) } else { Look::Missing(step) })
}

/// The keys that a to-one relation refers to.
fn referenced(cells: &[Arc<dyn AnyCell>], node: &PopulateNode) -> Result<Vec<Key>, Error> {
    let mut keys = Vec::with_capacity(cells.len());
    for cell in cells {
        cell.read(&mut |view| {
            let reference = view.value.property(node.relation).as_reference().map(|r| r.target());
            if let Some(ReferenceTarget::Key(key)) = reference {
                keys.push(key);
            }
        })?;
    }
    Ok(keys)
}

/// The entities at the other end of a relation, each once.
fn reached<'a>(
    loader: &Loader<'_>,
    metadata: &'a Metadata,
    step: &Step<'a>,
    asked: usize,
) -> Result<Option<Branch<'a>>, Error> {
    let Some(relation) = step.relation else { return Ok(None) };
    let mut reached = Vec::new();
    let mut seen = FxHashSet::default();
    let mut add = |cell: Arc<dyn AnyCell>| {
        if cell.key().is_some() && seen.insert(address(&cell)) {
            reached.push(cell);
        }
    };
    if relation.meta.kind.is_to_many() {
        for cell in &step.cells {
            let mut items = None;
            cell.read(&mut |view| {
                items = view.value.property(step.node.relation).as_collection().and_then(|c| c.cells());
            })?;
            items.into_iter().flatten().for_each(&mut add);
        }
    } else {
        for key in referenced(&step.cells, step.node)? {
            if let Some(cell) = loader.graph.find_seen(loader.view, relation.target, &key) {
                add(cell);
            }
        }
    }
    let entity = metadata.target(relation);
    let nodes = step.node.children.iter().collect();
    Ok(Some(Branch { entity, cells: reached, nodes, fresh: false, asked }))
}
