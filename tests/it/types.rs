//! Every type on its way into a column and back: alone, nullable, as an array, and at its limits.

use std::collections::BTreeMap;

use crate::support::Fixture;
use howdah::ScalarType;
use howdah::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// A type of one's own, stored as JSON.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    theme: String,
    zoom: Option<f64>,
    shortcuts: BTreeMap<String, Vec<u32>>,
}

/// Stores values in all forms, reads them, finds them by value, changes them, and reads them again.
macro_rules! round_trips {
    ($($test:ident: $type:ty, $values:expr;)*) => {$(
        mod $test {
            use super::*;

            #[derive(Entity, Clone, Debug)]
            pub struct Holder {
                #[primary_key(assigned)]
                pub id: i32,
                pub one: $type,
                pub maybe: Option<$type>,
                pub many: Vec<$type>,
                pub maybe_many: Option<Vec<$type>>,
            }

            #[tokio::test]
            async fn values_come_back_as_they_were() {
                let values: Vec<$type> = $values.into();
                let fixture = Fixture::new(entities![Holder]).await;
                let em = fixture.em();
                for (index, value) in values.iter().enumerate() {
                    let present = index % 2 == 0;
                    em.persist(Holder {
                        id: i32::try_from(index).unwrap(),
                        one: value.clone(),
                        maybe: present.then(|| value.clone()),
                        many: if present { values.clone() } else { Vec::new() },
                        maybe_many: (!present).then(|| vec![value.clone()]),
                    });
                }
                let inserted = em.flush().await.unwrap();
                assert_eq!((inserted.inserted, inserted.statements), (values.len() as u64, 1), "C4: one statement");

                let em = fixture.em();
                let found = em.find::<Holder>().order_by(|h| h.id().asc()).await.unwrap();
                assert_eq!(found.len(), values.len());
                for (index, (handle, value)) in found.iter().zip(&values).enumerate() {
                    let (holder, present) = (handle.read(), index % 2 == 0);
                    assert!(holder.one.same(value, None), "{:?} became {:?}", value, holder.one);
                    assert_eq!(holder.maybe.is_some(), present);
                    assert!(holder.maybe.iter().all(|maybe| maybe.same(value, None)));
                    assert!(holder.many.same(&if present { values.clone() } else { Vec::new() }, None));
                    assert_eq!(holder.maybe_many.is_some(), !present);
                    assert!(holder.maybe_many.iter().all(|many| many.same(&vec![value.clone()], None)));
                }
                // B3: loading changes nothing.
                fixture.forget();
                assert_eq!(em.flush().await.unwrap(), FlushSummary::default());
                assert!(fixture.statements().is_empty());

                // Found by value, in every form.
                for (index, value) in values.iter().enumerate() {
                    let id = i32::try_from(index).unwrap();
                    let mine = |found: Vec<Managed<Holder>>| found.iter().any(|holder| holder.id() == id);
                    assert!(mine(em.find::<Holder>().filter(|h| h.one().eq(value)).await.unwrap()), "{value:?}");
                    assert!(mine(em.find::<Holder>().filter(|h| h.one().is_in([value])).await.unwrap()));
                    let many = found[index].read().many.clone();
                    assert!(mine(em.find::<Holder>().filter(|h| h.many().eq(&many)).await.unwrap()));
                    let maybe = found[index].read().maybe.clone();
                    let filter = |h: HolderFields<Holder>| match &maybe {
                        Some(maybe) => h.maybe().eq(maybe) & h.maybe_many().is_null(),
                        None => h.maybe().is_null() & h.maybe_many().eq(vec![value.clone()]),
                    };
                    assert!(mine(em.find::<Holder>().filter(filter).await.unwrap()));
                }

                // Every column takes another value in one statement.
                for (index, handle) in found.iter().enumerate() {
                    let next = values[(index + 1) % values.len()].clone();
                    let mut holder = handle.write();
                    holder.maybe = if holder.maybe.is_some() { None } else { Some(next.clone()) };
                    holder.maybe_many = if holder.maybe_many.is_some() { None } else { Some(values.clone()) };
                    holder.many.push(next.clone());
                    holder.one = next;
                }
                let updated = em.flush().await.unwrap();
                assert_eq!((updated.updated, updated.statements), (values.len() as u64, 1));
                let again = fixture.em().find::<Holder>().order_by(|h| h.id().asc()).await.unwrap();
                for (new, old) in again.iter().zip(&found) {
                    let (new, old) = (new.read(), old.read());
                    assert!(new.one.same(&old.one, None));
                    assert!(new.many.same(&old.many, None));
                    assert_eq!((new.maybe.is_some(), new.maybe_many.is_some()), (old.maybe.is_some(), old.maybe_many.is_some()));
                }
            }
        }
    )*};
}

fn moment(seconds: i64, micros: u32) -> DateTime<Utc> {
    DateTime::from_timestamp(seconds, micros * 1000).unwrap()
}

/// 4714-11-24 BC, the first day that PostgreSQL knows.
const FIRST_SECOND: i64 = -210_866_803_200;

fn last_day() -> NaiveDate {
    NaiveDate::from_ymd_opt(262_142, 12, 31).unwrap()
}

round_trips! {
    booleans: bool, [true, false];
    small_integers: i16, [i16::MIN, -1, 0, 1, i16::MAX];
    integers: i32, [i32::MIN, -1, 0, 1, i32::MAX];
    big_integers: i64, [i64::MIN, -1, 0, 1, i64::MAX];
    single_floats: f32, [f32::MIN, -0.0, 0.0, 0.1, f32::MIN_POSITIVE, f32::MAX, f32::NEG_INFINITY, f32::NAN];
    double_floats: f64, [f64::MIN, -0.0, 0.0, 0.1, 5e-324, f64::MAX, f64::INFINITY, f64::NAN];
    texts: String, ["", " ", "NULL", "{}", "a\"b\\c,{d}'e", "日本 🦀", "\u{1}\n\t\r", &"long ".repeat(50_000)].map(str::to_owned);
    binaries: Vec<u8>, [vec![], vec![0], (0..=255).collect(), b"\\x00".to_vec()];
    uuids: Uuid, [Uuid::nil(), Uuid::max(), Uuid::now_v7()];
    moments: DateTime<Utc>, [
        moment(0, 0),
        moment(-1, 999_999),
        moment(FIRST_SECOND, 0),
        last_day().and_hms_micro_opt(23, 59, 59, 999_999).unwrap().and_utc(),
    ];
    local_moments: NaiveDateTime, [
        moment(0, 1).naive_utc(),
        moment(FIRST_SECOND, 1).naive_utc(),
        last_day().and_hms_micro_opt(23, 59, 59, 999_999).unwrap(),
    ];
    days: NaiveDate, [
        NaiveDate::from_ymd_opt(2024, 2, 29).unwrap(),
        NaiveDate::from_ymd_opt(0, 1, 1).unwrap(),
        moment(FIRST_SECOND, 0).date_naive(),
        last_day(),
    ];
    times: NaiveTime, [
        NaiveTime::MIN,
        NaiveTime::from_hms_micro_opt(23, 59, 59, 999_999).unwrap(),
        NaiveTime::from_hms_opt(12, 30, 0).unwrap(),
    ];
    documents: Value, [
        json!(null),
        json!({}),
        json!([1, -2.5, "three", null, true, {"four": []}]),
        json!("text \" with \\ quotes and 'apostrophes' 🦀"),
        json!({"max": u64::MAX, "min": i64::MIN, "large": 1e300, "small": 1e-7}),
    ];
    own_types: Json<Settings>, [
        Json(Settings { theme: "dark".into(), zoom: Some(1.25), shortcuts: BTreeMap::from([("save".into(), vec![1, 2])]) }),
        Json(Settings { theme: String::new(), zoom: None, shortcuts: BTreeMap::new() }),
    ];
}

/// `None` is NULL, and JSON's own null is a value.
#[tokio::test]
async fn json_null_is_not_null() {
    use documents::Holder;
    let fixture = Fixture::new(entities![Holder]).await;
    let em = fixture.em();
    em.persist(Holder { id: 1, one: json!(null), maybe: Some(json!(null)), many: vec![], maybe_many: None });
    em.persist(Holder { id: 2, one: json!(null), maybe: None, many: vec![json!(null)], maybe_many: None });
    em.flush().await.unwrap();
    assert_eq!(
        fixture.rows("SELECT maybe::text, many::text FROM holder ORDER BY id").await,
        ["null|{}", "~|{\"null\"}"]
    );
    let found = fixture.em().find::<Holder>().order_by(|h| h.id().asc()).await.unwrap();
    assert_eq!((found[0].read().maybe.clone(), found[1].read().maybe.clone()), (Some(json!(null)), None));
}

mod precision {
    use super::*;

    #[derive(Entity, Clone, Debug)]
    pub struct Event {
        #[primary_key]
        pub id: i64,
        pub exact: DateTime<Utc>,
        #[property(precision = 3)]
        pub rounded: DateTime<Utc>,
        #[property(precision = 0)]
        pub whole: Option<NaiveTime>,
    }

    #[tokio::test]
    async fn b2_what_the_column_cannot_tell_apart_is_not_written() {
        let fixture = Fixture::new(entities![Event]).await;
        let em = fixture.em();
        let nanos = DateTime::from_timestamp(1_700_000_000, 123_456_789).unwrap();
        let event = em.persist(NewEvent { exact: nanos, rounded: nanos });
        event.write().whole = NaiveTime::from_hms_milli_opt(1, 2, 3, 400);
        em.flush().await.unwrap();
        let rows = fixture.rows("SELECT to_char(exact, 'US'), to_char(rounded, 'US'), whole FROM event").await;
        assert_eq!(rows, ["123456|123000|01:02:03"]);
        fixture.forget();
        event.update(|e| {
            e.exact = DateTime::from_timestamp(1_700_000_000, 123_456_111).unwrap();
            e.rounded = DateTime::from_timestamp(1_700_000_000, 122_999_999).unwrap();
            e.whole = NaiveTime::from_hms_milli_opt(1, 2, 3, 499);
        });
        assert!(!event.is_dirty());
        em.flush().await.unwrap();
        assert!(fixture.statements().is_empty());
        event.update(|e| e.rounded = DateTime::from_timestamp(1_700_000_000, 123_500_000).unwrap());
        assert_eq!(em.flush().await.unwrap().updated, 1);
        let read = fixture.em().find_one_or_fail::<Event>(event.id(), ()).await.unwrap();
        assert_eq!(read.read().rounded.timestamp_subsec_micros(), 124_000);
        // Equality in a filter is equality of what is stored, and nanoseconds are not.
        assert_eq!(fixture.em().count::<Event>(Event::fields().exact().eq(nanos)).await.unwrap(), 1);
    }
}
