//! Pages of an ordered find by the values of the row that they begin behind (keyset pagination): the condition that a row
//! stands behind another one in an order, whatever its directions, and wherever NULL stands.
//!
//! The key is the last term of every order, so that no two rows stand at the same place.

use std::fmt::Write as _;

use bytes::Bytes;

use super::condition::Writer;
use super::expression::{OrderTerm, Selection};
use super::identifier::{push_cast, push_joined, push_list};
use super::lock::push_lock;
use super::mentions::Mentions;
use super::parameter::{Param, Statement};
use super::placed::{Placed, placed};
use super::scope::Scope;
use super::select::ROOT;
use super::shape::Shape;
use super::term::Term;
use super::view::View;
use crate::error::Error;
use crate::metadata::{EntityDef, PropertyDef, SqlType};
use crate::types::{PgType, ScalarType};

/// What a row has in the columns of an order: its place among the rows.
pub(crate) type RowPlace = Vec<Option<Bytes>>;

/// A side of a place, in the order of the find.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// The rows that come later.
    After,
    /// The rows that come earlier.
    Before,
}

/// Which part of the rows a page is.
#[derive(Debug, Default)]
pub(crate) struct Window {
    pub(crate) after: Option<RowPlace>,
    pub(crate) before: Option<RowPlace>,
    /// Whether the rows are counted from the end, and come in the opposite order.
    pub(crate) backward: bool,
    pub(crate) rows: Option<u64>,
}

/// A column or an expression that rows are ordered by.
struct Sorted {
    /// `t0."name"`, `(lower(t0."name"))::text`
    text: String,
    /// What its values travel as.
    pg: PgType,
    /// What goes behind a value's parameter.
    cast: String,
    /// Whether its values travel as text, exactly as the server writes them.
    as_text: bool,
    descending: bool,
    nulls_first: bool,
    nullable: bool,
}

impl Sorted {
    fn new(column: &Placed<'_>, nullable: bool, descending: bool, nulls_first: Option<bool>) -> Self {
        Self::of(column.text.clone(), (column.pg, column.sql_type), nullable, descending, nulls_first)
    }

    fn of(
        text: String,
        (own, sql_type): (PgType, Option<&SqlType>),
        nullable: bool,
        descending: bool,
        nulls_first: Option<bool>,
    ) -> Self {
        let as_text = sql_type.is_some() || size(own).is_none();
        let mut cast = String::new();
        if as_text {
            let _ = write!(cast, "::text");
        }
        if !as_text || sql_type.is_none() {
            let _ = write!(cast, "::{}", own.name);
        }
        push_cast(&mut cast, sql_type);
        let pg = if as_text { String::TYPE } else { own };
        // As PostgreSQL orders where nothing is said.
        let nulls_first = nulls_first.unwrap_or(descending);
        Self { text, pg, cast, as_text, descending, nulls_first, nullable }
    }

    /// The same column in the opposite order.
    fn turn(&mut self) {
        self.descending = !self.descending;
        self.nulls_first = !self.nulls_first;
    }

    /// Whether rows with NULL come behind those with a value.
    const fn null_behind(&self) -> bool {
        self.nullable && !self.nulls_first
    }

    const fn behind(&self) -> &'static str {
        if self.descending { "<" } else { ">" }
    }
}

/// How many bytes a value has that travels in binary form; `None` for types that travel as text. 0 is any number.
const fn size(pg: PgType) -> Option<usize> {
    match pg.oid {
        16 => Some(1),
        21 => Some(2),
        23 | 700 | 1082 => Some(4),
        20 | 701 | 1083 | 1114 | 1184 => Some(8),
        2950 => Some(16),
        17 | 25 => Some(0),
        _ => None,
    }
}

/// The order of a find's pages.
#[derive(Debug)]
pub(crate) struct PageOrder {
    /// What tells it from other orders.
    pub(crate) description: Vec<u8>,
    columns: Vec<PgType>,
}

impl PageOrder {
    /// The order of a find, with the key behind it.
    ///
    /// # Errors
    /// [`Error::Validation`] for an order that has no place for a row.
    pub(crate) fn of(view: &View, plan: &Selection) -> Result<Self, Error> {
        let entity = view.of(plan.meta)?;
        let mut writer = Writer::new(view);
        let mut scope = Scope::new(ROOT.to_owned(), entity.index);
        let sorted = writer.sorted(&mut scope, entity, &plan.order)?;
        let mut description = format!("{}{}", entity.meta.name, scope.joins());
        for Sorted { text, pg, descending, nulls_first, .. } in &sorted {
            let _ = write!(description, ",{text}:{}:{descending}:{nulls_first}", pg.name);
        }
        let mut description = description.into_bytes();
        if plan.order.iter().any(|order| !matches!(order.term, Term::Column { .. })) {
            // Expressions are others if the values in them are.
            writer.into_params().iter().for_each(|param| param.push_bytes(&mut description));
        }
        Ok(Self { description, columns: sorted.iter().map(|column| column.pg).collect() })
    }

    /// How many columns a page has behind those of the entity: the place of each row.
    pub(crate) fn width(&self) -> usize {
        self.columns.len()
    }

    /// Whether a place has values that the columns could have.
    pub(crate) fn fits(&self, place: &RowPlace) -> bool {
        let fits = |pg: &PgType, value: &[u8]| match size(*pg) {
            Some(0) if pg.oid == String::TYPE.oid => std::str::from_utf8(value).is_ok_and(|text| !text.contains('\0')),
            Some(0) | None => true,
            Some(bytes) => value.len() == bytes,
        };
        place.len() == self.columns.len()
            && self.columns.iter().zip(place).all(|(pg, value)| value.as_ref().is_none_or(|value| fits(pg, value)))
    }
}

/// The rows of a page, each with its place behind the columns of the entity; one more than the page has, if there is one.
///
/// # Errors
/// As [`select`](super::select()).
pub(crate) fn page(view: &View, plan: &Selection, window: &Window) -> Result<Statement, Error> {
    let entity = view.of(plan.meta)?;
    let (mut list, mut joins) = (String::new(), String::new());
    let mut writer = Writer::new(view);
    Shape::of(entity).push(&mut writer, &mut list, &mut joins)?;
    let seen = writer.seen(ROOT, entity)?;
    let mut scope = Scope::new(ROOT.to_owned(), entity.index);
    let mut conditions = vec![writer.filter(&mut scope, &plan.filter)?];
    let mut sorted = writer.sorted(&mut scope, entity, &plan.order)?;
    for column in &sorted {
        let _ = write!(list, ", {}{}", column.text, if column.as_text { "::text" } else { "" });
    }
    for (place, side) in [(&window.after, Side::After), (&window.before, Side::Before)] {
        if let Some(place) = place {
            conditions.push(writer.beyond(&mut sorted, place, side, false));
        }
    }
    let mut text = format!("SELECT {list} FROM {}{joins}{}", seen.table, scope.joins());
    seen.push_where(&mut text, &conditions);
    if window.backward {
        sorted.iter_mut().for_each(Sorted::turn);
    }
    text.push_str(" ORDER BY ");
    push_list(&mut text, &sorted, |text, column| {
        text.push_str(&column.text);
        if column.descending {
            text.push_str(" DESC");
        }
        if column.nulls_first != column.descending {
            text.push_str(if column.nulls_first { " NULLS FIRST" } else { " NULLS LAST" });
        }
    });
    if let Some(rows) = window.rows {
        let _ = write!(text, " LIMIT {}", writer.bind_count(rows.saturating_add(1)));
    }
    if let Some(lock) = plan.lock {
        push_lock(&mut text, lock, ROOT);
    }
    Ok(writer.statement(text))
}

/// Whether there is a row at a place or on this side of it.
///
/// # Errors
/// As [`select`](super::select()).
pub(crate) fn exists_beyond(view: &View, plan: &Selection, place: &RowPlace, side: Side) -> Result<Statement, Error> {
    let entity = view.of(plan.meta)?;
    let mut writer = Writer::new(view);
    let seen = writer.seen(ROOT, entity)?;
    let mut scope = Scope::new(ROOT.to_owned(), entity.index);
    let mut conditions = vec![writer.filter(&mut scope, &plan.filter)?];
    let mut sorted = writer.sorted(&mut scope, entity, &plan.order)?;
    conditions.push(writer.beyond(&mut sorted, place, side, true));
    let mut text = format!("SELECT EXISTS (SELECT 1 FROM {}{}", seen.table, scope.joins());
    seen.push_where(&mut text, &conditions);
    text.push(')');
    Ok(writer.statement(text))
}

impl Writer<'_> {
    /// The columns of an order, with the key behind them.
    fn sorted(&mut self, scope: &mut Scope, entity: &EntityDef, terms: &[OrderTerm]) -> Result<Vec<Sorted>, Error> {
        let mut sorted: Vec<Sorted> = Vec::new();
        for term in terms {
            let OrderTerm { term: Term::Column { path, property }, descending, nulls_first, .. } = term else {
                sorted.push(self.sorted_term(scope, entity, term)?);
                continue;
            };
            let columns = self.locate(scope, path, *property)?.columns;
            // What a LEFT JOIN has not found is NULL.
            let nullable = !path.hops().is_empty()
                || match entity.properties.get(usize::from(*property)) {
                    Some(PropertyDef::Column(column)) => column.meta.nullable,
                    Some(PropertyDef::Relation(relation)) => relation.meta.nullable || !relation.is_owning_to_one(),
                    None => true,
                };
            sorted.extend(columns.iter().map(|column| Sorted::new(column, nullable, *descending, *nulls_first)));
        }
        // In the direction of the last term, so that one index can serve both.
        let descending = sorted.last().is_some_and(|last| last.descending);
        for column in placed(ROOT, &entity.key) {
            if !sorted.iter().any(|other| other.text == column.text) {
                sorted.push(Sorted::new(&column, false, descending, None));
            }
        }
        Ok(sorted)
    }

    /// An expression in an order: as the type of its values, so that these can be given back to the server.
    fn sorted_term(&mut self, scope: &mut Scope, entity: &EntityDef, order: &OrderTerm) -> Result<Sorted, Error> {
        let OrderTerm { term, descending, nulls_first, values } = order;
        let refused = |message: &str| Err(Error::validation(entity.meta.name, message.to_owned()));
        let Some(values) = values else {
            return refused(
                "a page by cursor has to know the type of what it is ordered by, which SQL by hand does not say: \
                 raw(…).as_::<i32>().asc()",
            );
        };
        if term.has_window() {
            return refused(
                "a page by cursor cannot be ordered by a window function: which value a row has there depends on the \
                 rows around it, and these are not those of one page",
            );
        }
        let text = self.term(scope, term)?;
        if let Some(moving) = Mentions::of(&text).moving() {
            return refused(&format!(
                "a page by cursor cannot be ordered by what changes by itself, and {moving} does: a row would have left its \
                 place when the next page is asked for. Bind a value instead"
            ));
        }
        let like = self.like(term);
        let sql_type = like.filter(|like| like.pg.oid == values.pg.oid).and_then(|like| like.sql_type);
        let text = match sql_type {
            Some(_) => format!("({text})"),
            None => format!("({text})::{}", values.pg.name),
        };
        let nullable = values.nullable || term.may_be_missing();
        Ok(Sorted::of(text, (values.pg, sql_type), nullable, *descending, *nulls_first))
    }

    /// The condition that a row stands on one side of a place, or at it, too.
    fn beyond(&mut self, sorted: &mut [Sorted], place: &RowPlace, side: Side, or_at: bool) -> String {
        if side == Side::Before {
            sorted.iter_mut().for_each(Sorted::turn);
        }
        let condition = self.written_behind(sorted, place, or_at);
        if side == Side::Before {
            sorted.iter_mut().for_each(Sorted::turn);
        }
        condition
    }

    fn written_behind(&mut self, sorted: &[Sorted], place: &RowPlace, or_at: bool) -> String {
        let values: Vec<Option<String>> =
            sorted.iter().zip(place).map(|(column, v)| self.bind_place(column, v)).collect();
        let equal = if or_at { "=" } else { "" };
        let first = sorted.first();
        let is_plain = |column: &Sorted| !column.nullable && first.is_some_and(|f| f.descending == column.descending);
        if sorted.iter().all(is_plain) && values.iter().all(Option::is_some) {
            // Which an index on the columns answers as a whole.
            let mut out = "(".to_owned();
            push_list(&mut out, sorted, |out, column| out.push_str(&column.text));
            let _ = write!(out, ") {}{equal} (", first.map_or(">", Sorted::behind));
            push_list(&mut out, values.iter().flatten(), |out, value| out.push_str(value));
            out.push(')');
            return out;
        }
        // Equal in the columns before, and behind in one.
        let mut before = String::new();
        let mut alternatives = Vec::new();
        for (column, value) in sorted.iter().zip(&values) {
            let text = &column.text;
            let (is_behind, is_equal) = match value {
                Some(value) if column.null_behind() => {
                    let compared = format!("({text} {} {value} OR {text} IS NULL)", column.behind());
                    (Some(compared), format!("{text} = {value}"))
                }
                Some(value) => (Some(format!("{text} {} {value}", column.behind())), format!("{text} = {value}")),
                None if column.nulls_first => (Some(format!("{text} IS NOT NULL")), format!("{text} IS NULL")),
                None => (None, format!("{text} IS NULL")),
            };
            alternatives.extend(is_behind.map(|is_behind| format!("{before}{is_behind}")));
            let _ = write!(before, "{is_equal} AND ");
        }
        if or_at {
            alternatives.push(before.trim_end_matches(" AND ").to_owned());
        }
        if alternatives.is_empty() {
            return "FALSE".to_owned();
        }
        let mut out = String::new();
        // Which an index on the first column answers.
        if let (Some(column), Some(Some(value))) = (first.filter(|column| !column.null_behind()), values.first()) {
            let _ = write!(out, "{} {}= {value} AND ", column.text, column.behind());
        }
        out.push('(');
        push_joined(&mut out, " OR ", alternatives, |out, alternative| out.push_str(&alternative));
        out.push(')');
        out
    }

    /// Binds the value of a place; `None` is NULL.
    fn bind_place(&mut self, column: &Sorted, value: &Option<Bytes>) -> Option<String> {
        let value = value.clone()?;
        let number = self.bind_param(Param::One(column.pg, Some(value)));
        Some(format!("${number}{}", column.cast))
    }
}
