//! Unique indexes with a condition, and types with an equality of their own.

use super::*;
use howdah::StatementLog;
use howdah::testing::TestDatabase;

/// One is current in each city; what was deleted counts no more.
#[derive(Entity, Clone, Debug)]
#[unique(city, where = "is_current AND deleted_at IS NULL")]
#[unique(name, where = "(deleted_at) IS NULL")]
pub struct Address {
    #[primary_key]
    pub id: i64,
    pub city: String,
    pub name: String,
    #[property(default = false)]
    pub is_current: bool,
    pub deleted_at: Option<DateTime<Utc>>,
}

#[tokio::test]
async fn a_row_that_leaves_the_index_makes_room_for_another() {
    let fixture = Fixture::new(entities![Address]).await;
    let em = fixture.em();
    let address = |city: &str, name: &str, is_current| {
        let address = NewAddress { city: city.into(), name: name.into() };
        em.persist(address.with(|address| address.is_current = is_current))
    };
    let old = address("Rome", "old", true);
    let other = address("Rome", "other", false);
    let paris = address("Paris", "paris", true);
    em.flush().await.unwrap();
    let rows = "SELECT city, name, is_current, deleted_at IS NULL FROM address ORDER BY id";

    // The one is current instead of the other; then back.
    for (from, to) in [(&old, &other), (&other, &old)] {
        fixture.forget();
        from.write().is_current = false;
        to.write().is_current = true;
        let summary = em.flush().await.unwrap();
        assert_eq!((summary.updated, summary.statements, summary.round_trips), (2, 2, 1));
    }
    // Deleted softly, and its name is used again.
    fixture.forget();
    old.write().deleted_at = Some(Utc::now());
    let new = address("Rome", "old", true);
    em.flush().await.unwrap();
    assert_eq!(heads(&fixture), ["UPDATE address", "INSERT address"]);
    assert_eq!(fixture.rows(rows).await, ["Rome|old|t|f", "Rome|other|f|t", "Paris|paris|t|t", "Rome|old|t|t"]);
    // Rows outside of the index need no order: one statement.
    other.write().city = "Paris".into();
    old.write().city = "Paris".into();
    assert_eq!(em.flush().await.unwrap().statements, 1);
    // Rows inside of it cannot exchange what must not be NULL.
    paris.write().city = "Rome".into();
    new.write().city = "Paris".into();
    let error = em.flush().await.unwrap_err();
    let Error::UnresolvableUniqueSwap { constraint, .. } = &error else { panic!("{error}") };
    assert_eq!(constraint, "address_city_unique");
}

/// The condition is more than comparisons with constants.
#[derive(Entity, Clone, Debug)]
#[unique(code, where = "length(code) > 1 OR weight > 10")]
pub struct Parcel {
    #[primary_key]
    pub id: i64,
    pub code: String,
    #[property(default = 1)]
    pub weight: i32,
}

#[tokio::test]
async fn a_condition_that_is_not_understood_is_taken_for_likely() {
    let fixture = Fixture::new(entities![Parcel]).await;
    let em = fixture.em();
    let parcels = ["a", "bb", "cc"].map(|code| em.persist(NewParcel { code: code.into() }));
    em.flush().await.unwrap();
    fixture.forget();
    // Deletes and updates let go first.
    em.remove(&parcels[1]);
    em.persist(NewParcel { code: "bb".into() });
    parcels[2].write().code = "dd".into();
    em.persist(NewParcel { code: "cc".into() });
    em.flush().await.unwrap();
    assert_eq!(heads(&fixture), ["DELETE parcel", "UPDATE parcel", "INSERT parcel"]);
    let rows = "SELECT string_agg(code, ' ' ORDER BY code) FROM parcel";
    assert_eq!(fixture.rows(rows).await, ["a bb cc dd"]);
    // It may be that nothing passes on: then nothing is refused.
    em.persist(NewParcel { code: "a".into() });
    parcels[0].write().weight = 2;
    em.flush().await.unwrap();
    assert_eq!(fixture.rows(rows).await, ["a a bb cc dd"]);
}

/// Only what is sealed has a code of its own: by a condition, and by an expression.
#[derive(Entity, Clone, Debug)]
#[unique(code, where = "sealed IS NOT FALSE")]
#[unique(expression = "CASE WHEN sealed THEN label END")]
pub struct Crate {
    #[primary_key]
    pub id: i64,
    pub code: i32,
    pub label: i32,
    pub sealed: bool,
}

#[tokio::test]
async fn c4_many_rows_with_one_value_under_conditions_that_are_not_understood_are_ordered_all_at_once() {
    let fixture = Fixture::new(entities![Crate]).await;
    let em = fixture.em();
    let open = || em.persist(vec![NewCrate { code: 1, label: 1, sealed: false }; 3000]);
    let mut crates = open();
    crates.push(em.persist(NewCrate { code: 1, label: 1, sealed: true }));
    em.flush().await.unwrap();
    fixture.forget();
    em.remove(&crates);
    open();
    em.persist(NewCrate { code: 1, label: 1, sealed: true });
    let summary = em.flush().await.unwrap();
    assert_eq!((summary.inserted, summary.deleted, summary.statements), (3001, 3001, 2));
    assert_eq!(heads(&fixture), ["DELETE crate", "INSERT crate"]);
}

/// `A` and `a` are the same.
#[derive(Entity, Clone, Debug)]
pub struct Tag {
    #[primary_key(sql_type = "citext")]
    pub name: String,
    #[property(unique, sql_type = "citext")]
    pub label: Option<String>,
    #[property(unique, sql_type = "citext")]
    pub title: String,
}

#[tokio::test]
async fn a_type_with_an_equality_of_its_own_is_compared_loosely() {
    let database = TestDatabase::new().await.unwrap();
    database.execute("CREATE EXTENSION citext").await.unwrap();
    let log = StatementLog::new();
    let builder = Orm::builder().url(database.url()).entities(entities![Tag]).statement_log(&log);
    let orm = builder.connect().await.unwrap();
    orm.schema().create().await.unwrap();
    let fixture = Fixture { database, orm, log };
    let em = fixture.em();
    let tag = |name: &str| {
        let tag = NewTag { name: name.into(), title: name.into() };
        em.persist(tag.with(|tag| tag.label = Some(name.into())))
    };
    let (one, two) = (tag("One"), tag("Two"));
    em.flush().await.unwrap();
    fixture.forget();
    // The key, and both values, in another spelling.
    em.remove(&one);
    let one = tag("ONE");
    em.flush().await.unwrap();
    assert_eq!(heads(&fixture), ["DELETE tag", "INSERT tag"]);
    two.write().title = "Three".into();
    one.write().title = "two".into();
    em.flush().await.unwrap();
    let rows = "SELECT name, label, title FROM tag ORDER BY name";
    assert_eq!(fixture.rows(rows).await, ["ONE|ONE|two", "Two|Two|Three"]);
    // Exchanged in another spelling: parked, because that does no harm.
    one.write().label = Some("two".into());
    two.write().label = Some("one".into());
    em.flush().await.unwrap();
    assert_eq!(fixture.rows(rows).await, ["ONE|two|two", "Two|one|Three"]);
    // Exactly the same values are certainly equal; others are the server's to judge.
    one.write().title = "Three".into();
    two.write().title = "two".into();
    assert!(matches!(em.flush().await.unwrap_err(), Error::UnresolvableUniqueSwap { .. }));
    one.write().title = "THREE".into();
    two.write().title = "TWO".into();
    assert!(matches!(em.flush().await.unwrap_err(), Error::UniqueViolation { .. }));
}
