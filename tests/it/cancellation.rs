//! A future that is dropped anywhere leaves the entities as before and the pool without an open transaction (rule C12).
//!
//! Every story is run with its future polled at most 0, 1, 2, … times, until it completes. There is one connection: one
//! that was lost, or was left in a transaction, would show at once.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use crate::library::*;
use crate::support::Fixture;
use howdah::prelude::*;

mod lost_connection;
mod scopes;

/// Polls a future at most so many times; `None` if it was not done by then. The future is dropped either way.
pub async fn cancelled_after<F: Future>(polls: usize, future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    let mut polls_left = polls;
    poll_fn(|context| {
        if polls_left == 0 {
            return Poll::Ready(None);
        }
        polls_left -= 1;
        match future.as_mut().poll(context) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            // The last poll was in vain: there is nothing to be woken for.
            Poll::Pending if polls_left == 0 => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

/// More polls than any of the stories needs.
pub const ENOUGH: usize = 60;

async fn one_connection() -> Fixture {
    Fixture::with(library(), |builder| {
        // What is pending is to be pending still when it is counted.
        builder.max_connections(1).acquire_timeout(Duration::from_secs(5)).flush_mode(FlushMode::Commit)
    })
    .await
}

/// A manager with something of every kind to write: an update, an insert, a new relation, a removal.
pub struct Story {
    pub em: EntityManager,
    pub ada: Managed<Author>,
    notes: Managed<Book>,
    removed: Managed<Shelf>,
    new: Managed<Book>,
}

impl Story {
    pub async fn begin(fixture: &Fixture) -> Self {
        let em = fixture.em();
        fixture
            .database
            .execute("TRUNCATE author, book, shelf, tag, book_tags RESTART IDENTITY CASCADE")
            .await
            .unwrap();
        let ada = em.persist(NewAuthor { name: "Ada".into() });
        let notes = em.persist(NewBook { title: "Notes".into(), author: ada.to_ref() });
        let removed = em.persist(NewShelf { code: "A".into() });
        em.flush().await.unwrap();
        ada.write().name = "Augusta".into();
        notes.write().pages = Some(66);
        let new = em.create(NewBook { title: "Sketch".into(), author: ada.to_ref() });
        ada.write().books.add(&new);
        let tag = em.create(NewTag { name: "engine".into() });
        new.write().tags.add(&tag);
        em.remove(&removed);
        Self { em, ada, notes, removed, new }
    }

    /// Asserts that nothing of the writing can be seen, in memory and in the database.
    async fn assert_as_before(&self, fixture: &Fixture, polls: usize) {
        let context = format!("dropped after {polls} polls");
        self.assert_memory_as_before(&context);
        self.assert_nothing_written(fixture, &context).await;
    }

    /// Asserts that the entities know nothing of the writing, and are still scheduled.
    pub fn assert_memory_as_before(&self, context: &str) {
        assert_eq!(self.ada.changes().len(), 2, "{context}");
        assert_eq!((self.ada.state(), self.ada.id()), (EntityState::Managed, 1), "{context}");
        assert_eq!((self.notes.read().version, self.notes.changes().len()), (1, 1), "{context}");
        assert!(self.removed.is_dirty() && self.removed.key().is_some(), "{context}: still to be removed");
        assert_eq!((self.new.state(), self.new.key(), self.new.id()), (EntityState::New, None, 0), "{context}");
        assert!(self.new.read().tags.items().unwrap()[0].key().is_none(), "{context}");
    }

    pub async fn assert_nothing_written(&self, fixture: &Fixture, context: &str) {
        assert!(!self.em.is_in_transaction(), "{context}");
        fixture.no_open_transaction().await;
        assert_eq!(fixture.rows("SELECT name FROM author").await, ["Ada"], "{context}");
        assert_eq!(fixture.rows("SELECT title, pages, version FROM book").await, ["Notes|~|1"], "{context}");
        assert_eq!(fixture.rows("SELECT code FROM shelf").await, ["A"], "{context}");
    }

    /// Asserts that everything is written, once, and known to be.
    pub async fn assert_written(&self, fixture: &Fixture) {
        assert_eq!((self.removed.key(), self.new.state()), (None, EntityState::Managed));
        assert_eq!((self.notes.read().version, self.ada.is_dirty()), (2, false));
        assert_written(fixture).await;
        assert_eq!(self.em.flush().await.unwrap(), FlushSummary::default());
    }
}

pub async fn assert_written(fixture: &Fixture) {
    fixture.no_open_transaction().await;
    assert_eq!(fixture.rows("SELECT name FROM author").await, ["Augusta"]);
    let books = fixture.rows("SELECT title, pages, version FROM book ORDER BY title").await;
    assert_eq!(books, ["Notes|66|2", "Sketch|~|1"]);
    let counts = "SELECT (SELECT count(*) FROM shelf), (SELECT count(*) FROM tag), (SELECT count(*) FROM book_tags)";
    assert_eq!(fixture.rows(counts).await, ["0|1|1"]);
}

/// Whether the transaction has reached the database. A COMMIT that was sent is not taken back by dropping the future;
/// the memory is as before then, and the next flush of the same work finds rows that are there already.
pub async fn is_committed(fixture: &Fixture) -> bool {
    fixture.no_open_transaction().await;
    fixture.rows("SELECT name FROM author").await == ["Augusta"]
}

/// Runs a story with its future dropped after every number of polls. Each time the memory is as before and, unless the
/// COMMIT had been sent, the database, too; then the same work is done again and succeeds.
async fn dropped_everywhere<'a, W, Fut>(fixture: &'a Fixture, work: W)
where
    W: Fn(EntityManager) -> Fut,
    Fut: Future<Output = Result<(), Error>> + 'a,
{
    for polls in 0..ENOUGH {
        let story = Story::begin(fixture).await;
        fixture.forget();
        let done = cancelled_after(polls, work(story.em.clone())).await;
        if let Some(outcome) = done {
            outcome.unwrap();
            story.assert_written(fixture).await;
            assert!(polls > 3, "a story of {polls} polls is no story");
            return;
        }
        let commit_sent = fixture.log.statements().iter().any(|text| text.ends_with("COMMIT"));
        if commit_sent && is_committed(fixture).await {
            // All of it or nothing of it; and the memory knows nothing of it.
            assert_written(fixture).await;
            assert_eq!((story.new.state(), story.new.key()), (EntityState::New, None));
            assert_eq!(story.notes.read().version, 1);
            let stale = story.em.flush().await;
            assert!(matches!(stale, Err(Error::OptimisticLock { .. } | Error::UniqueViolation { .. })), "{stale:?}");
            continue;
        }
        story.assert_as_before(fixture, polls).await;
        work(story.em.clone()).await.unwrap();
        story.assert_written(fixture).await;
    }
    panic!("not done after {ENOUGH} polls");
}

/// COMMIT travels with the statements, so the server may carry out what was sent. The memory is as before all the same, and
/// the next flush finds out what has become of it: nothing is lost, and nothing is written twice.
#[tokio::test]
async fn c12_flush() {
    let fixture = one_connection().await;
    for polls in 0..ENOUGH {
        let story = Story::begin(&fixture).await;
        if let Some(outcome) = cancelled_after(polls, story.em.flush()).await {
            outcome.unwrap();
            story.assert_written(&fixture).await;
            assert!(polls > 1, "a story of {polls} polls is no story");
            return;
        }
        story.assert_memory_as_before(&format!("dropped after {polls} polls"));
        story.em.flush().await.unwrap();
        story.assert_written(&fixture).await;
    }
    panic!("not done after {ENOUGH} polls");
}

/// A read comes behind what was sent, too: it finds the rows, and they are the entities that were persisted.
#[tokio::test]
async fn c12_a_read_behind_a_flush_that_was_given_up() {
    let fixture = one_connection().await;
    for polls in 0..ENOUGH {
        let story = Story::begin(&fixture).await;
        if cancelled_after(polls, story.em.flush()).await.is_some() {
            return;
        }
        let found = story.em.find::<Book>().filter(|b| b.title().eq("Sketch")).await.unwrap();
        if let [found] = found.as_slice() {
            assert_eq!((found, found.state()), (&story.new, EntityState::Managed));
        }
        story.em.flush().await.unwrap();
        story.assert_written(&fixture).await;
    }
    panic!("not done after {ENOUGH} polls");
}

#[tokio::test]
async fn c12_transactional() {
    let fixture = one_connection().await;
    let work = async |em: EntityManager| {
        em.transactional(async |em| {
            em.count::<Author>(()).await?;
            em.flush().await?;
            em.find_all::<Author>().await?;
            Ok::<_, Error>(())
        })
        .await
    };
    dropped_everywhere(&fixture, work).await;
}

#[tokio::test]
async fn c12_nested_transactional() {
    let fixture = one_connection().await;
    let work = async |em: EntityManager| {
        em.transactional(async |em| {
            em.transactional(async |em| {
                em.flush().await?;
                em.transactional(async |em| em.count::<Author>(()).await).await?;
                Ok::<_, Error>(())
            })
            .await?;
            em.find_all::<Author>().await?;
            Ok::<_, Error>(())
        })
        .await
    };
    dropped_everywhere(&fixture, work).await;
}

#[tokio::test]
async fn c12_an_inner_transaction_that_is_dropped_leaves_the_outer_one_as_it_was() {
    let fixture = one_connection().await;
    for polls in 0..ENOUGH {
        let story = Story::begin(&fixture).await;
        let inner_done = story
            .em
            .transactional(async |em| {
                let inner = em.transactional(async |em| {
                    em.flush().await?;
                    em.count::<Author>(()).await
                });
                let done = cancelled_after(polls, inner).await;
                if done.is_none() {
                    assert_eq!((story.new.state(), story.new.key()), (EntityState::New, None), "{polls} polls");
                    assert_eq!(em.count::<Author>(()).await?, 1, "{polls} polls: the outer one goes on");
                }
                Ok::<_, Error>(done.is_some())
            })
            .await
            .unwrap();
        // The outer scope's own flush writes what the inner one has not.
        story.assert_written(&fixture).await;
        if inner_done {
            return;
        }
    }
    panic!("not done after {ENOUGH} polls");
}

#[tokio::test]
async fn c12_a_flush_inside_a_transaction() {
    let fixture = one_connection().await;
    for polls in 0..ENOUGH {
        let story = Story::begin(&fixture).await;
        let flush_done = story
            .em
            .transactional(async |em| {
                let done = cancelled_after(polls, em.flush()).await;
                if done.is_none() {
                    assert_eq!((story.new.state(), story.new.key()), (EntityState::New, None), "{polls} polls");
                    assert_eq!(em.count::<Tag>(()).await?, 0, "{polls} polls: the savepoint is rolled back");
                    em.flush().await?;
                }
                Ok::<_, Error>(done.is_some())
            })
            .await
            .unwrap();
        story.assert_written(&fixture).await;
        if flush_done {
            return;
        }
    }
    panic!("not done after {ENOUGH} polls");
}

#[tokio::test]
async fn c12_begin() {
    let fixture = one_connection().await;
    let em = fixture.em();
    for polls in 0..ENOUGH {
        let done = cancelled_after(polls, em.begin()).await;
        assert_eq!(em.is_in_transaction(), done.is_some(), "{polls} polls");
        if done.is_some() {
            em.rollback().await.unwrap();
        }
        fixture.no_open_transaction().await;
        assert_eq!(em.count::<Author>(()).await.unwrap(), 0);
        if done.is_some() {
            return;
        }
    }
    panic!("not done after {ENOUGH} polls");
}

#[tokio::test]
async fn c12_commit() {
    let fixture = one_connection().await;
    for polls in 0..ENOUGH {
        let story = Story::begin(&fixture).await;
        story.em.begin().await.unwrap();
        if polls == 0 {
            // A future that was never polled has done nothing: the transaction is still open.
            drop(story.em.commit());
            assert!(story.em.is_in_transaction());
            story.em.rollback().await.unwrap();
            story.assert_as_before(&fixture, 0).await;
            continue;
        }
        fixture.forget();
        if cancelled_after(polls, story.em.commit()).await.is_some() {
            story.assert_written(&fixture).await;
            return;
        }
        let commit_sent = fixture.log.statements().iter().any(|text| text.ends_with("COMMIT"));
        if commit_sent && is_committed(&fixture).await {
            assert_written(&fixture).await;
        } else {
            story.assert_as_before(&fixture, polls).await;
            story.em.begin().await.unwrap();
            story.em.commit().await.unwrap();
            story.assert_written(&fixture).await;
        }
    }
    panic!("not done after {ENOUGH} polls");
}

#[tokio::test]
async fn c12_rollback() {
    let fixture = one_connection().await;
    for polls in 0..ENOUGH {
        let story = Story::begin(&fixture).await;
        story.em.begin().await.unwrap();
        story.em.flush().await.unwrap();
        let done = cancelled_after(polls, story.em.rollback()).await;
        if polls == 0 {
            assert!(story.em.is_in_transaction());
            story.em.rollback().await.unwrap();
        }
        story.assert_as_before(&fixture, polls).await;
        story.em.flush().await.unwrap();
        story.assert_written(&fixture).await;
        if done.is_some() {
            return;
        }
    }
    panic!("not done after {ENOUGH} polls");
}

#[tokio::test]
async fn c12_reads() {
    let fixture = one_connection().await;
    let story = Story::begin(&fixture).await;
    story.em.flush().await.unwrap();
    for polls in 0..ENOUGH {
        let em = fixture.em();
        let read = async { em.find::<Author>().populate(|author| (author.books().tags(), author.profile())).await };
        let done = cancelled_after(polls, read).await;
        // What was loaded by then is whole; what is missing is loaded by the next.
        let found = em.find::<Author>().populate(|author| author.books().tags()).await.unwrap();
        let books = found[0].read().books.items().unwrap();
        assert_eq!(books.len(), 2, "{polls} polls");
        assert_eq!(books.iter().map(|book| book.read().tags.len().unwrap()).sum::<usize>(), 1, "{polls} polls");
        if done.is_some() {
            return;
        }
    }
    panic!("not done after {ENOUGH} polls");
}

#[tokio::test]
async fn nothing_is_sent_behind_the_end_of_a_transaction() {
    let fixture = one_connection().await;
    let em = fixture.em();
    let ada = em.persist(NewAuthor { name: "Ada".into() });
    em.flush().await.unwrap();
    // A task goes on with the inner handle, after the transaction that it was in was dropped: wherever it is by then,
    // no statement of it may commit by itself.
    for polls in 1..ENOUGH {
        let (sender, receiver) = tokio::sync::oneshot::channel();
        let outer = em.transactional(async |em| {
            let _ = sender.send(em);
            std::future::pending::<Result<(), Error>>().await
        });
        let mut outer = Box::pin(outer);
        let inner = tokio::select! {
            inner = receiver => inner.unwrap(),
            _ = &mut outer => unreachable!(),
        };
        let parent = inner.persist(NewAuthor { name: format!("parent {polls}") });
        inner.persist(NewBook { title: "child".into(), author: parent.to_ref() });
        let mut flush = Box::pin(inner.flush());
        let done = cancelled_after(polls, &mut flush).await;
        drop(outer);
        let late = match done {
            Some(early) => early.map(|_| ()),
            None => flush.await.map(|_| ()),
        };
        assert_eq!(parent.state(), EntityState::New, "{polls} polls: {late:?}");
        fixture.no_open_transaction().await;
        assert_eq!(fixture.rows("SELECT name FROM author").await, ["Ada"], "{polls} polls");
        assert_eq!(ada.state(), EntityState::Managed);
        if late.is_ok() {
            // The flush was done before the transaction was dropped, and was taken back with it.
            return;
        }
        assert!(matches!(late, Err(Error::TransactionAborted)), "{late:?}");
    }
    panic!("not done after {ENOUGH} polls");
}
