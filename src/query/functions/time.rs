//! Functions of days and points in time. They count in UTC, whatever the time zone of the session is.

use chrono::TimeDelta;

use super::super::condition::Condition;
use super::super::expr::Expr;
use crate::entity::Entity;
use crate::metadata::ColumnType;
use crate::sql::{Bound, Expression, Term};
use crate::types::TemporalType;

/// A part of a date or time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DatePart {
    /// The year.
    Year,
    /// The quarter, 1 to 4.
    Quarter,
    /// The month, 1 to 12.
    Month,
    /// The week; extracted, its number in the year by ISO 8601. It starts on Monday.
    Week,
    /// The day of the month.
    Day,
    /// The day of the week, Monday 1 to Sunday 7. Truncated to, as [`Day`](Self::Day).
    DayOfWeek,
    /// The day of the year, from 1. Truncated to, as [`Day`](Self::Day).
    DayOfYear,
    /// The hour.
    Hour,
    /// The minute.
    Minute,
    /// The second, whole.
    Second,
}

impl DatePart {
    const fn field(self) -> &'static str {
        match self {
            Self::Year => "year",
            Self::Quarter => "quarter",
            Self::Month => "month",
            Self::Week => "week",
            Self::Day => "day",
            Self::DayOfWeek => "isodow",
            Self::DayOfYear => "doy",
            Self::Hour => "hour",
            Self::Minute => "minute",
            Self::Second => "second",
        }
    }

    const fn unit(self) -> &'static str {
        match self {
            Self::DayOfWeek | Self::DayOfYear => "day",
            other => other.field(),
        }
    }
}

/// Functions of days and points in time.
impl<R: Entity, V: ColumnType> Expr<R, V>
where
    V::Operand: TemporalType,
{
    fn timestamp(&self) -> Term {
        let (before, behind) = V::Operand::AS_TIMESTAMP;
        Term::template(&[before, behind], [self.term.clone()])
    }

    /// The start of the year, month, … that it lies in, in UTC.
    pub fn date_trunc(&self, part: DatePart) -> Expr<R, V> {
        let (before, behind) = V::Operand::FROM_TIMESTAMP;
        let call = format!("{before}date_trunc('{}', ", part.unit());
        Expr::new(Term::template(&[&call, &format!("){behind}")], [self.timestamp()]))
    }

    /// The year, month, … of it, in UTC. NULL of an infinite one, except the year, which is an error of the server.
    pub fn extract(&self, part: DatePart) -> Expr<R, V::With<i32>> {
        let call = format!("floor(date_part('{}', ", part.field());
        Expr::new(Term::template(&[&call, "))::int4"], [self.timestamp()]))
    }

    /// So much later: an exact time, no months or years. A date moves by whole days.
    pub fn plus(&self, duration: TimeDelta) -> Expr<R, V> {
        self.moved("+", duration)
    }

    /// So much earlier: an exact time, no months or years. A date moves by whole days.
    pub fn minus(&self, duration: TimeDelta) -> Expr<R, V> {
        self.moved("-", duration)
    }

    fn moved(&self, sign: &str, duration: TimeDelta) -> Expr<R, V> {
        let (before, behind) = V::Operand::FROM_TIMESTAMP;
        // Whole milliseconds and the rest: together more digits than a float has.
        let milliseconds = Term::Bound(Bound::one(&duration.num_milliseconds()));
        let microseconds = Term::Bound(Bound::one(&(i64::from(duration.subsec_nanos()) / 1000 % 1000)));
        let (milli, micro) = (" * interval '1 millisecond' + ", " * interval '1 microsecond')");
        let texts = [&format!("{before}("), &format!(" {sign} ("), milli, &format!("{micro}){behind}")];
        Expr::new(Term::template(&texts, [self.timestamp(), milliseconds, microseconds]))
    }

    /// The year, in UTC.
    pub fn year(&self) -> Expr<R, V::With<i32>> {
        self.extract(DatePart::Year)
    }

    /// The month, 1 to 12, in UTC.
    pub fn month(&self) -> Expr<R, V::With<i32>> {
        self.extract(DatePart::Month)
    }

    /// The day of the month, in UTC.
    pub fn day(&self) -> Expr<R, V::With<i32>> {
        self.extract(DatePart::Day)
    }

    /// The day that it lies in, in UTC.
    pub fn date(&self) -> Expr<R, V::With<chrono::NaiveDate>> {
        Expr::new(Term::template(&["(", ")::date"], [self.timestamp()]))
    }

    /// Seconds since 1970-01-01 00:00:00 UTC.
    pub fn epoch(&self) -> Expr<R, V::With<f64>> {
        Expr::new(Term::template(&["date_part('epoch', ", ")"], [self.timestamp()]))
    }

    /// Neither `infinity` nor `-infinity`, which no chrono type can hold.
    pub fn is_finite(&self) -> Condition<R> {
        Condition::new(Expression::Holds(Term::call("isfinite", vec![self.term.clone()])))
    }
}
