//! Where filters are declared: on the entity, for all managers, for one; and conditions that lead to other entities.

use super::ids;
use crate::library::*;
use crate::support::Fixture;
use howdah::prelude::*;
use howdah::{LoadStrategy, Propagation};

/// Ann (1950) with A1 and A2 on the shelf S, Bea with B1 (no shelf); Bea's mentor is Ann. Books have 10, 20 and 30 pages.
async fn books(options: impl FnOnce(howdah::OrmBuilder) -> howdah::OrmBuilder) -> Fixture {
    let fixture = Fixture::with(library(), options).await;
    let rows = "INSERT INTO author(name, born) VALUES ('Ann', 1950);
        INSERT INTO author(name, mentor_id) SELECT 'Bea', id FROM author;
        INSERT INTO shelf(code) VALUES ('S');
        INSERT INTO book(title, pages, author_id, shelf_code, version) SELECT title, pages, id, shelf, 1
            FROM author JOIN (VALUES ('A1', 10, 'Ann', 'S'), ('A2', 20, 'Ann', 'S'), ('B1', 30, 'Bea', NULL))
            AS b(title, pages, author, shelf) ON author = name;";
    fixture.database.execute(rows).await.unwrap();
    fixture.forget();
    fixture
}

fn titles(found: &[Managed<Book>]) -> String {
    let mut titles: Vec<String> = found.iter().map(|book| book.read().title.clone()).collect();
    titles.sort();
    titles.join(" ")
}

#[tokio::test]
async fn filters_are_declared_for_all_managers_or_added_to_one() {
    let thick = || Filter::with_params::<Book, i32>("thick", |b, pages| b.pages().gte(pages)).off_by_default();
    let fixture = books(|builder| builder.filter(thick())).await;
    let em = fixture.em();
    assert_eq!(em.count::<Book>(()).await.unwrap(), 3);
    assert_eq!(titles(&em.find().with_filter("thick", 20).await.unwrap()), "A2 B1");
    // Parameters alone turn nothing on.
    em.set_filter_params("thick", 30);
    assert_eq!(em.count::<Book>(()).await.unwrap(), 3);
    // One of the same name and entity takes its place, in this manager and those that are forked from it later.
    let early = em.fork();
    em.add_filter(Filter::new::<Book>("thick", |b| b.pages().gt(10)));
    em.add_filter(Filter::new::<Author>("born", |a| a.born().is_not_null()));
    let error = em.count::<Book>(()).await.unwrap_err();
    assert!(error.to_string().contains("takes no parameters"), "{error}");
    em.set_filter_params("thick", ());
    assert_eq!(titles(&em.find().await.unwrap()), "A2 B1");
    assert_eq!(em.fork().count::<Author>(()).await.unwrap(), 1);
    assert_eq!(early.count::<Author>(()).await.unwrap(), 2);
    assert_eq!(fixture.em().count::<Book>(()).await.unwrap(), 3);
    // D3: a transaction with a graph of its own has the filters, too.
    for propagation in [Propagation::RequiresNew, Propagation::NotSupported, Propagation::Nested] {
        let counted = em.transaction().propagation(propagation).run(async |em| em.count::<Author>(()).await);
        assert_eq!(counted.await.unwrap(), 1, "{propagation:?}");
    }
    em.clear();
    assert_eq!(em.count::<Author>(()).await.unwrap(), 1);
}

#[tokio::test]
async fn a_name_twice_and_an_unknown_entity_are_refused_when_connecting() {
    #[derive(Entity, Clone, Debug)]
    #[filter(name = "here", condition = |p| p.gone().eq(false))]
    pub struct Place {
        #[primary_key]
        pub id: i64,
        #[property(default = false)]
        pub gone: bool,
    }
    let fixture = Fixture::new(entities![Place]).await;
    let again = Filter::new::<Place>("here", |_| Condition::always());
    let foreign = Filter::new::<Book>("thick", |_| Condition::always());
    let builder = Orm::builder().url(fixture.database.url()).entities(entities![Place]).filter(again).filter(foreign);
    let error = builder.connect().await.unwrap_err();
    let Error::Metadata { problems } = error else { panic!("{error}") };
    assert_eq!(problems.len(), 2, "{problems:?}");
    assert!(problems[0].contains("Place has two filters with the name \"here\""), "{problems:?}");
    assert!(problems[1].contains("is one of Book, which is not among the entities"), "{problems:?}");
}

#[tokio::test]
async fn conditions_of_filters_may_lead_over_relations_and_back() {
    let fixture = books(|builder| builder).await;
    for strategy in [LoadStrategy::Balanced, LoadStrategy::SelectIn, LoadStrategy::Joined, LoadStrategy::Pipelined] {
        let em = fixture.em();
        // What a condition leads to is not filtered in turn: these two would never end.
        em.add_filter(Filter::new::<Book>("of the old", |b| b.author().born().lt(2000).or(b.pages().eq(99))));
        em.add_filter(Filter::new::<Author>("with books", |a| a.books().pages().lte(20) & a.mentor().is_null()));
        assert_eq!(titles(&em.find().strategy(strategy).await.unwrap()), "A1 A2");
        let authors = em.find::<Author>().populate(|a| a.books().author().mentor()).strategy(strategy).await.unwrap();
        assert_eq!(authors.len(), 1);
        assert_eq!(titles(&authors[0].read().books.items().unwrap()), "A1 A2");
        let found = em.find::<Book>().filter(|b| b.author().mentor().is_null()).order_by(|b| b.author().name().desc());
        assert_eq!(found.clone().await.unwrap().len(), 2);
        assert_eq!(found.cursor().first(5).await.unwrap().items.len(), 2);
        let shelves =
            em.find::<Shelf>().filter(|s| s.books().author().name().eq("Ann")).populate(|s| s.books().author());
        let shelves = shelves.strategy(strategy).await.unwrap();
        assert_eq!(titles(&shelves[0].read().books.items().unwrap()), "A1 A2");
        assert_eq!(shelves[0].read().books.items().unwrap()[0].read().author.get().unwrap(), authors[0]);
        assert_eq!(em.find::<Shelf>().filter(|s| s.books().every(|b| b.pages().lt(5))).count().await.unwrap(), 0);
        let bea = em.find::<Author>().without_filter("with books").filter(|a| a.name().eq("Bea")).one().await.unwrap();
        assert!(em.find_one::<Author>(bea.unwrap().id(), ()).await.unwrap().is_none());
        em.transactional(async |em| {
            let locked = em.find::<Book>().lock(LockMode::PessimisticWrite).populate(|b| b.author()).await?;
            assert_eq!(locked.len(), 2);
            em.lock(&authors[0], LockMode::PessimisticWriteOrFail).await
        })
        .await
        .unwrap();
    }
}

#[derive(Entity, Clone, Debug)]
#[filter(name = "own", condition = |d, (team, user): (i32, String)| d.team().eq(team) | d.owner().eq(user))]
#[filter(name = "draft", condition = |d| d.draft().eq(true), default = false)]
pub struct Document {
    #[primary_key(assigned)]
    pub id: i32,
    pub team: i32,
    pub owner: String,
    pub draft: bool,
}

#[tokio::test]
async fn parameters_are_of_any_type_and_entities_declare_filters_that_are_off() {
    let fixture = Fixture::new(entities![Document]).await;
    let em = fixture.em();
    let rows = [(1, 1, "ann", false), (2, 1, "bea", true), (3, 2, "ann", true), (4, 2, "bea", true)];
    em.persist(rows.map(|(id, team, owner, draft)| NewDocument { id, team, owner: owner.into(), draft }));
    em.flush().await.unwrap();
    em.set_filter_params("own", (1, "ann".to_owned()));
    assert_eq!(ids(&em.find::<Document>().await.unwrap()), [1, 2, 3]);
    assert_eq!(ids(&em.find::<Document>().filter(|d| d.id().lt(3)).with_filter("draft", ()).await.unwrap()), [2]);
    // What a user gives is a value: it is bound.
    em.set_filter_params("own", (0, "' OR TRUE --".to_owned()));
    assert!(em.find::<Document>().await.unwrap().is_empty());
    assert!(fixture.statements().iter().all(|text| !text.contains("TRUE --")));
    assert_eq!(em.find::<Document>().without_filters().count().await.unwrap(), 4);
}
