//! A load that was asked for and not begun, so that it can still be told how.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_util::future::BoxFuture;

use crate::query::{FilterOptions, LoadStrategy};

/// What [`find_one`](crate::EntityManager::find_one), [`find_one_or_fail`](crate::EntityManager::find_one_or_fail),
/// [`populate`](crate::EntityManager::populate), [`count`](crate::EntityManager::count),
/// [`exists`](crate::EntityManager::exists) and the short forms answer with: a future, which begins when it is awaited. Until
/// then it can be told which filters hold, and how relations are loaded.
#[must_use = "nothing is loaded until it is awaited"]
pub struct Loading<O> {
    state: State<O>,
    pub(super) options: LoadOptions,
}

/// What a load was told.
#[derive(Default)]
pub(super) struct LoadOptions {
    /// How relations are loaded, if not as the Orm says.
    pub(super) strategy: Option<LoadStrategy>,
    pub(super) filters: FilterOptions,
}

type Begin<O> = Box<dyn FnOnce(LoadOptions) -> BoxFuture<'static, O> + Send>;

enum State<O> {
    Asked(Option<Begin<O>>),
    Running(BoxFuture<'static, O>),
}

impl<O> Loading<O> {
    pub(super) fn new<F>(begin: impl FnOnce(LoadOptions) -> F + Send + 'static) -> Self
    where
        F: Future<Output = O> + Send + 'static,
    {
        let begin: Begin<O> = Box::new(move |options| Box::pin(begin(options)));
        Self { state: State::Asked(Some(begin)), options: LoadOptions::default() }
    }

    /// How relations are loaded: instead of the strategy of the [`OrmBuilder`](crate::OrmBuilder::load_strategy). Counts
    /// load none.
    pub const fn strategy(mut self, strategy: LoadStrategy) -> Self {
        self.options.strategy = Some(strategy);
        self
    }
}

impl<O> Future for Loading<O> {
    type Output = O;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<O> {
        let this = &mut *self;
        loop {
            match &mut this.state {
                State::Running(running) => return running.as_mut().poll(context),
                State::Asked(begin) => match begin.take() {
                    Some(begin) => this.state = State::Running(begin(std::mem::take(&mut this.options))),
                    None => return Poll::Pending,
                },
            }
        }
    }
}

impl<O> fmt::Debug for Loading<O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Loading").finish_non_exhaustive()
    }
}
