//! Repositories, the short forms of finds, and the verbs that flush at once.

use std::ops::Deref;

use howdah::Repository;
use howdah::prelude::*;

use crate::library::*;
use crate::support::Fixture;

#[derive(Entity, Clone, Debug)]
#[entity(repository = VisitRepository)]
pub struct Visit {
    #[primary_key]
    pub id: i64,
    pub page: String,
    pub seconds: Option<i32>,
    #[property(on_create = Utc::now(), on_update = Utc::now())]
    pub touched_at: DateTime<Utc>,
    #[property(on_create = Utc::now())]
    pub started_at: DateTime<Utc>,
    #[many_to_one]
    pub referrer: Option<Ref<Visit>>,
}

/// A program's own repository.
pub struct VisitRepository {
    visits: Repository<Visit>,
    shortest: i32,
}

impl VisitRepository {
    pub async fn long(&self) -> Result<Vec<Managed<Visit>>, Error> {
        self.find().filter(|v| v.seconds().gte(self.shortest)).order_by(|v| v.id().asc()).await
    }
}

impl From<Repository<Visit>> for VisitRepository {
    fn from(visits: Repository<Visit>) -> Self {
        Self { visits, shortest: 10 }
    }
}

impl Deref for VisitRepository {
    type Target = Repository<Visit>;

    fn deref(&self) -> &Repository<Visit> {
        &self.visits
    }
}

/// Visits in an order that is not that of their times.
async fn visits(fixture: &Fixture) -> EntityManager {
    let em = fixture.em();
    let visit = |page: &str, day: u32, seconds: Option<i32>| {
        NewVisit { page: page.into() }.with(|visit| {
            visit.started_at = format!("2024-05-0{day}T00:00:00Z").parse().unwrap();
            visit.seconds = seconds;
        })
    };
    let rows = [visit("a", 2, Some(20)), visit("b", 1, Some(5)), visit("a", 3, None), visit("c", 3, Some(20))];
    em.insert_many(rows).await.unwrap();
    fixture.forget();
    fixture.em()
}

fn id(found: Result<Option<Managed<Visit>>, Error>) -> Option<i64> {
    found.unwrap().map(|visit| visit.id())
}

#[tokio::test]
async fn short_forms_are_one_statement() {
    let fixture = Fixture::new(entities![Visit]).await;
    let em = visits(&fixture).await;
    assert_eq!(id(em.first::<Visit>().await), Some(1));
    assert_eq!(id(em.last::<Visit>().await), Some(4));
    assert_eq!(id(em.oldest::<Visit>().await), Some(2));
    assert_eq!(id(em.latest::<Visit>().await), Some(4), "of the same time it is the greatest key");
    assert_eq!(id(em.lowest::<Visit, _>(|v| v.seconds()).await), Some(2));
    assert_eq!(id(em.greatest::<Visit, _>(|v| v.seconds()).await), Some(1), "of the same value it is the lowest key");
    assert_eq!(id(em.greatest::<Visit, _>(|v| v.page()).await), Some(4));
    assert_eq!(id(em.find_first_by::<Visit, _>(|v| v.page(), "a").await), Some(1));
    assert_eq!(id(em.find_last_by::<Visit, _>(|v| v.page(), "a").await), Some(3));
    assert_eq!(id(em.find_first_by::<Visit, _>(|v| v.seconds(), 7).await), None);
    let statements = fixture.statements();
    assert_eq!(statements.len(), 10);
    assert!(statements.iter().all(|text| text.contains(" LIMIT $")), "{statements:?}");
    let both = em.find_by::<Visit, _>(|v| v.seconds(), 20).order_by(|v| v.id().asc()).await.unwrap();
    assert_eq!(both.iter().map(Managed::id).collect::<Vec<_>>(), [1, 4]);

    fixture.forget();
    assert_eq!(id(em.find_by_id::<Visit>(3).await), Some(3));
    assert_eq!(id(em.find_by_id::<Visit>(9).await), None);
    assert_eq!(fixture.statements().len(), 1, "the first one is loaded");
    let error = em.get::<Visit>(9).await.unwrap_err();
    assert_eq!(error.to_string(), "Visit not found: Visit#9");
    assert_eq!(em.get::<Visit>(Visit::fields().page().eq("b")).await.unwrap().id(), 2);
    assert_eq!(em.all::<Visit>().await.unwrap().len(), 4);
}

#[tokio::test]
async fn short_forms_know_relations_and_composite_orders() {
    let fixture = Fixture::new(library()).await;
    let em = fixture.em();
    let authors = em.bulk_create(["b", "a"].map(|name| NewAuthor { name: name.into() })).await.unwrap();
    assert_eq!(authors.iter().map(Managed::id).collect::<Vec<_>>(), [1, 2]);
    let book = em.save(NewBook { title: "x".into(), author: authors[1].to_ref() }).await.unwrap();
    for found in [
        em.find_by::<Book, _>(|b| b.author(), &authors[1]).await.unwrap(),
        em.find_by::<Book, _>(|b| b.author(), 2).await.unwrap(),
        em.find_by::<Book, _>(|b| b.author().name(), "a").await.unwrap(),
    ] {
        assert_eq!(found, [book.clone()]);
    }
    // Without a time of creation it is the key.
    assert_eq!(em.oldest::<Author>().await.unwrap().unwrap(), authors[0]);
    assert_eq!(em.latest::<Author>().await.unwrap().unwrap(), authors[1]);
    assert_eq!(em.first::<Shelf>().await.unwrap(), None);
}

#[tokio::test]
async fn verbs_of_active_records_flush_at_once() {
    let fixture = Fixture::new(library()).await;
    let em = fixture.em();
    let authors = em.repository::<Author>();
    let ursula = authors.save(NewAuthor { name: "Ursula".into() }).await.unwrap();
    assert_eq!((ursula.id(), ursula.state(), fixture.log.round_trips()), (1, EntityState::Managed, 1));
    ursula.write().born = Some(1929);
    authors.save(&ursula).await.unwrap();
    assert_eq!(fixture.rows("SELECT name, born FROM author").await, ["Ursula|1929"]);
    assert_eq!(authors.get(1).await.unwrap(), ursula);

    let error = authors.save(NewAuthor { name: "Ursula".into() }).await.unwrap_err();
    assert!(matches!(error, Error::UniqueViolation { .. }), "{error}");
    em.clear();
    let ursula = authors.get(1).await.unwrap();
    authors.delete(&ursula).await.unwrap();
    assert_eq!((ursula.state(), authors.all().await.unwrap().len()), (EntityState::Removed, 0));

    fixture.forget();
    let created = authors.bulk_create((0..100).map(|n| NewAuthor { name: format!("{n}") })).await.unwrap();
    assert_eq!((created.len(), fixture.flow()), (100, vec!["INSERT".to_owned()]));
    authors.delete(&created).await.unwrap();
    assert_eq!(authors.count(()).await.unwrap(), 0);
}

#[tokio::test]
async fn a_repository_has_the_verbs_of_its_manager() {
    let fixture = Fixture::new(library()).await;
    let em = fixture.em();
    let authors = em.repository::<Author>();
    let created = authors.create(NewAuthor { name: "a".into() });
    authors.persist(&created);
    authors.persist(["b", "c"].map(|name| NewAuthor { name: name.into() }));
    assert_eq!(em.flush().await.unwrap().inserted, 3, "they are the manager's");
    assert_eq!(authors.find_one(1, ()).await.unwrap().unwrap(), created);
    assert!(authors.find_one_or_fail(9, "books").await.is_err());
    assert_eq!(authors.find_all().await.unwrap().len(), 3);
    assert!(authors.exists(Author::fields().name().eq("c")).await.unwrap());
    assert_eq!(authors.find_first_by(|a| a.name(), "b").await.unwrap().unwrap().id(), 2);
    assert_eq!(authors.greatest(|a| a.name()).await.unwrap().unwrap().id(), 3);
    assert_eq!(authors.get_reference(2).id(), 2);
    authors.populate(&created, "books").await.unwrap();
    assert!(created.read().books.is_loaded());

    assert_eq!(authors.insert_many([NewAuthor { name: "d".into() }]).await.unwrap(), [4]);
    let upserted = authors.upsert(NewAuthor { name: "d".into() }).on_conflict(|a| a.name()).await.unwrap();
    assert_eq!(upserted.id(), 4);
    assert_eq!(authors.copy_in([NewAuthor { name: "e".into() }]).await.unwrap(), 1);
    assert_eq!(authors.native_update().filter(|a| a.name().gt("c")).set(|a| a.born(), 1).await.unwrap(), 2);
    authors.refresh(&upserted).await.unwrap();
    assert_eq!(upserted.read().born, Some(1));
    assert_eq!(authors.native_delete().filter(|a| a.born().is_not_null()).await.unwrap(), 2);
    authors.remove(&created);
    em.flush().await.unwrap();
    assert_eq!(fixture.rows("SELECT name FROM author ORDER BY name").await, ["b", "c"]);
}

#[tokio::test]
async fn a_program_has_its_own_repository() {
    let fixture = Fixture::new(entities![Visit]).await;
    let em = visits(&fixture).await;
    let visits: VisitRepository = em.repository::<Visit>();
    let long = visits.long().await.unwrap();
    assert_eq!(long.iter().map(Managed::id).collect::<Vec<_>>(), [1, 4]);
    assert_eq!(id(visits.oldest().await), Some(2));

    // Inside of a transaction it acts inside.
    let failed: Result<(), Error> = em
        .transactional(async |em| {
            let visits = em.repository::<Visit>();
            visits.native_delete().await?;
            assert!(visits.long().await?.is_empty());
            Err(Error::TransactionAborted)
        })
        .await;
    assert!(failed.is_err());
    assert_eq!(visits.count(()).await.unwrap(), 4);
}
