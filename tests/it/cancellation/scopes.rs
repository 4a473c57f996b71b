//! Transactions with options, parts, savepoints and repetitions that are dropped anywhere, or that panic (rule C12).

use super::*;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

#[tokio::test]
async fn c12_a_transaction_with_options() {
    let fixture = one_connection().await;
    let work = async |em: EntityManager| {
        em.transaction()
            .isolation(IsolationLevel::Serializable)
            .retries(3)
            .timeout(Duration::from_secs(60))
            .run(async |em| {
                em.count::<Author>(()).await?;
                em.flush().await?;
                Ok::<_, Error>(())
            })
            .await
    };
    dropped_everywhere(&fixture, work).await;
}

#[tokio::test]
async fn c12_parts() {
    let fixture = one_connection().await;
    let work = async |em: EntityManager| {
        em.transaction()
            .propagation(Propagation::Required)
            .run(async |em| {
                let part = em.transaction().propagation(Propagation::Mandatory);
                part.run(async |em| em.flush().await).await?;
                em.transaction().propagation(Propagation::Supports).run(async |em| em.count::<Author>(()).await).await
            })
            .await
            .map(|_| ())
    };
    dropped_everywhere(&fixture, work).await;
}

#[tokio::test]
async fn c12_without_a_transaction() {
    let fixture = one_connection().await;
    for polls in 0..ENOUGH {
        let story = Story::begin(&fixture).await;
        let work = story.em.transaction().propagation(Propagation::Supports).run(async |em| {
            em.count::<Author>(()).await?;
            Ok::<_, Error>(())
        });
        let done = cancelled_after(polls, work).await;
        if done.is_none() {
            // As with a flush: what has become of it is found out by the next one.
            story.assert_memory_as_before(&format!("dropped after {polls} polls"));
            story.em.flush().await.unwrap();
        }
        story.assert_written(&fixture).await;
        if done.is_some() {
            return;
        }
    }
    panic!("not done after {ENOUGH} polls");
}

#[tokio::test]
async fn c12_savepoints_by_hand() {
    let fixture = one_connection().await;
    let work = async |em: EntityManager| {
        em.transactional(async |em| {
            let rolled_back = em.savepoint("rolled back").await?;
            em.flush().await?;
            rolled_back.rollback().await?;
            let released = em.savepoint("released").await?;
            em.flush().await?;
            em.count::<Author>(()).await?;
            released.release().await?;
            em.find_all::<Author>().await?;
            Ok::<_, Error>(())
        })
        .await
    };
    dropped_everywhere(&fixture, work).await;
}

#[tokio::test]
async fn c12_a_savepoint_whose_end_is_dropped() {
    let fixture = one_connection().await;
    for release in [true, false] {
        for polls in 0..ENOUGH {
            let story = Story::begin(&fixture).await;
            story.em.begin().await.unwrap();
            let savepoint = story.em.savepoint("dropped").await.unwrap();
            story.em.flush().await.unwrap();
            let done = if release {
                cancelled_after(polls, savepoint.release()).await
            } else {
                cancelled_after(polls, savepoint.rollback()).await
            };
            // Either it was released, or it has gone back; the transaction goes on.
            let released = release && done.is_some();
            assert_eq!(story.new.state() == EntityState::Managed, released, "{polls} polls");
            assert_eq!(story.em.count::<Tag>(()).await.unwrap(), u64::from(released), "{polls} polls");
            story.em.commit().await.unwrap();
            story.assert_written(&fixture).await;
            if done.is_some() {
                break;
            }
            assert!(polls + 1 < ENOUGH);
        }
    }
}

#[tokio::test]
async fn c12_a_repetition_that_is_dropped() {
    let fixture = one_connection().await;
    for polls in 0..ENOUGH {
        let story = Story::begin(&fixture).await;
        let runs = AtomicU32::new(0);
        let work = story.em.transaction().isolation(IsolationLevel::RepeatableRead).retries(2).run(async |em| {
            em.count::<Author>(()).await?;
            if runs.fetch_add(1, Ordering::AcqRel) == 0 {
                // Somebody else changes the row that the flush will change.
                fixture.database.execute("UPDATE author SET born = 1").await.unwrap();
            }
            em.flush().await?;
            Ok::<_, Error>(())
        });
        fixture.forget();
        let done = cancelled_after(polls, work).await;
        if let Some(outcome) = done {
            outcome.unwrap();
            assert_eq!(runs.load(Ordering::Acquire), 2);
            story.assert_written(&fixture).await;
            return;
        }
        let commit_sent = fixture.log.statements().iter().any(|text| text.ends_with("COMMIT"));
        if commit_sent && is_committed(&fixture).await {
            assert_written(&fixture).await;
        } else {
            story.assert_as_before(&fixture, polls).await;
        }
    }
    panic!("not done after {ENOUGH} polls");
}

#[tokio::test]
async fn c12_callbacks_run_if_and_only_if_it_is_committed() {
    let fixture = one_connection().await;
    for polls in 0..ENOUGH {
        let story = Story::begin(&fixture).await;
        let ran = Arc::new(AtomicBool::new(false));
        let work = story.em.transactional(async |em| {
            let ran = Arc::clone(&ran);
            em.on_commit(move || ran.store(true, Ordering::Release));
            em.flush().await?;
            Ok::<_, Error>(())
        });
        let done = cancelled_after(polls, work).await;
        if is_committed(&fixture).await {
            // A COMMIT whose answer nobody has waited for is not known of.
            assert!(ran.load(Ordering::Acquire) || done.is_none());
        } else {
            assert!(!ran.load(Ordering::Acquire), "{polls} polls");
        }
        if done.is_some() {
            return;
        }
    }
    panic!("not done after {ENOUGH} polls");
}

#[tokio::test]
async fn c12_a_timeout_that_is_dropped() {
    let fixture = one_connection().await;
    // While the server is asked to cancel, and while it rolls back.
    for polls in 2..ENOUGH {
        let story = Story::begin(&fixture).await;
        let work = story.em.transaction().timeout(Duration::from_millis(5)).run(async |em| {
            em.flush().await?;
            std::future::pending::<Result<(), Error>>().await
        });
        let done = cancelled_after(polls, work).await;
        story.assert_as_before(&fixture, polls).await;
        story.em.flush().await.unwrap();
        story.assert_written(&fixture).await;
        if let Some(outcome) = done {
            assert!(matches!(outcome, Err(Error::Timeout { .. })), "{outcome:?}");
            return;
        }
    }
    panic!("not done after {ENOUGH} polls");
}

#[tokio::test]
async fn c12_a_closure_that_panics() {
    let fixture = one_connection().await;
    for propagation in [Propagation::Nested, Propagation::Required, Propagation::RequiresNew] {
        let story = Story::begin(&fixture).await;
        let transaction = story.em.transaction().propagation(propagation).retries(2).timeout(Duration::from_secs(60));
        let own = propagation == Propagation::RequiresNew;
        let task = tokio::spawn(transaction.run(move |em| async move {
            if own {
                em.persist(NewShelf { code: "B".into() });
            }
            em.flush().await?;
            if true {
                panic!("on purpose");
            }
            Ok::<_, Error>(())
        }));
        assert!(task.await.unwrap_err().is_panic());
        story.assert_as_before(&fixture, 0).await;
        story.em.flush().await.unwrap();
        story.assert_written(&fixture).await;
    }
}

#[tokio::test]
async fn c12_a_panic_while_a_savepoint_is_open() {
    let fixture = one_connection().await;
    let story = Story::begin(&fixture).await;
    let em = story.em.clone();
    let task = tokio::spawn(async move {
        em.transactional(async |em| {
            let _savepoint = em.savepoint("open").await?;
            em.flush().await?;
            if true {
                panic!("on purpose");
            }
            Ok::<_, Error>(())
        })
        .await
    });
    assert!(task.await.unwrap_err().is_panic());
    story.assert_as_before(&fixture, 0).await;
    story.em.flush().await.unwrap();
    story.assert_written(&fixture).await;
}
