//! What a query asks for, without types: conditions, orders, and which rows to select.
//!
//! The typed shells of `query/` hold one of these each; `condition.rs` and `select.rs` turn them into text.

use std::fmt;

use bytes::Bytes;

use super::lock::RowLock;
use crate::entity::FieldPath;
use crate::metadata::EntityMeta;
use crate::types::{ConversionError, Key, PgType, ScalarType};

/// A comparison of a column with a value.
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
    /// The value is an array.
    In,
    /// The value is an array.
    NotIn,
}

impl Operator {
    const fn symbol(self) -> &'static str {
        match self {
            Self::Equal => "=",
            Self::NotEqual => "<>",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Like => "like",
            Self::Ilike => "ilike",
            Self::In => "in",
            Self::NotIn => "not in",
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

/// A value to bind, in its binary form.
#[derive(Clone, Debug)]
pub(crate) struct Bound {
    pub(crate) pg: PgType,
    /// A value that PostgreSQL cannot hold is reported when the query runs.
    pub(crate) value: Result<Bytes, ConversionError>,
}

impl Bound {
    /// One value.
    pub(crate) fn one<V: ScalarType>(value: &V) -> Self {
        let mut out = Vec::new();
        let value = value.encode(&mut out).map(|()| out.into());
        Self { pg: V::TYPE, value }
    }
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
        path: FieldPath,
        property: u16,
        operator: Operator,
        value: Bound,
    },
    Between {
        path: FieldPath,
        property: u16,
        low: Bound,
        high: Bound,
    },
    /// A column, or the foreign key of a to-one relation, is (not) NULL.
    Null {
        path: FieldPath,
        property: u16,
        is_null: bool,
    },
    /// The entity at the end of the path has one of these keys.
    Key {
        path: FieldPath,
        keys: Vec<Key>,
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

/// `User.posts.title`
struct Field<'a>(&'a FieldPath, u16);

impl fmt::Display for Field<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)?;
        let mut meta = self.0.start();
        for hop in self.0.hops() {
            let relation = meta.properties.get(usize::from(*hop)).and_then(crate::metadata::PropertyMeta::as_relation);
            let Some(relation) = relation else { return Ok(()) };
            meta = (relation.target)();
        }
        match meta.properties.get(usize::from(self.1)) {
            Some(property) => write!(f, ".{}", property.name),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All(list) => Self::list(f, list, "and", "true"),
            Self::Any(list) => Self::list(f, list, "or", "false"),
            Self::Not(inner) => write!(f, "not {inner:?}"),
            Self::Compare { path, property, operator, .. } => {
                write!(f, "{} {} ?", Field(path, *property), operator.symbol())
            }
            Self::Between { path, property, .. } => write!(f, "{} between ? and ?", Field(path, *property)),
            Self::Null { path, property, is_null } => {
                write!(f, "{} is {}null", Field(path, *property), if *is_null { "" } else { "not " })
            }
            Self::Key { path, keys } => match keys.as_slice() {
                [key] => write!(f, "{path:?}#{key}"),
                keys => write!(f, "{path:?} is one of {} keys", keys.len()),
            },
            Self::Quantified { path, property, quantifier, inner } => {
                write!(f, "{:?} {} with {inner:?}", quantifier, Field(path, *property))
            }
        }
    }
}

/// One term of an `ORDER BY`, untyped.
#[derive(Clone, Debug)]
pub(crate) struct OrderTerm {
    pub(crate) path: FieldPath,
    pub(crate) property: u16,
    pub(crate) descending: bool,
    pub(crate) nulls_first: Option<bool>,
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
