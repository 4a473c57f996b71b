//! Rule C2, the first time: whether keys come in the order of the rows is known from the catalog before rows are inserted.

use super::*;

/// Reads something, and inserts several authors at the end.
async fn read_and_insert(em: &EntityManager, names: [&str; 3]) -> Result<(), Error> {
    em.transactional(async |em| {
        em.count::<Author>(()).await?;
        em.persist(names.map(|name| NewAuthor { name: name.into() }));
        Ok(())
    })
    .await
}

/// Another Orm, at the same database.
async fn connect(wire: &Wire) -> Orm {
    Orm::builder().url(wire.fixture.database.url()).entities(library()).connect().await.unwrap()
}

const BORN: &str = "CREATE FUNCTION born() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.born := 1815; RETURN NEW; END'; \
                    CREATE TRIGGER born BEFORE INSERT ON author FOR EACH ROW EXECUTE FUNCTION born()";

#[tokio::test]
async fn c2_the_first_rows_at_the_end_of_a_transaction_travel_with_its_commit() {
    let wire = Wire::new().await;
    for names in [["a", "b", "c"], ["d", "e", "f"]] {
        wire.reset();
        read_and_insert(&wire.em, names).await.unwrap();
        assert_eq!(wire.trips(), 2, "the count; rows and COMMIT");
        assert!(!wire.proxy.statements().iter().any(|text| text.starts_with("SAVEPOINT")));
    }
    assert_eq!(wire.fixture.rows("SELECT string_agg(name, '' ORDER BY id) FROM author").await, ["abcdef"]);
}

#[tokio::test]
async fn c2_what_was_made_before_the_orm_has_connected_is_known_too() {
    let wire = Wire::new().await;
    wire.fixture.database.execute(BORN).await.unwrap();
    // The tables that this one finds have a trigger: keys are taken beforehand, at once.
    let orm = connect(&wire).await;
    let em = orm.em();
    let authors = em.persist(["a", "b", "c"].map(|name| NewAuthor { name: name.into() }));
    let summary = em.flush().await.unwrap();
    assert_eq!((summary.inserted, summary.statements, summary.round_trips), (3, 2, 2));
    let names = authors.iter().map(|author| format!("{}|{}|1815", author.id(), author.read().name));
    assert_eq!(wire.fixture.rows("SELECT id, name, born FROM author ORDER BY id").await, names.collect::<Vec<_>>());
}

#[tokio::test]
async fn c2_a_trigger_that_was_made_since_fails_the_transaction_once() {
    let wire = Wire::new().await;
    wire.fixture.database.execute(BORN).await.unwrap();
    let error = read_and_insert(&wire.em, ["a", "b", "c"]).await.unwrap_err();
    assert!(matches!(error, Error::PlanOutdated { .. }) && error.is_retryable(), "{error:?}");
    assert_eq!(wire.fixture.rows("SELECT count(*) FROM author").await, ["0"]);
    // Run again, it knows.
    read_and_insert(&wire.em, ["a", "b", "c"]).await.unwrap();
    assert_eq!(wire.fixture.rows("SELECT name, born FROM author ORDER BY id").await, ["a|1815", "b|1815", "c|1815"]);

    let wire = Wire::new().await;
    wire.fixture.database.execute(BORN).await.unwrap();
    let runs = std::sync::atomic::AtomicU32::new(0);
    let retried = wire.em.transaction().retries(1).run(async |em| {
        runs.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        em.count::<Author>(()).await?;
        em.persist(["a", "b"].map(|name| NewAuthor { name: name.into() }));
        Ok::<_, Error>(())
    });
    retried.await.unwrap();
    assert_eq!(runs.into_inner(), 2);
    assert_eq!(wire.fixture.rows("SELECT name, born FROM author ORDER BY id").await, ["a|1815", "b|1815"]);
}

#[tokio::test]
async fn c2_a_transaction_that_does_nothing_else_is_run_again_by_itself() {
    let wire = Wire::new().await;
    wire.fixture.database.execute(BORN).await.unwrap();
    wire.reset();
    let options = wire.em.transaction().isolation(IsolationLevel::Serializable);
    let authors =
        options.run(async |em| Ok::<_, Error>(em.persist(["a", "b", "c"].map(|name| NewAuthor { name: name.into() }))));
    let authors = authors.await.unwrap();
    assert_eq!(wire.trips(), 3, "what was refused; keys; rows");
    let sent = wire.proxy.statements();
    assert_eq!(
        sent.iter().filter(|text| text.starts_with("BEGIN ISOLATION LEVEL SERIALIZABLE")).count(),
        2,
        "{sent:?}"
    );
    let names = authors.iter().map(|author| format!("{}|{}|1815", author.id(), author.read().name));
    assert_eq!(wire.fixture.rows("SELECT id, name, born FROM author ORDER BY id").await, names.collect::<Vec<_>>());
    assert_eq!(wire.em.flush().await.unwrap(), FlushSummary::default());
}

#[tokio::test]
async fn c2_a_table_that_nothing_is_known_of_is_asked_in_a_savepoint() {
    let wire = Wire::new().await;
    // Nothing was there when this one has connected.
    let tables = "ALTER TABLE author RENAME TO elsewhere";
    wire.fixture.database.execute(tables).await.unwrap();
    let orm = connect(&wire).await;
    wire.fixture.database.execute(&format!("ALTER TABLE elsewhere RENAME TO author; {BORN}")).await.unwrap();
    let em = orm.em();
    read_and_insert(&em, ["a", "b", "c"]).await.unwrap();
    assert_eq!(wire.fixture.rows("SELECT name, born FROM author ORDER BY id").await, ["a|1815", "b|1815", "c|1815"]);
}

#[tokio::test]
async fn c5_tables_that_are_made_anew_are_looked_at_anew() {
    let fixture = Fixture::new(entities![Museum]).await;
    let em = fixture.em();
    em.persist(NewMuseum { name: "Prado".into() });
    em.flush().await.unwrap();
    fixture.orm.schema().refresh_database().await.unwrap();
    let nothing = "CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'; \
                   CREATE TRIGGER nothing BEFORE INSERT ON museum FOR EACH ROW EXECUTE FUNCTION nothing()";
    fixture.database.execute(nothing).await.unwrap();
    em.persist(NewMuseum { name: "Louvre".into() });
    let error = em.flush().await.unwrap_err();
    assert!(matches!(error, Error::Validation { entity: Some("Museum"), .. }), "{error:?}");
}
