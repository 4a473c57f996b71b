//! Lazy columns: left out of the SELECT, loaded on demand, written without being loaded (rules E4 and E5).

use crate::support::Fixture;
use futures_util::future::join_all;
use howdah::prelude::*;

#[derive(Entity, Clone, Debug, Serialize)]
pub struct Article {
    #[primary_key]
    pub id: i64,
    #[property(length = 200)]
    pub body: Lazy<String>,
    pub title: String,
    pub notes: Lazy<Option<String>>,
    #[property(column = "picture_bytes")]
    pub picture: Lazy<Option<Vec<u8>>>,
    #[property(default = 3)]
    pub rank: Lazy<i32>,
    #[many_to_one(inversed_by = articles)]
    pub magazine: Option<Ref<Magazine>>,
    #[version]
    pub version: i32,
}

#[derive(Entity, Clone, Debug, Serialize)]
pub struct Magazine {
    #[primary_key(assigned)]
    pub code: String,
    pub cover: Lazy<Json<Vec<i32>>>,
    #[one_to_many(mapped_by = magazine)]
    pub articles: Collection<Article>,
}

/// Magazine "M" with the articles "one", which has notes and a picture, and "two".
async fn filled() -> Fixture {
    let fixture = Fixture::new(entities![Article, Magazine]).await;
    let em = fixture.em();
    let magazine = em.persist(NewMagazine { code: "M".into(), cover: Json(vec![1, 2]).into() });
    let one = em.persist(NewArticle { title: "one".into(), body: "first".into() });
    one.write().notes.set(Some("short".to_owned()));
    one.write().picture = Some(vec![1, 2, 3]).into();
    let two = em.persist(NewArticle { title: "two".into(), body: "second".into() });
    for article in [&one, &two] {
        article.write().magazine = Some(magazine.to_ref());
    }
    em.flush().await.unwrap();
    assert_eq!(one.read().body.get().unwrap(), "first", "what was written is known");
    assert_eq!(em.flush().await.unwrap(), FlushSummary::default());
    fixture.forget();
    fixture
}

async fn one(em: &EntityManager) -> Managed<Article> {
    em.find_one_or_fail::<Article>(Article::fields().title().eq("one"), ()).await.unwrap()
}

#[tokio::test]
async fn e5_a_lazy_column_is_left_out_and_loaded_on_demand() {
    let fixture = filled().await;
    assert_eq!(
        fixture.rows("SELECT title, body, notes, picture_bytes, rank FROM article ORDER BY id").await,
        ["one|first|short|\\x010203|3", "two|second|~|~|3"]
    );
    let em = fixture.em();
    let article = one(&em).await;
    let statements = fixture.statements();
    assert!(!statements[0].contains("body") && !statements[0].contains("picture"), "{statements:#?}");
    // E4
    let error = article.read().body.get().unwrap_err();
    assert!(matches!(error, Error::NotLoaded { entity: "Article", relation: "body" }), "{error}");
    assert!(!article.read().notes.is_loaded());
    assert_eq!(serde_json::to_value(&*article.read()).unwrap()["body"], serde_json::Value::Null);
    assert_eq!(article.load(&em, |a| a.body()).await.unwrap(), "first");
    assert_eq!(article.load(&em, |a| a.picture()).await.unwrap(), Some(vec![1, 2, 3]));
    assert_eq!(fixture.statements().len(), 2);
    assert_eq!(article.load(&em, |a| a.body()).await.unwrap(), "first");
    assert_eq!(article.read().body.get().unwrap(), "first");
    assert!(fixture.statements().is_empty(), "it is there");
    // Loading changes nothing, and a find leaves it as it is.
    assert!(!article.is_dirty());
    assert_eq!(em.flush().await.unwrap(), FlushSummary::default());
    assert_eq!(one(&em).await.read().body.get().unwrap(), "first");
    // Conditions and orders see it like any column.
    let found = em.find::<Article>().filter(|a| a.body().like("sec%")).order_by(|a| a.rank().asc()).await.unwrap();
    assert_eq!(found[0].read().title, "two");
    assert!(!found[0].read().body.is_loaded());
}

#[tokio::test]
async fn it_is_written_without_being_loaded() {
    let fixture = filled().await;
    let em = fixture.em();
    let article = one(&em).await;
    fixture.forget();
    article.write().title = "uno".into();
    em.flush().await.unwrap();
    let statements = fixture.statements();
    assert!(!statements[0].contains("body"), "{statements:#?}");
    article.write().body.set("changed");
    article.write().notes.set(None);
    assert_eq!(article.changes().iter().map(|change| change.property).collect::<Vec<_>>(), ["body", "notes"]);
    // What was set is not overwritten by loading it.
    assert_eq!(article.load(&em, |a| a.body()).await.unwrap(), "changed");
    em.populate(&article, ["body", "picture"]).await.unwrap();
    assert_eq!(article.read().body.get().unwrap(), "changed");
    fixture.forget();
    em.flush().await.unwrap();
    let statements = fixture.statements();
    assert!(statements.len() == 1 && !statements[0].contains("picture"), "{statements:#?}");
    assert_eq!(fixture.rows("SELECT title, body, notes, version FROM article WHERE id = 1").await, ["uno|changed|~|3"]);
    // B2: what is loaded and set to the same sends nothing.
    article.write().body.set("changed");
    article.write().picture.set(Some(vec![1, 2, 3]));
    assert_eq!(em.flush().await.unwrap(), FlushSummary::default());
    // A copy that is not loaded says nothing.
    let other = one_of(&fixture.em()).await;
    let copy = other.read().body.clone();
    other.write().body = copy;
    assert!(!other.is_dirty());
}

async fn one_of(em: &EntityManager) -> Managed<Article> {
    em.find::<Article>().order_by(|a| a.id().asc()).one().await.unwrap().unwrap()
}

#[tokio::test]
async fn it_is_populated_by_name_and_by_path_with_every_strategy() {
    let fixture = filled().await;
    for strategy in [LoadStrategy::Balanced, LoadStrategy::SelectIn, LoadStrategy::Joined, LoadStrategy::Pipelined] {
        let em = fixture.em();
        let find = em.find::<Magazine>().strategy(strategy);
        let found = find.populate_names(["cover", "articles.body", "articles.notes"]).await.unwrap();
        assert_eq!(found[0].read().cover.get().unwrap().0, [1, 2], "{strategy:?}");
        let articles = found[0].read().articles.items().unwrap();
        assert_eq!(articles[0].read().body.get().unwrap(), "first");
        assert_eq!(articles[1].read().body.get().unwrap(), "second");
        assert_eq!(articles[1].read().notes.get().unwrap(), &None);
        assert!(!articles[0].read().picture.is_loaded());
        let em = fixture.em();
        let find = em.find::<Article>().order_by(|a| a.id().asc()).strategy(strategy);
        let found = find.populate(|a| (a.magazine().cover(), a.picture())).await.unwrap();
        assert_eq!(found[0].read().magazine.as_ref().unwrap().get().unwrap().read().cover.get().unwrap().0, [1, 2]);
        assert_eq!(found[0].read().picture.get().unwrap(), &Some(vec![1, 2, 3]), "{strategy:?}");
        let found = em.find_one_or_fail::<Article>(2, "body").strategy(strategy).await.unwrap();
        assert_eq!(found.read().body.get().unwrap(), "second");
    }
    let em = fixture.em();
    let articles = em.find_all::<Article>().await.unwrap();
    fixture.forget();
    join_all(articles.iter().map(|article| article.load(&em, |a| a.body()))).await;
    assert_eq!(fixture.statements().len(), 1, "loads that are awaited together share a query");
    // Nothing is behind a column.
    let error = em.populate(&articles, "body.title").await.unwrap_err();
    assert!(matches!(error, Error::Validation { .. }), "{error}");
    let error = articles[0].load(&em, |a| a.magazine().cover()).await.unwrap_err();
    assert!(matches!(error, Error::Validation { .. }), "{error}");
}

#[tokio::test]
async fn a_refresh_reads_it_again_if_it_was_loaded() {
    let fixture = filled().await;
    let em = fixture.em();
    let article = one(&em).await;
    article.load(&em, |a| a.body()).await.unwrap();
    article.write().notes.set(Some("mine".to_owned()));
    fixture.database.execute("UPDATE article SET body = 'theirs', notes = 'theirs'").await.unwrap();
    em.refresh(&article).await.unwrap();
    assert_eq!(article.read().body.get().unwrap(), "theirs");
    assert_eq!(article.read().notes.get().unwrap().as_deref(), Some("theirs"));
    assert!(!article.read().picture.is_loaded());
    assert!(!article.is_dirty());
    assert_eq!(em.flush().await.unwrap(), FlushSummary::default());
}

#[tokio::test]
async fn d2_what_was_loaded_and_set_in_a_scope_is_undone_with_it() {
    let fixture = filled().await;
    let em = fixture.em();
    let article = one(&em).await;
    let failed = em
        .transactional(async |em| {
            article.write().body.set("in vain");
            em.flush().await?;
            article.load(&em, |a| a.notes()).await?;
            Err::<(), _>(Error::TransactionAborted)
        })
        .await;
    assert!(failed.is_err());
    assert!(!article.read().body.is_loaded() && !article.read().notes.is_loaded());
    assert_eq!(article.load(&em, |a| a.body()).await.unwrap(), "first");
    assert_eq!(em.flush().await.unwrap(), FlushSummary::default());
}

#[tokio::test]
async fn a_row_that_is_gone_has_no_value() {
    let fixture = filled().await;
    let em = fixture.em();
    let article = one(&em).await;
    fixture.database.execute("DELETE FROM article").await.unwrap();
    let error = article.load(&em, |a| a.body()).await.unwrap_err();
    assert!(matches!(error, Error::NotLoaded { entity: "Article", relation: "body" }), "{error}");
}

/// A pending change of a lazy column is one like every other: what somebody else has written meanwhile is not overwritten.
#[tokio::test]
async fn c9_a3_a_changed_lazy_column_is_not_written_over_another_version() {
    let fixture = filled().await;
    for (is_loaded, text, theirs) in [(false, "mine", "theirs"), (true, "mine again", "theirs again")] {
        let (em, other) = (fixture.em(), fixture.em());
        em.set_flush_mode(FlushMode::Commit);
        let mine = one(&em).await;
        if is_loaded {
            mine.load(&em, |a| a.body()).await.unwrap();
        }
        let version = mine.read().version;
        mine.write().body.set(text);
        one(&other).await.write().body.set(theirs);
        other.flush().await.unwrap();
        em.find::<Article>().await.unwrap();
        assert_eq!((mine.read().version, mine.read().body.get().unwrap().as_str()), (version, text));
        let stale = em.flush().await.unwrap_err();
        assert!(matches!(stale, Error::OptimisticLock { .. }), "{stale:?}");
        assert_eq!(fixture.rows("SELECT body FROM article WHERE title = 'one'").await, [theirs]);
        em.refresh(&mine).await.unwrap();
        mine.write().body.set(text);
        em.flush().await.unwrap();
        assert_eq!(fixture.rows("SELECT body FROM article WHERE title = 'one'").await, [text]);
    }
}

/// What a statement past the unit of work has written of a lazy column is loaded again; what it has only read stays.
#[tokio::test]
async fn e4_lazy_columns_of_rows_that_plain_sql_answers_with() {
    let fixture = filled().await;
    let em = fixture.em();
    let article = one(&em).await;
    assert_eq!(article.load(&em, |a| a.body()).await.unwrap(), "first");
    em.sql("SELECT * FROM article", &[]).into_entities::<Article>().await.unwrap();
    assert!(article.read().body.is_loaded());
    let update = "UPDATE article SET body = 'second' WHERE title = 'one' RETURNING *";
    assert_eq!(em.sql(update, &[]).into_entities::<Article>().await.unwrap(), [article.clone()]);
    assert!(!article.read().body.is_loaded());
    assert_eq!(article.load(&em, |a| a.body()).await.unwrap(), "second");
}
