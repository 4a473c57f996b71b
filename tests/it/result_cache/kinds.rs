//! Every kind of answer is kept: pages with their count, pages by cursors, tuples, projections, aggregates, queries.

use std::time::Duration;

use howdah::OrmBuilder;
use howdah::prelude::*;

use super::{LONG, Store, titles, with_rows};
use crate::library::*;
use crate::support::Fixture;

#[derive(Projection, Clone, Debug, PartialEq)]
struct Card {
    title: String,
    pages: Option<i32>,
    author: Name,
    shelf: Option<Code>,
    tags: Vec<Name>,
}

#[derive(Projection, Clone, Debug, PartialEq)]
struct Name {
    name: String,
}

#[derive(Projection, Clone, Debug, PartialEq)]
struct Code {
    code: String,
}

/// Asks something of the books, in words.
type Ask = for<'a> fn(&'a EntityManager, Duration) -> futures_util::future::BoxFuture<'a, Result<String, Error>>;

fn books(em: &EntityManager, time: Duration) -> Find<Book> {
    em.find::<Book>().order_by(|book| book.title().asc()).cache(time)
}

/// Each asks something else.
const KINDS: &[(&str, Ask)] = &[
    ("find", |em, time| Box::pin(async move { Ok(format!("{:?}", titles(&books(em, time).await?))) })),
    ("find_and_count", |em, time| {
        Box::pin(async move {
            let (page, total) = books(em, time).limit(1).find_and_count().await?;
            Ok(format!("{:?} of {total}", titles(&page)))
        })
    }),
    ("first page", |em, time| {
        Box::pin(async move {
            let page = books(em, time).cursor().first(1).await?;
            let flags = (page.has_prev_page, page.has_next_page, page.total_count);
            Ok(format!("{:?} {flags:?} {:?}", titles(&page.items), page.end_cursor))
        })
    }),
    ("next page", |em, time| {
        Box::pin(async move {
            let all = em.find::<Book>().order_by(|book| book.title().asc()).cache(time).cursor().await?;
            let next = books(em, time).cursor().first(5).after(all.start_cursor).with_total_count().await?;
            let flags = (next.has_prev_page, next.has_next_page, next.total_count);
            Ok(format!("{:?} {flags:?} {:?}", titles(&next.items), next.start_cursor))
        })
    }),
    ("last page", |em, time| {
        Box::pin(async move {
            let page = books(em, time).filter(|b| b.pages().is_null()).cursor().last(1).await?;
            Ok(format!("{:?} {}", titles(&page.items), page.has_prev_page))
        })
    }),
    ("count", |em, time| {
        Box::pin(async move { Ok(books(em, time).filter(|b| b.id().gt(0)).count().await?.to_string()) })
    }),
    ("exists", |em, time| Box::pin(async move { Ok(books(em, time).exists().await?.to_string()) })),
    ("tuple", |em, time| {
        Box::pin(async move {
            let rows: Vec<(i64, String, Option<i32>, Option<String>)> =
                books(em, time).select(|b| (b.author(), b.title().lower(), b.pages(), b.shelf())).await?;
            Ok(format!("{rows:?}"))
        })
    }),
    ("one value", |em, time| {
        Box::pin(async move { Ok(format!("{:?}", books(em, time).select(|b| b.title()).one_or_fail().await?)) })
    }),
    ("projection", |em, time| Box::pin(async move { Ok(format!("{:?}", books(em, time).into::<Card>().await?)) })),
    ("aggregate", |em, time| {
        Box::pin(async move {
            let query =
                em.query::<Book>().cache(time).group_by(|b| b.author().name()).order_by(|b| b.author().name().asc());
            let rows = query.select(|b| (b.author().name(), b.id().count(), b.title().array_agg())).await?;
            Ok(format!("{} rows of {}", rows.len(), rows[0].1))
        })
    }),
    ("query of entities", |em, time| {
        Box::pin(async move {
            let query = em.query::<Book>().cache(time).left_join(|b| b.tags()).order_by(|b| b.title().desc());
            Ok(format!("{:?}", titles(&query.await?)))
        })
    }),
    ("union", |em, time| {
        Box::pin(async move {
            let part = |name: &str| em.query::<Book>().filter(|b| b.title().gte(name)).select(|b| b.title());
            let both = part("0").union(part("M")).order_by_result(|title| title.asc()).cache(time);
            Ok(format!("{:?}", both.await?))
        })
    }),
    ("count of a query", |em, time| {
        Box::pin(async move {
            let query = em.query::<Book>().distinct().select(|b| b.author()).cache(time);
            Ok(format!("{} {}", query.clone().count().await?, query.exists().await?))
        })
    }),
];

async fn with_options(options: impl FnOnce(OrmBuilder) -> OrmBuilder) -> Fixture {
    let fixture = Fixture::with(library(), options).await;
    with_rows(&fixture).await;
    fixture
}

#[tokio::test]
async fn every_kind_of_answer_is_kept_until_its_tables_are_written() {
    let fixture = with_options(|builder| builder).await;
    for (name, ask) in KINDS {
        fixture.orm.clear_cache().await.unwrap();
        fixture.forget();
        let asked = ask(&fixture.em(), LONG).await.unwrap();
        assert!(fixture.log.round_trips() > 0, "{name}");
        fixture.forget();
        // The same answer, to the letter, with its cursors; also where it is asked without a flush of what is nobody's concern.
        let em = fixture.em();
        em.persist(NewShelf { code: format!("shelf of {name}") });
        assert_eq!(ask(&em, LONG).await.unwrap(), asked, "{name}");
        assert!(fixture.statements().iter().all(|text| text.contains("shelf")), "{name}");
        // It is what the database says.
        assert_eq!(ask(&fixture.em(), Duration::ZERO).await.unwrap(), asked, "{name}");
        assert!(fixture.log.round_trips() > 0, "{name}");
    }
    let em = fixture.em();
    let ada = em.find_one_or_fail::<Author>(Author::fields().name().eq("Ada"), ()).await.unwrap();
    for (number, (name, ask)) in KINDS.iter().enumerate() {
        let before = ask(&fixture.em(), LONG).await.unwrap();
        // In front of all others.
        em.persist(NewBook { title: format!("{} {name}", 99 - number), author: ada.to_ref() });
        em.flush().await.unwrap();
        let after = ask(&fixture.em(), LONG).await.unwrap();
        assert_eq!(after, ask(&fixture.em(), Duration::ZERO).await.unwrap(), "{name}");
        assert!(before != after || ["exists", "last page", "count of a query"].contains(name), "{name}: {after}");
    }
}

#[tokio::test]
async fn the_default_of_the_orm_holds_for_every_kind_and_transactions_ask_anew() {
    let fixture = with_options(|builder| builder.cache_results(LONG)).await;
    let em = fixture.em();
    assert_eq!(em.query::<Book>().select(|b| b.pages().coalesce(1)).await.unwrap(), [1, 1]);
    assert_eq!(em.find::<Book>().find_and_count().await.unwrap().1, 2);
    fixture.forget();
    let em = fixture.em();
    assert_eq!(em.find::<Book>().find_and_count().await.unwrap().1, 2);
    assert_eq!(em.find::<Book>().count().await.unwrap(), 2);
    assert_eq!(em.query::<Book>().rows().await.unwrap().len(), 2);
    assert_eq!(fixture.log.round_trips(), 1, "rows() have names, which are not kept");
    for (name, ask) in KINDS {
        let before = ask(&fixture.em(), LONG).await.unwrap();
        let em = fixture.em();
        em.begin().await.unwrap();
        fixture.forget();
        assert_eq!(ask(&em, LONG).await.unwrap(), before, "{name}");
        assert!(!fixture.statements().is_empty(), "{name}");
        em.rollback().await.unwrap();
    }
    let em = fixture.em();
    let locked = em.transactional(async |em| books(&em, LONG).lock(LockMode::PessimisticWrite).find_and_count().await);
    assert_eq!(locked.await.unwrap().1, 2);
}

#[tokio::test]
async fn a_page_and_its_count_are_kept_each_for_itself_and_asked_together() {
    let store = Store::default();
    let fixture = with_options(|builder| builder.result_cache(store.clone())).await;
    store.told.lock().clear();
    let em = fixture.em();
    // Where a find has asked the page, and another the count, both together are known.
    assert_eq!(books(&em, LONG).limit(1).await.unwrap().len(), 1);
    assert_eq!(books(&em, LONG).limit(1).count().await.unwrap(), 2);
    fixture.forget();
    let (page, total) = books(&fixture.em(), LONG).limit(1).find_and_count().await.unwrap();
    assert_eq!((titles(&page), total, fixture.log.round_trips()), (vec!["Letters".to_owned()], 2, 0));
    assert_eq!(*store.told.lock(), ["get", "set book", "get", "set book", "get", "get"]);
    // If one of them is missing, both are asked.
    let (page, total) = books(&fixture.em(), LONG).limit(2).find_and_count().await.unwrap();
    assert_eq!((page.len(), total), (2, 2));
    assert_eq!((fixture.log.round_trips(), fixture.statements().len()), (1, 2));
}

#[tokio::test]
async fn entities_of_kept_pages_are_managed_and_their_relations_are_loaded_as_ever() {
    let fixture = with_options(|builder| builder).await;
    for trips in [2, 1] {
        let em = fixture.em();
        fixture.forget();
        let find = books(&em, LONG).populate(|b| (b.author(), b.tags()));
        let (page, _) = find.clone().find_and_count().await.unwrap();
        assert_eq!(fixture.log.round_trips(), trips);
        assert_eq!(page[1].read().tags.len().unwrap(), 1);
        assert_eq!(page[0].read().author.get().unwrap().read().name, "Ada");
        let by_cursor = find.cursor().first(2).await.unwrap();
        assert_eq!(by_cursor.items, page, "A1");
        assert_eq!(by_cursor.cursor_for(&page[1]).unwrap(), by_cursor.end_cursor.unwrap());
    }
    // A3: what is loaded knows better than what was kept.
    fixture.database.execute("UPDATE book SET title = title || '!'").await.unwrap();
    let em = fixture.em();
    let notes = em.find::<Book>().filter(|b| b.title().eq("Notes!")).one().await.unwrap().unwrap();
    let (page, _) = books(&em, LONG).find_and_count().await.unwrap();
    assert_eq!((titles(&page), &page[1]), (vec!["Letters".to_owned(), "Notes!".to_owned()], &notes));
    assert_eq!(titles(&books(&em, LONG).refresh().find_and_count().await.unwrap().0), ["Letters!", "Notes!"]);
    // Outside of the identity map, too.
    let (apart, _) = books(&em, LONG).disable_identity_map().find_and_count().await.unwrap();
    assert_eq!(
        (titles(&apart), apart[0].state()),
        (vec!["Letters".to_owned(), "Notes".to_owned()], EntityState::Detached)
    );
}

#[tokio::test]
async fn what_cannot_be_kept_is_said_before_anything_is_sent() {
    let fixture = with_options(|builder| builder).await;
    let em = fixture.em();
    let kept = || books(&em, LONG).select(|b| b.title());
    let refused = |error: Error, what: &str| {
        assert!(matches!(error, Error::Validation { entity: Some("Book" | "Shelf"), .. }), "{error}");
        assert!(error.to_string().contains(what), "{error}");
    };
    refused(kept().rows().await.unwrap_err(), "select() the values");
    refused(kept().insert_into::<Shelf, _>(|s| s.code()).await.unwrap_err(), "leave it out");
    refused(kept().delete().await.unwrap_err(), "leave it out");
    refused(kept().update().set(|b| b.pages(), 1).await.unwrap_err(), "leave it out");
    refused(em.query::<Book>().select(|b| b.title()).union(kept()).await.unwrap_err(), "say them of the query around");
    refused(em.find::<Book>().filter(|b| b.title().is_in(kept())).await.unwrap_err(), "say them of the query around");
    assert!(fixture.statements().is_empty());
    assert_eq!(kept().cache(Duration::ZERO).rows().await.unwrap().len(), 2);
}
