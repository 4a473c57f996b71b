//! Nested transactions are savepoints, to any depth, and cost no trip of their own (rule D1); what fails inside leaves
//! what is outside alone (rule D2).

use futures_util::future::{BoxFuture, join};

use crate::library::*;
use crate::support::Fixture;
use howdah::prelude::*;

fn author(name: &str) -> NewAuthor {
    NewAuthor { name: name.into() }
}

/// An error for what a test rolls back on purpose.
fn on_purpose() -> Error {
    Error::NotFound { entity: "Author", criteria: "on purpose".into() }
}

/// Writes an author at each depth, the deepest last; the scope of depth `fails_at` fails behind its children.
fn nested(em: EntityManager, depth: u8, deepest: u8, fails_at: u8) -> BoxFuture<'static, Result<(), Error>> {
    Box::pin(async move {
        em.transactional(async |em| {
            em.persist(author(&format!("depth {depth}")));
            em.flush().await?;
            if depth < deepest {
                // A failure of the inner scope is the inner scope's.
                let _ = nested(em.clone(), depth + 1, deepest, fails_at).await;
            }
            if depth == fails_at { Err(on_purpose()) } else { Ok(()) }
        })
        .await
    })
}

#[tokio::test]
async fn d1_savepoints_of_any_depth_travel_with_the_work() {
    let fixture = Fixture::new(library()).await;
    let em = fixture.em();
    em.transactional(async |em| {
        em.transactional(async |em| {
            em.transactional(async |em| {
                em.transactional(async |em| {
                    em.persist(author("Ada"));
                    Ok::<_, Error>(())
                })
                .await
            })
            .await
        })
        .await
    })
    .await
    .unwrap();
    assert_eq!(fixture.log.round_trips(), 2, "one for the work, one for the COMMIT: the flush is an inner scope's");
    assert_eq!(
        fixture.flow(),
        [
            "BEGIN",
            "SAVEPOINT howdah_1",
            "SAVEPOINT howdah_2",
            "SAVEPOINT howdah_3",
            "INSERT",
            "RELEASE SAVEPOINT howdah_3",
            "RELEASE SAVEPOINT howdah_2",
            "RELEASE SAVEPOINT howdah_1",
            "COMMIT",
        ]
    );
    assert_eq!(fixture.rows("SELECT name FROM author").await, ["Ada"]);
}

#[tokio::test]
async fn d2_a_scope_that_fails_takes_its_children_along_and_nothing_else() {
    for fails_at in 1..=4 {
        let fixture = Fixture::new(library()).await;
        let em = fixture.em();
        let outcome = nested(em.clone(), 1, 4, fails_at).await;
        assert_eq!(outcome.is_err(), fails_at == 1);
        let expected: Vec<String> = (1..fails_at).map(|depth| format!("depth {depth}")).collect();
        assert_eq!(fixture.rows("SELECT name FROM author ORDER BY id").await, expected, "failed at {fails_at}");
        assert_eq!(em.flush().await.unwrap(), FlushSummary::default(), "what was rolled back is not scheduled");
        fixture.no_open_transaction().await;
    }
}

#[tokio::test]
async fn d2_rolling_back_to_a_savepoint_costs_no_trip_either() {
    let fixture = Fixture::new(library()).await;
    let em = fixture.em();
    let ada = em.persist(author("Ada"));
    em.flush().await.unwrap();
    fixture.forget();
    em.transactional(async |em| {
        ada.write().born = Some(1815);
        let failed = em
            .transactional(async |em| {
                ada.write().name = "Augusta".into();
                em.flush().await?;
                Err::<(), _>(on_purpose())
            })
            .await;
        assert!(failed.is_err());
        assert_eq!((ada.read().name.as_str(), ada.read().born), ("Ada", Some(1815)));
        Ok::<_, Error>(())
    })
    .await
    .unwrap();
    assert_eq!(fixture.log.round_trips(), 2, "the inner flush, the outer flush with the COMMIT");
    assert_eq!(
        fixture.flow(),
        [
            "BEGIN",
            "SAVEPOINT howdah_1",
            "SAVEPOINT howdah_2",
            "UPDATE",
            "RELEASE SAVEPOINT howdah_2",
            "ROLLBACK TO SAVEPOINT howdah_1; RELEASE SAVEPOINT howdah_1",
            "UPDATE",
            "COMMIT",
        ]
    );
    assert_eq!(fixture.rows("SELECT name, born FROM author").await, ["Ada|1815"]);
}

#[tokio::test]
async fn numbers_of_savepoints_begin_anew_with_every_transaction() {
    let fixture = Fixture::new(library()).await;
    for _ in 0..2 {
        let em = fixture.em();
        em.transactional(async |em| em.transactional(async |_| Ok::<_, Error>(())).await).await.unwrap();
        assert_eq!(fixture.flow(), ["BEGIN", "SAVEPOINT howdah_1", "RELEASE SAVEPOINT howdah_1", "COMMIT"]);
    }
}

#[tokio::test]
async fn c3_a_failed_flush_is_mended_and_retried_in_the_same_transaction() {
    let fixture = Fixture::new(library()).await;
    let em = fixture.em();
    em.persist(author("Ada"));
    em.flush().await.unwrap();
    fixture.forget();
    let second = em
        .transactional(async |em| {
            let bob = em.persist(author("Bob"));
            em.flush().await?;
            let second = em.persist(author("Ada"));
            bob.write().born = Some(1900);
            assert!(matches!(em.flush().await, Err(Error::UniqueViolation { .. })));
            // As before the flush: still scheduled, still dirty.
            assert_eq!((second.id(), second.state(), second.is_dirty()), (0, EntityState::New, true));
            assert_eq!(bob.changes().len(), 1);
            second.write().name = "Augusta".into();
            let summary = em.flush().await?;
            assert_eq!((summary.inserted, summary.updated), (1, 1));
            Ok::<_, Error>(second)
        })
        .await
        .unwrap();
    assert!(second.id() > 0);
    assert_eq!(fixture.rows("SELECT name, born FROM author ORDER BY name").await, ["Ada|~", "Augusta|~", "Bob|1900"]);
    let undone = "ROLLBACK TO SAVEPOINT howdah_2; RELEASE SAVEPOINT howdah_2";
    assert_eq!(fixture.flow().iter().filter(|text| *text == undone).count(), 1);
}

#[tokio::test]
async fn an_inner_flush_that_fails_at_the_end_of_its_scope_leaves_the_outer_one_usable() {
    let fixture = Fixture::new(library()).await;
    let em = fixture.em();
    em.transactional(async |em| {
        let ada = em.persist(author("Ada"));
        let inner = em
            .transactional(async |em| {
                em.persist([author("Bob"), author("Bob")]);
                Ok::<_, Error>(())
            })
            .await;
        assert!(matches!(inner, Err(Error::UniqueViolation { .. })));
        assert!(ada.is_dirty(), "Ada was scheduled outside, and flushed along with the inner scope in vain");
        Ok::<_, Error>(())
    })
    .await
    .unwrap();
    assert_eq!(fixture.rows("SELECT name FROM author").await, ["Ada"]);
}

/// A query that runs beside a flush which fails is refused along with it. The flush goes back to its savepoint, and the transaction goes
/// on.
#[tokio::test]
async fn d1_a_query_beside_a_failed_flush_does_not_fail_the_transaction() {
    let fixture = Fixture::new(library()).await;
    let em = fixture.em();
    em.set_flush_mode(FlushMode::Commit);
    em.persist(NewAuthor { name: "Ada".into() });
    em.flush().await.unwrap();
    em.begin().await.unwrap();
    let twice = em.persist(NewAuthor { name: "Ada".into() });
    // In this order, whenever they are polled.
    let (flushed, read) = join(em.flush(), async { em.find::<Tag>().await }).await;
    assert!(matches!(flushed, Err(Error::UniqueViolation { .. })), "{flushed:?}");
    assert!(matches!(read, Err(Error::TransactionAborted)), "{read:?}");
    twice.write().name = "Bob".into();
    em.flush().await.unwrap();
    em.commit().await.unwrap();
    assert_eq!(fixture.rows("SELECT name FROM author ORDER BY id").await, ["Ada", "Bob"]);
}
