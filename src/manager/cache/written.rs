//! Which tables were written, so that results which were read from them are forgotten.
//!
//! It counts when the server has committed, and nobody may be waiting for that any more: whoever gives up what was sent leaves somebody
//! behind who does.

use std::sync::Arc;

use rustc_hash::FxHashSet;
use tokio::runtime::Handle;

use super::{Results, tables_in, tag};
use crate::driver::{Executor, TransactionConnection};
use crate::manager::session::Session;
use crate::metadata::{EntityDef, Metadata};
use crate::sql::{Mentions, Statement};
use crate::unit_of_work::{ChangeSet, TableName};

/// The tables that an open transaction has written: they count as written when it has ended.
pub(in crate::manager) struct WrittenTables {
    results: Arc<Results>,
    tables: FxHashSet<String>,
}

impl WrittenTables {
    pub(in crate::manager) fn new(results: &Arc<Results>) -> Self {
        Self { results: Arc::clone(results), tables: FxHashSet::default() }
    }

    /// Nobody waits for the COMMIT that was sent: they count as written now, and once more when it is answered.
    pub(in crate::manager) fn behind(mut self, connection: &Arc<TransactionConnection>) {
        write_behind(&self.results, std::mem::take(&mut self.tables), Executor::Transaction(Arc::clone(connection)));
    }
}

impl Drop for WrittenTables {
    /// Also when it was rolled back: nobody knows that for certain in all cases, and it costs no more than a query.
    fn drop(&mut self) {
        if !self.tables.is_empty() {
            self.results.write(std::mem::take(&mut self.tables));
        }
    }
}

/// Notes tables that were written, now and when everything that was sent there is answered.
fn write_behind(results: &Arc<Results>, tables: FxHashSet<String>, executor: Executor) {
    if tables.is_empty() {
        return;
    }
    results.write(tables.iter().cloned());
    // Without a runtime there is no connection any more.
    if let Ok(runtime) = Handle::try_current() {
        let results = Arc::clone(results);
        runtime.spawn(async move {
            executor.drained().await;
            results.write(tables);
        });
    }
}

/// Statements that were sent at once, and may write: results are forgotten when they are answered, or nobody waits for them any more.
pub(in crate::manager) struct SentStatements<'a> {
    session: &'a Session,
    statements: &'a [Statement],
    executor: Executor,
    is_answered: bool,
}

impl SentStatements<'_> {
    /// They are answered.
    pub(in crate::manager) async fn answered(mut self) {
        self.is_answered = true;
        let session = self.session;
        session.wrote_directly();
        drop(self);
        session.settle_results().await;
    }
}

impl Drop for SentStatements<'_> {
    fn drop(&mut self) {
        let session = self.session;
        let tags = self.statements.iter().flat_map(|statement| session.tags_written_with(&statement.text)).collect();
        if self.is_answered || self.executor.is_transaction() {
            session.wrote_tags(tags);
        } else {
            write_behind(&session.orm.results, tags.into_iter().collect(), self.executor.clone());
        }
    }
}

impl Results {
    /// Notes what a flush has written.
    pub(in crate::manager) fn write_changes(&self, metadata: &Metadata, changes: &ChangeSet) {
        if self.is_used() {
            self.write(changes.tables(metadata).into_iter().map(tag));
        }
    }
}

impl Session {
    /// Notes what a flush has written.
    pub(in crate::manager) fn wrote_tables<'t>(&self, tables: impl FnOnce() -> FxHashSet<TableName<'t>>) {
        if self.orm.results.is_used() {
            self.wrote_tags(tables().into_iter().map(tag).collect());
        }
    }

    /// Notes that statements are sent, on this connection: whatever their text, they may call functions that write.
    pub(in crate::manager) fn sends<'a>(
        &'a self,
        statements: &'a [Statement],
        executor: &Executor,
    ) -> SentStatements<'a> {
        self.wrote_directly();
        SentStatements { session: self, statements, executor: executor.clone(), is_answered: false }
    }

    /// The tables that a statement of the user's own may write, as far as that matters.
    fn tags_written_with(&self, text: &str) -> Vec<String> {
        if !self.orm.results.is_used() || !may_write(text) {
            return Vec::new();
        }
        let (metadata, mentions) = (&self.orm.metadata, Mentions::of(text));
        let mut tags = tables_in(metadata, text);
        let has = |verbs: &[&str]| verbs.iter().any(|verb| mentions.names(None, verb));
        let deletes = has(&["delete", "merge", "truncate"]);
        push_affected(metadata, &mut tags, deletes, has(&["update", "merge"]));
        tags
    }

    fn wrote_tags(&self, tags: Vec<String>) {
        if tags.is_empty() {
            return;
        }
        match &mut *self.open.lock() {
            Some(open) => open.written.tables.extend(tags),
            None => self.orm.results.write(tags),
        }
    }
}

/// Whether the text of a statement has a verb that writes.
pub(in crate::manager) fn may_write(text: &str) -> bool {
    let mentions = Mentions::of(text);
    let verbs = ["insert", "update", "delete", "merge", "truncate", "copy", "drop", "alter", "call", "do"];
    verbs.iter().any(|verb| mentions.names(None, verb))
}

/// Adds tables whose rows the server may change along with those of the others, by the actions of foreign keys.
fn push_affected(metadata: &Metadata, tags: &mut Vec<String>, deletes: bool, updates: bool) {
    let tag_of = |entity: &EntityDef| tag((entity.schema.as_deref(), &entity.table));
    let mut from = 0;
    while from < tags.len() {
        let until = tags.len();
        for entity in &metadata.entities {
            for (_, relation) in entity.relations() {
                let acts = (deletes && relation.meta.on_delete.is_some()) || (updates && relation.on_update.is_some());
                let is_hit = |entity: &EntityDef| tags[from..until].contains(&tag_of(entity));
                let affected = match &relation.pivot {
                    Some(pivot) if (deletes || updates) && is_hit(entity) => {
                        tag((pivot.schema.as_deref(), &pivot.table))
                    }
                    None if relation.is_owning_to_one() && acts && is_hit(metadata.target(relation)) => tag_of(entity),
                    _ => continue,
                };
                if !tags.contains(&affected) {
                    tags.push(affected);
                }
            }
        }
        from = until;
    }
}
