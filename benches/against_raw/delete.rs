//! Deletes 1000 users whose keys are known, in one transaction.

use futures_util::future::join3;

use crate::measure::{Scenario, Way};
use crate::model::User;
use crate::stage::Stage;

const USERS: usize = 1000;

pub struct Delete;

impl Scenario for Delete {
    type Input = Vec<i64>;
    type Output = u64;

    fn name(&self) -> String {
        format!("delete {USERS}")
    }

    fn raw_ways(&self) -> &'static [Way] {
        &[Way::Autocommit, Way::Pipelined]
    }

    async fn reset(&mut self, stage: &Stage) {
        stage.clear().await;
    }

    async fn input(&mut self, stage: &Stage) -> Vec<i64> {
        stage.add_users(USERS).await
    }

    async fn run(&mut self, stage: &Stage, way: Way, ids: Vec<i64>) -> u64 {
        if way == Way::Howdah {
            let em = stage.orm.em();
            for id in ids {
                em.remove(em.get_reference::<User>(id));
            }
            return em.flush().await.unwrap().deleted;
        }
        let statement = stage.prepared("DELETE FROM users WHERE id = ANY($1)").await;
        let client = &stage.client;
        if way == Way::Autocommit {
            return client.execute(&statement, &[&ids]).await.unwrap();
        }
        let (begun, deleted, committed) =
            join3(client.batch_execute("BEGIN"), client.execute(&statement, &[&ids]), client.batch_execute("COMMIT"))
                .await;
        begun.and(committed).unwrap();
        deleted.unwrap()
    }

    async fn check(&mut self, stage: &Stage, deleted: u64) {
        assert_eq!((deleted, stage.number("SELECT count(*) FROM users").await), (USERS as u64, 0));
    }
}
