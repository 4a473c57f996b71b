//! Texts of statements that do not depend on what a user asks: written once an Orm, shared by all managers.

use std::sync::Arc;

use dashmap::DashMap;
use rustc_hash::FxBuildHasher;

use super::lock::RowLock;

/// What identifies a text: an entity, a kind, and the columns it names.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct StatementKind {
    pub(crate) entity: usize,
    pub(crate) verb: Verb,
    pub(crate) columns: Vec<u16>,
}

/// The kinds of statements whose texts are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Verb {
    SelectOneByKey,
    SelectByKeys,
    SelectItems,
    SelectLinks,
    SelectTargets,
    SelectColumn,
    Row(Option<RowLock>),
    Insert,
    GuardedInsert,
    Park,
    Advance,
    ReadBack,
    Update,
    Delete,
    DeleteByKeys,
    PivotAdd,
    PivotInsert,
    PivotPlace,
    PivotDelete,
    PivotClear,
}

/// The texts of one Orm.
#[derive(Debug, Default)]
pub(crate) struct StatementTexts {
    texts: DashMap<StatementKind, Arc<str>, FxBuildHasher>,
}

impl StatementTexts {
    /// The text of this kind, written by `write` if it is asked for the first time.
    pub(crate) fn get(&self, entity: usize, verb: Verb, columns: &[u16], write: impl FnOnce() -> String) -> Arc<str> {
        let written = self.try_get(entity, verb, columns, || Ok::<_, std::convert::Infallible>(write()));
        match written {
            Ok(text) => text,
            Err(never) => match never {},
        }
    }

    /// Like [`get`](Self::get), for a text that may not be written.
    ///
    /// # Errors
    /// Those of `write`; then nothing is kept.
    pub(super) fn try_get<E>(
        &self,
        entity: usize,
        verb: Verb,
        columns: &[u16],
        write: impl FnOnce() -> Result<String, E>,
    ) -> Result<Arc<str>, E> {
        let kind = StatementKind { entity, verb, columns: columns.to_vec() };
        if let Some(text) = self.texts.get(&kind) {
            return Ok(Arc::clone(&text));
        }
        let text: Arc<str> = write()?.into();
        Ok(Arc::clone(&self.texts.entry(kind).or_insert(text)))
    }
}
