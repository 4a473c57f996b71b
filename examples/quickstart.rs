//! The four calls: persist, flush, find with relations, transactional.

use howdah::StatementLog;
use howdah::prelude::*;
use howdah::testing::TestDatabase;

#[derive(Entity, Clone, Debug)]
#[entity(table = "users")]
pub struct User {
    #[primary_key]
    pub id: i64,
    #[property(unique, length = 50)]
    pub username: String,
    #[property(on_create = Utc::now())]
    pub created_at: DateTime<Utc>,
    #[one_to_many(mapped_by = author)]
    pub posts: Collection<Post>,
}

#[derive(Entity, Clone, Debug)]
pub struct Post {
    #[primary_key]
    pub id: Uuid,
    pub title: String,
    #[many_to_one(inversed_by = posts)]
    pub author: Ref<User>,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let database = TestDatabase::new().await?; // starts a PostgreSQL of its own, gone afterwards
    let log = StatementLog::new();
    let orm = Orm::builder().url(database.url()).statement_log(&log).connect().await?;
    orm.schema().create().await?;

    let em = orm.em();
    let ada = em.persist(NewUser { username: "ada".into() });
    em.persist(NewPost { title: "On the Analytical Engine".into(), author: ada.to_ref() });
    log.clear();
    let summary = em.flush().await?;
    println!(
        "flush: {} rows in {} round trips:\n  {}\n",
        summary.inserted,
        summary.round_trips,
        log.take().join("\n  ")
    );

    let em = orm.em();
    let ada = em.find_one_or_fail::<User>(ada.id(), User::fields().posts()).await?;
    for post in ada.read().posts.items()? {
        println!("{} wrote \"{}\"\n", ada.read().username, post.read().title);
    }

    log.clear();
    em.transactional(async |em| {
        ada.write().username = "ada.lovelace".into();
        em.persist(NewPost { title: "Note G".into(), author: ada.to_ref() });
        Ok::<_, Error>(())
    })
    .await?;
    println!("transaction:\n  {}\n", log.take().join("\n  "));

    let found = em.find::<User>().filter(|u| u.posts().title().like("Note%")).await?;
    println!("found: {:?}", found.first().map(|user| user.read().username.clone()));
    Ok(())
}
