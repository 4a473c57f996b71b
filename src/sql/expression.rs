//! What a query asks for, without types: conditions over terms, orders by them, and which rows to select.
//!
//! The typed shells of `query/` hold one of these each; `condition.rs` and `select.rs` turn them into text.

use std::fmt;
use std::sync::Arc;

use super::lock::RowLock;
use super::term::{Field, SubSelect, Term};
use crate::entity::FieldPath;
use crate::metadata::EntityMeta;
use crate::types::{Key, PgType};

/// A comparison of two terms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operator {
    Equal,
    NotEqual,
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,
    Like,
    Ilike,
    /// The right side is an array or a sub-query.
    In,
    /// The right side is an array or a sub-query.
    NotIn,
    DistinctFrom,
    NotDistinctFrom,
    /// A regular expression.
    Matches,
    /// A regular expression, without regard to case.
    MatchesAnyCase,
    Contains,
    ContainedBy,
    Overlaps,
    HasKey,
    HasAnyKey,
    HasAllKeys,
    /// A `tsvector` and a `tsquery`.
    FullText,
}

impl Operator {
    pub(super) const fn symbol(self) -> &'static str {
        match self {
            Self::Equal => "=",
            Self::NotEqual => "<>",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Like => "LIKE",
            Self::Ilike => "ILIKE",
            Self::In => "IN",
            Self::NotIn => "NOT IN",
            Self::DistinctFrom => "IS DISTINCT FROM",
            Self::NotDistinctFrom => "IS NOT DISTINCT FROM",
            Self::Matches => "~",
            Self::MatchesAnyCase => "~*",
            Self::Contains => "@>",
            Self::ContainedBy => "<@",
            Self::Overlaps => "&&",
            Self::HasKey => "?",
            Self::HasAnyKey => "?|",
            Self::HasAllKeys => "?&",
            Self::FullText => "@@",
        }
    }
}

/// How many of the related entities have to fulfil a condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Quantifier {
    Some,
    None,
    Every,
}

/// A condition without its type.
#[derive(Clone)]
pub(crate) enum Expression {
    /// All of them; true if there are none.
    All(Vec<Self>),
    /// At least one of them; false if there are none.
    Any(Vec<Self>),
    Not(Box<Self>),
    Compare {
        left: Term,
        operator: Operator,
        right: Term,
    },
    Between {
        term: Term,
        low: Term,
        high: Term,
    },
    /// A term, or the foreign key of a to-one relation, is (not) NULL.
    Null {
        term: Term,
        is_null: bool,
    },
    /// A boolean term is true.
    Holds(Term),
    /// The sub-query has rows.
    Exists(Arc<SubSelect>),
    /// The entity at the end of the path has one of these keys.
    Key {
        path: FieldPath,
        keys: Vec<Key>,
    },
    /// The entity is an item of a collection: of the relation that this path names, of the row with this key.
    Item {
        path: FieldPath,
        key: Key,
    },
    /// The entity at the end of the path fulfils a condition of its own.
    At {
        path: FieldPath,
        inner: Box<Self>,
    },
    /// Some, none or every entity of a to-many relation fulfils a condition of its own.
    Quantified {
        path: FieldPath,
        property: u16,
        quantifier: Quantifier,
        inner: Box<Self>,
    },
}

impl Expression {
    /// Visits the paths whose value the condition needs from the row itself; see [`Term::each_path`]. Of conditions that
    /// consist of others, none.
    pub(crate) fn each_path<'t>(&'t self, visit: &mut dyn FnMut(&'t FieldPath)) {
        match self {
            Self::Compare { left, right, .. } => {
                left.each_path(visit);
                right.each_path(visit);
            }
            Self::Between { term, low, high } => [term, low, high].into_iter().for_each(|term| term.each_path(visit)),
            Self::Null { term, .. } | Self::Holds(term) => term.each_path(visit),
            Self::Key { path, .. } | Self::At { path, .. } | Self::Quantified { path, .. } => visit(path),
            Self::All(_) | Self::Any(_) | Self::Not(_) | Self::Exists(_) | Self::Item { .. } => {}
        }
    }

    fn list(f: &mut fmt::Formatter<'_>, list: &[Self], word: &str, empty: &str) -> fmt::Result {
        if list.is_empty() {
            return f.write_str(empty);
        }
        f.write_str("(")?;
        for (index, expression) in list.iter().enumerate() {
            if index > 0 {
                write!(f, " {word} ")?;
            }
            write!(f, "{expression:?}")?;
        }
        f.write_str(")")
    }
}

impl fmt::Debug for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All(list) => Self::list(f, list, "and", "true"),
            Self::Any(list) => Self::list(f, list, "or", "false"),
            Self::Not(inner) => write!(f, "not {inner:?}"),
            Self::Compare { left, operator, right } => {
                write!(f, "{left:?} {} {right:?}", operator.symbol().to_ascii_lowercase())
            }
            Self::Between { term, low, high } => write!(f, "{term:?} between {low:?} and {high:?}"),
            Self::Null { term, is_null } => write!(f, "{term:?} is {}null", if *is_null { "" } else { "not " }),
            Self::Holds(term) => term.fmt(f),
            Self::Exists(select) => write!(f, "exists (a query of {})", select.selection.meta.name),
            Self::Key { path, keys } => match keys.as_slice() {
                [key] => write!(f, "{path:?}#{key}"),
                keys => write!(f, "{path:?} is one of {} keys", keys.len()),
            },
            Self::Item { path, key } => write!(f, "in {path:?} of {key}"),
            Self::At { path, inner } => write!(f, "{path:?} with {inner:?}"),
            Self::Quantified { path, property, quantifier, inner } => {
                write!(f, "{:?} {} with {inner:?}", quantifier, Field(path, *property))
            }
        }
    }
}

/// One term of an `ORDER BY`, untyped.
#[derive(Clone, Debug)]
pub(crate) struct OrderTerm {
    pub(crate) term: Term,
    pub(crate) descending: bool,
    pub(crate) nulls_first: Option<bool>,
    /// What its values are, if that was said: SQL that is written by hand is not of a type.
    pub(crate) values: Option<ValueType>,
}

/// What the values of a term are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ValueType {
    pub(crate) pg: PgType,
    pub(crate) nullable: bool,
}

/// Which rows of an entity, in which order.
#[derive(Clone, Debug)]
pub(crate) struct Selection {
    pub(crate) meta: &'static EntityMeta,
    /// All of them have to hold.
    pub(crate) filter: Vec<Expression>,
    pub(crate) order: Vec<OrderTerm>,
    pub(crate) limit: Option<u64>,
    pub(crate) offset: Option<u64>,
    pub(crate) lock: Option<RowLock>,
}

impl Selection {
    /// All rows.
    pub(crate) const fn all(meta: &'static EntityMeta) -> Self {
        Self { meta, filter: Vec::new(), order: Vec::new(), limit: None, offset: None, lock: None }
    }
}
