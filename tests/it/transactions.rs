//! `transactional`, and `begin`, `commit` and `rollback` by hand (rules A5, C10, D1, D3, D4).

use crate::library::*;
use crate::support::Fixture;
use howdah::prelude::*;

/// What an application has: an error of its own, which howdah's are part of.
#[derive(Debug)]
enum ShopError {
    Orm(Error),
    OutOfStock,
}

impl From<Error> for ShopError {
    fn from(error: Error) -> Self {
        Self::Orm(error)
    }
}

fn author(name: &str) -> NewAuthor {
    NewAuthor { name: name.into() }
}

#[tokio::test]
async fn d1_a_transaction_is_begun_flushed_and_committed_in_one_trip() {
    let fixture = Fixture::new(library()).await;
    let em = fixture.em();
    let name = em
        .transactional(async |em| {
            assert!(em.is_in_transaction());
            let ada = em.persist(author("Ada"));
            Ok::<_, ShopError>(ada.read().name.clone())
        })
        .await
        .unwrap();
    assert_eq!(name, "Ada");
    assert!(!em.is_in_transaction());
    assert_eq!(fixture.log.round_trips(), 1, "BEGIN and COMMIT travel with the INSERT");
    assert_eq!(fixture.flow(), ["BEGIN", "INSERT", "COMMIT"]);
    assert_eq!(fixture.rows("SELECT id, name FROM author").await, ["1|Ada"]);
}

#[tokio::test]
async fn an_error_of_the_closure_rolls_back_and_is_passed_on() {
    let fixture = Fixture::new(library()).await;
    let em = fixture.em();
    let outcome: Result<(), ShopError> = em
        .transactional(async |em| {
            em.persist(author("Ada"));
            em.flush().await?;
            Err(ShopError::OutOfStock)
        })
        .await;
    assert!(matches!(outcome, Err(ShopError::OutOfStock)));
    assert_eq!(fixture.flow(), ["BEGIN", "SAVEPOINT howdah_1", "INSERT", "RELEASE SAVEPOINT howdah_1", "ROLLBACK"]);
    assert_eq!(fixture.rows("SELECT id FROM author").await, [""; 0]);
    assert_eq!(em.flush().await.unwrap(), FlushSummary::default());
}

#[tokio::test]
async fn an_error_of_the_flush_reaches_the_applications_error() {
    let fixture = Fixture::new(library()).await;
    let em = fixture.em();
    let twice = em.transactional(async |em| {
        em.persist([author("Ada"), author("Ada")]);
        Ok::<_, ShopError>(())
    });
    assert!(matches!(twice.await, Err(ShopError::Orm(Error::UniqueViolation { .. }))));
    assert_eq!(fixture.rows("SELECT id FROM author").await, [""; 0]);
}

#[tokio::test]
async fn closures_borrow_own_and_move() {
    let fixture = Fixture::new(library()).await;
    let em = fixture.em();
    let ada = em.persist(author("Ada"));
    let mut titles = vec!["Notes"];

    // Borrows what is around it, also mutably.
    em.transactional(async |em| {
        em.persist(NewBook { title: titles[0].into(), author: ada.to_ref() });
        titles.push("Sketch");
        Ok::<_, Error>(())
    })
    .await
    .unwrap();

    // Owns a future that owns everything.
    let (owned, title) = (ada.clone(), titles[1].to_owned());
    em.transactional(|em| async move {
        em.persist(NewBook { title, author: owned.to_ref() });
        Ok::<_, Error>(())
    })
    .await
    .unwrap();

    // A function is a closure, too.
    async fn third(em: EntityManager) -> Result<u64, Error> {
        em.count::<Book>(()).await
    }
    assert_eq!(em.transactional(third).await.unwrap(), 2);
    assert_eq!(fixture.rows("SELECT title, author_id FROM book ORDER BY id").await, ["Notes|1", "Sketch|1"]);
}

#[tokio::test]
async fn d3_every_handle_acts_inside_and_d4_reads_use_the_transactions_connection() {
    // One connection: whoever asked the pool for another one would wait in vain.
    let fixture = Fixture::with(library(), |builder| {
        builder.max_connections(1).acquire_timeout(std::time::Duration::from_millis(500))
    })
    .await;
    let outer = fixture.em();
    let ada = outer
        .transactional(async |inner| {
            let ada = outer.persist(author("Ada"));
            inner.flush().await?;
            // Not committed, and seen by both handles in all kinds of reads.
            assert_eq!(outer.find::<Author>().await?, [ada.clone()]);
            assert_eq!(inner.count::<Author>(()).await?, 1);
            assert!(outer.exists::<Author>(Author::fields().name().eq("Ada")).await?);
            outer.refresh(&ada).await?;
            outer.populate(&ada, "books").await?;
            assert!(ada.read().books.is_empty()?);
            let elsewhere = inner.fork().count::<Author>(()).await;
            assert!(matches!(elsewhere, Err(Error::Pool { .. })), "a fork has a connection of its own");
            Ok::<_, Error>(ada)
        })
        .await
        .unwrap();
    assert_eq!(ada.state(), EntityState::Managed);
    assert_eq!(fixture.rows("SELECT name FROM author").await, ["Ada"]);
}

#[tokio::test]
async fn by_hand_it_is_begin_commit_and_rollback() {
    let fixture = Fixture::new(library()).await;
    let em = fixture.em();
    em.begin().await.unwrap();
    assert!(em.is_in_transaction());
    let ada = em.persist(author("Ada"));
    em.commit().await.unwrap();
    assert!(!em.is_in_transaction());
    assert_eq!(fixture.flow(), ["BEGIN", "INSERT", "COMMIT"]);

    em.begin().await.unwrap();
    ada.write().name = "Augusta".into();
    em.flush().await.unwrap();
    em.rollback().await.unwrap();
    assert_eq!(fixture.flow(), ["BEGIN", "SAVEPOINT howdah_1", "UPDATE", "RELEASE SAVEPOINT howdah_1", "ROLLBACK"]);
    assert_eq!(ada.read().name, "Ada");
    assert_eq!(fixture.rows("SELECT name FROM author").await, ["Ada"]);
}

#[tokio::test]
async fn begun_by_hand_inside_it_is_a_savepoint() {
    let fixture = Fixture::new(library()).await;
    let em = fixture.em();
    em.begin().await.unwrap();
    let ada = em.persist(author("Ada"));
    em.begin().await.unwrap();
    let bob = em.persist(author("Bob"));
    em.commit().await.unwrap();
    assert!(em.is_in_transaction(), "the outer one is still open");
    em.begin().await.unwrap();
    let eve = em.persist(author("Eve"));
    em.flush().await.unwrap();
    em.rollback().await.unwrap();
    em.commit().await.unwrap();
    assert_eq!((ada.state(), bob.state(), eve.state()), (EntityState::Managed, EntityState::Managed, EntityState::New));
    assert_eq!(fixture.rows("SELECT name FROM author ORDER BY id").await, ["Ada", "Bob"]);
}

#[tokio::test]
async fn commit_and_rollback_need_what_begin_has_begun() {
    let fixture = Fixture::new(library()).await;
    let em = fixture.em();
    let required = |outcome: Result<(), Error>, expected: &str| match outcome {
        Err(Error::TransactionRequired { operation }) => assert_eq!(operation, expected),
        other => panic!("{other:?}"),
    };
    required(em.commit().await, "commit()");
    required(em.rollback().await, "rollback()");
    // A closure's transaction is the closure's to end.
    em.transactional(async |em| {
        required(em.commit().await, "commit()");
        required(em.rollback().await, "rollback()");
        Ok::<_, Error>(())
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn what_a_closure_has_begun_it_has_to_end() {
    let fixture = Fixture::new(library()).await;
    let em = fixture.em();
    let ada = em.create(author("Ada"));
    let outcome = em
        .transactional(async |em| {
            em.begin().await?;
            em.persist(&ada);
            Ok::<_, Error>(())
        })
        .await;
    assert!(outcome.unwrap_err().to_string().contains("has not been ended"));
    assert!(!em.is_in_transaction());
    assert_eq!(ada.state(), EntityState::New);
    fixture.no_open_transaction().await;
}

#[tokio::test]
async fn a5_a_second_transaction_on_a_clone_is_refused() {
    let fixture = Fixture::new(library()).await;
    let em = fixture.em();
    let clone = em.clone();
    let work = |name: &'static str| {
        async move |em: EntityManager| {
            em.persist(author(name));
            em.flush().await?;
            Ok::<_, Error>(())
        }
    };
    let (one, two) = tokio::join!(em.transactional(work("Ada")), clone.transactional(work("Bob")));
    assert!(one.is_ok());
    assert!(matches!(two, Err(Error::ConcurrentTransaction)), "{two:?}");
    assert_eq!(fixture.rows("SELECT name FROM author").await, ["Ada"]);
    // The refusal has done nothing to the manager.
    clone.transactional(work("Bob")).await.unwrap();
    assert_eq!(fixture.rows("SELECT name FROM author ORDER BY id").await, ["Ada", "Bob"]);
}

#[tokio::test]
async fn a5_siblings_inside_one_transaction_are_refused_children_are_not() {
    let fixture = Fixture::new(library()).await;
    let em = fixture.em();
    em.transactional(async |inner| {
        let sibling = async |em: EntityManager| {
            em.flush().await?;
            tokio::task::yield_now().await;
            Ok::<_, Error>(())
        };
        let (one, two) = tokio::join!(inner.transactional(sibling), inner.transactional(sibling));
        assert!(one.is_ok());
        assert!(matches!(two, Err(Error::ConcurrentTransaction)));
        let (one, two) = tokio::join!(inner.begin(), inner.transactional(sibling));
        // What was begun by hand has no closure: everything that comes later is inside of it.
        assert!(one.is_ok() && two.is_ok());
        inner.rollback().await?;

        // Nesting through the outer handle, through the inner one, and through the inner one in another task.
        em.transactional(async |_| Ok::<_, Error>(())).await?;
        inner.transactional(async |deeper| deeper.transactional(async |_| Ok::<_, Error>(())).await).await?;
        let task = tokio::spawn({
            let inner = inner.clone();
            async move {
                inner
                    .transactional(async |em| {
                        em.persist(author("Ada"));
                        Ok::<_, Error>(())
                    })
                    .await
            }
        });
        task.await.unwrap()?;
        // The outer handle in another task is not inside: nothing tells that task from a stranger.
        let stranger = em.clone();
        let refused = tokio::spawn(async move { stranger.transactional(async |_| Ok::<_, Error>(())).await });
        assert!(matches!(refused.await.unwrap(), Err(Error::ConcurrentTransaction)));
        Ok::<_, Error>(())
    })
    .await
    .unwrap();
    assert_eq!(fixture.rows("SELECT name FROM author").await, ["Ada"]);
}

#[tokio::test]
async fn a_fork_has_a_transaction_of_its_own() {
    let fixture = Fixture::new(library()).await;
    let em = fixture.em();
    let fork = em.fork();
    let (meet, met) = tokio::sync::oneshot::channel::<()>();
    let outer = em.transactional(async |em| {
        em.persist(author("Ada"));
        em.flush().await?;
        met.await.unwrap();
        Err::<(), _>(Error::ConcurrentTransaction)
    });
    let other = fork.transactional(async |em| {
        assert_eq!(em.count::<Author>(()).await?, 0, "what the other has not committed is not seen");
        em.persist(author("Bob"));
        meet.send(()).unwrap();
        Ok::<_, Error>(())
    });
    let (outer, other) = tokio::join!(outer, other);
    assert!(outer.is_err() && other.is_ok());
    assert_eq!(fixture.rows("SELECT name FROM author").await, ["Bob"]);
}

#[tokio::test]
async fn a_manager_that_is_dropped_rolls_back_what_it_has_begun() {
    let fixture = Fixture::with(library(), |builder| builder.max_connections(1)).await;
    let em = fixture.em();
    em.begin().await.unwrap();
    let ada = em.persist(author("Ada"));
    em.flush().await.unwrap();
    assert_eq!(ada.id(), 1);
    drop(em);
    assert_eq!((ada.id(), ada.state()), (0, EntityState::New), "D2 holds for handles that outlive the manager");
    fixture.no_open_transaction().await;
    assert_eq!(fixture.em().count::<Author>(()).await.unwrap(), 0, "the connection is back in the pool");
}

#[tokio::test]
async fn c10_a_swallowed_statement_error_refuses_the_commit() {
    let fixture = Fixture::new(library()).await;
    let em = fixture.em();
    let ada = em.persist(author("Ada"));
    em.flush().await.unwrap();
    fixture.database.execute("ALTER TABLE shelf RENAME TO rack").await.unwrap();
    let outcome = em
        .transactional(async |em| {
            ada.write().name = "Augusta".into();
            em.flush().await?;
            let lost = em.find_all::<Shelf>().await;
            assert_eq!(lost.unwrap_err().sqlstate(), Some("42P01"));
            let next = em.find_all::<Author>().await;
            assert!(matches!(next, Err(Error::TransactionAborted)), "{next:?}");
            let flushed = em.flush().await;
            assert!(flushed.is_ok(), "nothing to write, nothing sent");
            ada.write().born = Some(1815);
            assert!(matches!(em.flush().await, Err(Error::TransactionAborted)));
            let nested = em.transactional(async |_| Ok::<_, Error>(())).await;
            assert!(matches!(nested, Err(Error::TransactionAborted)));
            Ok::<_, Error>(())
        })
        .await;
    assert!(matches!(outcome, Err(Error::TransactionAborted)), "{outcome:?}");
    assert_eq!((ada.read().name.as_str(), ada.read().born), ("Ada", None));
    assert_eq!(fixture.rows("SELECT name, born FROM author").await, ["Ada|~"]);
    fixture.no_open_transaction().await;
    assert_eq!(em.count::<Author>(()).await.unwrap(), 1, "the manager is usable");
}

#[tokio::test]
async fn c10_a_nested_transaction_keeps_a_statement_error_to_itself() {
    let fixture = Fixture::new(library()).await;
    let em = fixture.em();
    em.set_flush_mode(FlushMode::Commit);
    fixture.database.execute("ALTER TABLE shelf RENAME TO rack").await.unwrap();
    em.transactional(async |em| {
        em.persist(author("Ada"));
        let swallowed = em
            .transactional(async |em| {
                em.persist(author("Bob"));
                em.flush().await?;
                let _ = em.find_all::<Shelf>().await;
                Ok::<_, Error>(())
            })
            .await;
        assert!(matches!(swallowed, Err(Error::TransactionAborted)), "{swallowed:?}");
        assert_eq!(em.count::<Author>(()).await?, 0, "Ada is not flushed yet, Bob is taken back");
        Ok::<_, Error>(())
    })
    .await
    .unwrap();
    assert_eq!(fixture.rows("SELECT name FROM author").await, ["Ada"]);
}

#[tokio::test]
async fn c10_a_deferred_constraint_fails_at_commit() {
    let fixture = Fixture::new(library()).await;
    let deferred = "ALTER TABLE book ADD CONSTRAINT title_once UNIQUE (title) DEFERRABLE INITIALLY DEFERRED";
    fixture.database.execute(deferred).await.unwrap();
    let em = fixture.em();
    let ada = em.persist(author("Ada"));
    em.flush().await.unwrap();
    let book = |title: &str| em.persist(NewBook { title: title.into(), author: ada.to_ref() });
    let (one, two) = (book("Notes"), book("Notes"));

    let violated = |outcome: Result<(), Error>| match outcome {
        Err(Error::UniqueViolation { constraint, table, .. }) => {
            assert_eq!((&*constraint, &*table), ("title_once", "book"))
        }
        other => panic!("{other:?}"),
    };
    violated(em.flush().await.map(|_| ()));
    assert_eq!((one.state(), one.id(), one.read().version), (EntityState::New, 0, 1));
    violated(em.transactional(async |_| Ok(())).await);
    assert_eq!((two.state(), two.id(), two.read().version), (EntityState::New, 0, 1));
    em.begin().await.unwrap();
    em.flush().await.unwrap();
    violated(em.commit().await);
    assert_eq!((two.state(), two.id()), (EntityState::New, 0));

    two.write().title = "Sketch".into();
    em.flush().await.unwrap();
    assert_eq!(fixture.rows("SELECT title FROM book ORDER BY title").await, ["Notes", "Sketch"]);
}
