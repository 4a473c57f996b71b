//! What a transaction does inside another one, and outside of any (rules D3 and D4).

use std::time::Duration;

use crate::library::*;
use crate::support::Fixture;
use howdah::Transaction;
use howdah::prelude::*;

const ALL: [Propagation; 7] = [
    Propagation::Nested,
    Propagation::Required,
    Propagation::RequiresNew,
    Propagation::NotSupported,
    Propagation::Supports,
    Propagation::Never,
    Propagation::Mandatory,
];

/// Those that become part of the open transaction.
const JOINING: [Propagation; 3] = [Propagation::Required, Propagation::Supports, Propagation::Mandatory];

fn author(name: &str) -> NewAuthor {
    NewAuthor { name: name.into() }
}

/// An error for what a test rolls back on purpose.
fn on_purpose() -> Error {
    Error::NotFound { entity: "Author", criteria: "on purpose".into() }
}

fn with(em: &EntityManager, propagation: Propagation) -> Transaction {
    em.transaction().propagation(propagation)
}

/// Writes an author, if the propagation lets it.
async fn write(em: &EntityManager, propagation: Propagation, name: &str) -> Result<(), Error> {
    with(em, propagation)
        .run(async |em| {
            em.persist(author(name));
            Ok(())
        })
        .await
}

#[tokio::test]
async fn outside_of_a_transaction() {
    for propagation in ALL {
        let fixture = Fixture::new(library()).await;
        let em = fixture.em();
        let is_in_transaction = with(&em, propagation)
            .run(async |em| {
                em.persist(author("Ada"));
                Ok::<_, Error>(em.is_in_transaction())
            })
            .await;
        let flow = fixture.flow();
        if propagation == Propagation::Mandatory {
            let refused = is_in_transaction.unwrap_err();
            assert!(matches!(refused, Error::TransactionRequired { operation: "Propagation::Mandatory" }), "{refused}");
            assert_eq!(flow, [""; 0], "refused before anything is sent");
            continue;
        }
        let begins = matches!(propagation, Propagation::Nested | Propagation::Required | Propagation::RequiresNew);
        assert_eq!(is_in_transaction.unwrap(), begins, "{propagation:?}");
        // Without a transaction it is the flush that commits, at the end: one statement needs no BEGIN.
        let expected = if begins { &["BEGIN", "INSERT", "COMMIT"][..] } else { &["INSERT"] };
        assert_eq!(flow, expected, "{propagation:?}");
        assert_eq!(fixture.rows("SELECT name FROM author").await, ["Ada"], "{propagation:?}");
        fixture.no_open_transaction().await;
    }
}

#[tokio::test]
async fn inside_of_a_transaction_that_succeeds() {
    for propagation in ALL {
        let fixture = Fixture::new(library()).await;
        let em = fixture.em();
        // How keys are made is known then: a flush of two authors is not tried in a savepoint of its own.
        write(&em, Propagation::Nested, "Zoe").await.unwrap();
        fixture.forget();
        let outcome = em
            .transactional(async |em| {
                em.persist(author("Ada"));
                write(&em, propagation, "Bob").await
            })
            .await;
        let flow = fixture.flow();
        let rows = fixture.rows("SELECT name FROM author ORDER BY name").await;
        match propagation {
            Propagation::Never => {
                let refused = outcome.unwrap_err();
                assert!(matches!(refused, Error::TransactionForbidden { operation: "Propagation::Never" }));
                assert_eq!(flow, ["BEGIN", "ROLLBACK"]);
                assert_eq!(rows, ["Zoe"]);
                continue;
            }
            Propagation::Nested => {
                let savepoint = ["BEGIN", "SAVEPOINT howdah_1", "INSERT", "RELEASE SAVEPOINT howdah_1", "COMMIT"];
                assert_eq!(flow, savepoint);
            }
            Propagation::RequiresNew => {
                assert_eq!(flow, ["BEGIN", "BEGIN", "INSERT", "COMMIT", "INSERT", "COMMIT"]);
            }
            Propagation::NotSupported => assert_eq!(flow, ["BEGIN", "INSERT", "INSERT", "COMMIT"]),
            _ => assert_eq!(flow, ["BEGIN", "INSERT", "COMMIT"], "{propagation:?}: one flush, no savepoint"),
        }
        outcome.unwrap();
        assert_eq!(rows, ["Ada", "Bob", "Zoe"], "{propagation:?}");
    }
}

#[tokio::test]
async fn d4_a_part_that_fails_makes_the_whole_fail() {
    for propagation in JOINING {
        let fixture = Fixture::new(library()).await;
        let em = fixture.em();
        let ada = em.persist(author("Ada"));
        em.flush().await.unwrap();
        fixture.forget();
        let outcome = em
            .transactional(async |em| {
                ada.write().born = Some(1815);
                em.flush().await?;
                let part = with(&em, propagation)
                    .run(async |em| {
                        em.persist(author("Bob"));
                        Err::<(), _>(on_purpose())
                    })
                    .await;
                assert!(matches!(part, Err(Error::NotFound { .. })), "the error is the part's own");
                em.persist(author("Eve"));
                Ok::<_, Error>(())
            })
            .await;
        assert!(matches!(outcome, Err(Error::TransactionRollbackOnly)), "{propagation:?}: {outcome:?}");
        let flow = ["BEGIN", "SAVEPOINT howdah_1", "UPDATE", "RELEASE SAVEPOINT howdah_1", "ROLLBACK"];
        assert_eq!(fixture.flow(), flow, "it is not even flushed");
        assert_eq!((ada.read().born, ada.is_dirty()), (None, false), "D2: the memory goes along");
        assert_eq!(em.flush().await.unwrap(), FlushSummary::default());
        assert_eq!(fixture.rows("SELECT name, born FROM author").await, ["Ada|~"]);
        fixture.no_open_transaction().await;
    }
}

#[tokio::test]
async fn d4_also_if_the_part_panics_or_is_dropped() {
    let fixture = Fixture::new(library()).await;
    let em = fixture.em();
    let outcome = em
        .transactional(async |em| {
            let part =
                with(&em, Propagation::Required).run(async |_| std::future::pending::<Result<(), Error>>().await);
            assert!(tokio::time::timeout(Duration::from_millis(20), part).await.is_err());
            Ok::<_, Error>(())
        })
        .await;
    assert!(matches!(outcome, Err(Error::TransactionRollbackOnly)), "{outcome:?}");
    let outcome = em
        .transactional(async |em| {
            let part = with(&em, Propagation::Required);
            let part = tokio::spawn(part.run(async |em| {
                em.persist(author("Ada"));
                em.flush().await?;
                if true {
                    panic!("on purpose");
                }
                Ok::<_, Error>(())
            }));
            assert!(part.await.unwrap_err().is_panic());
            Ok::<_, Error>(())
        })
        .await;
    assert!(matches!(outcome, Err(Error::TransactionRollbackOnly)), "{outcome:?}");
    assert_eq!(fixture.rows("SELECT name FROM author").await, [""; 0]);
}

#[tokio::test]
async fn d4_a_part_of_a_savepoint_makes_only_that_fail() {
    let fixture = Fixture::new(library()).await;
    let em = fixture.em();
    em.transactional(async |em| {
        em.persist(author("Ada"));
        let nested = em
            .transactional(async |em| {
                let part = with(&em, Propagation::Required)
                    .run(async |em| {
                        em.persist(author("Bob"));
                        em.flush().await?;
                        Err::<(), _>(on_purpose())
                    })
                    .await;
                assert!(part.is_err());
                Ok::<_, Error>(())
            })
            .await;
        assert!(matches!(nested, Err(Error::TransactionRollbackOnly)), "{nested:?}");
        Ok::<_, Error>(())
    })
    .await
    .unwrap();
    assert_eq!(fixture.rows("SELECT name FROM author").await, ["Ada"]);
}

#[tokio::test]
async fn d4_a_transaction_by_hand_with_a_failed_part_is_rolled_back_by_its_commit() {
    let fixture = Fixture::new(library()).await;
    let em = fixture.em();
    em.begin().await.unwrap();
    let ada = em.persist(author("Ada"));
    let part = with(&em, Propagation::Mandatory).run(async |_| Err::<(), _>(on_purpose())).await;
    assert!(part.is_err());
    assert!(em.is_in_transaction());
    let outcome = em.commit().await;
    assert!(matches!(outcome, Err(Error::TransactionRollbackOnly)), "{outcome:?}");
    assert!(!em.is_in_transaction());
    assert_eq!(ada.state(), EntityState::New);
    write(&em, Propagation::Required, "Bob").await.unwrap();
    assert_eq!(fixture.rows("SELECT name FROM author").await, ["Bob"]);
}

#[tokio::test]
async fn d4_a_savepoint_inside_of_a_part_can_fail_alone() {
    let fixture = Fixture::new(library()).await;
    let em = fixture.em();
    em.transactional(async |em| {
        with(&em, Propagation::Required)
            .run(async |em| {
                em.persist(author("Ada"));
                let nested = em
                    .transactional(async |em| {
                        em.persist(author("Bob"));
                        em.flush().await?;
                        Err::<(), _>(on_purpose())
                    })
                    .await;
                assert!(nested.is_err());
                Ok::<_, Error>(())
            })
            .await
    })
    .await
    .unwrap();
    assert_eq!(fixture.rows("SELECT name FROM author").await, ["Ada"]);
}

#[tokio::test]
async fn d3_requires_new_has_a_connection_and_a_graph_of_its_own() {
    let fixture = Fixture::new(library()).await;
    let em = fixture.em();
    let ada = em.persist(author("Ada"));
    em.flush().await.unwrap();
    let outcome: Result<(), Error> = em
        .transactional(async |em| {
            ada.write().born = Some(1815);
            em.persist(author("Bob"));
            em.flush().await?;
            let outer = em;
            with(&outer, Propagation::RequiresNew)
                .run(async |em| {
                    assert_eq!(em.count::<Author>(()).await?, 1, "Bob is not committed");
                    let same = em.find_one_or_fail::<Author>(ada.id(), ()).await?;
                    assert!(same != ada && same.read().born.is_none(), "another graph, another snapshot");
                    em.persist(author("Eve"));
                    // The outer handle still acts in the outer transaction.
                    assert_eq!(outer.count::<Author>(()).await?, 2);
                    Ok::<_, Error>(())
                })
                .await?;
            Err(on_purpose())
        })
        .await;
    assert!(outcome.is_err());
    assert_eq!(fixture.rows("SELECT name, born FROM author ORDER BY name").await, ["Ada|~", "Eve|~"]);
    assert_eq!(ada.read().born, None);
}

#[tokio::test]
async fn requires_new_fails_alone() {
    let fixture = Fixture::new(library()).await;
    let em = fixture.em();
    em.transactional(async |em| {
        em.persist(author("Ada"));
        let new = with(&em, Propagation::RequiresNew)
            .run(async |em| {
                em.persist([author("Bob"), author("Bob")]);
                Ok::<_, Error>(())
            })
            .await;
        assert!(matches!(new, Err(Error::UniqueViolation { .. })));
        Ok::<_, Error>(())
    })
    .await
    .unwrap();
    assert_eq!(fixture.rows("SELECT name FROM author").await, ["Ada"]);
    fixture.no_open_transaction().await;
}

#[tokio::test]
async fn requires_new_is_told_when_there_is_no_second_connection() {
    let options = |builder: howdah::OrmBuilder| builder.max_connections(1).acquire_timeout(Duration::from_millis(50));
    let fixture = Fixture::with(library(), options).await;
    let em = fixture.em();
    em.transactional(async |em| {
        em.persist(author("Ada"));
        let new = write(&em, Propagation::RequiresNew, "Bob").await;
        assert!(matches!(new, Err(Error::Pool { .. })), "{new:?}");
        Ok::<_, Error>(())
    })
    .await
    .unwrap();
    assert_eq!(fixture.rows("SELECT name FROM author").await, ["Ada"]);
}

#[tokio::test]
async fn not_supported_commits_with_every_flush() {
    let fixture = Fixture::new(library()).await;
    let em = fixture.em();
    let outcome: Result<(), Error> = em
        .transactional(async |em| {
            em.persist(author("Ada"));
            em.flush().await?;
            let suspended = with(&em, Propagation::NotSupported)
                .run(async |em| {
                    assert!(!em.is_in_transaction());
                    assert_eq!(em.count::<Author>(()).await?, 0, "Ada is not committed");
                    em.persist(author("Bob"));
                    em.flush().await?;
                    em.persist(author("Eve"));
                    Err::<(), _>(on_purpose())
                })
                .await;
            assert!(suspended.is_err());
            Err(on_purpose())
        })
        .await;
    assert!(outcome.is_err());
    assert_eq!(fixture.rows("SELECT name FROM author").await, ["Bob"], "Eve was not flushed");
}

#[tokio::test]
async fn without_a_transaction_an_error_leaves_the_work_scheduled() {
    for propagation in [Propagation::Supports, Propagation::Never] {
        let fixture = Fixture::new(library()).await;
        let em = fixture.em();
        let outcome = with(&em, propagation)
            .run(async |em| {
                em.persist(author("Ada"));
                Err::<(), _>(on_purpose())
            })
            .await;
        assert!(outcome.is_err());
        assert_eq!(fixture.flow(), [""; 0]);
        assert_eq!(em.flush().await.unwrap().inserted, 1, "{propagation:?}: there was nothing to roll back");
    }
}

#[tokio::test]
async fn a5_who_is_not_inside_of_the_open_transaction_can_join_nothing() {
    let fixture = Fixture::new(library()).await;
    let em = fixture.em();
    let stranger = em.clone();
    em.transactional(async |_| {
        for propagation in ALL {
            let em = stranger.clone();
            let outcome = tokio::spawn(async move { write(&em, propagation, &format!("{propagation:?}")).await });
            let outcome = outcome.await.unwrap();
            match propagation {
                Propagation::RequiresNew | Propagation::NotSupported => outcome.unwrap(),
                _ => assert!(matches!(outcome, Err(Error::ConcurrentTransaction)), "{propagation:?}: {outcome:?}"),
            }
        }
        Ok::<_, Error>(())
    })
    .await
    .unwrap();
    assert_eq!(fixture.rows("SELECT name FROM author ORDER BY name").await, ["NotSupported", "RequiresNew"]);
}
