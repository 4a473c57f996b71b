//! Each operator on each type that has it, against real rows, compared with the plain SQL that it stands for (rule E1).

use crate::support::Fixture;
use howdah::prelude::*;
use serde_json::{Value, json};

/// Runs each condition and compares with the plain SQL. They are made in a function of their own, which keeps the stack small.
macro_rules! check {
    ($fixture:expr; $($condition:expr => $sql:expr;)*) => {
        let conditions = || vec![$(($condition, String::from($sql))),*];
        for (condition, sql) in conditions() {
            Box::pin($crate::operators::check($fixture, condition, &sql)).await;
        }
    };
}

mod arrays;
mod functions;
mod json_paths;
mod raw_sql;
mod relations;
mod scalars;
mod subqueries;
mod texts;
mod tuples;

/// One of each type, none of them NOT NULL except the key.
#[derive(Entity, Clone, Debug)]
pub struct Sample {
    #[primary_key(assigned)]
    pub id: i32,
    pub flag: Option<bool>,
    pub small: Option<i16>,
    pub normal: Option<i32>,
    pub big: Option<i64>,
    pub single: Option<f32>,
    pub double: Option<f64>,
    #[property(precision = 12, scale = 3)]
    pub amount: Option<f64>,
    pub text: Option<String>,
    #[property(length = 40)]
    pub short: Option<String>,
    pub bytes: Option<Vec<u8>>,
    pub uuid: Option<Uuid>,
    pub at: Option<DateTime<Utc>>,
    pub local: Option<NaiveDateTime>,
    pub day: Option<NaiveDate>,
    pub time: Option<NaiveTime>,
    pub document: Option<Value>,
    pub mood: Option<Mood>,
    pub level: Option<Level>,
    pub word: Option<Word>,
    pub numbers: Option<Vec<i32>>,
    pub words: Option<Vec<String>>,
    pub moods: Option<Vec<Mood>>,
    pub moments: Option<Vec<DateTime<Utc>>>,
}

#[derive(DbEnum, Clone, Copy, Debug, PartialEq)]
#[db_enum(native)]
pub enum Mood {
    Sad,
    Calm,
    Happy,
}

#[derive(DbEnum, Clone, Copy, Debug, PartialEq)]
#[db_enum(integer)]
pub enum Level {
    Low = -5,
    Middle = 0,
    High = 5,
}

#[derive(DbEnum, Clone, Copy, Debug, PartialEq)]
pub enum Word {
    Alpha,
    Beta,
}

fn at(second: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_700_000_000 + second * 86_400, 250_000_000).unwrap()
}

fn day(number: u32) -> NaiveDate {
    NaiveDate::from_ymd_opt(2024, number, 10 + number).unwrap()
}

fn time(hour: u32) -> NaiveTime {
    NaiveTime::from_hms_micro_opt(hour, 30, 0, 1).unwrap()
}

/// The rows 1 to 3 have values that grow, row 4 has none, row 5 the odd ones: empty, NaN, infinite.
async fn samples() -> Fixture {
    let fixture = Fixture::new(entities![Sample]).await;
    let em = fixture.em();
    for number in 1..=3_i16 {
        let (n, text) = (i32::from(number), ["", "alpha", "Beta_x", "gamma 100%"][number as usize]);
        em.persist(NewSample { id: n }.with(|s| {
            s.flag = Some(n > 1);
            s.small = Some(number * 100);
            s.normal = Some((n - 2) * 1000);
            s.big = Some(i64::from(n) * 10_000_000_000);
            s.single = Some(n as f32 * 0.5);
            s.double = Some(f64::from(n) * 0.1);
            s.amount = Some(f64::from(n) * 1.005);
            s.text = Some(text.to_owned());
            s.short = Some(text.to_uppercase());
            s.bytes = Some(vec![0, n as u8]);
            s.uuid = Some(Uuid::from_u128(n as u128));
            s.at = Some(at(i64::from(n)));
            s.local = Some(at(i64::from(n)).naive_utc());
            s.day = Some(day(n as u32));
            s.time = Some(time(n as u32));
            s.document = Some(json!({"n": n, "name": text, "tags": ["t", format!("t{n}")], "deep": {"a.b": n * 2}}));
            s.mood = Some([Mood::Sad, Mood::Calm, Mood::Happy][(n - 1) as usize]);
            s.level = Some([Level::Low, Level::Middle, Level::High][(n - 1) as usize]);
            s.word = Some([Word::Alpha, Word::Beta, Word::Beta][(n - 1) as usize]);
            s.numbers = Some((1..=n).collect());
            s.words = Some(vec![format!("w{n}"), "it's \"quoted\"".to_owned()]);
            s.moods = Some([Mood::Sad, Mood::Calm, Mood::Happy][..n as usize].to_vec());
            s.moments = Some(vec![at(i64::from(n))]);
        }));
    }
    em.persist(NewSample { id: 4 });
    em.persist(NewSample { id: 5 }.with(|s| {
        s.single = Some(f32::NEG_INFINITY);
        s.double = Some(f64::NAN);
        s.text = Some(String::new());
        s.short = Some("  both  ".into());
        s.bytes = Some(Vec::new());
        s.document = Some(json!({"n": null, "name": 7, "flag": true, "list": [], "big": 1e30}));
        s.numbers = Some(Vec::new());
        s.words = Some(Vec::new());
        s.moods = Some(Vec::new());
    }));
    em.flush().await.unwrap();
    fixture.forget();
    fixture
}

fn s() -> SampleFields<Sample> {
    Sample::fields()
}

/// The rows that fulfil a condition are those that plain SQL finds, and the statement has no value in it.
async fn check(fixture: &Fixture, condition: Condition<Sample>, sql: &str) {
    let shown = format!("{condition:?}");
    fixture.forget();
    let found = fixture.em().find::<Sample>().filter(|_| condition.clone()).order_by(|s| s.id().asc()).await;
    let found = found.unwrap_or_else(|error| panic!("{shown}: {error}\n{:?}", fixture.statements()));
    let ids: Vec<String> = found.iter().map(|sample| sample.id().to_string()).collect();
    let expected = fixture.rows(&format!("SELECT id FROM sample AS t0 WHERE {sql} ORDER BY id")).await;
    let statements = fixture.statements();
    assert_eq!(ids, expected, "{shown}: {statements:?}");
    // The negation, and what is neither.
    let rest = fixture.em().find::<Sample>().filter(|_| !condition).order_by(|s| s.id().asc()).await.unwrap();
    let ids: Vec<String> = rest.iter().map(|sample| sample.id().to_string()).collect();
    let expected = fixture.rows(&format!("SELECT id FROM sample AS t0 WHERE NOT ({sql}) ORDER BY id")).await;
    assert_eq!(ids, expected, "not {shown}");
}
