//! Finding so many entities that they are not to be in memory at the same time.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::vec;

use futures_util::stream::{BoxStream, Stream, StreamExt, try_unfold};
use tokio_postgres::Row;

use super::deadline::Deadline;
use super::{Cells, EntityManager, Find, handles};
use crate::driver::{Executor, LazyExecutor, TransactionConnection};
use crate::entity::{Entity, Managed};
use crate::error::Error;
use crate::loader::Loader;
use crate::manager::flush_mode::Reads;
use crate::manager::session::next_number;
use crate::query::{FindPlan, LoadStrategy, PopulateNode};
use crate::sql::transaction::TransactionOptions;
use crate::sql::{self, View};
use crate::unit_of_work::UnitOfWork;

/// How many rows are read at once.
const CHUNK: usize = 500;

/// The entities of a find, some at a time. Made by [`Find::stream`].
#[must_use = "a stream does nothing until it is read"]
pub struct FindStream<T: Entity> {
    /// What is read at once.
    chunks: BoxStream<'static, Result<Vec<Managed<T>>, Error>>,
    /// What of it was not asked for yet.
    entities: vec::IntoIter<Managed<T>>,
}

impl<T: Entity> Find<T> {
    /// Reads the entities through a cursor, 500 at a time: for so many that they are not to be in memory together.
    ///
    /// The entities do not belong to the manager, as with [`disable_identity_map`](Self::disable_identity_map): they are
    /// [`Detached`](crate::EntityState::Detached), and what the manager has loaded is neither looked at nor changed. Each 500
    /// are a graph of their own, which is freed when the last handle to one of them is dropped: entities that are not kept
    /// take no memory. Relations that are [populated](Self::populate) are loaded for each 500, with
    /// [`LoadStrategy::Balanced`] or [`LoadStrategy::SelectIn`].
    ///
    /// In a transaction the cursor is opened there; otherwise in a read-only transaction of its own, on a connection of its
    /// own. All rows are as of the moment when the first were read.
    ///
    /// # Errors
    /// The items of the stream: [`Error::Validation`] with a [`lock`](Self::lock), what the server answered. The stream
    /// ends after an error.
    ///
    /// # Cancel safety
    /// The stream may be dropped at any time: the server is asked for no more rows, and the connection can be used again.
    ///
    /// ```
    /// # howdah::doctest::run(async |url| {
    /// use howdah::prelude::*;
    ///
    /// #[derive(Entity, Clone, Debug)]
    /// pub struct Reading {
    ///     #[primary_key]
    ///     pub id: i64,
    ///     pub degrees: f64,
    /// }
    ///
    /// # let orm = Orm::builder().url(&url).entities(entities![Reading]).connect().await?;
    /// # orm.schema().create().await?;
    /// # let em = orm.em();
    /// # em.persist((0..1200).map(|number| NewReading { degrees: f64::from(number) }).collect::<Vec<_>>());
    /// # em.flush().await?;
    /// let mut readings = em.find::<Reading>().order_by(|r| r.id().asc()).stream();
    /// let mut sum = 0.0;
    /// while let Some(reading) = readings.next().await {
    ///     sum += reading?.read().degrees;
    /// }
    /// assert_eq!(sum, 719_400.0);
    /// # Ok(())
    /// # });
    /// ```
    pub fn stream(self) -> FindStream<T> {
        let reader = Reader { deadline: None, plan: self.plan, cursor: None, is_done: false, em: self.em };
        let chunks = try_unfold(reader, async |mut reader| {
            let chunk = reader.next().await?;
            Ok(chunk.map(|(graph, cells)| (handles(&graph, cells), reader)))
        });
        FindStream { chunks: chunks.boxed(), entities: Vec::new().into_iter() }
    }
}

impl<T: Entity> FindStream<T> {
    /// The next entity; `None` behind the last one.
    ///
    /// # Errors
    /// See [`Find::stream`].
    pub async fn next(&mut self) -> Option<Result<Managed<T>, Error>> {
        StreamExt::next(self).await
    }
}

impl<T: Entity> Stream for FindStream<T> {
    type Item = Result<Managed<T>, Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            if let Some(entity) = self.entities.next() {
                return Poll::Ready(Some(Ok(entity)));
            }
            match ready!(self.chunks.as_mut().poll_next(context)) {
                Some(Ok(chunk)) => self.entities = chunk.into_iter(),
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => return Poll::Ready(None),
            }
        }
    }
}

impl<T: Entity> fmt::Debug for FindStream<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FindStream").finish_non_exhaustive()
    }
}

/// Reads the rows of a find, without its type.
struct Reader {
    em: EntityManager,
    plan: FindPlan,
    cursor: Option<Cursor>,
    deadline: Option<Deadline>,
    is_done: bool,
}

impl Reader {
    /// The next entities, and the graph that they are in.
    async fn next(&mut self) -> Result<Option<(Arc<UnitOfWork>, Cells)>, Error> {
        if self.is_done {
            return Ok(None);
        }
        self.plan.check_unlocked("stream()")?;
        let tree = PopulateNode::tree(self.plan.selection.meta, &self.plan.populate)?;
        let view = self.em.view_of(self.plan.selection.meta, &self.plan.options)?;
        let deadline = *self.deadline.get_or_insert_with(|| Deadline::after(self.plan.options.timeout));
        let rows = self.rows(&view, &tree, deadline).await?;
        self.is_done = rows.len() < CHUNK;
        let Some(cursor) = self.cursor.as_ref().filter(|_| !rows.is_empty()) else { return Ok(None) };
        let graph = UnitOfWork::detached(&self.em.session.orm.metadata);
        let executor = cursor.executor();
        let mut loader = self.loader(&graph, &view, executor.clone());
        let cells = deadline.limit(&executor, loader.take(&self.plan.selection, &tree, &rows)).await?;
        if self.is_done {
            self.cursor = None;
        }
        Ok(Some((graph, cells)))
    }

    fn loader<'a>(&'a self, graph: &'a Arc<UnitOfWork>, view: &'a View, executor: Executor) -> Loader<'a> {
        let strategy = match self.plan.strategy.unwrap_or(self.em.session.orm.strategy) {
            LoadStrategy::Balanced | LoadStrategy::Joined => LoadStrategy::Balanced,
            LoadStrategy::SelectIn | LoadStrategy::Pipelined => LoadStrategy::SelectIn,
        };
        self.em.loader(graph, view, LazyExecutor::ready(&*self.em.session, executor), Some(strategy))
    }

    /// The next rows; the first time the cursor is opened in the same flight.
    async fn rows(&mut self, view: &View, tree: &[PopulateNode], deadline: Deadline) -> Result<Vec<Row>, Error> {
        if let Some(cursor) = &self.cursor {
            let executor = cursor.executor();
            return Ok(deadline.limit(&executor, executor.run(&sql::fetch(&cursor.name, CHUNK))).await?.rows);
        }
        let graph = UnitOfWork::detached(&self.em.session.orm.metadata);
        let (selection, entity) = (Some(&self.plan.selection), view.of(self.plan.selection.meta)?);
        let reads = Reads::Entities { view, selection, entity, tree };
        self.em.session.flush_before(self.plan.options.flush_mode, reads).await?;
        let executor = self.em.session.executor().await?;
        let query = self.loader(&graph, view, executor.clone()).statement(&self.plan.selection, tree)?;
        let cursor = Cursor::open(executor);
        let executor = cursor.executor();
        let statements = [sql::declare(&cursor.name, query), sql::fetch(&cursor.name, CHUNK)];
        self.cursor = Some(cursor);
        let mut answers = deadline.limit(&executor, executor.run_all(&statements)).await?;
        Ok(answers.pop().map(|answer| answer.rows).unwrap_or_default())
    }
}

/// An open cursor. Dropping it closes it: with its transaction, if that was begun for it.
struct Cursor {
    name: String,
    connection: Arc<TransactionConnection>,
    is_alone: bool,
    /// How often the transaction had gone back to a savepoint: a cursor that was opened behind one is gone then.
    undone: usize,
}

impl Cursor {
    fn open(executor: Executor) -> Self {
        let (connection, is_alone) = match executor {
            Executor::Transaction(connection) => (connection, false),
            Executor::Pooled(connection) => {
                let options = TransactionOptions::new().read_only();
                (Arc::new(TransactionConnection::begin_with(connection, options)), true)
            }
        };
        let undone = connection.undone();
        Self { name: format!("howdah_cursor_{}", next_number()), connection, is_alone, undone }
    }

    fn executor(&self) -> Executor {
        Executor::Transaction(Arc::clone(&self.connection))
    }
}

impl Drop for Cursor {
    fn drop(&mut self) {
        if !self.is_alone && self.connection.undone() == self.undone {
            self.connection.close_cursor(&sql::close(&self.name));
        }
    }
}
