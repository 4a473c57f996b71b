//! Versions: compared when somebody asks for it, and by every UPDATE and DELETE in any case (rule C9).

use crate::library::*;
use crate::support::Fixture;
use howdah::prelude::*;

mod timestamps;

/// An author with three books, `a`, `b` and `c`, as one manager sees them.
async fn books(fixture: &Fixture) -> (EntityManager, Vec<Managed<Book>>) {
    let em = fixture.em();
    let author = em.persist(NewAuthor { name: "Ursula".into() });
    let books = ["a", "b", "c"].map(|title| em.persist(NewBook { title: title.into(), author: author.to_ref() }));
    em.flush().await.unwrap();
    fixture.forget();
    (em, books.to_vec())
}

fn assert_stale(outcome: Result<impl std::fmt::Debug, Error>, expected: &[&str]) {
    match outcome {
        Err(Error::OptimisticLock { entities }) => assert_eq!(entities, expected),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_form_that_was_filled_in_on_an_older_version_is_refused() {
    let fixture = Fixture::new(library()).await;
    let (em, books) = books(&fixture).await;
    let form = (books[0].id(), books[0].read().version);
    let meanwhile = fixture.em();
    book_of(&meanwhile, form.0).await.write().title = "theirs".into();
    meanwhile.flush().await.unwrap();

    // The request with the form has a manager of its own, which knows what it has loaded.
    let request = fixture.em();
    let book = book_of(&request, form.0).await;
    fixture.forget();
    assert_stale(request.lock(&book, LockMode::Optimistic(form.1)).await, &["Book#1"]);
    request.lock(&book, LockMode::Optimistic(book.read().version)).await.unwrap();
    assert!(fixture.statements().is_empty(), "versions are compared in memory, without a transaction");

    // What was loaded before is compared as it was loaded: that it is stale is found out by the flush.
    em.lock(&books[0], LockMode::Optimistic(form.1)).await.unwrap();
    books[0].write().title = "mine".into();
    assert_stale(em.flush().await, &["Book#1"]);
}

async fn book_of(em: &EntityManager, id: i64) -> Managed<Book> {
    em.find_one_or_fail::<Book>(id, ()).await.unwrap()
}

#[tokio::test]
async fn integers_of_any_width_are_versions() {
    let fixture = Fixture::new(library()).await;
    let (em, books) = books(&fixture).await;
    for mode in [LockMode::Optimistic(1_i16), LockMode::Optimistic(1), LockMode::Optimistic(1_i64)] {
        em.lock(&books[0], mode).await.unwrap();
    }
    assert_stale(em.lock(&books[0], LockMode::Optimistic(i64::from(u32::MAX) + 2)).await, &["Book#1"]);
    assert_stale(em.lock(&books[0], LockMode::Optimistic(0)).await, &["Book#1"]);
}

#[tokio::test]
async fn the_version_of_a_changed_entity_is_the_one_that_it_was_loaded_with() {
    let fixture = Fixture::new(library()).await;
    let (em, books) = books(&fixture).await;
    books[0].update(|book| {
        book.title = "mine".into();
        book.version = 9;
    });
    em.lock(&books[0], LockMode::Optimistic(1)).await.unwrap();
    assert_stale(em.lock(&books[0], LockMode::Optimistic(9)).await, &["Book#1"]);
    em.flush().await.unwrap();
    em.lock(&books[0], LockMode::Optimistic(2)).await.unwrap();
}

#[tokio::test]
async fn what_has_no_version_that_could_be_compared_is_an_error() {
    let fixture = Fixture::new(library()).await;
    let (em, books) = books(&fixture).await;
    let author = em.find_one_or_fail::<Author>(1, ()).await.unwrap();
    let new = em.persist(NewBook { title: "d".into(), author: author.to_ref() });
    let foreign = book_of(&fixture.em(), 1).await;
    fixture.forget();
    for (refused, expected) in [
        (
            em.lock(&author, LockMode::Optimistic(1)).await,
            "Author has no #[version] that an optimistic lock could compare",
        ),
        (
            em.lock(&books[0], LockMode::Optimistic(Utc::now())).await,
            "Book.version is a version of type int4, and cannot be compared with a DateTime<Utc>",
        ),
        (em.lock(&new, LockMode::Optimistic(1)).await, "Book is new: there is no row to lock before it is flushed"),
        (
            em.find::<Author>().lock(LockMode::Optimistic(1)).await.map(|_| ()),
            "Author has no #[version] that an optimistic lock could compare",
        ),
        (
            em.find::<Book>().lock(LockMode::Optimistic(NaiveDateTime::default())).one().await.map(|_| ()),
            "Book.version is a version of type int4, and cannot be compared with a NaiveDateTime",
        ),
    ] {
        let error = refused.unwrap_err();
        assert!(matches!(error, Error::Validation { entity: Some(_), .. }), "{error:?}");
        assert_eq!(error.to_string(), expected);
    }
    assert!(fixture.statements().is_empty());
    assert!(matches!(em.lock(&foreign, LockMode::Optimistic(1)).await, Err(Error::Detached { entity: "Book" })));
    let guard = books[0].write();
    let borrowed = em.lock(&books[0], LockMode::Optimistic(1)).await;
    drop(guard);
    assert!(matches!(borrowed, Err(Error::EntityBorrowed { entity: "Book" })), "{borrowed:?}");
}

#[tokio::test]
async fn a_find_compares_the_versions_of_all_that_it_loads() {
    let fixture = Fixture::new(library()).await;
    let (em, books) = books(&fixture).await;
    assert_eq!(em.find::<Book>().lock(LockMode::Optimistic(1)).await.unwrap().len(), 3);
    fixture.database.execute("UPDATE book SET version = 2 WHERE title <> 'b'").await.unwrap();
    let ordered = fixture.em().find::<Book>().order_by(|book| book.title().asc());
    assert_stale(ordered.clone().lock(LockMode::Optimistic(1)).await, &["Book#1", "Book#3"]);
    assert_stale(ordered.clone().lock(LockMode::Optimistic(2)).await, &["Book#2"]);
    assert_eq!(ordered.lock(LockMode::Optimistic(2)).one().await.unwrap().unwrap().read().title, "a");
    let none = em.find::<Book>().filter(|book| book.title().eq("nowhere")).lock(LockMode::Optimistic(7));
    assert_eq!(none.one().await.unwrap(), None);

    // A3: a changed entity keeps the version that it was changed on, and that is the one which is compared.
    em.set_flush_mode(FlushMode::Commit);
    books[2].write().title = "mine".into();
    let third = em.find::<Book>().filter(|book| book.id().eq(3));
    assert_stale(third.clone().lock(LockMode::Optimistic(2)).one().await, &["Book#3"]);
    assert_eq!(third.lock(LockMode::Optimistic(1)).one().await.unwrap().as_ref(), Some(&books[2]));
    assert_stale(em.flush().await, &["Book#3"]);
}

#[tokio::test]
async fn a_row_can_be_locked_and_its_version_compared_at_once() {
    let fixture = Fixture::new(library()).await;
    let (_, books) = books(&fixture).await;
    let em = fixture.em();
    let first = em.find::<Book>().filter(|book| book.id().eq(1)).lock(LockMode::Optimistic(1));
    em.transactional(async |_| {
        let book = first.clone().lock(LockMode::PessimisticWrite).one().await?.unwrap();
        let statement = fixture.statements().pop().unwrap();
        assert!(statement.ends_with(" FOR UPDATE OF t0"), "{statement}");
        book.write().title = "mine".into();
        Ok::<_, Error>(())
    })
    .await
    .unwrap();
    assert_stale(
        em.transactional(async |_| first.clone().lock(LockMode::PessimisticRead).one().await).await,
        &["Book#1"],
    );
    // Of two of a kind, the last one counts.
    assert_eq!(first.lock(LockMode::Optimistic(2)).one().await.unwrap().unwrap().id(), books[0].id());
}

#[derive(Entity, Clone, Debug)]
pub struct Account {
    #[primary_key]
    pub id: i64,
    pub balance: i64,
    #[version]
    pub revision: i64,
}

#[derive(Entity, Clone, Debug)]
pub struct Limit {
    #[primary_key(assigned)]
    pub name: String,
    pub amount: i64,
    #[version(column = "rev")]
    pub revision: i16,
}

#[tokio::test]
async fn c9_each_batch_names_exactly_its_stale_entities() {
    let fixture = Fixture::new(entities![Account, Limit]).await;
    let em = fixture.em();
    let accounts = em.persist((0..8).map(|_| NewAccount { balance: 0 }).collect::<Vec<_>>());
    let limits = em.persist(["day", "month", "year"].map(|name| NewLimit { name: name.into(), amount: 0 }));
    em.flush().await.unwrap();
    // Some rows are changed behind the manager's back, some are gone.
    let behind = "UPDATE account SET revision = 5 WHERE id IN (2, 6); DELETE FROM account WHERE id IN (3, 5); \
                  UPDATE \"limit\" SET rev = rev + 1 WHERE name = 'month'; DELETE FROM \"limit\" WHERE name = 'year'";
    fixture.database.execute(behind).await.unwrap();
    let stored = "SELECT id, balance, revision FROM account UNION ALL SELECT length(name), amount, rev FROM \"limit\" \
                  ORDER BY 1, 2, 3";
    let before = fixture.rows(stored).await;

    let (removed, changed) = accounts.split_at(3);
    changed.iter().for_each(|account| account.write().balance = 1);
    em.remove(removed);
    limits[1].write().amount = 1;
    em.remove(&limits[2]);
    let new = em.persist(NewAccount { balance: 7 });
    // The first statement with stale rows fails, and nothing of the flush is written; those of all statements are named.
    let Error::OptimisticLock { mut entities } = em.flush().await.unwrap_err() else {
        panic!("not an optimistic lock")
    };
    assert_eq!(fixture.rows(stored).await, before);
    assert_eq!((new.state(), new.id()), (EntityState::New, 0));
    let is_named = |name: String| entities.contains(&name);
    accounts.iter().filter(|a| is_named(format!("Account#{}", a.id()))).for_each(|a| em.detach(a));
    limits.iter().filter(|l| is_named(format!("Limit#{}", l.id()))).for_each(|l| em.detach(l));
    entities.sort();
    let stale = ["Account#2", "Account#3", "Account#5", "Account#6", "Limit#month", "Limit#year"];
    assert_eq!(entities, stale);
    let summary = em.flush().await.unwrap();
    assert_eq!((summary.inserted, summary.updated, summary.deleted), (1, 3, 1));
    let rows = fixture.rows("SELECT id, balance, revision FROM account WHERE balance <> 7 ORDER BY id").await;
    assert_eq!(rows, ["2|0|5", "4|1|2", "6|0|5", "7|1|2", "8|1|2"]);
    assert_eq!(fixture.rows("SELECT name, amount, rev FROM \"limit\" ORDER BY name").await, ["day|0|1", "month|0|2"]);
}

#[tokio::test]
async fn d2_versions_of_a_scope_that_fails_are_taken_back() {
    let fixture = Fixture::new(library()).await;
    let (em, books) = books(&fixture).await;
    let book = &books[0];
    em.transactional(async |em| {
        book.write().title = "outer".into();
        em.flush().await?;
        em.lock(book, LockMode::Optimistic(2)).await?;
        let failed: Result<(), Error> = em
            .transactional(async |em| {
                for title in ["inner", "inner again"] {
                    book.write().title = title.into();
                    em.flush().await?;
                }
                em.lock(book, LockMode::Optimistic(4)).await?;
                Err(Error::NotFound { entity: "Book", criteria: "on purpose".into() })
            })
            .await;
        assert!(matches!(failed, Err(Error::NotFound { .. })), "{failed:?}");
        assert_eq!((book.read().title.as_str(), book.read().version), ("outer", 2));
        em.lock(book, LockMode::Optimistic(2)).await?;
        book.write().title = "outer again".into();
        em.flush().await?;
        assert_eq!(book.read().version, 3, "the row's version is the one in memory, so it is not stale");
        Ok::<_, Error>(())
    })
    .await
    .unwrap();
    assert_eq!(fixture.rows("SELECT title, version FROM book WHERE id = 1").await, ["outer again|3"]);

    em.begin().await.unwrap();
    book.write().title = "never".into();
    em.flush().await.unwrap();
    em.rollback().await.unwrap();
    em.lock(book, LockMode::Optimistic(3)).await.unwrap();
}

/// A removal was decided on the version that was loaded, too.
#[tokio::test]
async fn c9_a_removal_is_not_carried_out_on_another_version() {
    let fixture = Fixture::new(library()).await;
    let (em, books) = books(&fixture).await;
    em.set_flush_mode(FlushMode::Commit);
    em.remove(&books[0]);
    books[1].write().pages = Some(1);
    em.remove(&books[1]);
    let other = fixture.em();
    for book in other.find::<Book>().await.unwrap() {
        book.write().title = "theirs".into();
    }
    other.flush().await.unwrap();
    em.find::<Book>().await.unwrap();
    assert_stale(em.flush().await, &["Book#1", "Book#2"]);
    assert_eq!(fixture.rows("SELECT title FROM book").await, ["theirs"; 3]);
    // Whoever has looked, and wants it all the same, says so.
    for book in &books[..2] {
        em.persist(book);
        em.refresh(book).await.unwrap();
        em.remove(book);
    }
    assert_eq!(em.flush().await.unwrap().deleted, 2);
}
