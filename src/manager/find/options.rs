//! How a find is run: what becomes of entities that are loaded already, for how long, and what the server is told.

use std::time::Duration;

use super::Find;
use crate::entity::Entity;
use crate::query::FlushMode;

impl<T: Entity> Find<T> {
    /// Overwrites entities that are loaded already: all of their fields, those that were changed and not flushed, too, and
    /// pending changes of their collections are dropped. What is [populated](Self::populate) is read again and overwritten
    /// as well. The answers of [`count`](Self::count) and [`exists`](Self::exists) do not depend on it.
    pub const fn refresh(mut self) -> Self {
        self.plan.options.refresh = true;
        self
    }

    /// Loads entities that do not belong to the manager: for reading many that will not be changed. The result is a graph
    /// of its own, in which one row is one entity and relations lead from one to the other; what the manager has loaded is
    /// neither looked at nor changed. The entities are [`Detached`](crate::EntityState::Detached): nothing that is done to
    /// them is flushed.
    pub const fn disable_identity_map(mut self) -> Self {
        self.plan.options.unmanaged = true;
        self
    }

    /// Reads the tables in another schema: that of the entity, and those of relations that are in the same schema as the
    /// entity is. Tables elsewhere stay where they are; a native enum is the one that the entity names.
    ///
    /// What is found does not belong to the manager, as with [`disable_identity_map`](Self::disable_identity_map): its
    /// rows have keys that other rows of the entity's own schema have, too, and a flush would write those.
    pub fn schema(mut self, schema: impl Into<String>) -> Self {
        self.plan.options.schema = Some(schema.into().into());
        self
    }

    /// Puts a comment in front of all statements of the find, for the server's log and `pg_stat_activity`: `/* … */`.
    /// It may be any text; what would end the comment is torn apart.
    ///
    /// A statement with another comment is another statement: each takes a place of the prepared ones. Name the part of
    /// the program, not the request.
    pub fn comment(mut self, comment: impl Into<String>) -> Self {
        self.plan.options.comment = Some(comment.into());
        self
    }

    /// When this find flushes, instead of the manager's [mode](crate::EntityManager::set_flush_mode). One that
    /// [refreshes](Self::refresh) never does: pending changes are dropped.
    pub const fn flush_mode(mut self, mode: FlushMode) -> Self {
        self.plan.options.flush_mode = Some(mode);
        self
    }

    /// Keeps the result for this long: whoever asks the same meanwhile gets it without a query, unless a table that it was
    /// read from is written by a flush or a bulk operation of this [`Orm`](crate::Orm) first. Zero: not, whatever the Orm's
    /// [default](crate::OrmBuilder::cache_results) is.
    ///
    /// What is kept are the rows of the find itself, of its [page](Self::cursor), its count or its
    /// [selection](Self::select), each for itself; relations are loaded as ever. Entities that are loaded already stay as they
    /// are. Inside of a transaction, with a [`lock`](Self::lock) and with [`refresh`](Self::refresh) the database is asked;
    /// a [`stream`](Self::stream) always does.
    pub const fn cache(mut self, time: Duration) -> Self {
        self.plan.options.cache = Some(time);
        self
    }

    /// How long the find may take, with all that it loads along, from when it has a connection. Then the server is asked to
    /// cancel what it is doing, and the find fails with [`Error::Timeout`](crate::Error::Timeout). This costs no round trip
    /// as long as the find is in time.
    ///
    /// A transaction that the find is part of has failed then, up to the next `transactional` around the find: pass the
    /// error on.
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.plan.options.timeout = Some(timeout);
        self
    }
}
