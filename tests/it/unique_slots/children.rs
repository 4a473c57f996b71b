//! Rules C6 and C8, where rows that pass unique values on also refer to each other.

use super::*;

/// Its place in the tree can be changed, and must be unlike all others.
#[derive(Entity, Clone, Debug)]
pub struct Page {
    #[primary_key]
    pub id: i64,
    #[property(unique)]
    pub slug: String,
    #[property(unique)]
    pub alias: Option<String>,
    #[version]
    pub version: i32,
    #[many_to_one]
    pub successor: Option<Ref<Page>>,
    #[one_to_many(mapped_by = page, cascade(persist, remove))]
    pub links: Collection<Link>,
    #[many_to_many]
    pub topics: Collection<Topic>,
}

/// May be without a page.
#[derive(Entity, Clone, Debug)]
pub struct Link {
    #[primary_key]
    pub id: i64,
    pub target: String,
    #[many_to_one(inversed_by = links)]
    pub page: Option<Ref<Page>>,
}

/// May not.
#[derive(Entity, Clone, Debug)]
pub struct Remark {
    #[primary_key]
    pub id: i64,
    #[many_to_one]
    pub page: Ref<Page>,
}

#[derive(Entity, Clone, Debug)]
pub struct Topic {
    #[primary_key]
    pub name: String,
}

async fn site() -> (Fixture, EntityManager, Managed<Page>) {
    let fixture = Fixture::new(entities![Page, Link, Remark, Topic]).await;
    let em = fixture.em();
    let home = em.persist(NewPage { slug: "home".into() }.with(|page| page.alias = Some("start".into())));
    for target in ["a", "b"] {
        let link = em.create(NewLink { target: target.into() });
        home.write().links.add(&link);
    }
    em.flush().await.unwrap();
    fixture.forget();
    (fixture, em, home)
}

const LINKS: &str = "SELECT target, slug FROM link LEFT JOIN page ON page.id = page_id ORDER BY 1";

#[tokio::test]
async fn the_children_of_a_removed_row_go_with_it_before_its_value_is_taken() {
    let (fixture, em, home) = site().await;
    home.write().topics.add(em.create(NewTopic { name: "rust".into() }));
    em.flush().await.unwrap();
    fixture.forget();
    em.remove(&home);
    let new = em.persist(NewPage { slug: "home".into() });
    new.write().links.add(em.create(NewLink { target: "c".into() }));
    new.write().topics.add(em.find_one_or_fail::<Topic>("rust", ()).await.unwrap());
    let summary = em.flush().await.unwrap();
    assert_eq!((summary.inserted, summary.deleted, summary.round_trips), (2, 3, 2));
    let order =
        ["DELETE page_topics", "DELETE link", "DELETE page", "INSERT page", "INSERT link", "INSERT page_topics"];
    assert_eq!(heads(&fixture), order);
    assert_eq!(fixture.rows(LINKS).await, ["c|home"]);
    assert_eq!(fixture.rows("SELECT page_id FROM page_topics").await, [new.id().to_string()]);
}

#[tokio::test]
async fn a_value_that_may_be_null_is_parked_until_the_children_are_gone() {
    let (fixture, em, _) = site().await;
    let em = em.fork();
    let home = em.find_one_or_fail::<Page>(Page::fields().slug().eq("home"), ()).await.unwrap();
    let new = em.persist(NewPage { slug: "new".into() }.with(|page| page.alias = Some("start".into())));
    for link in em.find_all::<Link>().await.unwrap() {
        link.write().page = Some(new.to_ref());
    }
    em.remove(&home);
    fixture.forget();
    let summary = em.flush().await.unwrap();
    assert_eq!((summary.inserted, summary.updated, summary.deleted, summary.round_trips), (1, 2, 1, 2));
    assert_eq!(heads(&fixture), ["UPDATE page", "INSERT page", "UPDATE link", "DELETE page_topics", "DELETE page"]);
    assert_eq!(fixture.rows(LINKS).await, ["a|new", "b|new"]);
    assert_eq!(fixture.rows("SELECT slug, alias FROM page").await, ["new|start"]);
}

#[tokio::test]
async fn references_that_may_be_null_are_parked_until_the_new_row_is_there() {
    let (fixture, em, _) = site().await;
    let em = em.fork();
    let home = em.find_one_or_fail::<Page>(Page::fields().slug().eq("home"), ()).await.unwrap();
    let new = em.persist(NewPage { slug: "home".into() });
    for link in em.find_all::<Link>().await.unwrap() {
        link.write().page = Some(new.to_ref());
    }
    em.remove(&home);
    fixture.forget();
    let summary = em.flush().await.unwrap();
    assert_eq!((summary.inserted, summary.updated, summary.deleted, summary.round_trips), (1, 2, 1, 2));
    assert_eq!(heads(&fixture), ["UPDATE link", "DELETE page_topics", "DELETE page", "INSERT page", "UPDATE link"]);
    assert_eq!(fixture.rows(LINKS).await, ["a|home", "b|home"]);
}

#[tokio::test]
async fn where_nothing_may_be_null_it_is_refused() {
    let (fixture, em, _) = site().await;
    let em = em.fork();
    let home = em.find_one_or_fail::<Page>(Page::fields().slug().eq("home"), ()).await.unwrap();
    let remark = em.persist(NewRemark { page: home.to_ref() });
    em.flush().await.unwrap();
    fixture.database.execute("DELETE FROM link").await.unwrap();
    let new = em.persist(NewPage { slug: "home".into() });
    remark.write().page = new.to_ref();
    em.remove(&home);
    fixture.forget();
    let error = em.flush().await.unwrap_err();
    let Error::UnresolvableUniqueSwap { constraint, entities } = &error else { panic!("{error}") };
    assert_eq!((constraint.as_str(), entities.len()), ("page_slug_unique", 2));
    assert!(entities.contains(&format!("Page#{}", home.id())) && entities.contains(&"Page (new)".to_owned()));
    assert!(fixture.log.statements().is_empty());
    // Another value, and it goes through; the value can follow.
    new.write().slug = "home.new".into();
    em.flush().await.unwrap();
    new.write().slug = "home".into();
    em.flush().await.unwrap();
    assert_eq!(fixture.rows("SELECT slug FROM remark JOIN page ON page.id = page_id").await, ["home"]);
}

#[tokio::test]
async fn a_row_that_refers_to_its_successor_gives_its_value_first() {
    let (fixture, em, home) = site().await;
    let new = em.persist(NewPage { slug: "home".into() });
    home.update(|page| {
        page.slug = "home.old".into();
        page.successor = Some(new.to_ref());
    });
    let summary = em.flush().await.unwrap();
    assert_eq!((summary.inserted, summary.updated, summary.round_trips), (1, 1, 2));
    assert_eq!(heads(&fixture), ["UPDATE page", "INSERT page", "UPDATE page"]);
    let rows = "SELECT slug, successor_id, version FROM page ORDER BY id";
    assert_eq!(fixture.rows(rows).await, [format!("home.old|{}|2", new.id()), "home|~|1".to_owned()]);
    assert_eq!(home.read().version, 2);
    // Three generations: each takes what the one before has had.
    let newer = em.persist(NewPage { slug: "home".into() });
    new.update(|page| {
        page.slug = "home.old".into();
        page.successor = Some(newer.to_ref());
    });
    home.write().slug = "home.older".into();
    let summary = em.flush().await.unwrap();
    assert_eq!((summary.updated, summary.round_trips), (2, 2));
    assert_eq!(
        fixture.rows(rows).await,
        [format!("home.older|{}|3", new.id()), format!("home.old|{}|2", newer.id()), "home|~|1".to_owned()]
    );
    // What somebody else has changed is still noticed.
    fixture.database.execute("UPDATE page SET version = 10 WHERE slug = 'home'").await.unwrap();
    let newest = em.persist(NewPage { slug: "home".into() });
    newer.update(|page| {
        page.slug = "home.last".into();
        page.successor = Some(newest.to_ref());
    });
    let error = em.flush().await.unwrap_err();
    assert!(matches!(&error, Error::OptimisticLock { entities } if *entities == [format!("Page#{}", newer.id())]));
    assert_eq!(fixture.rows("SELECT count(*) FROM page WHERE slug = 'home.last'").await, ["0"]);
}
