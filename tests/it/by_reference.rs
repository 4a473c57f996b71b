//! Rows that are linked and removed by their keys, without being loaded (rules C13, C14, E4).

use crate::library::*;
use crate::support::Fixture;
use howdah::prelude::*;

const LINKS: &str = "SELECT title, name FROM book_tags JOIN book ON book.id = book_id JOIN tag ON tag.id = tag_id \
                     ORDER BY title, name";

/// Two books and three tags, a has x, and the keys of the tags.
async fn rows(fixture: &Fixture) -> [Uuid; 3] {
    let em = fixture.em();
    let author = em.persist(NewAuthor { name: "Ursula".into() });
    let books = ["a", "b"].map(|title| em.persist(NewBook { title: title.into(), author: author.to_ref() }));
    let tags = ["x", "y", "z"].map(|name| em.persist(NewTag { name: name.into() }));
    books[0].write().tags.add(&tags[0]);
    em.flush().await.unwrap();
    fixture.forget();
    tags.map(|tag| tag.id())
}

#[tokio::test]
async fn c14_rows_are_linked_and_unlinked_without_being_read() {
    let fixture = Fixture::new(library()).await;
    let [x, y, z] = rows(&fixture).await;
    let em = fixture.em();
    let book = em.find_one_or_fail::<Book>(1, ()).await.unwrap();
    fixture.forget();
    book.update(|book| {
        book.tags.remove(em.get_reference::<Tag>(x));
        book.tags.add(em.get_reference::<Tag>(y));
        let z = em.get_reference::<Tag>(z);
        book.tags.add(&z);
        book.tags.add(&z);
        assert!(book.tags.contains(&z).unwrap() && !book.tags.contains(em.get_reference::<Tag>(x)).unwrap());
    });
    let summary = em.flush().await.unwrap();
    assert_eq!((summary.statements, summary.updated), (2, 0));
    assert!(fixture.statements().iter().all(|text| !text.starts_with("SELECT")));
    assert_eq!(fixture.rows(LINKS).await, ["a|y", "a|z"]);
    assert!(!book.read().tags.is_loaded());
    assert_eq!(em.flush().await.unwrap(), FlushSummary::default());
}

#[tokio::test]
async fn e4_items_that_are_not_loaded_are_told_and_their_keys_are_there() {
    let fixture = Fixture::new(library()).await;
    let [x, y, _] = rows(&fixture).await;
    let em = fixture.em();
    let author = em.get_reference::<Author>(1);
    let book = em.persist(NewBook { title: "c".into(), author });
    book.write().tags.set([em.get_reference::<Tag>(x), em.get_reference::<Tag>(y)]);
    for flushed in [false, true] {
        assert!(!book.read().tags.is_loaded());
        let error = book.read().tags.items().unwrap_err();
        assert!(matches!(error, Error::NotLoaded { entity: "Book", relation: "tags" }), "{error}, flushed: {flushed}");
        assert_eq!((book.read().tags.len().unwrap(), book.read().tags.is_empty().unwrap()), (2, false));
        let keys: Vec<Uuid> = book.read().tags.references().unwrap().iter().map(Ref::id).collect();
        assert_eq!(keys, [x, y]);
        assert_eq!(serde_json::to_value(&book.read().tags).unwrap(), serde_json::json!([x, y]));
        if !flushed {
            assert_eq!(em.flush().await.unwrap().inserted, 1);
        }
    }
    assert_eq!(fixture.rows(LINKS).await, ["a|x", "c|x", "c|y"]);

    // One of them is loaded: the items are one and the same, named by handle or by reference.
    let tag = em.find_one_or_fail::<Tag>(x, ()).await.unwrap();
    assert!(book.read().tags.contains(&tag).unwrap() && book.read().tags.items().is_err());
    book.write().tags.add(&tag);
    assert!(!book.is_dirty());
    em.populate(&book, "tags").await.unwrap();
    assert_eq!(book.read().tags.items().unwrap().len(), 2);
    assert!(book.read().tags.contains(em.get_reference::<Tag>(y)).unwrap());
    book.write().tags.remove(em.get_reference::<Tag>(x));
    em.flush().await.unwrap();
    assert_eq!(fixture.rows(LINKS).await, ["a|x", "c|y"]);
    assert_eq!(book.read().tags.items().unwrap().len(), 1);
}

#[tokio::test]
async fn c14_both_sides_by_reference_give_each_row_once() {
    let fixture = Fixture::new(library()).await;
    let [x, y, _] = rows(&fixture).await;
    let em = fixture.em();
    let book = em.find_one_or_fail::<Book>(2, ()).await.unwrap();
    let tag = em.find_one_or_fail::<Tag>(y, ["books"]).await.unwrap();
    fixture.forget();
    // A reference to what is loaded is the loaded entity; the other book is not loaded.
    book.write().tags.set([em.get_reference::<Tag>(y), em.get_reference::<Tag>(x)]);
    tag.update(|tag| [1, 2].map(|id| tag.books.add(em.get_reference::<Book>(id))));
    let summary = em.flush().await.unwrap();
    assert_eq!(summary.statements, 2, "what b had is cleared unseen, and all links are one INSERT");
    assert_eq!(fixture.rows(LINKS).await, ["a|x", "a|y", "b|x", "b|y"]);
    assert_eq!(tag.read().books.len().unwrap(), 2);
    assert_eq!(em.flush().await.unwrap(), FlushSummary::default());
}

#[tokio::test]
async fn a4_a_reference_of_another_manager_is_the_row() {
    let fixture = Fixture::new(library()).await;
    let [_, y, _] = rows(&fixture).await;
    let elsewhere = fixture.em().find_one_or_fail::<Tag>(y, ()).await.unwrap();
    let em = fixture.em();
    let book = em.find_one_or_fail::<Book>(1, ["tags"]).await.unwrap();
    book.write().tags.add(elsewhere.to_ref());
    em.flush().await.unwrap();
    assert_eq!(fixture.rows(LINKS).await, ["a|x", "a|y"]);
    em.populate(&book, "tags").await.unwrap();
    let names: Vec<String> = book.read().tags.items().unwrap().iter().map(|tag| tag.read().name.clone()).collect();
    assert_eq!(names, ["x", "y"]);
    assert_eq!(em.flush().await.unwrap(), FlushSummary::default());
}

#[tokio::test]
async fn e4_a_one_to_many_needs_the_row_that_it_changes() {
    let fixture = Fixture::new(library()).await;
    rows(&fixture).await;
    let em = fixture.em();
    let shelf = em.persist(NewShelf { code: "A1".into() });
    shelf.write().books.add(em.get_reference::<Book>(1));
    let error = em.flush().await.unwrap_err();
    assert!(matches!(error, Error::NotLoaded { entity: "Shelf", relation: "books" }), "{error}");
    assert!(fixture.statements().is_empty());
    // Loaded, it is the entity, whatever it was named by.
    let book = em.find_one_or_fail::<Book>(1, ()).await.unwrap();
    em.flush().await.unwrap();
    assert_eq!(shelf.read().books.items().unwrap(), [book]);
    assert_eq!(fixture.rows("SELECT shelf_code FROM book ORDER BY id").await, ["A1", "~"]);
}

#[tokio::test]
async fn a_row_is_removed_by_its_key_without_being_read() {
    let fixture = Fixture::new(library()).await;
    rows(&fixture).await;
    let em = fixture.em();
    let reference = em.get_reference::<Book>(1);
    em.remove(&reference);
    em.remove([em.get_reference::<Book>(2), em.get_reference::<Book>(2), em.get_reference::<Book>(77)]);
    let summary = em.flush().await.unwrap();
    assert_eq!(summary.deleted, 2, "a row that is not there is no error");
    assert_eq!(
        fixture.statements(),
        [
            "DELETE FROM \"book_tags\" AS p WHERE p.\"book_id\" = ANY($1::int8[])",
            "DELETE FROM \"book\" AS t0 WHERE t0.\"id\" = ANY($1::int8[])",
        ]
    );
    assert_eq!(fixture.rows("SELECT count(*) FROM book").await, ["0"]);
    assert_eq!(em.flush().await.unwrap(), FlushSummary::default());
}

#[tokio::test]
async fn loaded_collections_lose_a_row_that_is_removed_by_its_key() {
    let fixture = Fixture::new(library()).await;
    let [x, y, z] = rows(&fixture).await;
    let em = fixture.em();
    let books = em.find::<Book>().order_by(|b| b.title().asc()).populate(|b| b.tags()).await.unwrap();
    books[1].write().tags.add(em.get_reference::<Tag>(y));
    em.flush().await.unwrap();
    books[1].write().tags.add(em.get_reference::<Tag>(z));
    em.remove([x, y, z].map(|id| em.get_reference::<Tag>(id)));
    let summary = em.flush().await.unwrap();
    assert_eq!(summary.deleted, 3);
    assert!(books.iter().all(|book| book.read().tags.is_empty().unwrap()), "{books:?}");
    assert!(fixture.rows(LINKS).await.is_empty());
    assert_eq!(em.flush().await.unwrap(), FlushSummary::default());
}

#[tokio::test]
async fn a_reference_to_a_loaded_or_new_entity_removes_the_entity() {
    let fixture = Fixture::new(library()).await;
    rows(&fixture).await;
    let em = fixture.em();
    let loaded = em.find_one_or_fail::<Book>(1, ()).await.unwrap();
    em.remove(loaded.to_ref());
    assert_eq!(loaded.state(), EntityState::Removed);
    let new = em.persist(NewAuthor { name: "Nobody".into() });
    em.remove(new.to_ref());
    assert_eq!(em.flush().await.unwrap().deleted, 1);
    assert_eq!(new.state(), EntityState::New);

    // Loaded after it was removed: it goes like any other, unless it is persisted.
    for persisted in [true, false] {
        let em = fixture.em();
        em.set_flush_mode(FlushMode::Commit);
        em.remove(em.get_reference::<Book>(2));
        let book = em.find_one_or_fail::<Book>(2, ()).await.unwrap();
        if persisted {
            em.persist(&book);
        }
        let summary = em.flush().await.unwrap();
        assert_eq!(summary.deleted, u64::from(!persisted));
        assert_eq!(book.state(), if persisted { EntityState::Managed } else { EntityState::Removed });
        assert_eq!(em.flush().await.unwrap(), FlushSummary::default());
    }
}

#[tokio::test]
async fn d2_a_removal_by_key_is_taken_back_with_its_scope() {
    let fixture = Fixture::new(library()).await;
    rows(&fixture).await;
    let em = fixture.em();
    em.remove(em.get_reference::<Author>(1));
    assert!(matches!(em.flush().await, Err(Error::ForeignKeyViolation { .. })), "it has books");
    for flush in [false, true] {
        let failed: Result<(), Error> = em
            .transactional(async |em| {
                em.remove([em.get_reference::<Book>(1), em.get_reference::<Book>(2)]);
                if flush {
                    em.flush().await?;
                }
                Err(Error::NotLoaded { entity: "", relation: "" })
            })
            .await;
        assert!(matches!(failed, Err(Error::NotLoaded { .. })));
        assert!(matches!(em.flush().await, Err(Error::ForeignKeyViolation { .. })), "the books are there and stay");
    }
    // The author is still to go, and now the books are, too: children first.
    em.remove([em.get_reference::<Book>(2), em.get_reference::<Book>(1)]);
    assert_eq!(em.flush().await.unwrap().deleted, 3);
    em.remove(em.get_reference::<Tag>(Uuid::nil()));
    em.clear();
    fixture.forget();
    assert_eq!(em.flush().await.unwrap(), FlushSummary::default());
}
