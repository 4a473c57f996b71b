//! Patterns of text.

use super::super::condition::Condition;
use super::super::expr::{Expr, IntoExpr};
use crate::entity::Entity;
use crate::metadata::ColumnType;
use crate::sql::{Bound, Operator, Term};
use crate::types::{Operand, TextType};

/// Text as a pattern of `LIKE` that matches nothing but itself.
pub(super) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    for character in text.chars() {
        if matches!(character, '%' | '_' | '\\') {
            out.push('\\');
        }
        out.push(character);
    }
    out
}

impl<R: Entity, V: ColumnType> Expr<R, V> {
    /// `LIKE`: `%` stands for any characters, `_` for one, `\` escapes.
    pub fn like(&self, pattern: impl IntoExpr<R, String>) -> Condition<R>
    where
        V::Operand: TextType,
    {
        self.compare(Operator::Like, pattern.into_expr().term)
    }

    /// `ILIKE`: as `like`, without regard to case.
    pub fn ilike(&self, pattern: impl IntoExpr<R, String>) -> Condition<R>
    where
        V::Operand: TextType,
    {
        self.compare(Operator::Ilike, pattern.into_expr().term)
    }

    /// `~`: matches a regular expression of PostgreSQL's, somewhere unless it is anchored. One that is malformed is an error
    /// of the server (SQLSTATE 2201B).
    pub fn matches(&self, pattern: impl IntoExpr<R, String>) -> Condition<R>
    where
        V::Operand: TextType,
    {
        self.compare(Operator::Matches, pattern.into_expr().term)
    }

    /// `~*`: as `matches`, without regard to case.
    pub fn imatches(&self, pattern: impl IntoExpr<R, String>) -> Condition<R>
    where
        V::Operand: TextType,
    {
        self.compare(Operator::MatchesAnyCase, pattern.into_expr().term)
    }

    /// Begins with this text; nothing in it is a pattern.
    pub fn starts_with(&self, text: impl Operand<String>) -> Condition<R>
    where
        V::Operand: TextType,
    {
        self.pattern(&format!("{}%", escaped(&text.into_operand())))
    }

    /// Ends with this text; nothing in it is a pattern.
    pub fn ends_with(&self, text: impl Operand<String>) -> Condition<R>
    where
        V::Operand: TextType,
    {
        self.pattern(&format!("%{}", escaped(&text.into_operand())))
    }

    fn pattern(&self, pattern: &String) -> Condition<R> {
        self.compare(Operator::Like, Term::Bound(Bound::one(pattern)))
    }
}
