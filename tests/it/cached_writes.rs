//! What is written makes kept results worthless, however it was sent, and whoever waits for it.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use howdah::{CacheEntry, CacheError, MemoryCache, ResultCache, async_trait};

use crate::cancellation::{ENOUGH, cancelled_after};
use crate::library::*;
use crate::support::Fixture;

const LONG: Duration = Duration::from_secs(600);

async fn ada() -> Fixture {
    let fixture = Fixture::new(library()).await;
    fixture.database.execute("INSERT INTO author (name, born) VALUES ('Ada', 1815)").await.unwrap();
    fixture
}

/// What other managers are told.
async fn born(fixture: &Fixture) -> Option<i32> {
    fixture.em().find::<Author>().cache(LONG).await.unwrap()[0].read().born
}

#[tokio::test]
async fn plain_sql_that_answers_with_rows() {
    let fixture = ada().await;
    let em = fixture.em();
    let update = "UPDATE author SET born = born + 1 RETURNING *";
    assert_eq!(born(&fixture).await, Some(1815));
    em.sql(update, &[]).await.unwrap();
    assert_eq!(born(&fixture).await, Some(1816));
    em.sql("UPDATE author SET born = born + 1 RETURNING born", &[]).map_to::<i32>().await.unwrap();
    assert_eq!(born(&fixture).await, Some(1817));
    em.sql(update, &[]).into_entities::<Author>().await.unwrap();
    assert_eq!(born(&fixture).await, Some(1818));
    em.sql(update, &[]).execute().await.unwrap();
    assert_eq!(born(&fixture).await, Some(1819));
    // A query writes nothing.
    fixture.forget();
    em.sql("SELECT * FROM author", &[]).into_entities::<Author>().await.unwrap();
    assert_eq!((born(&fixture).await, fixture.statements().len()), (Some(1819), 1));
}

/// The ways to write that commit by themselves.
#[derive(Clone, Copy, Debug)]
enum Way {
    Flush,
    Commit,
    Native,
    Sql,
}

/// Nobody waits for what was sent any more, and the manager is gone; the server carries it out later.
#[tokio::test]
async fn c12_what_was_given_up_and_is_carried_out() {
    for way in [Way::Flush, Way::Commit, Way::Native, Way::Sql] {
        let fixture = ada().await;
        // The row is locked: what is sent waits.
        let obstacle = fixture.em();
        obstacle.begin().await.unwrap();
        obstacle.sql("SELECT 1 FROM author FOR UPDATE", &[]).await.unwrap();
        assert_eq!(born(&fixture).await, Some(1815));
        let em = fixture.em();
        let ada = em.find_one_or_fail::<Author>(1, ()).await.unwrap();
        ada.write().born = Some(1);
        if matches!(way, Way::Commit) {
            em.begin().await.unwrap();
        }
        fixture.forget();
        let manager = em.clone();
        let write = tokio::spawn(async move {
            match way {
                Way::Flush => em.flush().await.map(|_| ()),
                Way::Commit => em.commit().await,
                Way::Native => em.native_update::<Author>().set(|a| a.born(), 1).await.map(|_| ()),
                Way::Sql => em.sql("UPDATE author SET born = 1", &[]).execute().await.map(|_| ()),
            }
        });
        while fixture.statements().iter().all(|text| !text.contains("UPDATE")) {
            tokio::task::yield_now().await;
        }
        write.abort();
        assert!(write.await.unwrap_err().is_cancelled());
        drop((manager, ada));
        assert_eq!(born(&fixture).await, Some(1815), "{way:?}: it is kept again");
        obstacle.rollback().await.unwrap();
        eventually(async || fixture.rows("SELECT born FROM author").await == ["1"]).await;
        eventually(async || born(&fixture).await == Some(1)).await;
    }
}

/// Waits for what happens by itself.
async fn eventually<Fut: Future<Output = bool>>(is_so: impl Fn() -> Fut) {
    for _ in 0..200 {
        if is_so().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("it did not happen within two seconds");
}

/// A store that takes its time.
#[derive(Clone, Debug, Default)]
struct Slow(Arc<MemoryCache>);

#[async_trait]
impl ResultCache for Slow {
    async fn get(&self, key: &[u8]) -> Result<Option<Arc<[u8]>>, CacheError> {
        tokio::task::yield_now().await;
        self.0.get(key).await
    }

    async fn set(&self, entry: CacheEntry<'_>) -> Result<(), CacheError> {
        self.0.set(entry).await
    }

    async fn invalidate(&self, tags: &[String]) -> Result<(), CacheError> {
        self.0.invalidate(tags).await
    }

    async fn clear(&self) -> Result<(), CacheError> {
        self.0.clear().await
    }
}

/// A transaction that another handle begins while a find is on its way.
#[tokio::test]
async fn what_a_transaction_sees_is_not_kept_for_others() {
    let fixture = Fixture::with(library(), |builder| builder.result_cache(Slow::default())).await;
    fixture.database.execute("INSERT INTO author (name, born) VALUES ('Ada', 1815)").await.unwrap();
    for polls in 1..ENOUGH {
        fixture.orm.clear_cache().await.unwrap();
        let em = fixture.em();
        let mut find = Box::pin(async { em.find::<Author>().cache(LONG).await });
        if cancelled_after(polls, &mut find).await.is_some() {
            return;
        }
        em.begin().await.unwrap();
        em.sql("UPDATE author SET born = 1", &[]).execute().await.unwrap();
        find.await.unwrap();
        em.rollback().await.unwrap();
        assert_eq!(born(&fixture).await, Some(1815), "{polls}");
    }
    panic!("not done after {ENOUGH} polls");
}
