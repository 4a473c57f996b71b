// What the examples of the guide start with: the entities of the page "Relations", and some rows. Included by hidden lines of
// the pages; entities are listed, because the documentation tests of several pages are one program.
include!("entities.rs");

/// Makes the tables and writes the rows; answers with the Orm.
#[allow(dead_code, reason = "some examples need the entities only")]
async fn blog(url: &str) -> Result<Orm, Error> {
    let orm = Orm::builder().url(url).entities(entities![User, Profile, Post, Comment, Tag]).connect().await?;
    orm.schema().create().await?;
    let em = orm.em();
    let ada = em.persist(NewUser { username: "ada".into() }.with(|user| user.age = Some(36)));
    let charles = em.persist(NewUser { username: "charles".into() });
    em.persist(NewProfile { biography: "wrote the first program".into(), user: ada.to_ref() });
    let engine = em.persist(NewPost { title: "On the Analytical Engine".into(), author: ada.to_ref() });
    let note = em.persist(NewPost { title: "Note G".into(), author: ada.to_ref() });
    let tag = em.create(NewTag { name: "mathematics".into() });
    engine.write().tags.add(&tag);
    note.write().tags.add(&tag);
    engine.write().tags.add(em.create(NewTag { name: "machines".into() }));
    em.persist(
        NewComment { text: "Admirable.".into(), post: engine.to_ref() }.with(|c| c.author = Some(charles.to_ref())),
    );
    em.flush().await?;
    Ok(orm)
}
