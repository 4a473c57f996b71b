//! Where both sides play: one database, an Orm on it, and a plain connection to it.

use std::cell::RefCell;
use std::collections::HashMap;

use howdah::prelude::*;
use howdah::testing::TestDatabase;
use tokio_postgres::{Client, NoTls, Statement};

use crate::model::{Post, TAGS, Tag, User};

/// What every scenario works with.
pub struct Stage {
    pub orm: Orm,
    /// The raw side.
    pub client: Client,
    statements: RefCell<HashMap<String, Statement>>,
    /// Gone with its server when this is dropped; none if it is another process's.
    _database: Option<TestDatabase>,
    url: String,
}

impl Stage {
    /// On a database of its own.
    pub async fn new() -> Self {
        let database = TestDatabase::new().await.unwrap();
        let stage = Self::on(database.url()).await;
        stage.orm.schema().create().await.unwrap();
        Self { _database: Some(database), ..stage }
    }

    /// On a database that has the tables already.
    pub async fn on(url: &str) -> Self {
        let orm = Orm::builder().url(url).entities(entities![User, Post, Tag]).connect().await.unwrap();
        let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
        tokio::spawn(connection);
        Self { orm, client, statements: RefCell::default(), _database: None, url: url.to_owned() }
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    /// The statement with this text, prepared once.
    pub async fn prepared(&self, text: &str) -> Statement {
        if let Some(statement) = self.statements.borrow().get(text) {
            return statement.clone();
        }
        let statement = self.client.prepare(text).await.unwrap();
        self.statements.borrow_mut().insert(text.to_owned(), statement.clone());
        statement
    }

    /// Runs statements that belong to no side.
    pub async fn execute(&self, text: &str) {
        self.client.batch_execute(text).await.unwrap();
    }

    /// The one number that a query answers with.
    pub async fn number(&self, text: &str) -> i64 {
        self.client.query_one(text, &[]).await.unwrap().get(0)
    }

    /// No users, no posts, all tags.
    pub async fn clear(&self) {
        self.execute(&format!(
            "TRUNCATE users, posts, tags, post_tags RESTART IDENTITY;
             INSERT INTO tags (name) SELECT 'tag ' || number FROM generate_series(1, {TAGS}) number;
             ANALYZE tags"
        ))
        .await;
    }

    /// This many users and nothing else; their keys count from 1.
    pub async fn fill(&self, users: usize) {
        self.clear().await;
        self.add_users(users).await;
        self.execute("VACUUM ANALYZE users").await;
    }

    /// More users; answers with their keys.
    pub async fn add_users(&self, count: usize) -> Vec<i64> {
        let text = format!(
            "INSERT INTO users (name, email, age, active, created_at)
             SELECT 'User number ' || n, 'user' || n || '@example.com', 18 + n % 60, n % 3 <> 0,
                    timestamptz '2024-01-01Z' + n * interval '1 s'
             FROM generate_series(0, {count} - 1) n RETURNING id"
        );
        self.client.query(&text, &[]).await.unwrap().iter().map(|row| row.get(0)).collect()
    }

    /// This many users with ten posts each, which have three tags each.
    pub async fn fill_graph(&self, users: usize) {
        self.fill(users).await;
        self.execute(
            "INSERT INTO posts (author_id, title, body)
             SELECT u.id, 'Post ' || n || ' of user ' || u.id,
                    'Body of post ' || n || ' of user ' || u.id || ': ' || repeat('lorem ipsum dolor sit amet ', 4)
             FROM users u CROSS JOIN generate_series(0, 9) n ORDER BY u.id, n;
             INSERT INTO post_tags (post_id, tag_id)
             SELECT id, (id + step) % 50 + 1 FROM posts CROSS JOIN unnest(ARRAY[0, 7, 19]) step",
        )
        .await;
        for table in ["posts", "post_tags"] {
            self.execute(&format!("VACUUM ANALYZE {table}")).await;
        }
    }
}
