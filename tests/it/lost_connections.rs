//! Rules C3, C10 and C11: a connection that is lost before, during and after COMMIT.
//!
//! Whatever was lost, the caller is never told that something was not written that was, or the other way round; after an
//! error the memory is as before and everything is still scheduled; doing the same again on a new connection gives every row
//! exactly once.

use std::time::Duration;

use crate::cancellation::{ENOUGH, Story, assert_written, cancelled_after, is_committed};
use crate::library::*;
use crate::proxy::{At, Cut, Proxy};
use crate::support::Fixture;
use howdah::prelude::*;

/// COMMIT was carried out, and its answer was lost: the server is asked what has become of the transaction.
fn assert_answer_lost(outcome: &Result<(), Error>) {
    assert!(outcome.is_ok(), "{outcome:?}");
}

/// COMMIT was sent, and never got to the server: that is found out, too, if the number of the transaction has arrived.
fn assert_commit_not_seen(outcome: &Result<(), Error>) {
    let told = matches!(outcome, Err(Error::Connection { .. } | Error::CommitOutcomeUnknown { .. }));
    assert!(told, "{outcome:?}");
}

/// The connection was lost before COMMIT was sent.
fn assert_lost(outcome: &Result<(), Error>) {
    assert!(matches!(outcome, Err(Error::Connection { .. })), "{outcome:?}");
}

/// One connection, so that one that is lost shows at once.
async fn start() -> (Fixture, Proxy) {
    let options = |builder: howdah::OrmBuilder| builder.max_connections(1).acquire_timeout(Duration::from_secs(5));
    Fixture::through_proxy_with(library(), options).await
}

/// The ways to write what is scheduled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Flush,
    /// Flushed at the end of a transaction.
    Transactional,
    /// Flushed in a transaction, which ends later.
    FlushInTransaction,
    /// In a transaction in a transaction.
    Nested,
    ByHand,
}

impl Way {
    const ALL: [Self; 5] = [Self::Flush, Self::Transactional, Self::FlushInTransaction, Self::Nested, Self::ByHand];

    async fn go(self, em: EntityManager) -> Result<(), Error> {
        match self {
            Self::Flush => em.flush().await.map(|_| ()),
            Self::Transactional => em.transactional(async |_| Ok(())).await,
            Self::FlushInTransaction => em.transactional(async |em| em.flush().await.map(|_| ())).await,
            Self::Nested => em.transactional(async |em| em.transactional(async |_| Ok(())).await).await,
            Self::ByHand => {
                em.begin().await?;
                if let Err(error) = em.flush().await {
                    em.rollback().await?;
                    return Err(error);
                }
                em.commit().await
            }
        }
    }
}

/// Writes the story over a connection that is cut, and asserts what holds however it was cut; answers with what was told
/// and whether it was met and committed.
async fn told(fixture: &Fixture, proxy: &Proxy, way: Way, cut: impl Into<Cut>) -> (Result<(), Error>, bool, bool) {
    let cut = cut.into();
    let story = Story::begin(fixture).await;
    let context = format!("{way:?} cut {cut:?}");
    proxy.reset();
    proxy.cut(cut);
    let outcome = way.go(story.em.clone()).await;
    let is_met = !proxy.disarm();
    assert_eq!(proxy.cuts(), u64::from(is_met), "{context}");
    let is_committed = is_committed(fixture).await;
    match (&outcome, is_committed) {
        (Ok(()), true) => story.assert_written(fixture).await,
        (Err(Error::Connection { .. } | Error::CommitOutcomeUnknown { .. }), false) => {
            story.assert_memory_as_before(&context);
            story.assert_nothing_written(fixture, &context).await;
            way.go(story.em.clone()).await.unwrap_or_else(|error| panic!("{context}: {error}"));
            assert_eq!(proxy.connections(), 1, "{context}: a new connection");
            story.assert_written(fixture).await;
        }
        (Err(Error::CommitOutcomeUnknown { .. }), true) => {
            story.assert_memory_as_before(&context);
            assert_written(fixture).await;
            // Doing it again is refused, and writes nothing twice.
            let again = way.go(story.em.clone()).await;
            assert!(matches!(again, Err(Error::OptimisticLock { .. } | Error::UniqueViolation { .. })), "{again:?}");
            story.assert_memory_as_before(&context);
            assert_written(fixture).await;
        }
        wrong => panic!("{context}: {wrong:?}"),
    }
    (outcome, is_met, is_committed)
}

#[tokio::test]
async fn c11_the_answer_to_commit_is_lost() {
    let (fixture, proxy) = start().await;
    for way in Way::ALL {
        let (outcome, is_met, is_committed) = told(&fixture, &proxy, way, At::After("COMMIT")).await;
        assert_answer_lost(&outcome);
        assert!(is_met && is_committed, "{way:?}");
    }
}

#[tokio::test]
async fn c11_commit_never_gets_to_the_server() {
    let (fixture, proxy) = start().await;
    for way in Way::ALL {
        let (outcome, is_met, is_committed) = told(&fixture, &proxy, way, At::Before("COMMIT")).await;
        assert_commit_not_seen(&outcome);
        assert!(is_met && !is_committed, "{way:?}");
    }
}

#[tokio::test]
async fn c11_a_server_that_ends_the_session_before_commit_says_that_nothing_was_committed() {
    let (fixture, proxy) = start().await;
    for way in Way::ALL {
        let (outcome, is_met, is_committed) = told(&fixture, &proxy, way, At::Before("COMMIT").by_server()).await;
        assert_lost(&outcome);
        assert_eq!(outcome.unwrap_err().sqlstate(), Some("57P01"));
        assert!(is_met && !is_committed, "{way:?}");
    }
}

#[tokio::test]
async fn c11_the_outcome_stays_unknown_if_there_is_no_new_connection() {
    let (fixture, proxy) = start().await;
    for cut in [At::Before("COMMIT"), At::After("COMMIT")] {
        let story = Story::begin(&fixture).await;
        proxy.cut(cut);
        proxy.refuse(true);
        let outcome = story.em.flush().await;
        assert!(matches!(outcome, Err(Error::CommitOutcomeUnknown { .. })), "{outcome:?}");
        story.assert_memory_as_before("no new connection");
        assert!(matches!(story.em.flush().await, Err(Error::Connection { .. })));
        story.assert_memory_as_before("no new connection");
        proxy.refuse(false);
    }
}

#[tokio::test]
async fn c11_a_server_that_does_not_notice_keeps_the_transaction_open() {
    let (fixture, proxy) = start().await;
    let story = Story::begin(&fixture).await;
    proxy.cut(At::Before("COMMIT").unnoticed());
    let outcome = story.em.flush().await;
    assert!(matches!(outcome, Err(Error::CommitOutcomeUnknown { .. })), "{outcome:?}");
    story.assert_memory_as_before("not noticed");
    // The client was cut off at once: the server may still be busy with what came before.
    for _ in 0..200 {
        if fixture.open_transactions().await == 1 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(fixture.open_transactions().await, 1, "it has neither committed nor rolled back");
    proxy.heal();
    assert!(!is_committed(&fixture).await);
    story.em.flush().await.unwrap();
    story.assert_written(&fixture).await;
}

#[tokio::test]
async fn c3_the_connection_is_lost_in_front_of_any_statement() {
    let (fixture, proxy) = start().await;
    for part in ["INSERT INTO \"tag\"", "INSERT INTO \"book\"", "UPDATE \"author\"", "UPDATE \"book\"", "DELETE"] {
        for way in [Way::Flush, Way::Nested] {
            for cut in [At::Before(part).into(), At::Before(part).by_server()] {
                let (_, is_met, is_committed) = told(&fixture, &proxy, way, cut).await;
                assert!(is_met && !is_committed, "{way:?} {part}");
            }
        }
    }
}

/// Cuts at every so many bytes until the end is met; answers with how often something was and was not committed.
async fn everywhere(way: Way, step: usize, at: impl Fn(usize) -> At) -> [usize; 2] {
    let (fixture, proxy) = start().await;
    let mut counts = [0, 0];
    for number in 0..1000 {
        let (_, is_met, is_committed) = told(&fixture, &proxy, way, at(number * step)).await;
        if !is_met {
            return counts;
        }
        counts[usize::from(is_committed)] += 1;
    }
    panic!("the end is not met");
}

#[tokio::test]
async fn c3_c11_the_connection_is_lost_at_any_byte_that_is_sent() {
    for way in [Way::Flush, Way::FlushInTransaction] {
        let [not_committed, _] = everywhere(way, 53, At::Byte).await;
        assert!(not_committed > 10, "{way:?}: {not_committed}");
    }
}

#[tokio::test]
async fn c3_c11_the_connection_is_lost_at_any_byte_that_is_received() {
    for way in [Way::Flush, Way::FlushInTransaction] {
        let counts = everywhere(way, 23, At::AnswerByte).await;
        assert!(counts.iter().sum::<usize>() > 10, "{way:?}: {counts:?}");
        assert!(counts[1] > 0, "{way:?}: the answer to COMMIT is among them");
    }
}

#[tokio::test]
async fn c11_a_flush_of_one_statement_is_written_once_or_not_at_all() {
    let (fixture, proxy) = start().await;
    let em = fixture.em();
    let ada = em.persist(NewAuthor { name: "Ada".into() });
    em.flush().await.unwrap();
    for cut in [At::Before("INSERT"), At::After("INSERT"), At::AnswerByte(0), At::AnswerByte(20), At::Message(b'E', 1)]
    {
        fixture.database.execute("TRUNCATE book CASCADE").await.unwrap();
        // Nothing in the table would refuse to be there twice.
        let book = em.persist(NewBook { title: "Notes".into(), author: ada.to_ref() });
        proxy.reset();
        proxy.cut(cut.clone());
        let outcome = em.flush().await;
        assert_eq!(proxy.cuts(), 1, "{cut:?}");
        fixture.no_open_transaction().await;
        let is_written = !fixture.rows("SELECT id FROM book").await.is_empty();
        match outcome {
            Ok(_) => assert!(is_written, "{cut:?}"),
            Err(Error::Connection { .. }) => assert!(!is_written, "{cut:?}: told as not written"),
            Err(Error::CommitOutcomeUnknown { .. }) if is_written => {
                assert_eq!((book.state(), book.id()), (EntityState::New, 0), "{cut:?}");
                em.remove(&book);
            }
            Err(Error::CommitOutcomeUnknown { .. }) => {}
            Err(error) => panic!("{cut:?}: {error:?}"),
        }
        em.flush().await.unwrap();
        assert_eq!(fixture.rows("SELECT title FROM book").await, ["Notes"], "{cut:?}");
    }
}

#[tokio::test]
async fn the_connection_is_lost_around_a_rollback() {
    let (fixture, proxy) = start().await;
    for cut in [At::Before("ROLLBACK"), At::After("ROLLBACK")] {
        let story = Story::begin(&fixture).await;
        proxy.cut(cut);
        let failed = story
            .em
            .transactional(async |em| {
                em.flush().await?;
                Err::<(), _>(Error::NotFound { entity: "Author", criteria: "on purpose".into() })
            })
            .await;
        assert!(matches!(failed, Err(Error::NotFound { .. })), "the caller's own error: {failed:?}");
        assert!(!proxy.disarm());
        story.assert_memory_as_before("rolled back");
        story.assert_nothing_written(&fixture, "rolled back").await;
        story.em.flush().await.unwrap();
        story.assert_written(&fixture).await;
    }
}

#[tokio::test]
async fn c10_commit_of_a_transaction_that_has_failed_is_no_success() {
    let (fixture, proxy) = start().await;
    fixture.database.execute("INSERT INTO tag VALUES (gen_random_uuid(), 'engine')").await.unwrap();
    let em = fixture.em();
    em.persist(NewShelf { code: "A".into() });
    em.persist(NewTag { name: "engine".into() });
    proxy.reset();
    let outcome = em.flush().await;
    assert!(matches!(outcome, Err(Error::UniqueViolation { .. })), "{outcome:?}");
    assert!(fixture.rows("SELECT code FROM shelf").await.is_empty());
    let outcome = em
        .transactional(async |em| {
            let swallowed = em.transactional(async |_| Ok::<_, Error>(())).await;
            assert!(matches!(swallowed, Err(Error::UniqueViolation { .. })), "{swallowed:?}");
            em.persist(NewShelf { code: "B".into() });
            Ok::<_, Error>(())
        })
        .await;
    assert!(matches!(outcome, Err(Error::UniqueViolation { .. })), "{outcome:?}");
    assert!(fixture.rows("SELECT code FROM shelf").await.is_empty());
}

#[tokio::test]
async fn a_connection_that_is_lost_while_reading_is_told_and_replaced() {
    let (fixture, proxy) = start().await;
    let story = Story::begin(&fixture).await;
    for cut in [At::Before("SELECT").into(), At::After("SELECT").into(), At::Before("SELECT").by_server()] {
        let em = fixture.em();
        proxy.reset();
        proxy.cut(Cut::clone(&cut));
        let lost = em.find_one::<Author>(story.ada.id(), ()).await.map(|_| ());
        assert_lost(&lost);
        assert_eq!(proxy.cuts(), 1);
        let found = em.find_one_or_fail::<Author>(story.ada.id(), ()).await.unwrap();
        assert_eq!(found.read().name, "Ada", "{cut:?}");
        assert_eq!(proxy.connections(), 1);
    }
}

/// What was sent with a flush that is given up, and whose outcome cannot be found out, is told by the next operation: whoever writes
/// it again knows that it may be there.
#[tokio::test]
async fn c11_c12_a_flush_that_was_given_up_and_then_lost_is_told() {
    let (fixture, proxy) = start().await;
    let em = fixture.em();
    let ada = em.persist(NewAuthor { name: "Ada".into() });
    em.flush().await.unwrap();
    let (mut told_written, mut told_lost) = (0, 0);
    // One statement, which commits by itself, and a transaction whose outcome cannot be asked for.
    for (statements, cut) in [(1, At::Before("INSERT")), (1, At::After("INSERT")), (2, At::After("COMMIT"))] {
        for polls in 1..ENOUGH {
            fixture.database.execute("TRUNCATE book, shelf CASCADE").await.unwrap();
            let book = em.persist(NewBook { title: "Notes".into(), author: ada.to_ref() });
            let shelf = (statements > 1).then(|| em.persist(NewShelf { code: "A".into() }));
            proxy.cut(cut.clone());
            let is_done = cancelled_after(polls, em.flush()).await.is_some();
            proxy.refuse(statements > 1);
            let outcome = if is_done { Ok(0) } else { em.count::<Tag>(()).await };
            proxy.refuse(false);
            proxy.disarm();
            fixture.no_open_transaction().await;
            let is_written = !fixture.rows("SELECT id FROM book").await.is_empty();
            if let Err(Error::CommitOutcomeUnknown { .. }) = outcome {
                *(if is_written { &mut told_written } else { &mut told_lost }) += 1;
                assert_eq!((book.state(), book.key()), (EntityState::New, None), "{cut:?} {polls}");
            } else if !is_done {
                assert!(!is_written || book.state() == EntityState::Managed, "{cut:?} {polls}: written, and not told");
            }
            if is_written && book.state() == EntityState::New {
                em.remove(&book);
                shelf.iter().for_each(|shelf| em.remove(shelf));
            }
            em.flush().await.unwrap();
            assert_eq!(fixture.rows("SELECT title FROM book").await, ["Notes"], "{cut:?} {polls}");
            em.detach(&book);
            shelf.iter().for_each(|shelf| em.detach(shelf));
            if is_done {
                break;
            }
        }
    }
    assert!(told_written > 0 && told_lost > 0, "{told_written} {told_lost}");
}
