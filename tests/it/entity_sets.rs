//! Unions, intersections and differences of queries of entities, and what becomes of a query's lock and options when it writes.

use crate::library::*;
use crate::support::Fixture;
use howdah::prelude::*;
use howdah::{Error, Filter, QueryBuilder};

/// Two parts of a key, one of them a relation.
#[derive(Entity, Clone, Debug)]
struct Rating {
    #[primary_key]
    #[many_to_one]
    book: Ref<Book>,
    #[primary_key(assigned)]
    reader: String,
    stars: i32,
}

async fn shop() -> Fixture {
    let fixture = Fixture::new(library().into_iter().chain(entities![Rating])).await;
    let sql = "INSERT INTO author (id, name, born) OVERRIDING SYSTEM VALUE VALUES
            (1, 'Virginia', 1882), (2, 'Ursula', 1929), (3, 'Naomi', 1974), (4, 'Mary', 1797);
        INSERT INTO book (id, title, pages, version, author_id) OVERRIDING SYSTEM VALUE VALUES
            (1, 'Orlando', 134, 1, 1), (2, 'The Waves', 324, 1, 1), (3, 'Lavinia', 280, 1, 2), (4, 'The Power', 341, 1, 3);
        INSERT INTO rating VALUES (1, 'ada', 5), (1, 'bob', 2), (2, 'ada', 4), (3, 'bob', 1);
        ALTER TABLE author ALTER COLUMN id RESTART WITH 10";
    fixture.database.execute(sql).await.unwrap();
    fixture.forget();
    fixture
}

fn names(authors: &[Managed<Author>]) -> Vec<String> {
    authors.iter().map(|author| author.read().name.clone()).collect()
}

#[tokio::test]
async fn entities_are_combined_and_managed() {
    let fixture = shop().await;
    let em = fixture.em();
    let ursula = em.find_one_or_fail::<Author>(2, ()).await.unwrap();
    let early = || em.query::<Author>().filter(|a| a.born().lt(1930));
    let long = || em.query::<Author>().join(|a| a.books()).filter(|a| a.books().pages().gt(200));
    let union = early().union(long()).order_by(|a| a.born().desc());
    let expected = r#"SELECT t0."id", t0."name", t0."born", i4."id", t0."mentor_id" FROM "author" AS t0 LEFT JOIN "profile" AS i4 ON i4."author_id" = t0."id" WHERE t0."id" IN ((SELECT t1."id" FROM "author" AS t1 WHERE t1."born" < $1::int4) UNION (SELECT t2."id" FROM "author" AS t2 JOIN "book" AS t3 ON t3."author_id" = t2."id" WHERE t3."pages" > $2::int4)) ORDER BY t0."born" DESC"#;
    assert_eq!(union.to_sql().unwrap().text, expected);
    fixture.forget();
    let found = union.await.unwrap();
    assert_eq!((fixture.log.round_trips(), fixture.statements().len()), (1, 1));
    assert_eq!(names(&found), ["Naomi", "Ursula", "Virginia", "Mary"]);
    // A1
    assert_eq!(found[1], ursula);
    found[3].write().born = Some(1798);
    assert_eq!(em.flush().await.unwrap().updated, 1);

    let sorted = async |query: QueryBuilder<Author>| names(&query.order_by(|a| a.name().asc()).await.unwrap());
    assert_eq!(sorted(early().union_all(long())).await, ["Mary", "Naomi", "Ursula", "Virginia"]);
    assert_eq!(sorted(early().intersect(long())).await, ["Ursula", "Virginia"]);
    assert_eq!(sorted(early().except(long())).await, ["Mary"]);
    assert_eq!(sorted(long().except_all(early())).await, ["Naomi"]);
    assert_eq!(sorted(long().intersect_all(early())).await, ["Ursula", "Virginia"]);
}

#[tokio::test]
async fn the_result_is_a_query_like_any_other() {
    let fixture = shop().await;
    let em = fixture.em();
    let authors = || em.query::<Author>();
    let oldest = || authors().order_by(|a| a.born().asc()).limit(1);
    let youngest = || authors().order_by(|a| a.born().desc()).limit(1);
    let ends = || oldest().union(youngest());
    assert_eq!(ends().count().await.unwrap(), 2);
    assert_eq!(ends().filter(|a| a.name().like("M%")).one_or_fail().await.unwrap().read().name, "Mary");
    assert!(ends().intersect(authors().filter(|a| a.id().eq(4))).exists().await.unwrap());
    let years = ends().select(|a| (a.name(), a.books().count())).order_by(|a| a.id().asc());
    assert_eq!(years.await.unwrap(), [("Naomi".to_owned(), 1), ("Mary".to_owned(), 0)]);
    let most = ends().union(authors().filter(|a| a.name().eq("Ursula"))).except(oldest());
    assert_eq!(names(&most.order_by(|a| a.name().asc()).offset(1).await.unwrap()), ["Ursula"]);
    let distinct = authors().join(|a| a.books()).distinct().order_by(|a| a.born().desc()).limit(2);
    assert_eq!(distinct.union(oldest()).count().await.unwrap(), 3);
    // They are locked as a whole, updated, deleted.
    em.transactional(async |_| {
        let locked = ends().lock(LockMode::PessimisticWrite).await?;
        assert_eq!(locked.len(), 2);
        let part = authors().lock(LockMode::PessimisticWrite).union(authors()).await.unwrap_err();
        assert!(part.to_string().contains("as a whole"), "{part}");
        Ok::<_, Error>(())
    })
    .await
    .unwrap();
    let updated = ends().update().set_null(|a| a.mentor()).returning(|a| a.name()).await.unwrap();
    assert_eq!(updated.len(), 2);
    assert_eq!(ends().except(authors().filter(|a| a.name().ne("Mary"))).delete().await.unwrap(), 1);
    assert_eq!(fixture.rows("SELECT name FROM author ORDER BY id").await, ["Virginia", "Ursula", "Naomi"]);
}

#[tokio::test]
async fn keys_of_several_columns_are_compared_together() {
    let fixture = shop().await;
    let em = fixture.em();
    let ratings = || em.query::<Rating>();
    let low = || ratings().filter(|r| r.stars().lt(3));
    let of_orlando = || ratings().filter(|r| r.book().title().eq("Orlando"));
    let found = low().union(of_orlando()).order_by(|r| r.stars().asc()).await.unwrap();
    assert_eq!(
        found.iter().map(Managed::id).collect::<Vec<_>>(),
        [(3, "bob".into()), (1, "bob".into()), (1, "ada".into())]
    );
    assert_eq!(low().intersect(of_orlando()).count().await.unwrap(), 1);
    let worst = ratings().order_by(|r| r.stars().asc()).limit(2).delete();
    assert_eq!(worst.returning(|r| r.reader()).await.unwrap(), ["bob", "bob"]);
    assert_eq!(fixture.rows("SELECT stars FROM rating ORDER BY stars").await, ["4", "5"]);
}

#[tokio::test]
async fn a_lock_is_not_dropped_silently() {
    let fixture = shop().await;
    let em = fixture.em();
    let locked = || em.query::<Author>().filter(|a| a.id().eq(1)).lock(LockMode::PessimisticPartialWrite);
    let refused = [
        locked().update().set(|a| a.born(), 1).await.unwrap_err(),
        locked().limit(1).update().set(|a| a.born(), 1).returning(|a| a.id()).await.unwrap_err(),
        locked().delete().await.unwrap_err(),
        locked().limit(1).delete().returning_entities().await.unwrap_err(),
        locked().insert([NewAuthor { name: "x".into() }]).await.unwrap_err(),
    ];
    for error in refused {
        assert!(matches!(error, Error::Validation { entity: Some("Author"), .. }), "{error}");
    }
    assert!(fixture.log.take().is_empty(), "nothing was sent");
    // Of what an INSERT reads, the lock is a part.
    let copy = em.query::<Author>().filter(|a| a.id().eq(1)).lock(LockMode::PessimisticWrite);
    let copy = copy.select(|a| a.name().concat(" (copy)")).insert_into::<Author, _>(|a| a.name());
    assert_eq!(copy.await.unwrap(), 1);
    assert!(fixture.statements()[0].contains("FOR UPDATE OF t1"));
    assert_eq!(fixture.rows("SELECT name, born FROM author ORDER BY id LIMIT 1").await, ["Virginia|1882"]);
}

#[tokio::test]
async fn options_of_a_query_hold_for_what_it_writes() {
    let fixture = shop().await;
    let em = fixture.em();
    em.add_filter(Filter::new::<Author>("own", |a| a.id().lte(2)));
    em.add_filter(Filter::new::<Author>("early", |a| a.born().lt(1900)).off_by_default());
    let authors = || em.query::<Author>();
    assert_eq!(authors().with_filter("early", ()).update().set(|a| a.born(), 1).await.unwrap(), 1);
    assert_eq!(authors().without_filter("own").update().set(|a| a.born(), 2).await.unwrap(), 4);
    let commented = em.find::<Author>().comment("spring cleaning").select(|a| a.id()).filter(|a| a.id().eq(2));
    fixture.forget();
    assert_eq!(commented.update().set(|a| a.born(), 3).await.unwrap(), 1);
    assert!(fixture.statements()[0].starts_with("/* spring cleaning */ UPDATE"));
    fixture.database.execute("CREATE SCHEMA old; CREATE TABLE old.shelf AS SELECT 'a' AS code").await.unwrap();
    fixture.database.execute("INSERT INTO shelf VALUES ('a')").await.unwrap();
    let old = || em.find::<Shelf>().schema("old").select(|s| s.code());
    assert!(matches!(old().delete().await, Ok(1)));
    assert_eq!(fixture.rows("SELECT count(*) FROM shelf").await, ["1"]);
    let managed = old().update().set(|s| s.code(), "b").returning_entities().await.unwrap_err();
    assert!(matches!(managed, Error::Validation { entity: Some("Shelf"), .. }), "{managed}");
    let limited = em.find::<Author>().timeout(std::time::Duration::from_secs(1)).select(|a| a.name());
    assert!(matches!(limited.clone().delete().await, Err(Error::Validation { .. })));
    assert!(matches!(limited.insert_into::<Author, _>(|a| a.name()).await, Err(Error::Validation { .. })));
    // What holds for a whole statement, or a whole union of entities, is not said of a part of it, and lost.
    for (part, message) in [
        (authors().union(authors().with_filter("early", ())).count().await, "holds for all of a union of entities"),
        (em.query::<Shelf>().select(|s| s.code()).union(old()).count().await, "are of whole statements"),
    ] {
        assert!(part.unwrap_err().to_string().contains(message), "{message}");
    }
    assert_eq!(authors().union(authors()).with_filter("early", ()).count().await.unwrap(), 2);
    // A union of values is no entities: its rows are not taken for keys.
    let pages = || em.query::<Book>().select(|b| b.id());
    let refused = pages().union(pages()).delete().await.unwrap_err();
    assert!(refused.to_string().contains("no rows of an entity"), "{refused}");
}
