//! Reading: finds, counts, refreshes.

use std::fmt;
use std::future::{Future, IntoFuture};
use std::marker::PhantomData;
use std::sync::Arc;

use futures_util::future::BoxFuture;

use super::EntityManager;
use super::flush_mode::{Reader, Reads};
use super::loading::{LoadOptions, Loading};
use crate::driver::LazyExecutor;
use crate::entity::{Entity, FieldPath, FieldSet, Managed};
use crate::error::Error;
use crate::loader::{Hydrator, Loader};
use crate::metadata::{AnyCell, EntityDef, EntityMeta, Graph, Lifecycle};
use crate::query::{
    Condition, Criteria, CriteriaKind, FindOptions, FindPlan, IntoCondition, IntoOrder, LoadStrategy, Populate,
    PopulateNode, PopulateRequest,
};
use crate::sql::{self, Expression, Selection, View};
use crate::unit_of_work::UnitOfWork;

mod count;
mod cursor;
mod deadline;
mod options;
mod question;
mod reading;
mod stream;

pub(super) use count::{count_of, is_true};
pub use cursor::{CursorFind, IntoCursor, Page};
pub(super) use question::Question;
use reading::Reading;
pub use stream::FindStream;

type Cells = Vec<Arc<dyn AnyCell>>;

/// A query for entities, made by [`EntityManager::find`]. `.await` runs it and answers with the entities, managed.
#[must_use = "a find does nothing until it is awaited"]
pub struct Find<T: Entity> {
    pub(super) em: EntityManager,
    pub(super) plan: FindPlan,
    entity: PhantomData<fn() -> T>,
}

impl<T: Entity> Find<T> {
    /// Keeps the rows that fulfil a condition. Several filters have to hold together.
    pub fn filter<C: IntoCondition<T>>(mut self, condition: impl FnOnce(T::Fields<T>) -> C) -> Self {
        self.plan.selection.filter.push(condition(fields::<T>()).into_condition().expression);
        self
    }

    /// Like [`filter`](Self::filter), if there is a condition.
    pub fn filter_opt(mut self, condition: Option<Condition<T>>) -> Self {
        self.plan.selection.filter.extend(condition.map(|condition| condition.expression));
        self
    }

    /// Orders the rows: one term or a tuple, over to-one relations, too. Without it the order is the server's.
    pub fn order_by<O: IntoOrder<T>>(mut self, order: impl FnOnce(T::Fields<T>) -> O) -> Self {
        order(fields::<T>()).push_terms(&mut self.plan.selection.order);
        self
    }

    /// At most this many rows.
    pub const fn limit(mut self, rows: u64) -> Self {
        self.plan.selection.limit = Some(rows);
        self
    }

    /// Without the first rows.
    pub const fn offset(mut self, rows: u64) -> Self {
        self.plan.selection.offset = Some(rows);
        self
    }

    /// Loads relations along: one path or a tuple, and [some items](crate::ToMany::with) of a relation to many. How many
    /// statements and round trips that takes is said by the [`LoadStrategy`].
    pub fn populate<P: Populate<T>>(mut self, populate: impl FnOnce(T::Fields<T>) -> P) -> Self {
        populate(fields::<T>()).push_requests(&mut self.plan.populate);
        self
    }

    /// Like [`populate`](Self::populate), by names: `["posts", "posts.tags"]`.
    pub fn populate_names(mut self, names: impl Populate<T>) -> Self {
        names.push_requests(&mut self.plan.populate);
        self
    }

    /// How relations are loaded: instead of the strategy of the [`OrmBuilder`](crate::OrmBuilder::load_strategy).
    pub const fn strategy(mut self, strategy: LoadStrategy) -> Self {
        self.plan.strategy = Some(strategy);
        self
    }

    /// The first row of the result, if there is one.
    ///
    /// # Errors
    /// As awaiting the find.
    pub async fn one(self) -> Result<Option<Managed<T>>, Error> {
        Ok(self.limit(1).await?.into_iter().next())
    }
}

pub(super) fn fields<T: Entity>() -> T::Fields<T> {
    T::Fields::at(FieldPath::root(T::meta))
}

impl<T: Entity> Clone for Find<T> {
    fn clone(&self) -> Self {
        Self { em: self.em.clone(), plan: self.plan.clone(), entity: PhantomData }
    }
}

impl<T: Entity> fmt::Debug for Find<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Find").field("plan", &self.plan).finish_non_exhaustive()
    }
}

impl<T: Entity> IntoFuture for Find<T> {
    type Output = Result<Vec<Managed<T>>, Error>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let graph = self.em.graph_of(&self.plan);
            let cells = self.em.find_plan(&graph, &self.plan).await?;
            Ok(handles(&graph, cells))
        })
    }
}

impl EntityManager {
    /// Starts a query for entities: `em.find::<User>().filter(|u| u.age().gte(18)).await?`.
    ///
    /// Rows of entities that are loaded already update their clean fields; fields that were changed keep their values.
    pub fn find<T: Entity>(&self) -> Find<T> {
        Find { em: self.clone(), plan: FindPlan::all(T::meta()), entity: PhantomData }
    }

    /// All entities.
    ///
    /// # Errors
    /// What the server answered.
    pub fn find_all<T: Entity>(&self) -> impl Future<Output = Result<Vec<Managed<T>>, Error>> + Send {
        self.find::<T>().into_future()
    }

    /// The first entity that matches: the key, a condition, or `()` for any. A key that is loaded already is answered
    /// without a query, if everything that is to be populated is loaded, too.
    ///
    /// # Errors
    /// [`Error::Validation`] for a name that cannot be populated; what the server answered.
    pub fn find_one<T: Entity>(
        &self,
        criteria: impl Criteria<T>,
        populate: impl Populate<T>,
    ) -> Loading<Result<Option<Managed<T>>, Error>> {
        let (criteria, requests) = prepare::<T>(criteria, populate);
        let em = self.clone();
        Loading::new(async move |options| {
            let graph = em.graph();
            let cell = em.find_one_cell(&graph, T::meta, criteria, requests, options).await?;
            Ok(cell.and_then(|cell| handle(graph, cell)))
        })
    }

    /// Like [`find_one`](Self::find_one); no match is an error.
    ///
    /// # Errors
    /// [`Error::NotFound`] names the entity and the criteria; otherwise as [`find_one`](Self::find_one).
    pub fn find_one_or_fail<T: Entity>(
        &self,
        criteria: impl Criteria<T>,
        populate: impl Populate<T>,
    ) -> Loading<Result<Managed<T>, Error>> {
        let (criteria, requests) = prepare::<T>(criteria, populate);
        let em = self.clone();
        Loading::new(async move |options| {
            let graph = em.graph();
            let cell = em.find_one_cell(&graph, T::meta, criteria.clone(), requests, options).await?;
            let missing = || Error::NotFound { entity: T::meta().name, criteria: describe(T::meta(), &criteria) };
            cell.and_then(|cell| handle(graph, cell)).ok_or_else(missing)
        })
    }

    /// Reads the entity's row again and overwrites all fields, changed ones, too. Pending changes of its collections are
    /// dropped; what was loaded of them stays.
    ///
    /// # Errors
    /// [`Error::NotFound`] if the row is gone, or hidden by a [`Filter`](crate::Filter); [`Error::Detached`] for an entity of
    /// another manager or without a key.
    pub async fn refresh<T: Entity>(&self, entity: &Managed<T>) -> Result<(), Error> {
        self.refresh_cell(entity.any()).await
    }

    /// Loads relations of entities that are there already, as far as they are not loaded: what is loaded is walked on, and
    /// not asked for again.
    ///
    /// # Errors
    /// [`Error::Detached`] for an entity of another manager, [`Error::Validation`] for a name that cannot be populated;
    /// what the server answered.
    pub fn populate<'a, T: Entity>(
        &self,
        entities: impl IntoIterator<Item = &'a Managed<T>>,
        populate: impl Populate<T>,
    ) -> Loading<Result<(), Error>> {
        let cells: Cells = entities.into_iter().map(Managed::any).collect();
        let mut requests = Vec::new();
        populate.push_requests(&mut requests);
        let em = self.clone();
        Loading::new(async move |options| em.populate_cells(T::meta(), cells, &requests, options).await)
    }

    pub(super) fn loader<'a>(
        &'a self,
        graph: &'a Arc<UnitOfWork>,
        view: &'a View,
        executor: LazyExecutor<'a>,
        strategy: Option<LoadStrategy>,
    ) -> Loader<'a> {
        let orm = &self.session.orm;
        let strategy = strategy.unwrap_or(orm.strategy);
        Loader { graph, view, texts: &orm.texts, executor, strategy, refresh: false }
    }

    async fn find_plan(&self, graph: &Arc<UnitOfWork>, plan: &FindPlan) -> Result<Cells, Error> {
        let reading = Reading::of(self, graph, plan)?;
        if reading.keeps_result() {
            return Box::pin(reading.find_cached()).await;
        }
        let flight = reading.begin().await?;
        if reading.is_behind() {
            // Boxed: a future that every find has room for is moved by every find.
            return Box::pin(async move {
                let outcome = flight.limit(reading.loader(&flight).find(&plan.selection, &[], 0)).await;
                let (flight, cells) = flight.landed(outcome, reading.entity)?;
                reading.load_along(Some(flight), cells).await
            })
            .await;
        }
        let cells = flight.limit(reading.loader(&flight).find(&plan.selection, &reading.tree, 0)).await?;
        reading.check(&cells)?;
        Ok(cells)
    }

    async fn find_one_cell(
        &self,
        graph: &Arc<UnitOfWork>,
        root: fn() -> &'static EntityMeta,
        criteria: CriteriaKind,
        populate: Vec<PopulateRequest>,
        LoadOptions { strategy, filters }: LoadOptions,
    ) -> Result<Option<Arc<dyn AnyCell>>, Error> {
        let meta = root();
        let key = match criteria {
            CriteriaKind::Nothing => return Ok(None),
            CriteriaKind::Key(key) => key,
            CriteriaKind::Condition(expression) => {
                let selection = Selection { filter: vec![*expression], limit: Some(1), ..Selection::all(meta) };
                let options = FindOptions { filters, ..FindOptions::default() };
                let plan = FindPlan { populate, strategy, options, ..FindPlan::of(selection) };
                return Ok(Box::pin(self.find_plan(graph, &plan)).await?.into_iter().next());
            }
        };
        let entity = graph.metadata.of(meta)?;
        let tree = PopulateNode::tree(meta, &populate)?;
        let view = self.session.view_through(&filters)?;
        let known = graph.find_seen(&view, entity.index, &key).filter(|cell| cell.lifecycle() != Lifecycle::Removed);
        // The row of a stale entity is read as if it were not loaded.
        let (known, stale) = match known {
            Some(cell) if cell.is_stale() => (None, Some(cell)),
            known => (known, None),
        };
        if let (Some(cell), true) = (&known, tree.is_empty()) {
            return Ok(Some(Arc::clone(cell)));
        }
        // Boxed: what is known is answered without making room for all of this.
        Box::pin(async move {
            let filter = vec![Expression::Key { path: FieldPath::root(root), keys: vec![key.clone()] }];
            let selection = Selection { filter, ..Selection::all(meta) };
            let asked = if known.is_none() { Some(&selection) } else { None };
            let reads = Reads::Entities { view: &view, selection: asked, entity, tree: &tree };
            let reader = Reader { session: &self.session, reads };
            let mut loader = self.loader(graph, &view, LazyExecutor::new(&reader), strategy);
            let found = match known {
                Some(cell) => {
                    loader.populate(entity.index, vec![Arc::clone(&cell)], &tree).await?;
                    Some(cell)
                }
                None if tree.is_empty() => {
                    let statement = [sql::select_by_key(&view, &self.session.orm.texts, entity, &key)?];
                    let reads = Reads::Statements(&statement);
                    let answer = self.session.reader(reads).await?.run(&statement[0]).await?;
                    let mut hydrator = Hydrator::new(graph, entity, false).through(&view);
                    hydrator.take_rows(&answer.rows)?;
                    hydrator.finish().0.into_iter().next()
                }
                // What the key is known of need not wait for the row (rule E2).
                None => loader.find(&selection, &tree, 1).await?.into_iter().next(),
            };
            // A row that filters hide may be there.
            if let (None, Some(gone), false) = (&found, stale, view.is_filtered(entity.index)) {
                graph.detach(&gone);
            }
            Ok(found)
        })
        .await
    }

    async fn refresh_cell(&self, cell: Arc<dyn AnyCell>) -> Result<(), Error> {
        let graph = self.graph();
        let meta = cell.meta();
        let detached = Error::Detached { entity: meta.name };
        let (true, Some(key)) = (graph.contains(&cell), cell.key()) else { return Err(detached) };
        let entity = graph.metadata.of(meta)?;
        // A flush of the same entity that runs now would send what is overwritten here.
        let _serial = self.session.serialised().await?;
        let view = self.session.view()?;
        let statement = sql::select_by_key(&view, &self.session.orm.texts, entity, &key)?;
        let executor = self.executor().await?;
        let answer = executor.run(&statement).await?;
        if answer.rows.is_empty() {
            return Err(Error::NotFound { entity: meta.name, criteria: format!("{}#{key}", meta.name) });
        }
        let lazy = loaded_columns(entity, &cell)?;
        Hydrator::new(&graph, entity, true).through(&view).take_rows(&answer.rows)?;
        let tree = PopulateNode::tree(meta, &lazy)?;
        if tree.is_empty() {
            return Ok(());
        }
        // Nothing is flushed before: a flush would wait for this refresh.
        let executor = LazyExecutor::ready(&*self.session, executor);
        self.loader(&graph, &view, executor, None).populate(entity.index, vec![cell], &tree).await
    }

    pub(super) async fn populate_cells(
        &self,
        meta: &'static EntityMeta,
        cells: Cells,
        requests: &[PopulateRequest],
        options: LoadOptions,
    ) -> Result<(), Error> {
        let graph = self.graph();
        let tree = PopulateNode::tree(meta, requests)?;
        if let Some(foreign) = cells.iter().find(|cell| !graph.contains(cell)) {
            return Err(Error::Detached { entity: foreign.meta().name });
        }
        if cells.is_empty() || tree.is_empty() {
            return Ok(());
        }
        let entity = graph.metadata.of(meta)?;
        let view = self.session.view_through(&options.filters)?;
        let reads = Reads::Entities { view: &view, selection: None, entity, tree: &tree };
        let reader = Reader { session: &self.session, reads };
        let mut loader = self.loader(&graph, &view, LazyExecutor::new(&reader), options.strategy);
        loader.populate(entity.index, cells, &tree).await
    }
}

/// The lazy columns of an entity that are loaded.
fn loaded_columns(entity: &EntityDef, cell: &Arc<dyn AnyCell>) -> Result<Vec<PopulateRequest>, Error> {
    let mut loaded = Vec::new();
    cell.read(&mut |view| {
        let columns = entity.lazy_columns().filter(|column| !view.value.property(*column).is_missing());
        loaded.extend(
            columns.filter_map(|column| u16::try_from(column).ok()).map(|hop| PopulateRequest::Hops(vec![hop])),
        );
    })?;
    Ok(loaded)
}

/// Handles to cells of the graph that they were found in: the manager may have got another one meanwhile.
fn handle<T: Entity>(graph: Arc<UnitOfWork>, cell: Arc<dyn AnyCell>) -> Option<Managed<T>> {
    Managed::from_cell(cell, graph as Arc<dyn Graph>)
}

pub(super) fn handles<T: Entity>(
    graph: &Arc<UnitOfWork>,
    cells: impl IntoIterator<Item = Arc<dyn AnyCell>>,
) -> Vec<Managed<T>> {
    let graph = Arc::clone(graph) as Arc<dyn Graph>;
    cells.into_iter().filter_map(|cell| Managed::from_cell(cell, Arc::clone(&graph))).collect()
}

fn prepare<T: Entity>(criteria: impl Criteria<T>, populate: impl Populate<T>) -> (CriteriaKind, Vec<PopulateRequest>) {
    let mut requests = Vec::new();
    populate.push_requests(&mut requests);
    (criteria.into_kind(), requests)
}

/// Criteria for a message: the key, or the condition without its values.
fn describe(meta: &EntityMeta, criteria: &CriteriaKind) -> String {
    match criteria {
        CriteriaKind::Key(key) => format!("{}#{key}", meta.name),
        CriteriaKind::Condition(expression) => format!("{expression:?}"),
        CriteriaKind::Nothing => "a key that no row can have".to_owned(),
    }
}
