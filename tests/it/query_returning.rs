//! Values of the rows that an UPDATE, DELETE or INSERT has written: tuples and projections.

use crate::library::*;
use crate::support::Fixture;
use howdah::Error;
use howdah::functions::{count, raw};
use howdah::prelude::*;

async fn books() -> Fixture {
    let fixture = Fixture::new(library()).await;
    let sql = "INSERT INTO author (id, name) OVERRIDING SYSTEM VALUE VALUES (1, 'Virginia'), (2, 'Ursula');
        INSERT INTO shelf VALUES ('sf');
        INSERT INTO book (id, title, pages, version, author_id, shelf_code) OVERRIDING SYSTEM VALUE VALUES
            (1, 'Orlando', 134, 1, 1, NULL), (2, 'The Waves', NULL, 1, 1, NULL), (3, 'Lavinia', 280, 1, 2, 'sf');
        INSERT INTO tag VALUES ('00000000-0000-7000-8000-000000000001', 'novel');
        INSERT INTO book_tags (book_id, tag_id) SELECT id, '00000000-0000-7000-8000-000000000001' FROM book";
    fixture.database.execute(sql).await.unwrap();
    fixture.forget();
    fixture
}

#[derive(Projection, Debug, PartialEq)]
struct Card {
    title: String,
    pages: Option<i32>,
    author: Name,
    tags: Vec<Name>,
}

#[derive(Projection, Debug, PartialEq)]
struct Name {
    name: String,
}

#[tokio::test]
async fn updates_answer_with_values() {
    let fixture = books().await;
    let em = fixture.em();
    let update = em.query::<Book>().filter(|b| b.author().name().eq("Ursula")).update().set(|b| b.pages(), 281);
    let values =
        update.returning(|b| (b.id(), b.pages(), b.version(), b.author().name(), b.shelf(), b.title().upper()));
    let lavinia = (3, Some(281), 2, "Ursula".to_owned(), Some("sf".to_owned()), "LAVINIA".to_owned());
    assert_eq!(values.await.unwrap(), [lavinia]);
    assert_eq!(fixture.log.round_trips(), 1);
    let statements = fixture.statements();
    let [statement] = &statements[..] else { panic!("{statements:?}") };
    assert!(
        statement.starts_with(r#"WITH "howdah:written" AS (UPDATE "book" AS t0 SET "pages" = $1::int4"#),
        "{statement}"
    );
    assert!(statement.contains(r#") SELECT t0."id", t0."pages", t0."version","#), "{statement}");
    assert!(statement.contains(r#" FROM "howdah:written" AS t0 LEFT JOIN "author" AS "#), "{statement}");

    // One value, an aggregate, and none where nothing was written.
    let more =
        em.native_update::<Book>().filter(|b| b.pages().is_not_null()).set(|b| b.pages(), Book::fields().pages() + 1);
    assert_eq!(more.returning(|b| (count(), b.pages().sum())).await.unwrap(), [(2, Some(417))]);
    let none = em.native_update::<Book>().filter(|b| b.id().eq(9)).set(|b| b.title(), "x");
    assert_eq!(none.returning(|b| b.title()).await.unwrap(), [""; 0]);
    let refused = em.native_update::<Book>().set(|b| b.title(), "x").returning(|b| b.tags().name());
    assert!(matches!(refused.await.unwrap_err(), Error::Validation { .. }));
    assert_eq!(fixture.rows("SELECT pages FROM book ORDER BY id").await, ["135", "~", "282"]);
}

#[tokio::test]
async fn projections_are_nested() {
    let fixture = books().await;
    let em = fixture.em();
    let update = em.query::<Book>().order_by(|b| b.id().asc()).limit(1).update().set(|b| b.title(), "O");
    let name = |name: &str| Name { name: name.into() };
    let card = Card { title: "O".into(), pages: Some(134), author: name("Virginia"), tags: vec![name("novel")] };
    assert_eq!(update.returning_into::<Card>().await.unwrap(), [card]);
    fixture.database.execute("DELETE FROM book_tags WHERE book_id = 3").await.unwrap();
    let deleted = em.native_delete::<Book>().filter(|b| b.id().eq(3)).returning_into::<Card>().await.unwrap();
    assert_eq!(deleted[0].author, name("Ursula"));
    let tags = [NewTag { name: "verse".into() }];
    assert_eq!(em.query::<Tag>().insert(tags).returning_into::<Name>().await.unwrap(), [name("verse")]);
    let copies = em.query::<Tag>().select(|t| t.name().concat("!")).insert_into::<Tag, _>(|t| t.name());
    let mut copies = copies.returning_into::<Name>().await.unwrap();
    copies.sort_unstable_by(|one, other| one.name.cmp(&other.name));
    assert_eq!(copies, [name("novel!"), name("verse!")]);
}

#[tokio::test]
async fn deletes_answer_with_what_was_there() {
    let fixture = books().await;
    fixture.database.execute("DELETE FROM book_tags").await.unwrap();
    let em = fixture.em();
    let delete = em.query::<Book>().filter(|b| b.pages().is_null()).delete();
    let gone = delete.returning(|b| (b.title(), raw("? || '!'", (b.author().name(),)).as_::<String>()));
    assert_eq!(gone.await.unwrap(), [("The Waves".to_owned(), "Virginia!".to_owned())]);
    let mut ids = em.query::<Book>().delete().returning(|b| b.id()).await.unwrap();
    ids.sort_unstable();
    assert_eq!(ids, [1, 3]);
    assert_eq!(fixture.rows("SELECT count(*) FROM book").await, ["0"]);
}

#[tokio::test]
async fn loaded_entities_are_stale_all_the_same() {
    let fixture = books().await;
    let em = fixture.em();
    let book = em.find_one_or_fail::<Book>(1, ()).await.unwrap();
    let update = em.native_update::<Book>().set(|b| b.pages(), 1);
    assert_eq!(update.returning(|b| b.id()).await.unwrap().len(), 3);
    assert_eq!(book.read().pages, Some(134));
    em.find_one_or_fail::<Book>(1, ()).await.unwrap();
    assert_eq!((book.read().pages, book.read().version), (Some(1), 2));
    // In a transaction that fails, nothing of it stays.
    let failed = em.transactional(async |em| {
        let deleted = em.native_delete::<Tag>().filter(|t| t.name().eq("x")).returning(|t| t.name()).await?;
        assert!(deleted.is_empty());
        em.native_update::<Book>().set(|b| b.pages(), 2).returning(|b| b.id()).await?;
        Err::<(), _>(Error::TransactionRollbackOnly)
    });
    assert!(failed.await.is_err());
    assert_eq!(fixture.rows("SELECT DISTINCT pages FROM book").await, ["1"]);
}

#[tokio::test]
async fn common_table_expressions_go_along() {
    let fixture = books().await;
    let em = fixture.em();
    let long = em.query::<Book>().filter(|b| b.pages().gt(200)).select(|b| b.id()).as_cte("long_books");
    let update = em.query::<Book>().join_with(&long, |b, id| b.id().eq(id)).update().set(|b| b.title(), "long");
    assert_eq!(update.returning(|b| (b.id(), b.title())).await.unwrap(), [(3, "long".to_owned())]);
    let ids = em.query_from::<Book, _>(&long).select(|_| long.columns());
    let by_relation = em.native_update::<Book>().filter(|b| b.author().name().eq("Ursula").and(b.id().is_in(ids)));
    assert_eq!(by_relation.set(|b| b.title(), "longer").await.unwrap(), 1);
    fixture.database.execute("DELETE FROM book_tags").await.unwrap();
    let delete = em.query::<Book>().join_with(&long, |b, id| b.id().eq(id)).delete();
    assert_eq!(delete.await.unwrap(), 1);
    assert_eq!(fixture.rows("SELECT id, title FROM book ORDER BY id").await, ["1|Orlando", "2|The Waves"]);
}
