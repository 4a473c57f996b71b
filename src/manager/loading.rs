//! A load that was asked for and not begun, so that it can still be told how.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_util::future::BoxFuture;

use crate::query::LoadStrategy;

/// What [`find_one`](crate::EntityManager::find_one), [`find_one_or_fail`](crate::EntityManager::find_one_or_fail) and
/// [`populate`](crate::EntityManager::populate) answer with: a future, which begins when it is awaited.
#[must_use = "nothing is loaded until it is awaited"]
pub struct Loading<O> {
    state: State<O>,
}

type Begin<O> = Box<dyn FnOnce(Option<LoadStrategy>) -> BoxFuture<'static, O> + Send>;

enum State<O> {
    Asked { strategy: Option<LoadStrategy>, begin: Option<Begin<O>> },
    Running(BoxFuture<'static, O>),
}

impl<O> Loading<O> {
    pub(super) fn new<F>(begin: impl FnOnce(Option<LoadStrategy>) -> F + Send + 'static) -> Self
    where
        F: Future<Output = O> + Send + 'static,
    {
        let begin: Begin<O> = Box::new(move |strategy| Box::pin(begin(strategy)));
        Self { state: State::Asked { strategy: None, begin: Some(begin) } }
    }

    /// How relations are loaded: instead of the strategy of the [`OrmBuilder`](crate::OrmBuilder::load_strategy).
    pub const fn strategy(mut self, load: LoadStrategy) -> Self {
        if let State::Asked { strategy, .. } = &mut self.state {
            *strategy = Some(load);
        }
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
                State::Asked { strategy, begin } => match begin.take() {
                    Some(begin) => this.state = State::Running(begin(*strategy)),
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
