//! Rule C14: the rows of pivot tables, from both sides, loaded or not.

use crate::library::*;
use crate::support::Fixture;
use howdah::prelude::*;

const LINKS: &str = "SELECT title, name FROM book_tags JOIN book ON book.id = book_id JOIN tag ON tag.id = tag_id \
                     ORDER BY title, name";

/// Books a, b with tags: a has x and y, b has y; z is unused.
async fn tagged(fixture: &Fixture) -> (EntityManager, [Managed<Book>; 2], [Managed<Tag>; 3]) {
    let em = fixture.em();
    let author = em.persist(NewAuthor { name: "Ursula".into() });
    let books = ["a", "b"].map(|title| em.persist(NewBook { title: title.into(), author: author.to_ref() }));
    let tags = ["x", "y", "z"].map(|name| em.persist(NewTag { name: name.into() }));
    books[0].write().tags.set(&tags[..2]);
    books[1].write().tags.add(&tags[1]);
    em.flush().await.unwrap();
    assert_eq!(fixture.rows(LINKS).await, ["a|x", "a|y", "b|y"]);
    fixture.forget();
    (em, books, tags)
}

/// The same with nothing loaded but the entities.
async fn unloaded(fixture: &Fixture) -> (EntityManager, Vec<Managed<Book>>, Vec<Managed<Tag>>) {
    tagged(fixture).await;
    let em = fixture.em();
    let books = em.find::<Book>().order_by(|b| b.title().asc()).await.unwrap();
    let tags = em.find::<Tag>().order_by(|t| t.name().asc()).await.unwrap();
    fixture.forget();
    (em, books, tags)
}

fn names(book: &Managed<Book>) -> Vec<String> {
    let mut names: Vec<String> = book.read().tags.items().unwrap().iter().map(|tag| tag.read().name.clone()).collect();
    names.sort_unstable();
    names
}

fn titles(tag: &Managed<Tag>) -> Vec<String> {
    let items = tag.read().books.items().unwrap();
    let mut titles: Vec<String> = items.iter().map(|book| book.read().title.clone()).collect();
    titles.sort_unstable();
    titles
}

#[tokio::test]
async fn the_difference_is_sent_and_the_rows_of_the_entities_are_not_touched() {
    let fixture = Fixture::new(library()).await;
    let (em, [a, _], [x, y, z]) = tagged(&fixture).await;
    a.write().tags.set([&y, &z]);
    let summary = em.flush().await.unwrap();
    assert_eq!((summary.inserted, summary.updated, summary.deleted, summary.statements), (0, 0, 0, 2));
    assert_eq!(
        fixture.statements(),
        [
            "DELETE FROM \"book_tags\" AS p USING unnest($1::int8[], $2::uuid[]) AS s(c0, c1) \
             WHERE p.\"book_id\" = s.c0 AND p.\"tag_id\" = s.c1",
            "INSERT INTO \"book_tags\" (\"book_id\", \"tag_id\") SELECT s.c0, s.c1 \
             FROM unnest($1::int8[], $2::uuid[]) AS s(c0, c1) ON CONFLICT DO NOTHING",
        ]
    );
    assert_eq!(fixture.rows(LINKS).await, ["a|y", "a|z", "b|y"]);
    assert_eq!((names(&a), titles(&x), titles(&z)), (vec!["y".into(), "z".into()], vec![], vec!["a".into()]));
    assert_eq!(a.read().version, 1);
    a.write().tags.set([&z, &y]);
    assert_eq!(em.flush().await.unwrap(), FlushSummary::default(), "the same items in another order");
}

#[tokio::test]
async fn both_sides_changed_in_one_flush_give_each_row_once() {
    let fixture = Fixture::new(library()).await;
    let (em, [a, b], [x, y, z]) = tagged(&fixture).await;
    a.write().tags.add(&z);
    z.write().books.add(&a);
    z.write().books.add(&b);
    a.write().tags.remove(&x);
    x.write().books.remove(&a);
    y.write().books.remove(&b);
    let summary = em.flush().await.unwrap();
    assert_eq!(summary.statements, 2, "one INSERT and one DELETE for both sides");
    assert_eq!(fixture.rows(LINKS).await, ["a|y", "a|z", "b|z"]);
    assert_eq!((names(&a), names(&b)), (vec!["y".into(), "z".into()], vec!["z".into()]));
    assert_eq!((titles(&x), titles(&y), titles(&z)), (vec![], vec!["a".into()], vec!["a".into(), "b".into()]));
    assert_eq!(z.read().books.len().unwrap(), 2, "no item twice");
    assert_eq!(em.flush().await.unwrap(), FlushSummary::default());
}

#[tokio::test]
async fn new_entities_are_linked_from_either_side() {
    let fixture = Fixture::new(library()).await;
    let (em, [a, _], _) = tagged(&fixture).await;
    let book = em.create(NewBook { title: "new".into(), author: a.read().author.clone() });
    let tag = em.persist(NewTag { name: "new".into() });
    tag.write().books.set([&book, &a]);
    let summary = em.flush().await.unwrap();
    assert_eq!((summary.inserted, summary.statements), (2, 4), "with the key of the book");
    assert_eq!(fixture.rows(LINKS).await, ["a|new", "a|x", "a|y", "b|y", "new|new"]);
    assert_eq!((names(&book), names(&a).len()), (vec!["new".into()], 3));
}

#[tokio::test]
async fn new_rows_are_linked_without_looking_whether_they_are_and_each_once() {
    // C14: a tag is named by its key, by its entity, and from its own side.
    let fixture = Fixture::new(library()).await;
    let (em, books, tags) = unloaded(&fixture).await;
    let b = &books[1];
    let new = em.persist(NewBook { title: "c".into(), author: b.read().author.clone() });
    new.write().tags.add(em.get_reference::<Tag>(tags[0].id()));
    new.write().tags.add(&tags[0]);
    tags[0].write().books.add(&new);
    tags[1].write().books.add(&new);
    let summary = em.flush().await.unwrap();
    assert_eq!((summary.inserted, summary.statements), (1, 3), "a key; the book; its tags");
    let plain = "INSERT INTO \"book_tags\" (\"book_id\", \"tag_id\") SELECT s.c0, s.c1 \
                 FROM unnest($1::int8[], $2::uuid[]) AS s(c0, c1)";
    assert_eq!(fixture.statements().last().map(String::as_str), Some(plain));
    assert_eq!(fixture.rows(LINKS).await, ["a|x", "a|y", "b|y", "c|x", "c|y"]);

    // Together with links of rows that are there, which may be linked already, it is looked.
    fixture.forget();
    let new = em.persist(NewBook { title: "d".into(), author: b.read().author.clone() });
    tags[1].write().books.add(&new);
    tags[1].write().books.add(b);
    em.flush().await.unwrap();
    assert_eq!(fixture.statements().last().cloned(), Some(format!("{plain} ON CONFLICT DO NOTHING")));
    assert_eq!(fixture.rows(LINKS).await, ["a|x", "a|y", "b|y", "c|x", "c|y", "d|y"]);
}

#[tokio::test]
async fn an_unloaded_collection_can_be_added_to_and_removed_from() {
    let fixture = Fixture::new(library()).await;
    let (em, books, tags) = unloaded(&fixture).await;
    books[0].update(|a| {
        // One that is there, one that is not; one that is not there, one that is.
        a.tags.add(&tags[1]);
        a.tags.add(&tags[2]);
        a.tags.remove(&tags[0]);
    });
    books[1].update(|b| {
        b.tags.remove(&tags[0]);
        // Wanted out in the end, whether it was there or not.
        b.tags.add(&tags[1]);
        b.tags.remove(&tags[1]);
    });
    assert!(matches!(books[0].read().tags.len(), Err(Error::NotLoaded { entity: "Book", relation: "tags" })));
    em.flush().await.unwrap();
    assert_eq!(fixture.rows(LINKS).await, ["a|y", "a|z"]);
    assert!(!books[0].read().tags.is_loaded());
    em.populate(&books, "tags").await.unwrap();
    assert_eq!((names(&books[0]), names(&books[1])), (vec!["y".into(), "z".into()], vec![]));

    tags[0].write().books.add(&books[1]);
    em.flush().await.unwrap();
    assert_eq!(fixture.rows(LINKS).await, ["a|y", "a|z", "b|x"]);
    assert_eq!(names(&books[1]), ["x"], "the side that is loaded knows");
}

#[tokio::test]
async fn an_unloaded_collection_can_be_replaced_and_emptied() {
    let fixture = Fixture::new(library()).await;
    let (em, books, tags) = unloaded(&fixture).await;
    em.populate(&tags, "books").await.unwrap();
    fixture.forget();
    books[0].write().tags.set([&tags[1], &tags[2]]);
    books[1].write().tags.remove_all();
    assert_eq!((names(&books[0]), names(&books[1])), (vec!["y".into(), "z".into()], vec![]));
    let summary = em.flush().await.unwrap();
    assert_eq!(summary.statements, 2, "what was there is deleted without being read");
    assert_eq!(fixture.rows(LINKS).await, ["a|y", "a|z"]);
    assert_eq!((titles(&tags[0]), titles(&tags[1]), titles(&tags[2])), (vec![], vec!["a".into()], vec!["a".into()]));
    assert!(books.iter().all(|book| book.read().tags.is_loaded() && !book.is_dirty()));
    assert_eq!(em.flush().await.unwrap(), FlushSummary::default());
}

#[tokio::test]
async fn loading_keeps_what_was_done_before() {
    let fixture = Fixture::new(library()).await;
    let (em, books, tags) = unloaded(&fixture).await;
    books[0].write().tags.set([&tags[1], &tags[2]]);
    books[1].write().tags.add(&tags[0]);
    em.populate(&books, "tags").await.unwrap();
    assert_eq!((names(&books[0]), names(&books[1])), (vec!["y".into(), "z".into()], vec!["x".into(), "y".into()]));
    em.flush().await.unwrap();
    assert_eq!(fixture.rows(LINKS).await, ["a|y", "a|z", "b|x", "b|y"]);
}

#[tokio::test]
async fn taking_a_new_entity_out_does_not_keep_others_from_going() {
    let fixture = Fixture::new(library()).await;
    let (em, books, tags) = unloaded(&fixture).await;
    let new = em.persist(NewBook { title: "new".into(), author: books[0].read().author.clone() });
    tags[1].update(|y| {
        y.books.remove(&new);
        y.books.remove(&books[0]);
    });
    em.flush().await.unwrap();
    assert_eq!(fixture.rows(LINKS).await, ["a|x", "b|y"]);
}

#[tokio::test]
async fn links_go_with_an_entity_that_is_removed() {
    let fixture = Fixture::new(library()).await;
    let (em, [a, b], [_, y, _]) = tagged(&fixture).await;
    em.remove(&y);
    em.flush().await.unwrap();
    assert_eq!(fixture.rows(LINKS).await, ["a|x"]);
    assert_eq!((names(&a), names(&b)), (vec!["x".into()], vec![]));

    // Loaded on the other side only.
    let em = fixture.em();
    let books = em.find::<Book>().order_by(|b| b.title().asc()).populate(|b| b.tags()).await.unwrap();
    let x = books[0].read().tags.items().unwrap().remove(0);
    em.remove(&x);
    em.flush().await.unwrap();
    assert_eq!(x.state(), EntityState::Removed);
    assert!(books[0].read().tags.is_empty().unwrap());
    assert!(fixture.rows(LINKS).await.is_empty());
    assert_eq!(fixture.rows("SELECT count(*) FROM book").await, ["2"], "the other side stays");
}

#[tokio::test]
async fn a_link_to_an_entity_that_is_removed_in_the_same_flush_is_not_written() {
    let fixture = Fixture::new(library()).await;
    let (em, [a, _], [_, _, z]) = tagged(&fixture).await;
    a.write().tags.add(&z);
    em.remove(&z);
    em.flush().await.unwrap();
    assert_eq!(fixture.rows(LINKS).await, ["a|x", "a|y", "b|y"]);
    assert_eq!(names(&a), ["x", "y"]);
}

/// Friends are members like themselves: both sides of the pivot table are one table.
#[derive(Entity, Clone, Debug)]
pub struct Member {
    #[primary_key]
    pub id: i64,
    #[many_to_many(inversed_by = admirers)]
    pub friends: Collection<Member>,
    #[many_to_many(mapped_by = friends)]
    pub admirers: Collection<Member>,
}

#[tokio::test]
async fn a_pivot_table_of_one_table_with_itself_has_two_sides() {
    let fixture = Fixture::new(entities![Member]).await;
    let em = fixture.em();
    let [one, two, three] = [0, 1, 2].map(|_| em.persist(NewMember {}));
    one.write().friends.set([&two, &one]);
    one.write().admirers.add(&three);
    em.flush().await.unwrap();
    assert_eq!(one.read().friends.items().unwrap().len(), 2);
    assert_eq!(three.read().friends.items().unwrap(), [one.clone()]);
    assert_eq!(two.read().admirers.items().unwrap(), [one.clone()]);
    let em = fixture.em();
    let members =
        em.find::<Member>().order_by(|m| m.id().asc()).populate(|m| (m.friends(), m.admirers())).await.unwrap();
    let ids = |items: &Collection<Member>| {
        let mut ids: Vec<i64> = items.items().unwrap().iter().map(Managed::id).collect();
        ids.sort_unstable();
        ids
    };
    let seen: Vec<_> = members.iter().map(|m| (ids(&m.read().friends), ids(&m.read().admirers))).collect();
    assert_eq!(seen, [(vec![1, 2], vec![1, 3]), (vec![], vec![1]), (vec![1], vec![])]);
    em.remove(&members[0]);
    em.flush().await.unwrap();
    assert!(members[1].read().admirers.is_empty().unwrap() && members[2].read().friends.is_empty().unwrap());
}

#[tokio::test]
async fn pivot_rows_of_a_failed_flush_are_still_pending() {
    let fixture = Fixture::new(library()).await;
    let (em, [a, b], [x, _, z]) = tagged(&fixture).await;
    a.update(|a| {
        a.tags.remove(&x);
        a.tags.add(&z);
        a.pages = Some(-1);
    });
    z.write().books.add(&b);
    assert!(matches!(em.flush().await, Err(Error::CheckViolation { .. })));
    assert_eq!(fixture.rows(LINKS).await, ["a|x", "a|y", "b|y"]);
    assert_eq!((names(&a), titles(&z), titles(&x)), (vec!["y".into(), "z".into()], vec!["b".into()], vec!["a".into()]));
    a.write().pages = Some(1);
    em.flush().await.unwrap();
    assert_eq!(fixture.rows(LINKS).await, ["a|y", "a|z", "b|y", "b|z"]);
}

#[tokio::test]
async fn new_rows_are_linked_without_looking_for_what_may_be_linked_unless_a_trigger_links_them_too() {
    let fixture = Fixture::new(library()).await;
    let (em, [a, _], [x, y, _]) = tagged(&fixture).await;
    let write = |title: &str| em.persist(NewBook { title: title.into(), author: a.read().author.clone() });
    let links = |fixture: &Fixture| -> Vec<bool> {
        let statements = fixture.statements().into_iter().filter(|text| text.starts_with("INSERT INTO \"book_tags\""));
        statements.map(|text| text.ends_with("ON CONFLICT DO NOTHING")).collect()
    };
    write("c").write().tags.set([&x, &y]);
    em.flush().await.unwrap();
    assert_eq!(links(&fixture), [false]);
    a.write().tags.remove(&x);
    em.flush().await.unwrap();
    fixture.forget();
    write("d").write().tags.add(&x);
    a.write().tags.add(&x);
    em.flush().await.unwrap();
    assert_eq!(links(&fixture), [true], "the other book may have been linked by somebody else");
    // C14: `add` links what is not linked.
    let sql = "CREATE FUNCTION tag_book() RETURNS trigger LANGUAGE plpgsql AS \
               $$ BEGIN INSERT INTO book_tags SELECT NEW.id, id FROM tag WHERE name = 'x'; RETURN NULL; END $$; \
               CREATE TRIGGER tag_book AFTER INSERT ON book FOR EACH ROW EXECUTE FUNCTION tag_book()";
    fixture.database.execute(sql).await.unwrap();
    fixture.forget();
    let book = write("e");
    book.write().tags.set([&x, &y]);
    em.flush().await.unwrap();
    assert_eq!(links(&fixture), [false, true], "tried once");
    assert_eq!(names(&book), ["x", "y"]);
    fixture.forget();
    write("f").write().tags.set([&x, &y]);
    em.flush().await.unwrap();
    assert_eq!(links(&fixture), [true], "it is known now");
    let seen = fixture.rows(&LINKS.replace("ORDER", "WHERE title > 'b' ORDER")).await;
    assert_eq!(seen, ["c|x", "c|y", "d|x", "e|x", "e|y", "f|x", "f|y"]);
}

#[tokio::test]
async fn a_link_that_is_there_already_fails_no_transaction() {
    let fixture = Fixture::new(library()).await;
    let (em, [a, _], [x, ..]) = tagged(&fixture).await;
    let sql = "CREATE FUNCTION tag_book() RETURNS trigger LANGUAGE plpgsql AS \
               $$ BEGIN INSERT INTO book_tags SELECT NEW.id, id FROM tag WHERE name = 'x'; RETURN NULL; END $$; \
               CREATE TRIGGER tag_book AFTER INSERT ON book FOR EACH ROW EXECUTE FUNCTION tag_book()";
    fixture.database.execute(sql).await.unwrap();
    for (title, flushes) in [("c", false), ("d", true)] {
        em.transactional(async |em| {
            em.find::<Tag>().await?;
            let book = em.persist(NewBook { title: title.into(), author: a.read().author.clone() });
            book.write().tags.add(&x);
            if flushes {
                em.flush().await?;
            }
            Ok::<_, Error>(())
        })
        .await
        .unwrap();
    }
    let seen = fixture.rows(&LINKS.replace("ORDER", "WHERE title > 'b' ORDER")).await;
    assert_eq!(seen, ["c|x", "d|x"]);
}

#[tokio::test]
async fn d5_a_conflict_of_a_transaction_that_was_begun_again_is_retried() {
    let fixture = Fixture::new(library()).await;
    let (em, [a, _], [x, ..]) = tagged(&fixture).await;
    // The second book is a conflict with another transaction; every one gets a tag.
    let sql = "CREATE SEQUENCE books; CREATE FUNCTION tag_book() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
               IF nextval('books') = 2 THEN RAISE EXCEPTION 'conflict' USING ERRCODE = '40001'; END IF; \
               INSERT INTO book_tags SELECT NEW.id, id FROM tag WHERE name = 'x'; RETURN NULL; END $$; \
               CREATE TRIGGER tag_book AFTER INSERT ON book FOR EACH ROW EXECUTE FUNCTION tag_book()";
    fixture.database.execute(sql).await.unwrap();
    let runs = std::sync::atomic::AtomicU32::new(0);
    let book = em.transaction().retries(1).run(async |em| {
        runs.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let book = em.persist(NewBook { title: "c".into(), author: a.read().author.clone() });
        book.write().tags.add(&x);
        Ok::<_, Error>(book)
    });
    let book = book.await.unwrap();
    assert_eq!(runs.into_inner(), 2);
    assert_eq!(fixture.rows("SELECT last_value FROM books").await, ["3"], "linked already; a conflict; written");
    assert_eq!(names(&book), ["x"]);
    assert_eq!(fixture.rows(&LINKS.replace("ORDER", "WHERE title = 'c' ORDER")).await, ["c|x"]);
}
