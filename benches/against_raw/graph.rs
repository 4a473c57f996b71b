//! Inserts 100 users with ten posts each, which get three existing tags each, in one transaction; all keys are known
//! afterwards.

use futures_util::future::{join, join3};
use futures_util::pin_mut;
use howdah::Managed;
use tokio_postgres::binary_copy::BinaryCopyInWriter;
use tokio_postgres::types::{ToSql, Type};

use crate::copy::{copy_users, next_keys};
use crate::insert::INSERT as INSERT_USERS;
use crate::measure::{Scenario, Way};
use crate::model::{NewPost, PostData, Tag, UserData, graph};
use crate::plain::UserArrays;
use crate::stage::Stage;

const INSERT_POSTS: &str = "INSERT INTO posts (author_id, title, body) \
                            SELECT * FROM unnest($1::int8[], $2::text[], $3::text[]) RETURNING id";
const INSERT_LINKS: &str = "INSERT INTO post_tags (post_id, tag_id) SELECT * FROM unnest($1::int8[], $2::int8[])";
const INSERT_USERS_WITH_KEYS: &str = "INSERT INTO users (id, name, email, age, active, created_at) \
    SELECT * FROM unnest($1::int8[], $2::text[], $3::text[], $4::int4[], $5::bool[], $6::timestamptz[])";
const INSERT_POSTS_WITH_KEYS: &str = "INSERT INTO posts (id, author_id, title, body) \
                                      SELECT * FROM unnest($1::int8[], $2::int8[], $3::text[], $4::text[])";

const USERS: usize = 100;

pub struct Graph {
    users: Vec<(UserData, Vec<PostData>)>,
}

impl Default for Graph {
    fn default() -> Self {
        Self { users: graph(USERS) }
    }
}

/// The columns of posts as array parameters.
struct PostArrays<'a> {
    authors: Vec<i64>,
    titles: Vec<&'a str>,
    bodies: Vec<&'a str>,
}

impl Graph {
    fn user_data(&self) -> impl Iterator<Item = &UserData> + Clone {
        self.users.iter().map(|(user, _)| user)
    }

    /// The posts with the keys of their authors.
    fn posts(&self, users: &[i64]) -> PostArrays<'_> {
        let posts = self.users.iter().zip(users).flat_map(|((_, posts), id)| posts.iter().map(move |post| (*id, post)));
        PostArrays {
            authors: posts.clone().map(|(author, _)| author).collect(),
            titles: posts.clone().map(|(_, post)| post.title.as_str()).collect(),
            bodies: posts.map(|(_, post)| post.body.as_str()).collect(),
        }
    }

    /// The rows of the pivot table.
    fn links(&self, posts: &[i64]) -> (Vec<i64>, Vec<i64>) {
        let data = self.users.iter().flat_map(|(_, posts)| posts);
        data.zip(posts).flat_map(|(post, id)| post.tags.map(|tag| (*id, tag))).unzip()
    }

    /// Three flights: whose keys are needed goes first.
    async fn pipelined(&self, stage: &Stage) -> Vec<i64> {
        let client = &stage.client;
        let (insert_users, insert_posts, insert_links) = (
            stage.prepared(INSERT_USERS).await,
            stage.prepared(INSERT_POSTS).await,
            stage.prepared(INSERT_LINKS).await,
        );
        let users = UserArrays::of(self.user_data());
        let (begun, rows) = join(
            client.batch_execute("BEGIN"),
            client.query(&insert_users, &[&users.name, &users.email, &users.age, &users.active, &users.created_at]),
        )
        .await;
        begun.unwrap();
        let users: Vec<i64> = rows.unwrap().iter().map(|row| row.get(0)).collect();
        let posts = self.posts(&users);
        let rows = client.query(&insert_posts, &[&posts.authors, &posts.titles, &posts.bodies]).await.unwrap();
        let posts: Vec<i64> = rows.iter().map(|row| row.get(0)).collect();
        let (post_ids, tag_ids) = self.links(&posts);
        let (linked, committed) =
            join(client.execute(&insert_links, &[&post_ids, &tag_ids]), client.batch_execute("COMMIT")).await;
        linked.unwrap();
        committed.unwrap();
        posts
    }

    /// Two flights: the keys, then everything.
    async fn keys_first(&self, stage: &Stage) -> Vec<i64> {
        let client = &stage.client;
        let (insert_users, insert_posts, insert_links) = (
            stage.prepared(INSERT_USERS_WITH_KEYS).await,
            stage.prepared(INSERT_POSTS_WITH_KEYS).await,
            stage.prepared(INSERT_LINKS).await,
        );
        let (ids, post_keys) = join(next_keys(stage, "users", USERS), next_keys(stage, "posts", USERS * 10)).await;
        let users = UserArrays::of(self.user_data());
        let posts = self.posts(&ids);
        let (post_ids, tag_ids) = self.links(&post_keys);
        let user_params: [&(dyn ToSql + Sync); 6] =
            [&ids, &users.name, &users.email, &users.age, &users.active, &users.created_at];
        let (begun, inserted, committed) = join3(
            client.batch_execute("BEGIN"),
            join3(
                client.execute(&insert_users, &user_params),
                client.execute(&insert_posts, &[&post_keys, &posts.authors, &posts.titles, &posts.bodies]),
                client.execute(&insert_links, &[&post_ids, &tag_ids]),
            ),
            client.batch_execute("COMMIT"),
        )
        .await;
        begun.and(committed).unwrap();
        inserted.0.and(inserted.1).and(inserted.2).unwrap();
        post_keys
    }

    async fn copy(&self, stage: &Stage) -> Vec<i64> {
        let client = &stage.client;
        let (users, post_keys) = join(next_keys(stage, "users", USERS), next_keys(stage, "posts", USERS * 10)).await;
        client.batch_execute("BEGIN").await.unwrap();
        copy_users(client, &users, self.user_data()).await;
        let sink = client.copy_in("COPY posts (id, author_id, title, body) FROM STDIN BINARY").await.unwrap();
        let writer = BinaryCopyInWriter::new(sink, &[Type::INT8, Type::INT8, Type::TEXT, Type::TEXT]);
        pin_mut!(writer);
        let posts = self.posts(&users);
        for (index, id) in post_keys.iter().enumerate() {
            let row: [&(dyn ToSql + Sync); 4] = [id, &posts.authors[index], &posts.titles[index], &posts.bodies[index]];
            writer.as_mut().write(&row).await.unwrap();
        }
        writer.finish().await.unwrap();
        let sink = client.copy_in("COPY post_tags (post_id, tag_id) FROM STDIN BINARY").await.unwrap();
        let writer = BinaryCopyInWriter::new(sink, &[Type::INT8, Type::INT8]);
        pin_mut!(writer);
        let (post_ids, tag_ids) = self.links(&post_keys);
        for (post, tag) in post_ids.iter().zip(&tag_ids) {
            writer.as_mut().write(&[post, tag]).await.unwrap();
        }
        writer.finish().await.unwrap();
        client.batch_execute("COMMIT").await.unwrap();
        post_keys
    }

    async fn howdah(&self, stage: &Stage) -> Vec<i64> {
        let em = stage.orm.em();
        let mut all = Vec::new();
        for (user, posts) in &self.users {
            let user = em.persist(user.to_new());
            for data in posts {
                let post = NewPost { title: data.title.clone(), body: data.body.clone(), author: user.to_ref() };
                let post = em.persist(post);
                post.update(|post| data.tags.iter().for_each(|tag| post.tags.add(em.get_reference::<Tag>(*tag))));
                all.push(post);
            }
        }
        em.flush().await.unwrap();
        all.iter().map(Managed::id).collect()
    }
}

impl Scenario for Graph {
    type Input = ();
    type Output = Vec<i64>;

    fn name(&self) -> String {
        "graph 100 × 10 × 3".to_owned()
    }

    fn raw_ways(&self) -> &'static [Way] {
        &[Way::Pipelined, Way::KeysFirst, Way::Copy]
    }

    async fn reset(&mut self, stage: &Stage) {
        stage.clear().await;
    }

    async fn input(&mut self, _: &Stage) {}

    /// The keys of the posts.
    async fn run(&mut self, stage: &Stage, way: Way, (): ()) -> Vec<i64> {
        match way {
            Way::Howdah => self.howdah(stage).await,
            Way::Copy => self.copy(stage).await,
            Way::KeysFirst => self.keys_first(stage).await,
            _ => self.pipelined(stage).await,
        }
    }

    async fn check(&mut self, stage: &Stage, posts: Vec<i64>) {
        let found = "SELECT count(*) FROM unnest($1::int8[]) WITH ORDINALITY AS k (id, n) JOIN posts p USING (id) \
                     JOIN users u ON u.id = p.author_id JOIN post_tags l ON l.post_id = p.id \
                     WHERE p.title = 'Post ' || (n - 1) % 10 || ' of user ' || (n - 1) / 10 \
                       AND u.name = 'User number ' || (n - 1) / 10 \
                       AND l.tag_id IN ((n - 1) % 50 + 1, (n + 6) % 50 + 1, (n + 18) % 50 + 1)";
        let found: i64 = stage.client.query_one(found, &[&posts]).await.unwrap().get(0);
        let links = stage.number("SELECT count(*) FROM post_tags").await;
        let expected = i64::try_from(USERS * 30).unwrap();
        assert_eq!((found, links), (expected, expected));
    }
}
