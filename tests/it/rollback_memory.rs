//! A scope that fails restores the memory, too: fields, baselines, keys, versions, states, collections, and what was
//! scheduled (rule D2). Whatever way it fails, and without a SELECT.

use std::future::{Future, pending};
use std::panic::AssertUnwindSafe;

use futures_util::FutureExt;
use tokio::sync::oneshot;

use crate::library::*;
use crate::support::Fixture;
use howdah::prelude::*;

mod graph;
mod identity;
mod past_the_unit_of_work;

/// The ways in which a scope fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    Error,
    Panic,
    PanicInTask,
    Dropped,
    ByHand,
    /// A savepoint fails, and the transaction around it goes on and commits.
    Savepoint,
    /// The savepoints succeed, and the transaction around them fails.
    Released,
    /// As `Released`, by being dropped.
    ReleasedAndDropped,
}

pub const EVERY: [Failure; 8] = [
    Failure::Error,
    Failure::Panic,
    Failure::PanicInTask,
    Failure::Dropped,
    Failure::ByHand,
    Failure::Savepoint,
    Failure::Released,
    Failure::ReleasedAndDropped,
];

/// An error for what a test rolls back on purpose.
pub fn on_purpose() -> Error {
    Error::NotFound { entity: "Author", criteria: "on purpose".into() }
}

/// Runs the work in a scope that fails in this way after it.
pub async fn fail<F, Fut>(em: &EntityManager, how: Failure, work: F)
where
    F: FnOnce(EntityManager) -> Fut + Send + 'static,
    Fut: Future<Output = Result<(), Error>> + Send,
{
    match how {
        Failure::Error => {
            let outcome = em.transactional(async |em| {
                work(em).await?;
                Err::<(), _>(on_purpose())
            });
            assert!(matches!(outcome.await, Err(Error::NotFound { .. })));
        }
        Failure::Panic => {
            let outcome = em.transactional(async |em| {
                work(em).await?;
                panic!("on purpose");
                #[allow(unreachable_code, reason = "tells the type of the answer")]
                Ok::<(), Error>(())
            });
            assert!(AssertUnwindSafe(outcome).catch_unwind().await.is_err());
        }
        Failure::PanicInTask => {
            let em = em.clone();
            let task = tokio::spawn(async move { fail_by_panic(&em, work).await });
            assert!(task.await.unwrap_err().is_panic());
        }
        Failure::Dropped => {
            let (done, is_done) = oneshot::channel();
            let outcome = em.transactional(async |em| {
                work(em).await?;
                done.send(()).unwrap();
                pending::<Result<(), Error>>().await
            });
            tokio::select! {
                outcome = outcome => panic!("ended before it was dropped: {outcome:?}"),
                signal = is_done => signal.unwrap(),
            }
        }
        Failure::ByHand => {
            em.begin().await.unwrap();
            work(em.clone()).await.unwrap();
            em.rollback().await.unwrap();
        }
        Failure::Savepoint => {
            let outcome = em.transactional(async |em| {
                let inner = em.transactional(async |em| {
                    work(em).await?;
                    Err::<(), _>(on_purpose())
                });
                assert!(matches!(inner.await, Err(Error::NotFound { .. })));
                // Not with the closure's end: its flush would write what the test is going to look at.
                Err::<(), _>(on_purpose())
            });
            assert!(outcome.await.is_err());
        }
        Failure::Released => {
            let outcome = em.transactional(async |em| {
                em.transactional(async |em| em.transactional(work).await).await?;
                Err::<(), _>(on_purpose())
            });
            assert!(matches!(outcome.await, Err(Error::NotFound { .. })));
        }
        Failure::ReleasedAndDropped => {
            let (done, is_done) = oneshot::channel();
            let outcome = em.transactional(async |em| {
                em.transactional(async |em| em.transactional(work).await).await?;
                done.send(()).unwrap();
                pending::<Result<(), Error>>().await
            });
            tokio::select! {
                outcome = outcome => panic!("ended before it was dropped: {outcome:?}"),
                signal = is_done => signal.unwrap(),
            }
        }
    }
    assert!(!em.is_in_transaction());
}

async fn fail_by_panic<F, Fut>(em: &EntityManager, work: F) -> Result<(), Error>
where
    F: FnOnce(EntityManager) -> Fut + Send + 'static,
    Fut: Future<Output = Result<(), Error>> + Send,
{
    em.transactional(async |em| {
        work(em).await?;
        panic!("on purpose")
    })
    .await
}

/// Everything that a handle shows.
pub fn shown<T: Entity + std::fmt::Debug>(entity: &Managed<T>) -> String {
    format!(
        "{:?} key {:?} dirty {} changes {:?} {:?}",
        entity.state(),
        entity.key(),
        entity.is_dirty(),
        entity.changes(),
        entity.read()
    )
}

#[tokio::test]
async fn d2_clean_entities_are_clean_again() {
    for how in EVERY {
        let fixture = Fixture::new(library()).await;
        let em = fixture.em();
        let ada = em.persist(NewAuthor { name: "Ada".into() });
        let notes = em.persist(NewBook { title: "Notes".into(), author: ada.to_ref() });
        em.flush().await.unwrap();
        let before = [shown(&ada), shown(&notes)];
        let (author, book) = (ada.clone(), notes.clone());
        fail(&em, how, |em| async move {
            author.write().name = "Augusta".into();
            book.write().pages = Some(66);
            em.flush().await?;
            assert_eq!(book.read().version, 2);
            book.write().pages = Some(67);
            em.flush().await?;
            book.write().title = "never flushed".into();
            Ok(())
        })
        .await;
        assert_eq!([shown(&ada), shown(&notes)], before, "{how:?}");

        // Nothing to write; and a change is written against the version that the row still has.
        fixture.forget();
        assert_eq!(em.flush().await.unwrap(), FlushSummary::default(), "{how:?}");
        assert!(fixture.flow().is_empty(), "{how:?}");
        notes.write().pages = Some(100);
        em.flush().await.unwrap();
        assert_eq!(fixture.rows("SELECT title, pages, version FROM book").await, ["Notes|100|2"], "{how:?}");
        fixture.no_open_transaction().await;
    }
}

#[tokio::test]
async fn d2_dirty_entities_are_dirty_again_and_flush_writes_what_it_should() {
    for how in EVERY {
        let fixture = Fixture::new(library()).await;
        let em = fixture.em();
        let ada = em.persist(NewAuthor { name: "Ada".into() });
        let bob = em.persist(NewAuthor { name: "Bob".into() });
        em.flush().await.unwrap();
        ada.write().born = Some(1815);
        bob.write().name = "Robert".into();
        let before = [shown(&ada), shown(&bob)];
        let (one, two) = (ada.clone(), bob.clone());
        fail(&em, how, |em| async move {
            one.write().name = "Augusta".into();
            // Written back inside: clean there, dirty again outside.
            two.write().name = "Bob".into();
            em.flush().await?;
            assert!(!one.is_dirty() && !two.is_dirty());
            Ok(())
        })
        .await;
        assert_eq!([shown(&ada), shown(&bob)], before, "{how:?}");
        fixture.forget();
        assert_eq!(em.flush().await.unwrap().updated, 2, "{how:?}");
        let statements = fixture.statements();
        assert!(
            statements.iter().all(|text| !(text.contains("\"name\"") && text.contains("\"born\""))),
            "{statements:?}"
        );
        assert_eq!(
            fixture.rows("SELECT name, born FROM author ORDER BY id").await,
            ["Ada|1815", "Robert|~"],
            "{how:?}"
        );
    }
}

#[tokio::test]
async fn d2_generated_keys_are_taken_back() {
    for how in EVERY {
        let fixture = Fixture::new(library()).await;
        let em = fixture.em();
        let scheduled = em.persist(NewAuthor { name: "scheduled before".into() });
        let created = em.create(NewAuthor { name: "created before".into() });
        let tag = em.create(NewTag { name: "created before".into() });
        let before = [shown(&scheduled), shown(&created), shown(&tag)];
        let handles = (scheduled.clone(), created.clone(), tag.clone());
        let (inside, mut made_inside) = tokio::sync::mpsc::unbounded_channel();
        fail(&em, how, |em| async move {
            let (scheduled, created, tag) = handles;
            em.persist(&created);
            em.persist(&tag);
            assert!(!tag.id().is_nil(), "made by persist()");
            let author = em.persist(NewAuthor { name: "created inside".into() });
            let tagged = em.persist(NewTag { name: "created inside".into() });
            em.flush().await?;
            assert!(scheduled.id() > 0 && created.id() > 0 && author.id() > 0);
            inside.send((author, tagged)).unwrap();
            Ok(())
        })
        .await;
        assert_eq!([shown(&scheduled), shown(&created), shown(&tag)], before, "{how:?}");
        let (author, tagged) = made_inside.recv().await.unwrap();
        for (state, key, dirty) in
            [(author.state(), author.key(), author.is_dirty()), (tagged.state(), tagged.key(), tagged.is_dirty())]
        {
            assert_eq!((state, key, dirty), (EntityState::New, None, false), "{how:?}");
        }
        assert_eq!((author.id(), tagged.id().is_nil()), (0, true), "{how:?}");

        // Only what was scheduled before is written, once.
        assert_eq!(em.flush().await.unwrap().inserted, 1, "{how:?}");
        assert_eq!(fixture.rows("SELECT name FROM author").await, ["scheduled before"], "{how:?}");
        em.persist([&created, &author].map(Clone::clone));
        em.persist([&tag, &tagged].map(Clone::clone));
        assert_eq!(em.flush().await.unwrap().inserted, 4, "{how:?}: they can be persisted again");
    }
}

#[tokio::test]
async fn d2_an_inner_failure_leaves_the_outer_scope_as_it_was() {
    let fixture = Fixture::new(library()).await;
    let em = fixture.em();
    let ada = em.persist(NewAuthor { name: "Ada".into() });
    em.flush().await.unwrap();
    em.transactional(async |em| {
        let bob = em.persist(NewAuthor { name: "Bob".into() });
        em.flush().await?;
        ada.write().born = Some(1815);
        let before = [shown(&ada), shown(&bob)];
        for _ in 0..3 {
            let inner = em.transactional(async |em| {
                bob.write().name = "Robert".into();
                em.flush().await?;
                em.remove(&ada);
                em.flush().await?;
                assert_eq!(ada.state(), EntityState::Removed);
                Err::<(), _>(on_purpose())
            });
            assert!(inner.await.is_err());
            assert_eq!([shown(&ada), shown(&bob)], before);
        }
        fixture.forget();
        Ok::<_, Error>(())
    })
    .await
    .unwrap();
    assert_eq!(fixture.flow(), ["UPDATE", "COMMIT"], "no SELECT is needed to go on");
    assert_eq!(fixture.rows("SELECT name, born FROM author ORDER BY id").await, ["Ada|1815", "Bob|~"]);
}

#[tokio::test]
async fn d2_no_select_is_sent_to_restore() {
    for how in EVERY {
        let fixture = Fixture::new(library()).await;
        let em = fixture.em();
        let ada = em.persist(NewAuthor { name: "Ada".into() });
        em.flush().await.unwrap();
        fixture.forget();
        let author = ada.clone();
        fail(&em, how, |em| async move {
            author.write().name = "Augusta".into();
            em.flush().await.map(|_| ())
        })
        .await;
        assert_eq!(ada.read().name, "Ada");
        let found = em.find_one_or_fail::<Author>(ada.id(), ()).await.unwrap();
        assert_eq!(found, ada);
        fixture.no_open_transaction().await;
        let flow = fixture.flow();
        assert!(flow.iter().all(|text| text != "SELECT"), "{how:?}: {flow:?}");
    }
}
