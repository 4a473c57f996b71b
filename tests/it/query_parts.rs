//! Queries as parts of others: what each says of filters, locks, common table expressions in every statement.

use crate::library::*;
use crate::support::Fixture;
use howdah::functions::{count, exists};
use howdah::prelude::*;
use howdah::{Error, Filter, LoadStrategy, LockMode, QueryBuilder};

/// Two readers of two tenants, each with a note that is published and one that is not.
#[derive(Entity, Clone, Debug)]
#[filter(name = "tenant", condition = |r, tenant: i64| r.tenant().eq(tenant))]
struct Reader {
    #[primary_key(assigned)]
    id: i64,
    tenant: i64,
    #[one_to_many(mapped_by = reader)]
    notes: Collection<Remark>,
}

#[derive(Entity, Clone, Debug)]
#[filter(name = "tenant", condition = |r, tenant: i64| r.tenant().eq(tenant))]
#[filter(name = "published", condition = |r| r.published().eq(true), default = false)]
struct Remark {
    #[primary_key(assigned)]
    id: i64,
    tenant: i64,
    published: bool,
    #[many_to_one(inversed_by = notes)]
    reader: Ref<Reader>,
}

async fn remarks() -> (Fixture, EntityManager) {
    let fixture = Fixture::new(entities![Reader, Remark]).await;
    let sql = "INSERT INTO reader (id, tenant) VALUES (1, 1), (2, 2);
        INSERT INTO remark (id, tenant, published, reader_id) VALUES
            (10, 1, true, 1), (11, 1, false, 1), (20, 2, true, 2), (21, 2, false, 2)";
    fixture.database.execute(sql).await.unwrap();
    fixture.forget();
    let em = fixture.em();
    em.set_filter_params("tenant", 1_i64);
    (fixture, em)
}

async fn ids(query: QueryBuilder<Remark, i64>) -> Vec<i64> {
    let mut ids = query.await.unwrap();
    ids.sort_unstable();
    ids
}

/// What a query says of filters holds wherever it becomes a part of another one, and only there.
#[tokio::test]
async fn a_part_has_the_filters_that_it_says() {
    let (_fixture, em) = remarks().await;
    let remarks = || em.query::<Remark>().select(|r| r.id());
    let published = || remarks().with_filter("published", ());
    let of_two = || remarks().with_filter("tenant", 2_i64);

    assert_eq!(ids(remarks().filter(|r| r.id().is_in(published()))).await, [10]);
    assert_eq!(ids(remarks().filter(|r| r.id().not_in(published()))).await, [11]);
    assert!(ids(remarks().filter(|r| r.id().is_in(of_two()))).await.is_empty());
    let own = em.query::<Remark>().filter(|r| r.id().eq(11)).with_filter("published", ());
    assert!(ids(remarks().filter(|_| exists(own))).await.is_empty());
    let found = em.find::<Remark>().filter(|r| r.id().is_in(published())).await.unwrap();
    assert_eq!(found.iter().map(Managed::id).collect::<Vec<_>>(), [10]);
    // What the query around it says holds for the part, too, which has the last word.
    assert_eq!(ids(of_two().filter(|r| r.id().is_in(published()))).await, [20]);
    assert_eq!(ids(remarks().without_filters().filter(|r| r.id().is_in(of_two()))).await, [20, 21]);
    assert_eq!(ids(remarks().without_filters().filter(|r| r.id().is_in(published()))).await, [10, 20]);

    assert_eq!(ids(remarks().union(of_two())).await, [10, 11, 20, 21]);
    assert_eq!(ids(of_two().union(remarks())).await, [10, 11, 20, 21]);
    assert_eq!(ids(published().union(of_two()).with_filter("published", ())).await, [10, 20]);
    assert_eq!(ids(of_two().except(published().with_filter("tenant", 2_i64)).union(published())).await, [10, 21]);

    let table = of_two().as_table();
    let id = table.columns::<Remark>();
    assert_eq!(ids(em.query_from::<Remark, _>(&table).select(|_| id)).await, [20, 21]);
    let cte = published().as_cte("published_remarks");
    let id = cte.columns::<Remark>();
    let joined = em.query::<Remark>().without_filters().join_with(&cte, |r, id| r.id().gte(id));
    assert_eq!(ids(joined.select(|_| id)).await, [10, 10, 10, 10, 20, 20]);
    let tree = remarks().filter(|r| r.id().eq(10)).recursive_distinct("tree", |tree| {
        let next = em.query::<Remark>().with_filter("tenant", 2_i64).with_filter("published", ());
        next.join_with(tree, |r, id| r.id().gt(id)).select(|r| r.id())
    });
    let id = tree.columns::<Remark>();
    assert_eq!(ids(em.query_from::<Remark, _>(&tree).select(|_| id)).await, [10, 20]);
}

#[tokio::test]
async fn what_is_said_of_a_whole_statement_is_refused_of_a_part() {
    let (fixture, em) = remarks().await;
    let part = || em.find::<Remark>().schema("archive").select(|r| r.id());
    let ids = || em.query::<Remark>().select(|r| r.id());
    let table = part().as_table();
    let refused = [
        ids().filter(|r| r.id().is_in(part())).await.unwrap_err(),
        ids().union(em.find::<Remark>().comment("why").select(|r| r.id())).await.unwrap_err(),
        em.query_from::<Remark, _>(&table).select(|_| count()).await.unwrap_err(),
        ids()
            .filter(|r| r.id().is_in(em.find::<Remark>().populate(|r| r.reader()).select(|r| r.id())))
            .await
            .unwrap_err(),
        em.query_from::<Remark, _>(&em.find::<Remark>().populate(|r| r.reader()).select(|r| r.id()).as_cte("c"))
            .select(|_| count())
            .await
            .unwrap_err(),
        ids().filter(|r| r.id().is_in(ids().with_filter("nothing", ()))).await.unwrap_err(),
    ];
    for error in refused {
        assert!(matches!(error, Error::Validation { .. }), "{error}");
    }
    em.add_filter(Filter::new::<Reader>("odd", |r| {
        let all = Subquery::of::<Remark>().select(|r| r.reader().id());
        r.id().is_in(all)
    }));
    // The condition of a filter sees all rows.
    assert_eq!(em.query::<Reader>().without_filter("tenant").count().await.unwrap(), 2);
    assert_eq!(fixture.statements().len(), 1);
}

/// Orlando has 134 pages, The Waves 324, both by Virginia (1); Lavinia 280, by Ursula (2).
async fn books() -> Fixture {
    let fixture = Fixture::new(library()).await;
    let sql =
        "INSERT INTO author (id, name) OVERRIDING SYSTEM VALUE VALUES (1, 'Virginia'), (2, 'Ursula'), (3, 'Mary');
        INSERT INTO book (id, title, pages, version, author_id) OVERRIDING SYSTEM VALUE VALUES
            (1, 'Orlando', 134, 1, 1), (2, 'The Waves', 324, 1, 1), (3, 'Lavinia', 280, 1, 2);
        INSERT INTO tag VALUES ('00000000-0000-7000-8000-000000000001', 'novel');
        INSERT INTO book_tags (book_id, tag_id) SELECT 3, id FROM tag";
    fixture.database.execute(sql).await.unwrap();
    fixture.forget();
    fixture
}

fn names(authors: &[Managed<Author>]) -> Vec<String> {
    authors.iter().map(|author| author.read().name.clone()).collect()
}

/// A common table expression stands in front of whatever statement uses it, with its values.
#[tokio::test]
async fn common_table_expressions_are_part_of_every_statement() {
    let fixture = books().await;
    let em = fixture.em();
    for name in ["long_books", "u", "p0", "s"] {
        let long = em.query::<Book>().filter(|b| b.pages().gt(300)).select(|b| b.author().id()).as_cte(name);
        let authors = || {
            let author = long.columns::<Book>();
            em.query_from::<Book, _>(&long).select(|_| author)
        };
        let found = || em.find::<Author>().filter(|a| a.id().is_in(authors())).order_by(|a| a.name().asc());
        assert_eq!(names(&found().await.unwrap()), ["Virginia"], "{name}");
        assert_eq!(found().count().await.unwrap(), 1);
        assert!(found().exists().await.unwrap());
        assert_eq!(found().find_and_count().await.unwrap().1, 1);
        assert_eq!(found().cursor().first(1).await.unwrap().items.len(), 1);
        let other = em.find::<Author>().filter(|a| a.id().not_in(authors()) & a.books().tags().name().eq("novel"));
        for strategy in [LoadStrategy::Balanced, LoadStrategy::Joined, LoadStrategy::Pipelined, LoadStrategy::SelectIn]
        {
            let em = fixture.em();
            let find = em.find::<Author>().filter(|a| a.id().is_in(authors())).populate(|a| a.books());
            let found = find.strategy(strategy).await.unwrap();
            assert_eq!(found[0].read().books.items().unwrap().len(), 2, "{strategy:?}");
            let find = em.find::<Author>().order_by(|a| a.id().asc());
            let find = find.populate(|a| a.books().with(|books| books.filter(|b| b.author().id().is_in(authors()))));
            let found = find.strategy(strategy).await.unwrap();
            let counts: Vec<usize> = found.iter().map(|a| a.read().books.items().unwrap().len()).collect();
            assert_eq!(counts, [2, 0, 0], "{strategy:?}");
        }
        assert_eq!(names(&other.await.unwrap()), ["Ursula"]);

        // What needs joins is written a second time, with the values of the first.
        let update =
            em.native_update::<Book>().filter(|b| b.author().id().is_in(authors()) & b.author().name().eq("Virginia"));
        assert_eq!(update.set(|b| b.pages(), b().pages() + 1).await.unwrap(), 2);
        let mary = em.upsert(NewAuthor { name: "Mary".into() }.with(|a| a.born = Some(1797))).on_conflict(|a| a.name());
        let mary = mary.r#where(|a| a.id().not_in(authors())).await.unwrap();
        assert_eq!(mary.read().born, Some(1797));
        em.transactional(async |em| {
            let written = em.native_update::<Author>().filter(|a| a.id().is_in(authors())).set(|a| a.born(), 1882);
            assert_eq!(names(&written.returning_entities().await?), ["Virginia"]);
            let author = long.columns::<Book>();
            let joined = em.query::<Book>().join_with(&long, |b, author| b.author().id().eq(author));
            assert_eq!(joined.filter(|_| author.gt(0)).delete().await?, 2);
            Err::<(), Error>(Error::TransactionRollbackOnly)
        })
        .await
        .unwrap_err();
    }
    assert_eq!(fixture.rows("SELECT id, pages FROM book ORDER BY id").await, ["1|138", "2|328", "3|280"]);
}

fn b() -> BookFields<Book> {
    Book::fields()
}

/// The condition of a filter may use one, too.
#[tokio::test]
async fn a_filter_may_use_a_common_table_expression() {
    let fixture = books().await;
    let em = fixture.em();
    let long = em.query::<Book>().filter(|b| b.pages().gt(300)).select(|b| b.author().id()).as_cte("long_books");
    let source = em.clone();
    em.add_filter(Filter::new::<Author>("prolific", move |a| {
        let author = long.columns::<Book>();
        a.id().is_in(source.query_from::<Book, _>(&long).select(|_| author))
    }));
    assert_eq!(names(&em.find_all::<Author>().await.unwrap()), ["Virginia"]);
    assert!(em.find_one::<Author>(1, ["books"]).await.unwrap().is_some());
    assert!(em.find_one::<Author>(2, ()).await.unwrap().is_none());
    let book = em.find_one_or_fail::<Book>(3, ["author"]).await.unwrap();
    assert!(book.read().author.get().is_err());
    let plain = em.sql("SELECT * FROM author WHERE id = ?", &[&1_i64]).into_entities::<Author>();
    assert_eq!(names(&plain.await.unwrap()), ["Virginia"]);
    assert_eq!(em.native_delete::<Author>().filter(|a| a.name().eq("Mary")).await.unwrap(), 0);
}

/// A part is locked where it stands: the next of a queue that nobody else is working on.
#[tokio::test]
async fn a_part_that_is_locked_skips_what_others_have_locked() {
    let fixture = books().await;
    let next = |em: &EntityManager| {
        let free = em.query::<Book>().order_by(|b| b.id().asc()).limit(1).lock(LockMode::PessimisticPartialWrite);
        em.native_update::<Book>().filter(|b| b.id().is_in(free.select(|b| b.id()))).set(|b| b.pages(), 1)
    };
    let (one, other) = (fixture.em(), fixture.em());
    one.begin().await.unwrap();
    assert_eq!(next(&one).returning(|b| b.id()).await.unwrap(), [1]);
    assert!(fixture.statements()[0].contains("FOR UPDATE OF t1 SKIP LOCKED"));
    assert_eq!(next(&other).returning(|b| b.id()).await.unwrap(), [2]);
    one.rollback().await.unwrap();
    assert_eq!(next(&other).returning(|b| b.id()).await.unwrap(), [1]);
    let ids = || other.query::<Book>().select(|b| b.id());
    let refused = ids().union(ids().lock(LockMode::PessimisticWrite)).await.unwrap_err();
    assert!(matches!(refused, Error::Validation { .. }), "{refused}");
}

#[tokio::test]
async fn rows_of_another_schema_go_into_the_table_of_the_entity() {
    let fixture = books().await;
    let sql =
        "CREATE SCHEMA archive; CREATE TABLE archive.author AS SELECT 9::bigint AS id, 'Mary' AS name, 1797 AS born, \
               NULL::bigint AS mentor_id UNION ALL SELECT 10, 'Emily', 1818, NULL;
               ALTER TABLE author ALTER id RESTART WITH 100";
    fixture.database.execute(sql).await.unwrap();
    let em = fixture.em();
    let old = em.find::<Author>().schema("archive").select(|a| (a.name(), a.born()));
    let insert = old.insert_into::<Author, _>(|a| (a.name(), a.born())).on_conflict(|a| a.name());
    assert_eq!(insert.returning_entities().await.unwrap().len(), 2);
    assert_eq!(
        fixture.rows("SELECT name, born FROM author ORDER BY name").await,
        ["Emily|1818", "Mary|1797", "Ursula|~", "Virginia|~"]
    );
    assert_eq!(fixture.rows("SELECT count(*) FROM archive.author").await, ["2"]);
}
