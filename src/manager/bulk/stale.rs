//! A query flushes what it would not see otherwise. Pending changes of stale entities could not be flushed, so their rows are read
//! again before: the query would do that, too.

use std::sync::Arc;

use crate::error::Error;
use crate::loader::Hydrator;
use crate::manager::Session;
use crate::metadata::{AnyCell, Lifecycle};
use crate::sql::{self, View};

impl Session {
    /// Reads the rows of stale entities with pending changes: one round trip, if there are any. Those whose rows are gone leave
    /// the manager.
    ///
    /// # Errors
    /// What the server answered; [`Error::EntityBorrowed`] if this thread holds a guard of one of them.
    pub(in crate::manager) async fn read_stale(&self) -> Result<(), Error> {
        let graph = self.graph();
        let is_stale =
            |cell: &Arc<dyn AnyCell>| cell.is_stale() && cell.lifecycle() == Lifecycle::Managed && graph.owns(&**cell);
        // What filters hide is flushed like everything else.
        let view = View::new(&self.orm.metadata, None);
        let (mut cells, mut statements) = (Vec::new(), Vec::new());
        for cell in self.tracker.pending().into_iter().filter(is_stale) {
            let (Some(key), entity) = (cell.key(), graph.metadata.of(cell.meta())?) else { continue };
            statements.push(sql::select_by_key(&view, &self.orm.texts, entity, &key)?);
            cells.push((entity, cell));
        }
        if statements.is_empty() {
            return Ok(());
        }
        let answers = self.executor().await?.run_all(&statements).await?;
        for ((entity, cell), answer) in cells.into_iter().zip(answers) {
            Hydrator::new(&graph, entity, false).take_rows(&answer.rows)?;
            if answer.rows.is_empty() {
                graph.detach(&cell);
            }
        }
        Ok(())
    }
}
