//! Results that are kept: what is asked again is not asked for, until a table is written that it was read from.

mod kinds;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use howdah::prelude::*;
use howdah::{CacheEntry, CacheError, MemoryCache, ResultCache, async_trait};
use parking_lot::Mutex;

use crate::library::*;
use crate::support::Fixture;

const LONG: Duration = Duration::from_secs(600);

/// Ada with two books, one of which has a tag.
async fn with_rows(fixture: &Fixture) {
    let em = fixture.em();
    let ada = em.persist(NewAuthor { name: "Ada".into() });
    let notes = em.persist(NewBook { title: "Notes".into(), author: ada.to_ref() });
    em.persist(NewBook { title: "Letters".into(), author: ada.to_ref() });
    notes.write().tags.add(em.persist(NewTag { name: "maths".into() }));
    em.flush().await.unwrap();
    fixture.forget();
}

async fn library_with_rows() -> Fixture {
    let fixture = Fixture::new(library()).await;
    with_rows(&fixture).await;
    fixture
}

fn titles(books: &[Managed<Book>]) -> Vec<String> {
    books.iter().map(|book| book.read().title.clone()).collect()
}

fn books(em: &EntityManager) -> Find<Book> {
    em.find::<Book>().order_by(|book| book.title().asc()).cache(LONG)
}

#[tokio::test]
async fn what_is_asked_again_is_answered_without_a_query() {
    let fixture = library_with_rows().await;
    let first = books(&fixture.em()).await.unwrap();
    assert_eq!(titles(&first), ["Letters", "Notes"]);
    assert_eq!(fixture.log.round_trips(), 1);
    let em = fixture.em();
    let second = books(&em).await.unwrap();
    assert_eq!(titles(&second), ["Letters", "Notes"]);
    assert_eq!(fixture.log.round_trips(), 1, "the other manager has not asked");
    // They are managed entities like any others: A1, and they are written.
    assert_eq!(em.find_one::<Book>(second[0].id(), ()).await.unwrap().as_ref(), Some(&second[0]));
    second[0].write().pages = Some(7);
    em.flush().await.unwrap();
    assert_eq!(fixture.rows("SELECT pages FROM book WHERE title = 'Letters'").await, ["7"]);
    // Other values, another order, a limit: other questions.
    fixture.forget();
    for _ in 0..2 {
        let em = fixture.em();
        for title in ["Notes", "Letters"] {
            let found = books(&em).filter(|book| book.title().eq(title)).await.unwrap();
            assert_eq!(titles(&found), [title]);
            assert_eq!(books(&em).filter(|book| book.title().ne(title)).count().await.unwrap(), 1);
            assert!(books(&em).filter(|book| book.title().eq(title)).exists().await.unwrap());
        }
        assert_eq!(books(&em).limit(1).await.unwrap().len(), 1);
        assert!(books(&em).filter(|book| book.title().eq("None")).await.unwrap().is_empty());
    }
    assert_eq!(fixture.log.round_trips(), 8, "each once");
}

#[tokio::test]
async fn a_flush_of_a_table_invalidates_what_was_read_from_it_and_nothing_else() {
    let fixture = library_with_rows().await;
    let em = fixture.em();
    let tagged = |em: &EntityManager| {
        em.find::<Author>().filter(|author| author.books().some(|book| book.tags().name().eq("maths"))).cache(LONG)
    };
    let ask = async || {
        let em = fixture.em();
        fixture.forget();
        let shelves = em.find::<Shelf>().cache(LONG).count().await.unwrap();
        let tagged = tagged(&em).count().await.unwrap();
        let books = books(&em).await.unwrap().len();
        (shelves, tagged, books, fixture.log.round_trips())
    };
    assert_eq!(ask().await, (0, 1, 2, 3));
    assert_eq!(ask().await, (0, 1, 2, 0));
    let shelf = em.persist(NewShelf { code: "A".into() });
    em.flush().await.unwrap();
    assert_eq!(ask().await, (1, 1, 2, 1));
    // The pivot table is in the condition of one of them.
    let notes = em.find::<Book>().filter(|book| book.title().eq("Notes")).one().await.unwrap().unwrap();
    notes.write().tags.remove_all();
    em.flush().await.unwrap();
    assert_eq!(ask().await, (1, 0, 2, 1));
    // A flush before a query, SQL of one's own, and what is said by hand.
    notes.write().shelf = Some(shelf.to_ref());
    em.count::<Book>(()).await.unwrap();
    assert_eq!(ask().await, (1, 0, 2, 2));
    em.sql("DELETE FROM book WHERE title = 'Letters'", &[]).execute().await.unwrap();
    assert_eq!(ask().await, (1, 0, 1, 2));
    fixture.database.execute("INSERT INTO shelf VALUES ('B')").await.unwrap();
    assert_eq!(ask().await, (1, 0, 1, 0), "nobody has said so");
    em.invalidate_cache::<Shelf>().await;
    assert_eq!(ask().await, (2, 0, 1, 1));
    fixture.orm.clear_cache().await.unwrap();
    assert_eq!(ask().await, (2, 0, 1, 3));
    // Past the unit of work; what the database deletes along counts, too.
    em.insert_many([NewShelf { code: "C".into() }]).await.unwrap();
    assert_eq!(ask().await, (3, 0, 1, 1));
    em.native_delete::<Shelf>().filter(|shelf| shelf.code().eq("C")).await.unwrap();
    assert_eq!(ask().await, (2, 0, 1, 1));
}

#[tokio::test]
async fn a_transaction_asks_the_database_and_invalidates_with_its_commit() {
    let fixture = library_with_rows().await;
    let count = async |em: &EntityManager| em.find::<Tag>().cache(LONG).count().await.unwrap();
    assert_eq!(count(&fixture.em()).await, 1);
    let em = fixture.em();
    em.begin().await.unwrap();
    em.persist(NewTag { name: "physics".into() });
    em.flush().await.unwrap();
    assert_eq!(count(&em).await, 2, "its own row");
    fixture.forget();
    assert_eq!(count(&fixture.em()).await, 1, "not committed: the others' answer holds");
    assert_eq!(fixture.log.round_trips(), 0);
    em.commit().await.unwrap();
    assert_eq!(count(&fixture.em()).await, 2);
    // What was rolled back has changed nothing.
    let failed = em.transactional(async |em| {
        em.persist(NewTag { name: "chemistry".into() });
        em.flush().await?;
        assert_eq!(count(&em).await, 3);
        Err::<(), _>(Error::Validation { entity: None, message: "no".into() })
    });
    failed.await.unwrap_err();
    assert_eq!(count(&fixture.em()).await, 2);
}

#[tokio::test]
async fn entities_that_are_loaded_know_better_than_what_is_kept() {
    // A1, A3
    let fixture = library_with_rows().await;
    books(&fixture.em()).await.unwrap();
    fixture.database.execute("UPDATE book SET title = title || '!', version = version + 1").await.unwrap();
    let em = fixture.em();
    let loaded = em.find::<Book>().filter(|book| book.title().eq("Notes!")).one().await.unwrap().unwrap();
    loaded.write().pages = Some(3);
    fixture.forget();
    let found = books(&em).flush_mode(FlushMode::Commit).await.unwrap();
    assert_eq!(fixture.log.round_trips(), 0);
    assert_eq!(titles(&found), ["Letters", "Notes!"]);
    assert_eq!((&found[1], found[1].read().pages), (&loaded, Some(3)));
    // Whoever asks for it, or locks, asks the database.
    assert_eq!(titles(&books(&em).refresh().await.unwrap()), ["Letters!", "Notes!"]);
    let em = fixture.em();
    let locked = em.transactional(async |em| books(&em).lock(LockMode::PessimisticRead).await);
    assert_eq!(titles(&locked.await.unwrap()), ["Letters!", "Notes!"]);
}

#[tokio::test]
async fn relations_of_kept_entities_are_loaded_as_ever() {
    let fixture = library_with_rows().await;
    for trips in [3, 2] {
        fixture.forget();
        let em = fixture.em();
        let authors = em.find::<Author>().populate(|author| author.books().tags()).cache(LONG).await.unwrap();
        assert_eq!(authors[0].read().books.len().unwrap(), 2);
        assert!(fixture.log.round_trips() <= trips, "{}", fixture.log.round_trips());
    }
}

#[tokio::test]
async fn a_time_that_is_over_is_over_and_the_orm_has_a_default() {
    let fixture = Fixture::with(library(), |builder| builder.cache_results(LONG)).await;
    with_rows(&fixture).await;
    for _ in 0..3 {
        assert_eq!(fixture.em().count::<Tag>(()).await.unwrap(), 1);
    }
    assert_eq!(fixture.log.round_trips(), 1);
    assert_eq!(fixture.em().find::<Tag>().cache(Duration::ZERO).count().await.unwrap(), 1);
    assert_eq!(fixture.log.round_trips(), 2, "not for this one");
    let short = |em: &EntityManager| em.find::<Author>().cache(Duration::from_millis(30)).count();
    short(&fixture.em()).await.unwrap();
    fixture.database.execute("INSERT INTO author (name) VALUES ('Grace')").await.unwrap();
    // Asked until it is over, which it is at some time.
    while short(&fixture.em()).await.unwrap() != 2 {
        tokio::task::yield_now().await;
    }
}

/// A store that tells what it was told, and fails when it is to.
#[derive(Clone, Debug, Default)]
struct Store {
    memory: Arc<MemoryCache>,
    told: Arc<Mutex<Vec<String>>>,
    broken: Arc<AtomicUsize>,
}

impl Store {
    fn answer(&self, told: String) -> Result<(), CacheError> {
        self.told.lock().push(told);
        if self.broken.load(Ordering::Acquire) > 0 { Err("it is not there".into()) } else { Ok(()) }
    }
}

#[async_trait]
impl ResultCache for Store {
    async fn get(&self, key: &[u8]) -> Result<Option<Arc<[u8]>>, CacheError> {
        self.answer("get".into())?;
        if self.broken.load(Ordering::Acquire) == 0 && self.told.lock().len() > 1000 {
            return Ok(Some(Arc::from(&b"something else"[..])));
        }
        self.memory.get(key).await
    }

    async fn set(&self, entry: CacheEntry<'_>) -> Result<(), CacheError> {
        self.answer(format!("set {}", entry.tags.join(" ")))?;
        self.memory.set(entry).await
    }

    async fn invalidate(&self, tags: &[String]) -> Result<(), CacheError> {
        self.answer(format!("invalidate {}", tags.join(" ")))?;
        self.memory.invalidate(tags).await
    }

    async fn clear(&self) -> Result<(), CacheError> {
        self.answer("clear".into())?;
        self.memory.clear().await
    }
}

#[tokio::test]
async fn another_store_is_asked_and_may_fail() {
    let store = Store::default();
    let fixture = Fixture::with(library(), |builder| builder.result_cache(store.clone())).await;
    with_rows(&fixture).await;
    store.told.lock().clear();
    let ask = async || books(&fixture.em()).await.unwrap().len();
    assert_eq!((ask().await, ask().await), (2, 2));
    let em = fixture.em();
    em.persist(NewShelf { code: "A".into() });
    em.flush().await.unwrap();
    assert_eq!(*store.told.lock(), ["get", "set book", "get", "invalidate shelf"]);
    // It makes nothing fail but what is about it.
    store.broken.store(1, Ordering::Release);
    fixture.forget();
    assert_eq!((ask().await, ask().await), (2, 2));
    assert_eq!(fixture.log.round_trips(), 2);
    em.persist(NewShelf { code: "B".into() });
    em.flush().await.unwrap();
    let error = fixture.orm.clear_cache().await.unwrap_err().to_string();
    assert!(error.contains("it is not there"), "{error}");
    // What is none of ours is not read.
    store.broken.store(0, Ordering::Release);
    store.told.lock().resize(1001, String::new());
    fixture.forget();
    assert_eq!(ask().await, 2);
    assert_eq!(fixture.log.round_trips(), 1);
}

#[tokio::test]
async fn results_that_were_asked_for_before_a_commit_are_not_kept_behind_it() {
    // The query is answered from before the COMMIT, and its rows arrive behind it.
    let fixture = library_with_rows().await;
    let writers = (0..20).map(|number| {
        let em = fixture.em();
        async move {
            em.persist(NewTag { name: format!("tag {number}") });
            em.flush().await.unwrap();
            let seen = em.find::<Tag>().cache(LONG).filter(|tag| tag.name().eq(format!("tag {number}"))).count().await;
            assert_eq!(seen.unwrap(), 1, "one's own flush is always seen");
        }
    });
    let readers = (0..20).map(|_| {
        let fixture = &fixture;
        async move {
            for _ in 0..10 {
                fixture.em().find::<Tag>().cache(LONG).count().await.unwrap();
            }
        }
    });
    futures_util::future::join(futures_util::future::join_all(writers), futures_util::future::join_all(readers)).await;
    assert_eq!(fixture.em().find::<Tag>().cache(LONG).count().await.unwrap(), 21);
}
