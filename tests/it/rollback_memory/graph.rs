//! What a failed scope did to relations: both sides, collections loaded and not, pivot rows, orphans.

use tokio::sync::mpsc::unbounded_channel;

use super::{EVERY, fail, shown};
use crate::library::*;
use crate::support::Fixture;
use howdah::prelude::*;

fn titles(author: &Managed<Author>) -> Vec<String> {
    let books = author.read().books.items().unwrap();
    books.iter().map(|book| book.read().title.clone()).collect()
}

/// An author with two books, one of them tagged, as they were found.
async fn found() -> (Fixture, EntityManager, Managed<Author>, Vec<Managed<Book>>) {
    let fixture = Fixture::new(library()).await;
    let writer = fixture.em();
    let ada = writer.persist(NewAuthor { name: "Ada".into() });
    let books = ["Notes", "Sketch"].map(|title| NewBook { title: title.into(), author: ada.to_ref() });
    let books = writer.persist(books);
    let tag = writer.persist(NewTag { name: "engine".into() });
    books[0].write().tags.add(&tag);
    writer.flush().await.unwrap();
    let em = fixture.em();
    let ada = em.find_one_or_fail::<Author>(ada.id(), ["books.tags", "profile"]).await.unwrap();
    let mut books = ada.read().books.items().unwrap();
    books.sort_by_key(Managed::id);
    (fixture, em, ada, books)
}

#[tokio::test]
async fn d2_collections_have_again_what_they_had() {
    for how in EVERY {
        let (fixture, em, ada, books) = found().await;
        let tag = books[0].read().tags.items().unwrap()[0].clone();
        let all = || [shown(&ada), shown(&books[0]), shown(&books[1]), shown(&tag)];
        let before = all();
        let (author, first, second, old) = (ada.clone(), books[0].clone(), books[1].clone(), tag.clone());
        fail(&em, how, |em| async move {
            // An orphan, a new book, a tag that goes, one that comes, and a profile.
            author.write().books.remove(&second);
            let third = em.create(NewBook { title: "Letters".into(), author: author.to_ref() });
            author.write().books.add(&third);
            first.write().tags.remove(&old);
            let new = em.create(NewTag { name: "poetry".into() });
            first.write().tags.add(&new);
            em.persist(NewProfile { text: "Countess".into(), author: author.to_ref() });
            em.flush().await?;
            assert_eq!(titles(&author), ["Notes", "Letters"]);
            assert_eq!(second.state(), EntityState::Removed);
            assert!(author.read().profile.is_some());
            assert_eq!(first.read().tags.items()?, [new]);
            // And unflushed on top of that.
            author.write().books.remove_all();
            Ok(())
        })
        .await;
        assert_eq!(all(), before, "{how:?}");
        assert_eq!(titles(&ada), ["Notes", "Sketch"], "{how:?}");
        assert_eq!(books[0].read().tags.items().unwrap(), [tag.clone()]);
        assert!(ada.read().profile.is_none());
        assert_eq!(em.flush().await.unwrap(), FlushSummary::default(), "{how:?}");
        assert_eq!(fixture.rows("SELECT (SELECT count(*) FROM book), (SELECT count(*) FROM book_tags)").await, ["2|1"]);
    }
}

#[tokio::test]
async fn d2_pending_changes_of_collections_are_pending_again() {
    for how in EVERY {
        let (fixture, em, ada, books) = found().await;
        let third = em.create(NewBook { title: "Letters".into(), author: ada.to_ref() });
        ada.write().books.add(&third);
        ada.write().books.remove(&books[1]);
        let before = [shown(&ada), shown(&books[1]), shown(&third)];
        let author = ada.clone();
        fail(&em, how, |em| async move {
            em.flush().await?;
            assert!(!author.is_dirty());
            author.write().books.remove_all();
            em.flush().await?;
            assert!(author.read().books.is_empty()?);
            Ok(())
        })
        .await;
        assert_eq!([shown(&ada), shown(&books[1]), shown(&third)], before, "{how:?}");
        let summary = em.flush().await.unwrap();
        assert_eq!((summary.inserted, summary.updated, summary.deleted), (1, 0, 1), "{how:?}");
        assert_eq!(fixture.rows("SELECT title FROM book ORDER BY id").await, ["Notes", "Letters"]);
    }
}

#[tokio::test]
async fn d2_a_collection_that_was_loaded_after_a_write_is_not_loaded_again() {
    for how in EVERY {
        let (_fixture, _, ada, _) = found().await;
        let em = _fixture.em();
        let ada = em.find_one_or_fail::<Author>(ada.id(), ()).await.unwrap();
        let author = ada.clone();
        fail(&em, how, |em| async move {
            em.persist(NewBook { title: "Letters".into(), author: author.to_ref() });
            em.flush().await?;
            em.populate(&author, "books").await?;
            assert_eq!(author.read().books.len()?, 3);
            Ok(())
        })
        .await;
        assert!(matches!(ada.read().books.items(), Err(Error::NotLoaded { .. })), "{how:?}");
        let books = ada.load(&em, |author| author.books()).await.unwrap();
        assert_eq!(books.len(), 2, "{how:?}");
    }
}

#[tokio::test]
async fn d2_references_to_a_key_that_is_taken_back_name_the_entity_again() {
    for how in EVERY {
        let fixture = Fixture::new(library()).await;
        let em = fixture.em();
        let (sender, mut receiver) = unbounded_channel();
        fail(&em, how, |em| async move {
            let ada = em.persist(NewAuthor { name: "Ada".into() });
            em.flush().await?;
            // By now the reference is a key, of a row that never will have been.
            let created = em.create(NewBook { title: "Notes".into(), author: ada.to_ref() });
            let flushed = em.persist(NewBook { title: "Sketch".into(), author: ada.to_ref() });
            em.flush().await?;
            let inner = em.transactional(async |em| {
                let third = em.persist(NewBook { title: "Letters".into(), author: ada.to_ref() });
                em.flush().await?;
                sender.send((ada.clone(), [created.clone(), flushed.clone(), third])).unwrap();
                Err::<(), _>(super::on_purpose())
            });
            assert!(inner.await.is_err());
            Ok(())
        })
        .await;
        let (ada, books) = receiver.recv().await.unwrap();
        assert_eq!(ada.id(), 0, "{how:?}");
        for book in &books {
            assert_eq!(book.read().author.get().unwrap(), ada, "{how:?}: {book:?}");
        }
        em.persist(books.to_vec());
        assert_eq!(em.flush().await.unwrap().inserted, 4, "{how:?}: the author comes along");
        assert_eq!(fixture.rows("SELECT count(*) FROM book JOIN author ON author_id = author.id").await, ["3"]);
    }
}
