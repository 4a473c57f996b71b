//! What queries make of to-many relations that they join: aggregates of them, counts, limits.

use crate::library::*;
use crate::support::Fixture;
use howdah::functions::count_distinct;
use howdah::prelude::*;
use howdah::{Alias, Error, LockMode};

/// Virginia mentors Ursula, who mentors Naomi; Mary has no books.
async fn shop() -> Fixture {
    let fixture = Fixture::new(library()).await;
    let sql = "INSERT INTO author (id, name, born, mentor_id) OVERRIDING SYSTEM VALUE VALUES (1, 'Virginia', 1882, NULL);
        INSERT INTO author (id, name, born, mentor_id) OVERRIDING SYSTEM VALUE VALUES (2, 'Ursula', 1929, 1);
        INSERT INTO author (id, name, born, mentor_id) OVERRIDING SYSTEM VALUE VALUES (3, 'Naomi', 1974, 2), (4, 'Mary', 1797, NULL);
        INSERT INTO book (id, title, pages, version, author_id) OVERRIDING SYSTEM VALUE VALUES
            (1, 'Orlando', 134, 1, 1), (2, 'The Waves', 324, 1, 1), (3, 'Lavinia', 280, 1, 2),
            (4, 'The Dispossessed', 341, 1, 2), (5, 'The Power', 341, 1, 3);
        INSERT INTO tag VALUES ('00000000-0000-7000-8000-000000000001', 'utopia'), ('00000000-0000-7000-8000-000000000002', 'novel');
        INSERT INTO book_tags (book_id, tag_id) SELECT b.id, t.id FROM book b, tag t WHERE t.name = 'novel' OR b.id IN (4, 5)";
    fixture.database.execute(sql).await.unwrap();
    fixture.forget();
    fixture
}

#[tokio::test]
async fn related_rows_that_are_joined_are_counted_once() {
    let fixture = shop().await;
    let em = fixture.em();
    let authors = || em.query::<Author>().left_join(|a| a.books()).group_by(|a| a.id()).order_by(|a| a.id().asc());
    let counts = authors().select(|a| (a.id(), a.books().count()));
    let text = counts.to_sql().unwrap().text;
    assert!(text.contains(r#"count(DISTINCT t1."id") FILTER (WHERE t1."id" IS NOT NULL)"#), "{text}");
    assert_eq!(counts.await.unwrap(), [(1, 2), (2, 2), (3, 1), (4, 0)]);
    let long = authors().select(|a| (a.id(), a.books().count_of(|b| b.pages().gt(300))));
    assert_eq!(long.await.unwrap(), [(1, 1), (2, 1), (3, 1), (4, 0)]);
    // Joined further, a book comes once for each of its tags.
    let tagged = authors().left_join(|a| a.books().tags());
    let counts = tagged.select(|a| (a.id(), a.books().count(), a.books().tags().count(), a.books().id().count()));
    assert_eq!(counts.await.unwrap(), [(1, 2, 1, 2), (2, 2, 2, 3), (3, 1, 2, 2), (4, 0, 0, 0)]);
    // One that is not joined has its rows by itself.
    let pupils = em.query::<Author>().left_join(|a| a.mentor()).select(|a| (a.id(), a.mentor().books().count()));
    assert_eq!(pupils.order_by(|a| a.id().asc()).await.unwrap(), [(1, 0), (2, 2), (3, 2), (4, 0)]);
}

#[tokio::test]
async fn a_joined_related_row_is_found_by_its_key() {
    let fixture = shop().await;
    let em = fixture.em();
    let query = em.query::<Author>().join(|a| a.books()).filter(|a| a.books().contains(4));
    assert_eq!(query.select(|a| (a.id(), a.books().title())).await.unwrap(), [(2, "The Dispossessed".to_owned())]);
}

#[tokio::test]
async fn an_aggregate_is_of_the_rows_of_one_relation() {
    let fixture = shop().await;
    let em = fixture.em();
    let refused = |outcome: Result<Vec<i64>, Error>| {
        let error = outcome.unwrap_err();
        assert!(matches!(error, Error::Validation { entity: Some("Author"), .. }), "{error}");
        assert!(error.to_string().contains("different to-many relations"), "{error}");
    };
    let query = || em.query::<Author>();
    refused(query().select(|a| count_distinct((a.books().title(), a.mentor().books().title()))).await);
    let pages = query().select(|a| (a.books().pages() + a.mentor().books().pages()).sum().coalesce(0));
    refused(pages.await);
    let find = em.find::<Author>().select(|a| a.books().title().string_agg(a.mentor().books().title()));
    assert!(matches!(find.await.unwrap_err(), Error::Validation { .. }));
    assert!(fixture.statements().is_empty());
    // Paths over the same relation, and on from there, mean the same rows.
    let titles = query().select(|a| count_distinct((a.books().title(), a.books().tags().name())));
    assert_eq!(titles.order_by(|a| a.id().asc()).await.unwrap(), [2, 3, 2, 0]);
    let sum = query().select(|a| (a.books().pages() + a.mentor().born()).sum()).order_by(|a| a.id().asc());
    assert_eq!(sum.await.unwrap(), [None, Some(4385), Some(2270), None]);
}

fn ids(authors: Vec<Managed<Author>>) -> Vec<i64> {
    authors.iter().map(Managed::id).collect()
}

/// E3: limits apply to root rows, also with joined to-many.
#[tokio::test]
async fn e3_a_limit_is_one_of_entities_whatever_is_joined() {
    let fixture = shop().await;
    let em = fixture.em();
    let authors = || em.query::<Author>().join(|a| a.books()).order_by(|a| a.id().asc());
    assert_eq!(ids(authors().limit(2).await.unwrap()), [1, 2]);
    let expected = r#"SELECT t0."id", t0."name", t0."born", i4."id", t0."mentor_id" FROM "author" AS t0 JOIN (SELECT k0, min(r.n) FROM (SELECT t0."id", row_number() OVER (ORDER BY t0."id") FROM "author" AS t0 JOIN "book" AS t1 ON t1."author_id" = t0."id") AS r(k0, n) GROUP BY k0 ORDER BY min(r.n) LIMIT $1::int8) AS q(k0, n) ON t0."id" = q.k0 LEFT JOIN "profile" AS i4 ON i4."author_id" = t0."id" ORDER BY q.n"#;
    assert_eq!(fixture.statements(), [expected]);
    assert_eq!(ids(authors().offset(1).await.unwrap()), [2, 3]);
    assert_eq!(ids(authors().limit(1).offset(2).await.unwrap()), [3]);
    assert!(authors().limit(5).offset(3).await.unwrap().is_empty());
    assert_eq!(authors().first().await.unwrap().unwrap().id(), 1);
    // Counted as they come.
    for query in [authors(), authors().limit(2), authors().offset(1), authors().limit(0), authors().distinct()] {
        let length = u64::try_from(query.clone().await.unwrap().len()).unwrap();
        assert_eq!(query.clone().count().await.unwrap(), length, "{query:?}");
        assert_eq!(query.exists().await.unwrap(), length > 0);
    }
    assert!(!authors().offset(3).exists().await.unwrap());

    // Ordered by what is joined, an entity stands at the first of its rows.
    let by_title = || em.query::<Author>().join(|a| a.books()).filter(|a| a.books().pages().gt(200));
    assert_eq!(ids(by_title().order_by(|a| a.books().title().asc()).limit(2).await.unwrap()), [2, 3]);
    assert_eq!(ids(by_title().order_by(|a| a.books().title().desc()).limit(2).await.unwrap()), [1, 3]);
    let distinct = by_title().distinct().order_by(|a| a.books().title().desc());
    assert_eq!(ids(distinct.limit(2).await.unwrap()), [1, 3]);
    let grouped = authors().group_by(|a| a.id()).having(|a| a.books().id().count().gt(1));
    assert_eq!(ids(grouped.limit(2).await.unwrap()), [1, 2]);
    let first = authors().distinct_on(|a| a.id()).order_by(|a| a.books().title().asc());
    assert_eq!(ids(first.limit(2).await.unwrap()), [1, 2]);
    let other = Alias::<Author>::new();
    let elder = em.query::<Author>().join_with(&other, |a, other| other.born().lt(a.born()));
    assert_eq!(ids(elder.order_by(|a| a.id().desc()).limit(2).await.unwrap()), [3, 2]);

    // To-one relations and selected values are rows as they are.
    let mentored = em.query::<Author>().join(|a| a.mentor()).order_by(|a| a.id().asc()).limit(1);
    assert!(!mentored.to_sql().unwrap().text.contains("row_number"));
    assert_eq!(ids(mentored.await.unwrap()), [2]);
    let values = authors().select(|a| a.id()).limit(2);
    assert_eq!(values.await.unwrap(), [1, 1]);
    let locked = authors().limit(1).lock(LockMode::PessimisticWrite).await.unwrap_err();
    assert!(matches!(locked, Error::Validation { entity: Some("Author"), .. }), "{locked}");

    // So they are where entities are changed, and combined.
    let update = authors().limit(2).update().set(|a| a.born(), 1);
    assert_eq!(update.await.unwrap(), 2);
    let both = authors().limit(2).union(em.query::<Author>().filter(|a| a.id().eq(4)));
    assert_eq!(ids(both.order_by(|a| a.id().asc()).await.unwrap()), [1, 2, 4]);
}
