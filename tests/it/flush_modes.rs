//! Queries see what is pending (rule E6): a flush goes before a query that reads a table which the flush writes, and before no
//! other.

use crate::library::*;
use crate::support::{Fixture, verb};
use howdah::prelude::*;

#[derive(Projection, Debug, PartialEq)]
struct Born {
    born: Option<i32>,
}

/// Ada with a book that has a tag.
async fn ada() -> (Fixture, EntityManager, Managed<Author>, Managed<Book>) {
    let fixture = Fixture::new(library()).await;
    let em = fixture.em();
    let ada = em.persist(NewAuthor { name: "Ada".into() });
    let book = em.persist(NewBook { title: "Notes".into(), author: ada.to_ref() });
    book.write().tags.add(em.persist(NewTag { name: "maths".into() }));
    em.flush().await.unwrap();
    fixture.forget();
    (fixture, em, ada, book)
}

/// The verbs of what was sent since the last look.
fn verbs(fixture: &Fixture) -> Vec<String> {
    fixture.statements().iter().map(|text| verb(text).to_owned()).collect()
}

#[tokio::test]
async fn a_query_flushes_what_it_reads_and_nothing_else() {
    // E6
    let (fixture, em, ada, book) = ada().await;
    assert_eq!(em.flush_mode(), FlushMode::Auto);
    ada.write().born = Some(1815);
    // Another table.
    assert_eq!(em.count::<Shelf>(()).await.unwrap(), 0);
    em.find::<Tag>().await.unwrap();
    assert_eq!(verbs(&fixture), ["SELECT", "SELECT"]);
    assert!(ada.is_dirty());
    // The table itself: by find, count, exists, and of columns.
    assert_eq!(em.find::<Author>().filter(|author| author.born().eq(1815)).await.unwrap(), [ada.clone()]);
    ada.write().born = Some(1816);
    assert_eq!(em.count::<Author>(Author::fields().born().eq(1816)).await.unwrap(), 1);
    ada.write().born = Some(1817);
    assert!(em.exists::<Author>(Author::fields().born().eq(1817)).await.unwrap());
    ada.write().born = Some(1818);
    assert_eq!(em.find::<Author>().into::<Born>().await.unwrap(), [Born { born: Some(1818) }]);
    assert_eq!(verbs(&fixture), ["UPDATE", "SELECT"].repeat(4));
    // In a join, in a condition on a to-many relation, and to be loaded along.
    ada.write().name = "Ada Lovelace".into();
    let found = em.find::<Book>().filter(|book| book.author().name().like("%Lovelace")).await.unwrap();
    assert_eq!(found, [book.clone()]);
    let tag = em.find::<Tag>().one().await.unwrap().unwrap();
    tag.write().name = "computing".into();
    assert_eq!(verbs(&fixture), ["UPDATE", "SELECT", "SELECT"]);
    let found = em.find::<Author>().filter(|author| author.books().some(|book| book.tags().name().eq("computing")));
    assert_eq!(found.await.unwrap(), [ada.clone()]);
    assert_eq!(verbs(&fixture), ["UPDATE", "SELECT"]);
    tag.write().name = "science".into();
    em.find::<Author>().populate(|author| author.books().tags()).await.unwrap();
    assert_eq!(verbs(&fixture)[..2], ["UPDATE", "SELECT"]);
    // Nothing is pending: nothing is sent.
    ada.write().name = "Ada".into();
    ada.write().name = "Ada Lovelace".into();
    em.find::<Author>().await.unwrap();
    assert_eq!(verbs(&fixture), ["SELECT"]);
}

#[tokio::test]
async fn new_removed_and_linked_rows_count_with_their_tables() {
    let (fixture, em, ada, book) = ada().await;
    // A pivot table, which only the relation reads.
    book.write().tags.remove_all();
    assert_eq!(em.count::<Author>(()).await.unwrap(), 1);
    assert_eq!(em.find::<Tag>().filter(|tag| tag.books().some(|book| book.id().gt(0))).await.unwrap(), []);
    assert_eq!(verbs(&fixture), ["SELECT", "DELETE", "SELECT"]);
    // What a cascade reaches, and what the database deletes along.
    em.persist(NewProfile { text: "countess".into(), author: ada.to_ref() });
    assert_eq!(em.count::<Profile>(()).await.unwrap(), 1);
    let other = em.create(NewAuthor { name: "Charles".into() });
    em.persist(NewBook { title: "Economy".into(), author: other.to_ref() });
    assert_eq!(em.count::<Author>(()).await.unwrap(), 2);
    fixture.forget();
    em.remove(&book);
    em.remove(&ada);
    assert_eq!(em.count::<Tag>(()).await.unwrap(), 1);
    assert_eq!(verbs(&fixture), ["SELECT"]);
    assert_eq!(em.count::<Profile>(()).await.unwrap(), 0, "ON DELETE CASCADE");
    // By key, without being loaded.
    let id = em.find::<Book>().one().await.unwrap().unwrap().id();
    let em = fixture.em();
    em.remove(em.get_reference::<Book>(id));
    assert_eq!(em.count::<Book>(()).await.unwrap(), 0);
}

#[tokio::test]
async fn what_needs_no_query_flushes_nothing() {
    // A1: looking a loaded key up sends nothing, whatever is pending.
    let (fixture, em, ada, book) = ada().await;
    em.set_flush_mode(FlushMode::Always);
    ada.write().born = Some(1815);
    assert_eq!(em.find_one::<Author>(ada.id(), ()).await.unwrap().as_ref(), Some(&ada));
    assert_eq!(em.find_one::<Author>(ada.id(), ["books"]).await.unwrap().as_ref(), Some(&ada));
    assert_eq!(book.load(&em, |book| book.author()).await.unwrap(), ada);
    assert_eq!(fixture.log.round_trips(), 0);
    assert!(ada.is_dirty());
    // One that has to ask flushes; an entity that was inserted by that is the one that is found.
    let shelf = em.persist(NewShelf { code: "A1".into() });
    em.set_flush_mode(FlushMode::Auto);
    assert_eq!(em.find_one::<Shelf>("A1", ()).await.unwrap().as_ref(), Some(&shelf));
    let new = em.persist(NewBook { title: "Letters".into(), author: ada.to_ref() });
    new.write().shelf = Some(shelf.to_ref());
    fixture.forget();
    let fresh = em.find_one_or_fail::<Shelf>("A1", ["books"]).await.unwrap();
    assert_eq!(fresh.read().books.items().unwrap(), []);
    assert_eq!(fixture.log.round_trips(), 0, "the collection of a new entity is loaded");
    let em = fixture.em();
    let ada = em.find_one_or_fail::<Author>(ada.id(), ()).await.unwrap();
    em.persist(NewBook { title: "Sketch".into(), author: ada.to_ref() });
    em.populate(&ada, "books").await.unwrap();
    assert_eq!(ada.read().books.len().unwrap(), 2, "the query of populate() flushes");
    let em = fixture.em();
    em.persist(NewTag { name: "streamed".into() });
    let streamed: Vec<_> = futures_util::TryStreamExt::try_collect(em.find::<Tag>().stream()).await.unwrap();
    assert_eq!(streamed.len(), 2, "and that of a stream");
}

#[tokio::test]
async fn the_mode_is_that_of_the_find_or_the_transaction_or_the_manager_or_the_orm() {
    let fixture = Fixture::with(library(), |builder| builder.flush_mode(FlushMode::Commit)).await;
    let em = fixture.em();
    assert_eq!(em.flush_mode(), FlushMode::Commit);
    em.persist(NewShelf { code: "A".into() });
    assert_eq!(em.count::<Shelf>(()).await.unwrap(), 0);
    assert_eq!(em.find::<Shelf>().flush_mode(FlushMode::Auto).count().await.unwrap(), 1);
    em.persist(NewShelf { code: "B".into() });
    assert_eq!(em.find::<Shelf>().flush_mode(FlushMode::Commit).await.unwrap().len(), 1);
    em.find::<Tag>().flush_mode(FlushMode::Always).await.unwrap();
    assert_eq!(em.find::<Shelf>().await.unwrap().len(), 2);
    em.set_flush_mode(FlushMode::Auto);
    assert_eq!(em.clone().flush_mode(), FlushMode::Auto);
    assert_eq!(em.fork().flush_mode(), FlushMode::Auto);
    assert_eq!(fixture.em().flush_mode(), FlushMode::Commit);
    let count = em
        .transaction()
        .flush_mode(FlushMode::Commit)
        .run(async |em| {
            em.persist(NewShelf { code: "C".into() });
            let before = em.count::<Shelf>(()).await?;
            em.transaction()
                .flush_mode(FlushMode::Always)
                .run(async |em| {
                    em.count::<Tag>(()).await?;
                    assert_eq!(em.flush_mode(), FlushMode::Always);
                    Ok::<_, Error>(())
                })
                .await?;
            assert_eq!(em.flush_mode(), FlushMode::Commit);
            Ok::<_, Error>((before, em.count::<Shelf>(()).await?))
        })
        .await
        .unwrap();
    assert_eq!((count, em.flush_mode()), ((2, 3), FlushMode::Auto));
    let failed = em
        .transaction()
        .flush_mode(FlushMode::Commit)
        .run(async |_| Err::<(), _>(Error::Validation { entity: None, message: "no".into() }));
    failed.await.unwrap_err();
    assert_eq!(em.flush_mode(), FlushMode::Auto);
}

#[tokio::test]
async fn a_flush_before_a_query_is_as_any_other() {
    // C3, D2: it fails as a flush does, and in a transaction it is a part of that.
    let (fixture, em, ada, book) = ada().await;
    book.write().pages = Some(-1);
    let error = em.count::<Book>(()).await.unwrap_err();
    assert!(matches!(&error, Error::CheckViolation { .. }), "{error}");
    assert_eq!((book.is_dirty(), em.count::<Author>(()).await.unwrap()), (true, 1));
    book.write().pages = Some(1);
    let rolled_back = em.transactional(async |em| {
        ada.write().born = Some(1815);
        assert_eq!(em.count::<Author>(Author::fields().born().eq(1815)).await?, 1);
        assert_eq!(fixture.rows("SELECT born FROM author").await, ["~"]);
        Err::<(), _>(Error::Validation { entity: None, message: "no".into() })
    });
    rolled_back.await.unwrap_err();
    assert_eq!((ada.read().born, ada.is_dirty(), book.is_dirty()), (None, false, true));
    // What could not be flushed stops only the queries of its tables.
    let other = fixture.em();
    let foreign = other.persist(NewTag { name: "foreign".into() });
    em.persist(&foreign);
    assert_eq!(em.count::<Shelf>(()).await.unwrap(), 0);
    assert!(matches!(em.count::<Tag>(()).await.unwrap_err(), Error::Detached { .. }));
    assert_eq!(em.count::<Tag>(()).await.unwrap(), 1, "it was taken off the schedule");
}

#[tokio::test]
async fn a_query_of_other_tables_does_not_wait_for_a_flush() {
    // A5
    let (fixture, em, ada, _) = ada().await;
    let other = fixture.em();
    other.begin().await.unwrap();
    let row = other.find_one_or_fail::<Author>(ada.id(), ()).await.unwrap();
    other.lock(&row, LockMode::PessimisticWrite).await.unwrap();
    fixture.forget();
    ada.write().born = Some(1815);
    let clone = em.clone();
    let flush = tokio::spawn(async move { clone.flush().await });
    while fixture.log.statements().is_empty() {
        tokio::task::yield_now().await;
    }
    assert_eq!(em.count::<Shelf>(()).await.unwrap(), 0);
    assert!(!flush.is_finished());
    other.rollback().await.unwrap();
    assert_eq!(flush.await.unwrap().unwrap().updated, 1);
}

#[tokio::test]
async fn reads_that_run_at_the_same_time_flush_once() {
    // A5
    let (fixture, em, ada, _) = ada().await;
    ada.write().born = Some(1815);
    let counts = (0..8).map(|_| em.count::<Author>(Author::fields().born().eq(1815)));
    let counts = futures_util::future::try_join_all(counts).await.unwrap();
    assert_eq!(counts, [1; 8]);
    assert_eq!(verbs(&fixture).iter().filter(|verb| *verb == "UPDATE").count(), 1);
}

#[derive(Entity, Clone, Debug)]
pub struct Letter {
    #[primary_key]
    pub id: i64,
    pub text: Lazy<String>,
}

/// A refresh reads the lazy columns that are loaded, and flushes nothing: whatever the mode, it does not wait for itself.
#[tokio::test]
async fn a_refresh_flushes_nothing_in_any_mode() {
    let fixture = Fixture::new(entities![Letter]).await;
    for mode in [FlushMode::Auto, FlushMode::Commit, FlushMode::Always] {
        let em = fixture.em();
        em.set_flush_mode(mode);
        let letter = em.persist(NewLetter { text: "Dear".into() });
        em.flush().await.unwrap();
        let other = em.persist(NewLetter { text: "Hello".into() });
        letter.write().text.set("changed");
        fixture.forget();
        let refresh = tokio::time::timeout(std::time::Duration::from_secs(10), em.refresh(&letter));
        refresh.await.expect("it does not wait for itself").unwrap();
        assert_eq!(verbs(&fixture), ["SELECT", "SELECT"], "{mode:?}");
        assert_eq!((letter.read().text.get().unwrap().as_str(), letter.is_dirty()), ("Dear", false));
        assert_eq!(other.state(), EntityState::New);
    }
}
