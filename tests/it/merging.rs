//! Rule A3: what is read again replaces what is clean and leaves what is dirty. Rule A4: entities of other managers.

use std::time::Duration;

use crate::cancellation::cancelled_after;
use crate::library::*;
use crate::support::Fixture;
use howdah::prelude::*;

/// A book that was read by the manager, with its author.
async fn one_book(fixture: &Fixture, em: &EntityManager) -> Managed<Book> {
    let other = fixture.em();
    let author = other.persist(NewAuthor { name: "Ursula".into() });
    let book = other.persist(NewBook { title: "Lavinia".into(), author: author.to_ref() });
    book.write().pages = Some(279);
    other.flush().await.unwrap();
    let book = em.find_one_or_fail::<Book>(book.id(), ()).await.unwrap();
    fixture.forget();
    book
}

#[tokio::test]
async fn a3_clean_fields_take_what_the_database_has() {
    let fixture = Fixture::new(library()).await;
    let em = fixture.em();
    let book = one_book(&fixture, &em).await;
    fixture.database.execute("INSERT INTO shelf VALUES ('B2')").await.unwrap();
    let change = "UPDATE book SET title = 'Voices', pages = NULL, version = 5, shelf_code = 'B2'";
    fixture.database.execute(change).await.unwrap();
    assert_eq!(em.find_all::<Book>().await.unwrap(), [book.clone()]);
    assert_eq!((book.read().title.as_str(), book.read().pages, book.read().version), ("Voices", None, 5));
    assert_eq!(book.read().shelf.as_ref().unwrap().id(), "B2");
    assert!(!book.is_dirty(), "reading makes nothing dirty");
    fixture.forget();
    assert_eq!(em.flush().await.unwrap(), FlushSummary::default());
    fixture.database.execute("UPDATE book SET shelf_code = NULL").await.unwrap();
    em.find_all::<Book>().await.unwrap();
    assert_eq!(book.read().shelf, None, "NULL replaces a reference, too");
}

#[tokio::test]
async fn a3_dirty_fields_keep_their_values_and_are_compared_with_what_was_read() {
    let fixture = Fixture::new(entities![Author, Book, Shelf, Tag, Profile]).await;
    let em = fixture.em();
    em.set_flush_mode(FlushMode::Commit);
    let author = em.persist(NewAuthor { name: "Ursula".into() });
    em.flush().await.unwrap();
    author.write().born = Some(1929);
    fixture.database.execute("UPDATE author SET name = 'U. K. Le Guin', born = 1930").await.unwrap();
    em.find_all::<Author>().await.unwrap();
    assert_eq!((author.read().name.as_str(), author.read().born), ("U. K. Le Guin", Some(1929)));
    let changes = author.changes();
    assert_eq!(changes.len(), 1);
    assert_eq!((changes[0].before.as_deref(), changes[0].after.as_deref()), (Some("1930"), Some("1929")));

    // What the database has by now is what the user wants: nothing to send.
    fixture.database.execute("UPDATE author SET born = 1929").await.unwrap();
    em.find_all::<Author>().await.unwrap();
    assert!(!author.is_dirty());
    fixture.forget();
    assert_eq!(em.flush().await.unwrap(), FlushSummary::default());
}

#[tokio::test]
async fn a3_the_version_of_a_dirty_entity_is_not_raised_silently() {
    let fixture = Fixture::new(library()).await;
    let em = fixture.em();
    em.set_flush_mode(FlushMode::Commit);
    let book = one_book(&fixture, &em).await;
    book.write().title = "mine".into();
    fixture.database.execute("UPDATE book SET title = 'theirs', version = version + 1").await.unwrap();
    em.find_all::<Book>().await.unwrap();
    assert_eq!((book.read().title.as_str(), book.read().version), ("mine", 1));
    let error = em.flush().await.unwrap_err();
    assert!(matches!(&error, Error::OptimisticLock { entities } if *entities == ["Book#1"]), "{error}");
    assert_eq!(fixture.rows("SELECT title FROM book").await, ["theirs"]);

    em.refresh(&book).await.unwrap();
    book.write().title = "mine, knowing theirs".into();
    em.flush().await.unwrap();
    assert_eq!(fixture.rows("SELECT title, version FROM book").await, ["mine, knowing theirs|3"]);
}

#[tokio::test]
async fn a3_an_entity_that_was_touched_and_not_changed_is_clean() {
    let fixture = Fixture::new(library()).await;
    let em = fixture.em();
    let book = one_book(&fixture, &em).await;
    book.write().title = "Lavinia".into();
    fixture.database.execute("UPDATE book SET title = 'Voices', version = version + 1").await.unwrap();
    em.find_all::<Book>().await.unwrap();
    assert_eq!((book.read().title.as_str(), book.read().version), ("Voices", 2));
    book.write().title = "Gifts".into();
    em.flush().await.unwrap();
    assert_eq!(fixture.rows("SELECT title, version FROM book").await, ["Gifts|3"]);
}

#[tokio::test]
async fn a3_refresh_overwrites_everything() {
    let fixture = Fixture::new(library()).await;
    let em = fixture.em();
    let book = one_book(&fixture, &em).await;
    let tag = em.persist(NewTag { name: "rome".into() });
    em.flush().await.unwrap();
    book.update(|b| {
        b.title = "mine".into();
        b.pages = None;
        b.tags.add(&tag);
    });
    fixture.database.execute("UPDATE book SET title = 'theirs', version = 7").await.unwrap();
    em.refresh(&book).await.unwrap();
    assert_eq!((book.read().title.as_str(), book.read().pages, book.read().version), ("theirs", Some(279), 7));
    assert!(!book.is_dirty());
    fixture.forget();
    assert_eq!(em.flush().await.unwrap(), FlushSummary::default());
    assert!(fixture.statements().is_empty());

    fixture.database.execute("DELETE FROM book").await.unwrap();
    let error = em.refresh(&book).await.unwrap_err();
    assert!(matches!(error, Error::NotFound { entity: "Book", .. }), "{error}");
    assert_eq!(book.read().title, "theirs");
}

#[tokio::test]
async fn a4_an_entity_of_another_manager_may_be_referred_to_by_key() {
    let fixture = Fixture::new(library()).await;
    let (em, other) = (fixture.em(), fixture.em());
    let ursula = other.persist(NewAuthor { name: "Ursula".into() });
    let shelf = other.persist(NewShelf { code: "A1".into() });
    other.flush().await.unwrap();
    fixture.forget();
    let book = em.persist(NewBook { title: "Lavinia".into(), author: ursula.to_ref() });
    book.write().shelf = Some(shelf.to_ref());
    assert_eq!(em.flush().await.unwrap().inserted, 1);
    assert_eq!(fixture.rows("SELECT author_id, shelf_code FROM book").await, ["1|A1"]);
    let error = book.read().author.get().unwrap_err();
    assert!(matches!(error, Error::NotLoaded { .. }), "the row is not loaded in this manager: {error}");
    let own = book.load(&em, |b| b.author()).await.unwrap();
    assert_ne!(own, ursula);
    assert_eq!(own.read().name, "Ursula");
}

#[tokio::test]
async fn a4_an_entity_of_another_manager_is_refused_as_a_new_one() {
    let fixture = Fixture::new(library()).await;
    let (em, other) = (fixture.em(), fixture.em());
    let foreign = other.persist(NewAuthor { name: "Ursula".into() });
    let own = em.persist(NewAuthor { name: "Iain".into() });
    fixture.forget();

    // Persisted or removed here: refused, and off the schedule.
    em.persist(&foreign);
    let error = em.flush().await.unwrap_err();
    assert!(matches!(error, Error::Detached { entity: "Author" }), "{error}");
    assert!(fixture.statements().is_empty(), "refused before any SQL");
    assert_eq!((own.state(), own.id()), (EntityState::New, 0));
    em.flush().await.unwrap();
    assert_eq!(fixture.rows("SELECT name FROM author").await, ["Iain"]);

    // Reached over a relation: refused until the relation is mended.
    let book = em.persist(NewBook { title: "Lavinia".into(), author: foreign.to_ref() });
    let error = em.flush().await.unwrap_err();
    assert!(matches!(error, Error::Detached { entity: "Author" }), "{error}");
    book.write().author = own.to_ref();
    em.flush().await.unwrap();
    assert_eq!(fixture.rows("SELECT title, author_id FROM book").await, ["Lavinia|1"]);

    // The same in a collection.
    let foreign_tag = other.persist(NewTag { name: "rome".into() });
    book.write().tags.add(&foreign_tag);
    let error = em.flush().await.unwrap_err();
    assert!(matches!(error, Error::Detached { entity: "Tag" }), "{error}");
    book.write().tags.remove(&foreign_tag);
    assert_eq!(em.flush().await.unwrap(), FlushSummary::default());

    // The other manager is not disturbed.
    assert_eq!(other.flush().await.unwrap().inserted, 2);
}

#[tokio::test]
async fn a4_a_removal_of_another_managers_entity_is_refused() {
    let fixture = Fixture::new(library()).await;
    let (em, other) = (fixture.em(), fixture.em());
    let ursula = other.persist(NewAuthor { name: "Ursula".into() });
    other.flush().await.unwrap();
    em.remove(&ursula);
    assert!(matches!(em.flush().await, Err(Error::Detached { entity: "Author" })));
    assert_eq!(ursula.state(), EntityState::Managed);
    assert_eq!(em.flush().await.unwrap(), FlushSummary::default());
    assert_eq!(fixture.rows("SELECT count(*) FROM author").await, ["1"]);
}

#[tokio::test]
async fn c12_a_refresh_behind_a_flush_that_was_given_up_finds_out_what_became_of_it() {
    let fixture = Fixture::new(library()).await;
    let em = fixture.em();
    let author = em.persist(NewAuthor { name: "Ada".into() });
    em.flush().await.unwrap();
    for polls in 1..60 {
        author.write().born = Some(1800);
        let done = cancelled_after(polls, em.flush()).await.is_some();
        author.write().name = "overwritten".into();
        let refreshed = tokio::time::timeout(Duration::from_secs(20), em.refresh(&author)).await;
        refreshed.expect("the refresh does not wait for itself").unwrap();
        assert_eq!(author.read().name, "Ada");
        assert_eq!(
            fixture.rows("SELECT coalesce(born, 0) FROM author").await,
            [author.read().born.unwrap_or(0).to_string()]
        );
        if done {
            assert!(polls > 1);
            return;
        }
        author.write().born = None;
        em.flush().await.unwrap();
    }
    panic!("the flush was never done");
}
