//! Pipelining: tokio-postgres sends a request when its future is polled for the first time, and the server answers in
//! that order. So the order of the first polls is the order of the statements, and it must be kept.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use futures_util::future::BoxFuture;

/// Runs futures concurrently, polling them in order; answers when all are done.
///
/// `futures_util`'s `join_all` polls in no defined order above 30 futures.
pub(super) struct InOrder<'a, T> {
    entries: Vec<Entry<'a, T>>,
}

enum Entry<'a, T> {
    Running(BoxFuture<'a, T>),
    Done(T),
    Taken,
}

impl<'a, T> InOrder<'a, T> {
    pub(super) fn new(futures: impl IntoIterator<Item = BoxFuture<'a, T>>) -> Self {
        Self { entries: futures.into_iter().map(Entry::Running).collect() }
    }
}

impl<T> Unpin for InOrder<'_, T> {}

impl<T> Future for InOrder<'_, T> {
    type Output = Vec<T>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Vec<T>> {
        let mut pending = false;
        for entry in &mut self.entries {
            if let Entry::Running(future) = entry {
                match future.as_mut().poll(context) {
                    Poll::Ready(output) => *entry = Entry::Done(output),
                    Poll::Pending => pending = true,
                }
            }
        }
        if pending {
            return Poll::Pending;
        }
        let outputs = self.entries.iter_mut().filter_map(|entry| match std::mem::replace(entry, Entry::Taken) {
            Entry::Done(output) => Some(output),
            Entry::Running(_) | Entry::Taken => None,
        });
        Poll::Ready(outputs.collect())
    }
}

/// A request that was sent without waiting for its answer.
pub(super) enum Posted<'a, T> {
    Waiting(BoxFuture<'a, T>),
    Answered(T),
}

impl<'a, T> Posted<'a, T> {
    /// Sends the request: polls its future once.
    pub(super) fn send(mut future: BoxFuture<'a, T>) -> Self {
        match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(output) => Self::Answered(output),
            Poll::Pending => Self::Waiting(future),
        }
    }

    /// The answer.
    pub(super) async fn answer(self) -> T {
        match self {
            Self::Waiting(future) => future.await,
            Self::Answered(output) => output,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::Mutex;

    #[tokio::test]
    async fn first_polls_keep_the_order_for_any_number_of_futures() {
        let order = Arc::new(Mutex::new(Vec::new()));
        let futures = (0..100).map(|number| {
            let order = Arc::clone(&order);
            Box::pin(async move {
                order.lock().unwrap().push(number);
                tokio::task::yield_now().await;
                number
            }) as BoxFuture<'static, i32>
        });
        let answers = InOrder::new(futures).await;
        assert_eq!(answers, (0..100).collect::<Vec<_>>());
        assert_eq!(*order.lock().unwrap(), (0..100).collect::<Vec<_>>());
    }
}
