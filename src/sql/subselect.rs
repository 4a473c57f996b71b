//! A query inside of another one.

use std::fmt::Write as _;

use super::condition::Writer;
use super::identifier::push_list;
use super::scope::Scope;
use super::term::{SubSelect, Term};
use crate::error::Error;

impl Writer<'_> {
    /// Appends `(SELECT column FROM … WHERE …)`.
    pub(super) fn push_subselect(
        &mut self,
        scope: &mut Scope,
        select: &SubSelect,
        out: &mut String,
    ) -> Result<(), Error> {
        let selection = &select.selection;
        let entity = self.metadata().of(selection.meta)?;
        let alias = self.alias();
        let seen = self.seen(&alias, entity)?;
        let entered = scope.enter_level(alias, entity.index);
        let mut list = String::new();
        for term in &select.columns {
            if !list.is_empty() {
                list.push_str(", ");
            }
            match term {
                // Its columns, and not a row of them.
                Term::Key(path) => {
                    push_list(&mut list, &self.key_columns(scope, path)?, |out, column| out.push_str(&column.text));
                }
                term => self.push_term(scope, term, None, &mut list)?,
            }
        }
        if list.is_empty() {
            list.push('1');
        }
        let filter = self.filter(scope, &selection.filter)?;
        let order = self.order(scope, &selection.order)?;
        let joins = scope.leave(entered);
        let distinct = if select.distinct { "DISTINCT " } else { "" };
        let _ = write!(out, "(SELECT {distinct}{list} FROM {}{joins}", seen.table);
        seen.push_where(out, &[&filter]);
        if !order.is_empty() {
            let _ = write!(out, " ORDER BY {order}");
        }
        if let Some(limit) = selection.limit {
            let _ = write!(out, " LIMIT {}", self.bind_count(limit));
        }
        if let Some(offset) = selection.offset {
            let _ = write!(out, " OFFSET {}", self.bind_count(offset));
        }
        out.push(')');
        Ok(())
    }
}
