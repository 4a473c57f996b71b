//! Rules B1 to B4: what counts as a change, and that only changes are looked at and sent.

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::library::*;
use crate::support::{Fixture, unguarded};
use howdah::prelude::*;
use serde_json::{Value, json};

static COPIES: AtomicUsize = AtomicUsize::new(0);

/// A field that counts how often its entity is copied.
#[derive(Debug, Default)]
pub struct CopyCounter;

impl CopyCounter {
    /// How many entities were copied.
    fn count(&self) -> usize {
        COPIES.load(Ordering::Relaxed)
    }
}

impl Clone for CopyCounter {
    fn clone(&self) -> Self {
        COPIES.fetch_add(1, Ordering::Relaxed);
        Self
    }
}

#[derive(Entity, Clone, Debug)]
pub struct Grain {
    #[primary_key]
    pub id: i64,
    pub weight: i32,
    #[transient]
    pub copies: CopyCounter,
}

#[tokio::test]
async fn b1_only_what_is_touched_is_copied_and_looked_at() {
    let fixture = Fixture::new(entities![Grain]).await;
    fixture.database.execute("INSERT INTO grain (weight) SELECT i FROM generate_series(1, 1000) AS i").await.unwrap();
    let em = fixture.em();
    let grains = em.find::<Grain>().order_by(|g| g.id().asc()).await.unwrap();
    COPIES.store(0, Ordering::Relaxed);
    fixture.forget();
    let total: i32 = grains.iter().map(|grain| grain.read().weight).sum();
    assert_eq!(total, 500_500);
    em.flush().await.unwrap();
    let copies = || grains[0].read().copies.count();
    assert_eq!(copies(), 0, "reading copies nothing");

    let one = &grains[499];
    one.write().weight = 7;
    one.write().weight += 1;
    assert_eq!(copies(), 1, "the first write copies one entity");
    // The flush cannot look at an entity that this thread has borrowed: it answers, so it has looked at one only.
    let untouched = grains.iter().filter(|grain| *grain != one).map(Managed::read).collect::<Vec<_>>();
    let summary = em.flush().await.unwrap();
    drop(untouched);
    assert_eq!((summary.updated, summary.statements), (1, 1));
    assert_eq!(copies(), 1);
    assert_eq!(fixture.rows("SELECT id FROM grain WHERE weight = 8 AND id <> 8").await, ["500"]);

    one.write().weight = 9;
    assert_eq!(copies(), 2, "the first write since the flush copies it again");
}

/// One field of every supported type, and NULL of some.
#[derive(Entity, Clone, Debug)]
pub struct Specimen {
    #[primary_key]
    pub id: Uuid,
    pub flag: bool,
    pub small: i16,
    pub int: i32,
    pub big: i64,
    pub real: f32,
    pub double: f64,
    pub zero: f64,
    pub text: String,
    #[property(length = 20)]
    pub short: String,
    pub bytes: Vec<u8>,
    pub uuid: Uuid,
    pub instant: DateTime<Utc>,
    #[property(precision = 3)]
    pub instant_in_millis: DateTime<Utc>,
    pub local: NaiveDateTime,
    #[property(precision = 0)]
    pub local_in_seconds: NaiveDateTime,
    pub date: NaiveDate,
    pub time: NaiveTime,
    #[property(precision = 2)]
    pub time_in_hundredths: NaiveTime,
    pub json: Value,
    pub typed: Json<Vec<Option<f64>>>,
    #[property(precision = 12, scale = 2, sql_type = "numeric(12, 2)")]
    pub amount: f64,
    pub nothing: Option<i32>,
    pub no_text: Option<String>,
    pub no_json: Option<Value>,
    pub maybe: Option<f64>,
    pub flags: Vec<bool>,
    pub ints: Vec<i32>,
    pub doubles: Vec<f64>,
    pub texts: Vec<String>,
    pub instants: Vec<DateTime<Utc>>,
    pub maybe_texts: Option<Vec<String>>,
    pub empty: Vec<i64>,
}

fn specimen() -> Specimen {
    // Nanoseconds that no column has.
    let instant = DateTime::from_timestamp(1_234_567_890, 123_456_789).unwrap();
    NewSpecimen {
        flag: true,
        small: i16::MIN,
        int: i32::MAX,
        big: i64::MIN,
        real: 0.1,
        double: f64::NAN,
        zero: -0.0,
        text: "Ünïcode, 'quotes' and \\ \n".into(),
        short: "short".into(),
        bytes: vec![0, 255, 92],
        uuid: Uuid::max(),
        instant,
        instant_in_millis: instant,
        local: instant.naive_utc(),
        local_in_seconds: instant.naive_utc(),
        date: instant.date_naive(),
        time: instant.time(),
        time_in_hundredths: instant.time(),
        json: json!({"b": 1, "a": [1.5, null, {"z": 1, "y": 2}], "big": 12_345_678_901_234_567_890_u64}),
        typed: Json(vec![Some(0.1), None]),
        amount: 12.5,
        flags: vec![true, false],
        ints: vec![1, -1],
        doubles: vec![f64::NAN, -0.0, f64::INFINITY],
        texts: vec![String::new(), "NULL".into(), "a,b".into(), "\"{}\\".into()],
        instants: vec![instant],
        empty: Vec::new(),
    }
    .with(|s| {
        s.maybe = Some(f64::NEG_INFINITY);
        s.maybe_texts = Some(vec!["x".into()]);
    })
}

#[tokio::test]
async fn b3_load_and_flush_sends_nothing_for_every_type() {
    let fixture = Fixture::new(entities![Specimen]).await;
    let em = fixture.em();
    let inserted = em.persist(specimen());
    em.flush().await.unwrap();
    fixture.forget();
    // The entity that was inserted has more digits than its columns. Touching it changes nothing.
    drop(inserted.write());
    assert!(!inserted.is_dirty(), "{:?}", inserted.changes());
    assert_eq!(em.flush().await.unwrap(), FlushSummary::default());

    let em = fixture.em();
    let loaded = em.find_one_or_fail::<Specimen>(inserted.id(), ()).await.unwrap();
    fixture.forget();
    drop(loaded.write());
    assert!(!loaded.is_dirty(), "{:?}", loaded.changes());
    assert_eq!(em.flush().await.unwrap(), FlushSummary::default());

    // B2: the values that were inserted, written again, are the same values to their columns.
    loaded.update(|s| *s = Specimen { id: s.id, ..specimen() });
    assert!(!loaded.is_dirty(), "{:?}", loaded.changes());
    assert_eq!(em.flush().await.unwrap(), FlushSummary::default());
    assert!(fixture.statements().is_empty());
    assert_eq!(fixture.log.round_trips(), 0);

    // Reading the row again replaces what was written and equal.
    em.refresh(&loaded).await.unwrap();
    assert_eq!(loaded.read().instant_in_millis.timestamp_subsec_nanos(), 123_000_000);
    assert!(loaded.read().zero.is_sign_negative() && loaded.read().double.is_nan());
    assert_eq!(loaded.read().texts[3], "\"{}\\");
}

#[tokio::test]
async fn b2_floats_are_compared_by_bits_and_json_by_value() {
    let fixture = Fixture::new(entities![Specimen]).await;
    let em = fixture.em();
    let specimen = em.persist(specimen());
    em.flush().await.unwrap();
    let changed = |change: fn(&mut Specimen)| {
        specimen.update(change);
        let names: Vec<&str> = specimen.changes().iter().map(|change| change.property).collect();
        specimen.update(|s| *s = Specimen { id: s.id, ..self::specimen() });
        names
    };
    assert_eq!(changed(|s| s.zero = 0.0), ["zero"]);
    assert_eq!(changed(|s| s.double = 1.0), ["double"]);
    assert_eq!(changed(|s| s.doubles[1] = 0.0), ["doubles"]);
    let reordered = r#"{"big": 12345678901234567890, "a": [1.5, null, {"y": 2, "z": 1}], "b": 1}"#;
    specimen.write().json = serde_json::from_str(reordered).unwrap();
    assert!(!specimen.is_dirty(), "the order of keys is no value");
    assert_eq!(changed(|s| s.json["a"][2]["y"] = json!(3)), ["json"]);
    assert_eq!(changed(|s| s.instant += chrono::TimeDelta::nanoseconds(1)), [""; 0], "no column has nanoseconds");
    assert_eq!(changed(|s| s.instant += chrono::TimeDelta::microseconds(1)), ["instant"]);
    assert_eq!(changed(|s| s.instant_in_millis += chrono::TimeDelta::microseconds(1)), [""; 0]);
    assert_eq!(changed(|s| s.instant_in_millis += chrono::TimeDelta::milliseconds(1)), ["instant_in_millis"]);
    assert_eq!(changed(|s| s.nothing = Some(0)), ["nothing"]);
    assert_eq!(changed(|s| s.no_text = Some(String::new())), ["no_text"], "an empty text is not NULL");
    assert_eq!(changed(|s| s.no_json = Some(Value::Null)), ["no_json"], "JSON null is not NULL");
    assert_eq!(changed(|s| s.maybe_texts = Some(Vec::new())), ["maybe_texts"]);
    assert_eq!(changed(|s| s.empty.push(0)), ["empty"]);
}

#[tokio::test]
async fn b2_the_same_value_and_the_old_value_back_send_nothing() {
    let fixture = Fixture::new(library()).await;
    let em = fixture.em();
    let author = em.persist(NewAuthor { name: "Ursula".into() });
    let mentor = em.persist(NewAuthor { name: "Theodora".into() });
    let book = em.persist(NewBook { title: "Lavinia".into(), author: author.to_ref() });
    em.flush().await.unwrap();
    fixture.forget();

    author.write().name = "Ursula".into();
    book.write().author = author.to_ref();
    book.write().author = em.get_reference(author.id());
    assert!(!author.is_dirty() && !book.is_dirty());
    assert_eq!(em.flush().await.unwrap(), FlushSummary::default());

    author.update(|a| {
        a.born = Some(1929);
        a.mentor = Some(mentor.to_ref());
    });
    book.write().author = mentor.to_ref();
    assert!(author.is_dirty() && book.is_dirty());
    author.update(|a| {
        a.born = None;
        a.mentor = None;
    });
    book.write().author = author.to_ref();
    assert!(!author.is_dirty() && !book.is_dirty());
    assert_eq!(em.flush().await.unwrap(), FlushSummary::default());
    assert!(fixture.statements().is_empty());
    assert_eq!(fixture.rows("SELECT version FROM book").await, ["1"]);
}

#[tokio::test]
async fn b3_an_update_names_the_changed_columns_only() {
    let fixture = Fixture::new(library()).await;
    let em = fixture.em();
    let author = em.persist(NewAuthor { name: "Ursula".into() });
    let other = em.persist(NewAuthor { name: "Iain".into() });
    let book = em.persist(NewBook { title: "Lavinia".into(), author: author.to_ref() });
    em.flush().await.unwrap();
    fixture.forget();
    author.write().born = Some(1929);
    book.write().author = other.to_ref();
    let summary = em.flush().await.unwrap();
    assert_eq!((summary.updated, summary.statements), (2, 2));
    let sent = fixture.statements();
    assert_eq!(
        sent.iter().map(|text| unguarded(text).split_once(") SELECT CASE").unwrap().0).collect::<Vec<_>>(),
        [
            "UPDATE \"author\" AS t0 SET \"born\" = s.c0 FROM unnest($1::int8[], $2::int4[]) AS s(k0, c0) \
             WHERE t0.\"id\" = s.k0 RETURNING s.k0",
            "UPDATE \"book\" AS t0 SET \"author_id\" = s.c0, \"version\" = t0.\"version\" + 1 \
             FROM unnest($1::int8[], $2::int4[], $3::int8[]) AS s(k0, v, c0) \
             WHERE t0.\"id\" = s.k0 AND t0.\"version\" = s.v RETURNING s.k0",
        ]
    );
}

#[derive(Entity, Clone, Debug)]
pub struct Account {
    #[primary_key]
    pub id: i64,
    pub owner: String,
    #[property(on_create = 10, on_update = 20)]
    pub stage: i32,
    #[property(on_update = Some("changed".to_owned()))]
    pub note: Option<String>,
    #[version]
    pub version: i64,
    #[many_to_many]
    pub tags: Collection<Label>,
}

#[derive(Entity, Clone, Debug)]
pub struct Label {
    #[primary_key]
    pub name: String,
}

#[tokio::test]
async fn b4_on_update_runs_only_when_something_else_changed() {
    let fixture = Fixture::new(entities![Account, Label]).await;
    let em = fixture.em();
    let account = em.persist(NewAccount { owner: "Ada".into() });
    em.flush().await.unwrap();
    let stored = "SELECT owner, stage, note, version FROM account";
    assert_eq!(fixture.rows(stored).await, ["Ada|10|~|1"]);

    drop(account.write());
    account.write().tags.add(em.persist(NewLabel { name: "vip".into() }));
    em.flush().await.unwrap();
    assert_eq!(fixture.rows(stored).await, ["Ada|10|~|1"], "a pivot row is not a change of the row");
    assert_eq!((account.read().stage, account.read().version), (10, 1));

    account.write().owner = "Countess".into();
    em.flush().await.unwrap();
    assert_eq!(fixture.rows(stored).await, ["Countess|20|changed|2"]);
    let values = |a: &Account| (a.stage, a.note.clone(), a.version);
    assert_eq!(values(&account.read()), (20, Some("changed".into()), 2), "the entity has what was written");

    // A value of the user's own wins.
    account.write().stage = 30;
    account.write().note = None;
    em.flush().await.unwrap();
    assert_eq!(fixture.rows(stored).await, ["Countess|30|~|3"]);
}

#[tokio::test]
async fn b4_the_version_counts_up_in_sql_and_cannot_be_written() {
    let fixture = Fixture::new(entities![Account, Label]).await;
    let em = fixture.em();
    let account = em.persist(NewAccount { owner: "Ada".into() });
    em.flush().await.unwrap();
    for version in 2..5 {
        account.write().owner += "!";
        assert_eq!(account.read().version, version - 1);
        em.flush().await.unwrap();
        assert_eq!(account.read().version, version);
    }
    assert_eq!(fixture.rows("SELECT owner, version FROM account").await, ["Ada!!!|4"]);
    account.write().version = 100;
    assert!(!account.is_dirty());
    account.write().owner = "Ada".into();
    em.flush().await.unwrap();
    assert_eq!(fixture.rows("SELECT owner, version FROM account").await, ["Ada|5"]);
    assert_eq!(account.read().version, 5);
}

#[tokio::test]
async fn changes_and_is_dirty_tell_what_a_flush_would_write() {
    let fixture = Fixture::new(library()).await;
    let em = fixture.em();
    let author = em.create(NewAuthor { name: "Ursula".into() });
    assert!(!author.is_dirty(), "not scheduled");
    em.persist(&author);
    assert!(author.is_dirty());
    em.flush().await.unwrap();
    assert!(!author.is_dirty() && author.changes().is_empty());
    author.update(|a| {
        a.name = "U. K. Le Guin".into();
        a.born = Some(1929);
    });
    let changes = author.changes();
    let changes: Vec<_> = changes.iter().map(|c| (c.property, c.before.as_deref(), c.after.as_deref())).collect();
    assert_eq!(changes, [("name", Some("Ursula"), Some("U. K. Le Guin")), ("born", None, Some("1929"))]);
    em.remove(&author);
    assert!(author.is_dirty());
    em.flush().await.unwrap();
    assert!(!author.is_dirty());
}
