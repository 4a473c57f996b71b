//! Guards: conflicting ones of one entity on one thread are noticed, other threads' are waited for, and the manager
//! answers with an error (docs, "Handles"; rule F1).

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Once;
use std::sync::mpsc;

use crate::library::*;
use crate::support::Fixture;
use howdah::prelude::*;

thread_local! {
    static PANIC: RefCell<Option<(String, String, u32)>> = const { RefCell::new(None) };
}

/// Runs something that panics; answers with the message, and the file and line that the panic names.
fn panic_of(run: impl FnOnce()) -> (String, String, u32) {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let previous = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if let (Some(place), Some(text)) = (info.location(), info.payload_as_str()) {
                PANIC.set(Some((text.to_owned(), place.file().to_owned(), place.line())));
            }
            previous(info);
        }));
    });
    assert!(catch_unwind(AssertUnwindSafe(run)).is_err());
    PANIC.take().unwrap()
}

async fn author(fixture: &Fixture) -> (EntityManager, Managed<Author>) {
    let em = fixture.em();
    let author = em.persist(NewAuthor { name: "Ursula".into() });
    em.flush().await.unwrap();
    fixture.forget();
    (em, author)
}

#[tokio::test]
async fn a_double_borrow_panics_at_the_callers_line_and_names_the_entity() {
    let fixture = Fixture::new(library()).await;
    let (_em, author) = author(&fixture).await;

    let reading = author.read();
    let (message, file, line) = panic_of(|| drop(author.write())); // here
    assert!(message.contains("Author is already borrowed") && message.contains("try_write()"), "{message}");
    assert!(file.ends_with("borrowing.rs"), "{file}");
    assert_eq!(line, line_of("drop(author.write())); // here"));
    assert_eq!(author.read().name, "Ursula", "a second reader is welcome");
    drop(reading);

    let writing = author.write();
    let (message, ..) = panic_of(|| drop(author.read()));
    assert!(message.contains("read() while a write() guard"), "{message}");
    let (_, _, line) = panic_of(|| author.update(|a| a.born = None)); // here, too
    assert_eq!(line, line_of("author.update(|a| a.born = None)); // here, too"));
    drop(writing);

    author.write().born = Some(1929);
    assert_eq!(author.read().born, Some(1929), "nothing is left of the failed borrows");
}

/// The line of this file that has this text (once before this function is used on it).
fn line_of(text: &str) -> u32 {
    let position = include_str!("borrowing.rs").lines().position(|line| line.trim_end().ends_with(text)).unwrap();
    u32::try_from(position + 1).unwrap()
}

#[tokio::test]
async fn try_read_and_try_write_answer_with_an_error() {
    let fixture = Fixture::new(library()).await;
    let (em, author) = author(&fixture).await;
    let other = em.persist(NewAuthor { name: "Iain".into() });
    {
        let _reading = author.read();
        assert!(author.try_read().is_ok());
        assert!(matches!(author.try_write(), Err(Error::EntityBorrowed { entity: "Author" })));
        assert!(other.try_write().is_ok(), "guards of other entities do not matter");
    }
    {
        let _writing = author.try_write().unwrap();
        assert!(matches!(author.try_read(), Err(Error::EntityBorrowed { .. })));
        assert!(matches!(author.try_write(), Err(Error::EntityBorrowed { .. })));
    }
    assert!(author.try_write().is_ok());
}

#[tokio::test]
async fn another_threads_guard_is_waited_for() {
    let fixture = Fixture::new(library()).await;
    let (_em, author) = author(&fixture).await;
    let (held, is_held) = mpsc::channel();
    let (release, released) = mpsc::channel::<()>();
    let theirs = author.clone();
    let thread = std::thread::spawn(move || {
        let mut writing = theirs.write();
        held.send(()).unwrap();
        released.recv().unwrap();
        writing.born = Some(1929);
    });
    is_held.recv().unwrap();
    release.send(()).unwrap();
    assert_eq!(author.read().born, Some(1929), "the guard of the other thread has ended before ours began");
    thread.join().unwrap();
}

#[tokio::test]
async fn a_guard_that_is_held_across_a_flush_is_an_error_before_any_sql() {
    let fixture = Fixture::new(library()).await;
    let (em, author) = author(&fixture).await;
    author.write().born = Some(1929);
    for writing in [false, true] {
        let guards = if writing { (None, Some(author.write())) } else { (Some(author.read()), None) };
        let error = em.flush().await.unwrap_err();
        assert!(matches!(error, Error::EntityBorrowed { entity: "Author" }), "{error}");
        drop(guards);
    }
    assert!(fixture.statements().is_empty());
    assert!(author.is_dirty());
    em.flush().await.unwrap();
    assert_eq!(fixture.rows("SELECT born FROM author").await, ["1929"]);
}

#[tokio::test]
async fn a_guard_of_an_entity_that_the_flush_only_tells_of_a_change_is_an_error_before_any_sql() {
    let fixture = Fixture::new(library()).await;
    let (em, author) = author(&fixture).await;
    let tag = em.persist(NewTag { name: "rome".into() });
    em.flush().await.unwrap();
    fixture.forget();
    let book = em.persist(NewBook { title: "Lavinia".into(), author: author.to_ref() });
    book.write().tags.add(&tag);
    let reading = author.read();
    let error = em.flush().await.unwrap_err();
    assert!(matches!(error, Error::EntityBorrowed { entity: "Author" }), "its books would change: {error}");
    drop(reading);
    let reading = tag.read();
    let error = em.flush().await.unwrap_err();
    assert!(matches!(error, Error::EntityBorrowed { entity: "Tag" }), "its books would change: {error}");
    drop(reading);
    assert!(fixture.statements().is_empty());
    assert_eq!(book.state(), EntityState::New);
    em.flush().await.unwrap();
    assert_eq!(author.read().books.items().unwrap(), [book]);
}

#[tokio::test]
async fn a_find_that_meets_a_guard_answers_with_an_error_and_does_not_hang() {
    let fixture = Fixture::new(library()).await;
    let (em, author) = author(&fixture).await;
    let reading = author.read();
    assert_eq!(em.find_all::<Author>().await.unwrap().len(), 1, "nothing has changed, so nothing is written");
    fixture.database.execute("UPDATE author SET born = 1929").await.unwrap();
    assert!(matches!(em.find_all::<Author>().await, Err(Error::EntityBorrowed { entity: "Author" })));
    assert!(matches!(em.refresh(&author).await, Err(Error::EntityBorrowed { entity: "Author" })));
    drop(reading);
    em.find_all::<Author>().await.unwrap();
    assert_eq!(author.read().born, Some(1929));
}
