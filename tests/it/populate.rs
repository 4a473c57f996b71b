//! Populating relations: by names and by typed paths, to any depth, one statement a relation, one round trip a depth.

use crate::library::*;
use crate::support::Fixture;
use howdah::prelude::*;

/// A tree of one table.
#[derive(Entity, Clone, Debug)]
pub struct Node {
    #[primary_key]
    pub id: i64,
    pub name: String,
    #[many_to_one(inversed_by = children)]
    pub parent: Option<Ref<Node>>,
    #[one_to_many(mapped_by = parent)]
    pub children: Collection<Node>,
}

/// Two authors with three books each; every book has the tags "a" and "b"; the first author has a profile and is the
/// mentor of the second; the first book of each is on one shelf.
async fn shelves() -> Fixture {
    let fixture = Fixture::new(library()).await;
    let em = fixture.em();
    let shelf = em.persist(NewShelf { code: "S".into() });
    let tags = ["a", "b"].map(|name| em.persist(NewTag { name: name.into() }));
    let mut mentor: Option<Managed<Author>> = None;
    for name in ["Ann", "Bea"] {
        let author = em.persist(NewAuthor { name: name.into() });
        author.write().mentor = mentor.as_ref().map(Managed::to_ref);
        for number in 1..=3 {
            let book = em.persist(NewBook { title: format!("{name} {number}"), author: author.to_ref() });
            tags.iter().for_each(|tag| book.write().tags.add(tag));
            if number == 1 {
                book.write().shelf = Some(shelf.to_ref());
            }
        }
        mentor = Some(author);
    }
    em.flush().await.unwrap();
    let ann = em.find_one_or_fail::<Author>(Author::fields().name().eq("Ann"), ()).await.unwrap();
    em.persist(NewProfile { text: "about Ann".into(), author: ann.to_ref() });
    em.flush().await.unwrap();
    fixture.forget();
    fixture
}

/// Statements and round trips since the last look.
fn cost(fixture: &Fixture) -> (usize, u64) {
    let trips = fixture.log.round_trips();
    (fixture.statements().len(), trips)
}

fn tag_names(book: &Managed<Book>) -> Vec<String> {
    book.read().tags.items().unwrap().iter().map(|tag| tag.read().name.clone()).collect()
}

#[tokio::test]
async fn e2_each_relation_is_a_statement_and_each_depth_a_round_trip() {
    let fixture = shelves().await;
    let em = fixture.em();
    let find = em.find::<Author>().order_by(|a| a.name().asc()).strategy(LoadStrategy::SelectIn);
    // Depth 1: three relations in one flight; the fourth kind, one_to_one, from its inverse side.
    let found = find.clone().populate(|a| (a.books(), a.profile(), a.mentor())).await.unwrap();
    assert_eq!(cost(&fixture), (3, 2), "the mentor is Ann, who is there already");
    assert_eq!(found[0].read().books.len().unwrap(), 3);
    assert_eq!(found[0].read().profile.as_ref().unwrap().get().unwrap().read().text, "about Ann");
    assert!(found[1].read().profile.is_none());
    assert_eq!(found[1].read().mentor.as_ref().unwrap().get().unwrap(), found[0]);

    // Depth 3, from the tags: books, their authors and shelves, the authors' profiles.
    let em = fixture.em();
    let find = em.find::<Tag>().order_by(|t| t.name().asc()).strategy(LoadStrategy::SelectIn);
    let found = find.populate(|t| (t.books().author().profile(), t.books().shelf())).await.unwrap();
    let trips = fixture.log.round_trips();
    let statements = fixture.statements();
    assert_eq!((statements.len(), trips), (6, 4), "{statements:#?}");
    assert!(statements[1..].iter().all(|sql| sql.contains("= ANY($1::")), "{statements:#?}");
    // E1: columns are named.
    assert!(statements.iter().all(|sql| !sql.contains('*')), "{statements:#?}");
    let (a, b) = (found[0].read(), found[1].read());
    assert_eq!(a.books.items().unwrap(), b.books.items().unwrap(), "one row is one entity");
    let book = &a.books.items().unwrap()[0];
    assert_eq!(
        book.read().author.get().unwrap().read().profile.as_ref().unwrap().get().unwrap().read().text,
        "about Ann"
    );
    assert_eq!(book.read().shelf.as_ref().unwrap().get().unwrap().id(), "S");
}

#[tokio::test]
async fn populate_takes_names_arrays_typed_paths_and_tuples() {
    let fixture = shelves().await;
    let by_name = || Author::fields().name().eq("Bea");
    let fields = Author::fields;
    macro_rules! check {
        ($($populate:expr;)*) => {$(
            let em = fixture.em();
            let bea = em.find_one_or_fail::<Author>(by_name(), $populate).await.unwrap();
            let books = bea.read().books.items().unwrap();
            assert_eq!((books.len(), tag_names(&books[0])), (3, vec!["a".to_owned(), "b".to_owned()]));
        )*};
    }
    let names: Vec<String> = vec!["books.tags".into()];
    check! {
        ["books", "books.tags"];
        ["books.tags"];
        "books.tags";
        vec!["books.tags", "mentor"];
        &["books.tags"][..];
        names.as_slice();
        names.clone();
        fields().books().tags();
        (fields().books(), fields().books().tags());
        (fields().mentor(), fields().books().tags(), fields().profile(), fields().mentor().profile());
    }
    let em = fixture.em();
    let found = em.find::<Author>().populate_names(["books.tags"]).populate(|a| a.mentor().books()).await.unwrap();
    assert!(found.iter().all(|author| author.read().books.is_loaded()));
    // No name and no path: nothing.
    fixture.forget();
    em.find_one::<Author>(by_name(), ()).await.unwrap();
    assert_eq!(cost(&fixture), (1, 1));
}

#[tokio::test]
async fn an_unknown_name_is_an_error_that_lists_the_relations() {
    let fixture = shelves().await;
    let em = fixture.em();
    let found = em.find_all::<Author>().await.unwrap();
    fixture.forget();
    for (name, message) in [
        ("bokks", r#"cannot populate "bokks": Author has no relation "bokks" (relations: books, profile, mentor)"#),
        ("books.name", r#"cannot populate "books.name": Book has no relation "name" (relations: author, shelf, tags)"#),
        ("books.", r#"cannot populate "books.": Book has no relation "" (relations: author, shelf, tags)"#),
        ("", r#"cannot populate "": Author has no relation "" (relations: books, profile, mentor)"#),
        ("name", r#"cannot populate "name": Author has no relation "name" (relations: books, profile, mentor)"#),
    ] {
        for error in [
            em.find_one::<Author>(1, name).await.unwrap_err(),
            em.find::<Author>().populate_names(name).await.unwrap_err(),
            em.populate(&found, name).await.unwrap_err(),
        ] {
            assert!(matches!(error, Error::Validation { .. }));
            assert_eq!(error.to_string(), message);
        }
    }
    assert!(fixture.statements().is_empty());
}

#[tokio::test]
async fn what_is_loaded_is_not_loaded_again() {
    let fixture = shelves().await;
    let em = fixture.em();
    let bea = em.find_one_or_fail::<Author>(Author::fields().name().eq("Bea"), ["books"]).await.unwrap();
    fixture.forget();
    // A1: a key that is loaded with all that is asked for costs nothing.
    em.find_one::<Author>(bea.id(), ["books"]).await.unwrap();
    em.populate(&bea, "books").await.unwrap();
    bea.load(&em, |a| a.books()).await.unwrap();
    assert_eq!(cost(&fixture), (0, 0));
    // Only the missing depth, and only the missing rows: Ann's books, not Bea's.
    em.find_one::<Author>(bea.id(), ["books.tags"]).await.unwrap();
    assert_eq!(cost(&fixture), (2, 1));
    let all = em.find::<Author>().populate(|a| a.books().tags()).await.unwrap();
    assert_eq!(cost(&fixture), (4, 3));
    assert!(all.iter().all(|author| author.read().books.len().unwrap() == 3));
    em.populate(&all, ["books.tags.books", "mentor"]).await.unwrap();
    assert_eq!(cost(&fixture), (2, 1), "the tags' books are not known; the mentor is");
    em.populate(&all, ["books.tags.books.author.books.tags"]).await.unwrap();
    assert_eq!(cost(&fixture), (0, 0));
}

#[tokio::test]
async fn what_is_loaded_needs_no_connection() {
    let wait = std::time::Duration::from_millis(50);
    let fixture = Fixture::with(library(), |builder| builder.max_connections(1).acquire_timeout(wait)).await;
    let em = fixture.em();
    let author = em.persist(NewAuthor { name: "Ann".into() });
    let book = em.persist(NewBook { title: "Only".into(), author: author.to_ref() });
    em.flush().await.unwrap();
    // Somebody else has the only connection.
    let other = em.fork();
    other.begin().await.unwrap();
    assert_eq!(em.find_one::<Author>(author.id(), ["books.author"]).await.unwrap().unwrap(), author);
    em.populate(&book, "author.books").await.unwrap();
    assert_eq!(book.load(&em, |b| b.author()).await.unwrap(), author);
    assert_eq!(author.to_ref().load(&em).await.unwrap(), author);
    assert_eq!(em.flush().await.unwrap(), FlushSummary::default());
    assert!(matches!(em.find_one::<Author>(99, ()).await.unwrap_err(), Error::Pool { .. } | Error::Timeout { .. }));
    other.rollback().await.unwrap();
    assert!(em.find_one::<Author>(99, ()).await.unwrap().is_none());
}

#[tokio::test]
async fn a_tree_of_one_table_is_populated_level_by_level() {
    let fixture = Fixture::new(entities![Node]).await;
    let em = fixture.em();
    let root = em.persist(NewNode { name: "root".into() });
    for one in ["a", "b"] {
        let branch = em.persist(Node { parent: Some(root.to_ref()), ..NewNode { name: one.into() }.into() });
        for two in ["1", "2"] {
            let name = format!("{one}{two}");
            em.persist(Node { parent: Some(branch.to_ref()), ..NewNode { name }.into() });
        }
    }
    em.flush().await.unwrap();
    let em = fixture.em();
    fixture.forget();
    let root = em.find_one_or_fail::<Node>(root.id(), ["children.children.children"]).await.unwrap();
    assert_eq!(cost(&fixture), (4, 3), "the row and the first level, and each of two levels more");
    let names = |nodes: Vec<Managed<Node>>| nodes.iter().map(|node| node.read().name.clone()).collect::<Vec<_>>();
    let branches = root.read().children.items().unwrap();
    assert_eq!(names(branches.clone()), ["a", "b"]);
    let leaves = branches[1].read().children.items().unwrap();
    assert_eq!(names(leaves.clone()), ["b1", "b2"]);
    assert!(leaves[0].read().children.is_empty().unwrap());
    // Upwards, from many: four leaves have two parents and one root, which each are read once.
    let em = fixture.em();
    let find = em.find::<Node>().filter(|n| n.children().is_empty()).order_by(|n| n.name().asc());
    let leaves = find.populate(|n| n.parent().parent().parent()).await.unwrap();
    assert_eq!(cost(&fixture), (1, 1), "joined");
    let up = |node: &Managed<Node>| node.read().parent.as_ref().unwrap().get().unwrap();
    assert_eq!((leaves.len(), up(&leaves[0])), (4, up(&leaves[1])));
    assert_eq!(up(&up(&leaves[0])), up(&up(&leaves[3])));
}

#[tokio::test]
async fn what_was_added_before_loading_stays_added() {
    let fixture = shelves().await;
    let em = fixture.em();
    let book = em.find_one_or_fail::<Book>(Book::fields().title().eq("Ann 1"), ()).await.unwrap();
    let tag = em.persist(NewTag { name: "c".into() });
    book.write().tags.add(&tag);
    let a = em.find_one_or_fail::<Tag>(Tag::fields().name().eq("a"), ()).await.unwrap();
    book.write().tags.remove(&a);
    assert!(matches!(book.read().tags.items(), Err(Error::NotLoaded { .. })));
    em.populate(&book, "tags").await.unwrap();
    assert_eq!(tag_names(&book), ["b", "c"]);
    em.flush().await.unwrap();
    assert_eq!(
        fixture
            .rows(
                "SELECT t.name FROM book_tags p JOIN tag t ON t.id = p.tag_id JOIN book b ON b.id = p.book_id \
                      WHERE b.title = 'Ann 1' ORDER BY 1"
            )
            .await,
        ["b", "c"]
    );
}

#[tokio::test]
async fn the_manager_populates_one_or_many_handles() {
    let fixture = shelves().await;
    let em = fixture.em();
    let found = em.find::<Book>().order_by(|b| b.title().asc()).await.unwrap();
    fixture.forget();
    em.populate(&found, (Book::fields().author(), Book::fields().tags())).await.unwrap();
    assert_eq!(cost(&fixture), (3, 1), "authors; links, and the tags they lead to");
    assert_eq!(found[5].read().author.get().unwrap().read().name, "Bea");
    em.populate(&found[0], "shelf").await.unwrap();
    assert_eq!(cost(&fixture), (1, 1));
    em.populate(found.iter().take(2), "author.mentor").await.unwrap();
    assert_eq!(cost(&fixture), (0, 0), "Ann has no mentor");
    em.populate(&Vec::<Managed<Book>>::new(), "author").await.unwrap();
    assert_eq!(cost(&fixture), (0, 0));
    let error = fixture.em().populate(&found, "author").await.unwrap_err();
    assert!(matches!(error, Error::Detached { entity: "Book" }), "{error}");
}

#[tokio::test]
async fn handles_and_references_load_what_they_lead_to() {
    let fixture = shelves().await;
    let em = fixture.em();
    let book = em.find_one_or_fail::<Book>(Book::fields().title().eq("Bea 2"), ()).await.unwrap();
    fixture.forget();
    let bea = book.load(&em, |b| b.author()).await.unwrap();
    assert_eq!(bea.read().name, "Bea");
    assert_eq!(book.load(&em, |b| b.author()).await.unwrap(), bea);
    assert_eq!(cost(&fixture), (1, 1));
    // Nullable, and NULL: no query.
    let shelf: Option<Managed<Shelf>> = book.load(&em, |b| b.shelf()).await.unwrap();
    assert_eq!((shelf, cost(&fixture)), (None, (0, 0)));
    let mentor = bea.load(&em, |a| a.mentor()).await.unwrap().unwrap();
    assert_eq!(mentor.read().name, "Ann");
    assert_eq!(cost(&fixture), (1, 1));
    // To many; over several relations; the inverse side of a one-to-one.
    let books: Vec<Managed<Book>> = bea.load(&em, |a| a.books()).await.unwrap();
    assert_eq!(books.len(), 3);
    assert!(books.contains(&book));
    assert_eq!(cost(&fixture), (1, 1));
    assert_eq!(book.load(&em, |b| b.author().mentor().books()).await.unwrap().len(), 3);
    assert_eq!(cost(&fixture), (1, 1));
    assert_eq!(bea.load(&em, |a| a.books().tags()).await.unwrap().len(), 2);
    assert_eq!(mentor.load(&em, |a| a.profile()).await.unwrap().unwrap().read().text, "about Ann");
    // One of many is not an answer.
    let error = bea.load(&em, |a| a.books().shelf()).await.unwrap_err();
    assert!(matches!(error, Error::Validation { entity: Some("Author"), .. }), "{error}");

    // An owned reference, in another manager: a row of that one.
    let reference = book.read().author.clone();
    assert_eq!(reference.load(&em).await.unwrap(), bea);
    let other = fixture.em();
    fixture.forget();
    let elsewhere = reference.load(&other).await.unwrap();
    assert_ne!(elsewhere, bea);
    assert_eq!((elsewhere.id(), cost(&fixture)), (bea.id(), (1, 1)));
    assert!(matches!(book.load(&other, |b| b.tags()).await.unwrap_err(), Error::Detached { entity: "Book" }));
}

#[tokio::test]
async fn e4_what_is_not_loaded_is_an_error_that_names_it() {
    let fixture = shelves().await;
    let em = fixture.em();
    let ann = em.find_one_or_fail::<Author>(Author::fields().name().eq("Ann"), ()).await.unwrap();
    let book = em.find_one_or_fail::<Book>(Book::fields().title().eq("Bea 1"), ()).await.unwrap();
    let tag = em.find_one_or_fail::<Tag>(Tag::fields().name().eq("a"), ()).await.unwrap();
    let author = ann.read();
    for error in [
        author.books.items().unwrap_err(),
        author.books.len().unwrap_err(),
        author.books.is_empty().unwrap_err(),
        author.books.contains(&book).unwrap_err(),
    ] {
        assert!(matches!(error, Error::NotLoaded { entity: "Author", relation: "books" }), "{error:?}");
        assert_eq!(error.to_string(), "Author.books is not loaded: populate it in the query, or call load()");
    }
    assert!(!author.books.is_loaded());
    let error = tag.read().books.items().unwrap_err();
    assert!(matches!(error, Error::NotLoaded { entity: "Tag", relation: "books" }));
    let error = book.read().author.get().unwrap_err();
    assert!(matches!(error, Error::NotLoaded { entity: "Author", .. }));
    let error = author.profile.as_ref().unwrap().get().unwrap_err();
    assert!(matches!(error, Error::NotLoaded { entity: "Profile", .. }));
    assert!(!author.profile.as_ref().unwrap().is_loaded());
    // The key is known without loading.
    assert_eq!(fixture.rows("SELECT id FROM profile").await, [author.profile.as_ref().unwrap().id().to_string()]);
}

#[tokio::test]
async fn references_and_collections_are_shown_and_serialized_as_keys() {
    let fixture = shelves().await;
    let em = fixture.em();
    let bea = em.find_one_or_fail::<Author>(Author::fields().name().eq("Bea"), ()).await.unwrap();
    assert_eq!(format!("{:?}", bea.read().books), "Collection<Book>(not loaded)");
    assert_eq!(serde_json::to_value(&bea.read().books).unwrap(), serde_json::Value::Null);
    let mentor = bea.read().mentor.clone().unwrap();
    assert_eq!(format!("{mentor:?}"), format!("Ref<Author#{}>", mentor.id()));
    assert_eq!(serde_json::to_value(&mentor).unwrap(), serde_json::json!(mentor.id()));
    let books = bea.load(&em, |a| a.books()).await.unwrap();
    let keys: Vec<i64> = books.iter().map(Managed::id).collect();
    assert_eq!(serde_json::to_value(&bea.read().books).unwrap(), serde_json::json!(keys));
    let shown = format!("{:?}", bea.read().books);
    assert_eq!(shown, format!("[Book#{}, Book#{}, Book#{}]", keys[0], keys[1], keys[2]));
    let new = em.create(NewAuthor { name: "New".into() });
    assert_eq!(format!("{:?}", new.to_ref()), "Ref<Author(new)>");
    assert_eq!(serde_json::to_value(new.to_ref()).unwrap(), serde_json::Value::Null);
    assert_eq!(serde_json::to_value(&new.read().books).unwrap(), serde_json::json!([]));
}

/// What was added to a collection before a part of it was read, and is in that part, is in it once.
#[tokio::test]
async fn c14_items_that_are_added_already_are_shown_once_by_a_part() {
    let fixture = shelves().await;
    let em = fixture.em();
    em.set_flush_mode(FlushMode::Commit);
    let book = em.find_one_or_fail::<Book>(Book::fields().title().eq("Ann 1"), ()).await.unwrap();
    let a = em.find_one_or_fail::<Tag>(Tag::fields().name().eq("a"), ()).await.unwrap();
    let new = em.create(NewTag { name: "c".into() });
    book.write().tags.add(&a);
    book.write().tags.add(&new);
    let populate = |b: BookFields<Book>| b.tags().with(|tags| tags.filter(|t| t.name().eq("a")));
    em.populate(&book, populate(Book::fields())).await.unwrap();
    assert_eq!(book.read().tags.items().unwrap(), [a, new]);
    em.flush().await.unwrap();
    let stored = "SELECT name FROM book_tags JOIN tag ON tag.id = tag_id JOIN book ON book.id = book_id \
                  WHERE title = 'Ann 1' ORDER BY name";
    assert_eq!(fixture.rows(stored).await, ["a", "b", "c"]);
    assert!(!book.is_dirty());
}
