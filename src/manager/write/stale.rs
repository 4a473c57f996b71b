//! All stale rows of a flush (rule C9). It stops at the first statement that finds some; which rows the statements behind that would
//! not have found is asked afterwards.

use rustc_hash::FxHashSet;

use super::flight::{Extent, Flight, Line};
use crate::error::Error;
use crate::sql::Statement;
use crate::unit_of_work::{PlannedStatement, bind_stale, keys_in, stale};

impl Flight {
    /// Whether more than one statement may find stale rows.
    pub(super) fn may_be_stale_twice(&self) -> bool {
        self.plan.statements.iter().filter(|statement| checks_rows(statement)).nth(1).is_some()
    }

    /// The error that names these rows of the change set, and all others that are stale, too. Takes a round trip if there may be any.
    pub(super) async fn all_stale(&self, line: &mut Line, mut rows: Vec<usize>) -> Error {
        if self.is_stale_elsewhere {
            // Whatever becomes of this question: what is known is an answer.
            rows.extend(self.ask(line).await.unwrap_or_default());
        }
        let mut named = FxHashSet::default();
        rows.retain(|row| named.insert(*row));
        stale(&self.orm.metadata, &self.changes, &rows)
    }

    /// Asks for all rows that would not be found now.
    async fn ask(&self, line: &mut Line) -> Result<Vec<usize>, Error> {
        let changes = &self.changes;
        // Outside of the transaction, what it has written before is not there: then only what others have changed is certain.
        let is_outside = !matches!(line, Line::Transaction(open) if matches!(open.extent, Extent::Savepoint(_)));
        let bound = bind_stale(&self.orm.metadata, changes, is_outside && self.has_written)?;
        let (statements, asked): (Vec<Statement>, Vec<_>) =
            bound.into_iter().map(|(entity, statement, rows)| (statement, (entity, rows))).unzip();
        let answers = match line {
            Line::Alone(connection) => connection.run_all(&statements).await,
            Line::Transaction(open) => {
                open.undo();
                if open.connection.is_open() {
                    open.connection.run_all(&statements).await?
                } else {
                    open.connection.run_after(&statements).await
                }
            }
        };
        let mut stale = Vec::new();
        for ((entity, rows), answer) in asked.into_iter().zip(answers) {
            let keys = keys_in(&self.orm.metadata, entity, &answer?)?;
            let is_stale = |row: &usize| changes.rows[*row].key.as_ref().is_some_and(|key| keys.contains(key));
            stale.extend(rows.into_iter().filter(is_stale));
        }
        Ok(stale)
    }
}

/// Whether a statement looks for rows as they have been read.
pub(super) fn checks_rows(statement: &PlannedStatement) -> bool {
    match statement {
        PlannedStatement::Update { .. } | PlannedStatement::Delete { .. } => true,
        PlannedStatement::Together { parts } => parts.iter().any(checks_rows),
        _ => false,
    }
}
