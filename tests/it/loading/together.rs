//! Loads that are awaited together share their queries.

use std::pin::Pin;
use std::task::{Context, Waker};

use super::*;
use futures_util::future::join_all;

/// Forty authors with two books each.
async fn many() -> Fixture {
    let fixture = Fixture::new(entities()).await;
    let em = fixture.em();
    for number in 0..40 {
        let author = em.persist(NewAuthor { name: format!("author {number}") });
        for letter in ["a", "b"] {
            em.persist(NewBook { title: format!("{number}{letter}"), author: author.to_ref() });
        }
    }
    em.flush().await.unwrap();
    fixture.forget();
    fixture
}

/// Polls a future once.
fn is_pending(future: Pin<&mut impl Future>) -> bool {
    future.poll(&mut Context::from_waker(Waker::noop())).is_pending()
}

/// Statements and round trips since the last look.
fn cost(fixture: &Fixture) -> (usize, u64) {
    let trips = fixture.log.round_trips();
    (fixture.statements().len(), trips)
}

#[tokio::test]
async fn loading_in_a_loop_is_one_query() {
    let fixture = many().await;
    let em = fixture.em();
    let authors = em.find_all::<Author>().await.unwrap();
    fixture.forget();
    let books = join_all(authors.iter().map(|author| author.load(&em, |a| a.books()))).await;
    assert_eq!(cost(&fixture), (1, 1));
    for (author, books) in authors.iter().zip(books) {
        assert_eq!(books.unwrap(), author.read().books.items().unwrap());
        assert_eq!(author.read().books.len().unwrap(), 2);
    }
    // What is there already needs no query.
    join_all(authors.iter().map(|author| author.load(&em, |a| a.books()))).await;
    assert_eq!(cost(&fixture), (0, 0));
    // References of books, several to one row. The guards are not alive while the futures are.
    let em = fixture.em();
    let books = em.find_all::<Book>().await.unwrap();
    fixture.forget();
    let authors = join_all(books.iter().map(|book| book.read().author.load(&em))).await;
    assert_eq!(cost(&fixture), (1, 1));
    for (book, author) in books.iter().zip(authors) {
        assert_eq!(book.read().author.get().unwrap(), author.unwrap());
    }
}

#[tokio::test]
async fn different_relations_share_a_flight() {
    let fixture = filled().await;
    let em = fixture.em();
    let authors = em.find::<Author>().order_by(|a| a.name().asc()).await.unwrap();
    let a1 = em.find_one_or_fail::<Book>(Book::fields().title().eq("A1"), ()).await.unwrap();
    fixture.forget();
    let (books, profile, tags, mentor) = tokio::join!(
        authors[1].load(&em, |a| a.books()),
        authors[0].load(&em, |a| a.profile()),
        a1.load(&em, |b| b.tags()),
        authors[1].load(&em, |a| a.mentor()),
    );
    assert_eq!(cost(&fixture), (4, 1), "books, profile, links and tags; the mentor is there");
    assert_eq!((books.unwrap().len(), tags.unwrap().len()), (2, 2));
    assert_eq!(profile.unwrap().unwrap().read().text, "about Ann");
    assert_eq!(mentor.unwrap(), Some(authors[0].clone()));
}

#[tokio::test]
async fn tasks_of_their_own_may_load_at_the_same_time() {
    let fixture = many().await;
    let em = fixture.em();
    let authors = em.find_all::<Author>().await.unwrap();
    let tasks = authors.iter().cloned().map(|author| {
        let em = em.clone();
        tokio::spawn(async move { author.load(&em, |a| a.books()).await.map(|books| books.len()) })
    });
    for found in join_all(tasks).await {
        assert_eq!(found.unwrap().unwrap(), 2);
    }
}

#[tokio::test]
async fn dropping_some_of_the_loads_does_not_keep_the_others_from_it() {
    let fixture = many().await;
    let em = fixture.em();
    let authors = em.find_all::<Author>().await.unwrap();
    fixture.forget();
    let mut loads: Vec<_> = authors.iter().map(|author| Box::pin(author.load(&em, |a| a.books()))).collect();
    for load in &mut loads {
        assert!(is_pending(load.as_mut()));
    }
    // The one that has opened the batch is gone, and so is every second.
    let mut number = 0;
    loads.retain(|_| {
        number += 1;
        number % 2 == 0
    });
    for found in join_all(loads).await {
        assert_eq!(found.unwrap().len(), 2);
    }
    assert_eq!(cost(&fixture), (1, 1));
    // All of them are gone: the next load does not wait for anybody.
    let em = fixture.em();
    let authors = em.find_all::<Author>().await.unwrap();
    {
        let mut load = Box::pin(authors[0].load(&em, |a| a.books()));
        assert!(is_pending(load.as_mut()));
    }
    assert_eq!(authors[1].load(&em, |a| a.books()).await.unwrap().len(), 2);
    fixture.no_open_transaction().await;
}

#[tokio::test]
async fn each_load_has_its_own_error() {
    let fixture = many().await;
    let em = fixture.em();
    let books = em.find::<Book>().limit(3).await.unwrap();
    let gone = em.get_reference::<Author>(-1);
    let elsewhere = fixture.em().find::<Author>().one().await.unwrap().unwrap();
    let (found, missing, foreign) =
        tokio::join!(books[0].load(&em, |b| b.author()), gone.load(&em), elsewhere.load(&em, |a| a.books()),);
    assert!(found.is_ok());
    assert!(matches!(missing, Err(Error::NotFound { entity: "Author", .. })));
    assert!(matches!(foreign, Err(Error::Detached { entity: "Author" })));
    // What the server refuses, it refuses to all.
    fixture.database.execute("ALTER TABLE book_tags RENAME TO hidden").await.unwrap();
    for error in join_all(books.iter().map(|book| book.load(&em, |b| b.tags()))).await {
        assert_eq!(error.unwrap_err().sqlstate(), Some("42P01"));
    }
}
