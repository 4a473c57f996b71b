//! The query builder: joins, sub-queries, common table expressions, windows, set operations, locks; each with its SQL.

use crate::library::*;
use crate::support::Fixture;
use howdah::functions::{count, dense_rank, exists, ntile, rank, row_number};
use howdah::prelude::*;
use howdah::{Alias, Error, FrameBound, QueryBuilder};

/// Virginia mentors Ursula, who mentors Naomi; they have books of these pages.
async fn shop() -> Fixture {
    let fixture = Fixture::new(library()).await;
    let sql = "INSERT INTO author (id, name, born, mentor_id) OVERRIDING SYSTEM VALUE VALUES (1, 'Virginia', 1882, NULL);
        INSERT INTO author (id, name, born, mentor_id) OVERRIDING SYSTEM VALUE VALUES (2, 'Ursula', 1929, 1);
        INSERT INTO author (id, name, born, mentor_id) OVERRIDING SYSTEM VALUE VALUES (3, 'Naomi', 1974, 2), (4, 'Mary', 1797, NULL);
        INSERT INTO shelf VALUES ('sf'), ('empty');
        INSERT INTO book (id, title, pages, version, author_id, shelf_code) OVERRIDING SYSTEM VALUE VALUES
            (1, 'Orlando', 134, 1, 1, NULL), (2, 'The Waves', 324, 1, 1, NULL), (3, 'Lavinia', 280, 1, 2, 'sf'),
            (4, 'The Dispossessed', 341, 1, 2, 'sf'), (5, 'The Power', 341, 1, 3, 'sf');
        INSERT INTO tag VALUES ('00000000-0000-7000-8000-000000000001', 'utopia'), ('00000000-0000-7000-8000-000000000002', 'novel');
        INSERT INTO book_tags (book_id, tag_id) SELECT b.id, t.id FROM book b, tag t WHERE t.name = 'novel' OR b.id IN (4, 5)";
    fixture.database.execute(sql).await.unwrap();
    fixture.forget();
    fixture
}

/// Runs a query, and compares its SQL.
async fn rows<T: Entity, O: Send + 'static>(query: QueryBuilder<T, O>, sql: &str) -> Vec<O> {
    let text = query.to_sql().unwrap().text;
    assert_eq!(text, sql);
    query.await.unwrap()
}

fn row(name: &str, title: &str) -> (String, String) {
    (name.to_owned(), title.to_owned())
}

#[tokio::test]
async fn entities_are_managed_and_each_comes_once() {
    let fixture = shop().await;
    let em = fixture.em();
    let ursula = em.find_one_or_fail::<Author>(2, ()).await.unwrap();
    let query = em.query::<Author>().join(|a| a.books()).filter(|a| a.books().pages().gt(200));
    let found = rows(
        query.order_by(|a| a.id().asc()),
        r#"SELECT t0."id", t0."name", t0."born", i4."id", t0."mentor_id" FROM "author" AS t0 LEFT JOIN "profile" AS i4 ON i4."author_id" = t0."id" JOIN "book" AS t1 ON t1."author_id" = t0."id" WHERE t1."pages" > $1::int4 ORDER BY t0."id""#,
    )
    .await;
    // A1
    assert_eq!(found.iter().map(Managed::id).collect::<Vec<_>>(), [1, 2, 3]);
    assert_eq!(found[1], ursula);
    found[0].write().name = "V. Woolf".into();
    assert_eq!(em.flush().await.unwrap().updated, 1);
}

#[tokio::test]
async fn relations_are_joined_inner_and_left() {
    let fixture = shop().await;
    let em = fixture.em();
    let titles = em.query::<Author>().join(|a| a.books().tags()).filter(|a| a.books().tags().name().eq("utopia"));
    let found = rows(
        titles.select(|a| (a.name(), a.books().title())).order_by(|a| a.books().id().asc()),
        r#"SELECT t0."name", t1."title" FROM "author" AS t0 JOIN "book" AS t1 ON t1."author_id" = t0."id" JOIN ("tag" AS t2 JOIN "book_tags" AS t3 ON t3."tag_id" = t2."id") ON t3."book_id" = t1."id" WHERE t2."name" = $1::text ORDER BY t1."id""#,
    )
    .await;
    assert_eq!(found, [row("Ursula", "The Dispossessed"), row("Naomi", "The Power")]);
    let all = em.query::<Author>().left_join(|a| a.books()).select(|a| (a.name(), a.books().title().nullable()));
    let found = rows(
        all.filter(|a| a.id().gte(3)).order_by(|a| a.id().asc()),
        r#"SELECT t0."name", t1."title" FROM "author" AS t0 LEFT JOIN "book" AS t1 ON t1."author_id" = t0."id" WHERE t0."id" >= $1::int8 ORDER BY t0."id""#,
    )
    .await;
    assert_eq!(found, [("Naomi".to_owned(), Some("The Power".to_owned())), ("Mary".to_owned(), None)]);
    let mentored = em.query::<Author>().join(|a| a.mentor()).select(|a| (a.name(), a.mentor().name()));
    let found = rows(
        mentored.order_by(|a| a.id().asc()),
        r#"SELECT t0."name", t1."name" FROM "author" AS t0 JOIN "author" AS t1 ON t1."id" = t0."mentor_id" ORDER BY t0."id""#,
    )
    .await;
    assert_eq!(found, [row("Ursula", "Virginia"), row("Naomi", "Ursula")]);
}

#[tokio::test]
async fn tables_are_joined_under_names_of_their_own() {
    let fixture = shop().await;
    let em = fixture.em();
    let other = Alias::<Author>::new();
    let elder = em.query::<Author>().join_with(&other, |a, other| other.born().lt(a.born()));
    let found = rows(
        elder.select(|a| (a.name(), other.fields().name())).filter(|a| a.id().eq(2)).order_by(|_| other.fields().born().asc()),
        r#"SELECT t0."name", t1."name" FROM "author" AS t0 JOIN "author" AS t1 ON t1."born" < t0."born" WHERE t0."id" = $1::int8 ORDER BY t1."born""#,
    )
    .await;
    assert_eq!(found, [row("Ursula", "Mary"), row("Ursula", "Virginia")]);
    // What the other's own relations lead to is joined with it.
    let other = Alias::<Author>::new();
    let pupils = em.query::<Author>().left_join_with(&other, |a, other| other.mentor().name().eq(a.name()));
    let found = rows(
        pupils.select(|a| (a.id(), other.fields().id().nullable())).order_by(|a| a.id().asc()),
        r#"SELECT t0."id", t1."id" FROM "author" AS t0 LEFT JOIN ("author" AS t1 LEFT JOIN "author" AS t2 ON t2."id" = t1."mentor_id") ON t2."name" = t0."name" ORDER BY t0."id""#,
    )
    .await;
    assert_eq!(found, [(1, Some(2)), (2, Some(3)), (3, None), (4, None)]);
    let shelf = Alias::<Shelf>::new();
    assert_eq!(em.query::<Author>().cross_join(&shelf).select(|_| count()).one_or_fail().await.unwrap(), 8);
    // The numbers of aliases are nowhere: the same query is the same text.
    let stray = em.query::<Author>().filter(|_| shelf.fields().code().eq("sf")).await.unwrap_err();
    assert!(matches!(&stray, Error::Validation { entity: Some("Shelf"), .. }), "{stray}");
}

#[tokio::test]
async fn queries_are_joined_as_tables() {
    let fixture = shop().await;
    let em = fixture.em();
    let totals = em.query::<Book>().group_by(|b| b.author()).select(|b| (b.author(), b.pages().sum())).as_table();
    let (_, pages) = totals.columns();
    let query = em.query::<Author>().join_with(&totals, |a, (author, _)| a.id().eq(author));
    let found = rows(
        query.filter(|_| totals.columns().1.gt(400)).select(|a| (a.name(), pages)).order_by(|a| a.name().asc()),
        r#"SELECT t0."name", t1."c1" FROM "author" AS t0 JOIN (SELECT t2."author_id", (sum(t2."pages"))::int8 FROM "book" AS t2 GROUP BY t2."author_id") AS t1("c0", "c1") ON t0."id" = t1."c0" WHERE t1."c1" > $1::int8 ORDER BY t0."name""#,
    )
    .await;
    assert_eq!(found, [("Ursula".to_owned(), Some(621)), ("Virginia".to_owned(), Some(458))]);

    let (_, pages) = totals.columns::<Author>();
    let most = em.query_from::<Author, _>(&totals).select(|_| pages.max());
    let found = rows(most, r#"SELECT (max(t0."c1"))::int8 FROM (SELECT t1."author_id", (sum(t1."pages"))::int8 FROM "book" AS t1 GROUP BY t1."author_id") AS t0("c0", "c1")"#).await;
    assert_eq!(found, [Some(621)]);
}

#[tokio::test]
async fn lateral_queries_see_the_row() {
    let fixture = shop().await;
    let em = fixture.em();
    let author = em.query::<Author>();
    let longest = em
        .query::<Book>()
        .filter(|b| b.author().id().eq(Author::fields().id().outer()))
        .order_by(|b| b.pages().desc())
        .limit(1)
        .select(|b| (b.title(), b.pages()))
        .as_table();
    let (title, _) = longest.columns();
    let found = rows(
        author.left_join_lateral(&longest, |_, _| Condition::always()).select(|a| (a.name(), title.nullable())).order_by(|a| a.id().asc()),
        r#"SELECT t0."name", t1."c0" FROM "author" AS t0 LEFT JOIN LATERAL (SELECT t2."title", t2."pages" FROM "book" AS t2 WHERE t2."author_id" = t0."id" ORDER BY t2."pages" DESC LIMIT $1::int8) AS t1("c0", "c1") ON TRUE ORDER BY t0."id""#,
    )
    .await;
    let row = |name: &str, title: Option<&str>| (name.to_owned(), title.map(str::to_owned));
    assert_eq!(
        found,
        [
            row("Virginia", Some("The Waves")),
            row("Ursula", Some("The Dispossessed")),
            row("Naomi", Some("The Power")),
            row("Mary", None)
        ]
    );
}

#[tokio::test]
async fn queries_are_operands() {
    let fixture = shop().await;
    let em = fixture.em();
    let names = |query: QueryBuilder<Author>| query.select(|a| a.name()).order_by(|a| a.id().asc());
    let long = || em.query::<Book>().filter(|b| b.pages().gt(300));
    let found =
        rows(names(em.query::<Author>().filter(|a| a.id().is_in(long().select(|b| b.author().id())))), r#"SELECT t0."name" FROM "author" AS t0 WHERE t0."id" IN (SELECT t1."author_id" FROM "book" AS t1 WHERE t1."pages" > $1::int4) ORDER BY t0."id""#).await;
    assert_eq!(found, ["Virginia", "Ursula", "Naomi"]);
    // NULLs in the list do not make everything NULL.
    let mentors = em.query::<Author>().select(|a| a.mentor().id().nullable());
    let found = names(em.query::<Author>().filter(|a| a.id().not_in(mentors))).await.unwrap();
    assert_eq!(found, ["Naomi", "Mary"]);
    let own = long().filter(|b| b.author().id().eq(Author::fields().id().outer()));
    let found = rows(names(em.query::<Author>().filter(|_| exists(own.clone()).not())), r#"SELECT t0."name" FROM "author" AS t0 WHERE NOT ((EXISTS (SELECT 1 FROM "book" AS t1 WHERE t1."pages" > $1::int4 AND t1."author_id" = t0."id"))) ORDER BY t0."id""#).await;
    assert_eq!(found, ["Mary"]);
    let first = em.query::<Author>().select(|a| a.born().min());
    let found = rows(names(em.query::<Author>().filter(|a| a.born().eq(first))), r#"SELECT t0."name" FROM "author" AS t0 WHERE t0."born" = (SELECT min(t1."born") FROM "author" AS t1) ORDER BY t0."id""#).await;
    assert_eq!(found, ["Mary"]);
    // In a find, too, and inside of an expression.
    let most = em.query::<Book>().select(|b| b.pages().max());
    let found = em.find::<Book>().filter(|b| (b.pages().coalesce(0) + 17).gte(most)).count().await.unwrap();
    assert_eq!(found, 3);
}

#[tokio::test]
async fn common_table_expressions_stand_in_front() {
    let fixture = shop().await;
    let em = fixture.em();
    let long =
        em.query::<Book>().filter(|b| b.pages().gt(300)).select(|b| (b.author(), b.title())).as_cte("long_books");
    let long = long.materialized(true);
    let (_, title) = long.columns();
    let query = em.query::<Author>().join_with(&long, |a, (author, _)| a.id().eq(author));
    let found = rows(
        query.select(|a| (a.name(), title)).order_by(|a| a.id().asc()),
        r#"WITH "long_books"("c0", "c1") AS MATERIALIZED (SELECT t2."author_id", t2."title" FROM "book" AS t2 WHERE t2."pages" > $1::int4) SELECT t0."name", t1."c1" FROM "author" AS t0 JOIN "long_books" AS t1 ON t0."id" = t1."c0" ORDER BY t0."id""#,
    )
    .await;
    assert_eq!(found, [row("Virginia", "The Waves"), row("Ursula", "The Dispossessed"), row("Naomi", "The Power")]);

    let heads = em.query::<Author>().filter(|a| a.mentor().is_null()).select(|a| (a.id(), a.name()));
    let tree = heads.recursive("tree", |tree| {
        let (_, path) = tree.columns();
        em.query::<Author>()
            .join_with(tree, |a, (id, _)| a.mentor().id().eq(id))
            .select(|a| (a.id(), path.concat(" > ").concat(a.name())))
    });
    let (id, path) = tree.columns();
    let found = rows(
        em.query_from::<Author, _>(&tree).select(|_| path).order_by(|_| id.asc()),
        r#"WITH RECURSIVE "tree"("c0", "c1") AS ((SELECT t1."id"::int8, t1."name"::text FROM "author" AS t1 WHERE t1."mentor_id" IS NULL) UNION ALL (SELECT t2."id"::int8, (((t3."c1" || $1::text) || t2."name"))::text FROM "author" AS t2 JOIN "tree" AS t3 ON t2."mentor_id" = t3."c0")) SELECT t0."c1" FROM "tree" AS t0 ORDER BY t0."c0""#,
    )
    .await;
    assert_eq!(found, ["Virginia", "Virginia > Ursula", "Virginia > Ursula > Naomi", "Mary"]);

    let hides = em.query::<Book>().select(|b| b.id()).as_cte("author");
    let error = em.query_from::<Book, _>(&hides).select(|_| count()).await.unwrap_err();
    assert!(error.to_string().contains("would hide the table of Author"), "{error}");
}

#[tokio::test]
async fn rows_of_queries_are_combined() {
    let fixture = shop().await;
    let em = fixture.em();
    let long = || em.query::<Book>().filter(|b| b.pages().gt(300)).select(|b| b.author().name());
    let early = || em.query::<Author>().filter(|a| a.born().lt(1900)).select(|a| a.name());
    let query = long().union(early()).order_by_result(|name| name.desc()).limit(3);
    let found = rows(
        query,
        r#"(SELECT t2."name" FROM "book" AS t1 LEFT JOIN "author" AS t2 ON t2."id" = t1."author_id" WHERE t1."pages" > $1::int4) UNION (SELECT t3."name" FROM "author" AS t3 WHERE t3."born" < $2::int4) ORDER BY 1 DESC LIMIT $3::int8"#,
    )
    .await;
    assert_eq!(found, ["Virginia", "Ursula", "Naomi"]);
    assert_eq!(long().union_all(early()).count().await.unwrap(), 5);
    assert_eq!(long().intersect(early()).await.unwrap(), ["Virginia"]);
    assert_eq!(early().except(long()).await.unwrap(), ["Mary"]);
    assert_eq!(long().intersect_all(long()).count().await.unwrap(), 3);
    assert_eq!(long().except_all(early()).count().await.unwrap(), 2);
    // A union as a table, in a condition of a third query.
    let names = long().union(early()).as_table();
    let some = em.query::<Author>().join_with(&names, |a, name| a.name().eq(name)).filter(|a| a.id().lt(3));
    assert_eq!(some.count().await.unwrap(), 2);
    let refused = long().union(early()).filter(|b| b.id().eq(1)).await.unwrap_err();
    assert!(refused.to_string().contains("those of its parts"), "{refused}");
    let refused = long().union(early()).order_by(|b| b.id().asc()).await.unwrap_err();
    assert!(refused.to_string().contains("order_by_result()"), "{refused}");
}

#[tokio::test]
async fn windows_look_at_rows_around() {
    let fixture = shop().await;
    let em = fixture.em();
    let ranked = em.query::<Book>().select(|b| {
        (
            b.title(),
            row_number().over(|w| w.order_by(b.id().asc())),
            rank().over(|w| w.order_by(b.pages().desc())),
            dense_rank().over(|w| w.order_by(b.pages().desc())),
            b.pages().sum().over(|w| w.partition_by(b.author()).order_by(b.id().asc())),
            b.title().lag(1).over(|w| w.order_by(b.id().asc())),
            b.title().lead(1).over(|w| w.partition_by(b.author()).order_by(b.id().asc())),
        )
    });
    let found = ranked.order_by(|b| b.id().asc()).limit(2).await.unwrap();
    let (orlando, waves) = ("Orlando".to_owned(), "The Waves".to_owned());
    assert_eq!(found[0], (orlando.clone(), 1, 5, 4, Some(134), None, Some(waves.clone())));
    assert_eq!(found[1], (waves, 2, 3, 2, Some(458), Some(orlando), None));

    let moving = em.query::<Book>().select(|b| {
        let frame = (FrameBound::Preceding(1), FrameBound::CurrentRow);
        (
            b.pages().avg().over(|w| w.order_by(b.id().asc()).rows(frame.0, frame.1)),
            b.pages().first_value().over(|w| w.order_by(b.id().asc())),
            ntile(2).over(|w| w.order_by(b.id().asc())),
        )
    });
    let found = rows(
        moving.order_by(|b| b.id().asc()),
        r#"SELECT (avg(t0."pages") OVER (ORDER BY t0."id" ROWS BETWEEN 1 PRECEDING AND CURRENT ROW))::float8, (first_value(t0."pages") OVER (ORDER BY t0."id"))::int4, (ntile($1::int4) OVER (ORDER BY t0."id"))::int4 FROM "book" AS t0 ORDER BY t0."id""#,
    )
    .await;
    assert_eq!(found[1], (Some(229.0), Some(134), 1));
    assert_eq!(found[4], (Some(341.0), Some(134), 2));
}

#[tokio::test]
async fn distinct_on_takes_the_first_of_each() {
    let fixture = shop().await;
    let em = fixture.em();
    let query = em.query::<Book>().distinct_on(|b| b.author()).order_by(|b| (b.author().id().asc(), b.pages().desc()));
    let found = rows(
        query.select(|b| b.title()),
        r#"SELECT DISTINCT ON (t0."author_id") t0."title" FROM "book" AS t0 ORDER BY t0."author_id", t0."pages" DESC"#,
    )
    .await;
    assert_eq!(found, ["The Waves", "The Dispossessed", "The Power"]);
}

#[tokio::test]
async fn rows_are_locked_in_transactions() {
    let fixture = shop().await;
    let em = fixture.em();
    let locked =
        |em: &EntityManager| em.query::<Author>().filter(|a| a.id().eq(1)).lock(LockMode::PessimisticWriteOrFail);
    assert!(matches!(locked(&em).await.unwrap_err(), Error::TransactionRequired { .. }));
    assert!(matches!(locked(&em).count().await.unwrap_err(), Error::Validation { .. }));
    em.transactional(async |em| {
        assert_eq!(locked(&em).await?.len(), 1);
        let other = fixture.em();
        let refused = other.transactional(async |other| locked(&other).select(|a| a.id()).await).await;
        assert!(matches!(refused, Err(Error::LockNotAvailable { .. })));
        Ok::<_, Error>(())
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn the_sql_can_be_looked_at() {
    let fixture = shop().await;
    let em = fixture.em();
    let query = em.query::<Author>().filter(|a| a.name().eq("o'x").and(a.id().is_in([1, 2])));
    let sql = query.select(|a| a.id()).limit(3).to_sql().unwrap();
    let values: Vec<String> = sql.parameters.iter().map(ToString::to_string).collect();
    assert_eq!(values, ["o'x", "{\"1\",\"2\"}", "3"]);
    assert_eq!(sql.parameters[1].type_name, "int8[]");
    assert!(!sql.text.contains("o'x"));
    assert!(fixture.log.take().is_empty());
    // And so can the rows.
    let rows = em.query::<Book>().filter(|b| b.id().eq(3)).rows().await.unwrap();
    assert_eq!(rows[0].get::<String>("title").unwrap(), "Lavinia");
    let rows = em.query::<Book>().select(|b| b.pages().sum()).rows().await.unwrap();
    assert_eq!(rows[0].get::<i64>("sum").unwrap(), 1420);
}

#[tokio::test]
async fn conditions_bring_their_common_table_expressions_along() {
    let fixture = shop().await;
    let em = fixture.em();
    let long = em.query::<Book>().filter(|b| b.pages().gt(300)).select(|b| b.author().id()).as_cte("long_books");
    let condition = || Author::fields().id().is_in(em.query_from::<Book, _>(&long).select(|_| long.columns()));
    let find = |em: &EntityManager| em.find::<Author>().filter(|_| condition()).order_by(|a| a.id().asc());
    let expected = [1, 2, 3];
    let ids = |found: Vec<Managed<Author>>| found.iter().map(Managed::id).collect::<Vec<_>>();
    assert_eq!(ids(find(&em).await.unwrap()), expected);
    assert_eq!(find(&em).count().await.unwrap(), 3);
    assert!(find(&em).exists().await.unwrap());
    for strategy in [LoadStrategy::Balanced, LoadStrategy::SelectIn, LoadStrategy::Joined, LoadStrategy::Pipelined] {
        let em = fixture.em();
        let found = find(&em).populate(|a| a.books().tags()).strategy(strategy).limit(2).await.unwrap();
        assert_eq!(found[1].read().books.len().unwrap(), 2, "{strategy:?}");
        assert_eq!(ids(found), expected[..2], "{strategy:?}");
    }
    let page = find(&fixture.em()).cursor().first(2).await.unwrap();
    assert_eq!((ids(page.items), page.has_next_page), (vec![1, 2], true));
    let update = em.native_update::<Author>().filter(|_| condition()).filter(|a| a.mentor().name().eq("Virginia"));
    assert_eq!(update.set(|a| a.born(), 1).returning(|a| a.id()).await.unwrap(), [2]);
}
