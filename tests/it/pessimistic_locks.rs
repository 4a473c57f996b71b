//! Row locks, with two managers that are in each other's way. Nothing sleeps: who waits is seen in the server's own list.

use crate::library::*;
use crate::support::Fixture;
use howdah::prelude::*;

mod conflicts;

/// Two authors with two books each: `1|a`, `2|b` by Ada, `3|c`, `4|d` by Bob.
async fn books() -> Fixture {
    let fixture = Fixture::new(library()).await;
    let rows = "INSERT INTO author (name) VALUES ('Ada'), ('Bob'); \
                INSERT INTO book (title, version, author_id) VALUES ('a', 1, 1), ('b', 1, 1), ('c', 1, 2), ('d', 1, 2)";
    fixture.database.execute(rows).await.unwrap();
    fixture
}

/// A manager with a transaction open.
async fn begun(fixture: &Fixture) -> EntityManager {
    let em = fixture.em();
    em.begin().await.unwrap();
    em
}

async fn book(em: &EntityManager, id: i64) -> Managed<Book> {
    em.find_one_or_fail::<Book>(id, ()).await.unwrap()
}

/// Whether another manager could lock the book: asked without waiting, and given up again.
async fn is_free(fixture: &Fixture, id: i64, mode: LockMode) -> bool {
    let em = begun(fixture).await;
    let found = em.find::<Book>().filter(|book| book.id().eq(id)).lock(mode).one().await;
    em.rollback().await.unwrap();
    match found {
        Ok(found) => found.is_some(),
        Err(Error::LockNotAvailable { entity: Some("Book"), source: Some(_) }) => false,
        Err(error) => panic!("{error}"),
    }
}

/// Waits until a connection of this database waits for a lock.
async fn somebody_waits(fixture: &Fixture) {
    let waiting = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    for _ in 0..5_000 {
        if fixture.rows(waiting).await.len() == 1 {
            return;
        }
        tokio::task::yield_now().await;
    }
    panic!("nobody waits for a lock");
}

/// Every pessimistic mode, and what it is in SQL.
const MODES: [(LockMode, &str); 12] = [
    (LockMode::PessimisticKeyRead, " FOR KEY SHARE OF t0"),
    (LockMode::PessimisticPartialKeyRead, " FOR KEY SHARE OF t0 SKIP LOCKED"),
    (LockMode::PessimisticKeyReadOrFail, " FOR KEY SHARE OF t0 NOWAIT"),
    (LockMode::PessimisticRead, " FOR SHARE OF t0"),
    (LockMode::PessimisticPartialRead, " FOR SHARE OF t0 SKIP LOCKED"),
    (LockMode::PessimisticReadOrFail, " FOR SHARE OF t0 NOWAIT"),
    (LockMode::PessimisticNoKeyWrite, " FOR NO KEY UPDATE OF t0"),
    (LockMode::PessimisticPartialNoKeyWrite, " FOR NO KEY UPDATE OF t0 SKIP LOCKED"),
    (LockMode::PessimisticNoKeyWriteOrFail, " FOR NO KEY UPDATE OF t0 NOWAIT"),
    (LockMode::PessimisticWrite, " FOR UPDATE OF t0"),
    (LockMode::PessimisticPartialWrite, " FOR UPDATE OF t0 SKIP LOCKED"),
    (LockMode::PessimisticWriteOrFail, " FOR UPDATE OF t0 NOWAIT"),
];

#[tokio::test]
async fn a_mode_is_one_clause_of_one_statement() {
    let fixture = books().await;
    let em = begun(&fixture).await;
    let first = book(&em, 1).await;
    for (mode, clause) in MODES {
        fixture.forget();
        em.lock(&first, mode).await.unwrap();
        assert_eq!(fixture.log.round_trips(), 1, "{mode:?}: the savepoint of a mode that may fail travels along");
        let expected = format!("SELECT 1 FROM \"book\" AS t0 WHERE t0.\"id\" = $1::int8{clause}");
        assert_eq!(fixture.statements(), [expected]);

        let found = em.find::<Book>().filter(|book| book.id().eq(1)).limit(3).lock(mode).await.unwrap();
        assert_eq!(found, [first.clone()]);
        assert_eq!(fixture.log.round_trips(), 1, "{mode:?}");
        let [statement] = &fixture.statements()[..] else { panic!("{mode:?}") };
        assert!(statement.ends_with(&format!(" LIMIT $2::int8{clause}")), "{statement}");
    }
    em.commit().await.unwrap();
    assert_eq!(fixture.open_transactions().await, 0);
}

#[tokio::test]
async fn a_row_lock_needs_a_transaction() {
    let fixture = books().await;
    let em = fixture.em();
    let first = book(&em, 1).await;
    fixture.forget();
    for (mode, _) in MODES {
        let refused = em.lock(&first, mode).await.unwrap_err();
        assert!(matches!(refused, Error::TransactionRequired { .. }), "{mode:?}: {refused}");
        let refused = em.find::<Book>().lock(mode).await.unwrap_err();
        assert!(matches!(refused, Error::TransactionRequired { .. }), "{mode:?}: {refused}");
        let refused = em.find::<Book>().lock(mode).one().await.unwrap_err();
        assert_eq!(
            refused.to_string(),
            "a pessimistic lock needs an open transaction: call begin() first, or use transactional()"
        );
    }
    assert!(fixture.statements().is_empty());
}

#[tokio::test]
async fn only_rows_of_the_entity_that_is_found_are_locked() {
    let fixture = books().await;
    fixture.database.execute("INSERT INTO profile (text, author_id) VALUES ('Countess', 1)").await.unwrap();
    let em = begun(&fixture).await;
    // Joins that find no row for some books: the server would refuse to lock what they may not have found.
    let found = em
        .find::<Book>()
        .filter(|book| book.author().name().eq("Ada").and(book.tags().is_empty()))
        .order_by(|book| (book.shelf().code().asc(), book.author().mentor().name().asc(), book.id().desc()))
        .populate(|book| book.author())
        .lock(LockMode::PessimisticWrite)
        .await
        .unwrap();
    assert_eq!(found.iter().map(Managed::id).collect::<Vec<_>>(), [2, 1]);
    assert!(!is_free(&fixture, 1, LockMode::PessimisticReadOrFail).await);
    assert!(is_free(&fixture, 3, LockMode::PessimisticWriteOrFail).await);

    // Neither the author of the filter, who was also loaded along, nor the profile that is joined to find its key.
    let other = begun(&fixture).await;
    let ada = other.find::<Author>().filter(|a| a.id().eq(1)).lock(LockMode::PessimisticWriteOrFail).one().await;
    let ada = ada.unwrap().unwrap();
    assert!(em.find::<Profile>().lock(LockMode::PessimisticWriteOrFail).one().await.unwrap().is_some());
    other.lock(&ada, LockMode::PessimisticWriteOrFail).await.unwrap();
    other.rollback().await.unwrap();
    em.rollback().await.unwrap();
    assert!(is_free(&fixture, 1, LockMode::PessimisticWriteOrFail).await);
}

#[tokio::test]
async fn what_is_loaded_is_read_again_by_a_locked_find_and_not_by_lock() {
    let fixture = books().await;
    let em = begun(&fixture).await;
    let (clean, dirty) = (book(&em, 1).await, book(&em, 2).await);
    em.set_flush_mode(FlushMode::Commit);
    dirty.write().title = "mine".into();
    fixture.database.execute("UPDATE book SET title = 'theirs', pages = 7, version = 2").await.unwrap();

    em.lock(&clean, LockMode::PessimisticWrite).await.unwrap();
    em.lock(&dirty, LockMode::PessimisticWrite).await.unwrap();
    assert_eq!((clean.read().title.as_str(), clean.read().version), ("a", 1));
    fixture.forget();
    assert_eq!(em.find_one::<Book>(1, ()).await.unwrap().unwrap(), clean);
    assert!(fixture.statements().is_empty(), "without a lock, the identity map answers");

    // A3: clean fields take the values of the row, changed ones stay, and so does the version they were changed on.
    let found = em.find::<Book>().filter(|book| book.id().lt(3)).lock(LockMode::PessimisticWrite).await.unwrap();
    assert_eq!(found.len(), 2);
    assert_eq!((clean.read().title.as_str(), clean.read().pages, clean.read().version), ("theirs", Some(7), 2));
    assert_eq!((dirty.read().title.as_str(), dirty.read().pages, dirty.read().version), ("mine", Some(7), 1));
    let error = em.flush().await.unwrap_err();
    assert!(matches!(&error, Error::OptimisticLock { entities } if *entities == ["Book#2"]), "{error}");

    em.refresh(&dirty).await.unwrap();
    dirty.write().title = "mine after all".into();
    em.commit().await.unwrap();
    assert_eq!(fixture.rows("SELECT title, version FROM book WHERE id = 2").await, ["mine after all|3"]);
}

#[tokio::test]
async fn what_is_no_row_of_this_manager_cannot_be_locked() {
    let fixture = books().await;
    let em = begun(&fixture).await;
    let mode = LockMode::PessimisticWrite;
    let new = em.create(NewAuthor { name: "Eve".into() });
    for _ in 0..2 {
        let error = em.lock(&new, mode).await.unwrap_err();
        assert!(matches!(&error, Error::Validation { entity: Some("Author"), .. }), "{error}");
        assert_eq!(error.to_string(), "Author is new: there is no row to lock before it is flushed");
        em.persist(&new);
    }
    em.flush().await.unwrap();
    em.lock(&new, mode).await.unwrap();

    let foreign = book(&fixture.em(), 1).await;
    assert!(matches!(em.lock(&foreign, mode).await, Err(Error::Detached { entity: "Book" })));
    let own = book(&em, 1).await;
    em.remove(&own);
    em.lock(&own, mode).await.unwrap();
    em.flush().await.unwrap();
    assert!(matches!(em.lock(&own, mode).await, Err(Error::Detached { entity: "Book" })));
    let cleared = book(&em, 2).await;
    em.clear();
    assert!(matches!(em.lock(&cleared, mode).await, Err(Error::Detached { entity: "Book" })));
    em.rollback().await.unwrap();
}

#[tokio::test]
async fn a_row_that_is_gone_is_not_found_in_any_mode() {
    let fixture = books().await;
    let em = begun(&fixture).await;
    let gone = book(&em, 4).await;
    fixture.database.execute("DELETE FROM book WHERE id = 4").await.unwrap();
    for (mode, _) in MODES {
        let error = em.lock(&gone, mode).await.unwrap_err();
        let is_named = matches!(&error, Error::NotFound { entity: "Book", criteria } if criteria == "Book#4");
        assert!(is_named, "{mode:?}: {error}");
        assert_eq!(em.find::<Book>().filter(|book| book.id().eq(4)).lock(mode).one().await.unwrap(), None);
    }
    // The transaction is none the worse for it.
    em.persist(NewAuthor { name: "Eve".into() });
    em.commit().await.unwrap();
    assert_eq!(fixture.rows("SELECT count(*) FROM author").await, ["3"]);
}

#[tokio::test]
async fn counting_locks_nothing_and_says_so() {
    let fixture = books().await;
    let em = begun(&fixture).await;
    fixture.forget();
    for mode in [LockMode::PessimisticWrite, LockMode::PessimisticPartialRead, LockMode::Optimistic(1)] {
        let error = em.find::<Book>().lock(mode).count().await.unwrap_err();
        assert_eq!(error.to_string(), "count() loads no entities that could be locked: find them, or leave lock() out");
        let error = em.find::<Book>().lock(mode).exists().await.unwrap_err();
        assert!(matches!(&error, Error::Validation { entity: Some("Book"), .. }), "{error}");
    }
    assert!(fixture.statements().is_empty());
    em.rollback().await.unwrap();
}

#[derive(Entity, Clone, Debug)]
#[entity(table = "seats")]
pub struct Seat {
    #[primary_key(column = "the row")]
    pub row: String,
    #[primary_key(sql_type = "numeric(3)")]
    pub number: i32,
    pub guest: Option<String>,
}

#[tokio::test]
async fn keys_of_several_columns_and_of_other_types_are_locked() {
    let fixture = Fixture::new(entities![Seat]).await;
    let em = begun(&fixture).await;
    let seats = em.persist([1, 2].map(|number| NewSeat { row: "A".into(), number }));
    em.commit().await.unwrap();

    em.begin().await.unwrap();
    em.lock(&seats[1], LockMode::PessimisticWrite).await.unwrap();
    let other = begun(&fixture).await;
    let free = other.find::<Seat>().lock(LockMode::PessimisticPartialWrite).await.unwrap();
    assert_eq!(free.iter().map(Managed::id).collect::<Vec<_>>(), [("A".to_owned(), 1)]);
    let taken = other.find_one_or_fail::<Seat>(("A", 2), ()).await.unwrap();
    let error = other.lock(&taken, LockMode::PessimisticWriteOrFail).await.unwrap_err();
    assert!(matches!(error, Error::LockNotAvailable { entity: Some("Seat"), .. }), "{error}");
}
