//! The order of a query's rows.

use std::fmt;
use std::marker::PhantomData;

use crate::entity::Entity;
use crate::sql::{OrderTerm, Term, ValueType};

/// One term of an `ORDER BY`: `u.username().asc()`.
pub struct Order<R: Entity> {
    term: OrderTerm,
    root: PhantomData<fn() -> R>,
}

impl<R: Entity> Order<R> {
    /// Of values that are said to be of a type, or not.
    pub(super) const fn new(term: Term, descending: bool, values: Option<ValueType>) -> Self {
        Self { term: OrderTerm { term, descending, nulls_first: None, values }, root: PhantomData }
    }

    /// NULL before everything else.
    #[must_use]
    pub const fn nulls_first(mut self) -> Self {
        self.term.nulls_first = Some(true);
        self
    }

    /// NULL after everything else.
    #[must_use]
    pub const fn nulls_last(mut self) -> Self {
        self.term.nulls_first = Some(false);
        self
    }
}

impl<R: Entity> Clone for Order<R> {
    fn clone(&self) -> Self {
        Self { term: self.term.clone(), root: PhantomData }
    }
}

impl<R: Entity> fmt::Debug for Order<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.term.fmt(f)
    }
}

/// What `order_by` takes: one term, a tuple of up to six, or a `Vec`.
pub trait IntoOrder<R: Entity> {
    #[doc(hidden)]
    #[allow(private_interfaces, reason = "only this crate calls it")]
    fn push_terms(self, terms: &mut Vec<OrderTerm>);
}

impl<R: Entity> IntoOrder<R> for Order<R> {
    #[allow(private_interfaces, reason = "only this crate calls it")]
    fn push_terms(self, terms: &mut Vec<OrderTerm>) {
        terms.push(self.term);
    }
}

impl<R: Entity> IntoOrder<R> for Vec<Order<R>> {
    #[allow(private_interfaces, reason = "only this crate calls it")]
    fn push_terms(self, terms: &mut Vec<OrderTerm>) {
        terms.extend(self.into_iter().map(|order| order.term));
    }
}

macro_rules! tuple_order {
    ($($name:ident),*) => {
        impl<R: Entity, $($name: IntoOrder<R>),*> IntoOrder<R> for ($($name,)*) {
            #[allow(non_snake_case, reason = "the type parameters name the tuple's fields")]
            #[allow(private_interfaces, reason = "only this crate calls it")]
            fn push_terms(self, terms: &mut Vec<OrderTerm>) {
                let ($($name,)*) = self;
                $($name.push_terms(terms);)*
            }
        }
    };
}

tuple_order!(A);
tuple_order!(A, B);
tuple_order!(A, B, C);
tuple_order!(A, B, C, D);
tuple_order!(A, B, C, D, E);
tuple_order!(A, B, C, D, E, F);
