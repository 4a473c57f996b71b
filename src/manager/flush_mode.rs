//! Queries that flush first (rule E6): what is pending is looked at only if something is, and only before a query is sent.

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Weak};

use futures_util::future::BoxFuture;
use rustc_hash::FxHashSet;

use super::EntityManager;
use super::session::Session;
use super::transaction::run_callbacks;
use crate::driver::{Connect, Executor};
use crate::error::Error;
use crate::metadata::EntityDef;
use crate::query::{FlushMode, PopulateNode};
use crate::sql::{self, Mentions, Selection, Shape, Statement, View};
use crate::unit_of_work::{TableName, collect};

/// A mode that can be changed by whoever shares it.
pub(crate) struct FlushModeCell(AtomicU8);

impl FlushModeCell {
    pub(super) const fn new(mode: FlushMode) -> Self {
        Self(AtomicU8::new(mode as u8))
    }

    pub(super) fn get(&self) -> FlushMode {
        Self::from_number(self.0.load(Ordering::Acquire))
    }

    /// Sets the mode; answers with the one before.
    pub(super) fn set(&self, mode: FlushMode) -> FlushMode {
        Self::from_number(self.0.swap(mode as u8, Ordering::AcqRel))
    }

    const fn from_number(number: u8) -> FlushMode {
        match number {
            number if number == FlushMode::Commit as u8 => FlushMode::Commit,
            number if number == FlushMode::Always as u8 => FlushMode::Always,
            _ => FlushMode::Auto,
        }
    }
}

/// The mode of a transaction, as long as that lasts.
pub(super) struct ScopedFlushMode {
    /// Not held on to: callbacks that run after the COMMIT may want its connection.
    session: Weak<Session>,
    before: FlushMode,
}

impl ScopedFlushMode {
    pub(super) fn set(session: &Arc<Session>, mode: FlushMode) -> Self {
        Self { session: Arc::downgrade(session), before: session.flush_mode.set(mode) }
    }
}

impl Drop for ScopedFlushMode {
    fn drop(&mut self) {
        if let Some(session) = self.session.upgrade() {
            session.flush_mode.set(self.before);
        }
    }
}

impl EntityManager {
    /// When queries of this manager flush. Default: that of the [`Orm`](crate::Orm), or of the manager that it was
    /// [forked](Self::fork) from.
    #[must_use]
    pub fn flush_mode(&self) -> FlushMode {
        self.session.flush_mode.get()
    }

    /// Chooses when queries of this manager flush; of all its handles. Sends nothing.
    pub fn set_flush_mode(&self, mode: FlushMode) {
        self.session.flush_mode.set(mode);
    }
}

/// What a query reads, as far as that tells whether something has to be flushed first.
#[derive(Clone, Copy)]
pub(super) enum Reads<'q> {
    Statements(&'q [Statement]),
    /// Rows of an entity, if it asks for some, and what is loaded along with them.
    Entities {
        view: &'q View,
        selection: Option<&'q Selection>,
        entity: &'q EntityDef,
        tree: &'q [PopulateNode],
    },
}

impl Reads<'_> {
    /// The texts of statements that read the same tables, and further tables that are read.
    fn tables(&self) -> Result<(Vec<Arc<str>>, Vec<TableName<'_>>), Error> {
        let (mut texts, mut tables) = (Vec::new(), Vec::new());
        match *self {
            Self::Statements(statements) => {
                texts.extend(statements.iter().map(|statement| Arc::clone(&statement.text)))
            }
            Self::Entities { view, selection, entity, tree } => {
                if let Some(selection) = selection {
                    texts.push(sql::select(view, selection, &Shape::of(entity))?.text);
                }
                push_loaded(view, entity, tree, &mut texts, &mut tables)?;
            }
        }
        Ok((texts, tables))
    }
}

impl Session {
    /// Where a query runs, after a flush if it would not see what is pending otherwise.
    ///
    /// # Errors
    /// What the flush answered; then the query is not sent.
    pub(super) async fn reader(&self, reads: Reads<'_>) -> Result<Executor, Error> {
        self.flush_before(None, reads).await?;
        self.executor().await
    }

    /// Flushes if a query would not see what is pending otherwise, by the query's own mode or that of the manager.
    ///
    /// # Errors
    /// What the flush answered.
    pub(super) async fn flush_before(&self, mode: Option<FlushMode>, reads: Reads<'_>) -> Result<(), Error> {
        let mode = mode.unwrap_or_else(|| self.flush_mode.get());
        if mode == FlushMode::Commit || !self.tracker.has_pending() {
            return Ok(());
        }
        // A query does not wait for a flush that is under way, if it has nothing to do with what is pending (rule A5).
        if mode == FlushMode::Auto && self.serial.try_lock().is_err() && !self.may_write_what_is_read(reads)? {
            return Ok(());
        }
        // Boxed: it is rare, and larger than what it is part of.
        Box::pin(async move {
            let serial = self.serialised().await?;
            if mode == FlushMode::Auto && !self.writes_what_is_read(reads)? {
                return Ok(());
            }
            self.read_stale().await?;
            self.flush_unserialised(None).await?;
            let callbacks = self.flushed();
            drop(serial);
            self.settle_results().await;
            run_callbacks(callbacks).await;
            Ok(())
        })
        .await
    }

    /// Whether something that is pending, or that it is related to, is in a table that is read. Looks at no entity.
    fn may_write_what_is_read(&self, reads: Reads<'_>) -> Result<bool, Error> {
        let metadata = &self.orm.metadata;
        let (texts, tables) = reads.tables()?;
        let mentions: Vec<Mentions<'_>> = texts.iter().map(|text| Mentions::of(text)).collect();
        let is_read = |(schema, table): TableName<'_>| {
            mentions.iter().any(|mentions| mentions.names(schema, table)) || tables.contains(&(schema, table))
        };
        let of = |entity: &EntityDef| is_read((entity.schema.as_deref(), &entity.table));
        let pending = self.tracker.pending().into_iter().filter_map(|cell| metadata.find(cell.meta()));
        let removed = self.tracker.removed_rows().into_iter().map(|(entity, _)| &metadata.entities[entity]);
        let entities: FxHashSet<usize> = pending.chain(removed).map(|entity| entity.index).collect();
        Ok(entities.into_iter().map(|entity| &metadata.entities[entity]).any(|entity| {
            of(entity)
                || entity.relations().any(|(_, relation)| {
                    let pivot = relation.pivot.as_ref();
                    of(metadata.target(relation))
                        || pivot.is_some_and(|pivot| is_read((pivot.schema.as_deref(), &pivot.table)))
                })
        }))
    }

    /// Whether what is pending writes a table that is read. Pending work that could not be flushed counts by the tables of its
    /// entities.
    fn writes_what_is_read(&self, reads: Reads<'_>) -> Result<bool, Error> {
        let (graph, metadata) = (self.graph(), &self.orm.metadata);
        let (texts, tables) = reads.tables()?;
        let mentions: Vec<Mentions<'_>> = texts.iter().map(|text| Mentions::of(text)).collect();
        let is_read = |(schema, table): TableName<'_>| {
            mentions.iter().any(|mentions| mentions.names(schema, table)) || tables.contains(&(schema, table))
        };
        Ok(match collect(&graph, 0) {
            Ok(changes) => changes.tables(metadata).into_iter().any(is_read),
            Err(_) => self.tracker.pending().iter().any(|cell| {
                let entity = metadata.find(cell.meta());
                entity.is_some_and(|entity| is_read((entity.schema.as_deref(), &entity.table)))
            }),
        })
    }
}

/// Adds the tables that are read to load these relations, and statements about which of their items.
fn push_loaded<'q>(
    view: &'q View,
    entity: &'q EntityDef,
    tree: &[PopulateNode],
    texts: &mut Vec<Arc<str>>,
    tables: &mut Vec<TableName<'q>>,
) -> Result<(), Error> {
    for node in tree {
        let Some(relation) = entity.relation(node.relation) else { continue };
        tables.extend(relation.pivot.as_ref().map(|pivot| (pivot.schema.as_deref(), pivot.table.as_str())));
        let target = view.target(relation);
        tables.push((target.schema.as_deref(), &target.table));
        // Inverse sides of one-to-ones are read with the row.
        let inverse = target.relations().filter(|(_, relation)| relation.is_inverse_one_to_one());
        tables.extend(inverse.map(|(_, relation)| {
            let other = view.target(relation);
            (other.schema.as_deref(), other.table.as_str())
        }));
        if let Some(options) = &node.options {
            texts.push(sql::select(view, options, &Shape::of(target))?.text);
        }
        push_loaded(view, target, &node.children, texts, tables)?;
    }
    Ok(())
}

/// A session whose first query flushes before.
pub(super) struct Reader<'a> {
    pub(super) session: &'a Session,
    pub(super) reads: Reads<'a>,
}

impl Connect for Reader<'_> {
    fn connect(&self) -> BoxFuture<'_, Result<Executor, Error>> {
        Box::pin(self.session.reader(self.reads))
    }
}

/// A session whose first query flushes before, for several queries.
pub(super) struct Readers<'a> {
    pub(super) session: &'a Session,
    pub(super) reads: Vec<Reads<'a>>,
}

impl Connect for Readers<'_> {
    fn connect(&self) -> BoxFuture<'_, Result<Executor, Error>> {
        Box::pin(async move {
            for reads in &self.reads {
                self.session.flush_before(None, *reads).await?;
            }
            self.session.executor().await
        })
    }
}
