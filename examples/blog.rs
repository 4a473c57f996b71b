//! A blog: all four kinds of relations, populate, a nested transaction that rolls back, and a failed flush that is
//! repaired and tried again.

use howdah::prelude::*;
use howdah::testing::TestDatabase;

#[derive(Entity, Clone, Debug)]
#[entity(table = "users")]
pub struct User {
    #[primary_key]
    pub id: i64,
    #[property(unique, length = 50)]
    pub username: String,
    #[one_to_one(mapped_by = user, cascade(persist, remove))]
    pub profile: Option<Ref<Profile>>,
    #[one_to_many(mapped_by = author, cascade(persist, remove))]
    pub posts: Collection<Post>,
}

#[derive(Entity, Clone, Debug)]
pub struct Profile {
    #[primary_key]
    pub id: i64,
    pub biography: String,
    #[one_to_one(inversed_by = profile)]
    pub user: Ref<User>,
}

#[derive(Entity, Clone, Debug)]
pub struct Post {
    #[primary_key]
    pub id: Uuid,
    pub title: String,
    #[property(on_create = Utc::now())]
    pub created_at: DateTime<Utc>,
    #[version]
    pub version: i32,
    #[many_to_one(inversed_by = posts)]
    pub author: Ref<User>,
    #[one_to_many(mapped_by = post, cascade(persist, remove), orphan_removal)]
    pub comments: Collection<Comment>,
    #[many_to_many(inversed_by = posts, pivot_table = "post_tags")]
    pub tags: Collection<Tag>,
}

#[derive(Entity, Clone, Debug)]
pub struct Comment {
    #[primary_key]
    pub id: i64,
    pub text: String,
    #[many_to_one(inversed_by = comments)]
    pub post: Ref<Post>,
    #[many_to_one]
    pub author: Ref<User>,
}

#[derive(Entity, Clone, Debug)]
pub struct Tag {
    #[primary_key]
    pub id: i64,
    #[property(unique)]
    pub name: String,
    #[many_to_many(mapped_by = tags)]
    pub posts: Collection<Post>,
}

/// The error of the program itself: closures of `transactional` answer with any type that an [`Error`] converts to.
#[derive(Debug)]
enum BlogError {
    Database(Error),
    Rejected(String),
}

impl From<Error> for BlogError {
    fn from(error: Error) -> Self {
        Self::Database(error)
    }
}

/// What the database has, asked for past the unit of work.
const ROWS: &str = "SELECT p.title, p.version, count(c.id) FROM post p LEFT JOIN comment c ON c.post_id = p.id \
                    GROUP BY p.id ORDER BY p.title";

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let database = TestDatabase::new().await?;
    let orm = Orm::connect(database.url()).await?;
    orm.schema().create().await?;

    write_a_graph(&orm.em()).await?;
    read_it_back(&orm.em()).await?;
    roll_back_a_nested_transaction(&orm.em(), &database).await?;
    repair_a_failed_flush(&orm.em(), &database).await?;
    Ok(())
}

/// One `persist` for everything that hangs together, one transaction for all tables.
async fn write_a_graph(em: &EntityManager) -> Result<(), Error> {
    let ada = em.persist(NewUser { username: "ada".into() });
    em.persist(NewProfile { biography: "wrote the first program".into(), user: ada.to_ref() });
    let charles = em.persist(NewUser { username: "charles".into() });

    let engine = em.create(NewPost { title: "On the Analytical Engine".into(), author: ada.to_ref() });
    let note = em.create(NewPost { title: "Note G".into(), author: ada.to_ref() });
    for post in [&engine, &note] {
        ada.write().posts.add(post); // a collection persists what is added to it
    }
    let mathematics = em.create(NewTag { name: "mathematics".into() });
    let machines = em.create(NewTag { name: "machines".into() });
    engine.write().tags.set([&mathematics, &machines]);
    mathematics.write().posts.add(&note); // either side of a many-to-many will do
    em.persist(NewComment { text: "Admirable.".into(), post: engine.to_ref(), author: charles.to_ref() });

    let summary = em.flush().await?;
    println!("1. wrote {} rows in {} statements\n", summary.inserted, summary.statements);
    Ok(())
}

/// What is to be loaded along is said in the query; each relation is one statement, whatever the number of rows.
async fn read_it_back(em: &EntityManager) -> Result<(), Error> {
    let ada = em
        .find_one_or_fail::<User>(
            User::fields().username().eq("ada"),
            ["profile", "posts.tags", "posts.comments.author"],
        )
        .await?;
    let user = ada.read();
    let profile = user.profile.as_ref().map(Ref::get).transpose()?;
    println!("2. {} {}", user.username, profile.map(|profile| profile.read().biography.clone()).unwrap_or_default());
    for post in user.posts.items()? {
        let post = post.read();
        let tags: Vec<String> = post.tags.items()?.iter().map(|tag| tag.read().name.clone()).collect();
        println!("   \"{}\" [{}]", post.title, tags.join(", "));
        for comment in post.comments.items()? {
            let comment = comment.read();
            println!("     {}: {}", comment.author.get()?.read().username, comment.text);
        }
    }
    println!();
    Ok(())
}

/// A savepoint that rolls back restores the memory, too, and the transaction around it goes on.
async fn roll_back_a_nested_transaction(
    em: &EntityManager,
    database: &TestDatabase,
) -> Result<(), Box<dyn std::error::Error>> {
    let note = em.find_one_or_fail::<Post>(Post::fields().title().eq("Note G"), ["comments", "author"]).await?;
    let memory = || {
        let post = note.read();
        let comments = post.comments.len().map_or_else(|error| error.to_string(), |count| count.to_string());
        format!("\"{}\", version {}, comments: {comments}", post.title, post.version)
    };
    let (memory_before, rows_before) = (memory(), database.query(ROWS).await?);

    em.transactional(async |em| {
        let outcome = em
            .transactional(async |em| {
                let author = note.load(&em, |post| post.author()).await?;
                let spam =
                    em.create(NewComment { text: "buy now".into(), post: note.to_ref(), author: author.to_ref() });
                note.update(|post| {
                    post.title = "Note H".into();
                    post.comments.add(&spam);
                });
                em.flush().await?;
                println!("3. inside the savepoint: {}", memory());
                Err::<(), _>(BlogError::Rejected("that is spam".into()))
            })
            .await;
        match outcome {
            Err(BlogError::Rejected(reason)) => println!("   rejected: {reason}"),
            Err(BlogError::Database(error)) => return Err(error),
            Ok(()) => {}
        }
        println!("   after the savepoint:  {}", memory());
        Ok(())
    })
    .await?;

    assert_eq!(memory(), memory_before, "the memory is as before");
    assert_eq!(database.query(ROWS).await?, rows_before, "the database is as before");
    assert!(!note.is_dirty(), "nothing is left to be written");
    println!("   memory and database are as before\n");
    Ok(())
}

/// After a failed flush everything is still there and still scheduled: mend what is wrong and flush again.
async fn repair_a_failed_flush(em: &EntityManager, database: &TestDatabase) -> Result<(), Box<dyn std::error::Error>> {
    let users_before = database.query("SELECT count(*) FROM users").await?;
    let grace = em.persist(NewUser { username: "ada".into() });
    em.persist(NewPost { title: "The Compiler".into(), author: grace.to_ref() });

    match em.flush().await {
        Err(Error::UniqueViolation { entity, properties, .. }) => {
            println!("4. refused: {}.{} must be unique", entity.unwrap_or("?"), properties.join(", "));
        }
        other => return Err(format!("expected a unique violation, not {other:?}").into()),
    }
    assert_eq!(database.query("SELECT count(*) FROM users").await?, users_before, "nothing was written");
    assert_eq!(grace.id(), 0, "and no key was given");

    grace.write().username = "grace".into();
    let summary = em.flush().await?;
    println!("   repaired: {} rows written, {} has key {}", summary.inserted, grace.read().username, grace.id());
    assert_eq!(summary.inserted, 2);
    Ok(())
}
