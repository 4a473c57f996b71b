//! Rules C3, C13 and C14 by chance: after any mixture of changes, a flush leaves memory as the database is, and a flush
//! that fails leaves both as they were.

use std::collections::BTreeSet;

use crate::library::*;
use crate::support::Fixture;
use howdah::prelude::*;

/// A small generator of numbers: the same seed gives the same story.
struct Chance(u64);

impl Chance {
    fn below(&mut self, limit: usize) -> usize {
        // xorshift64*, Vigna 2016.
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let number = self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33;
        usize::try_from(number).unwrap() % limit
    }

    fn pick<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.below(items.len())]
    }
}

/// What one manager has in its hands.
struct World {
    em: EntityManager,
    authors: Vec<Managed<Author>>,
    shelves: Vec<Managed<Shelf>>,
    tags: Vec<Managed<Tag>>,
    books: Vec<Managed<Book>>,
    made: usize,
}

impl World {
    /// Finds everything; collections are loaded for some entities and not for others.
    async fn found(fixture: &Fixture, chance: &mut Chance, made: usize) -> Self {
        let em = fixture.em();
        let authors = em.find::<Author>().order_by(|a| a.id().asc()).await.unwrap();
        let shelves = em.find::<Shelf>().order_by(|s| s.code().asc()).await.unwrap();
        let tags = em.find::<Tag>().order_by(|t| t.name().asc()).await.unwrap();
        let books = em.find::<Book>().order_by(|b| b.id().asc()).await.unwrap();
        let mut some = |_: &_| chance.below(2) == 0;
        em.populate(authors.iter().filter(|a| some(&a.read().name)), "books").await.unwrap();
        em.populate(shelves.iter().filter(|s| some(&s.id())), "books").await.unwrap();
        em.populate(tags.iter().filter(|t| some(&t.read().name)), "books").await.unwrap();
        em.populate(books.iter().filter(|b| some(&b.read().title)), "tags").await.unwrap();
        Self { em, authors, shelves, tags, books, made }
    }

    fn new_book(&mut self) -> Managed<Book> {
        self.made += 1;
        let book = self.em.create(NewBook { title: format!("b{}", self.made), author: self.authors[0].to_ref() });
        self.books.push(book.clone());
        book
    }

    /// One change.
    fn change(&mut self, chance: &mut Chance) {
        let book = if self.books.is_empty() || chance.below(6) == 0 {
            self.new_book()
        } else {
            chance.pick(&self.books).clone()
        };
        let shelf = chance.pick(&self.shelves).clone();
        let author = chance.pick(&self.authors).clone();
        let tag = chance.pick(&self.tags).clone();
        let other = chance.pick(&self.books).clone();
        match chance.below(18) {
            0 => shelf.write().books.add(&book),
            1 => shelf.write().books.remove(&book),
            2 if shelf.read().books.is_loaded() => shelf.write().books.set([&book, &other]),
            3 => book.write().shelf = Some(shelf.to_ref()),
            4 => book.write().shelf = None,
            5 | 6 => book.write().tags.add(&tag),
            7 => book.write().tags.remove(&tag),
            8 => book.write().tags.set([&tag]),
            9 => tag.write().books.add(&book),
            10 => tag.write().books.remove(&book),
            11 => tag.write().books.remove_all(),
            12 => book.write().title += "!",
            13 => self.remove(&book),
            14 => author.write().books.add(&book),
            15 => author.write().books.remove(&book),
            16 => book.write().author = author.to_ref(),
            _ => drop(self.em.persist(&book)),
        }
    }

    /// Removes a book; taking it out of collections that it was put into is the user's part.
    fn remove(&mut self, book: &Managed<Book>) {
        if book.state() != EntityState::Managed {
            return;
        }
        self.shelves.iter().for_each(|shelf| shelf.write().books.remove(book));
        self.authors.iter().for_each(|author| author.write().books.remove(book));
        self.em.remove(book);
        self.books.retain(|other| other != book);
    }

    /// What memory has of the database, as far as it is loaded, and the same from the database.
    async fn compare(&self, fixture: &Fixture, story: &str) {
        let stored = fixture.rows("SELECT id, title, coalesce(shelf_code, '-'), author_id, version FROM book").await;
        let links = fixture.rows("SELECT book_id, tag_id FROM book_tags").await;
        let rows: BTreeSet<String> = stored.iter().cloned().collect();
        let books: Vec<&Managed<Book>> = self.books.iter().filter(|b| b.state() == EntityState::Managed).collect();
        let row = |book: &&Managed<Book>| {
            let b = book.read();
            let shelf = b.shelf.as_ref().map_or("-".to_owned(), Ref::id);
            format!("{}|{}|{shelf}|{}|{}", b.id, b.title, b.author.id(), b.version)
        };
        assert_eq!(books.iter().map(row).collect::<BTreeSet<_>>(), rows, "{story}");
        let split = |rows: Vec<String>| -> Vec<Vec<String>> {
            rows.iter().map(|row| row.split('|').map(str::to_owned).collect()).collect()
        };
        let (stored, links) = (split(stored), split(links));
        for shelf in self.shelves.iter().filter(|shelf| shelf.read().books.is_loaded()) {
            let there = stored.iter().filter(|row| row[2] == shelf.id()).map(|row| row[0].clone());
            assert_eq!(keys(&shelf.read().books), there.collect(), "{story}: books of shelf {}", shelf.id());
        }
        for author in self.authors.iter().filter(|author| author.read().books.is_loaded()) {
            let there = stored.iter().filter(|row| row[3] == author.id().to_string()).map(|row| row[0].clone());
            assert_eq!(keys(&author.read().books), there.collect(), "{story}: books of {}", author.read().name);
        }
        for tag in self.tags.iter().filter(|tag| tag.read().books.is_loaded()) {
            let there = links.iter().filter(|link| link[1] == tag.id().to_string()).map(|link| link[0].clone());
            assert_eq!(keys(&tag.read().books), there.collect(), "{story}: books of tag {}", tag.read().name);
        }
        for book in books.iter().filter(|book| book.read().tags.is_loaded()) {
            let there = links.iter().filter(|link| link[0] == book.id().to_string()).map(|link| link[1].clone());
            assert_eq!(keys(&book.read().tags), there.collect(), "{story}: tags of {}", book.read().title);
        }
    }
}

/// The keys of the items, none of them twice.
fn keys<T: Entity>(items: &Collection<T>) -> BTreeSet<String> {
    let items = items.items().unwrap();
    let keys: BTreeSet<String> = items.iter().map(|item| item.key().unwrap().to_string()).collect();
    assert_eq!(keys.len(), items.len());
    keys
}

#[tokio::test]
async fn memory_and_database_agree_after_any_mixture_of_changes() {
    let fixture = Fixture::new(library()).await;
    let em = fixture.em();
    em.persist(["Ursula", "Iain"].map(|name| NewAuthor { name: name.into() }));
    em.persist(["A", "B"].map(|code| NewShelf { code: code.into() }));
    em.persist(["x", "y", "z"].map(|name| NewTag { name: name.into() }));
    em.flush().await.unwrap();
    let mut made = 0;
    for seed in 1..=30 {
        let mut chance = Chance(seed);
        let mut world = World::found(&fixture, &mut chance, made).await;
        for round in 0..4 {
            let story = format!("seed {seed}, round {round}");
            for _ in 0..=chance.below(8) {
                world.change(&mut chance);
            }
            if chance.below(3) == 0 {
                fail(&fixture, &mut world, &story).await;
            }
            world.em.flush().await.unwrap_or_else(|error| panic!("{story}: {error}"));
            // Books that nothing has reached, and orphans, are not part of the database.
            world.books.retain(|book| book.state() == EntityState::Managed);
            world.compare(&fixture, &story).await;
            assert_eq!(world.em.flush().await.unwrap(), FlushSummary::default(), "{story}: nothing is left to write");
        }
        made = world.made;
    }
}

/// A flush that fails changes neither side.
async fn fail(fixture: &Fixture, world: &mut World, story: &str) {
    let all = "SELECT (SELECT string_agg(book::text, ',' ORDER BY id) FROM book), \
               (SELECT string_agg(l::text, ',' ORDER BY l::text) FROM book_tags l)";
    let state = |world: &World| {
        let mut state = Vec::new();
        for book in &world.books {
            state.push(format!("{:?} {:?} {:?} {:?}", book.state(), book.key(), book.is_dirty(), book.read()));
        }
        state.extend(world.shelves.iter().map(|shelf| format!("{:?}", shelf.read())));
        state.extend(world.authors.iter().map(|author| format!("{:?}", author.read())));
        state.extend(world.tags.iter().map(|tag| format!("{:?}", tag.read())));
        state
    };
    let culprit = world.em.persist(NewAuthor { name: "Ursula".into() });
    let before = (fixture.rows(all).await, state(world));
    let error = world.em.flush().await.unwrap_err();
    assert!(matches!(error, Error::UniqueViolation { .. }), "{story}: {error}");
    assert_eq!((fixture.rows(all).await, state(world)), before, "{story}");
    world.em.remove(&culprit);
}
