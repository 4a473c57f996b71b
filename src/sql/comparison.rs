//! Comparisons of terms: of single ones, of several at once, with lists and with what sub-queries select.

use std::fmt::Write as _;

use super::condition::Writer;
use super::expression::Operator;
use super::identifier::{push_joined, push_list};
use super::scope::Scope;
use super::term::Term;
use crate::error::Error;

impl Writer<'_> {
    /// Compares two terms; values are cast to what the other side is.
    pub(super) fn compare(
        &mut self,
        scope: &mut Scope,
        left: &Term,
        operator: Operator,
        right: &Term,
        out: &mut String,
    ) -> Result<(), Error> {
        if let Term::Row(terms) = left {
            return self.compare_rows(scope, terms, operator, right, out);
        }
        let like_left = self.like(left).or_else(|| self.like(right));
        let like_right = self.like(right).or(like_left);
        self.push_term(scope, left, like_left, out)?;
        match operator {
            Operator::In if !right.is_query() => out.push_str(" = ANY("),
            Operator::NotIn if !right.is_query() => out.push_str(" <> ALL("),
            Operator::NotIn => return self.not_in_subquery(scope, right, 1, out),
            operator => {
                let _ = write!(out, " {} ", operator.symbol());
                return self.push_term(scope, right, like_right, out);
            }
        }
        self.push_term(scope, right, like_right, out)?;
        out.push(')');
        Ok(())
    }

    /// Compares several terms at once: with as many others, with rows of values, or with what a sub-query selects.
    fn compare_rows(
        &mut self,
        scope: &mut Scope,
        left: &[Term],
        operator: Operator,
        right: &Term,
        out: &mut String,
    ) -> Result<(), Error> {
        let likes: Vec<_> = left.iter().map(|term| self.like(term)).collect();
        out.push('(');
        for (index, term) in left.iter().enumerate() {
            out.push_str(if index > 0 { ", " } else { "" });
            self.push_term(scope, term, None, out)?;
        }
        out.push(')');
        if operator == Operator::NotIn && right.is_query() {
            return self.not_in_subquery(scope, right, left.len(), out);
        }
        let _ = write!(out, " {} ", operator.symbol());
        match right {
            Term::Row(right) => {
                out.push('(');
                for (index, (term, like)) in right.iter().zip(likes).enumerate() {
                    out.push_str(if index > 0 { ", " } else { "" });
                    self.push_term(scope, term, like, out)?;
                }
                out.push(')');
                Ok(())
            }
            Term::Rows(columns) => self.push_rows(scope, columns, &likes, out),
            other => self.push_term(scope, other, None, out),
        }
    }

    /// Appends ` NOT IN (SELECT …)` without the rows that have a NULL: nothing equals them, but as soon as there is one,
    /// `NOT IN` is never true.
    fn not_in_subquery(
        &mut self,
        scope: &mut Scope,
        subquery: &Term,
        width: usize,
        out: &mut String,
    ) -> Result<(), Error> {
        let mut names = String::new();
        push_list(&mut names, 0..width, |out, index| {
            let _ = write!(out, "v{index}");
        });
        let _ = write!(out, " NOT IN (SELECT {names} FROM ");
        self.push_term(scope, subquery, None, out)?;
        let _ = write!(out, " AS s({names}) WHERE ");
        push_joined(out, " AND ", 0..width, |out, index| {
            let _ = write!(out, "v{index} IS NOT NULL");
        });
        out.push(')');
        Ok(())
    }
}
