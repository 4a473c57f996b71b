//! Window functions: a value for each row, computed from rows around it.

use std::fmt;
use std::marker::PhantomData;

use super::expr::Expr;
use super::order::IntoOrder;
use super::selectable::{Selectable, terms_of};
use crate::entity::Entity;
use crate::metadata::ColumnType;
use crate::sql::{Bound, OrderTerm, Term, WindowCall};

/// Which rows a window function looks at: `OVER (PARTITION BY … ORDER BY … ROWS BETWEEN … AND …)`.
pub struct WindowSpec<R: Entity> {
    partition: Vec<Term>,
    order: Vec<OrderTerm>,
    frame: Option<String>,
    root: PhantomData<fn() -> R>,
}

impl<R: Entity> WindowSpec<R> {
    const fn new() -> Self {
        Self { partition: Vec::new(), order: Vec::new(), frame: None, root: PhantomData }
    }

    /// Only the rows that have the same values: one column or expression, or a tuple.
    #[must_use]
    pub fn partition_by(mut self, values: impl Selectable<R>) -> Self {
        self.partition.extend(terms_of(values));
        self
    }

    /// In which order the rows are looked at. With an order, aggregates are of the rows up to the current one.
    #[must_use]
    pub fn order_by(mut self, order: impl IntoOrder<R>) -> Self {
        order.push_terms(&mut self.order);
        self
    }

    /// The rows from one place to another: `ROWS BETWEEN … AND …`.
    #[must_use]
    pub fn rows(self, from: FrameBound, to: FrameBound) -> Self {
        self.framed("ROWS", from, to)
    }

    /// The rows with values from one place to another: `RANGE BETWEEN … AND …`.
    #[must_use]
    pub fn range(self, from: FrameBound, to: FrameBound) -> Self {
        self.framed("RANGE", from, to)
    }

    /// The groups of equal rows from one place to another: `GROUPS BETWEEN … AND …`.
    #[must_use]
    pub fn groups(self, from: FrameBound, to: FrameBound) -> Self {
        self.framed("GROUPS", from, to)
    }

    fn framed(mut self, unit: &str, from: FrameBound, to: FrameBound) -> Self {
        self.frame = Some(format!("{unit} BETWEEN {from} AND {to}"));
        self
    }
}

impl<R: Entity> fmt::Debug for WindowSpec<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WindowSpec").field("partition", &self.partition).field("order", &self.order).finish()
    }
}

/// One end of a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameBound {
    /// The first row.
    UnboundedPreceding,
    /// So many rows (or values, or groups) before the current one.
    Preceding(u32),
    /// The current row.
    CurrentRow,
    /// So many rows (or values, or groups) behind the current one.
    Following(u32),
    /// The last row.
    UnboundedFollowing,
}

impl fmt::Display for FrameBound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnboundedPreceding => f.write_str("UNBOUNDED PRECEDING"),
            Self::Preceding(count) => write!(f, "{count} PRECEDING"),
            Self::CurrentRow => f.write_str("CURRENT ROW"),
            Self::Following(count) => write!(f, "{count} FOLLOWING"),
            Self::UnboundedFollowing => f.write_str("UNBOUNDED FOLLOWING"),
        }
    }
}

/// A function that needs a window: call [`over`](Self::over).
#[must_use = "say over which rows: over(|w| w.order_by(…))"]
pub struct WindowFunction<R: Entity, V> {
    function: Term,
    types: PhantomData<fn() -> (R, V)>,
}

impl<R: Entity, V> WindowFunction<R, V> {
    const fn new(function: Term) -> Self {
        Self { function, types: PhantomData }
    }

    /// Over which rows: `OVER (PARTITION BY … ORDER BY …)`.
    pub fn over(self, window: impl FnOnce(WindowSpec<R>) -> WindowSpec<R>) -> Expr<R, V> {
        over(self.function, window)
    }
}

impl<R: Entity, V> fmt::Debug for WindowFunction<R, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.function.fmt(f)
    }
}

pub(super) fn over<R: Entity, V>(function: Term, window: impl FnOnce(WindowSpec<R>) -> WindowSpec<R>) -> Expr<R, V> {
    let WindowSpec { partition, order, frame, .. } = window(WindowSpec::new());
    Expr::new(Term::Window(Box::new(WindowCall { function, partition, order, frame })))
}

macro_rules! without_arguments {
    ($($(#[$doc:meta])* $name:ident: $type:ty;)*) => {$(
        $(#[$doc])*
        pub fn $name<R: Entity>() -> WindowFunction<R, $type> {
            WindowFunction::new(Term::call(stringify!($name), Vec::new()))
        }
    )*};
}

without_arguments! {
    /// The number of the row, from 1.
    row_number: i64;
    /// The rank of the row, from 1; equal rows have the same, and leave gaps behind them.
    rank: i64;
    /// The rank of the row, from 1; equal rows have the same, and leave no gaps.
    dense_rank: i64;
    /// The rank of the row, from 0 to 1.
    percent_rank: f64;
    /// Which part of the rows is not behind this one, up to 1.
    cume_dist: f64;
}

/// The rows in so many parts of the same size: the part of the row, from 1.
pub fn ntile<R: Entity>(parts: i32) -> WindowFunction<R, i32> {
    WindowFunction::new(Term::call("ntile", vec![Term::Bound(Bound::one(&parts))]))
}

/// Values of other rows of a window.
impl<R: Entity, V: ColumnType> Expr<R, V> {
    fn elsewhere(&self, function: &'static str, number: Option<i32>) -> WindowFunction<R, Option<V::Operand>> {
        let number = number.map(|number| Term::Bound(Bound::one(&number)));
        WindowFunction::new(Term::call(function, [self.term.clone()].into_iter().chain(number).collect()))
    }

    /// The value of the row so many places before the current one; NULL if there is none.
    pub fn lag(&self, rows: i32) -> WindowFunction<R, Option<V::Operand>> {
        self.elsewhere("lag", Some(rows))
    }

    /// The value of the row so many places behind the current one; NULL if there is none.
    pub fn lead(&self, rows: i32) -> WindowFunction<R, Option<V::Operand>> {
        self.elsewhere("lead", Some(rows))
    }

    /// The value of the window's first row.
    pub fn first_value(&self) -> WindowFunction<R, Option<V::Operand>> {
        self.elsewhere("first_value", None)
    }

    /// The value of the window's last row. With an order and no frame, that is the current row.
    pub fn last_value(&self) -> WindowFunction<R, Option<V::Operand>> {
        self.elsewhere("last_value", None)
    }

    /// The value of the window's row with this number, from 1; NULL if there is none.
    pub fn nth_value(&self, number: i32) -> WindowFunction<R, Option<V::Operand>> {
        self.elsewhere("nth_value", Some(number))
    }
}
