//! Callbacks that run when what was done has become final (rule D6).

use std::future::Future;
use std::panic::AssertUnwindSafe;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tracing::Instrument;

use super::super::EntityManager;
use super::super::session::Session;

/// A callback that waits for its COMMIT.
pub(in crate::manager) type Callback = Box<dyn FnOnce() -> BoxFuture<'static, ()> + Send>;

/// What [`on_commit`](EntityManager::on_commit) takes: a closure without arguments, plain or async.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be run after a COMMIT",
    label = "expected a plain or async closure without arguments that is `Send + 'static` and answers with `()`",
    note = "what the closure uses must be owned by it: write `move ||` or `async move ||`"
)]
pub trait CommitCallback<Form>: Send + 'static {
    #[doc(hidden)]
    fn into_callback(self) -> Box<dyn FnOnce() -> BoxFuture<'static, ()> + Send>;
}

/// The form of a callback that is a plain closure.
#[derive(Debug)]
pub struct Plain;

/// The form of a callback that answers with a future.
#[derive(Debug)]
pub struct Asynchronous<Fut>(std::marker::PhantomData<Fut>);

impl<F: FnOnce() + Send + 'static> CommitCallback<Plain> for F {
    fn into_callback(self) -> Callback {
        Box::new(|| Box::pin(async { self() }))
    }
}

impl<F, Fut> CommitCallback<Asynchronous<Fut>> for F
where
    F: FnOnce() -> Fut + Send + 'static,
    Fut: Future<Output = ()> + Send + 'static,
{
    fn into_callback(self) -> Callback {
        Box::new(|| Box::pin(async { self().await }))
    }
}

impl EntityManager {
    /// Runs a closure, plain or async, after the outermost COMMIT: a mail, a message to a queue, a cache to empty. Several run
    /// in the order in which they were registered, one after the other, and `commit`, `transactional` or `flush` answers
    /// when they are done.
    ///
    /// If the scope that it is registered in fails, or one around it, it never runs. Outside of a transaction it waits for
    /// the next flush or transaction of this manager that succeeds, and is forgotten by [`clear`](Self::clear), or with the
    /// manager. It runs when everything is over: the manager can be used in it, and what it registers itself waits for the
    /// next COMMIT.
    ///
    /// It answers with nothing: what was committed cannot be taken back. If it panics, that is logged, and the next one runs.
    ///
    /// ```
    /// # howdah::doctest::run(async |url| {
    /// # use howdah::prelude::*;
    /// # #[derive(Entity, Clone, Debug)]
    /// # pub struct Account {
    /// #     #[primary_key]
    /// #     pub id: i64,
    /// # }
    /// # let orm = Orm::builder().url(&url).entities(entities![Account]).connect().await?;
    /// # let em = orm.em();
    /// let (outbox, mut mails) = tokio::sync::mpsc::unbounded_channel();
    /// em.transactional(async |em| {
    ///     let mails = outbox.clone();
    ///     em.on_commit(move || {
    ///         let _ = mails.send("welcome, Ada");
    ///     });
    ///     let failed: Result<(), Error> = em
    ///         .transactional(async |em| {
    ///             em.on_commit(async move || unreachable!("its transaction fails"));
    ///             Err(Error::NotFound { entity: "Author", criteria: "Eve".into() })
    ///         })
    ///         .await;
    ///     assert!(failed.is_err());
    ///     Ok::<_, Error>(())
    /// })
    /// .await?;
    /// assert_eq!(mails.try_recv()?, "welcome, Ada");
    /// # Ok(())
    /// # });
    /// ```
    ///
    /// # Cancel safety
    /// Once the COMMIT has succeeded the callbacks run, even if the future that waits for them is dropped.
    ///
    /// A callback that owns a handle of this same manager keeps it alive until it has run. Between `begin` and `commit` that
    /// means that dropping the manager does not roll back: let it own a [`fork`](Self::fork) instead.
    pub fn on_commit<C: CommitCallback<Form>, Form>(&self, callback: C) {
        let callback = callback.into_callback();
        let mut slot = self.session.open.lock();
        match slot.as_mut().and_then(|open| open.levels.last_mut()) {
            Some(level) => level.callbacks.push(callback),
            None => self.session.callbacks.lock().push(callback),
        }
    }
}

impl Session {
    /// The transaction is committed: forgets it, and answers with what is to run now.
    pub(super) fn committed(&self) -> Vec<Callback> {
        let open = self.open.lock().take();
        let mut callbacks = std::mem::take(&mut *self.callbacks.lock());
        callbacks.extend(open.into_iter().flat_map(|open| open.levels).flat_map(|level| level.callbacks));
        callbacks
    }

    /// The innermost savepoint is released: what was to run after it belongs to the scope around it.
    pub(super) fn released(&self) {
        if let Some(open) = &mut *self.open.lock()
            && let Some(level) = open.levels.pop()
            && let Some(outer) = open.levels.last_mut()
        {
            outer.callbacks.extend(level.callbacks);
        }
    }

    /// A flush has succeeded: answers with what is to run now, if it has committed.
    pub(in crate::manager) fn flushed(&self) -> Vec<Callback> {
        if self.open.lock().is_some() { Vec::new() } else { std::mem::take(&mut *self.callbacks.lock()) }
    }
}

/// Runs callbacks one after the other. Dropping the future does not stop them.
pub(in crate::manager) async fn run(callbacks: Vec<Callback>) {
    if callbacks.is_empty() {
        return;
    }
    let all = async move {
        for callback in callbacks {
            if AssertUnwindSafe(async { callback().await }).catch_unwind().await.is_err() {
                tracing::error!(target: "howdah", "a callback of on_commit() has panicked");
            }
        }
    };
    let _ = tokio::spawn(all.in_current_span()).await;
}
