//! Streams: entities some at a time, in little memory.

use super::*;
use futures_util::TryStreamExt;

/// So many authors, with a book each.
async fn many(authors: usize) -> Fixture {
    let fixture = Fixture::with(entities(), |builder| builder.max_connections(2)).await;
    let sql = format!(
        "INSERT INTO author (name) SELECT 'author ' || n FROM generate_series(1, {authors}) n;
         INSERT INTO book (title, version, author_id) SELECT 'book ' || id, 1, id FROM author"
    );
    fixture.database.execute(&sql).await.unwrap();
    fixture.forget();
    fixture
}

#[tokio::test]
async fn a_stream_reads_all_rows_in_order_some_at_a_time() {
    let fixture = many(1201).await;
    let em = fixture.em();
    let mut stream = em.find::<Author>().order_by(|a| a.id().desc()).stream();
    let mut ids = Vec::new();
    while let Some(author) = stream.next().await {
        ids.push(author.unwrap().id());
    }
    assert!(ids.is_sorted_by(|one, two| one > two));
    assert_eq!(ids.len(), 1201);
    assert!(stream.next().await.is_none());
    assert_eq!(fixture.log.round_trips(), 3, "500, 500, 201");
    let log = fixture.log.take();
    assert_eq!(log[0], "BEGIN READ ONLY");
    assert!(log[1].starts_with("DECLARE howdah_cursor_"), "{log:#?}");
    assert_eq!(log.len(), 6, "BEGIN, DECLARE, three times FETCH, and the end: {log:#?}");
    // The manager knows none of them.
    em.find_one::<Author>(ids[0], ()).await.unwrap().unwrap();
    assert_eq!(fixture.statements().len(), 1);
    // As a `Stream`, with limits and conditions.
    let find = em.find::<Author>().filter(|a| a.id().gt(ids[10])).limit(7);
    assert_eq!(find.stream().try_collect::<Vec<_>>().await.unwrap().len(), 7);
    let nobody = em.find::<Author>().filter(|a| a.name().eq("nobody")).stream();
    assert!(nobody.try_collect::<Vec<_>>().await.unwrap().is_empty());
}

#[tokio::test]
async fn relations_are_loaded_for_each_part_of_it() {
    let fixture = many(600).await;
    for strategy in STRATEGIES {
        let em = fixture.em();
        let find = em.find::<Author>().order_by(|a| a.id().asc()).populate(|a| (a.books().author(), a.profile()));
        let found: Vec<_> = find.strategy(strategy).stream().try_collect().await.unwrap();
        assert_eq!(found.len(), 600);
        for author in &found {
            let books = author.read().books.items().unwrap();
            assert_eq!(books[0].read().author.get().unwrap(), *author, "{strategy:?}");
            assert_eq!(books[0].read().title, format!("book {}", author.id()));
            assert!(author.read().profile.is_none());
        }
        // They belong to no manager.
        assert_eq!(found[0].state(), EntityState::Detached);
        found[0].write().name = "changed".into();
        assert_eq!(em.flush().await.unwrap(), FlushSummary::default());
    }
}

#[tokio::test]
async fn a_stream_that_is_dropped_leaves_the_connection_usable() {
    let fixture = many(2000).await;
    let em = fixture.em();
    for read in [0, 1, 700] {
        let mut stream = em.find::<Author>().stream();
        for _ in 0..read {
            stream.next().await.unwrap().unwrap();
        }
        drop(stream);
        assert_eq!(em.count::<Author>(()).await.unwrap(), 2000);
    }
    fixture.no_open_transaction().await;
    // Dropped while the server has not answered.
    {
        let mut stream = em.find::<Author>().stream();
        let mut next = Box::pin(stream.next());
        let _ = std::future::poll_fn(|context| std::task::Poll::Ready(next.as_mut().poll(context))).await;
    }
    assert_eq!(em.count::<Author>(()).await.unwrap(), 2000);
    fixture.no_open_transaction().await;
}

#[tokio::test]
async fn a_stream_in_a_transaction_sees_what_that_has_written() {
    let fixture = many(1000).await;
    let em = fixture.em();
    em.begin().await.unwrap();
    em.persist(NewAuthor { name: "mine".into() });
    em.flush().await.unwrap();
    fixture.forget();
    let mut stream = em.find::<Author>().order_by(|a| a.id().asc()).stream();
    let mut count = 0;
    while let Some(author) = stream.next().await {
        author.unwrap();
        count += 1;
        // Other statements of the transaction may come in between, and two streams stand beside each other.
        if count == 10 {
            assert_eq!(em.count::<Author>(()).await.unwrap(), 1001);
            assert_eq!(em.find::<Book>().stream().try_collect::<Vec<_>>().await.unwrap().len(), 1000);
        }
    }
    assert_eq!(count, 1001);
    // One that is not read to its end is closed.
    let mut stream = em.find::<Author>().stream();
    stream.next().await.unwrap().unwrap();
    drop(stream);
    assert_eq!(em.count::<Author>(()).await.unwrap(), 1001);
    assert_eq!(fixture.log.statements().iter().filter(|sql| sql.starts_with("CLOSE")).count(), 3);
    // A savepoint that is rolled back takes the cursor with it, and nothing else.
    let savepoint = em.savepoint("cursor").await.unwrap();
    let mut stream = em.find::<Author>().stream();
    stream.next().await.unwrap().unwrap();
    savepoint.rollback().await.unwrap();
    drop(stream);
    assert_eq!(em.count::<Author>(()).await.unwrap(), 1001);
    em.commit().await.unwrap();
}

#[tokio::test]
async fn errors_are_items_and_end_the_stream() {
    let fixture = many(3).await;
    let em = fixture.em();
    let mut locked = em.find::<Author>().lock(LockMode::PessimisticWrite).stream();
    assert!(matches!(locked.next().await, Some(Err(Error::Validation { .. }))));
    assert!(locked.next().await.is_none());
    let mut unknown = em.find::<Author>().populate_names(["bokks"]).stream();
    assert!(matches!(unknown.next().await, Some(Err(Error::Validation { .. }))));
    assert!(fixture.statements().is_empty());
    fixture.database.execute("ALTER TABLE author RENAME TO hidden").await.unwrap();
    let mut hidden = em.find::<Author>().stream();
    assert_eq!(hidden.next().await.unwrap().unwrap_err().sqlstate(), Some("42P01"));
    assert!(hidden.next().await.is_none());
    fixture.no_open_transaction().await;
}
