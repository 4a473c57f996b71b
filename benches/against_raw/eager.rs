//! Reads 100 users with their ten posts each, and these with their three tags each.

use std::collections::HashMap;

use futures_util::future::join4;
use howdah::Managed;

use crate::measure::{Scenario, Way};
use crate::model::User;
use crate::plain::{PlainPost, PlainTag, PlainUser, USER_COLUMNS};
use crate::stage::Stage;

const USERS: usize = 100;

const POSTS: &str =
    "SELECT id, author_id, title, body FROM posts WHERE author_id IN (SELECT id FROM users) ORDER BY id";
const LINKS: &str = "SELECT post_id, tag_id FROM post_tags \
                     WHERE post_id IN (SELECT id FROM posts WHERE author_id IN (SELECT id FROM users))";
const TAGS: &str = "SELECT id, name FROM tags WHERE id IN (SELECT tag_id FROM post_tags \
                    WHERE post_id IN (SELECT id FROM posts WHERE author_id IN (SELECT id FROM users)))";

/// Users with posts with tags. A tag is one thing, whoever has it.
pub struct Plain {
    users: Vec<(PlainUser, Vec<(PlainPost, Vec<usize>)>)>,
    tags: Vec<PlainTag>,
}

pub enum Loaded {
    Plain(Plain),
    Managed(Vec<Managed<User>>),
}

#[derive(Default)]
pub struct Eager {
    is_filled: bool,
}

/// Four queries in one flight.
async fn load_plain(stage: &Stage) -> Plain {
    let users = stage.prepared(&format!("SELECT {USER_COLUMNS} FROM users ORDER BY id")).await;
    let posts = stage.prepared(POSTS).await;
    let links = stage.prepared(LINKS).await;
    let tags = stage.prepared(TAGS).await;
    let client = &stage.client;
    let (users, posts, links, tags) = join4(
        client.query(&users, &[]),
        client.query(&posts, &[]),
        client.query(&links, &[]),
        client.query(&tags, &[]),
    )
    .await;
    let tags: Vec<PlainTag> = tags.unwrap().iter().map(|row| PlainTag { id: row.get(0), name: row.get(1) }).collect();
    let tag_at: HashMap<i64, usize> = tags.iter().enumerate().map(|(index, tag)| (tag.id, index)).collect();
    let post = |row: &tokio_postgres::Row| PlainPost {
        id: row.get(0),
        author_id: row.get(1),
        title: row.get(2),
        body: row.get(3),
    };
    let mut posts: Vec<(PlainPost, Vec<usize>)> = posts.unwrap().iter().map(|row| (post(row), Vec::new())).collect();
    let post_at: HashMap<i64, usize> = posts.iter().enumerate().map(|(index, (post, _))| (post.id, index)).collect();
    for row in links.unwrap() {
        let (post, tag): (i64, i64) = (row.get(0), row.get(1));
        posts[post_at[&post]].1.push(tag_at[&tag]);
    }
    let mut users: Vec<(PlainUser, Vec<(PlainPost, Vec<usize>)>)> =
        users.unwrap().iter().map(|row| (PlainUser::of(row), Vec::new())).collect();
    let user_at: HashMap<i64, usize> = users.iter().enumerate().map(|(index, (user, _))| (user.id, index)).collect();
    for post in posts {
        users[user_at[&post.0.author_id]].1.push(post);
    }
    Plain { users, tags }
}

impl Scenario for Eager {
    type Input = ();
    type Output = Loaded;

    fn name(&self) -> String {
        "eager 100 × 10 × 3".to_owned()
    }

    fn raw_ways(&self) -> &'static [Way] {
        &[Way::Queries]
    }

    async fn reset(&mut self, stage: &Stage) {
        // Reading changes nothing.
        if !std::mem::replace(&mut self.is_filled, true) {
            stage.fill_graph(USERS).await;
        }
    }

    async fn input(&mut self, _: &Stage) {}

    async fn run(&mut self, stage: &Stage, way: Way, (): ()) -> Loaded {
        if way != Way::Howdah {
            return Loaded::Plain(load_plain(stage).await);
        }
        let find = stage.orm.em().find::<User>().populate(|u| u.posts().tags());
        Loaded::Managed(find.order_by(|u| u.id().asc()).await.unwrap())
    }

    async fn check(&mut self, stage: &Stage, loaded: Loaded) {
        // As `user|title|body|tag`, in any order.
        let mut found: Vec<String> = match loaded {
            Loaded::Plain(Plain { users, tags }) => users
                .iter()
                .flat_map(|(user, posts)| posts.iter().map(move |(post, links)| (user, post, links)))
                .flat_map(|(user, post, links)| links.iter().map(move |link| (user, post, *link)))
                .map(|(user, post, link)| format!("{}|{}|{}|{}", user.name, post.title, post.body, tags[link].name))
                .collect(),
            Loaded::Managed(users) => {
                let mut found = Vec::new();
                for user in &users {
                    for post in user.read().posts.items().unwrap() {
                        let (user, post) = (user.read(), post.read());
                        for tag in post.tags.items().unwrap() {
                            found.push(format!("{}|{}|{}|{}", user.name, post.title, post.body, tag.read().name));
                        }
                    }
                }
                found
            }
        };
        let rows = stage
            .client
            .query(
                "SELECT u.name || '|' || p.title || '|' || p.body || '|' || t.name FROM users u JOIN posts p ON p.author_id = u.id \
                 JOIN post_tags l ON l.post_id = p.id JOIN tags t ON t.id = l.tag_id",
                &[],
            )
            .await
            .unwrap();
        let mut expected: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
        found.sort();
        expected.sort();
        assert_eq!(expected.len(), USERS * 30);
        assert_eq!(found, expected);
    }
}
