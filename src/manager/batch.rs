//! Loads that are asked for together share their queries: `join_all(users.iter().map(|u| u.load(&em, |u| u.posts())))` sends one.
//!
//! A load that needs the database joins the batch that is open, or opens one, and lets everything else that is ready in its
//! task go first. The first that is polled again closes the batch, and runs it. There is no timer, and nobody has to be the
//! one who runs it: any of those who wait drives it on, so dropping some of them does not keep it from the others.

use std::future::{Future, poll_fn};
use std::sync::Arc;
use std::task::Poll;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared, WeakShared};
use parking_lot::Mutex;
use rustc_hash::FxHashSet;

use super::EntityManager;
use super::flush_mode::{Readers, Reads};
use crate::driver::LazyExecutor;
use crate::entity::FieldPath;
use crate::error::Error;
use crate::metadata::{AnyCell, EntityMeta};
use crate::query::{PopulateNode, PopulateRequest};
use crate::sql::{Expression, Selection};
use crate::types::Key;

/// Something to load.
pub(super) enum Wanted {
    /// A chain of relations of an entity.
    Relation(Arc<dyn AnyCell>, Vec<u16>),
    /// A row.
    Row(fn() -> &'static EntityMeta, Key),
}

type Cells = Vec<Arc<dyn AnyCell>>;
type Running = BoxFuture<'static, Result<(), Failure>>;

/// Why a batch has failed: told to the first who asks. The others try by themselves, and are told their own reason.
#[derive(Clone)]
struct Failure(Arc<Mutex<Option<Error>>>);

/// The batch of a session that can still be joined.
#[derive(Default)]
pub(super) struct OpenBatch {
    wanted: Vec<Wanted>,
    running: Option<WeakShared<Running>>,
}

impl EntityManager {
    /// Loads something together with what others ask for at the same time. `Ok(false)` if that has failed for a reason that
    /// somebody else was told.
    ///
    /// # Errors
    /// What the server answered; [`Error::EntityBorrowed`] if this thread holds a guard of an entity of the batch.
    pub(super) async fn load_together(&self, wanted: Wanted) -> Result<bool, Error> {
        let batch = self.join_batch(wanted);
        // Whoever of the others has not been polled yet joins before any of those who wait drives the batch on.
        yield_once().await;
        match batch.await {
            Ok(()) => Ok(true),
            Err(Failure(reason)) => reason.lock().take().map_or(Ok(false), Err),
        }
    }

    fn join_batch(&self, wanted: Wanted) -> Shared<Running> {
        let mut open = self.session.batch.lock();
        // Nobody waits any more for one that cannot be upgraded.
        if let Some(running) = open.running.as_ref().and_then(WeakShared::upgrade) {
            open.wanted.push(wanted);
            return running;
        }
        let em = self.clone();
        let running: Running = Box::pin(async move {
            let batch = std::mem::take(&mut *em.session.batch.lock());
            let outcome = em.run_batch(batch.wanted).await;
            outcome.map_err(|error| Failure(Arc::new(Mutex::new(Some(error)))))
        });
        let running = running.shared();
        *open = OpenBatch { wanted: vec![wanted], running: running.downgrade() };
        running
    }

    async fn run_batch(&self, wanted: Vec<Wanted>) -> Result<(), Error> {
        let (graph, view) = (self.graph(), self.session.view()?);
        let mut rows: Vec<(fn() -> &'static EntityMeta, Vec<Key>)> = Vec::new();
        let mut relations: Vec<(usize, Vec<u16>, Cells)> = Vec::new();
        let mut seen = FxHashSet::default();
        for wanted in wanted {
            match wanted {
                Wanted::Row(meta, key) => {
                    let entity = graph.metadata.of(meta())?.index;
                    let known = graph.find_seen(&view, entity, &key).is_some_and(|cell| !cell.is_stale());
                    if known || !seen.insert((entity, key.clone())) {
                        continue;
                    }
                    match rows.iter_mut().find(|(other, _)| std::ptr::eq(other(), meta())) {
                        Some((_, keys)) => keys.push(key),
                        None => rows.push((meta, vec![key])),
                    }
                }
                // What has left the manager meanwhile is reported to whoever asked for it.
                Wanted::Relation(cell, hops) if graph.contains(&cell) => {
                    let entity = graph.metadata.of(cell.meta())?.index;
                    match relations.iter_mut().find(|(other, path, _)| *other == entity && *path == hops) {
                        Some((_, _, cells)) => cells.push(cell),
                        None => relations.push((entity, hops, vec![cell])),
                    }
                }
                Wanted::Relation(..) => {}
            }
        }
        let mut trees = Vec::with_capacity(relations.len());
        for (entity, hops, cells) in relations {
            let meta = graph.metadata.entities[entity].meta;
            trees.push((entity, cells, PopulateNode::tree(meta, &[PopulateRequest::Hops(hops)])?));
        }
        let reads = trees.iter().map(|(entity, _, tree)| {
            let entity = &graph.metadata.entities[*entity];
            Reads::Entities { view: &view, selection: None, entity, tree }
        });
        let readers = Readers { session: &self.session, reads: reads.collect() };
        let mut loader = self.loader(&graph, &view, LazyExecutor::new(&readers), None);
        for (meta, mut keys) in rows {
            keys.sort_unstable();
            let filter = vec![Expression::Key { path: FieldPath::root(meta), keys }];
            loader.find(&Selection { filter, ..Selection::all(meta()) }, &[], 0).await?;
        }
        loader.populate_all(&trees).await
    }
}

/// Lets everything else that is ready in this task run first.
fn yield_once() -> impl Future<Output = ()> + Send {
    let mut yielded = false;
    poll_fn(move |context| {
        if std::mem::replace(&mut yielded, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
}
