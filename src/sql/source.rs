//! What stands in a FROM list beside the entity that a query is of: tables under a name of their own, sub-queries, common
//! table expressions.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use super::condition::Writer;
use super::expression::Expression;
use super::query::{SelectQuery, SetOperator};
use super::scope::Scope;
use super::seen::Seen;
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
}
