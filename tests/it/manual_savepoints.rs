//! Savepoints by hand: database and memory go back to them (rule D2), and they cost no trip (rule D1).

use crate::library::*;
use crate::support::Fixture;
use howdah::prelude::*;

fn author(name: &str) -> NewAuthor {
    NewAuthor { name: name.into() }
}

const NAMES: &str = "SELECT name FROM author ORDER BY name";

#[tokio::test]
async fn d1_they_travel_with_the_work() {
    let fixture = Fixture::new(library()).await;
    let em = fixture.em();
    em.begin().await.unwrap();
    let kept = em.savepoint("kept").await.unwrap();
    em.persist(author("Ada"));
    em.flush().await.unwrap();
    kept.release().await.unwrap();
    let undone = em.savepoint("undone").await.unwrap();
    em.persist(author("Bob"));
    em.flush().await.unwrap();
    undone.rollback().await.unwrap();
    assert_eq!(fixture.log.round_trips(), 2, "those of the flushes");
    em.commit().await.unwrap();
    assert_eq!(fixture.log.round_trips(), 3);
    assert_eq!(
        fixture.flow(),
        [
            "BEGIN",
            "SAVEPOINT \"howdah_1 kept\"",
            "SAVEPOINT howdah_2",
            "INSERT",
            "RELEASE SAVEPOINT howdah_2",
            "RELEASE SAVEPOINT \"howdah_1 kept\"",
            "SAVEPOINT \"howdah_3 undone\"",
            "SAVEPOINT howdah_4",
            "INSERT",
            "RELEASE SAVEPOINT howdah_4",
            "ROLLBACK TO SAVEPOINT \"howdah_3 undone\"; RELEASE SAVEPOINT \"howdah_3 undone\"",
            "COMMIT",
        ]
    );
    assert_eq!(fixture.rows(NAMES).await, ["Ada"]);
}

#[tokio::test]
async fn d2_going_back_restores_the_memory() {
    let fixture = Fixture::new(library()).await;
    let em = fixture.em();
    let ada = em.persist(author("Ada"));
    let notes = em.persist(NewBook { title: "Notes".into(), author: ada.to_ref() });
    em.flush().await.unwrap();
    em.begin().await.unwrap();
    ada.write().born = Some(1815);
    let scheduled = em.persist(author("Bob"));
    let savepoint = em.savepoint("before-bulk").await.unwrap();
    notes.write().title = "Sketch".into();
    ada.write().born = Some(1);
    let eve = em.persist(author("Eve"));
    em.flush().await.unwrap();
    em.remove(&notes);
    em.flush().await.unwrap();
    assert_eq!((eve.id(), scheduled.id()), (3, 2));
    savepoint.rollback().await.unwrap();

    assert_eq!((notes.state(), notes.read().version), (EntityState::Managed, 1));
    assert_eq!((&*notes.read().title, notes.is_dirty()), ("Notes", false));
    assert_eq!((eve.state(), eve.id()), (EntityState::New, 0));
    // What was not yet flushed when it was made is scheduled as before.
    assert_eq!((ada.read().born, ada.changes().len()), (Some(1815), 1));
    assert_eq!((scheduled.state(), scheduled.id(), scheduled.is_dirty()), (EntityState::New, 0, true));
    em.commit().await.unwrap();
    assert_eq!(fixture.rows("SELECT name, born FROM author ORDER BY name").await, ["Ada|1815", "Bob|~"]);
    assert_eq!(fixture.rows("SELECT title, version FROM book").await, ["Notes|1"]);
}

#[tokio::test]
async fn what_was_released_still_goes_with_the_transaction() {
    let fixture = Fixture::new(library()).await;
    let em = fixture.em();
    em.begin().await.unwrap();
    let savepoint = em.savepoint("").await.unwrap();
    let ada = em.persist(author("Ada"));
    em.flush().await.unwrap();
    savepoint.release().await.unwrap();
    assert_eq!(ada.state(), EntityState::Managed);
    em.rollback().await.unwrap();
    assert_eq!((ada.state(), ada.id()), (EntityState::New, 0));
    assert_eq!(fixture.rows(NAMES).await, [""; 0]);
}

#[tokio::test]
async fn a_savepoint_that_is_dropped_is_rolled_back() {
    let fixture = Fixture::new(library()).await;
    let em = fixture.em();
    em.transactional(async |em| {
        em.persist(author("Ada"));
        em.flush().await?;
        let failed: Result<(), Error> = async {
            let _savepoint = em.savepoint("dropped").await?;
            em.persist(author("Bob"));
            em.flush().await?;
            em.persist(author("Bob"));
            em.flush().await?;
            Ok(())
        }
        .await;
        assert!(matches!(failed, Err(Error::UniqueViolation { .. })));
        Ok::<_, Error>(())
    })
    .await
    .unwrap();
    assert_eq!(fixture.rows(NAMES).await, ["Ada"]);
}

#[tokio::test]
async fn any_text_is_a_name_and_a_name_can_be_used_twice() {
    let fixture = Fixture::new(library()).await;
    let em = fixture.em();
    let long = "ä".repeat(200);
    let names = ["", " ", "\"", "a\"; DROP TABLE author; --", "a'b", "a\0b", "\n", "$1", "日本", &long, "same", "same"];
    em.begin().await.unwrap();
    let mut savepoints = Vec::new();
    for (number, name) in names.into_iter().enumerate() {
        savepoints.push(em.savepoint(name).await.unwrap());
        em.persist(author(&format!("{number:02}")));
        em.flush().await.unwrap();
    }
    // The inner one of the same name is released, the outer one goes back.
    savepoints.pop().unwrap().release().await.unwrap();
    savepoints.pop().unwrap().rollback().await.unwrap();
    while let Some(savepoint) = savepoints.pop() {
        if savepoints.len() % 3 == 2 {
            savepoint.rollback().await.unwrap();
        } else {
            savepoint.release().await.unwrap();
        }
    }
    em.commit().await.unwrap();
    assert_eq!(fixture.rows(NAMES).await, ["00", "01"]);
}

#[tokio::test]
async fn what_a_savepoint_is_for_an_error_that_is_mended() {
    let fixture = Fixture::new(library()).await;
    fixture.database.execute("ALTER TABLE shelf RENAME TO rack").await.unwrap();
    let em = fixture.em();
    em.begin().await.unwrap();
    em.persist(author("Ada"));
    em.flush().await.unwrap();
    let savepoint = em.savepoint("risky").await.unwrap();
    assert_eq!(em.find_all::<Shelf>().await.unwrap_err().sqlstate(), Some("42P01"));
    assert!(matches!(em.count::<Author>(()).await, Err(Error::TransactionAborted)));
    savepoint.rollback().await.unwrap();
    assert_eq!(em.count::<Author>(()).await.unwrap(), 1);
    // Releasing it would keep what cannot be kept: it goes back.
    let savepoint = em.savepoint("risky").await.unwrap();
    em.find_all::<Shelf>().await.unwrap_err();
    assert!(matches!(savepoint.release().await, Err(Error::TransactionAborted)));
    assert_eq!(em.count::<Author>(()).await.unwrap(), 1);
    em.commit().await.unwrap();
    assert_eq!(fixture.rows(NAMES).await, ["Ada"]);
}

#[tokio::test]
async fn they_nest_with_each_other_and_with_closures() {
    let fixture = Fixture::new(library()).await;
    let em = fixture.em();
    em.transactional(async |em| {
        let outer = em.savepoint("outer").await?;
        em.persist(author("Ada"));
        em.transactional(async |em| {
            let inner = em.savepoint("inner").await?;
            em.persist(author("Bob"));
            em.flush().await?;
            inner.rollback().await?;
            em.persist(author("Eve"));
            Ok::<_, Error>(())
        })
        .await?;
        outer.release().await?;
        let outer = em.savepoint("outer").await?;
        let inner = em.savepoint("inner").await?;
        em.persist(author("Fay"));
        em.flush().await?;
        outer.rollback().await?;
        // It is over with the outer one.
        assert!(matches!(inner.rollback().await, Err(Error::TransactionAborted)));
        Ok::<_, Error>(())
    })
    .await
    .unwrap();
    assert_eq!(fixture.rows(NAMES).await, ["Ada", "Eve"]);
}

#[tokio::test]
async fn what_is_inside_has_to_end_first() {
    let fixture = Fixture::new(library()).await;
    let em = fixture.em();
    let not_ended = |outcome: Result<(), Error>| match outcome {
        Err(Error::Validation { message, .. }) => assert!(message.contains("has not been ended"), "{message}"),
        other => panic!("{other:?}"),
    };
    em.begin().await.unwrap();
    em.persist(author("Ada"));
    let savepoint = em.savepoint("open").await.unwrap();
    em.persist(author("Bob"));
    not_ended(em.commit().await);
    assert!(em.is_in_transaction(), "nothing is lost");
    savepoint.release().await.unwrap();
    em.commit().await.unwrap();
    assert_eq!(fixture.rows(NAMES).await, ["Ada", "Bob"]);

    em.begin().await.unwrap();
    let outer = em.savepoint("outer").await.unwrap();
    let inner = em.savepoint("inner").await.unwrap();
    em.persist(author("Eve"));
    not_ended(outer.release().await);
    assert!(matches!(inner.release().await, Err(Error::TransactionAborted)), "it went with the outer one");
    // rollback() takes what is inside along.
    let left = em.savepoint("left").await.unwrap();
    em.persist(author("Fay"));
    em.flush().await.unwrap();
    em.rollback().await.unwrap();
    assert!(!em.is_in_transaction());
    assert!(matches!(left.release().await, Err(Error::TransactionAborted)));
    assert_eq!(fixture.rows(NAMES).await, ["Ada", "Bob"]);

    let outcome = em
        .transactional(async |em| {
            let savepoint = em.savepoint("taken out").await?;
            em.persist(author("Gil"));
            Ok::<_, Error>(savepoint)
        })
        .await;
    not_ended(outcome.map(drop));
    assert_eq!(fixture.rows(NAMES).await, ["Ada", "Bob"]);
    fixture.no_open_transaction().await;
}

#[tokio::test]
async fn d4_a_part_that_fails_in_a_savepoint_is_mended_by_going_back() {
    let fixture = Fixture::new(library()).await;
    let em = fixture.em();
    let fail = async |em: &EntityManager, name: &str| {
        let part = em.transaction().propagation(Propagation::Required).run(async |em| {
            em.persist(author(name));
            em.flush().await?;
            Err::<(), _>(Error::NotFound { entity: "Author", criteria: "on purpose".into() })
        });
        assert!(part.await.is_err());
    };
    em.begin().await.unwrap();
    let savepoint = em.savepoint("mended").await.unwrap();
    fail(&em, "Ada").await;
    savepoint.rollback().await.unwrap();
    let savepoint = em.savepoint("kept back").await.unwrap();
    fail(&em, "Bob").await;
    assert!(matches!(savepoint.release().await, Err(Error::TransactionRollbackOnly)));
    em.persist(author("Eve"));
    em.commit().await.unwrap();
    assert_eq!(fixture.rows(NAMES).await, ["Eve"]);
}

#[tokio::test]
async fn they_need_a_transaction_that_the_call_is_inside_of() {
    let fixture = Fixture::new(library()).await;
    let em = fixture.em();
    let refused = em.savepoint("nowhere").await.unwrap_err();
    assert!(matches!(refused, Error::TransactionRequired { operation: "savepoint()" }), "{refused}");
    let stranger = em.clone();
    em.transactional(async |_| {
        let refused = tokio::spawn(async move { stranger.savepoint("strange").await.map(drop) }).await.unwrap();
        assert!(matches!(refused, Err(Error::ConcurrentTransaction)), "{refused:?}");
        Ok::<_, Error>(())
    })
    .await
    .unwrap();
    assert_eq!(fixture.flow(), ["BEGIN", "COMMIT"]);
}

#[tokio::test]
async fn a_savepoint_that_outlives_its_transaction_does_nothing() {
    let fixture = Fixture::new(library()).await;
    let em = fixture.em();
    em.begin().await.unwrap();
    let savepoint = em.savepoint("late").await.unwrap();
    em.rollback().await.unwrap();
    em.begin().await.unwrap();
    em.persist(author("Ada"));
    em.flush().await.unwrap();
    drop(savepoint);
    em.commit().await.unwrap();
    assert_eq!(fixture.rows(NAMES).await, ["Ada"]);
}
