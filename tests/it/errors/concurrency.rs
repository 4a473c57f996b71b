//! Conflicts with other transactions, and limits of the server: what may be tried again, and what was too slow.

use std::time::Duration;

use super::assert_refused;
use crate::library::*;
use crate::support::Fixture;
use howdah::prelude::*;

/// Two authors, and two managers over connections with these settings.
async fn two_managers(settings: &[&str]) -> (Fixture, EntityManager, EntityManager) {
    let fixture = Fixture::new(library()).await;
    fixture.database.execute("INSERT INTO author (name) VALUES ('Ada'), ('Bob')").await.unwrap();
    for setting in settings {
        let sql = format!("ALTER DATABASE \"{}\" SET {setting}", fixture.database.name());
        fixture.database.execute(&sql).await.unwrap();
    }
    // Settings of a database count for connections that are opened later.
    let orm = Orm::builder().url(fixture.database.url()).entities(library()).connect().await.unwrap();
    (fixture, orm.em(), orm.em())
}

async fn born(em: &EntityManager, id: i64, year: i32) -> Result<FlushSummary, Error> {
    em.find_one_or_fail::<Author>(id, ()).await?.write().born = Some(year);
    em.flush().await
}

#[tokio::test]
async fn a_serialization_failure_is_retryable() {
    let (fixture, one, two) = two_managers(&["default_transaction_isolation = 'repeatable read'"]).await;
    one.begin().await.unwrap();
    let ada = one.find_one_or_fail::<Author>(1, ()).await.unwrap();
    born(&two, 1, 1815).await.unwrap();
    ada.write().born = Some(1816);
    let error = one.flush().await.unwrap_err();
    assert_refused(&error, "40001", true);
    assert!(matches!(error, Error::SerializationFailure { .. }));
    one.rollback().await.unwrap();
    // It is what it says: the same again succeeds.
    born(&one, 1, 1816).await.unwrap();
    assert_eq!(fixture.rows("SELECT born FROM author WHERE id = 1").await, ["1816"]);
}

#[tokio::test]
async fn a_deadlock_is_retryable() {
    let (fixture, one, two) = two_managers(&["deadlock_timeout = '20ms'"]).await;
    one.begin().await.unwrap();
    two.begin().await.unwrap();
    born(&one, 1, 1901).await.unwrap();
    born(&two, 2, 1902).await.unwrap();
    // The flush is a savepoint: it is the rollback of the transaction that lets the other one go on.
    let crosswise = async |em: &EntityManager, id, year| {
        let outcome = born(em, id, year).await;
        if outcome.is_err() {
            em.rollback().await.unwrap();
        }
        outcome
    };
    let (first, second) = tokio::join!(crosswise(&one, 2, 1903), crosswise(&two, 1, 1904));
    // One of them was chosen.
    let (error, winner) = match (first, second) {
        (Err(error), Ok(_)) => (error, &two),
        (Ok(_), Err(error)) => (error, &one),
        both => panic!("{both:?}"),
    };
    assert_refused(&error, "40P01", true);
    assert!(matches!(error, Error::Deadlock { .. }));
    winner.commit().await.unwrap();
    assert_eq!(fixture.rows("SELECT count(born) FROM author").await, ["2"]);
}

#[tokio::test]
async fn a_lock_that_is_not_available_is_retryable() {
    let (_fixture, one, two) = two_managers(&["lock_timeout = '30ms'"]).await;
    one.begin().await.unwrap();
    born(&one, 1, 1815).await.unwrap();
    let error = born(&two, 1, 1816).await.unwrap_err();
    assert_refused(&error, "55P03", true);
    assert!(matches!(error, Error::LockNotAvailable { .. }));
    one.rollback().await.unwrap();
    two.flush().await.unwrap();
}

#[tokio::test]
async fn a_statement_that_takes_too_long_is_cancelled() {
    let fixture = Fixture::new(library()).await;
    let slow = "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
                PERFORM pg_sleep(20); RETURN new; END $$; \
                CREATE TRIGGER slow BEFORE INSERT ON tag FOR EACH ROW EXECUTE FUNCTION slow()";
    fixture.database.execute(slow).await.unwrap();
    let builder = Orm::builder().url(fixture.database.url()).entities(library());
    let orm = builder.statement_timeout(Duration::from_millis(50)).connect().await.unwrap();
    let em = orm.em();
    let tag = em.persist(NewTag { name: "slow".into() });
    let error = em.flush().await.unwrap_err();
    assert_refused(&error, "57014", false);
    assert!(matches!(error, Error::QueryCanceled { .. }));
    assert!(error.to_string().contains("statement timeout"), "{error}");
    // The timeout is the statement's: the connection and the manager are as good as new.
    em.remove(&tag);
    em.persist(NewShelf { code: "A".into() });
    em.flush().await.unwrap();
}

#[tokio::test]
async fn a_session_that_the_server_ends_is_a_lost_connection() {
    let (fixture, em, _) = two_managers(&["idle_in_transaction_session_timeout = '30ms'"]).await;
    em.begin().await.unwrap();
    born(&em, 1, 1815).await.unwrap();
    fixture.no_open_transaction().await;
    let ada = em.find_one_or_fail::<Author>(1, ()).await.unwrap();
    ada.write().born = Some(1816);
    let error = em.flush().await.unwrap_err();
    assert!(matches!(error, Error::Connection { .. }), "{error:?}");
    let error = em.commit().await.unwrap_err();
    assert!(matches!(error, Error::Connection { .. }), "{error:?}");
    assert_eq!((ada.read().born, ada.is_dirty()), (None, false));
    born(&em, 1, 1817).await.unwrap();
    assert_eq!(fixture.rows("SELECT born FROM author WHERE id = 1").await, ["1817"]);
}
