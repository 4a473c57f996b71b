//! Collections of one-to-many relations: the owning side follows, loaded or not, and both sides agree (rules C13, C14,
//! E4).

use crate::library::*;
use crate::support::Fixture;
use howdah::prelude::*;

/// A shelf with two books, and a third that is not on it.
async fn shelf(fixture: &Fixture) -> (EntityManager, Managed<Shelf>, [Managed<Book>; 3]) {
    let em = fixture.em();
    let author = em.persist(NewAuthor { name: "Ursula".into() });
    let shelf = em.persist(NewShelf { code: "A1".into() });
    let books = ["a", "b", "c"].map(|title| em.persist(NewBook { title: title.into(), author: author.to_ref() }));
    shelf.write().books.set(&books[..2]);
    em.flush().await.unwrap();
    fixture.forget();
    (em, shelf, books)
}

/// The same row as another manager sees it, with nothing else loaded.
async fn unloaded(fixture: &Fixture) -> (EntityManager, Managed<Shelf>, Vec<Managed<Book>>) {
    shelf(fixture).await;
    let em = fixture.em();
    let shelf = em.find_one_or_fail::<Shelf>("A1", ()).await.unwrap();
    let books = em.find::<Book>().order_by(|b| b.id().asc()).await.unwrap();
    fixture.forget();
    (em, shelf, books)
}

const ON_SHELF: &str = "SELECT title FROM book WHERE shelf_code = 'A1' ORDER BY title";

#[tokio::test]
async fn adding_sets_and_removing_nulls_the_owning_side() {
    let fixture = Fixture::new(library()).await;
    let (em, shelf, [a, b, c]) = shelf(&fixture).await;
    assert_eq!(a.read().shelf.as_ref().unwrap().get().unwrap(), shelf);
    shelf.update(|s| {
        s.books.remove(&a);
        s.books.add(&c);
        s.books.add(&c);
        s.books.add(&b);
    });
    assert_eq!(shelf.read().books.items().unwrap(), [b.clone(), c.clone()], "seen before the flush");
    let summary = em.flush().await.unwrap();
    assert_eq!((summary.updated, summary.statements), (2, 1), "what was there already is not written");
    assert_eq!(fixture.rows(ON_SHELF).await, ["b", "c"]);
    assert_eq!(a.read().shelf, None);
    assert_eq!(c.read().shelf.as_ref().unwrap().get().unwrap(), shelf);
    assert_eq!((a.read().version, b.read().version, c.read().version), (2, 1, 2));
    assert_eq!(em.flush().await.unwrap(), FlushSummary::default());
}

#[tokio::test]
async fn an_item_that_was_added_and_removed_again_sends_nothing() {
    let fixture = Fixture::new(library()).await;
    let (em, shelf, [a, _, c]) = shelf(&fixture).await;
    shelf.update(|s| {
        s.books.add(&c);
        s.books.remove(&c);
        s.books.remove(&a);
        s.books.add(&a);
    });
    assert!(!shelf.is_dirty());
    assert_eq!(em.flush().await.unwrap(), FlushSummary::default());
    assert!(fixture.statements().is_empty());
}

#[tokio::test]
async fn a_collection_takes_from_another_one() {
    let fixture = Fixture::new(library()).await;
    let (em, shelf, [a, b, _]) = shelf(&fixture).await;
    let other = em.persist(NewShelf { code: "B2".into() });
    other.write().books.add(&a);
    em.flush().await.unwrap();
    assert_eq!(fixture.rows("SELECT title, shelf_code FROM book ORDER BY title").await, ["a|B2", "b|A1", "c|~"]);
    assert_eq!(shelf.read().books.items().unwrap(), [b], "the collection it was in has lost it");
    assert_eq!(other.read().books.items().unwrap(), [a]);
}

#[tokio::test]
async fn the_collections_follow_the_owning_side() {
    let fixture = Fixture::new(library()).await;
    let (em, shelf, [a, b, c]) = shelf(&fixture).await;
    let other = em.persist(NewShelf { code: "B2".into() });
    a.write().shelf = Some(other.to_ref());
    b.write().shelf = None;
    c.write().shelf = Some(shelf.to_ref());
    let d = em.persist(NewBook { title: "d".into(), author: a.read().author.clone() });
    d.write().shelf = Some(shelf.to_ref());
    em.flush().await.unwrap();
    let mut items = shelf.read().books.items().unwrap();
    items.sort_by_key(Managed::id);
    assert_eq!(items, [c.clone(), d.clone()]);
    assert_eq!(other.read().books.items().unwrap(), [a]);
    em.remove(&c);
    em.flush().await.unwrap();
    assert_eq!(shelf.read().books.items().unwrap(), [d.clone()], "a deleted entity has left");

    // The last word was that it moves, the row says so, and so does memory: removed from where it really was.
    d.write().shelf = Some(other.to_ref());
    em.remove(&d);
    em.flush().await.unwrap();
    assert!(shelf.read().books.is_empty().unwrap());
}

#[tokio::test]
async fn an_unloaded_collection_can_be_added_to_and_removed_from() {
    let fixture = Fixture::new(library()).await;
    let (em, shelf, books) = unloaded(&fixture).await;
    shelf.update(|s| {
        s.books.add(&books[2]);
        s.books.remove(&books[0]);
        // Was on the shelf already: nothing to write.
        s.books.add(&books[1]);
    });
    assert!(!shelf.read().books.is_loaded());
    assert!(matches!(shelf.read().books.items(), Err(Error::NotLoaded { entity: "Shelf", relation: "books" })));
    assert!(shelf.read().books.contains(&books[2]).unwrap());
    assert!(!shelf.read().books.contains(&books[0]).unwrap());
    assert_eq!(em.flush().await.unwrap().updated, 2);
    assert_eq!(fixture.rows(ON_SHELF).await, ["b", "c"]);
    assert!(!shelf.read().books.is_loaded(), "what else is in it is still not known");
    assert!(matches!(shelf.read().books.contains(&books[2]), Err(Error::NotLoaded { .. })));
    assert_eq!(shelf.load(&em, |s| s.books()).await.unwrap(), books[1..]);
}

#[tokio::test]
async fn loading_keeps_what_was_added_and_removed_before() {
    let fixture = Fixture::new(library()).await;
    let (em, shelf, books) = unloaded(&fixture).await;
    em.set_flush_mode(FlushMode::Commit);
    shelf.update(|s| {
        s.books.add(&books[2]);
        s.books.remove(&books[0]);
    });
    em.populate(&shelf, "books").await.unwrap();
    assert_eq!(shelf.read().books.items().unwrap(), books[1..]);
    assert_eq!(em.flush().await.unwrap().updated, 2);
    assert_eq!(fixture.rows(ON_SHELF).await, ["b", "c"]);
}

#[tokio::test]
async fn an_unloaded_one_to_many_cannot_be_replaced_until_it_is_loaded() {
    let fixture = Fixture::new(library()).await;
    let (em, shelf, books) = unloaded(&fixture).await;
    for empty in [false, true] {
        let fixed = if empty { &books[..0] } else { &books[2..] };
        shelf.write().books.set(fixed);
        assert_eq!(shelf.read().books.items().unwrap(), fixed);
        let error = em.flush().await.unwrap_err();
        assert!(matches!(error, Error::NotLoaded { entity: "Shelf", relation: "books" }), "{error}");
        assert!(fixture.statements().is_empty(), "which rows to release is not known, so nothing is sent");
    }
    // Loading tells which, and keeps what was wanted.
    shelf.write().books.set(&books[2..]);
    em.populate(&shelf, "books").await.unwrap();
    assert_eq!(shelf.read().books.items().unwrap(), books[2..]);
    assert_eq!(em.flush().await.unwrap().updated, 3);
    assert_eq!(fixture.rows(ON_SHELF).await, ["c"]);
}

#[derive(Entity, Clone, Debug)]
pub struct Band {
    #[primary_key]
    pub id: i64,
    #[one_to_many(mapped_by = band)]
    pub songs: Collection<Song>,
}

#[derive(Entity, Clone, Debug)]
pub struct Song {
    #[primary_key]
    pub id: i64,
    #[many_to_one(inversed_by = songs)]
    pub band: Ref<Band>,
}

#[tokio::test]
async fn an_item_that_must_have_an_owner_cannot_just_be_removed() {
    let fixture = Fixture::new(entities![Band, Song]).await;
    let em = fixture.em();
    let bands = [em.persist(NewBand {}), em.persist(NewBand {})];
    let songs = [0, 1, 2].map(|_| em.persist(NewSong { band: bands[0].to_ref() }));
    em.flush().await.unwrap();
    fixture.forget();
    bands[0].write().take_out(&songs[0]);
    let error = em.flush().await.unwrap_err();
    assert!(matches!(&error, Error::Validation { entity: Some("Song"), .. }), "{error}");
    let message = error.to_string();
    assert!(message.contains("Band.songs") && message.contains("Song.band must not be NULL"), "{message}");
    assert!(fixture.statements().is_empty());

    // Each way out that the message names.
    bands[1].write().songs.add(&songs[0]);
    bands[0].write().take_out(&songs[1]);
    em.remove(&songs[1]);
    bands[0].write().take_out(&songs[2]);
    songs[2].write().band = bands[1].to_ref();
    let summary = em.flush().await.unwrap();
    assert_eq!((summary.updated, summary.deleted), (2, 1));
    assert_eq!(fixture.rows("SELECT id, band_id FROM song ORDER BY id").await, ["1|2", "3|2"]);
    assert!(bands[0].read().songs.is_empty().unwrap());
    assert_eq!(bands[1].read().songs.len().unwrap(), 2);
}

impl Band {
    /// Takes a song out.
    fn take_out(&mut self, song: &Managed<Song>) {
        self.songs.remove(song);
    }
}

#[tokio::test]
async fn an_owner_that_is_removed_lets_go_what_was_taken_out_before() {
    let fixture = Fixture::new(library()).await;
    let (em, shelf, [a, b, _]) = shelf(&fixture).await;
    shelf.write().books.remove_all();
    em.remove(&shelf);
    let summary = em.flush().await.unwrap();
    assert_eq!((summary.updated, summary.deleted), (2, 1));
    assert_eq!((&a.read().shelf, &b.read().shelf), (&None, &None));
    assert_eq!(fixture.rows("SELECT count(shelf_code) FROM book").await, ["0"]);
}

#[tokio::test]
async fn another_collection_in_its_place_is_refused_and_not_taken_for_no_change() {
    let fixture = Fixture::new(library()).await;
    let (em, shelf, _) = shelf(&fixture).await;
    let before = shelf.read().books.clone();
    shelf.write().books = Collection::new();
    let error = em.flush().await.unwrap_err();
    assert!(matches!(&error, Error::Validation { entity: Some("Shelf"), .. }), "{error}");
    assert!(error.to_string().contains("Shelf.books") && error.to_string().contains("remove_all()"), "{error}");
    assert!(fixture.statements().is_empty());
    shelf.write().books = before;
    shelf.write().books.remove_all();
    assert_eq!(em.flush().await.unwrap().updated, 2);

    // In an entity that is not in the database it is only empty.
    let new = em.persist(NewShelf { code: "B2".into() });
    new.write().books = Collection::new();
    em.flush().await.unwrap();
    new.write().books.remove_all();
    assert_eq!(em.flush().await.unwrap(), FlushSummary::default());
}

#[tokio::test]
async fn large_collections_are_changed_item_by_item() {
    let fixture = Fixture::new(library()).await;
    let em = fixture.em();
    let author = em.persist(NewAuthor { name: "Ursula".into() });
    let shelf = em.persist(NewShelf { code: "A1".into() });
    let new = |number: usize| NewBook { title: number.to_string(), author: author.to_ref() };
    let books = em.persist((0..500).map(new).collect::<Vec<_>>());
    for book in &books {
        shelf.write().books.add(book);
        shelf.write().books.add(book);
    }
    em.flush().await.unwrap();
    assert_eq!(fixture.rows("SELECT count(*) FROM book WHERE shelf_code = 'A1'").await, ["500"]);
    for book in books.iter().step_by(2) {
        shelf.write().books.remove(book);
        shelf.write().books.remove(book);
    }
    let odd: Vec<_> = books.iter().skip(1).step_by(2).cloned().collect();
    assert_eq!(shelf.read().books.items().unwrap(), odd, "in their order");
    assert_eq!(em.flush().await.unwrap().updated, 250);
    assert_eq!(shelf.read().books.items().unwrap(), odd);
    assert!(odd.iter().all(|book| shelf.read().books.contains(book).unwrap()));
    // Taken out by the owning sides.
    for book in &odd {
        book.write().shelf = None;
    }
    em.flush().await.unwrap();
    assert!(shelf.read().books.is_empty().unwrap());
}
