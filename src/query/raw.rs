//! SQL that is written by hand, as a condition, an expression or an order.

use super::column::Column;
use super::condition::{Condition, IntoCondition};
use super::expr::Expr;
use super::order::Order;
use crate::entity::Entity;
use crate::metadata::ColumnType;
use crate::metadata::lexer::{Token, ends_in_comment, token};
use crate::sql::{Bound, Expression, Piece, Term};
use crate::types::ScalarType;

/// A piece of SQL, made by [`raw`].
#[derive(Clone, Debug)]
#[must_use = "use it as a condition, as an expression with as_(), or as an order with asc() or desc()"]
pub struct Raw<R: Entity> {
    expr: Expr<R, ()>,
}

/// SQL that is written by hand, with `?` for arguments: `raw("char_length(?) > ?", (u.username(), 3))`.
///
/// Arguments are a tuple, an array or a `Vec`. Values are bound, never written into the text; columns and expressions become
/// what they are in this query, with the right alias, over relations as well. `??` and `\?` stand for a question mark, the
/// operator of `jsonb`; in quotes, comments and dollar quotes a question mark is a question mark. A value is bound as the
/// type that its Rust type has (`i32` as `int4`).
///
/// It is a condition where one is expected; [`as_`](Raw::as_) makes it an expression of a type, [`asc`](Raw::asc) and
/// [`desc`](Raw::desc) an order. That the SQL is right, and of that type, is the caller's word; that there are as many
/// arguments as placeholders is checked when the query runs ([`Error::Validation`](crate::Error::Validation)).
pub fn raw<R: Entity>(sql: impl AsRef<str>, arguments: impl RawArguments<R>) -> Raw<R> {
    let mut terms = Vec::new();
    arguments.push_terms(&mut terms);
    Raw { expr: Expr::new(parse(sql.as_ref(), terms)) }
}

impl<R: Entity> Raw<R> {
    /// An expression of this type, `Option<…>` if it may be NULL.
    pub fn as_<V: ColumnType>(self) -> Expr<R, V> {
        Expr::new(self.into_operand())
    }

    /// The SQL in parentheses: whatever operators it has, it is one operand of those around it.
    fn into_operand(self) -> Term {
        Term::template(&["(", ")"], [self.expr.term])
    }

    /// A condition.
    #[must_use]
    pub fn condition(self) -> Condition<R> {
        Condition::new(Expression::Holds(self.expr.term))
    }

    /// Smallest first; NULL last.
    pub fn asc(self) -> Order<R> {
        Order::new(self.expr.term, false, None)
    }

    /// Greatest first; NULL first.
    pub fn desc(self) -> Order<R> {
        Order::new(self.expr.term, true, None)
    }
}

impl<R: Entity> IntoCondition<R> for Raw<R> {
    fn into_condition(self) -> Condition<R> {
        self.condition()
    }
}

/// What can stand for a `?`: a value, an `Option` of one, a column or an expression, a condition.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be an argument of raw SQL",
    label = "expected a value that can be bound, or a column or expression of `{R}`"
)]
pub trait IntoRawArgument<R: Entity> {
    #[doc(hidden)]
    #[allow(private_interfaces, reason = "only this crate calls it")]
    fn into_term(self) -> Term;
}

macro_rules! argument {
    ($([$($generic:tt)*] $type:ty: $value:ident => $term:expr;)*) => {$(
        impl<$($generic)*> IntoRawArgument<R> for $type {
            #[allow(private_interfaces, reason = "only this crate calls it")]
            fn into_term(self) -> Term {
                let $value = self;
                $term
            }
        }
    )*};
}

argument! {
    [R: Entity, V: ScalarType] V: value => Term::Bound(Bound::one(&value));
    [R: Entity] &str: value => Term::Bound(Bound::one(&value.to_owned()));
    [R: Entity, V: ScalarType] Option<V>: value => {
        Term::Bound(value.map_or(Bound::null(V::TYPE), |value| Bound::one(&value)))
    };
    [R: Entity, V] Expr<R, V>: value => value.term;
    [R: Entity, V] &Expr<R, V>: value => value.term.clone();
    [R: Entity, V] Column<R, V>: value => value.into_expr().term;
    [R: Entity, V] &Column<R, V>: value => value.term.clone();
    [R: Entity] Raw<R>: value => value.into_operand();
    [R: Entity] Condition<R>: value => Term::Condition(Box::new(value.expression));
}

/// Borrowed values. Not of every type at once: the compiler takes it that a type of yours might be one behind `&`.
macro_rules! borrowed_argument {
    ($($type:ty)*) => {$(
        impl<R: Entity> IntoRawArgument<R> for &$type {
            #[allow(private_interfaces, reason = "only this crate calls it")]
            fn into_term(self) -> Term {
                Term::Bound(Bound::one(self))
            }
        }
    )*};
}

borrowed_argument! {
    bool i16 i32 i64 f32 f64 String Vec<u8> uuid::Uuid chrono::DateTime<chrono::Utc> chrono::NaiveDateTime
    chrono::NaiveDate chrono::NaiveTime serde_json::Value Vec<i16> Vec<i32> Vec<i64> Vec<String> Vec<uuid::Uuid>
}

/// The arguments of raw SQL: `()`, a tuple of up to eight, an array or a `Vec`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no list of arguments of raw SQL",
    label = "expected a tuple, an array or a Vec: `(5,)` or `[5]` for one argument"
)]
pub trait RawArguments<R: Entity> {
    #[doc(hidden)]
    #[allow(private_interfaces, reason = "only this crate calls it")]
    fn push_terms(self, terms: &mut Vec<Term>);
}

impl<R: Entity> RawArguments<R> for () {
    #[allow(private_interfaces, reason = "only this crate calls it")]
    fn push_terms(self, _: &mut Vec<Term>) {}
}

impl<R: Entity, A: IntoRawArgument<R>, const N: usize> RawArguments<R> for [A; N] {
    #[allow(private_interfaces, reason = "only this crate calls it")]
    fn push_terms(self, terms: &mut Vec<Term>) {
        terms.extend(self.into_iter().map(IntoRawArgument::into_term));
    }
}

impl<R: Entity, A: IntoRawArgument<R>> RawArguments<R> for Vec<A> {
    #[allow(private_interfaces, reason = "only this crate calls it")]
    fn push_terms(self, terms: &mut Vec<Term>) {
        terms.extend(self.into_iter().map(IntoRawArgument::into_term));
    }
}

macro_rules! arguments {
    ($($name:ident),*) => {
        impl<R: Entity, $($name: IntoRawArgument<R>),*> RawArguments<R> for ($($name,)*) {
            #[allow(non_snake_case, reason = "the type parameters name the tuple's fields")]
            #[allow(private_interfaces, reason = "only this crate calls it")]
            fn push_terms(self, terms: &mut Vec<Term>) {
                let ($($name,)*) = self;
                $(terms.push($name.into_term());)*
            }
        }
    };
}

arguments!(A);
arguments!(A, B);
arguments!(A, B, C);
arguments!(A, B, C, D);
arguments!(A, B, C, D, E);
arguments!(A, B, C, D, E, F);
arguments!(A, B, C, D, E, F, G);
arguments!(A, B, C, D, E, F, G, H);

/// Puts the terms where the placeholders are.
fn parse(sql: &str, terms: Vec<Term>) -> Term {
    let (mut pieces, mut text) = (Vec::new(), String::new());
    let (given, mut wanted) = (terms.len(), 0);
    let mut terms = terms.into_iter();
    let mut rest = sql;
    while let Some((found, length)) = token(rest) {
        if let Some(behind) = rest.strip_prefix("??").or_else(|| rest.strip_prefix("\\?")) {
            text.push('?');
            rest = behind;
            continue;
        }
        let (piece, behind) = rest.split_at(length);
        rest = behind;
        if found == Token::Parameter {
            return Term::Invalid(format!("the placeholder of raw SQL is ?, not {piece}"));
        }
        if (found, piece) != (Token::Other, "?") {
            text.push_str(piece);
            continue;
        }
        wanted += 1;
        pieces.push(Piece::Text(std::mem::take(&mut text)));
        pieces.extend(terms.next().map(Piece::Term));
    }
    if wanted != given {
        return Term::Invalid(format!(
            "the raw SQL {sql:?} has {wanted} placeholders (?) and {given} arguments; a question mark is written ??"
        ));
    }
    // What stands behind it is none of a comment that it ends with.
    if ends_in_comment(sql) {
        text.push('\n');
    }
    pieces.push(Piece::Text(text));
    Term::Raw(pieces)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(sql: &str, count: usize) -> String {
        let terms = (1..=count).map(|number| Term::Invalid(format!("<{number}>"))).collect();
        format!("{:?}", parse(sql, terms))
    }

    #[test]
    fn placeholders_take_the_arguments_in_order() {
        assert_eq!(shown("a = ? and b between ? and ?", 3), "a = <1> and b between <2> and <3>");
        assert_eq!(shown("?", 1), "<1>");
        assert_eq!(shown("true", 0), "true");
        assert_eq!(shown("ü?é", 1), "ü<1>é");
    }

    #[test]
    fn a_question_mark_that_is_none_is_doubled_or_escaped_or_quoted() {
        assert_eq!(shown(r"a ?? ? and b \? ?", 2), "a ? <1> and b ? <2>");
        assert_eq!(shown("'?''?' || \"a?\" || ?", 1), "'?''?' || \"a?\" || <1>");
        assert_eq!(shown("a -- why?\n = ?", 1), "a -- why?\n = <1>");
        assert_eq!(shown("a /* why? */ = ?", 1), "a /* why? */ = <1>");
        assert_eq!(shown(r"E'\'?' || ? || 'a'", 1), r"E'\'?' || <1> || 'a'");
        assert_eq!(shown("a /* /* ? */ ? */ = ?", 1), "a /* /* ? */ ? */ = <1>");
        assert_eq!(shown("a = ? -- why?", 1), "a = <1> -- why?\n");
        assert_eq!(shown("$$?$$ || $tag$ ? $$ ? $tag$ || ?", 1), "$$?$$ || $tag$ ? $$ ? $tag$ || <1>");
    }

    #[test]
    fn a_wrong_number_of_arguments_is_noted() {
        for (sql, count) in [("a = ?", 0), ("a = ?", 2), ("'?'", 1), ("a", 1), ("a = '?", 1)] {
            assert!(matches!(parse(sql, vec![Term::Invalid(String::new()); count]), Term::Invalid(_)), "{sql}");
        }
        assert!(shown("a = $1", 0).contains("is ?, not $1"));
    }
}
