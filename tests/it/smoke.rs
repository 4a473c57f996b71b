//! The whole way once: what the other modules test piece by piece.

use crate::library::*;
use crate::support::Fixture;
use howdah::prelude::*;

#[tokio::test]
async fn a_graph_is_written_found_changed_and_removed() {
    let fixture = Fixture::new(library()).await;
    let em = fixture.em();
    let ursula = em.persist(NewAuthor { name: "Ursula".into() });
    let book = em.create(NewBook { title: "The Dispossessed".into(), author: ursula.to_ref() });
    ursula.write().books.add(&book);
    let tag = em.create(NewTag { name: "utopia".into() });
    book.write().tags.add(&tag);
    let profile = em.persist(NewProfile { text: "Portland".into(), author: ursula.to_ref() });
    let summary = em.flush().await.unwrap();
    assert_eq!((summary.inserted, summary.updated, summary.deleted), (4, 0, 0));
    assert_eq!(fixture.rows("SELECT title, author_id, version FROM book").await, ["The Dispossessed|1|1"]);
    assert_eq!(fixture.rows("SELECT count(*) FROM book_tags").await, ["1"]);
    assert_eq!(ursula.read().profile.as_ref().unwrap().get().unwrap(), profile);
    assert_eq!(tag.read().books.items().unwrap_or_default().len(), 1);

    fixture.forget();
    assert_eq!(em.flush().await.unwrap(), FlushSummary::default());
    assert!(fixture.statements().is_empty());

    let em = fixture.em();
    let found = em.find_one_or_fail::<Author>(ursula.id(), ["books.tags", "profile"]).await.unwrap();
    let books = found.read().books.items().unwrap();
    assert_eq!(books[0].read().tags.items().unwrap()[0].read().name, "utopia");
    assert_eq!(found.read().profile.as_ref().unwrap().get().unwrap().read().text, "Portland");
    books[0].write().title = "Always Coming Home".into();
    em.flush().await.unwrap();
    assert_eq!(fixture.rows("SELECT title, version FROM book").await, ["Always Coming Home|2"]);
    assert_eq!(books[0].read().version, 2);

    em.remove(&found);
    em.flush().await.unwrap();
    assert_eq!(fixture.rows("SELECT (SELECT count(*) FROM author), (SELECT count(*) FROM book)").await, ["0|0"]);
}
