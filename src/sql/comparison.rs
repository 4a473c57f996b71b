//! Comparisons of terms: of single ones, of several at once, with lists and with what sub-queries select.

use std::fmt::Write as _;

use super::compared::Form;
use super::condition::Writer;
use super::expression::Operator;
use super::identifier::{push_joined, push_list};
use super::scalar::Like;
use super::scope::Scope;
use super::term::Term;
use crate::error::Error;

impl<'a> Writer<'a> {
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
        let form = form_of(like_left, operator);
        self.push_operand(scope, left, like_left, form, out)?;
        match operator {
            Operator::In if !right.is_query() => out.push_str(" = ANY("),
            Operator::NotIn if !right.is_query() => out.push_str(" <> ALL("),
            Operator::In => return self.in_subquery(scope, right, &[form], out),
            Operator::NotIn => return self.not_in_subquery(scope, right, &[form], out),
            operator => {
                let _ = write!(out, " {} ", operator.symbol());
                return self.push_operand(scope, right, like_right, form, out);
            }
        }
        self.push_operand(scope, right, like_right, form, out)?;
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
        let forms: Vec<_> = likes.iter().map(|like| form_of(*like, operator)).collect();
        out.push('(');
        for (index, term) in left.iter().enumerate() {
            out.push_str(if index > 0 { ", " } else { "" });
            self.push_operand(scope, term, None, forms[index], out)?;
        }
        out.push(')');
        match operator {
            Operator::In if right.is_query() => return self.in_subquery(scope, right, &forms, out),
            Operator::NotIn if right.is_query() => return self.not_in_subquery(scope, right, &forms, out),
            _ => {}
        }
        let _ = write!(out, " {} ", operator.symbol());
        match right {
            Term::Row(right) => {
                out.push('(');
                for (index, (term, like)) in right.iter().zip(likes).enumerate() {
                    out.push_str(if index > 0 { ", " } else { "" });
                    self.push_operand(scope, term, like, forms.get(index).copied().unwrap_or(Form::Column), out)?;
                }
                out.push(')');
                Ok(())
            }
            Term::Rows(columns) => self.push_rows(scope, columns, &likes, out),
            other => self.push_term(scope, other, None, out),
        }
    }

    /// Appends a term in the form in which it is compared with what is like this column.
    fn push_operand(
        &mut self,
        scope: &mut Scope,
        term: &Term,
        like: Option<Like<'a>>,
        form: Form,
        out: &mut String,
    ) -> Result<(), Error> {
        match (form, term) {
            (Form::Column, term) => self.push_term(scope, term, like, out),
            (Form::Value, _) | (Form::As(_), Term::Bound(_)) => {
                self.push_term(scope, term, like.map(Like::as_it_travels), out)
            }
            (Form::As(name), term) => {
                out.push('(');
                self.push_term(scope, term, like, out)?;
                let _ = write!(out, ")::{name}");
                Ok(())
            }
        }
    }

    /// Appends ` IN (SELECT …)`.
    fn in_subquery(
        &mut self,
        scope: &mut Scope,
        subquery: &Term,
        forms: &[Form],
        out: &mut String,
    ) -> Result<(), Error> {
        out.push_str(" IN ");
        if forms.iter().all(|form| !matches!(form, Form::As(_))) {
            return self.push_term(scope, subquery, None, out);
        }
        self.push_selected_rows(scope, subquery, forms, out)?;
        out.push(')');
        Ok(())
    }

    /// Appends `(SELECT v0, … FROM (SELECT …) AS s(v0, …)`.
    fn push_selected_rows(
        &mut self,
        scope: &mut Scope,
        subquery: &Term,
        forms: &[Form],
        out: &mut String,
    ) -> Result<(), Error> {
        out.push_str("(SELECT ");
        push_list(out, forms.iter().enumerate(), |out, (index, form)| {
            let _ = write!(out, "v{index}");
            if let Form::As(name) = form {
                let _ = write!(out, "::{name}");
            }
        });
        out.push_str(" FROM ");
        self.push_term(scope, subquery, None, out)?;
        out.push_str(" AS s(");
        push_list(out, 0..forms.len(), |out, index| {
            let _ = write!(out, "v{index}");
        });
        out.push(')');
        Ok(())
    }

    /// Appends ` NOT IN (SELECT …)` without the rows that have a NULL: nothing equals them, but as soon as there is one,
    /// `NOT IN` is never true.
    fn not_in_subquery(
        &mut self,
        scope: &mut Scope,
        subquery: &Term,
        forms: &[Form],
        out: &mut String,
    ) -> Result<(), Error> {
        out.push_str(" NOT IN ");
        self.push_selected_rows(scope, subquery, forms, out)?;
        out.push_str(" WHERE ");
        push_joined(out, " AND ", 0..forms.len(), |out, index| {
            let _ = write!(out, "v{index} IS NOT NULL");
        });
        out.push(')');
        Ok(())
    }
}

fn form_of(like: Option<Like<'_>>, operator: Operator) -> Form {
    Form::of(like.and_then(|like| like.sql_type), operator)
}
