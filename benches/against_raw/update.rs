//! Loads 1000 users, renames each, and saves all in one transaction.

use futures_util::future::join3;

use crate::load::load_users;
use crate::measure::{Scenario, Way};
use crate::stage::Stage;

const UPDATE: &str = "UPDATE users SET name = new.name FROM unnest($1::int8[], $2::text[]) AS new (id, name) \
                      WHERE users.id = new.id";

pub const USERS: usize = 1000;

#[derive(Default)]
pub struct Update {
    runs: u64,
}

impl Scenario for Update {
    type Input = u64;
    type Output = u64;

    fn name(&self) -> String {
        format!("update {USERS}")
    }

    fn raw_ways(&self) -> &'static [Way] {
        &[Way::Autocommit, Way::Pipelined]
    }

    async fn reset(&mut self, stage: &Stage) {
        stage.fill(USERS).await;
    }

    /// A number that makes every name a new one.
    async fn input(&mut self, _: &Stage) -> u64 {
        self.runs += 1;
        self.runs
    }

    async fn run(&mut self, stage: &Stage, way: Way, run: u64) -> u64 {
        if way == Way::Howdah {
            let em = stage.orm.em();
            let users = em.find::<crate::model::User>().order_by(|u| u.id().asc()).await.unwrap();
            for (number, user) in users.iter().enumerate() {
                user.write().name = format!("Renamed {run} {number}");
            }
            return em.flush().await.unwrap().updated;
        }
        let mut users = load_users(stage, None).await;
        for (number, user) in users.iter_mut().enumerate() {
            user.name = format!("Renamed {run} {number}");
        }
        let statement = stage.prepared(UPDATE).await;
        let ids: Vec<i64> = users.iter().map(|user| user.id).collect();
        let names: Vec<&str> = users.iter().map(|user| user.name.as_str()).collect();
        let client = &stage.client;
        if way == Way::Autocommit {
            return client.execute(&statement, &[&ids, &names]).await.unwrap();
        }
        let (begun, updated, committed) = join3(
            client.batch_execute("BEGIN"),
            client.execute(&statement, &[&ids, &names]),
            client.batch_execute("COMMIT"),
        )
        .await;
        begun.and(committed).unwrap();
        updated.unwrap()
    }

    async fn check(&mut self, stage: &Stage, updated: u64) {
        let renamed = format!("SELECT count(*) FROM users WHERE name = 'Renamed {} ' || id - 1", self.runs);
        let renamed = stage.number(&renamed).await;
        assert_eq!((updated, renamed), (USERS as u64, i64::try_from(USERS).unwrap()));
    }
}
