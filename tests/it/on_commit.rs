//! Callbacks run after the outermost COMMIT, in order, and never after a rollback (rule D6).

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;

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

/// What has run.
#[derive(Clone, Default)]
struct Diary(Arc<Mutex<Vec<String>>>);

impl Diary {
    fn note(&self, what: &str) {
        self.0.lock().push(what.to_owned());
    }

    /// Registers a callback that leaves a note.
    fn note_after_commit(&self, em: &EntityManager, what: &'static str) {
        let diary = self.clone();
        em.on_commit(move || diary.note(what));
    }

    /// The notes since the last look.
    fn notes(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock())
    }
}

#[tokio::test]
async fn d6_callbacks_run_in_order_after_the_outermost_commit() {
    let fixture = Fixture::new(library()).await;
    let em = fixture.em();
    let diary = Diary::default();
    em.transactional(async |em| {
        diary.note_after_commit(&em, "first");
        em.transactional(async |em| {
            diary.note_after_commit(&em, "nested");
            em.persist(author("Ada"));
            let log = (diary.clone(), fixture.log.clone());
            em.on_commit(async move || {
                tokio::task::yield_now().await;
                let committed = log.1.statements().last().is_some_and(|text| text.ends_with("COMMIT"));
                log.0.note(if committed { "async, after COMMIT" } else { "too early" });
            });
            Ok::<_, Error>(())
        })
        .await?;
        let savepoint = em.savepoint("released").await?;
        diary.note_after_commit(&em, "in a savepoint");
        savepoint.release().await?;
        em.transaction()
            .propagation(Propagation::Required)
            .run(async |em| {
                diary.note_after_commit(&em, "joined");
                Ok::<_, Error>(())
            })
            .await?;
        em.flush().await?;
        let block = (diary.clone(), ());
        em.on_commit(|| async move { block.0.note("last") });
        assert_eq!(diary.notes(), [""; 0], "nothing is committed");
        Ok::<_, Error>(())
    })
    .await
    .unwrap();
    let notes = ["first", "nested", "async, after COMMIT", "in a savepoint", "joined", "last"];
    assert_eq!(diary.notes(), notes, "and they are done when transactional() is");
    em.transactional(async |_| Ok::<_, Error>(())).await.unwrap();
    assert_eq!(diary.notes(), [""; 0], "once");
}

#[tokio::test]
async fn d6_never_after_a_rollback_of_the_scope() {
    let fixture = Fixture::new(library()).await;
    let em = fixture.em();
    let diary = Diary::default();
    em.transactional(async |em| {
        let failed = em
            .transactional(async |em| {
                diary.note_after_commit(&em, "of a failed scope");
                em.transactional(async |em| {
                    diary.note_after_commit(&em, "released into a failed scope");
                    Ok::<_, Error>(())
                })
                .await?;
                Err::<(), _>(on_purpose())
            })
            .await;
        assert!(failed.is_err());
        let savepoint = em.savepoint("rolled back").await?;
        diary.note_after_commit(&em, "of a savepoint");
        savepoint.rollback().await?;
        diary.note_after_commit(&em, "good");
        Ok::<_, Error>(())
    })
    .await
    .unwrap();
    assert_eq!(diary.notes(), ["good"]);

    let failed = em
        .transactional(async |em| {
            diary.note_after_commit(&em, "of a failed transaction");
            Err::<(), _>(on_purpose())
        })
        .await;
    assert!(failed.is_err());
    em.begin().await.unwrap();
    diary.note_after_commit(&em, "rolled back by hand");
    em.rollback().await.unwrap();
    em.persist([author("Ada"), author("Ada")]);
    em.begin().await.unwrap();
    diary.note_after_commit(&em, "of a commit that fails");
    assert!(em.commit().await.is_err());
    em.clear();
    em.transactional(async |_| Ok::<_, Error>(())).await.unwrap();
    assert_eq!(diary.notes(), [""; 0]);
}

#[tokio::test]
async fn outside_of_a_transaction_they_wait_for_the_next_one_that_succeeds() {
    let fixture = Fixture::new(library()).await;
    let em = fixture.em();
    let diary = Diary::default();
    let ada = em.persist([author("Ada"), author("Ada")]);
    diary.note_after_commit(&em, "flushed");
    assert_eq!(diary.notes(), [""; 0]);
    assert!(em.flush().await.is_err());
    assert_eq!(diary.notes(), [""; 0], "C3: they wait, as the work does");
    ada[1].write().name = "Bob".into();
    let ids = (diary.clone(), ada[1].clone());
    em.on_commit(move || ids.0.note(if ids.1.id() > 0 { "with keys" } else { "without keys" }));
    em.flush().await.unwrap();
    assert_eq!(diary.notes(), ["flushed", "with keys"]);

    diary.note_after_commit(&em, "before a transaction");
    let failed = em.transactional(async |_| Err::<(), _>(on_purpose())).await;
    assert!(failed.is_err());
    assert_eq!(diary.notes(), [""; 0], "it was not registered in the one that failed");
    em.transactional(async |em| {
        diary.note_after_commit(&em, "in a transaction");
        em.persist(author("Eve"));
        em.flush().await?;
        assert_eq!(diary.notes(), [""; 0], "a flush inside commits nothing");
        Ok::<_, Error>(())
    })
    .await
    .unwrap();
    assert_eq!(diary.notes(), ["before a transaction", "in a transaction"]);

    diary.note_after_commit(&em, "nothing to write");
    em.flush().await.unwrap();
    assert_eq!(diary.notes(), ["nothing to write"]);
    diary.note_after_commit(&em, "forgotten");
    em.clear();
    em.flush().await.unwrap();
    assert_eq!(diary.notes(), [""; 0]);
}

#[tokio::test]
async fn transactions_of_their_own_have_callbacks_of_their_own() {
    let fixture = Fixture::new(library()).await;
    let em = fixture.em();
    let diary = Diary::default();
    let failed = em
        .transactional(async |em| {
            diary.note_after_commit(&em, "outer");
            for (propagation, what) in
                [(Propagation::RequiresNew, "new"), (Propagation::NotSupported, "without transaction")]
            {
                let own = em.transaction().propagation(propagation);
                own.run(async |em| {
                    diary.note_after_commit(&em, what);
                    Ok::<_, Error>(())
                })
                .await?;
                assert_eq!(diary.notes(), [what]);
            }
            Err::<(), _>(on_purpose())
        })
        .await;
    assert!(failed.is_err());
    assert_eq!(diary.notes(), [""; 0]);
}

#[tokio::test]
async fn d5_a_transaction_that_is_run_again_registers_again() {
    let fixture = Fixture::new(library()).await;
    fixture.database.execute("INSERT INTO author (name) VALUES ('Ada')").await.unwrap();
    let em = fixture.em();
    let (diary, first) = (Diary::default(), std::sync::atomic::AtomicBool::new(true));
    em.transaction()
        .isolation(IsolationLevel::RepeatableRead)
        .retries(1)
        .run(async |em| {
            diary.note_after_commit(&em, "once");
            let ada = em.find_one_or_fail::<Author>(1, ()).await?;
            if first.swap(false, std::sync::atomic::Ordering::AcqRel) {
                fixture.database.execute("UPDATE author SET born = 1815").await.unwrap();
            }
            ada.write().name = "Augusta".into();
            Ok::<_, Error>(())
        })
        .await
        .unwrap();
    assert_eq!(diary.notes(), ["once"]);
}

#[tokio::test]
async fn a_callback_that_panics_breaks_nothing() {
    let fixture = Fixture::new(library()).await;
    let em = fixture.em();
    let diary = Diary::default();
    em.transactional(async |em| {
        em.persist(author("Ada"));
        em.on_commit(|| {
            if true {
                panic!("on purpose");
            }
        });
        em.on_commit(async || {
            tokio::task::yield_now().await;
            if true {
                panic!("on purpose");
            }
        });
        diary.note_after_commit(&em, "the next one");
        Ok::<_, Error>(())
    })
    .await
    .unwrap();
    assert_eq!(diary.notes(), ["the next one"]);
    em.persist(author("Bob"));
    em.flush().await.unwrap();
    assert_eq!(fixture.rows("SELECT count(*) FROM author").await, ["2"]);
}

#[tokio::test]
async fn a_callback_can_use_the_manager_and_the_only_connection() {
    let options = |builder: howdah::OrmBuilder| builder.max_connections(1).acquire_timeout(Duration::from_secs(5));
    let fixture = Fixture::with(library(), options).await;
    let em = fixture.em();
    let diary = Diary::default();
    let register = |em: &EntityManager, name: &'static str| {
        let (own, diary) = (em.clone(), diary.clone());
        em.on_commit(async move || {
            assert!(!own.is_in_transaction());
            own.persist(author(name));
            diary.note_after_commit(&own, name);
            own.flush().await.unwrap();
            let counted = own.transactional(async |em| em.count::<Author>(()).await).await.unwrap();
            diary.note(&format!("{counted} authors"));
        });
    };
    // Of every way to commit.
    em.transactional(async |em| {
        register(&em, "Ada");
        Ok::<_, Error>(())
    })
    .await
    .unwrap();
    assert_eq!(diary.notes(), ["Ada", "1 authors"]);
    em.transaction()
        .retries(1)
        .timeout(Duration::from_secs(60))
        .run(async |em| {
            register(&em, "Bob");
            Ok::<_, Error>(())
        })
        .await
        .unwrap();
    assert_eq!(diary.notes(), ["Bob", "2 authors"]);
    em.begin().await.unwrap();
    register(&em, "Eve");
    em.commit().await.unwrap();
    assert_eq!(diary.notes(), ["Eve", "3 authors"]);
    register(&em, "Fay");
    em.flush().await.unwrap();
    assert_eq!(diary.notes(), ["Fay", "4 authors"]);
}

#[tokio::test]
async fn who_stops_waiting_does_not_stop_them() {
    let fixture = Fixture::new(library()).await;
    let em = fixture.em();
    let (begun, go_on, done) = (Arc::new(Notify::new()), Arc::new(Notify::new()), Arc::new(Notify::new()));
    {
        let (begun, go_on, done) = (Arc::clone(&begun), Arc::clone(&go_on), Arc::clone(&done));
        em.persist(author("Ada"));
        em.on_commit(async move || {
            begun.notify_one();
            go_on.notified().await;
        });
        em.on_commit(move || done.notify_one());
    }
    tokio::select! {
        _ = em.flush() => panic!("it waits for its callbacks"),
        () = begun.notified() => {}
    }
    go_on.notify_one();
    done.notified().await;
    assert_eq!(fixture.rows("SELECT name FROM author").await, ["Ada"]);
    assert_eq!(em.flush().await.unwrap(), FlushSummary::default());
}
