//! The types of the columns of sub-queries and common table expressions: an enum stays one, with its order, and so does every
//! type that was given by hand.

use crate::support::Fixture;
use howdah::functions::{count, value};
use howdah::prelude::*;
use howdah::{Alias, Subquery};

/// Declared in an order that is not that of the alphabet.
#[derive(DbEnum, Clone, Copy, Debug, PartialEq)]
#[db_enum(native, rename_all = "snake_case")]
enum State {
    Waiting,
    Running,
    Done,
    Abandoned,
}

#[derive(Entity, Clone, Debug)]
struct Job {
    #[primary_key]
    id: i64,
    state: State,
    before: Option<State>,
    seen: Vec<State>,
    #[property(sql_type = "inet")]
    host: String,
    #[property(precision = 6, scale = 2)]
    cost: f64,
    #[property(sql_type = "json")]
    notes: serde_json::Value,
    #[many_to_one]
    after: Option<Ref<Job>>,
}

#[derive(Entity, Clone, Debug)]
struct Report {
    #[primary_key]
    id: i64,
    state: State,
    #[property(precision = 6, scale = 2)]
    cost: f64,
}

async fn jobs() -> Fixture {
    let fixture = Fixture::new(entities![Job, Report]).await;
    let sql = "INSERT INTO job (id, state, before, seen, host, cost, notes, after_id) OVERRIDING SYSTEM VALUE VALUES
            (1, 'done', 'running', '{waiting,running}', '10.0.0.1', 10.1, '{\"a\": 1}', NULL);
        INSERT INTO job (id, state, before, seen, host, cost, notes, after_id) OVERRIDING SYSTEM VALUE VALUES
            (2, 'running', NULL, '{waiting}', '10.0.0.20', 0.3, '{\"a\": 1}', 1),
            (3, 'abandoned', 'waiting', '{}', '10.0.0.3', 5, '{\"a\": 2}', 2)";
    fixture.database.execute(sql).await.unwrap();
    fixture.forget();
    fixture
}

use State::{Abandoned, Done, Running, Waiting};

/// In the order of the declaration, however that is said.
#[tokio::test]
async fn enums_that_are_selected_once_are_ordered_as_enums() {
    let fixture = jobs().await;
    let em = fixture.em();
    let states = || em.query::<Job>().distinct().select(|j| (j.state(), j.cost()));
    let expected = [(Abandoned, 5.0), (Done, 10.1), (Running, 0.3)];
    assert_eq!(states().order_by(|j| j.state().desc()).await.unwrap(), expected);
    assert_eq!(states().order_by_result(|(state, _)| state.desc()).await.unwrap(), expected);
    let costs = states().order_by(|j| (j.cost().asc(), j.state().asc())).limit(2);
    assert_eq!(costs.await.unwrap(), [(Running, 0.3), (Abandoned, 5.0)]);
}

#[tokio::test]
async fn enums_of_derived_tables_are_enums() {
    let fixture = jobs().await;
    let em = fixture.em();
    let all = em.query::<Job>().select(|j| (j.id(), j.state(), j.before(), j.seen()));
    for table in [
        all.clone().as_table(),
        all.as_cte("jobs"),
        em.query::<Job>().select(|j| (j.id(), j.state(), j.before(), j.seen())).recursive("more", |more| {
            let (_, state, before, seen) = more.columns();
            em.query::<Job>()
                .join_with(more, |j, (id, ..)| j.id().eq(id + 100))
                .select(|j| (j.id(), state, before, seen))
        }),
    ] {
        let (id, state, before, seen) = table.columns::<Job>();
        let rows = || em.query_from::<Job, _>(&table);
        // By the order of the type, read as what they are.
        let ordered = rows().select(|_| (id.clone(), state.clone(), before.clone(), seen.clone()));
        let ordered = ordered.order_by(|_| state.desc()).await.unwrap();
        let expected = [
            (3, Abandoned, Some(Waiting), vec![]),
            (1, Done, Some(Running), vec![Waiting, Running]),
            (2, Running, None, vec![Waiting]),
        ];
        assert_eq!(ordered, expected);
        // Compared with values, lists, columns of entities and with each other.
        let ids =
            async |query: howdah::QueryBuilder<Job>| query.select(|_| id.clone()).order_by(|_| id.asc()).await.unwrap();
        assert_eq!(ids(rows().filter(|_| state.eq(Done))).await, [1]);
        assert_eq!(ids(rows().filter(|_| state.lt(Abandoned).and(state.gt(Running)))).await, [1]);
        assert_eq!(ids(rows().filter(|_| state.is_in([Running, Abandoned]))).await, [2, 3]);
        assert_eq!(ids(rows().filter(|_| state.between(Running, Done))).await, [1, 2]);
        assert_eq!(ids(rows().filter(|_| before.lt(state.clone()))).await, [1, 3]);
        assert_eq!(ids(rows().filter(|_| before.coalesce(Done).eq(Done))).await, [2]);
        assert_eq!(ids(rows().filter(|_| seen.contains(Running))).await, [1]);
        let joined = em.query::<Job>().join_with(&table, |j, (_, state, ..)| j.before().eq(state));
        assert_eq!(joined.select(|j| (j.id(), id.clone())).await.unwrap(), [(1, 2)]);
        let most = rows().select(|_| (state.max(), state.min(), count())).one_or_fail().await.unwrap();
        assert_eq!(most, (Some(Abandoned), Some(Running), 3));
        // As operands, and of operands.
        let states = rows().filter(|_| id.lt(3)).select(|_| state.clone());
        assert_eq!(em.find::<Job>().filter(|j| j.state().is_in(states)).count().await.unwrap(), 2);
        let first = Subquery::of::<Job>().filter(|j| j.id().eq(2)).select(|j| j.state());
        assert_eq!(ids(rows().filter(|_| state.eq(first))).await, [2]);
        let first = em.query::<Job>().filter(|j| j.id().eq(2)).select(|j| j.state());
        assert_eq!(ids(rows().filter(|_| state.eq(first))).await, [2]);
    }
}

#[tokio::test]
async fn types_given_by_hand_are_kept() {
    let fixture = jobs().await;
    let em = fixture.em();
    let hosts = em.query::<Job>().select(|j| (j.host(), j.cost(), j.notes())).as_table();
    let (host, cost, notes) = hosts.columns();
    let other = Alias::<Job>::new();
    let query = em.query_from::<Job, _>(&hosts).join_with(&other, |_, other| other.host().eq(host.clone()));
    let query = query.select(|_| (other.fields().id(), host.clone(), cost.clone(), notes.clone()));
    let sql = r#"SELECT t1."id", (t0."c0")::text, (t0."c1")::float8, (t0."c2")::jsonb FROM (SELECT t2."host", t2."cost", t2."notes" FROM "job" AS t2) AS t0("c0", "c1", "c2") JOIN "job" AS t1 ON t1."host" = t0."c0" WHERE t0."c0" = $1::text::inet ORDER BY t0."c0""#;
    let found = query.filter(|_| host.eq("10.0.0.3")).order_by(|_| host.asc());
    assert_eq!(found.to_sql().unwrap().text, sql);
    assert_eq!(found.await.unwrap(), [(3, "10.0.0.3/32".to_owned(), 5.0, serde_json::json!({ "a": 2 }))]);
    // Addresses are ordered as such, and not as text.
    let ordered = em.query_from::<Job, _>(&hosts).select(|_| host.clone()).order_by(|_| host.asc()).await.unwrap();
    assert_eq!(ordered, ["10.0.0.1/32", "10.0.0.3/32", "10.0.0.20/32"]);
    // What has no equality is distinct as what it is read as.
    let distinct = em.query::<Job>().select(|j| j.notes()).distinct().as_table();
    assert_eq!(em.query_from::<Job, _>(&distinct).select(|_| count()).await.unwrap(), [2]);
    let notes = || em.query::<Job>().select(|j| j.notes());
    assert_eq!(notes().union(notes()).await.unwrap().len(), 2);
    let cost: Vec<f64> = em.query::<Job>().select(|j| j.cost()).order_by_result(|cost| cost.asc()).await.unwrap();
    assert_eq!(cost, [0.3, 5.0, 10.1]);
}

#[tokio::test]
async fn unions_of_enums_are_enums() {
    let fixture = jobs().await;
    let em = fixture.em();
    let states = || em.query::<Job>().select(|j| (j.state(), j.id()));
    let values = || em.query::<Job>().limit(1).select(|_| (value(Waiting), value(0_i64)));
    let order =
        |query: howdah::QueryBuilder<Job, (State, i64)>| query.order_by_result(|(state, id)| (state.asc(), id.asc()));
    let expected = [(Waiting, 0), (Running, 2), (Done, 1), (Abandoned, 3)];
    // Ordered by the type, on either side of the union, and in a table of it.
    for union in [states().union(values()), values().union_all(states()), values().union(states()).union(states())] {
        assert_eq!(order(union.clone()).await.unwrap(), expected);
        assert_eq!(order(union.clone()).limit(2).offset(1).await.unwrap(), expected[1..3]);
        assert_eq!(order(union.clone()).count().await.unwrap(), 4);
        let table = union.as_cte("states");
        let (state, id) = table.columns();
        let rows = em.query_from::<Job, _>(&table).filter(|_| state.gte(Running)).select(|_| (state.clone(), id));
        assert_eq!(rows.order_by(|_| state.asc()).await.unwrap(), expected[1..]);
    }
    let sql = order(states().union(values())).to_sql().unwrap().text;
    let expected_sql = r#"SELECT q."c0"::text, q."c1" FROM ((SELECT t1."state", t1."id" FROM "job" AS t1) UNION (SELECT ($1::text)::"state", $2::int8 FROM "job" AS t2 LIMIT $3::int8)) AS q("c0", "c1") ORDER BY q."c0", q."c1""#;
    assert_eq!(sql, expected_sql);
    // Without an order, and of one query.
    assert_eq!(states().intersect(states()).await.unwrap().len(), 3);
    let single = states().order_by_result(|(state, _)| state.desc()).limit(1);
    assert_eq!(single.await.unwrap(), [(Abandoned, 3)]);
    let distinct = states().distinct().order_by_result(|(state, _)| state.desc()).limit(1);
    assert_eq!(distinct.await.unwrap(), [(Abandoned, 3)]);
    let grouped = em.query::<Job>().group_by(|j| j.state()).select(|j| (j.state(), j.id().count()));
    assert_eq!(
        grouped.order_by_result(|(state, _)| state.asc()).await.unwrap(),
        [(Running, 1), (Done, 1), (Abandoned, 1)]
    );
}

#[tokio::test]
async fn recursive_queries_pass_enums_on() {
    let fixture = jobs().await;
    let em = fixture.em();
    let first = em.query::<Job>().filter(|j| j.after().is_null()).select(|j| (j.id(), j.state(), value(Waiting)));
    let chain = first.recursive("chain", |chain| {
        let (_, state, _) = chain.columns();
        em.query::<Job>().join_with(chain, |j, (id, ..)| j.after().id().eq(id)).select(|j| (j.id(), j.state(), state))
    });
    let (id, state, previous) = chain.columns::<Job>();
    let rows =
        em.query_from::<Job, _>(&chain).filter(|_| state.gt(previous.clone())).select(|_| (id, previous.clone()));
    assert_eq!(rows.order_by(|_| previous.asc()).await.unwrap(), [(1, Waiting), (3, Running)]);
}

#[tokio::test]
async fn they_are_inserted_as_what_they_are() {
    let fixture = jobs().await;
    let em = fixture.em();
    let table = em.query::<Job>().filter(|j| j.id().lt(3)).select(|j| (j.state(), j.cost())).as_table();
    let (state, cost) = table.columns();
    let rows = em.query_from::<Job, _>(&table).select(|_| (state, cost)).order_by_result(|(_, cost)| cost.asc());
    let insert = rows.insert_into::<Report, _>(|r| (r.state(), r.cost()));
    fixture.forget();
    assert_eq!(insert.returning(|r| (r.state(), r.cost())).await.unwrap(), [(Running, 0.3), (Done, 10.1)]);
    let statements = fixture.statements();
    assert!(!statements[0].split("RETURNING").next().unwrap().contains("::text"), "{statements:?}");
}
