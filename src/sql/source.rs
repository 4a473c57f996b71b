//! What stands in a FROM list beside the entity that a query is of: tables under a name of their own, sub-queries, common
//! table expressions.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use super::condition::Writer;
use super::expression::Expression;
use super::identifier::push_identifier;
use super::query::{SelectQuery, SetOperator};
use super::scope::Scope;
use super::seen::Seen;
use super::select_list::{Casts, Rest};
use crate::entity::FieldPath;
use crate::error::Error;
use crate::metadata::{EntityDef, EntityMeta, Metadata};

/// Something in a FROM list. Its number tells it from all others, so that columns can speak of it.
#[derive(Clone, Debug)]
pub(crate) struct FromItem {
    pub(crate) number: u32,
    pub(crate) kind: FromKind,
}

/// What it is.
#[derive(Clone, Debug)]
pub(crate) enum FromKind {
    Entity(fn() -> &'static EntityMeta),
    Query(Arc<SelectQuery>),
    Cte(Arc<Cte>),
    /// A recursive common table expression, inside of itself.
    Itself {
        name: String,
    },
}

/// A common table expression.
#[derive(Clone, Debug)]
pub(crate) struct Cte {
    pub(crate) name: String,
    pub(crate) query: Arc<SelectQuery>,
    /// What is added to it again and again, of a recursive one.
    pub(crate) step: Option<(SetOperator, Arc<SelectQuery>)>,
    pub(crate) materialized: Option<bool>,
}

impl FromItem {
    /// A number that nothing else has.
    pub(crate) fn next_number() -> u32 {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        NEXT.fetch_add(1, Ordering::Relaxed)
    }

    /// The entity that paths start at; of what is no entity, any.
    pub(super) fn entity(&self, metadata: &Metadata, any: &EntityDef) -> Result<usize, Error> {
        match self.kind {
            FromKind::Entity(meta) => Ok(metadata.of(meta())?.index),
            _ => Ok(any.index),
        }
    }
}

/// A join.
#[derive(Clone, Debug)]
pub(crate) struct Join {
    pub(crate) kind: JoinKind,
    pub(crate) lateral: bool,
    pub(crate) joined: Joined,
    pub(crate) on: Vec<Expression>,
}

/// What is joined.
#[derive(Clone, Debug)]
pub(crate) enum Joined {
    /// What a path of relations leads to.
    Relation(FieldPath),
    Source(FromItem),
}

/// Which rows a join keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum JoinKind {
    Inner,
    Left,
    Cross,
}

impl JoinKind {
    pub(super) const fn sql(self) -> &'static str {
        match self {
            Self::Inner => " JOIN ",
            Self::Left => " LEFT JOIN ",
            Self::Cross => " CROSS JOIN ",
        }
    }
}

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

/// `"c0", "c1"`: what the columns of sub-queries are called.
pub(super) fn column_names(width: usize) -> String {
    (0..width).map(|column| format!("\"c{column}\"")).collect::<Vec<_>>().join(", ")
}

impl Writer<'_> {
    /// One item of a FROM list: `"table" AS t1`, `(SELECT …) AS t1("c0")`, `"name" AS t1`.
    pub(super) fn source_item(&mut self, scope: &mut Scope, source: &FromItem, alias: &str) -> Result<Seen, Error> {
        match &source.kind {
            FromKind::Entity(meta) => {
                let entity = self.metadata().of(meta())?;
                self.seen(alias, entity)
            }
            FromKind::Query(query) => {
                let kept = self.kept_of(source.number);
                let (text, width) = self.nested_keeping(scope, query, kept)?;
                Ok(Seen::whole(format!("({text}) AS {alias}({})", column_names(width))))
            }
            FromKind::Itself { name } => {
                let written = self.ctes.iter().any(|cte| cte.source == source.number);
                if !written {
                    let message = format!(
                        "the recursive query {name} is used outside of itself: use what recursive() has answered"
                    );
                    return Err(Error::Validation { entity: None, message });
                }
                let name = self.cte(source.number, name, |_| Ok(String::new()))?;
                Ok(Seen::whole(format!("{name} AS {alias}")))
            }
            FromKind::Cte(cte) => {
                let name = self.cte(source.number, &cte.name, |writer| writer.cte_text(source.number, cte))?;
                Ok(Seen::whole(format!("{name} AS {alias}")))
            }
        }
    }

    /// `"name"("c0") AS MATERIALIZED (…)`
    fn cte_text(&mut self, number: u32, cte: &Cte) -> Result<String, Error> {
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
}
