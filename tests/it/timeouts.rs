//! A transaction that takes too long is rolled back, and the server stops working for it.

use std::future::pending;
use std::time::{Duration, Instant};

use crate::library::*;
use crate::support::Fixture;
use howdah::prelude::*;

const SHORT: Duration = Duration::from_millis(60);
/// More than all of them may take; what waits for the server takes longer.
const LONG: Duration = Duration::from_secs(15);

/// One author, Ada; the pool of the manager under test has one connection.
async fn fixture() -> Fixture {
    let options = |builder: howdah::OrmBuilder| builder.max_connections(1).acquire_timeout(LONG);
    let fixture = Fixture::with(library(), options).await;
    fixture.database.execute("INSERT INTO author (name) VALUES ('Ada')").await.unwrap();
    fixture
}

/// A manager of another pool that has changed Ada, and not committed.
async fn lock_ada(fixture: &Fixture) -> EntityManager {
    let orm = Orm::builder().url(fixture.database.url()).entities(library()).connect().await.unwrap();
    let em = orm.em();
    em.begin().await.unwrap();
    em.find_one_or_fail::<Author>(1, ()).await.unwrap().write().born = Some(1);
    em.flush().await.unwrap();
    em
}

fn assert_timed_out<T: std::fmt::Debug>(outcome: Result<T, Error>) {
    match outcome {
        Err(Error::Timeout { after, .. }) => assert_eq!(after, SHORT),
        other => panic!("{other:?}"),
    }
}

/// How many statements wait for a lock.
async fn waiting(fixture: &Fixture) -> usize {
    let sql = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    fixture.rows(sql).await.len()
}

#[tokio::test]
async fn a_closure_that_takes_too_long_is_rolled_back() {
    let fixture = fixture().await;
    let em = fixture.em();
    let ada = em.find_one_or_fail::<Author>(1, ()).await.unwrap();
    let outcome = em
        .transaction()
        .timeout(SHORT)
        .run(async |em| {
            ada.write().born = Some(1815);
            em.flush().await?;
            pending::<Result<(), Error>>().await
        })
        .await;
    assert_timed_out(outcome);
    assert_eq!((ada.read().born, ada.is_dirty()), (None, false));
    assert_eq!(fixture.rows("SELECT born FROM author").await, ["~"]);
    assert_eq!(fixture.open_transactions().await, 0, "the rollback was waited for");
    assert_eq!(em.count::<Author>(()).await.unwrap(), 1, "the manager and its connection are as good as new");
}

#[tokio::test]
async fn a_statement_that_waits_is_cancelled_on_the_server() {
    let fixture = fixture().await;
    let other = lock_ada(&fixture).await;
    let em = fixture.em();
    let ada = em.find_one_or_fail::<Author>(1, ()).await.unwrap();
    // In the closure, and in the flush at its end.
    for in_closure in [true, false] {
        let begun = Instant::now();
        let outcome = em
            .transaction()
            .timeout(SHORT)
            .run(async |em| {
                ada.write().born = Some(1815);
                if in_closure {
                    em.flush().await?;
                }
                Ok::<_, Error>(())
            })
            .await;
        assert_timed_out(outcome);
        assert!(begun.elapsed() >= SHORT);
        assert_eq!(waiting(&fixture).await, 0, "{in_closure}");
        assert_eq!((ada.read().born, ada.is_dirty()), (None, false), "{in_closure}");
        // The other still has its lock; this one's connection works for somebody else.
        assert_eq!(fixture.em().count::<Author>(()).await.unwrap(), 1, "{in_closure}");
    }
    other.rollback().await.unwrap();
    ada.write().born = Some(1815);
    em.flush().await.unwrap();
    assert_eq!(fixture.rows("SELECT born FROM author").await, ["1815"]);
}

#[tokio::test]
async fn a_savepoint_that_takes_too_long_fails_alone() {
    let fixture = fixture().await;
    let other = lock_ada(&fixture).await;
    let em = fixture.em();
    let ada = em.find_one_or_fail::<Author>(1, ()).await.unwrap();
    em.transactional(async |em| {
        em.persist(NewShelf { code: "A".into() });
        em.flush().await?;
        for in_closure in [true, false] {
            let inner = em
                .transaction()
                .timeout(SHORT)
                .run(async |em| {
                    em.persist(NewShelf { code: "B".into() });
                    ada.write().born = Some(1815);
                    if in_closure {
                        em.flush().await?;
                    }
                    Ok::<_, Error>(())
                })
                .await;
            assert_timed_out(inner);
            assert_eq!((ada.read().born, ada.is_dirty()), (None, false));
            assert_eq!(em.count::<Shelf>(()).await?, 1, "the outer one goes on");
        }
        em.persist(NewShelf { code: "C".into() });
        Ok::<_, Error>(())
    })
    .await
    .unwrap();
    assert_eq!(fixture.rows("SELECT code FROM shelf ORDER BY code").await, ["A", "C"]);
    other.rollback().await.unwrap();
}

#[tokio::test]
async fn a_part_that_takes_too_long_makes_the_whole_fail() {
    let fixture = fixture().await;
    let em = fixture.em();
    let outcome = em
        .transactional(async |em| {
            em.persist(NewShelf { code: "A".into() });
            let part = em.transaction().propagation(Propagation::Required).timeout(SHORT);
            assert_timed_out(part.run(async |_| pending::<Result<(), Error>>().await).await);
            Ok::<_, Error>(())
        })
        .await;
    assert!(matches!(outcome, Err(Error::TransactionRollbackOnly)), "{outcome:?}");
}

#[tokio::test]
async fn a_commit_that_takes_too_long_is_cancelled_and_waited_for() {
    let fixture = fixture().await;
    let slow = "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(60); \
                RETURN new; END $$; CREATE CONSTRAINT TRIGGER slow AFTER INSERT ON shelf \
                DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION slow()";
    fixture.database.execute(slow).await.unwrap();
    let em = fixture.em();
    let shelf = em.create(NewShelf { code: "A".into() });
    let outcome = em
        .transaction()
        .timeout(SHORT)
        .run(async |em| {
            em.persist(&shelf);
            em.flush().await?;
            Ok::<_, Error>(())
        })
        .await;
    assert_timed_out(outcome);
    assert_eq!((shelf.state(), shelf.is_dirty()), (EntityState::New, false));
    assert_eq!(fixture.rows("SELECT code FROM shelf").await, [""; 0]);
    fixture.no_open_transaction().await;
    assert_eq!(em.count::<Shelf>(()).await.unwrap(), 0);
}

#[tokio::test]
async fn waiting_for_a_connection_counts() {
    let fixture = fixture().await;
    let busy = fixture.em();
    busy.begin().await.unwrap();
    let em = fixture.em();
    let begun = Instant::now();
    assert_timed_out(em.transaction().timeout(SHORT).run(async |em| em.count::<Author>(()).await).await);
    assert!(begun.elapsed() < LONG);
    assert!(!em.is_in_transaction());
    busy.rollback().await.unwrap();
    assert_eq!(em.transaction().timeout(LONG).run(async |em| em.count::<Author>(()).await).await.unwrap(), 1);
}

#[tokio::test]
async fn without_a_transaction_the_closure_is_dropped() {
    let fixture = fixture().await;
    let em = fixture.em();
    let outcome = em
        .transaction()
        .propagation(Propagation::Never)
        .timeout(SHORT)
        .run(async |em| {
            em.persist(NewShelf { code: "A".into() });
            pending::<Result<(), Error>>().await
        })
        .await;
    assert_timed_out(outcome);
    assert_eq!(em.flush().await.unwrap().inserted, 1);
}

#[tokio::test]
async fn repetitions_and_pauses_count() {
    let fixture = fixture().await;
    let em = fixture.em();
    let begun = Instant::now();
    let outcome = em
        .transaction()
        .isolation(IsolationLevel::RepeatableRead)
        .retries(u32::MAX)
        .timeout(Duration::from_millis(300))
        .run(async |em| {
            let ada = em.find_one_or_fail::<Author>(1, ()).await?;
            fixture.database.execute("UPDATE author SET born = coalesce(born, 0) + 1").await.unwrap();
            ada.write().name.push('!');
            Ok::<_, Error>(())
        })
        .await;
    // In the middle of a run, or before a pause for which there is no time.
    assert!(matches!(outcome, Err(Error::Timeout { .. } | Error::SerializationFailure { .. })), "{outcome:?}");
    assert!(begun.elapsed() < LONG);
    assert_eq!(fixture.rows("SELECT name, born > 1 FROM author").await, ["Ada|t"]);
    fixture.no_open_transaction().await;
}

#[tokio::test]
async fn what_is_cancelled_is_never_the_next_users_statement() {
    let fixture = fixture().await;
    for microseconds in (0..60).map(|step| step * 150) {
        let em = fixture.em();
        let outcome = em
            .transaction()
            .timeout(Duration::from_micros(microseconds))
            .run(async |em| {
                loop {
                    em.count::<Author>(()).await?;
                    em.transactional(async |em| em.count::<Shelf>(()).await).await?;
                }
                #[allow(unreachable_code, reason = "the type of the answer")]
                Ok::<_, Error>(())
            })
            .await;
        assert!(matches!(outcome, Err(Error::Timeout { .. })), "{microseconds}: {outcome:?}");
        assert!(!em.is_in_transaction());
        for _ in 0..3 {
            assert_eq!(em.count::<Author>(()).await.unwrap(), 1, "{microseconds}");
        }
        assert_eq!(fixture.open_transactions().await, 0, "{microseconds}");
    }
}
