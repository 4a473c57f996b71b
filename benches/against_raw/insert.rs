//! New users whose keys the database makes, in one transaction; the keys are known afterwards.

use futures_util::future::{join, join3};
use howdah::Managed;
use tokio_postgres::types::ToSql;

use crate::copy::{copy_users, next_keys};
use crate::measure::{Scenario, Way};
use crate::model::{UserData, users};
use crate::plain::UserArrays;
use crate::stage::Stage;

pub const INSERT: &str = "INSERT INTO users (name, email, age, active, created_at) \
    SELECT * FROM unnest($1::text[], $2::text[], $3::int4[], $4::bool[], $5::timestamptz[]) RETURNING id";

pub struct Insert {
    users: Vec<UserData>,
}

impl Insert {
    pub fn new(count: usize) -> Self {
        Self { users: users(count) }
    }
}

impl Scenario for Insert {
    type Input = ();
    type Output = Vec<i64>;

    fn name(&self) -> String {
        format!("insert {}", self.users.len())
    }

    fn raw_ways(&self) -> &'static [Way] {
        &[Way::Autocommit, Way::Pipelined, Way::Copy]
    }

    async fn reset(&mut self, stage: &Stage) {
        stage.clear().await;
    }

    async fn input(&mut self, _: &Stage) {}

    async fn run(&mut self, stage: &Stage, way: Way, (): ()) -> Vec<i64> {
        match way {
            Way::Howdah => {
                let em = stage.orm.em();
                let users = em.persist(self.users.iter().map(UserData::to_new).collect::<Vec<_>>());
                em.flush().await.unwrap();
                users.iter().map(Managed::id).collect()
            }
            Way::Copy => {
                let client = &stage.client;
                let (begun, ids) =
                    join(client.batch_execute("BEGIN"), next_keys(stage, "users", self.users.len())).await;
                begun.unwrap();
                copy_users(client, &ids, self.users.iter()).await;
                client.batch_execute("COMMIT").await.unwrap();
                ids
            }
            way => {
                let statement = stage.prepared(INSERT).await;
                let users = UserArrays::of(self.users.iter());
                let client = &stage.client;
                let params: [&(dyn ToSql + Sync); 5] =
                    [&users.name, &users.email, &users.age, &users.active, &users.created_at];
                let insert = client.query(&statement, &params);
                let rows = if way == Way::Autocommit {
                    insert.await
                } else {
                    let (begun, rows, committed) =
                        join3(client.batch_execute("BEGIN"), insert, client.batch_execute("COMMIT")).await;
                    begun.and(committed).unwrap();
                    rows
                };
                rows.unwrap().iter().map(|row| row.get(0)).collect()
            }
        }
    }

    async fn check(&mut self, stage: &Stage, ids: Vec<i64>) {
        // Every key that was answered is the key of its user.
        let statement = "SELECT count(*) FROM users u JOIN unnest($1::int8[]) WITH ORDINALITY AS k (id, n) USING (id) \
                         WHERE name = 'User number ' || n - 1 AND email = 'user' || n - 1 || '@example.com' \
                           AND age = 18 + (n - 1) % 60 AND active = ((n - 1) % 3 <> 0) \
                           AND created_at = timestamptz '2024-01-01Z' + (n - 1) * interval '1 s'";
        let found: i64 = stage.client.query_one(statement, &[&ids]).await.unwrap().get(0);
        assert_eq!((ids.len(), found), (self.users.len(), i64::try_from(self.users.len()).unwrap()));
        assert_eq!(stage.number("SELECT count(*) FROM users").await, found);
    }
}
