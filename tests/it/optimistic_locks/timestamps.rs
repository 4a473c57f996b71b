//! Versions that are points in time.

use super::*;

#[derive(Entity, Clone, Debug)]
pub struct Page {
    #[primary_key]
    pub id: i64,
    pub text: String,
    #[version]
    pub changed_at: DateTime<Utc>,
}

#[derive(Entity, Clone, Debug)]
pub struct Draft {
    #[primary_key]
    pub id: i64,
    pub text: String,
    #[version(column = "stamp", comment = "in UTC")]
    pub changed_at: NaiveDateTime,
}

async fn fixture() -> Fixture {
    Fixture::new(entities![Page, Draft]).await
}

#[tokio::test]
async fn a_new_row_has_the_time_as_its_version() {
    let fixture = fixture().await;
    let columns = "SELECT table_name, column_name, data_type, datetime_precision, is_nullable \
                   FROM information_schema.columns WHERE data_type LIKE 'timestamp%' AND table_schema = 'public' ORDER BY 1";
    assert_eq!(
        fixture.rows(columns).await,
        ["draft|stamp|timestamp without time zone|6|NO", "page|changed_at|timestamp with time zone|6|NO"]
    );
    let em = fixture.em();
    let before = Utc::now();
    let page = em.persist(NewPage { text: "made".into() });
    let whole = em.persist(Page { id: 0, text: "whole".into(), changed_at: DateTime::default() });
    let given =
        em.persist(Page { id: 0, text: "given".into(), changed_at: DateTime::from_timestamp_micros(7).unwrap() });
    let draft = em.persist(NewDraft { text: "made".into() });
    em.flush().await.unwrap();
    for version in [page.read().changed_at, whole.read().changed_at, draft.read().changed_at.and_utc()] {
        assert!(version >= before - chrono::TimeDelta::microseconds(1) && version <= Utc::now(), "{version}");
    }
    assert_eq!(given.read().changed_at.timestamp_micros(), 7);

    // The entity shows what the row has, to the microsecond.
    let em = fixture.em();
    for written in [&page, &whole, &given] {
        let version = written.read().changed_at;
        let read = em.find_one_or_fail::<Page>(written.id(), ()).await.unwrap();
        assert_eq!(read.read().changed_at, version);
        em.lock(&read, LockMode::Optimistic(version)).await.unwrap();
    }
    let read = em.find_one_or_fail::<Draft>(draft.id(), ()).await.unwrap();
    assert_eq!(read.read().changed_at, draft.read().changed_at);
    em.lock(&read, LockMode::Optimistic(draft.read().changed_at)).await.unwrap();
}

#[tokio::test]
async fn times_are_compared_to_the_microsecond() {
    let fixture = fixture().await;
    let em = fixture.em();
    let page = em.persist(NewPage { text: "one".into() });
    let draft = em.persist(NewDraft { text: "one".into() });
    em.flush().await.unwrap();
    let version = page.read().changed_at;
    let (nanosecond, microsecond) = (chrono::TimeDelta::nanoseconds(1), chrono::TimeDelta::microseconds(1));
    em.lock(&page, LockMode::Optimistic(version + nanosecond)).await.unwrap();
    assert_stale(em.lock(&page, LockMode::Optimistic(version + microsecond)).await, &["Page#1"]);
    assert_stale(em.lock(&page, LockMode::Optimistic(version - microsecond)).await, &["Page#1"]);
    em.find::<Page>().lock(LockMode::Optimistic(version)).await.unwrap();
    let other = draft.read().changed_at - microsecond;
    assert_stale(em.find::<Draft>().lock(LockMode::Optimistic(other)).await, &["Draft#1"]);
    let error = em.lock(&draft, LockMode::Optimistic(version)).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "Draft.changed_at is a version of type timestamp, and cannot be compared with a DateTime<Utc>"
    );
}

#[tokio::test]
async fn c9_a_stale_time_is_an_error_of_an_update_and_of_a_delete() {
    let fixture = fixture().await;
    let em = fixture.em();
    let pages = em.persist(["one", "two", "three"].map(|text| NewPage { text: text.into() }));
    em.flush().await.unwrap();
    fixture
        .database
        .execute("UPDATE page SET changed_at = changed_at + interval '1 microsecond' WHERE id < 3")
        .await
        .unwrap();
    em.remove(&pages[0]);
    assert_stale(em.flush().await, &["Page#1"]);
    em.persist(&pages[0]);
    for page in &pages {
        page.write().text += "!";
    }
    assert_stale(em.flush().await, &["Page#1", "Page#2"]);
    assert_eq!(fixture.rows("SELECT text FROM page ORDER BY id").await, ["one", "two", "three"]);
}

#[tokio::test]
async fn b4_every_update_sets_another_time() {
    let fixture = fixture().await;
    let em = fixture.em();
    let page = em.persist(NewPage { text: "0".into() });
    let draft = em.persist(NewDraft { text: "0".into() });
    em.flush().await.unwrap();
    let mut versions = vec![(page.read().changed_at, draft.read().changed_at)];
    for round in 1..=5 {
        page.write().text = round.to_string();
        draft.write().text = round.to_string();
        em.flush().await.unwrap();
        versions.push((page.read().changed_at, draft.read().changed_at));
        let read = fixture.em().find_one_or_fail::<Draft>(1, ()).await.unwrap();
        assert_eq!(read.read().changed_at, draft.read().changed_at);
    }
    assert!(versions.windows(2).all(|pair| pair[0].0 < pair[1].0 && pair[0].1 < pair[1].1), "{versions:?}");
    em.lock(&page, LockMode::Optimistic(page.read().changed_at)).await.unwrap();
    assert_stale(em.lock(&page, LockMode::Optimistic(versions[4].0)).await, &["Page#1"]);

    // Also in one transaction, whose time stands still, and behind a clock that was ahead.
    fixture.database.execute("UPDATE page SET changed_at = '2999-01-01'").await.unwrap();
    em.refresh(&page).await.unwrap();
    em.transactional(async |em| {
        for round in 6..=8 {
            let before = page.read().changed_at;
            page.write().text = round.to_string();
            em.flush().await?;
            assert!(page.read().changed_at > before);
        }
        Ok::<_, Error>(())
    })
    .await
    .unwrap();
}
