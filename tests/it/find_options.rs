//! How a find is run: with a count, refreshed, unmanaged, in another schema, with a comment, for a limited time.

use std::time::{Duration, Instant};

use crate::library::*;
use crate::support::Fixture;
use howdah::EntityState;
use howdah::prelude::*;

/// Ann with the books A1 to A4, Bea with B1; every book has the tag "t".
async fn shelves() -> Fixture {
    let fixture = Fixture::new(library()).await;
    fill(&fixture).await;
    fixture.forget();
    fixture
}

async fn fill(fixture: &Fixture) {
    let em = fixture.em();
    let tag = em.persist(NewTag { name: "t".into() });
    for (name, titles) in [("Ann", &["A1", "A2", "A3", "A4"][..]), ("Bea", &["B1"])] {
        let author = em.persist(NewAuthor { name: name.into() });
        for title in titles {
            let book = em.persist(NewBook { title: (*title).into(), author: author.to_ref() });
            book.write().tags.add(&tag);
        }
    }
    em.flush().await.unwrap();
}

fn titles(found: &[Managed<Book>]) -> String {
    found.iter().map(|book| book.read().title.clone()).collect::<Vec<_>>().join(" ")
}

#[tokio::test]
async fn a_page_and_the_count_take_one_round_trip() {
    let fixture = shelves().await;
    for (limit, offset, expected) in
        [(Some(2), None, "A1 A2"), (Some(2), Some(2), "A3 A4"), (None, None, "A1 A2 A3 A4"), (Some(2), Some(9), "")]
    {
        let em = fixture.em();
        let mut find = em.find::<Book>().filter(|b| b.author().name().eq("Ann")).order_by(|b| b.title().asc());
        find = limit.map_or(find.clone(), |rows| find.limit(rows));
        find = offset.map_or(find.clone(), |rows| find.offset(rows));
        let (page, total) = find.find_and_count().await.unwrap();
        assert_eq!((titles(&page).as_str(), total), (expected, 4), "{limit:?} {offset:?}");
        assert_eq!(fixture.log.round_trips(), 1);
        let sent = fixture.statements();
        assert_eq!(sent.len(), 2);
        assert!(sent[1].starts_with("SELECT count(*) FROM \"book\" AS t0"), "{}", sent[1]);
        assert!(!sent[1].contains("LIMIT") && !sent[1].contains("ORDER BY"), "{}", sent[1]);
    }
}

#[tokio::test]
async fn a_page_and_the_count_load_along_and_know_the_entities() {
    let fixture = shelves().await;
    let em = fixture.em();
    let known = em.find_one_or_fail::<Book>(Book::fields().title().eq("A1"), ()).await.unwrap();
    fixture.forget();
    let find = em.find::<Book>().order_by(|b| b.title().asc()).limit(2).populate(|b| (b.author(), b.tags()));
    let (page, total) = find.find_and_count().await.unwrap();
    assert_eq!(total, 5);
    assert_eq!(page[0], known); // A1
    assert_eq!(page[1].read().author.get().unwrap().read().name, "Ann");
    assert_eq!(page[1].read().tags.len().unwrap(), 1);
    assert_eq!(fixture.log.round_trips(), 2); // E2
}

#[tokio::test]
async fn conditions_over_to_many_relations_repeat_no_row_whatever_the_limit() {
    let fixture = shelves().await;
    // E3: four books of Ann match, and Ann is one row.
    let find =
        || fixture.em().find::<Author>().filter(|a| a.books().tags().name().eq("t")).order_by(|a| a.name().asc());
    let names = |found: Vec<Managed<Author>>| found.iter().map(|a| a.read().name.clone()).collect::<Vec<_>>().join(" ");
    for (limit, offset, expected) in [(1, 0, "Ann"), (1, 1, "Bea"), (5, 0, "Ann Bea"), (5, 2, "")] {
        let found = find().populate(|a| a.books()).limit(limit).offset(offset).await.unwrap();
        assert!(found.iter().all(|author| author.read().books.is_loaded()));
        assert_eq!(names(found), expected, "{limit} {offset}");
        let (found, total) = find().limit(limit).offset(offset).find_and_count().await.unwrap();
        assert_eq!((names(found).as_str(), total), (expected, 2), "{limit} {offset}");
    }
    assert_eq!(find().count().await.unwrap(), 2);
    assert!(find().exists().await.unwrap());
    assert!(!find().filter(|a| a.name().eq("Cat")).exists().await.unwrap());
}

#[tokio::test]
async fn refresh_overwrites_what_is_loaded_and_what_is_loaded_along() {
    let fixture = shelves().await;
    let em = fixture.em();
    em.set_flush_mode(FlushMode::Commit);
    let find = || em.find::<Author>().filter(|a| a.name().eq("Ann")).populate(|a| a.books().tags());
    let ann = find().one().await.unwrap().unwrap();
    let first = ann.read().books.items().unwrap()[0].clone();
    ann.write().born = Some(1900);
    first.write().title = "mine".into();
    ann.write().books.remove(&first);
    let theirs = fixture.em();
    let book = theirs.find_one_or_fail::<Book>(first.id(), ()).await.unwrap();
    book.write().title = "theirs".into();
    theirs.persist(NewBook { title: "A5".into(), author: theirs.get_reference::<Author>(ann.id()) });
    theirs.flush().await.unwrap();

    // A3: without it, what was changed stays.
    let again = find().one().await.unwrap().unwrap();
    assert_eq!((again.read().born, first.read().title.as_str()), (Some(1900), "mine"));
    assert_eq!(again.read().books.len().unwrap(), 3);
    fixture.forget();
    let again = find().refresh().one().await.unwrap().unwrap();
    assert_eq!(fixture.log.round_trips(), 3); // E2: nothing is taken for loaded
    assert_eq!(again, ann);
    assert_eq!((ann.read().born, first.read().title.as_str()), (None, "theirs"));
    assert_eq!(ann.read().books.len().unwrap(), 5);
    assert!(!ann.is_dirty() && !first.is_dirty());
    fixture.forget();
    em.flush().await.unwrap();
    assert!(fixture.statements().is_empty()); // B3
}

#[tokio::test]
async fn without_the_identity_map_the_manager_knows_nothing_of_what_is_found() {
    let fixture = shelves().await;
    let em = fixture.em();
    em.set_flush_mode(FlushMode::Commit);
    let known = em.find_one_or_fail::<Author>(Author::fields().name().eq("Ann"), ()).await.unwrap();
    em.set_flush_mode(FlushMode::Commit);
    known.write().born = Some(1);
    let find = em.find::<Book>().populate(|b| b.author()).order_by(|b| b.title().asc()).disable_identity_map();
    let books = find.await.unwrap();
    let ann = books[0].read().author.get().unwrap();
    assert_ne!(ann, known);
    assert_eq!(ann, books[1].read().author.get().unwrap()); // one row is one entity in there, too
    assert_eq!(ann.read().born, None);
    assert_eq!((ann.state(), books[0].state()), (EntityState::Detached, EntityState::Detached));
    books[0].write().title = "never written".into();
    fixture.forget();
    em.flush().await.unwrap();
    assert_eq!(fixture.statements().len(), 1);
    assert_eq!(fixture.rows("SELECT title FROM book ORDER BY title LIMIT 1").await, ["A1"]);
    assert!(em.refresh(&books[0]).await.is_err());
    assert!(matches!(em.refresh(&books[0]).await, Err(Error::Detached { entity: "Book" })));
    // What is found next belongs to the manager.
    let managed = em.find::<Book>().order_by(|b| b.title().asc()).limit(1).await.unwrap();
    assert_eq!(managed[0].state(), EntityState::Managed);
    drop(em);
    assert_eq!(books[3].read().author.get().unwrap(), ann); // A2
}

#[tokio::test]
async fn a_comment_stands_in_front_of_every_statement_and_cannot_end_early() {
    let fixture = shelves().await;
    let find = || {
        let comment = "shop.rs:7 */ DELETE FROM book; /* */";
        fixture.em().find::<Author>().populate(|a| (a.books().tags(), a.profile())).comment(comment)
    };
    let expected = "/* shop.rs:7 * / DELETE FROM book; / * * / */ SELECT";
    let (found, total) = find().find_and_count().await.unwrap();
    assert_eq!((found.len(), total), (2, 2));
    assert_eq!((find().count().await.unwrap(), find().exists().await.unwrap()), (2, true));
    let sent = fixture.statements();
    // The links of a many-to-many are a statement of their own.
    assert_eq!(sent.len(), 7);
    assert!(sent.iter().all(|text| text.starts_with(expected)), "{sent:#?}");
    // Texts that are shared by all finds have kept clear of it.
    fixture.em().find::<Author>().populate(|a| a.books().tags()).await.unwrap();
    assert!(fixture.statements().iter().all(|text| text.starts_with("SELECT")));
    assert_eq!(fixture.rows("SELECT count(*) FROM book").await, ["5"]);
    fixture.em().find::<Author>().comment("a\0b\nc").await.unwrap();
    assert!(fixture.statements()[0].starts_with("/* a b c */ SELECT"));
}

#[tokio::test]
async fn another_schema_is_read_for_one_find() {
    let fixture = shelves().await;
    fixture
        .database
        .execute(
            "CREATE SCHEMA \"other \"\"one\"; \
             CREATE TABLE \"other \"\"one\".author AS SELECT id, name || '2' AS name, born, mentor_id FROM author; \
             CREATE TABLE \"other \"\"one\".book AS SELECT * FROM book WHERE title = 'A2'; \
             CREATE TABLE \"other \"\"one\".tag AS SELECT id, name || '2' AS name FROM tag; \
             CREATE TABLE \"other \"\"one\".book_tags AS SELECT * FROM book_tags; \
             CREATE TABLE \"other \"\"one\".profile AS SELECT * FROM profile;",
        )
        .await
        .unwrap();
    let em = fixture.em();
    let own = em.find_all::<Author>().await.unwrap();
    fixture.forget();
    let find = || em.find::<Author>().filter(|a| a.books().tags().name().eq("t2")).schema("other \"one");
    let found = find().populate(|a| a.books().tags()).order_by(|a| a.mentor().name().asc()).await.unwrap();
    assert_eq!(found.len(), 1);
    let ann = &found[0];
    assert_eq!((ann.read().name.as_str(), ann.state()), ("Ann2", EntityState::Detached));
    let books = ann.read().books.items().unwrap();
    assert_eq!(titles(&books), "A2");
    assert_eq!(books[0].read().tags.items().unwrap()[0].read().name, "t2");
    let sent = fixture.statements();
    for text in &sent {
        let tables = text.matches(" FROM \"").count() + text.matches(" JOIN \"").count();
        assert!(tables > 0 && tables == text.matches("\"other \"\"one\".").count(), "{text}");
    }
    assert_eq!((find().count().await.unwrap(), find().exists().await.unwrap()), (1, true));
    // A1: the same keys in the entity's own schema are other rows.
    assert!(own.iter().all(|author| !author.read().name.ends_with('2')));
    assert_eq!(em.find::<Author>().filter(|a| a.name().eq("Ann")).count().await.unwrap(), 1);
}

/// A book for every row of `generate_series`, so slow that nobody waits for it.
const SLOW: &str =
    "CREATE VIEW slow AS SELECT 1::int8 AS id FROM generate_series(1, 600) WHERE pg_sleep(0.1) IS NOT NULL";

#[derive(Entity, Clone, Debug)]
pub struct Slow {
    #[primary_key]
    pub id: i64,
}

async fn slow() -> Fixture {
    let fixture = Fixture::with(entities![Slow], |builder| builder.max_connections(1)).await;
    fixture.database.execute("DROP TABLE slow").await.unwrap();
    fixture.database.execute(SLOW).await.unwrap();
    fixture.forget();
    fixture
}

const SHORT: Duration = Duration::from_millis(150);

fn assert_timed_out<T: std::fmt::Debug>(outcome: Result<T, Error>, began: Instant) {
    assert!(matches!(outcome, Err(Error::Timeout { what: "the query", after: SHORT })), "{outcome:?}");
    assert!(began.elapsed() >= SHORT && began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
}

#[tokio::test]
async fn a_find_that_takes_too_long_is_cancelled_on_the_server() {
    let fixture = slow().await;
    let find = || fixture.em().find::<Slow>().timeout(SHORT);
    let began = Instant::now();
    assert_timed_out(find().await, began);
    assert_eq!(fixture.log.round_trips(), 1); // the limit costs no trip
    assert_eq!(fixture.statements().len(), 1);
    let running = "SELECT count(*) FROM pg_stat_activity \
                   WHERE state = 'active' AND query LIKE '%FROM \"slow\"%' AND pid <> pg_backend_pid()";
    assert_eq!(fixture.rows(running).await, ["0"]);
    let began = Instant::now();
    assert_timed_out(find().count().await, began);
    let began = Instant::now();
    assert_timed_out(find().find_and_count().await, began);
    // The only connection is as good as before, and the next statement is not hit.
    let rows = fixture.orm.em().find::<Slow>().filter(|_| Condition::never()).timeout(Duration::from_secs(60)).await;
    assert!(rows.unwrap().is_empty());
}

#[tokio::test]
async fn in_a_transaction_a_late_find_fails_the_innermost_scope() {
    let fixture = slow().await;
    let em = fixture.em();
    let outcome = em
        .transactional(async |em| {
            let inner = em
                .transactional(async |em| {
                    let began = Instant::now();
                    let late = em.find::<Slow>().timeout(SHORT).await;
                    assert_timed_out(late, began);
                    assert!(matches!(em.count::<Slow>(()).await, Err(Error::TransactionAborted)));
                    Err::<(), _>(Error::TransactionAborted)
                })
                .await;
            assert!(inner.is_err());
            em.find::<Slow>().filter(|_| Condition::never()).timeout(Duration::from_secs(60)).await
        })
        .await;
    assert!(outcome.unwrap().is_empty());
}

#[tokio::test]
async fn a_find_in_time_is_not_disturbed_by_its_limit() {
    let fixture = shelves().await;
    let long = Duration::from_secs(60);
    let found = fixture.em().find::<Book>().populate(|b| b.tags()).timeout(long).await.unwrap();
    assert_eq!(found.len(), 5);
    assert_eq!((fixture.log.round_trips(), fixture.statements().len()), (2, 3));
    // Too short for anything to arrive in, and nothing is lost by it.
    for _ in 0..20 {
        let found = fixture.em().find::<Book>().timeout(Duration::ZERO).await;
        match found {
            Ok(found) => assert_eq!(found.len(), 5),
            Err(error) => assert!(matches!(error, Error::Timeout { .. }), "{error}"),
        }
        assert_eq!(fixture.em().count::<Book>(()).await.unwrap(), 5);
    }
}

#[tokio::test]
async fn refresh_works_together_with_locks() {
    let fixture = shelves().await;
    fixture
        .em()
        .transactional(async |em| {
            let ann = em.find_one_or_fail::<Author>(Author::fields().name().eq("Ann"), ()).await?;
            ann.write().born = Some(3);
            for mode in
                [LockMode::PessimisticWrite, LockMode::PessimisticWriteOrFail, LockMode::PessimisticPartialWrite]
            {
                let (found, total) = em.find::<Author>().lock(mode).refresh().find_and_count().await?;
                assert_eq!((found.len(), total, ann.read().born), (2, 2, None));
                ann.write().born = Some(3);
            }
            em.refresh(&ann).await
        })
        .await
        .unwrap();
}
