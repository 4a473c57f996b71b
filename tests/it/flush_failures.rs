//! Rule C3: a flush that fails leaves everything as it was, and can be repeated. Rules C5 and C9: rows that were not
//! there, or not written.

use crate::library::*;
use crate::support::Fixture;
use howdah::prelude::*;

#[tokio::test]
async fn c3_a_violated_constraint_leaves_everything_as_before_and_a_second_flush_works() {
    let fixture = Fixture::new(library()).await;
    fixture.database.execute("INSERT INTO author (name) VALUES ('Ursula')").await.unwrap();
    let em = fixture.em();
    let old = em.find_one_or_fail::<Author>(1, ["books"]).await.unwrap();
    let book = em.persist(NewBook { title: "Voices".into(), author: old.to_ref() });
    em.flush().await.unwrap();

    let ursula = em.persist(NewAuthor { name: "Ursula".into() });
    let lavinia = em.create(NewBook { title: "Lavinia".into(), author: ursula.to_ref() });
    let tag = em.create(NewTag { name: "rome".into() });
    lavinia.write().tags.add(&tag);
    ursula.write().books.add(&lavinia);
    book.write().title = "Gifts".into();
    old.update(|a| {
        a.books.remove(&book);
        a.books.add(&lavinia);
    });
    let before =
        fixture.rows("SELECT (SELECT count(*) FROM author), (SELECT count(*) FROM book), title FROM book").await;
    fixture.forget();
    let error = em.flush().await.unwrap_err();
    let Error::UniqueViolation { entity, properties, .. } = &error else { panic!("{error}") };
    assert_eq!((*entity, properties.as_slice()), (Some("Author"), &["name"][..]));

    let after =
        fixture.rows("SELECT (SELECT count(*) FROM author), (SELECT count(*) FROM book), title FROM book").await;
    assert_eq!(after, before, "nothing was written");
    for (id, state, dirty) in [
        (ursula.id(), ursula.state(), ursula.is_dirty()),
        (lavinia.id(), lavinia.state(), true),
        (ursula.read().id, ursula.state(), true),
    ] {
        assert_eq!((id, state, dirty), (0, EntityState::New, true));
    }
    assert!(ursula.key().is_none() && tag.key().is_none() && tag.id().is_nil());
    assert_eq!((book.state(), book.read().version, book.is_dirty()), (EntityState::Managed, 1, true));
    assert_eq!(old.read().books.items().unwrap(), [lavinia.clone()]);
    assert_eq!(ursula.read().books.items().unwrap(), [lavinia.clone()]);
    assert_eq!(lavinia.read().tags.items().unwrap(), [tag.clone()]);
    assert!(tag.read().books.is_empty().unwrap());

    old.write().books.add(&book);
    old.write().books.remove(&lavinia);
    ursula.write().name = "U. K. Le Guin".into();
    let summary = em.flush().await.unwrap();
    assert_eq!((summary.inserted, summary.updated), (3, 1));
    assert!(ursula.id() > 1 && lavinia.id() > 0 && !tag.id().is_nil());
    assert_eq!(book.read().version, 2);
    assert_eq!(
        fixture.rows("SELECT title, name FROM book JOIN author ON author.id = author_id ORDER BY title").await,
        ["Gifts|Ursula", "Lavinia|U. K. Le Guin"]
    );
}

#[tokio::test]
async fn c3_a_failure_in_a_later_flight_takes_back_the_earlier_ones() {
    let fixture = Fixture::new(library()).await;
    let em = fixture.em();
    let author = em.persist(NewAuthor { name: "Ursula".into() });
    let book = em.persist(NewBook { title: "Lavinia".into(), author: author.to_ref() });
    book.write().pages = Some(-1);
    for _ in 0..2 {
        let error = em.flush().await.unwrap_err();
        let Error::CheckViolation { entity, properties, .. } = &error else { panic!("{error}") };
        assert_eq!((*entity, properties.as_slice()), (Some("Book"), &["pages"][..]));
        assert_eq!((author.id(), author.state()), (0, EntityState::New));
        assert_eq!(fixture.rows("SELECT count(*) FROM author").await, ["0"]);
        assert_eq!(fixture.open_transactions().await, 0);
    }
    book.write().pages = Some(279);
    em.flush().await.unwrap();
    assert_eq!(fixture.rows("SELECT name, pages FROM author JOIN book ON author.id = author_id").await, ["Ursula|279"]);
    assert_eq!(book.read().author.id(), author.id());
}

/// Refers to a row that is looked for at COMMIT.
#[derive(Entity, Clone, Debug)]
pub struct Note {
    #[primary_key]
    pub id: i64,
    #[property(on_create = 1, on_update = 2)]
    pub stage: i32,
    #[many_to_one(deferrable = "initially_deferred")]
    pub reply_to: Option<Ref<Note>>,
}

#[tokio::test]
async fn c3_a_constraint_that_is_checked_at_commit_leaves_everything_as_before() {
    let fixture = Fixture::new(entities![Note]).await;
    let em = fixture.em();
    let first = em.persist(NewNote {});
    em.flush().await.unwrap();
    let second = em.persist(NewNote {});
    first.write().reply_to = Some(em.get_reference(99));
    let error = em.flush().await.unwrap_err();
    let Error::ForeignKeyViolation { entity, properties, .. } = &error else { panic!("{error}") };
    assert_eq!((*entity, properties.as_slice()), (Some("Note"), &["reply_to"][..]));
    assert_eq!((second.id(), second.state()), (0, EntityState::New));
    assert_eq!(first.read().stage, 1, "on_update values come with success only");
    assert!(first.is_dirty());
    assert_eq!(fixture.rows("SELECT id, stage, reply_to_id FROM note").await, ["1|1|~"]);
    assert_eq!(fixture.open_transactions().await, 0);

    first.write().reply_to = Some(second.to_ref());
    em.flush().await.unwrap();
    let reply = format!("1|2|{}", second.id());
    assert_eq!(fixture.rows("SELECT id, stage, reply_to_id FROM note WHERE id = 1").await, [reply]);
}

/// Three books as one manager sees them, with changes made behind its back to the first two.
async fn stale_books(fixture: &Fixture, behind: &str) -> (EntityManager, Vec<Managed<Book>>) {
    let em = fixture.em();
    let author = em.persist(NewAuthor { name: "Ursula".into() });
    let books = ["a", "b", "c"].map(|title| em.persist(NewBook { title: title.into(), author: author.to_ref() }));
    em.flush().await.unwrap();
    fixture.database.execute(behind).await.unwrap();
    (em, books.to_vec())
}

#[tokio::test]
async fn c9_a_stale_version_is_an_error_that_names_exactly_the_stale_entities() {
    let fixture = Fixture::new(library()).await;
    let behind = "UPDATE book SET version = version + 1 WHERE title <> 'c'";
    let (em, books) = stale_books(&fixture, behind).await;
    for book in &books {
        book.write().pages = Some(1);
    }
    let new = em.persist(NewAuthor { name: "Iain".into() });
    let error = em.flush().await.unwrap_err();
    assert!(matches!(&error, Error::OptimisticLock { entities } if *entities == ["Book#1", "Book#2"]), "{error}");
    assert_eq!(fixture.rows("SELECT count(*) FROM book WHERE pages IS NOT NULL").await, ["0"]);
    assert_eq!(fixture.rows("SELECT count(*) FROM author").await, ["1"], "nothing was written, that of others neither");
    assert_eq!((new.state(), new.id()), (EntityState::New, 0));
    assert!(books.iter().all(|book| book.is_dirty() && book.read().version == 1));

    for book in &books[..2] {
        em.refresh(book).await.unwrap();
        book.write().pages = Some(2);
    }
    assert_eq!(em.flush().await.unwrap().updated, 3);
    assert_eq!(fixture.rows("SELECT pages, version FROM book ORDER BY id").await, ["2|3", "2|3", "1|2"]);
}

#[tokio::test]
async fn c9_a_vanished_row_is_an_error_with_a_version_and_without() {
    let fixture = Fixture::new(library()).await;
    let (em, books) = stale_books(&fixture, "DELETE FROM book WHERE title = 'b'").await;
    for book in &books {
        book.write().title += "!";
    }
    let error = em.flush().await.unwrap_err();
    assert!(matches!(&error, Error::OptimisticLock { entities } if *entities == ["Book#2"]), "{error}");
    assert_eq!(fixture.rows("SELECT count(*) FROM book WHERE title LIKE '%!'").await, ["0"]);
    em.detach(&books[1]);
    assert_eq!(em.flush().await.unwrap().updated, 2);

    let em = fixture.em();
    let authors = ["x", "y"].map(|name| em.persist(NewAuthor { name: name.into() }));
    em.flush().await.unwrap();
    fixture.database.execute("DELETE FROM author WHERE name = 'y'").await.unwrap();
    authors.iter().for_each(|author| author.write().born = Some(1));
    let error = em.flush().await.unwrap_err();
    let vanished = format!("Author#{}", authors[1].id());
    assert!(matches!(&error, Error::OptimisticLock { entities } if *entities == [vanished]), "{error}");
    assert_eq!(fixture.rows("SELECT count(*) FROM author WHERE born = 1").await, ["0"]);
}

#[tokio::test]
async fn c9_a_delete_of_a_stale_or_vanished_row_is_an_error() {
    let fixture = Fixture::new(library()).await;
    let behind = "UPDATE book SET version = 2 WHERE title = 'a'; DELETE FROM book WHERE title = 'b'";
    let (em, books) = stale_books(&fixture, behind).await;
    em.remove(&books);
    let error = em.flush().await.unwrap_err();
    assert!(matches!(&error, Error::OptimisticLock { entities } if *entities == ["Book#1", "Book#2"]), "{error}");
    assert_eq!(fixture.rows("SELECT title FROM book ORDER BY id").await, ["a", "c"]);
    assert!(books.iter().all(|book| book.state() == EntityState::Removed && book.is_dirty()));

    // Taking back the removal of two of them lets the third go.
    em.persist(&books[0]);
    em.persist(&books[1]);
    assert_eq!(books[0].state(), EntityState::Managed);
    assert_eq!(em.flush().await.unwrap().deleted, 1);
    assert_eq!(fixture.rows("SELECT title FROM book").await, ["a"]);
}

#[tokio::test]
async fn c5_a_row_that_a_trigger_suppresses_is_an_error_and_nothing_is_committed() {
    let fixture = Fixture::new(library()).await;
    let trigger = "CREATE FUNCTION drop_row() RETURNS trigger LANGUAGE plpgsql AS \
                   $$ BEGIN IF NEW.name = 'b' THEN RETURN NULL; END IF; RETURN NEW; END $$; \
                   CREATE TRIGGER drop_row BEFORE INSERT ON author FOR EACH ROW EXECUTE FUNCTION drop_row()";
    fixture.database.execute(trigger).await.unwrap();
    let em = fixture.em();
    let authors = ["a", "b", "c"].map(|name| em.persist(NewAuthor { name: name.into() }));
    let error = em.flush().await.unwrap_err();
    assert!(matches!(&error, Error::Validation { entity: Some("Author"), .. }), "{error}");
    assert_eq!(fixture.rows("SELECT count(*) FROM author").await, ["0"]);
    assert!(authors.iter().all(|author| author.id() == 0 && author.state() == EntityState::New));
    authors[1].write().name = "d".into();
    assert_eq!(em.flush().await.unwrap().inserted, 3);
    assert_eq!(em.find_one::<Author>(Author::fields().name().eq("d"), ()).await.unwrap().as_ref(), Some(&authors[1]));
}

#[tokio::test]
async fn a_value_that_the_server_refuses_leaves_everything_as_before() {
    let fixture = Fixture::new(library()).await;
    let em = fixture.em();
    let author = em.persist(NewAuthor { name: "nul \0".into() });
    assert!(em.flush().await.is_err());
    assert_eq!((author.id(), author.state(), author.is_dirty()), (0, EntityState::New, true));
    author.write().name = "x".repeat(101);
    let error = em.flush().await.unwrap_err();
    assert_eq!(error.sqlstate(), Some("22001"), "{error}");
    author.write().name = "x".repeat(100);
    em.flush().await.unwrap();
    assert_eq!(fixture.rows("SELECT length(name) FROM author").await, ["100"]);
}
