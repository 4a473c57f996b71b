//! Updates and deletes by conditions, past the unit of work, and what becomes of entities that are loaded.

use crate::library::*;
use crate::support::Fixture;
use howdah::prelude::*;

mod versions;

/// Ursula has two books, Stanisław has one. All are loaded into the manager that this answers with.
async fn rows(fixture: &Fixture) -> EntityManager {
    let em = fixture.em();
    let [ursula, stanislaw] = ["Ursula", "Stanisław"].map(|name| em.persist(NewAuthor { name: name.into() }));
    for (title, author) in [("a", &ursula), ("b", &ursula), ("c", &stanislaw)] {
        em.persist(NewBook { title: title.into(), author: author.to_ref() });
    }
    em.flush().await.unwrap();
    fixture.forget();
    em
}

const BOOKS: &str = "SELECT id, title, pages, author_id, version FROM book ORDER BY id";

#[tokio::test]
async fn rows_are_updated_without_being_loaded() {
    let fixture = Fixture::new(library()).await;
    rows(&fixture).await;
    let em = fixture.em();
    let updated = em
        .native_update::<Book>()
        .filter(|b| b.title().lt("c"))
        .filter_opt(Some(Book::fields().pages().is_null()))
        .set(|b| b.pages(), 7)
        .set(|b| b.title(), "untitled")
        .set(|b| b.author(), 2)
        .await
        .unwrap();
    assert_eq!((updated, fixture.log.round_trips()), (2, 1));
    assert_eq!(fixture.flow(), ["UPDATE"]);
    assert_eq!(fixture.rows(BOOKS).await, ["1|untitled|7|2|2", "2|untitled|7|2|2", "3|c|~|2|1"]);

    // NULL, options, handles, and of one field the last value.
    let ursula = em.find_one_or_fail::<Author>(1, ()).await.unwrap();
    let update = em.native_update::<Book>().filter(|b| b.id().is_in([1, 2]));
    let update = update.set(|b| b.pages(), Some(1)).set(|b| b.pages(), None).set(|b| b.author(), &ursula);
    assert_eq!(update.set_null(|b| b.shelf()).set(|b| b.version(), 9).await.unwrap(), 2);
    assert_eq!(fixture.rows(BOOKS).await, ["1|untitled|~|1|9", "2|untitled|~|1|9", "3|c|~|2|1"]);
}

#[tokio::test]
async fn conditions_lead_over_relations() {
    let fixture = Fixture::new(library()).await;
    rows(&fixture).await;
    let em = fixture.em();
    let by_author = em.native_update::<Book>().filter(|b| b.author().name().eq("Ursula"));
    assert_eq!(by_author.set(|b| b.pages(), 3).await.unwrap(), 2);
    let statements = fixture.statements();
    assert!(statements[0].contains("(t0.\"id\") IN (SELECT t2.\"id\" FROM \"book\" AS t2 LEFT JOIN"), "{statements:?}");
    let with_short_book = em.native_update::<Author>().filter(|a| a.books().some(|b| b.pages().lt(5)));
    assert_eq!(with_short_book.set(|a| a.born(), 1929).await.unwrap(), 1);
    assert_eq!(fixture.rows("SELECT name, born FROM author ORDER BY id").await, ["Ursula|1929", "Stanisław|~"]);

    let deleted = em.native_delete::<Book>().filter(|b| b.author().born().eq(1929)).await.unwrap();
    assert_eq!(deleted, 2);
    assert_eq!(fixture.rows("SELECT title FROM book").await, ["c"]);
    assert_eq!(em.native_delete::<Book>().await.unwrap(), 1, "without a condition it is all rows");
}

#[tokio::test]
async fn fields_are_set_to_what_other_fields_have() {
    let fixture = Fixture::new(library()).await;
    let em = rows(&fixture).await;
    let fields = Book::fields();
    let update = em.native_update::<Book>().filter(|b| b.author().name().eq("Ursula"));
    let update = update.set(|b| b.title(), fields.author().name()).set(|b| b.pages(), fields.version());
    assert_eq!(update.await.unwrap(), 2);
    assert_eq!(fixture.rows(BOOKS).await, ["1|Ursula|1|1|2", "2|Ursula|1|1|2", "3|c|~|2|1"]);
}

#[tokio::test]
async fn a1_loaded_entities_are_read_again_when_they_are_found() {
    let fixture = Fixture::new(library()).await;
    let em = rows(&fixture).await;
    let book = em.find_one_or_fail::<Book>(1, ()).await.unwrap();
    let other = em.find_one_or_fail::<Book>(3, ()).await.unwrap();
    fixture.forget();
    em.native_update::<Book>().filter(|b| b.id().eq(1)).set(|b| b.pages(), 5).await.unwrap();
    em.find_one_or_fail::<Author>(1, ()).await.unwrap();
    assert_eq!(book.read().pages, None, "it keeps its values until it is found");
    fixture.forget();
    assert_eq!(em.find_one_or_fail::<Book>(1, ()).await.unwrap(), book);
    assert_eq!((book.read().pages, book.read().version), (Some(5), 2));
    assert_eq!(fixture.statements().len(), 1);
    em.find_one_or_fail::<Book>(1, ()).await.unwrap();
    assert!(fixture.statements().is_empty(), "once is enough");

    // A find reads all rows anyway; so does a reference that is loaded.
    em.native_update::<Book>().set(|b| b.pages(), 6).await.unwrap();
    em.find::<Book>().await.unwrap();
    assert_eq!(other.read().pages, Some(6));
    em.native_update::<Author>().set(|a| a.born(), 1).await.unwrap();
    fixture.forget();
    let author = book.read().author.clone();
    assert_eq!(author.load(&em).await.unwrap().read().born, Some(1));
    assert_eq!(fixture.statements().len(), 1);
    assert!(!book.is_dirty() && em.flush().await.unwrap() == FlushSummary::default());
}

#[tokio::test]
async fn only_entities_that_may_be_touched_become_stale() {
    let fixture = Fixture::new(library()).await;
    let em = rows(&fixture).await;
    let books = em.find::<Book>().order_by(|b| b.id().asc()).await.unwrap();
    let ursula = em.find_one_or_fail::<Author>(1, ()).await.unwrap();
    fixture.forget();
    // What is asked for again, of the three books.
    let read_again = async || {
        let mut read = Vec::new();
        for book in &books {
            em.find_one_or_fail::<Book>(book.id(), ()).await.unwrap();
            read.push(fixture.statements().len());
        }
        read
    };
    let set = |condition: fn(BookFields<Book>) -> howdah::Condition<Book>| {
        em.native_update::<Book>().filter(condition).set(|b| b.pages(), 1)
    };
    for (update, expected) in [
        (set(|b| b.id().eq(2)), [0, 1, 0]),
        (set(|b| b.id().is_in([3, 1]).and(b.title().like("%"))), [1, 0, 1]),
        (set(|b| b.id().gt(2)), [1, 1, 1]),
        (set(|b| b.id().eq(2).or(b.title().eq("a"))), [1, 1, 1]),
        (set(|b| b.author().eq(2)), [1, 1, 1]),
    ] {
        update.await.unwrap();
        fixture.forget();
        assert_eq!(read_again().await, expected);
    }
    let mentored = em.native_update::<Author>().filter(|a| a.mentor().is_null()).set(|a| a.mentor(), &ursula);
    assert_eq!(mentored.await.unwrap(), 2);
    fixture.forget();
    assert_eq!(read_again().await, [0, 0, 0], "books are not authors");
    em.find_one_or_fail::<Author>(2, ()).await.unwrap();
    assert_eq!(fixture.statements().len(), 1);
}

#[tokio::test]
async fn a3_pending_changes_stay_and_are_written_over_the_row_as_it_is() {
    let fixture = Fixture::new(library()).await;
    let em = rows(&fixture).await;
    em.set_flush_mode(FlushMode::Commit);
    let book = em.find_one_or_fail::<Book>(1, ()).await.unwrap();
    book.write().title = "mine".into();
    em.native_update::<Book>().set(|b| b.title(), "theirs").set(|b| b.pages(), 8).await.unwrap();
    // It was made on another version of the row, and nobody has looked at this one.
    assert!(matches!(em.flush().await, Err(Error::OptimisticLock { .. })));
    em.find_one_or_fail::<Book>(1, ()).await.unwrap();
    assert_eq!((book.read().title.as_str(), book.read().pages, book.read().version), ("mine", Some(8), 2));
    assert_eq!(em.flush().await.unwrap().updated, 1);
    assert_eq!(fixture.rows("SELECT title, pages, version FROM book WHERE id = 1").await, ["mine|8|3"]);
}

#[tokio::test]
async fn e6_a_find_flushes_pending_changes_of_stale_entities_over_their_rows() {
    let fixture = Fixture::new(library()).await;
    let em = rows(&fixture).await;
    let books = em.find::<Book>().order_by(|b| b.id().asc()).await.unwrap();
    for book in &books {
        book.write().title = "mine".into();
    }
    em.native_update::<Book>().set(|b| b.pages(), 8).await.unwrap();
    em.native_delete::<Book>().filter(|b| b.id().eq(3)).await.unwrap();
    fixture.forget();
    assert_eq!(em.find::<Book>().filter(|b| b.title().eq("mine")).await.unwrap().len(), 2);
    assert_eq!(fixture.flow(), ["SELECT", "SELECT", "SELECT", "UPDATE", "SELECT"]);
    assert_eq!(fixture.rows(BOOKS).await, ["1|mine|8|1|3", "2|mine|8|1|3"]);
    assert_eq!((books[0].read().pages, books[0].is_dirty(), books[2].state()), (Some(8), false, EntityState::Detached));
}

#[tokio::test]
async fn what_was_deleted_leaves_the_manager_when_it_is_looked_for() {
    let fixture = Fixture::new(library()).await;
    let em = rows(&fixture).await;
    em.set_flush_mode(FlushMode::Commit);
    em.persist(NewProfile { text: "Portland".into(), author: em.get_reference(1) });
    em.flush().await.unwrap();
    let profile = em.find_one_or_fail::<Profile>(1, ()).await.unwrap();
    let author = em.find_one_or_fail::<Author>(1, ()).await.unwrap();
    author.write().born = Some(1929);
    em.native_delete::<Book>().await.unwrap();
    assert_eq!(em.native_delete::<Author>().filter(|a| a.name().eq("Ursula")).await.unwrap(), 1);
    assert_eq!((author.state(), profile.state()), (EntityState::Managed, EntityState::Managed));
    assert_eq!(em.find_one::<Author>(1, ()).await.unwrap(), None);
    // The database has deleted the profile along.
    assert_eq!(em.find_one::<Profile>(1, ()).await.unwrap(), None);
    assert_eq!((author.state(), profile.state()), (EntityState::Detached, EntityState::Detached));
    assert_eq!(em.flush().await.unwrap(), FlushSummary::default());
}

#[tokio::test]
async fn what_was_written_can_come_back() {
    let fixture = Fixture::new(library()).await;
    let em = rows(&fixture).await;
    let book = em.find_one_or_fail::<Book>(1, ()).await.unwrap();
    book.write().pages = Some(99);
    fixture.forget();
    let updated = em
        .native_update::<Book>()
        .filter(|b| b.author().eq(1))
        .set(|b| b.title(), "x")
        .returning_entities()
        .await
        .unwrap();
    assert_eq!((fixture.log.round_trips(), fixture.statements().len()), (1, 1));
    assert!(updated.len() == 2 && updated.contains(&book));
    assert_eq!((book.read().title.as_str(), book.read().pages, book.read().version), ("x", Some(99), 2));
    assert_eq!(em.flush().await.unwrap().updated, 1);

    let deleted: Vec<Book> =
        em.native_delete::<Book>().filter(|b| b.title().eq("c")).returning_entities().await.unwrap();
    assert_eq!((deleted.len(), deleted[0].title.as_str(), deleted[0].author.id()), (1, "c", 2));
}

#[tokio::test]
async fn d1_d2_inside_a_transaction_it_is_part_of_it() {
    let fixture = Fixture::new(library()).await;
    let em = rows(&fixture).await;
    let book = em.find_one_or_fail::<Book>(1, ()).await.unwrap();
    let failed: Result<(), Error> = em
        .transactional(async |em| {
            em.native_update::<Book>().set(|b| b.pages(), 5).await?;
            em.find_one_or_fail::<Book>(1, ()).await?;
            // A failure undoes no more than itself, and names what is wrong as a flush does.
            let error = em.native_update::<Book>().set(|b| b.pages(), 0).await.unwrap_err();
            assert!(matches!(error, Error::CheckViolation { entity: Some("Book"), .. }), "{error:?}");
            let error = em.native_delete::<Author>().await.unwrap_err();
            let Error::ForeignKeyViolation { entity, properties, .. } = &error else { panic!("{error:?}") };
            assert_eq!((*entity, properties.as_slice()), (Some("Book"), ["author"].as_slice()));
            assert_eq!(em.count::<Book>(Book::fields().pages().eq(5)).await?, 3);
            Err(Error::TransactionAborted)
        })
        .await;
    assert!(failed.is_err());
    assert_eq!(fixture.rows(BOOKS).await, ["1|a|~|1|1", "2|b|~|1|1", "3|c|~|2|1"]);
    assert_eq!((book.read().pages, book.read().version), (None, 1), "and so is the memory");
    book.write().pages = Some(1);
    assert_eq!(em.flush().await.unwrap().updated, 1);
}

#[tokio::test]
async fn what_makes_no_sense_is_refused_before_anything_is_sent() {
    let fixture = Fixture::new(library()).await;
    let em = fixture.em();
    let refused = async |update: howdah::NativeUpdate<Book>| update.await.unwrap_err().to_string();
    let update = || em.native_update::<Book>();
    assert_eq!(refused(update()).await, "native_update::<Book>() sets nothing: call set()");
    let error = refused(update().set(|b| b.id(), 5)).await;
    assert_eq!(error, "set() names Book.id: the key of a row is not changed");
    let error = refused(update().set(|b| b.author().name(), "x")).await;
    assert!(error.starts_with("set() takes fields of Book itself"), "{error}");
    let error = refused(update().set_null(|b| (b.pages(), b.title()))).await;
    assert_eq!(error, "Book.title cannot be set to NULL: it is not an Option");
    let new = em.create(NewAuthor { name: "Ursula".into() });
    let error = refused(update().set(|b| b.author(), &new)).await;
    assert!(error.contains("cannot be set to an entity that has no row yet"), "{error}");
    let error = em.native_update::<Author>().set_null(|a| a.profile()).await.unwrap_err();
    assert_eq!(error.to_string(), "Author.profile is no column: set the other side");
    assert!(fixture.log.take().is_empty());
}

#[derive(Entity, Clone, Debug)]
pub struct Room {
    #[primary_key]
    pub id: i64,
    pub tenant: i64,
}

#[derive(Entity, Clone, Debug)]
#[filter(name = "here", condition = |d| d.gone().eq(false))]
#[filter(name = "tenant", condition = |d, tenant: i64| d.room().tenant().eq(tenant))]
pub struct Desk {
    #[primary_key]
    pub id: i64,
    #[property(unique)]
    pub name: String,
    pub height: i32,
    #[property(default = false)]
    pub gone: bool,
    #[many_to_one]
    pub room: Ref<Room>,
}

#[tokio::test]
async fn filters_hold_for_writes_past_the_unit_of_work() {
    let fixture = Fixture::new(entities![Room, Desk]).await;
    let em = fixture.em();
    em.insert_many([1, 2].map(|tenant| NewRoom { tenant })).await.unwrap();
    let desk = |name: &str, room: i64| NewDesk { name: name.into(), height: 70, room: em.get_reference(room) };
    em.insert_many([desk("a", 1).into(), desk("b", 2).into(), desk("c", 1).with(|desk| desk.gone = true)])
        .await
        .unwrap();
    let heights = async || fixture.rows("SELECT name, height FROM desk ORDER BY name").await;
    let em = fixture.em();
    em.set_filter_params("tenant", 1_i64);

    assert_eq!(em.native_update::<Desk>().set(|d| d.height(), 80).await.unwrap(), 1);
    assert_eq!(heights().await, ["a|80", "b|70", "c|70"]);
    assert_eq!(em.native_update::<Desk>().without_filter("here").set(|d| d.height(), 81).await.unwrap(), 2);
    assert_eq!(em.native_update::<Desk>().with_filter("tenant", 2_i64).set(|d| d.height(), 82).await.unwrap(), 1);
    assert_eq!(heights().await, ["a|81", "b|82", "c|81"]);
    // What belongs to somebody else is neither updated nor answered with.
    let error = em.upsert(desk("b", 1)).on_conflict(|d| d.name()).await.unwrap_err();
    assert!(matches!(error, Error::NotFound { entity: "Desk", .. }), "{error}");
    let error = em.upsert(desk("b", 1)).on_conflict(|d| d.name()).ignore().await.unwrap_err();
    assert!(matches!(error, Error::NotFound { entity: "Desk", .. }), "{error}");
    assert_eq!(em.upsert(desk("a", 1)).on_conflict(|d| d.name()).await.unwrap().id(), 1);
    assert_eq!(heights().await, ["a|70", "b|82", "c|81"]);

    // What is hidden now is no answer any more, though it is loaded; but it is not gone.
    let a = em.find_one_or_fail::<Desk>(1, ()).await.unwrap();
    em.native_update::<Desk>().set(|d| d.gone(), true).await.unwrap();
    assert_eq!(em.find_one::<Desk>(1, ()).await.unwrap(), None);
    assert_eq!(a.state(), EntityState::Managed);
    assert_eq!(em.native_delete::<Desk>().await.unwrap(), 0);
    assert_eq!(em.native_delete::<Desk>().without_filters().await.unwrap(), 3);
}

#[derive(Entity, Clone, Debug)]
pub struct Paper {
    #[primary_key]
    pub id: i64,
    #[property(unique)]
    pub name: String,
    pub text: Lazy<String>,
}

#[tokio::test]
async fn lazy_columns_that_were_written_are_loaded_again() {
    let fixture = Fixture::new(entities![Paper]).await;
    let em = fixture.em();
    let paper = |text: &str| NewPaper { name: "a".into(), text: text.into() };
    em.insert(paper("first")).await.unwrap();
    let loaded = em.find_one_or_fail::<Paper>(1, ()).await.unwrap();
    assert_eq!(loaded.load(&em, |p| p.text()).await.unwrap(), "first");
    em.upsert(paper("second")).on_conflict(|p| p.name()).await.unwrap();
    assert!(!loaded.read().text.is_loaded() && !loaded.is_dirty());
    assert_eq!(loaded.load(&em, |p| p.text()).await.unwrap(), "second");
    em.native_update::<Paper>().set(|p| p.text().column(), "third").await.unwrap();
    em.find_one::<Paper>(1, ()).await.unwrap();
    assert_eq!(loaded.load(&em, |p| p.text()).await.unwrap(), "third");
    let names = em.query::<Paper>().select(|p| (p.name(), p.name()));
    let named = names.insert_into::<Paper, _>(|p| (p.name(), p.text().column())).on_conflict(|p| p.name());
    assert_eq!(named.returning_entities().await.unwrap(), [loaded.clone()]);
    assert_eq!(loaded.load(&em, |p| p.text()).await.unwrap(), "a");
    em.copy_in::<Paper>([NewPaper { name: "b".into(), text: "x".into() }]).await.unwrap();
    assert_eq!(fixture.rows("SELECT name, text FROM paper ORDER BY name").await, ["a|a", "b|x"]);
}
