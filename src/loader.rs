//! Runs finds: rows → entities of the identity map → relations.
//!
//! A tree of relations is planned as parts, which `sql` writes as statements. A strategy says which relations share a part
//! with their owner (to-one relations can be joined), and whether all parts are sent at once or depth by depth. Then the
//! tree is walked: what is missing after all is loaded, what is there is not asked for again.

mod forest;
mod hydrate;
mod owners;
mod part;
mod rows;
mod walk;

use std::sync::Arc;

use tokio_postgres::Row;

use crate::driver::LazyExecutor;
use crate::error::Error;
use crate::metadata::{AnyCell, EntityDef, Metadata};
use crate::query::{LoadStrategy, PopulateNode};
use crate::sql::{Selection, Statement, StatementTexts, View};
use crate::unit_of_work::UnitOfWork;

use forest::Forest;
pub(crate) use hydrate::Hydrator;
use part::Intake;
pub(crate) use rows::{ReadRow, RowIntake};
use walk::Branch;

type Cells = Vec<Arc<dyn AnyCell>>;

/// Loads entities and their relations into a graph.
pub(crate) struct Loader<'a> {
    pub(crate) graph: &'a Arc<UnitOfWork>,
    pub(crate) view: &'a View,
    pub(crate) texts: &'a StatementTexts,
    pub(crate) executor: LazyExecutor<'a>,
    pub(crate) strategy: LoadStrategy,
    /// Whether what is loaded already is read again, depth by depth, and overwritten.
    pub(crate) refresh: bool,
}

impl Loader<'_> {
    /// The entities of a selection, in its order, with relations. `depth` is how many depths of relations are asked for
    /// together with the entities, if the strategy does not ask for all.
    ///
    /// # Errors
    /// What the server answered; [`Error::EntityBorrowed`] if this thread holds a guard of one of the entities.
    pub(crate) async fn find(
        &mut self,
        selection: &Selection,
        nodes: &[PopulateNode],
        depth: usize,
    ) -> Result<Cells, Error> {
        let metadata = Arc::clone(&self.graph.metadata);
        let entity = metadata.of(selection.meta)?;
        check_filters(self.view, entity, nodes)?;
        let depth = if self.strategy.is_whole() { usize::MAX } else { depth };
        let mut forest = Forest::new(&metadata, self.view, self.strategy, self.refresh);
        forest.add_roots(entity, selection, nodes, depth);
        let (taken, is_one_moment) = if forest.parts.len() > 1 {
            let owners = forest.parts.iter().map(|_| None).collect();
            Box::pin(self.fly(&forest, owners)).await?
        } else {
            // Rows are taken in as they arrive.
            let statement = crate::sql::select(self.view, selection, &forest.parts[0].shape)?;
            let mut intake = Intake::new(self.graph, &forest, 0);
            intake.expect(selection.limit.unwrap_or_default());
            let executor = self.executor.get().await?;
            executor.stream(&statement, &mut |rows| intake.take_roots(rows)).await?;
            (vec![intake.finish()], true)
        };
        let Some(mut roots) = taken.into_iter().next() else { return Ok(Vec::new()) };
        let cells = std::mem::take(&mut roots.cells);
        if nodes.is_empty() || cells.is_empty() {
            return Ok(cells);
        }
        let is_complete =
            roots.all_fresh && depth == usize::MAX && is_one_moment && !has_columns(&metadata, entity, nodes);
        let branches = if is_complete {
            Vec::new()
        } else if roots.all_fresh && forest.parts.len() == 1 {
            roots.cells.clone_from(&cells);
            forest.below(0, &mut roots, 0)
        } else {
            let fresh = roots.fresh && forest.parts.len() == 1;
            vec![Branch { entity, cells: cells.clone(), nodes: nodes.iter().collect(), fresh, asked: depth }]
        };
        // Boxed: finds without relations need no room for it.
        Box::pin(self.walk(branches)).await?;
        Ok(cells)
    }

    /// The statement that selects entities, with the to-one relations that are joined.
    ///
    /// # Errors
    /// As [`sql::select`](crate::sql::select).
    pub(crate) fn statement(&self, selection: &Selection, nodes: &[PopulateNode]) -> Result<Statement, Error> {
        let metadata = Arc::clone(&self.graph.metadata);
        let entity = metadata.of(selection.meta)?;
        check_filters(self.view, entity, nodes)?;
        let mut forest = Forest::new(&metadata, self.view, self.strategy, false);
        forest.add_roots(entity, selection, nodes, 0);
        crate::sql::select(self.view, selection, &forest.parts[0].shape)
    }

    /// The entities of some rows of [`statement`](Self::statement), with their relations. The graph knows none of them.
    ///
    /// # Errors
    /// As [`find`](Self::find).
    pub(crate) async fn take(
        &mut self,
        selection: &Selection,
        nodes: &[PopulateNode],
        rows: &[Row],
    ) -> Result<Cells, Error> {
        let metadata = Arc::clone(&self.graph.metadata);
        let mut forest = Forest::new(&metadata, self.view, self.strategy, false);
        let entity = metadata.of(selection.meta)?;
        forest.add_roots(entity, selection, nodes, 0);
        let mut intake = Intake::new(self.graph, &forest, 0);
        intake.take_roots(rows)?;
        let cells = intake.finish().cells;
        let nodes: Vec<&PopulateNode> = nodes.iter().collect();
        self.walk(vec![Branch { entity, cells: cells.clone(), nodes, fresh: false, asked: 0 }]).await?;
        Ok(cells)
    }

    /// Loads relations of loaded entities, as far as they are not loaded.
    ///
    /// # Errors
    /// As [`find`](Self::find).
    pub(crate) async fn populate(&mut self, entity: usize, cells: Cells, nodes: &[PopulateNode]) -> Result<(), Error> {
        let metadata = Arc::clone(&self.graph.metadata);
        let entity = &metadata.entities[entity];
        check_filters(self.view, entity, nodes)?;
        self.walk(vec![Branch { entity, cells, nodes: nodes.iter().collect(), fresh: false, asked: 0 }]).await
    }

    /// The same of several types of entities at once: they share their flights.
    ///
    /// # Errors
    /// As [`find`](Self::find).
    pub(crate) async fn populate_all(&mut self, trees: &[(usize, Cells, Vec<PopulateNode>)]) -> Result<(), Error> {
        let metadata = Arc::clone(&self.graph.metadata);
        let mut branches = Vec::with_capacity(trees.len());
        for (entity, cells, nodes) in trees {
            let entity = &metadata.entities[*entity];
            check_filters(self.view, entity, nodes)?;
            branches.push(Branch {
                entity,
                cells: cells.clone(),
                nodes: nodes.iter().collect(),
                fresh: false,
                asked: 0,
            });
        }
        self.walk(branches).await
    }
}

/// Checks the filters of all entities of a tree: what cannot be loaded is refused before anything is.
///
/// # Errors
/// [`Error::Validation`] for a filter whose parameters are missing, or of another type.
pub(crate) fn check_filters(view: &View, entity: &EntityDef, nodes: &[PopulateNode]) -> Result<(), Error> {
    view.conditions(entity.index)?;
    for node in nodes {
        if let Some(relation) = entity.relation(node.relation) {
            check_filters(view, view.target(relation), &node.children)?;
        }
    }
    Ok(())
}

/// Whether lazy columns are asked for: they are read behind their entities.
fn has_columns(metadata: &Metadata, entity: &EntityDef, nodes: &[PopulateNode]) -> bool {
    nodes.iter().any(|node| {
        entity
            .relation(node.relation)
            .is_none_or(|relation| has_columns(metadata, metadata.target(relation), &node.children))
    })
}
