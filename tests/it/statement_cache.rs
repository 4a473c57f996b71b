//! Prepared statements: how many there are, and what becomes of them when a table is altered (rule E7).

use crate::library::*;
use crate::support::Fixture;
use howdah::prelude::*;

#[derive(Entity, Clone, Debug)]
pub struct Memo {
    #[primary_key]
    pub id: i64,
    pub text: String,
    #[property(default_sql = "'draft'")]
    pub status: String,
}

#[derive(Entity, Clone, Debug)]
pub struct Remark {
    #[primary_key]
    pub id: i64,
    #[property(default_sql = "'draft'")]
    pub status: String,
    #[many_to_one]
    pub memo: Ref<Memo>,
}

/// The texts of the prepared statements of the transaction's connection.
async fn prepared(em: &EntityManager) -> Vec<String> {
    let sql = "SELECT statement FROM pg_prepared_statements ORDER BY prepare_time";
    em.sql(sql, &[]).map_to::<String>().await.unwrap()
}

async fn one_connection(cache: usize) -> Fixture {
    Fixture::with(library(), |builder| builder.max_connections(1).statement_cache_size(cache)).await
}

#[tokio::test]
async fn the_cache_is_bounded_and_the_least_recently_used_statement_goes() {
    // E7
    let fixture = one_connection(3).await;
    let em = fixture.em();
    em.count::<Author>(()).await.unwrap();
    em.count::<Tag>(()).await.unwrap();
    em.count::<Author>(()).await.unwrap();
    em.count::<Shelf>(()).await.unwrap();
    let first = prepared(&em).await;
    assert_eq!(first.len(), 2, "{first:#?}");
    assert!(
        first.iter().any(|text| text.contains("\"author\"")) && first.iter().any(|text| text.contains("\"shelf\""))
    );
    // The question itself has taken the place of the third.
    let second = prepared(&em).await;
    assert_eq!(second.len(), 3, "{second:#?}");
    assert!(second.iter().any(|text| text.contains("pg_prepared_statements")));
    for _ in 0..3 {
        em.find::<Tag>().await.unwrap();
        em.find::<Author>().await.unwrap();
        em.find::<Shelf>().await.unwrap();
    }
    assert_eq!(prepared(&em).await.len(), 2, "without the question, which was forgotten meanwhile");
}

#[tokio::test]
async fn without_prepared_statements_there_are_none() {
    let fixture = Fixture::with(library(), |builder| builder.max_connections(1).prepared_statements(false)).await;
    let em = fixture.em();
    for name in ["Ada", "Charles", "Mary"] {
        let author = em.persist(NewAuthor { name: name.into() });
        let summary = em.flush().await.unwrap();
        assert_eq!(summary.round_trips, 1);
        assert!(author.id() > 0);
        em.find::<Author>().filter(|author| author.name().eq(name)).await.unwrap();
    }
    assert_eq!(prepared(&em).await, Vec::<String>::new());
}

#[tokio::test]
async fn outside_of_a_transaction_an_outdated_plan_is_made_anew() {
    // E7: reads; a flush of one statement; a flush of several.
    let fixture = Fixture::with(entities![Memo, Remark], |builder| builder.max_connections(2)).await;
    let em = fixture.em();
    let add = async |remarks: usize| {
        let memo = em.persist(NewMemo { text: "Hello".into() });
        for _ in 0..remarks {
            em.persist(NewRemark { memo: memo.to_ref() });
        }
        em.flush().await.unwrap();
        assert_eq!(memo.read().status, "draft");
    };
    let read = async || fixture.em().find::<Memo>().await.unwrap().len();
    let mut memos = 0;
    for length in [40, 50] {
        for _ in 0..3 {
            add(0).await;
            add(2).await;
            memos += 2;
            assert_eq!(read().await, memos);
        }
        for table in ["memo", "remark"] {
            let sql = format!("ALTER TABLE {table} ALTER COLUMN status TYPE varchar({length})");
            fixture.database.execute(&sql).await.unwrap();
        }
        if length == 40 {
            assert_eq!(read().await, memos);
            fixture.forget();
            assert_eq!(read().await, memos);
            assert_eq!(fixture.log.round_trips(), 1, "it is prepared again");
            add(2).await;
        } else {
            add(2).await;
            add(0).await;
            memos += 1;
        }
        memos += 1;
    }
    assert_eq!(read().await, memos);
    assert_eq!(fixture.rows("SELECT count(*) FROM memo").await, [memos.to_string()]);
    assert_eq!(fixture.rows("SELECT count(*) FROM remark").await, ["16"]);
}

#[tokio::test]
async fn inside_a_transaction_the_error_says_what_to_do() {
    // E7, D5: the transaction has failed; run again, it succeeds, by itself with retries().
    let fixture = Fixture::with(library(), |builder| builder.max_connections(2)).await;
    let em = fixture.em();
    let find = async |em: EntityManager| {
        em.find::<Shelf>().await?;
        em.find::<Shelf>().await.map(|_| ())
    };
    for length in [40, 50] {
        em.transactional(find).await.unwrap();
        em.transactional(find).await.unwrap();
        let sql = format!("ALTER TABLE shelf ALTER COLUMN code TYPE varchar({length})");
        fixture.database.execute(&sql).await.unwrap();
        if length == 40 {
            let error = em.transactional(find).await.unwrap_err();
            assert!(matches!(error, Error::PlanOutdated { .. }), "{error}");
            assert!(error.is_retryable() && error.to_string().contains("run it again"), "{error}");
            assert_eq!(error.sqlstate(), Some("0A000"));
            em.transactional(find).await.unwrap();
        } else {
            em.transaction().retries(1).run(find).await.unwrap();
        }
    }
    assert_eq!(fixture.open_transactions().await, 0);
}

#[tokio::test]
async fn a_transaction_that_only_flushes_is_run_again_by_itself() {
    // E7: nothing is lost with it.
    let fixture = Fixture::with(entities![Memo, Remark], |builder| builder.max_connections(1)).await;
    let em = fixture.em();
    let write = async |em: EntityManager| {
        let memo = em.persist(NewMemo { text: "Hello".into() });
        em.persist([NewRemark { memo: memo.to_ref() }, NewRemark { memo: memo.to_ref() }]);
        Ok::<_, Error>(memo)
    };
    for _ in 0..3 {
        em.transactional(write).await.unwrap();
    }
    fixture.database.execute("ALTER TABLE memo ALTER COLUMN status TYPE varchar(40)").await.unwrap();
    fixture.forget();
    let memo = em.transactional(write).await.unwrap();
    assert_eq!(memo.read().status, "draft");
    assert_eq!(fixture.log.statements().iter().filter(|text| *text == "COMMIT").count(), 2);
    assert_eq!(fixture.rows("SELECT count(*) FROM remark").await, ["8"]);

    // One that has read something is told.
    for _ in 0..2 {
        em.transactional(write).await.unwrap();
    }
    fixture.database.execute("ALTER TABLE memo ALTER COLUMN status TYPE varchar(50)").await.unwrap();
    let error = em.transactional(async |em| {
        em.count::<Remark>(()).await?;
        write(em).await
    });
    let error = error.await.unwrap_err();
    assert!(matches!(error, Error::PlanOutdated { .. }), "{error}");
    assert_eq!(fixture.rows("SELECT count(*) FROM remark").await, ["12"]);
}
