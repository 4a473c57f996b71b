//! A value that SQL computes, without its type: a column, a bound value, or what functions, operators, aggregates and
//! sub-queries make of them. Conditions compare terms, orders sort by them, select lists consist of them.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

use super::expression::{Expression, OrderTerm, Selection};
use super::query::{SelectList, SelectQuery};
use crate::entity::FieldPath;
use crate::types::{ConversionError, PgType, ScalarType};

/// A value to bind, in its binary form.
#[derive(Clone, Debug)]
pub(crate) struct Bound {
    pub(crate) pg: PgType,
    /// `None` is NULL. A value that PostgreSQL cannot hold is reported when the query runs.
    pub(crate) value: Result<Option<Bytes>, ConversionError>,
}

impl Bound {
    /// One value.
    pub(crate) fn one<V: ScalarType>(value: &V) -> Self {
        let mut out = Vec::new();
        let value = value.encode(&mut out).map(|()| Some(out.into()));
        Self { pg: V::TYPE, value }
    }

    /// NULL.
    pub(crate) const fn null(pg: PgType) -> Self {
        Self { pg, value: Ok(None) }
    }
}

/// A value that SQL computes.
#[derive(Clone)]
pub(crate) enum Term {
    /// A column at the end of a path; of a to-one relation, its foreign key.
    Column {
        path: FieldPath,
        property: u16,
    },
    /// The key of the entity at the end of a path.
    Key(FieldPath),
    Bound(Bound),
    /// `function(argument, …)`
    Call {
        function: &'static str,
        arguments: Vec<Self>,
        /// Whether the arguments and the result are all of one type.
        uniform: bool,
    },
    /// `(left operator right)`
    Infix {
        operator: &'static str,
        left: Box<Self>,
        right: Box<Self>,
    },
    /// `(term)::type`
    Cast {
        term: Box<Self>,
        to: &'static str,
    },
    /// Text that was written by hand, and the terms between it.
    Raw(Vec<Piece>),
    /// `(a, b, …)`
    Row(Vec<Self>),
    /// Rows of values, each position as one array: `(SELECT … FROM unnest(…))`.
    Rows(Vec<Bound>),
    /// Text as a `tsvector`, by a text search configuration.
    TextVector {
        configuration: Option<String>,
        term: Box<Self>,
    },
    /// The name of a text search configuration: `'english'::regconfig`.
    Configuration(String),
    /// What a caller got wrong: an error when the query runs.
    Invalid(String),
    /// `(SELECT column FROM …)`
    Subquery(Arc<SubSelect>),
    Aggregate(Box<Aggregate>),
    /// A condition as a value: true, false or NULL.
    Condition(Box<Expression>),
    /// `CASE WHEN … THEN … ELSE … END`
    Case {
        branches: Vec<(Expression, Self)>,
        otherwise: Option<Box<Self>>,
    },
    /// A term of the query around a sub-query.
    Outer(Box<Self>),
    /// A column of a sub-query in the FROM list: which one, and at which position. Of [`OWN`], in an order: a column of the
    /// result.
    Output {
        source: u32,
        column: usize,
    },
    /// `(SELECT …)`
    Query(Arc<SelectQuery>),
    Window(Box<WindowCall>),
}

/// The number of the result itself, where terms speak of columns of sub-queries.
pub(crate) const OWN: u32 = u32::MAX;

/// A function over a window of rows: `function OVER (PARTITION BY … ORDER BY …)`.
#[derive(Clone)]
pub(crate) struct WindowCall {
    pub(crate) function: Term,
    pub(crate) partition: Vec<Term>,
    pub(crate) order: Vec<OrderTerm>,
    /// `ROWS BETWEEN … AND …`
    pub(crate) frame: Option<String>,
}

/// A piece of raw SQL.
#[derive(Clone)]
pub(crate) enum Piece {
    Text(String),
    Term(Term),
}

/// An aggregate function. If its arguments lead over a to-many relation (or `rows` does), it aggregates the related rows of
/// each row; otherwise the rows of the query.
#[derive(Clone)]
pub(crate) struct Aggregate {
    pub(crate) function: &'static str,
    /// None of them is written `*`.
    pub(crate) arguments: Vec<Term>,
    pub(crate) distinct: bool,
    pub(crate) filter: Option<Expression>,
    pub(crate) order: Vec<OrderTerm>,
    /// The relation whose rows are aggregated, where no argument says it.
    pub(crate) rows: Option<FieldPath>,
}

impl Aggregate {
    /// An aggregate without options.
    pub(crate) const fn new(function: &'static str, arguments: Vec<Term>) -> Self {
        Self { function, arguments, distinct: false, filter: None, order: Vec::new(), rows: None }
    }
}

/// A query as an operand.
#[derive(Clone, Debug)]
pub(crate) struct SubSelect {
    pub(crate) selection: Selection,
    /// None of them is written `1`: only whether there are rows matters.
    pub(crate) columns: Vec<Term>,
    pub(crate) distinct: bool,
}

impl Term {
    /// A function.
    pub(crate) const fn call(function: &'static str, arguments: Vec<Self>) -> Self {
        Self::Call { function, arguments, uniform: false }
    }

    /// A function whose result is of the type of its arguments.
    pub(crate) const fn uniform(function: &'static str, arguments: Vec<Self>) -> Self {
        Self::Call { function, arguments, uniform: true }
    }

    /// An operator between two terms.
    pub(crate) fn infix(left: Self, operator: &'static str, right: Self) -> Self {
        Self::Infix { operator, left: Box::new(left), right: Box::new(right) }
    }

    /// The term cast to a type.
    pub(crate) fn cast(self, to: &'static str) -> Self {
        Self::Cast { term: Box::new(self), to }
    }

    /// Terms between pieces of text: `template(&["(", " + 1)"], [term])`.
    pub(crate) fn template(texts: &[&str], terms: impl IntoIterator<Item = Self>) -> Self {
        let mut pieces = Vec::new();
        let mut terms = terms.into_iter();
        for text in texts {
            pieces.push(Piece::Text((*text).to_owned()));
            pieces.extend(terms.next().map(Piece::Term));
        }
        Self::Raw(pieces)
    }

    /// Whether both are one column, at the end of the same path.
    pub(crate) fn is_same_column(&self, other: &Self) -> bool {
        let (Self::Column { path, property }, Self::Column { path: other, property: same }) = (self, other) else {
            return false;
        };
        property == same
            && path.source() == other.source()
            && path.hops() == other.hops()
            && std::ptr::eq(path.start(), other.start())
    }

    /// Whether it is a query, which may have many rows.
    pub(crate) const fn is_query(&self) -> bool {
        matches!(self, Self::Subquery(_) | Self::Query(_))
    }

    /// The column, of an entity or of a query, whose type the term has, if it is known to be that of a column.
    pub(crate) fn exemplar(&self) -> Option<&Self> {
        match self {
            Self::Column { .. } | Self::Output { .. } => Some(self),
            Self::Call { arguments, uniform: true, .. } => arguments.iter().find_map(Self::exemplar),
            Self::Aggregate(aggregate) if matches!(aggregate.function, "min" | "max") => {
                aggregate.arguments.iter().find_map(Self::exemplar)
            }
            Self::Case { branches, otherwise } => {
                let branches = branches.iter().map(|(_, term)| term);
                branches.chain(otherwise.as_deref()).find_map(Self::exemplar)
            }
            Self::Outer(term) => term.exemplar(),
            Self::Subquery(select) => select.columns.first().and_then(Self::exemplar),
            Self::Query(query) => match &query.list {
                SelectList::Terms(terms) => terms.first().and_then(|selected| selected.term.exemplar()),
                SelectList::Entity | SelectList::Keys | SelectList::Projection(_) => None,
            },
            Self::Window(window) => window.function.exemplar(),
            _ => None,
        }
    }

    /// Whether a window function is part of it.
    pub(crate) fn has_window(&self) -> bool {
        match self {
            Self::Window(_) => true,
            Self::Call { arguments, .. } | Self::Row(arguments) => arguments.iter().any(Self::has_window),
            Self::Infix { left, right, .. } => left.has_window() || right.has_window(),
            Self::Cast { term, .. } | Self::TextVector { term, .. } | Self::Outer(term) => term.has_window(),
            Self::Raw(pieces) => pieces.iter().any(|piece| matches!(piece, Piece::Term(term) if term.has_window())),
            Self::Case { branches, otherwise } => {
                branches.iter().map(|(_, term)| term).chain(otherwise.as_deref()).any(Self::has_window)
            }
            _ => false,
        }
    }

    /// Whether it may be NULL although its type says that it is not: behind a relation whose row is missing, or hidden, and
    /// where nobody but its author knows.
    pub(crate) fn may_be_missing(&self) -> bool {
        match self {
            Self::Column { path, .. } => !path.hops().is_empty(),
            Self::Bound(_) => false,
            Self::Call { arguments, .. } => arguments.iter().any(Self::may_be_missing),
            Self::Infix { left, right, .. } => left.may_be_missing() || right.may_be_missing(),
            Self::Cast { term, .. } => term.may_be_missing(),
            _ => true,
        }
    }

    /// Visits the paths whose value the term needs from the row itself: not those inside of aggregates, sub-queries and
    /// conditions, which find their rows on their own.
    pub(crate) fn each_path<'t>(&'t self, visit: &mut dyn FnMut(&'t FieldPath)) {
        match self {
            Self::Column { path, .. } | Self::Key(path) => visit(path),
            Self::Call { arguments, .. } | Self::Row(arguments) => {
                arguments.iter().for_each(|argument| argument.each_path(visit));
            }
            Self::Infix { left, right, .. } => {
                left.each_path(visit);
                right.each_path(visit);
            }
            Self::Cast { term, .. } | Self::TextVector { term, .. } => term.each_path(visit),
            Self::Raw(pieces) => pieces.iter().for_each(|piece| {
                if let Piece::Term(term) = piece {
                    term.each_path(visit);
                }
            }),
            Self::Case { branches, otherwise } => {
                branches.iter().for_each(|(_, term)| term.each_path(visit));
                otherwise.iter().for_each(|term| term.each_path(visit));
            }
            Self::Bound(_) | Self::Rows(_) | Self::Configuration(_) | Self::Invalid(_) => {}
            Self::Subquery(_) | Self::Aggregate(_) | Self::Condition(_) | Self::Outer(_) => {}
            Self::Output { .. } | Self::Query(_) | Self::Window(_) => {}
        }
    }
}

/// `User.posts.title`
pub(crate) struct Field<'a>(pub(crate) &'a FieldPath, pub(crate) u16);

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

fn list(f: &mut fmt::Formatter<'_>, terms: &[Term]) -> fmt::Result {
    f.write_str("(")?;
    for (index, term) in terms.iter().enumerate() {
        let comma = if index > 0 { ", " } else { "" };
        write!(f, "{comma}{term:?}")?;
    }
    f.write_str(")")
}

/// Fields and functions, without values.
impl fmt::Debug for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Column { path, property } => write!(f, "{}", Field(path, *property)),
            Self::Key(path) => write!(f, "{path:?}"),
            Self::Bound(_) => f.write_str("?"),
            Self::Call { function, arguments, .. } => {
                f.write_str(function)?;
                list(f, arguments)
            }
            Self::Infix { operator, left, right } => write!(f, "({left:?} {operator} {right:?})"),
            Self::Cast { term, to } => write!(f, "{term:?}::{to}"),
            Self::Raw(pieces) => pieces.iter().try_for_each(|piece| match piece {
                Piece::Text(text) => f.write_str(text),
                Piece::Term(term) => write!(f, "{term:?}"),
            }),
            Self::Row(terms) => list(f, terms),
            Self::Rows(_) => f.write_str("?"),
            Self::TextVector { term, .. } => term.fmt(f),
            Self::Configuration(text) | Self::Invalid(text) => f.write_str(text),
            Self::Subquery(select) => write!(f, "(a query of {})", select.selection.meta.name),
            Self::Aggregate(aggregate) => {
                f.write_str(aggregate.function)?;
                match &aggregate.rows {
                    Some(rows) => write!(f, "({rows:?})"),
                    None => list(f, &aggregate.arguments),
                }
            }
            Self::Condition(condition) => condition.fmt(f),
            Self::Case { .. } => f.write_str("case"),
            Self::Outer(term) => term.fmt(f),
            Self::Output { column, .. } => write!(f, "column {}", column + 1),
            Self::Query(query) => write!(f, "(a query of {})", query.selection.meta.name),
            Self::Window(window) => write!(f, "{:?} over a window", window.function),
        }
    }
}
