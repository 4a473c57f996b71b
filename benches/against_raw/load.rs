//! Reads users in the order of their keys, by an entity manager that knows none of them; one user by its key.

use futures_util::{TryStreamExt, pin_mut};
use howdah::Managed;

use crate::measure::{Scenario, Way};
use crate::model::User;
use crate::plain::{PlainUser, USER_COLUMNS};
use crate::stage::Stage;

const USERS: usize = 10_000;

/// What either side has read.
pub enum Users {
    Plain(Vec<PlainUser>),
    Managed(Vec<Managed<User>>),
}

impl Users {
    fn into_plain(self) -> Vec<PlainUser> {
        let plain = |user: Managed<User>| {
            let User { id, name, email, age, active, created_at, .. } = user.read().clone();
            PlainUser { id, name, email, age, active, created_at }
        };
        match self {
            Self::Plain(users) => users,
            Self::Managed(users) => users.into_iter().map(plain).collect(),
        }
    }
}

/// The raw side reads users.
pub async fn load_users(stage: &Stage, limit: Option<i64>) -> Vec<PlainUser> {
    let tail = if limit.is_some() { " LIMIT $1" } else { "" };
    let statement = stage.prepared(&format!("SELECT {USER_COLUMNS} FROM users ORDER BY id{tail}")).await;
    let rows = stage.client.query_raw(&statement, limit).await.unwrap();
    pin_mut!(rows);
    let mut users = Vec::with_capacity(limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or_default());
    while let Some(row) = rows.try_next().await.unwrap() {
        users.push(PlainUser::of(&row));
    }
    users
}

/// The users that `Stage::fill` has made.
fn assert_filled(users: &[PlainUser], first: usize) {
    for (number, user) in users.iter().enumerate().map(|(index, user)| (index + first, user)) {
        let expected = &crate::model::users(number + 1)[number];
        let found = (user.id, &user.name, &user.email, user.age, user.active, user.created_at);
        let id = i64::try_from(number).unwrap() + 1;
        let expected = (id, &expected.name, &expected.email, expected.age, expected.active, expected.created_at);
        assert_eq!(found, expected);
    }
}

/// What howdah reads into.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Into {
    Entities,
    Projections,
}

pub struct Load {
    count: u32,
    into: Into,
    is_filled: bool,
}

impl Load {
    pub const fn new(count: u32) -> Self {
        Self { count, into: Into::Entities, is_filled: false }
    }

    /// Plain structs instead of entities.
    pub const fn projections(count: u32) -> Self {
        Self { count, into: Into::Projections, is_filled: false }
    }
}

/// Reading changes nothing: the tables are filled once.
async fn fill_once(stage: &Stage, is_filled: &mut bool) {
    if !std::mem::replace(is_filled, true) {
        stage.fill(USERS).await;
    }
}

impl Scenario for Load {
    type Input = ();
    type Output = Users;

    fn name(&self) -> String {
        match self.into {
            Into::Entities => format!("load {}", self.count),
            Into::Projections => format!("project {}", self.count),
        }
    }

    fn raw_ways(&self) -> &'static [Way] {
        &[Way::Queries]
    }

    async fn reset(&mut self, stage: &Stage) {
        fill_once(stage, &mut self.is_filled).await;
    }

    async fn input(&mut self, _: &Stage) {}

    async fn run(&mut self, stage: &Stage, way: Way, (): ()) -> Users {
        match way {
            Way::Howdah => {
                let find = stage.orm.em().find::<User>().order_by(|u| u.id().asc()).limit(self.count.into());
                match self.into {
                    Into::Entities => Users::Managed(find.await.unwrap()),
                    Into::Projections => Users::Plain(find.into::<PlainUser>().await.unwrap()),
                }
            }
            _ => Users::Plain(load_users(stage, Some(self.count.into())).await),
        }
    }

    async fn check(&mut self, _: &Stage, users: Users) {
        let users = users.into_plain();
        assert_eq!(users.len(), self.count as usize);
        assert_filled(&users[..10], 0);
        assert_filled(&users[users.len() - 1..], users.len() - 1);
    }
}

#[derive(Default)]
pub struct FindOne {
    last: usize,
    is_filled: bool,
}

impl Scenario for FindOne {
    type Input = i64;
    type Output = Users;

    fn name(&self) -> String {
        "find one".to_owned()
    }

    fn raw_ways(&self) -> &'static [Way] {
        &[Way::Queries]
    }

    async fn reset(&mut self, stage: &Stage) {
        fill_once(stage, &mut self.is_filled).await;
    }

    async fn input(&mut self, _: &Stage) -> i64 {
        self.last = (self.last + 7919) % USERS;
        i64::try_from(self.last).unwrap() + 1
    }

    async fn run(&mut self, stage: &Stage, way: Way, id: i64) -> Users {
        if way == Way::Howdah {
            return Users::Managed(stage.orm.em().find_one::<User>(id, ()).await.unwrap().into_iter().collect());
        }
        let statement = stage.prepared(&format!("SELECT {USER_COLUMNS} FROM users WHERE id = $1")).await;
        Users::Plain(vec![PlainUser::of(&stage.client.query_one(&statement, &[&id]).await.unwrap())])
    }

    async fn check(&mut self, _: &Stage, user: Users) {
        let user = user.into_plain();
        assert_eq!(user.len(), 1);
        assert_filled(&user, self.last);
    }
}
