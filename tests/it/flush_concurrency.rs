//! Rules A5 and C3 with other tasks around: what is written while a flush runs is the next flush's, flushes wait for each
//! other, reads do not.

use futures_util::future::BoxFuture;
use tokio::task::JoinHandle;

use crate::cancellation::{ENOUGH, cancelled_after};
use crate::library::*;
use crate::support::Fixture;
use howdah::prelude::*;

/// Another session that makes a flush wait: it has written the row, or the unique value, and has not committed.
struct Obstacle {
    em: EntityManager,
}

impl Obstacle {
    /// Locks the row of a book.
    async fn on_book(fixture: &Fixture, book: &Managed<Book>) -> Self {
        let em = fixture.em();
        em.begin().await.unwrap();
        let theirs = em.find_one_or_fail::<Book>(book.id(), ()).await.unwrap();
        theirs.write().pages = Some(99);
        em.flush().await.unwrap();
        Self { em }
    }

    /// Takes the name of an author who is to be inserted.
    async fn on_name(fixture: &Fixture, name: &str) -> Self {
        let em = fixture.em();
        em.begin().await.unwrap();
        em.persist(NewAuthor { name: name.into() });
        em.flush().await.unwrap();
        Self { em }
    }

    /// Goes away without a trace.
    async fn clear(self) {
        self.em.rollback().await.unwrap();
    }
}

/// Starts a flush, and comes back when its first statement has been sent.
async fn start(fixture: &Fixture, em: &EntityManager) -> JoinHandle<Result<FlushSummary, Error>> {
    fixture.forget();
    let em = em.clone();
    let flush = tokio::spawn(async move { em.flush().await });
    while fixture.log.statements().iter().all(|text| text.starts_with("BEGIN")) {
        assert!(!flush.is_finished());
        tokio::task::yield_now().await;
    }
    flush
}

async fn end(flush: JoinHandle<Result<FlushSummary, Error>>) -> FlushSummary {
    flush.await.unwrap().unwrap()
}

/// A managed book and its author.
async fn book(fixture: &Fixture) -> (EntityManager, Managed<Book>, Managed<Author>) {
    let em = fixture.em();
    let author = em.persist(NewAuthor { name: "Ursula".into() });
    let book = em.persist(NewBook { title: "first".into(), author: author.to_ref() });
    em.flush().await.unwrap();
    (em, book, author)
}

#[tokio::test]
async fn what_is_written_to_an_updated_entity_meanwhile_is_the_next_flushs() {
    let fixture = Fixture::new(library()).await;
    let (em, book, author) = book(&fixture).await;
    let other = em.persist(NewAuthor { name: "Iain".into() });
    em.flush().await.unwrap();
    let obstacle = Obstacle::on_book(&fixture, &book).await;
    book.write().title = "sent".into();
    let flush = start(&fixture, &em).await;
    book.update(|b| {
        b.title = "later".into();
        b.author = other.to_ref();
    });
    obstacle.clear().await;
    assert_eq!(end(flush).await.updated, 1);
    assert_eq!(fixture.rows("SELECT title, author_id, version FROM book").await, ["sent|1|2"]);
    assert_eq!((book.read().title.as_str(), book.read().version), ("later", 2));
    assert_eq!(book.read().author.get().unwrap(), other);
    let changes: Vec<_> = book.changes().into_iter().map(|c| (c.property, c.before)).collect();
    assert_eq!(changes, [("title", Some("sent".into())), ("author", Some("1".into()))]);

    em.flush().await.unwrap();
    assert_eq!(fixture.rows("SELECT title, author_id, version FROM book").await, ["later|2|3"]);
    assert!(!book.is_dirty());
    assert_eq!(author.read().books.items().unwrap(), []);
    assert_eq!(em.flush().await.unwrap(), FlushSummary::default());
}

#[tokio::test]
async fn what_is_written_to_an_inserted_entity_meanwhile_is_the_next_flushs() {
    let fixture = Fixture::new(library()).await;
    let em = fixture.em();
    let obstacle = Obstacle::on_name(&fixture, "Ursula").await;
    let author = em.persist(NewAuthor { name: "Ursula".into() });
    let flush = start(&fixture, &em).await;
    author.write().born = Some(1929);
    let book = em.persist(NewBook { title: "Lavinia".into(), author: author.to_ref() });
    obstacle.clear().await;
    assert_eq!(end(flush).await.inserted, 1);
    assert_eq!((author.state(), author.is_dirty()), (EntityState::Managed, true));
    assert_eq!(author.id(), author.read().id);
    assert_eq!((author.read().born, book.state()), (Some(1929), EntityState::New));
    let summary = em.flush().await.unwrap();
    assert_eq!((summary.inserted, summary.updated), (1, 1));
    assert_eq!(fixture.rows("SELECT name, born, title FROM author JOIN book ON true").await, ["Ursula|1929|Lavinia"]);
}

#[tokio::test]
async fn what_is_written_to_an_entity_that_is_not_flushed_is_not_forgotten() {
    let fixture = Fixture::new(library()).await;
    let (em, book, author) = book(&fixture).await;
    let obstacle = Obstacle::on_book(&fixture, &book).await;
    book.write().title = "sent".into();
    let flush = start(&fixture, &em).await;
    author.write().born = Some(1929);
    obstacle.clear().await;
    end(flush).await;
    assert!(author.is_dirty());
    assert_eq!(em.flush().await.unwrap().updated, 1, "written by the very next flush");
    assert_eq!(fixture.rows("SELECT born FROM author").await, ["1929"]);
}

#[tokio::test]
async fn what_is_done_to_a_collection_meanwhile_is_the_next_flushs() {
    let fixture = Fixture::new(library()).await;
    let (em, book, author) = book(&fixture).await;
    let [kept, sent, later] = ["kept", "sent", "later"].map(|name| em.persist(NewTag { name: name.into() }));
    book.write().tags.add(&kept);
    em.flush().await.unwrap();
    let obstacle = Obstacle::on_book(&fixture, &book).await;
    book.update(|b| {
        b.title = "sent".into();
        b.tags.add(&sent);
    });
    let flush = start(&fixture, &em).await;
    let second = em.create(NewBook { title: "second".into(), author: author.to_ref() });
    author.write().books.add(&second);
    book.update(|b| {
        b.tags.add(&later);
        b.tags.remove(&sent);
        b.tags.remove(&kept);
    });
    obstacle.clear().await;
    end(flush).await;
    let stored = "SELECT name FROM book_tags JOIN tag ON tag.id = tag_id ORDER BY name";
    assert_eq!(fixture.rows(stored).await, ["kept", "sent"]);
    assert_eq!(book.read().tags.items().unwrap(), [later.clone()]);
    assert!(book.is_dirty() && author.is_dirty());
    assert_eq!(em.flush().await.unwrap().inserted, 1);
    assert_eq!(fixture.rows(stored).await, ["later"]);
    assert_eq!(author.read().books.items().unwrap(), [book.clone(), second]);
    for tag in [&kept, &sent] {
        assert!(tag.read().books.is_empty().unwrap());
    }
    assert!(!book.is_dirty());
}

#[tokio::test]
async fn what_is_removed_meanwhile_is_removed_by_the_next_flush() {
    let fixture = Fixture::new(library()).await;
    let (em, book, _author) = book(&fixture).await;
    let obstacle = Obstacle::on_book(&fixture, &book).await;
    let new = em.persist(NewAuthor { name: "Iain".into() });
    book.write().title = "sent".into();
    let flush = start(&fixture, &em).await;
    em.remove(&book);
    em.remove(&new);
    obstacle.clear().await;
    let summary = end(flush).await;
    assert_eq!((summary.inserted, summary.updated), (1, 1));
    assert_eq!([book.state(), new.state()], [EntityState::Removed; 2]);
    assert_eq!(em.flush().await.unwrap().deleted, 2);
    assert_eq!(fixture.rows("SELECT (SELECT count(*) FROM book), (SELECT count(*) FROM author)").await, ["0|1"]);

    // The other way round: an entity that is persisted while it is being deleted is inserted again.
    let author = em.find_one_or_fail::<Author>(1, ()).await.unwrap();
    let other = fixture.em();
    other.begin().await.unwrap();
    other.find_one_or_fail::<Author>(1, ()).await.unwrap().write().born = Some(1);
    other.flush().await.unwrap();
    em.remove(&author);
    let flush = start(&fixture, &em).await;
    em.persist(&author);
    other.rollback().await.unwrap();
    assert_eq!(end(flush).await.deleted, 1);
    assert_eq!(author.state(), EntityState::New);
    assert_eq!(em.flush().await.unwrap().inserted, 1);
    assert_eq!(fixture.rows("SELECT id, name FROM author").await, ["1|Ursula"]);
}

#[tokio::test]
async fn a5_flushes_of_clones_are_serialised_and_reads_are_not() {
    let fixture = Fixture::new(library()).await;
    let (em, book, author) = book(&fixture).await;
    em.set_flush_mode(FlushMode::Commit);
    let obstacle = Obstacle::on_book(&fixture, &book).await;
    book.write().title = "sent".into();
    let flush = start(&fixture, &em).await;
    em.persist(NewAuthor { name: "Iain".into() });
    let clone = em.clone();
    let second = tokio::spawn(async move { clone.flush().await });
    // A read of the same unit of work is answered while both flushes wait.
    assert_eq!(em.find_all::<Author>().await.unwrap(), [author]);
    assert!(!flush.is_finished() && !second.is_finished());
    obstacle.clear().await;
    let (first, second) = (end(flush).await, end(second).await);
    assert_eq!((first.updated, first.inserted), (1, 0));
    assert_eq!((second.updated, second.inserted), (0, 1));
    let sent = fixture.flow();
    let own: Vec<&str> = sent.iter().map(String::as_str).filter(|word| *word != "ROLLBACK").collect();
    assert_eq!(own, ["UPDATE", "SELECT", "INSERT"], "the second was sent when the first was done");
}

#[tokio::test]
async fn c3_c12_a_cancelled_flush_leaves_everything_as_before() {
    let fixture = Fixture::new(library()).await;
    let (em, book, author) = book(&fixture).await;
    let obstacle = Obstacle::on_book(&fixture, &book).await;
    book.write().title = "sent".into();
    let new = em.persist(NewBook { title: "second".into(), author: author.to_ref() });
    let flush = start(&fixture, &em).await;
    book.write().pages = Some(5);
    flush.abort();
    assert!(flush.await.unwrap_err().is_cancelled());
    assert_eq!((new.id(), new.state(), new.is_dirty()), (0, EntityState::New, true));
    assert_eq!((book.read().version, book.changes().len()), (1, 2));
    obstacle.clear().await;
    // The server carries out what was sent: the next flush finds that out, and writes what was changed since.
    let summary = em.flush().await.unwrap();
    assert_eq!((summary.inserted, summary.updated), (0, 1));
    assert_eq!((new.id(), new.state(), new.is_dirty()), (2, EntityState::Managed, false));
    assert_eq!(fixture.rows("SELECT title, pages, version FROM book ORDER BY id").await, ["sent|5|3", "second|~|1"]);
    assert_eq!(fixture.open_transactions().await, 0);
}

/// The ways to write what is scheduled.
#[derive(Clone, Copy, Debug)]
enum Way {
    Flush,
    InTransaction,
    Commit,
}

/// A guard that this thread takes while a flush is on its way, and keeps until that is over: what is committed is known afterwards, and
/// what is not is undone. Wherever the flush is by then, the next one writes nothing twice.
#[tokio::test]
async fn c3_a_guard_that_is_kept_while_a_flush_is_on_its_way() {
    let fixture = Fixture::new(library()).await;
    let (em, book, author) = book(&fixture).await;
    for way in [Way::Flush, Way::InTransaction, Way::Commit] {
        let mut refused = 0;
        for polls in 1..ENOUGH {
            let context = format!("{way:?} {polls}");
            let version = book.read().version;
            book.update(|book| book.pages = Some(book.pages.unwrap_or_default() + 1));
            let new = em.persist(NewBook { title: "new".into(), author: author.to_ref() });
            if !matches!(way, Way::Flush) {
                em.begin().await.unwrap();
            }
            let mut flush: BoxFuture<'_, Result<(), Error>> = match way {
                Way::Commit => Box::pin(em.commit()),
                _ => Box::pin(async { em.flush().await.map(|_| ()) }),
            };
            let mut outcome = cancelled_after(polls, &mut flush).await;
            let is_done = outcome.is_some();
            if !is_done {
                let _guard = book.write();
                outcome = Some(flush.await);
            }
            let outcome = outcome.unwrap();
            let is_refused = matches!(outcome, Err(Error::EntityBorrowed { .. }));
            assert!(outcome.is_ok() || is_refused, "{context}: {outcome:?}");
            refused += usize::from(is_refused);
            if matches!(way, Way::InTransaction) {
                assert_eq!(new.state() == EntityState::New, is_refused, "{context}");
                em.flush().await.unwrap();
                em.commit().await.unwrap();
            } else {
                assert!(!em.is_in_transaction(), "{context}");
                em.flush().await.unwrap();
            }
            assert_eq!((new.state(), new.is_dirty()), (EntityState::Managed, false), "{context}");
            assert_eq!((book.read().version, book.is_dirty()), (version + 1, false), "{context}");
            let stored = fixture.rows("SELECT title, version FROM book ORDER BY id").await;
            assert_eq!(stored, [format!("first|{}", version + 1), "new|1".into()], "{context}");
            em.remove(&new);
            em.flush().await.unwrap();
            if is_done {
                break;
            }
        }
        assert!(refused > 0, "{way:?}: no guard was in the way");
    }
}
