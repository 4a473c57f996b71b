//! What a statement that writes rows answers with: a query of these rows, `WITH u AS (UPDATE … RETURNING …) SELECT … FROM u`.
//!
//! So they are read by the same code as rows of a table, relations that they lead to included.

use super::condition::Writer;
use super::parameter::Statement;
use super::query::SelectQuery;
use super::scope::Scope;
use super::select::ROOT;
use super::upsert::{WRITTEN_ROWS, push_row};
use crate::error::Error;
use crate::metadata::EntityDef;

impl Writer<'_> {
    /// The statement, with its common table expressions in front, and what it answers with of the rows that it writes. Their
    /// table is called `t0` in it.
    ///
    /// # Errors
    /// As [`select_list`](Self::select_list).
    pub(super) fn written_rows(
        mut self,
        entity: &EntityDef,
        returned: Option<&SelectQuery>,
        mut text: String,
    ) -> Result<Statement, Error> {
        if let Some(query) = returned {
            let mut scope = Scope::new(ROOT.to_owned(), entity.index);
            let mut joins = String::new();
            let list = self.select_list(&mut scope, query, entity, ROOT, &mut joins)?.join(", ");
            joins.push_str(scope.joins());
            text.push_str(" RETURNING ");
            push_row(&mut text, entity);
            let own = format!("{WRITTEN_ROWS} AS ({text})");
            text = self.with(&own, format!("SELECT {list} FROM {WRITTEN_ROWS} AS {ROOT}{joins}"));
        }
        Ok(self.statement(text))
    }
}
