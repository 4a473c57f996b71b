//! Every public future is `Send` (rule F2), whatever it is made of: it can be spawned, and awaited in a handler.

use std::future::{Future, IntoFuture};

use crate::library::*;
use crate::support::Fixture;
use howdah::prelude::*;

fn assert_send<F: Future + Send>(future: F) -> F {
    future
}

#[tokio::test]
async fn f2_every_future_is_send() {
    let fixture = Fixture::new(library()).await;
    let orm = &fixture.orm;
    let url = fixture.database.url().to_owned();
    // Not awaited: it takes all entities of this program, and the modules have their own of the same names.
    drop(assert_send(Orm::connect(&url)));
    assert_send(Orm::builder().url(&url).entities(library()).connect()).await.unwrap();
    drop(assert_send(Orm::from_env()));
    let schema = orm.schema();
    assert_send(schema.refresh_database()).await.unwrap();
    assert_send(schema.drop()).await.unwrap();
    assert_send(schema.create()).await.unwrap();

    let em = orm.em();
    let ada = em.persist(NewAuthor { name: "Ada".into() });
    let book = em.persist(NewBook { title: "Notes".into(), author: ada.to_ref() });
    assert_send(em.flush()).await.unwrap();

    let fields = Author::fields;
    assert_send(em.find::<Author>().filter(|author| author.name().eq("Ada")).into_future()).await.unwrap();
    assert_send(async { em.find::<Author>().populate(|author| author.books().tags()).await }).await.unwrap();
    assert_send(em.find::<Author>().order_by(|author| author.mentor().name().asc()).one()).await.unwrap();
    assert_send(em.find::<Author>().filter(|a| a.books().some(|b| b.title().like("N%"))).count()).await.unwrap();
    assert_send(em.find::<Author>().exists()).await.unwrap();
    assert_send(em.find::<Author>().find_and_count()).await.unwrap();
    assert_send(em.find::<Author>().cursor().first(1).with_total_count().into_future()).await.unwrap();
    assert_send(em.find::<Author>().refresh().timeout(std::time::Duration::from_secs(60)).into_future()).await.unwrap();
    assert_send(em.find_all::<Author>()).await.unwrap();
    assert_send(em.find_one::<Author>(1, ())).await.unwrap();
    assert_send(em.find_one::<Author>(fields().name().eq("Ada"), ["books"])).await.unwrap();
    assert_send(em.find_one_or_fail::<Author>(1, fields().books().tags())).await.unwrap();
    assert_send(em.find_one_or_fail::<Tag>(Uuid::nil(), ())).await.unwrap_err();
    assert_send(em.find_one_or_fail::<Shelf>("nowhere", ())).await.unwrap_err();
    assert_send(em.count::<Author>(())).await.unwrap();
    assert_send(em.exists::<Author>(fields().born().is_null())).await.unwrap();
    assert_send(em.refresh(&ada)).await.unwrap();
    assert_send(em.populate(&[ada.clone()], "books")).await.unwrap();
    assert_send(em.populate(&ada, fields().profile())).await.unwrap();
    assert_send(ada.load(&em, |author| author.books())).await.unwrap();
    assert_send(book.load(&em, |book| book.author())).await.unwrap();
    let reference = book.read().author.clone();
    assert_send(reference.load(&em)).await.unwrap();

    assert_send(em.transactional(async |em| em.flush().await)).await.unwrap();
    assert_send(em.transactional(|em| async move { em.flush().await })).await.unwrap();
    assert_send(em.begin()).await.unwrap();
    assert_send(em.lock(&ada, LockMode::PessimisticWriteOrFail)).await.unwrap();
    assert_send(em.find::<Author>().lock(LockMode::PessimisticPartialRead).into_future()).await.unwrap();
    assert_send(em.commit()).await.unwrap();
    assert_send(em.begin()).await.unwrap();
    assert_send(em.rollback()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f2_all_of_it_runs_in_a_spawned_task() {
    let fixture = Fixture::new(library()).await;
    let tasks: Vec<_> = (0..8)
        .map(|number| {
            let em = fixture.em();
            tokio::spawn(async move {
                let title = format!("Volume {number}");
                let author = em.persist(NewAuthor { name: format!("Author {number}") });
                let borrowed = &title;
                em.transactional(async |em| {
                    em.flush().await?;
                    // Nested, borrowing what the outer closures have borrowed.
                    em.transactional(async |em| {
                        let book = em.create(NewBook { title: borrowed.clone(), author: author.to_ref() });
                        author.write().books.add(&book);
                        em.flush().await?;
                        tokio::task::yield_now().await;
                        Ok::<_, Error>(())
                    })
                    .await?;
                    let found = em.find::<Book>().filter(|book| book.title().eq(borrowed.as_str())).await?;
                    assert_eq!(found.len(), 1);
                    Ok::<_, Error>(())
                })
                .await
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap().unwrap();
    }
    assert_eq!(fixture.rows("SELECT count(*) FROM book JOIN author ON author_id = author.id").await, ["8"]);
}

/// What a web framework asks of a handler.
async fn handle<F, Fut, R>(handler: F, orm: Orm) -> R
where
    F: Fn(Orm) -> Fut + Clone + Send + Sync + 'static,
    Fut: Future<Output = R> + Send + 'static,
    R: Send + 'static,
{
    tokio::spawn(handler.clone()(orm)).await.unwrap()
}

/// An application's error.
#[derive(Debug)]
struct Rejection(String);

impl From<Error> for Rejection {
    fn from(error: Error) -> Self {
        Self(error.to_string())
    }
}

async fn publish(orm: Orm) -> Result<i64, Rejection> {
    let em = orm.em();
    let ada = em.find_one::<Author>(Author::fields().name().eq("Ada"), ["books"]).await?;
    let ada = ada.ok_or_else(|| Rejection("who?".into()))?;
    let book = em
        .transactional(async |em| {
            if ada.read().books.is_empty()? {
                return Err(Rejection("nothing to go on".into()));
            }
            Ok(em.persist(NewBook { title: "Sketch".into(), author: ada.to_ref() }))
        })
        .await?;
    let id = book.id();
    Ok(id)
}

#[tokio::test]
async fn f2_a_handler_is_a_function_or_a_closure() {
    let fixture = Fixture::new(library()).await;
    let em = fixture.em();
    assert_eq!(handle(publish, fixture.orm.clone()).await.unwrap_err().0, "who?");
    let ada = em.persist(NewAuthor { name: "Ada".into() });
    em.persist(NewBook { title: "Notes".into(), author: ada.to_ref() });
    em.flush().await.unwrap();
    assert_eq!(handle(publish, fixture.orm.clone()).await.unwrap(), 2);
    let titles = handle(
        |orm: Orm| async move {
            let found = orm.em().find::<Book>().order_by(|book| book.id().asc()).await?;
            Ok::<_, Error>(found.iter().map(|book| book.read().title.clone()).collect::<Vec<_>>())
        },
        fixture.orm.clone(),
    );
    assert_eq!(titles.await.unwrap(), ["Notes", "Sketch"]);
}

/// The newest of any entity, changed in a transaction: nothing is known of `T` but that it is an entity.
async fn change_all<T: Entity>(em: &EntityManager, change: impl Fn(&mut T) + Send + Sync) -> Result<u64, Error> {
    em.transactional(async |em| {
        let all = em.find_all::<T>().await?;
        for entity in &all {
            entity.update(&change);
            em.refresh(entity).await?;
            entity.update(&change);
        }
        em.persist(&all);
        Ok(em.flush().await?.updated)
    })
    .await
}

#[tokio::test]
async fn f2_a_generic_function_over_entities() {
    let fixture = Fixture::new(library()).await;
    let em = fixture.em();
    em.persist([NewShelf { code: "A".into() }, NewShelf { code: "B".into() }]);
    em.persist(NewTag { name: "poetry".into() });
    em.flush().await.unwrap();
    let task = tokio::spawn(async move {
        let tags = change_all::<Tag>(&em, |tag| tag.name.push('!')).await?;
        let shelves = change_all::<Shelf>(&em, |_| ()).await?;
        Ok::<_, Error>((tags, shelves))
    });
    assert_eq!(task.await.unwrap().unwrap(), (1, 0));
    assert_eq!(fixture.rows("SELECT name FROM tag").await, ["poetry!"]);
}

#[test]
fn handles_are_send_and_sync() {
    fn check<T: Send + Sync + Clone + 'static>() {}
    check::<Orm>();
    check::<EntityManager>();
    check::<Managed<Author>>();
    check::<Ref<Author>>();
    check::<Collection<Book>>();
    fn sent<T: Send + Sync + 'static>() {}
    sent::<Error>();
}

#[tokio::test]
async fn f2_writing_past_the_unit_of_work_is_send() {
    let fixture = Fixture::new(library()).await;
    let em = fixture.em();
    let author = |name: &str| NewAuthor { name: name.into() };
    assert_send(em.insert(author("a"))).await.unwrap();
    assert_send(em.insert_many([author("b")])).await.unwrap();
    assert_send(em.upsert(author("a")).on_conflict(|a| a.name()).into_future()).await.unwrap();
    assert_send(em.upsert_many([author("c")]).r#where(|a| a.born().is_null()).into_future()).await.unwrap();
    assert_send(em.native_update::<Author>().set(|a| a.born(), 1).into_future()).await.unwrap();
    assert_send(em.native_update::<Author>().set(|a| a.born(), 1).returning_entities()).await.unwrap();
    assert_send(em.native_delete::<Author>().filter(|a| a.name().eq("b")).into_future()).await.unwrap();
    assert_send(em.native_delete::<Author>().filter(|a| a.name().eq("c")).returning_entities()).await.unwrap();
    let returning = em.native_delete::<Author>().filter(|a| a.name().eq("c")).returning(|a| (a.id(), a.name()));
    assert_send(returning.into_future()).await.unwrap();
    let insert = em.query::<Author>().insert([author("z")]).on_conflict(|a| a.name());
    assert_send(insert.returning_entities()).await.unwrap();
    let copies = em.query::<Author>().select(|a| a.name().concat("!")).insert_into::<Author, _>(|a| a.name());
    assert_send(copies.into_future()).await.unwrap();
    assert_send(em.copy_in::<Author>([author("d")])).await.unwrap();
    assert_send(em.copy_in_stream::<Author>(futures_util::stream::iter([author("e")]))).await.unwrap();

    let authors = em.repository::<Author>();
    let saved = assert_send(authors.save(author("f"))).await.unwrap();
    assert_send(authors.delete(&saved)).await.unwrap();
    assert_send(authors.bulk_create([author("g")])).await.unwrap();
    assert_send(authors.copy_in([author("h")])).await.unwrap();
    assert_send(authors.insert_many([author("i")])).await.unwrap();
    assert_send(authors.lowest(|a| a.born())).await.unwrap();
    assert_send(authors.find_by(|a| a.name(), "a").into_future()).await.unwrap();
}
