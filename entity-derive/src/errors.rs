//! Collects problems, so that all of them are reported at once.

use std::cell::RefCell;
use std::fmt::Display;

use proc_macro2::{Span, TokenStream};
use quote::ToTokens;

/// The problems found so far.
#[derive(Default)]
pub struct Errors {
    list: RefCell<Vec<syn::Error>>,
}

impl Errors {
    /// Adds a problem at a place in the user's code.
    pub fn push(&self, span: Span, message: impl Display) {
        self.add(syn::Error::new(span, message));
    }

    /// Adds a problem at a type, an expression or other tokens of the user's code.
    pub fn push_on(&self, tokens: impl ToTokens, message: impl Display) {
        self.add(syn::Error::new_spanned(tokens, message));
    }

    /// Adds a problem that `syn` found.
    pub fn add(&self, error: syn::Error) {
        self.list.borrow_mut().push(error);
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.list.borrow().len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.list.borrow().is_empty()
    }

    /// The `compile_error!`s.
    pub fn into_compile_errors(self) -> TokenStream {
        let combined = self.list.into_inner().into_iter().reduce(|mut all, error| {
            all.combine(error);
            all
        });
        combined.map(syn::Error::into_compile_error).unwrap_or_default()
    }

    /// The messages, for tests.
    #[cfg(test)]
    pub fn messages(&self) -> Vec<String> {
        self.list.borrow().iter().map(ToString::to_string).collect()
    }
}
