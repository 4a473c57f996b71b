//! What queries write: rows of one table into another, changes and deletions of what they find.

use crate::library::*;
use crate::support::Fixture;
use howdah::functions::{count, raw, value};
use howdah::prelude::*;
use howdah::{Alias, Error, Filter};

/// What is kept of books that are gone.
#[derive(Entity, Clone, Debug)]
struct Archived {
    #[primary_key(assigned)]
    title: String,
    pages: Option<i32>,
    #[version]
    version: i32,
    #[property(precision = 6, scale = 2)]
    price: f64,
    state: Kept,
    #[many_to_one]
    author: Option<Ref<Author>>,
}

#[derive(DbEnum, Clone, Copy, Debug, PartialEq)]
#[db_enum(native)]
enum Kept {
    Cellar,
    Attic,
}

async fn books() -> Fixture {
    let entities = library().into_iter().chain(entities![Archived]);
    let fixture = Fixture::new(entities).await;
    let sql = "INSERT INTO author (id, name) OVERRIDING SYSTEM VALUE VALUES (1, 'Virginia'), (2, 'Ursula');
        INSERT INTO book (id, title, pages, version, author_id) OVERRIDING SYSTEM VALUE VALUES
            (1, 'Orlando', 134, 1, 1), (2, 'The Waves', NULL, 1, 1), (3, 'Lavinia', 280, 1, 2)";
    fixture.database.execute(sql).await.unwrap();
    fixture.forget();
    fixture
}

#[tokio::test]
async fn rows_of_a_query_are_inserted() {
    let fixture = books().await;
    let em = fixture.em();
    let query = em.query::<Book>().filter(|b| b.author().name().eq("Virginia"));
    let values = query.select(|b| (b.title(), b.pages(), value(9.5), value(Kept::Attic), b.author().id().nullable()));
    let insert = values.insert_into::<Archived, _>(|a| (a.title(), a.pages(), a.price(), a.state(), a.author()));
    assert_eq!(insert.await.unwrap(), 2);
    assert_eq!(fixture.log.round_trips(), 1);
    let expected = r#"INSERT INTO "archived" AS t0 ("title", "pages", "price", "state", "author_id", "version") SELECT q."c0", q."c1", q."c2"::numeric, q."c3"::"kept", q."c4", $4::int4 FROM (SELECT t1."title", t1."pages", $1::float8, $2::text, t1."author_id" FROM "book" AS t1 LEFT JOIN "author" AS t2 ON t2."id" = t1."author_id" WHERE t2."name" = $3::text) AS q("c0", "c1", "c2", "c3", "c4")"#;
    assert_eq!(fixture.statements(), [expected]);
    let rows = ["Orlando|134|1|9.50|Attic|1", "The Waves|~|1|9.50|Attic|1"];
    let all = "SELECT title, pages, version, price, state, author_id FROM archived ORDER BY title";
    assert_eq!(fixture.rows(all).await, rows);
}

#[tokio::test]
async fn rows_that_are_there_stay_or_are_overwritten() {
    let fixture = books().await;
    let em = fixture.em();
    let insert = |price: f64| {
        let all = em.query::<Book>().select(|b| (b.title(), b.pages(), value(price), value(Kept::Cellar)));
        all.insert_into::<Archived, _>(|a| (a.title(), a.pages(), a.price(), a.state()))
    };
    assert_eq!(insert(1.0).await.unwrap(), 3);
    assert!(matches!(insert(2.0).await.unwrap_err(), Error::UniqueViolation { entity: Some("Archived"), .. }));
    assert_eq!(insert(2.0).ignore().await.unwrap(), 0);
    assert_eq!(insert(2.0).on_conflict(|a| a.title()).ignore().await.unwrap(), 0);
    let waves = em.find_one_or_fail::<Archived>("The Waves", ()).await.unwrap();
    let written = insert(3.0).on_conflict(|a| a.title()).returning_entities().await.unwrap();
    // A1: managed, and what was loaded is up to date.
    assert_eq!(written.len(), 3);
    assert!(written.contains(&waves));
    assert_eq!((waves.read().price, waves.read().version), (3.0, 2));
    waves.write().state = Kept::Attic;
    em.flush().await.unwrap();
    assert_eq!(fixture.rows("SELECT count(*), sum(price), max(version) FROM archived").await, ["3|9.00|3"]);

    // A common table expression stands in front of all of it; nothing is kept of a transaction that is rolled back.
    let long = em.query::<Book>().filter(|b| b.pages().gt(200)).select(|b| (b.id(), b.title())).as_cte("long_books");
    let outcome = em
        .transactional(async |em| {
            let (_, title) = long.columns::<Book>();
            let rows =
                em.query_from::<Book, _>(&long).select(|_| (title.concat(" (copy)"), value(0.5), value(Kept::Attic)));
            let copies = rows.insert_into::<Archived, _>(|a| (a.title(), a.price(), a.state()));
            let copies = copies.returning_entities().await?;
            assert_eq!(copies[0].id(), "Lavinia (copy)");
            Err::<(), Error>(Error::TransactionRollbackOnly)
        })
        .await;
    assert!(outcome.is_err());
    assert_eq!(fixture.rows("SELECT count(*) FROM archived").await, ["3"]);
}

#[tokio::test]
async fn what_a_query_finds_is_updated_and_deleted() {
    let fixture = books().await;
    let em = fixture.em();
    let update = em.query::<Book>().filter(|b| b.author().name().eq("Virginia")).update();
    assert_eq!(update.set(|b| b.pages(), 1).await.unwrap(), 2);
    // The first by an order, of a joined query.
    let last = em.query::<Book>().join(|b| b.author()).order_by(|b| (b.author().name().asc(), b.id().desc())).limit(1);
    let changed = last.update().set(|b| b.title(), "changed").returning_entities().await.unwrap();
    assert_eq!(changed.iter().map(Managed::id).collect::<Vec<_>>(), [3]);
    let deleted = em.query::<Book>().order_by(|b| b.id().asc()).limit(1).delete().await.unwrap();
    assert_eq!(deleted, 1);
    assert_eq!(fixture.rows("SELECT id, title, pages FROM book ORDER BY id").await, ["2|The Waves|1", "3|changed|280"]);
    let refused = em.find::<Book>().populate(|b| b.tags()).select(|b| b.id()).delete().await.unwrap_err();
    assert!(matches!(refused, Error::Validation { .. }), "{refused}");
    assert_eq!(fixture.rows("SELECT count(*) FROM book").await, ["2"]);
}

#[tokio::test]
async fn filters_hold_wherever_a_query_reads() {
    let fixture = books().await;
    let em = fixture.em();
    em.add_filter(Filter::new::<Author>("own", |a| a.name().eq("Ursula")));
    let authors = || em.query::<Author>();
    assert_eq!(authors().count().await.unwrap(), 1);
    assert_eq!(authors().without_filter("own").count().await.unwrap(), 2);
    let other = Alias::<Author>::new();
    let joined = em.query::<Book>().join_with(&other, |b, a| b.author().id().eq(a.id())).select(|_| count());
    assert_eq!(joined.one_or_fail().await.unwrap(), 1);
    let left = em.query::<Book>().left_join_with(&other, |b, a| b.author().id().eq(a.id()));
    let left = left.select(|_| other.fields().name().nullable()).order_by(|b| b.id().asc());
    assert_eq!(left.await.unwrap(), [None, None, Some("Ursula".to_owned())]);
    let crossed = em.query::<Book>().cross_join(&other).select(|_| count());
    assert_eq!(crossed.one_or_fail().await.unwrap(), 3);
    let operand = em.query::<Book>().filter(|b| b.author().id().is_in(authors().select(|a| a.id())));
    assert_eq!(operand.count().await.unwrap(), 1);
    let cte = authors().select(|a| a.id()).as_cte("own_authors");
    assert_eq!(em.query_from::<Author, _>(&cte).select(|_| count()).one_or_fail().await.unwrap(), 1);
    let relation = em.query::<Book>().join(|b| b.author()).select(|_| count());
    assert_eq!(relation.one_or_fail().await.unwrap(), 1);
    let text = em.query::<Book>().select(|b| raw("coalesce(?, 'hidden')", (b.author().name(),)).as_::<String>());
    assert_eq!(text.order_by(|b| b.id().asc()).await.unwrap(), ["hidden", "hidden", "Ursula"]);
}
