//! The server ends the connection: the memory is as before, and the next use has a new connection.

use super::{Story, one_connection};
use crate::support::Fixture;
use howdah::prelude::*;

/// Ends all connections of the test's database but the one that asks for it.
const TERMINATE: &str = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                         WHERE datname = current_database() AND pid <> pg_backend_pid()";

fn assert_lost<T: std::fmt::Debug>(outcome: Result<T, Error>) {
    assert!(matches!(outcome, Err(Error::Connection { .. })), "{outcome:?}");
}

#[tokio::test]
async fn in_a_transaction() {
    let fixture = one_connection().await;
    let story = Story::begin(&fixture).await;
    let outcome = story
        .em
        .transactional(async |em| {
            em.flush().await?;
            fixture.database.execute(TERMINATE).await.unwrap();
            em.count::<crate::library::Author>(()).await
        })
        .await;
    assert_lost(outcome);
    story.assert_as_before(&fixture, 0).await;
    story.em.flush().await.unwrap();
    story.assert_written(&fixture).await;
}

#[tokio::test]
async fn in_a_nested_transaction_that_swallows_it() {
    let fixture = one_connection().await;
    let story = Story::begin(&fixture).await;
    let outcome = story
        .em
        .transactional(async |em| {
            let inner = em
                .transactional(async |em| {
                    em.flush().await?;
                    fixture.database.execute(TERMINATE).await.unwrap();
                    em.count::<crate::library::Author>(()).await
                })
                .await;
            assert_lost(inner);
            Ok::<_, Error>(())
        })
        .await;
    assert_lost(outcome);
    story.assert_as_before(&fixture, 0).await;
    story.em.flush().await.unwrap();
    story.assert_written(&fixture).await;
}

#[tokio::test]
async fn before_the_commit() {
    let fixture = one_connection().await;
    let story = Story::begin(&fixture).await;
    story.em.begin().await.unwrap();
    story.em.flush().await.unwrap();
    fixture.database.execute(TERMINATE).await.unwrap();
    // Whether the driver knows already that the connection is gone when COMMIT is sent is a race.
    let outcome = story.em.commit().await;
    assert!(matches!(outcome, Err(Error::Connection { .. } | Error::CommitOutcomeUnknown { .. })), "{outcome:?}");
    story.assert_as_before(&fixture, 0).await;
    story.em.begin().await.unwrap();
    story.em.flush().await.unwrap();
    fixture.database.execute(TERMINATE).await.unwrap();
    story.em.rollback().await.unwrap();
    story.assert_as_before(&fixture, 0).await;
    story.em.flush().await.unwrap();
    story.assert_written(&fixture).await;
}

#[tokio::test]
async fn in_the_middle_of_a_flush() {
    let fixture = one_connection().await;
    // The statement ends its own connection.
    let trigger = "CREATE FUNCTION die() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
                   PERFORM pg_terminate_backend(pg_backend_pid()); RETURN new; END $$; \
                   CREATE TRIGGER die BEFORE INSERT ON tag FOR EACH ROW EXECUTE FUNCTION die()";
    fixture.database.execute(trigger).await.unwrap();
    for in_transaction in [false, true] {
        let story = Story::begin(&fixture).await;
        let outcome = if in_transaction {
            story.em.transactional(async |em| em.flush().await.map(|_| ())).await
        } else {
            story.em.flush().await.map(|_| ())
        };
        assert!(
            matches!(&outcome, Err(Error::Connection { sqlstate: Some(sqlstate), .. }) if sqlstate == "57P01"),
            "{outcome:?}"
        );
        story.assert_as_before(&fixture, 0).await;
        fixture.database.execute("ALTER TABLE tag DISABLE TRIGGER die").await.unwrap();
        story.em.flush().await.unwrap();
        story.assert_written(&fixture).await;
        fixture.database.execute("ALTER TABLE tag ENABLE TRIGGER die").await.unwrap();
    }
}

#[tokio::test]
async fn while_it_lay_in_the_pool() {
    let fixture: Fixture = one_connection().await;
    let story = Story::begin(&fixture).await;
    fixture.database.execute(TERMINATE).await.unwrap();
    // The pool sees that it is closed once the runtime has read the end of the stream.
    tokio::task::yield_now().await;
    let mut flushed = story.em.flush().await;
    if flushed.is_err() {
        assert_lost(flushed);
        story.assert_as_before(&fixture, 0).await;
        flushed = story.em.flush().await;
    }
    flushed.unwrap();
    story.assert_written(&fixture).await;
}
