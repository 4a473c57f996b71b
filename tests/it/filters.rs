//! Every operator on every type it makes sense for, and how conditions are combined.

use crate::support::Fixture;
use howdah::prelude::*;
use serde_json::{Value, json};

/// One of each type: of four, the first three have values that grow, the fourth has none.
#[derive(Entity, Clone, Debug)]
pub struct Specimen {
    #[primary_key(assigned)]
    pub id: i32,
    pub flag: Option<bool>,
    pub small: Option<i16>,
    pub normal: Option<i32>,
    pub big: Option<i64>,
    pub single: Option<f32>,
    pub double: Option<f64>,
    pub text: Option<String>,
    pub bytes: Option<Vec<u8>>,
    pub uuid: Option<Uuid>,
    pub at: Option<DateTime<Utc>>,
    pub local: Option<NaiveDateTime>,
    pub day: Option<NaiveDate>,
    pub time: Option<NaiveTime>,
    pub json: Option<Value>,
    pub numbers: Option<Vec<i32>>,
    pub words: Option<Vec<String>>,
    pub moments: Option<Vec<DateTime<Utc>>>,
}

fn at(second: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_700_000_000 + second, 123_456_000).unwrap()
}

fn day(number: u32) -> NaiveDate {
    NaiveDate::from_ymd_opt(2024, 2, number).unwrap()
}

fn time(hour: u32) -> NaiveTime {
    NaiveTime::from_hms_micro_opt(hour, 30, 0, 1).unwrap()
}

fn uuid(number: u128) -> Uuid {
    Uuid::from_u128(number)
}

fn specimen(number: i32) -> Specimen {
    let mut specimen = Specimen::from(NewSpecimen { id: number });
    let n = u32::try_from(number).unwrap();
    specimen.flag = Some(number > 1);
    specimen.small = Some(i16::try_from(number).unwrap() * 100);
    specimen.normal = Some(number * 1000);
    specimen.big = Some(i64::from(number) * 10_000_000_000);
    specimen.single = Some(number as f32 * 0.1);
    specimen.double = Some(f64::from(number) * 0.1);
    specimen.text = Some(["", "alpha", "Beta_x", "gamma%"][number as usize].to_owned());
    specimen.bytes = Some(vec![0, number as u8]);
    specimen.uuid = Some(uuid(number as u128));
    specimen.at = Some(at(i64::from(number)));
    specimen.local = Some(at(i64::from(number)).naive_utc());
    specimen.day = Some(day(n));
    specimen.time = Some(time(n));
    specimen.json = Some(json!({"n": number, "list": [1, 2.5, null]}));
    specimen.numbers = Some(vec![number, 7]);
    specimen.words = Some(vec![format!("w{number}"), "it's \"quoted\"".to_owned()]);
    specimen.moments = Some(vec![at(i64::from(number))]);
    specimen
}

async fn specimens() -> Fixture {
    let fixture = Fixture::new(entities![Specimen]).await;
    let em = fixture.em();
    for number in 1..=3 {
        em.persist(specimen(number));
    }
    em.persist(NewSpecimen { id: 4 });
    em.flush().await.unwrap();
    fixture.forget();
    fixture
}

/// The ids of the specimens that fulfil a condition.
async fn ids(fixture: &Fixture, condition: Condition<Specimen>) -> Vec<i32> {
    let shown = format!("{condition:?}");
    let found = fixture.em().find::<Specimen>().filter(|_| condition).order_by(|s| s.id().asc()).await;
    found.unwrap_or_else(|error| panic!("{shown}: {error}")).iter().map(Managed::id).collect()
}

fn fields() -> SpecimenFields<Specimen> {
    Specimen::fields()
}

/// Runs each condition and compares with the expected ids.
macro_rules! expect {
    ($fixture:expr; $($condition:expr => $expected:expr;)*) => {$(
        assert_eq!(ids($fixture, $condition).await, $expected as &[i32], "{}", stringify!($condition));
    )*};
}

/// `eq`, `ne`, NULL and negation, for every type.
macro_rules! equality {
    ($fixture:expr; $($column:ident = $middle:expr;)*) => {$(
        expect! { $fixture;
            fields().$column().eq($middle) => &[2];
            fields().$column().eq(&$middle) => &[2];
            fields().$column().ne($middle) => &[1, 3];
            !fields().$column().eq($middle) => &[1, 3];
            fields().$column().is_null() => &[4];
            fields().$column().is_not_null() => &[1, 2, 3];
            !fields().$column().is_null() => &[1, 2, 3];
        }
    )*};
}

/// `gt`, `gte`, `lt`, `lte` and `between`.
macro_rules! order {
    ($fixture:expr; $($column:ident: $low:expr, $middle:expr, $high:expr;)*) => {$(
        expect! { $fixture;
            fields().$column().gt($middle) => &[3];
            fields().$column().gte($middle) => &[2, 3];
            fields().$column().lt($middle) => &[1];
            fields().$column().lte($middle) => &[1, 2];
            fields().$column().between($low, $middle) => &[1, 2];
            fields().$column().between($high, $low) => &[];
            !fields().$column().between($low, $middle) => &[3];
        }
    )*};
}

/// `is_in` and `not_in`, with empty lists, too.
macro_rules! lists {
    ($fixture:expr; $($column:ident: $low:expr, $middle:expr;)*) => {$(
        let mut empty = vec![$low];
        empty.clear();
        expect! { $fixture;
            fields().$column().is_in([$low, $middle]) => &[1, 2];
            fields().$column().is_in(vec![$middle, $middle]) => &[2];
            fields().$column().not_in([$low, $middle]) => &[3];
            fields().$column().is_in(empty.clone()) => &[];
            !fields().$column().is_in(empty.clone()) => &[1, 2, 3, 4];
            fields().$column().not_in(empty) => &[1, 2, 3, 4];
        }
    )*};
}

#[tokio::test]
async fn every_type_can_be_compared_for_equality_and_with_null() {
    let fixture = &specimens().await;
    equality! { fixture;
        small = 200_i16;
        normal = 2000;
        big = 20_000_000_000_i64;
        single = 0.2_f32;
        double = 0.2;
        text = "Beta_x".to_owned();
        bytes = vec![0_u8, 2];
        uuid = uuid(2);
        at = at(2);
        local = at(2).naive_utc();
        day = day(2);
        time = time(2);
        json = json!({"list": [1, 2.5, null], "n": 2.0});
        numbers = vec![2, 7];
        words = vec!["w2".to_owned(), "it's \"quoted\"".to_owned()];
        moments = vec![at(2)];
    }
    expect! { fixture;
        fields().flag().eq(true) => &[2, 3];
        fields().flag().ne(true) => &[1];
        fields().flag().is_null() => &[4];
        fields().text().eq("Beta_x") => &[2];
        fields().id().eq(4) => &[4];
        fields().id().is_null() => &[];
    }
}

#[tokio::test]
async fn every_ordered_type_can_be_compared_by_order() {
    let fixture = &specimens().await;
    order! { fixture;
        small: 100_i16, 200_i16, 300_i16;
        normal: 1000, 2000, 3000;
        big: 10_000_000_000_i64, 20_000_000_000_i64, 30_000_000_000_i64;
        single: 0.1_f32, 0.2_f32, 3_f32 * 0.1;
        double: 0.1, 0.2, 0.9;
        bytes: vec![0_u8, 1], vec![0_u8, 2], vec![0_u8, 3];
        uuid: uuid(1), uuid(2), uuid(3);
        at: at(1), at(2), at(3);
        local: at(1).naive_utc(), at(2).naive_utc(), at(3).naive_utc();
        day: day(1), day(2), day(3);
        time: time(1), time(2), time(3);
        numbers: vec![1, 7], vec![2, 7], vec![3, 7];
    }
    // The cluster compares text byte by byte: upper case comes first.
    expect! { fixture;
        fields().text().gt("alpha") => &[3];
        fields().text().between("A", "Z") => &[2];
        fields().flag().gt(false) => &[2, 3];
    }
}

#[tokio::test]
async fn lists_may_hold_any_type_and_may_be_empty() {
    let fixture = &specimens().await;
    lists! { fixture;
        small: 100_i16, 200_i16;
        normal: 1000, 2000;
        big: 10_000_000_000_i64, 20_000_000_000_i64;
        single: 0.1_f32, 0.2_f32;
        double: 0.1, 0.2;
        text: "alpha", "Beta_x";
        bytes: vec![0_u8, 1], vec![0_u8, 2];
        uuid: uuid(1), uuid(2);
        at: at(1), at(2);
        local: at(1).naive_utc(), at(2).naive_utc();
        day: day(1), day(2);
        time: time(1), time(2);
        json: json!({"n": 1, "list": [1, 2.5, null]}), json!({"n": 2, "list": [1, 2.5, null]});
    }
    expect! { fixture;
        fields().flag().is_in([true, false]) => &[1, 2, 3];
        fields().text().is_in(&["alpha".to_owned(), "Beta_x".to_owned()]) => &[1, 2];
    }
    let many: Vec<i32> = (0..100_000).collect();
    expect! { fixture; fields().normal().is_in(&many) => &[1, 2, 3]; }
}

#[tokio::test]
async fn patterns_match_text() {
    let fixture = &specimens().await;
    expect! { fixture;
        fields().text().like("%a%") => &[1, 2, 3];
        fields().text().like("beta%") => &[];
        fields().text().ilike("BETA%") => &[2];
        fields().text().like("Beta\\_x") => &[2];
        fields().text().like("gamma_") => &[3];
        fields().text().like("%\\%".to_owned()) => &[3];
        !fields().text().ilike("%A%") => &[];
        !fields().text().like("%b%") => &[1, 2, 3];
    }
}

#[tokio::test]
async fn conditions_are_combined_by_methods_and_by_operators() {
    let fixture = &specimens().await;
    let (one, two) = (fields().id().eq(1), fields().id().eq(2));
    expect! { fixture;
        one.clone().or(two.clone()) => &[1, 2];
        one.clone() | two.clone() | fields().id().eq(3) => &[1, 2, 3];
        one.clone().and(two.clone()) => &[];
        one.clone() & fields().small().eq(100) & fields().flag().eq(false) => &[1];
        one.clone().not() => &[2, 3, 4];
        !(one.clone() | two.clone()) => &[3, 4];
        !!one.clone() => &[1];
        // `and` and `or` keep what was combined together.
        (one.clone() | two.clone()) & fields().flag().eq(true) => &[2];
        one.clone() | (two.clone() & fields().flag().eq(false)) => &[1];
        one.clone().or(two.clone()).and(fields().small().gt(100)) => &[2];
        !(fields().small().gt(100) & fields().flag().eq(true)) => &[1];
        Condition::always() => &[1, 2, 3, 4];
        Condition::never() => &[];
        !Condition::<Specimen>::always() => &[];
        Condition::never() | one.clone() => &[1];
        Condition::always() & two.clone() => &[2];
    }
    let any = (1..=3).fold(Condition::never(), |any, id| any | fields().id().eq(id));
    expect! { fixture; any => &[1, 2, 3]; }
    assert_eq!(format!("{:?}", one & !two), "(Specimen.id = ? and not Specimen.id = ?)");
}

#[tokio::test]
async fn several_filters_hold_together_and_an_absent_one_does_not_count() {
    let fixture = specimens().await;
    let em = fixture.em();
    let find = em.find::<Specimen>().filter(|s| s.id().gt(1)).filter_opt(None).order_by(|s| s.id().asc());
    let found = find.clone().filter_opt(Some(fields().flag().eq(true))).filter(|s| s.small().lt(300)).await.unwrap();
    assert_eq!(found.iter().map(Managed::id).collect::<Vec<_>>(), [2]);
    assert_eq!(find.await.unwrap().len(), 3);
    // A condition is a value: kept, cloned, used for different questions.
    let kept = fields().big().is_not_null();
    assert_eq!(em.count::<Specimen>(kept.clone()).await.unwrap(), 3);
    assert!(em.exists::<Specimen>(kept.clone()).await.unwrap());
    assert!(em.find_one::<Specimen>(kept & fields().id().eq(4), ()).await.unwrap().is_none());
}

#[tokio::test]
async fn a_nan_equals_itself_and_is_greater_than_everything() {
    let fixture = specimens().await;
    let em = fixture.em();
    em.persist(Specimen { double: Some(f64::NAN), single: Some(f32::INFINITY), ..specimen(3) }.with_id(5));
    em.flush().await.unwrap();
    let fixture = &fixture;
    expect! { fixture;
        fields().double().eq(f64::NAN) => &[5];
        fields().double().gt(f64::MAX) => &[5];
        fields().double().is_in([f64::NAN, 0.1]) => &[1, 5];
        fields().double().lt(f64::NAN) => &[1, 2, 3];
        fields().single().gte(f32::INFINITY) => &[5];
        fields().single().gt(f32::NEG_INFINITY) => &[1, 2, 3, 5];
    }
}

impl Specimen {
    fn with_id(self, id: i32) -> Self {
        Self { id, ..self }
    }
}

#[tokio::test]
async fn e1_values_stay_values_and_never_reach_the_text() {
    let fixture = specimens().await;
    let em = fixture.em();
    let hostile = [
        "'; DROP TABLE specimen; --",
        "' OR '1'='1",
        "\\'; SELECT pg_sleep(10); --",
        "$1",
        "\"quoted\" /* comment */ -- end",
        "日本 🦀 \u{202e}",
    ];
    for (index, value) in hostile.into_iter().enumerate() {
        let mut specimen = Specimen::from(NewSpecimen { id: 100 + i32::try_from(index).unwrap() });
        specimen.text = Some(value.to_owned());
        specimen.words = Some(vec![value.to_owned()]);
        specimen.json = Some(json!({ value: value }));
        em.persist(specimen);
    }
    em.flush().await.unwrap();
    fixture.forget();
    for (index, value) in hostile.into_iter().enumerate() {
        let expected: &[i32] = &[100 + i32::try_from(index).unwrap()];
        let fixture = &fixture;
        expect! { fixture;
            fields().text().eq(value) => expected;
            fields().text().is_in([value]) => expected;
            fields().text().between(value, value) => expected;
            fields().words().eq(vec![value.to_owned()]) => expected;
            fields().json().eq(json!({ value: value })) => expected;
        }
    }
    let statements = fixture.statements();
    assert_eq!(statements.len(), hostile.len() * 5);
    for statement in statements {
        assert!(!hostile.iter().filter(|value| **value != "$1").any(|value| statement.contains(value)), "{statement}");
        assert!(!statement.contains('*'), "{statement}");
    }
}

#[tokio::test]
async fn a_value_that_postgresql_cannot_hold_is_an_error_before_anything_is_sent() {
    let fixture = specimens().await;
    let em = fixture.em();
    let error = em.find::<Specimen>().filter(|s| s.text().eq("nul \0")).await.unwrap_err();
    assert!(matches!(&error, Error::Conversion { entity: "Specimen", column, .. } if column == "text"), "{error}");
    let error = em.count::<Specimen>(fields().json().eq(json!("\0"))).await.unwrap_err();
    assert!(matches!(&error, Error::Conversion { entity: "Specimen", column, .. } if column == "json"), "{error}");
    let error = em.exists::<Specimen>(fields().day().lt(NaiveDate::MIN)).await.unwrap_err();
    assert!(matches!(&error, Error::Conversion { column, .. } if column == "day"), "{error}");
    assert!(fixture.statements().is_empty());
}
