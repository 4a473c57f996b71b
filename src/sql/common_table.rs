//! Common table expressions: they stand in front of the statement, each once, whatever uses them and how deep.
//!
//! A statement that has some of its own (what it writes, the parts of a tree) gives them names that begin with `howdah:`, so
//! that they have none of a user's.

use super::condition::Writer;
use super::identifier::push_identifier;
use super::parameter::Statement;
use super::query::SetOperator;
use super::scope::Scope;
use super::select_list::{Casts, Rest};
use super::source::{Cte, column_names};
use crate::error::Error;

/// A common table expression that was written.
#[derive(Debug)]
pub(super) struct WrittenCte {
    pub(super) source: u32,
    pub(super) name: String,
    /// Whether it was written in the condition of a filter, where all rows are seen.
    pub(super) is_unfiltered: bool,
    /// `None` while it is being written: it may speak of itself.
    pub(super) text: Option<String>,
}

impl Writer<'_> {
    /// The statement, with its common table expressions in front.
    pub(super) fn statement(mut self, text: String) -> Statement {
        let text = self.with("", text);
        Statement { text: self.view().finish(text), params: self.into_params() }
    }

    /// The text of a statement, with its common table expressions in front: those that queries use, and then its own.
    pub(super) fn with(&mut self, own: &str, text: String) -> String {
        if own.is_empty() && self.ctes.is_empty() {
            return text;
        }
        let written = std::mem::take(&mut self.ctes).into_iter().filter_map(|cte| cte.text);
        let texts: Vec<String> = written.chain((!own.is_empty()).then(|| own.to_owned())).collect();
        let recursive = if self.recursive { "RECURSIVE " } else { "" };
        format!("WITH {recursive}{} {text}", texts.join(", "))
    }

    /// Makes sure that a common table expression stands in front of the statement; answers with its name.
    pub(super) fn cte(
        &mut self,
        number: u32,
        name: &str,
        write: impl FnOnce(&mut Self) -> Result<String, Error>,
    ) -> Result<String, Error> {
        let mut quoted = String::new();
        push_identifier(&mut quoted, name);
        if let Some(known) = self.ctes.iter().find(|cte| cte.source == number || cte.name == name) {
            if known.source == number && known.is_unfiltered == self.is_unfiltered {
                return Ok(quoted);
            }
            let message = if known.source == number {
                format!(
                    "{quoted} is used in the condition of a filter, where it sees all rows, and elsewhere: make two of it"
                )
            } else {
                format!("two common table expressions are called {quoted}: give one another name")
            };
            return Err(Error::Validation { entity: None, message });
        }
        if let Some(entity) = self.metadata().entities.iter().find(|entity| entity.table == name) {
            let message =
                format!("a common table expression called {quoted} would hide the table of {}", entity.meta.name);
            return Err(Error::validation(entity.meta.name, message));
        }
        self.ctes.push(WrittenCte {
            source: number,
            name: name.to_owned(),
            is_unfiltered: self.is_unfiltered,
            text: None,
        });
        let text = write(self)?;
        // What it needs was written meanwhile, and stands in front of it.
        let position = self.ctes.iter().position(|cte| cte.source == number);
        if let Some(position) = position {
            let mut cte = self.ctes.remove(position);
            cte.text = Some(text);
            self.ctes.push(cte);
        }
        Ok(quoted)
    }

    /// `"name"("c0") AS MATERIALIZED (…)`
    pub(super) fn cte_text(&mut self, number: u32, cte: &Cte) -> Result<String, Error> {
        let entity = self.metadata().of(cte.query.selection.meta)?;
        // It stands in front of the statement, where nothing is around it.
        let mut scope = Scope::new("t0".to_owned(), entity.index);
        let rest = if cte.step.is_some() { Rest::Always } else { Rest::WhereRead };
        let casts = Casts { kept: self.kept_of(number), rest };
        // Nor what queries around it say of filters: it is the same for all that use it.
        let whole = self.view().filters().cloned();
        let filters = std::mem::replace(&mut self.filters, whole);
        let written = self.casting(casts, |writer| {
            let (text, width) = writer.nested(&mut scope, &cte.query)?;
            let Some((operator, step)) = &cte.step else { return Ok((text, width)) };
            writer.recursive = true;
            let (step, _) = writer.nested(&mut scope, step)?;
            let all = if *operator == SetOperator::UnionAll { " ALL" } else { "" };
            Ok((format!("({text}) UNION{all} ({step})"), width))
        });
        self.filters = filters;
        let (text, width) = written?;
        let materialized = match cte.materialized {
            Some(true) => "MATERIALIZED ",
            Some(false) => "NOT MATERIALIZED ",
            None => "",
        };
        let mut name = String::new();
        push_identifier(&mut name, &cte.name);
        Ok(format!("{name}({}) AS {materialized}({text})", column_names(width)))
    }
}
