//! Columns of a type that was given by hand, and columns that do not fit their fields.

use crate::support::Fixture;
use howdah::prelude::*;
use howdah::testing::TestDatabase;
use howdah::{EntityMeta, StatementLog};
use serde_json::{Value, json};

/// A database in which something was made before the entities' tables.
pub async fn prepared(sql: &str, entities: &[&'static EntityMeta], create: bool) -> Fixture {
    let database = TestDatabase::new().await.unwrap();
    database.execute(sql).await.unwrap();
    let log = StatementLog::new();
    let builder = Orm::builder().url(database.url()).entities(entities.iter().copied()).statement_log(&log);
    let orm = builder.connect().await.unwrap();
    if create {
        orm.schema().create().await.unwrap();
    }
    log.clear();
    Fixture { database, orm, log }
}

#[derive(Entity, Clone, Debug)]
pub struct Product {
    #[primary_key]
    pub id: i64,
    #[property(sql_type = "numeric(10, 2)")]
    pub price: f64,
    #[property(sql_type = "numeric(10, 2)[]")]
    pub discounts: Vec<f64>,
    #[property(sql_type = "varchar(5)")]
    pub code: String,
    #[property(sql_type = "char(4)")]
    pub letters: Option<String>,
    #[property(sql_type = "mood")]
    pub mood: String,
    #[property(sql_type = "mood[]")]
    pub moods: Vec<String>,
    #[property(sql_type = "numeric(20)")]
    pub stock: Option<i64>,
    #[property(sql_type = "smallint")]
    pub rank: Option<i32>,
    #[property(sql_type = "json")]
    pub raw: Option<Value>,
    #[property(sql_type = "uuid")]
    pub token: Option<String>,
}

fn product(price: f64, code: &str, mood: &str) -> Product {
    NewProduct {
        price,
        code: code.into(),
        mood: mood.into(),
        discounts: vec![0.1, 99.99],
        moods: vec![mood.into(), "happy".into()],
    }
    .into()
}

async fn products() -> Fixture {
    prepared("CREATE TYPE mood AS ENUM ('sad', 'calm', 'happy')", &entities![Product], true).await
}

#[tokio::test]
async fn a_type_given_by_hand_is_written_read_and_compared_as_that_type() {
    let fixture = products().await;
    let em = fixture.em();
    let token = "0190163d-8694-739b-aea5-966c26f8ad90".to_owned();
    let full = em.persist(Product {
        letters: Some("ab".into()),
        stock: Some(i64::MAX),
        rank: Some(-3),
        raw: Some(json!({"b": 1, "a": [null]})),
        token: Some(token.clone()),
        ..product(19.99, "A-1", "calm")
    });
    em.persist(product(0.1, "B-2", "sad"));
    em.flush().await.unwrap();
    let rows =
        fixture.rows("SELECT price, discounts, mood, moods, stock, rank, letters FROM product ORDER BY price").await;
    assert_eq!(rows[0], "0.10|{0.10,99.99}|sad|{sad,happy}|~|~|~");
    assert_eq!(rows[1], "19.99|{0.10,99.99}|calm|{calm,happy}|9223372036854775807|-3|ab  ");

    let em = fixture.em();
    let read = em.find_one_or_fail::<Product>(full.id(), ()).await.unwrap();
    {
        let (read, full) = (read.read(), full.read());
        assert_eq!((read.price, &read.discounts, &read.code), (19.99, &full.discounts, &full.code));
        assert_eq!((&read.mood, &read.moods, read.stock, read.rank), (&full.mood, &full.moods, full.stock, full.rank));
        assert_eq!((&read.raw, &read.token, read.letters.as_deref()), (&full.raw, &full.token, Some("ab")));
    }
    em.flush().await.unwrap();
    let fields = Product::fields;
    for (condition, rows) in [
        (fields().price().eq(19.99), 1),
        (fields().price().is_in([0.1, 5.0]), 1),
        (fields().price().between(0.1, 19.99), 2),
        // Compared as it is, not rounded to the column's digits first.
        (fields().price().eq(19.991), 0),
        (fields().price().gt(19.989), 1),
        (fields().discounts().eq(vec![0.1, 99.99]), 2),
        (fields().code().eq("A-1"), 1),
        (fields().code().eq("A-1 with more"), 0),
        (fields().code().like("%-1"), 1),
        (fields().letters().eq("ab"), 1),
        (fields().letters().eq("abcdef"), 0),
        // An enum has the order of its declaration.
        (fields().mood().eq("sad"), 1),
        (fields().mood().gt("sad"), 1),
        (fields().mood().is_in(["sad", "happy"]), 1),
        (fields().mood().not_in(["sad"]), 1),
        (fields().moods().eq(vec!["sad".to_owned(), "happy".to_owned()]), 1),
        (fields().stock().eq(i64::MAX), 1),
        (fields().rank().lt(0), 1),
        (fields().token().eq(&token), 1),
    ] {
        let shown = format!("{condition:?}");
        assert_eq!(
            em.count::<Product>(condition).await.unwrap_or_else(|error| panic!("{shown}: {error}")),
            rows,
            "{shown}"
        );
    }
    read.update(|p| {
        (p.price, p.code, p.mood) = (20.005, "C".into(), "happy".into());
        (p.moods, p.stock, p.discounts) = (vec![], None, vec![1.005]);
    });
    em.flush().await.unwrap();
    let rows = fixture
        .rows("SELECT price, code, mood, moods, stock, discounts FROM product ORDER BY price DESC LIMIT 1")
        .await;
    assert_eq!(rows, ["20.01|C|happy|{}|~|{1.01}"], "the column rounds");
}

#[tokio::test]
async fn what_is_too_long_or_no_such_value_is_refused_by_the_server() {
    let fixture = products().await;
    let em = fixture.em();
    em.set_flush_mode(FlushMode::Commit);
    let long = em.persist(product(1.0, "too long", "sad"));
    assert_eq!(em.flush().await.unwrap_err().sqlstate(), Some("22001"));
    long.write().code = "ok".into();
    long.write().mood = "angry".into();
    assert_eq!(em.flush().await.unwrap_err().sqlstate(), Some("22P02"));
    long.write().mood = "sad".into();
    long.write().price = 1e9;
    assert_eq!(em.flush().await.unwrap_err().sqlstate(), Some("22003"));
    // C3: nothing is lost, and the repaired entity is written.
    long.write().price = 1.0;
    assert_eq!(em.flush().await.unwrap().inserted, 1);
    long.write().code = "again too long".into();
    assert_eq!(em.flush().await.unwrap_err().sqlstate(), Some("22001"));
    let error = em.count::<Product>(Product::fields().mood().eq("angry")).await.unwrap_err();
    assert_eq!(error.sqlstate(), Some("22P02"));
}

/// The entity of a table that others have made.
#[derive(Entity, Clone, Debug)]
#[entity(table = "legacy")]
pub struct Legacy {
    #[primary_key]
    pub id: i32,
    pub number: i64,
    pub text: Option<String>,
    pub list: Option<Vec<i32>>,
    pub at: Option<DateTime<Utc>>,
    pub json: Option<Json<(i32, String)>>,
    #[many_to_one]
    pub other: Option<Ref<Legacy>>,
}

/// The error of reading a table with these differences from what the entity says.
async fn reading(column: &str, definition: &str, value: &str) -> Error {
    let mut columns = [
        ("id", "integer", "1"),
        ("number", "bigint", "2"),
        ("text", "text", "'x'"),
        ("list", "integer[]", "'{1}'"),
        ("at", "timestamptz", "now()"),
        ("json", "jsonb", "'[1, \"a\"]'"),
        ("other_id", "integer", "NULL"),
    ];
    for entry in &mut columns {
        if entry.0 == column {
            *entry = (entry.0, definition, value);
        }
    }
    let join = |items: Vec<String>| items.join(", ");
    let sql = format!(
        "CREATE TABLE legacy ({}); INSERT INTO legacy VALUES ({})",
        join(columns.iter().map(|(name, definition, _)| format!("{name} {definition}")).collect()),
        join(columns.iter().map(|(_, _, value)| (*value).to_owned()).collect()),
    );
    let fixture = prepared(&sql, &entities![Legacy], false).await;
    let em = fixture.em();
    let by_find = em.find_all::<Legacy>().await.unwrap_err();
    let by_key = em.find_one::<Legacy>(1, ()).await.unwrap_err();
    assert_eq!(by_key.to_string(), by_find.to_string());
    // What failed left nothing half-read behind: a repaired row is read.
    fixture.database.execute("DELETE FROM legacy").await.unwrap();
    assert!(em.find_one::<Legacy>(1, ()).await.unwrap().is_none());
    by_find
}

#[tokio::test]
async fn a_column_of_another_type_is_a_conversion_error_that_says_which() {
    for (column, definition, value, message) in [
        ("id", "bigint", "1", "the column is int8, and the field is read as int4"),
        ("number", "integer", "2", "the column is int4, and the field is read as int8"),
        ("number", "numeric", "2", "the column is numeric, and the field is read as int8"),
        ("text", "integer", "2", "the column is int4, and the field is read as text"),
        ("list", "text[]", "'{1}'", "the column is _text, and the field is read as int4[]"),
        ("list", "integer", "1", "the column is int4, and the field is read as int4[]"),
        ("at", "timestamp", "now()", "the column is timestamp, and the field is read as timestamptz"),
        ("json", "text", "'[]'", "the column is text, and the field is read as jsonb"),
        ("other_id", "bigint", "1", "the column is int8, and the field is read as int4"),
    ] {
        let error = reading(column, definition, value).await;
        let Error::Conversion { entity: "Legacy", column: found, message: said } = &error else { panic!("{error:?}") };
        assert_eq!(found, column);
        assert!(said.starts_with(message) && said.contains("sql_type"), "{said}");
    }
}

#[tokio::test]
async fn a_value_that_does_not_fit_its_field_is_a_conversion_error() {
    for (column, definition, value, message) in [
        ("number", "bigint", "NULL", "NULL in a field that is not an Option"),
        ("list", "integer[]", "'{1, NULL}'", "array element 2 is NULL"),
        ("list", "integer[]", "'{{1}, {2}}'", "an array of 2 dimensions"),
        ("at", "timestamptz", "'infinity'", "infinit"),
        ("json", "jsonb", "'{\"a\": 1}'", "the JSON cannot be read into"),
        ("id", "integer", "NULL", "the key is NULL"),
    ] {
        let fixture_error = reading_value(column, definition, value).await;
        let Error::Conversion { entity: "Legacy", column: found, message: said } = &fixture_error else {
            panic!("{fixture_error:?}")
        };
        assert_eq!(found, column);
        assert!(said.contains(message), "{said}");
    }
}

/// As [`reading`], where the key may be what does not fit.
async fn reading_value(column: &str, definition: &str, value: &str) -> Error {
    if column != "id" {
        return reading(column, definition, value).await;
    }
    let sql = "CREATE TABLE legacy (id integer, number bigint, text text, list integer[], at timestamptz, json jsonb, \
               other_id integer); INSERT INTO legacy VALUES (1, 1), (NULL, 2)";
    let fixture = prepared(sql, &entities![Legacy], false).await;
    fixture.em().find_all::<Legacy>().await.unwrap_err()
}

#[tokio::test]
async fn types_that_are_read_alike_need_no_override() {
    let sql = "CREATE TABLE legacy (id integer PRIMARY KEY, number bigint, text char(3), list integer[], at timestamptz, \
               json json, other_id integer); INSERT INTO legacy VALUES (1, 2, 'ab', '{}', NULL, '[1, \"a\"]', 1)";
    let fixture = prepared(sql, &entities![Legacy], false).await;
    let em = fixture.em();
    let read = em.find_one_or_fail::<Legacy>(1, "other").await.unwrap();
    assert_eq!(read.read().text.as_deref(), Some("ab "));
    assert_eq!(read.read().json, Some(Json((1, "a".to_owned()))));
    assert_eq!(read.read().other.as_ref().unwrap().get().unwrap(), read);
    fixture.database.execute("ALTER TABLE legacy ALTER text TYPE varchar(9)").await.unwrap();
    read.write().text = Some("longer".into());
    em.flush().await.unwrap();
    assert_eq!(em.count::<Legacy>(Legacy::fields().text().like("long%")).await.unwrap(), 1);
}

mod precision_and_scale {
    use super::*;

    #[derive(Entity, Clone, Debug)]
    pub struct Price {
        #[primary_key]
        pub id: i64,
        #[property(precision = 10, scale = 2)]
        pub amount: f64,
        #[property(precision = 4)]
        pub pieces: Option<f64>,
    }

    #[derive(Entity, Clone, Debug)]
    pub struct Misfit {
        #[primary_key]
        pub id: i64,
        #[property(precision = 3)]
        pub count: i32,
        #[property(length = 3)]
        pub flag: bool,
    }

    #[tokio::test]
    async fn b2_a_number_is_compared_at_the_scale_of_its_column() {
        let fixture = Fixture::new(entities![Price]).await;
        let em = fixture.em();
        let price = em.persist(NewPrice { amount: 0.1 + 0.2 });
        em.flush().await.unwrap();
        assert_eq!(fixture.rows("SELECT amount, pg_typeof(amount), pieces FROM price").await, ["0.30|numeric|~"]);
        price.update(|price| price.amount = 0.3);
        assert_eq!(em.flush().await.unwrap().statements, 0);
        price.update(|price| price.amount = 0.306);
        assert_eq!(em.flush().await.unwrap().updated, 1);
        assert_eq!(fixture.rows("SELECT amount FROM price").await, ["0.31"]);
        let found = fixture.em().find_one_or_fail::<Price>(Price::fields().amount().eq(0.31), ()).await.unwrap();
        assert_eq!(found.read().amount, 0.31);
    }

    #[tokio::test]
    async fn a_modifier_that_means_nothing_is_reported_at_connect() {
        let error = Orm::builder().url("postgresql://x@127.0.0.1:1/x").entities(entities![Misfit]).connect().await;
        let Err(Error::Metadata { problems }) = error else { panic!("{error:?}") };
        assert_eq!(
            problems,
            ["Misfit.count: precision has no meaning for int4", "Misfit.flag: length has no meaning for bool"]
        );
    }
}

/// What is selected once is ordered by as what it is, though it is read as another type.
#[tokio::test]
async fn columns_of_a_type_given_by_hand_are_distinct_and_ordered() {
    let fixture = products().await;
    let em = fixture.em();
    for (price, mood) in [(9.5, "happy"), (10.25, "sad"), (9.5, "calm"), (9.5, "happy")] {
        em.persist(product(price, "A", mood));
    }
    em.flush().await.unwrap();
    let prices = em.query::<Product>().distinct().select(|p| p.price()).order_by(|p| p.price().desc());
    assert_eq!(prices.await.unwrap(), [10.25, 9.5]);
    let both = em.query::<Product>().distinct().select(|p| (p.mood(), p.price())).order_by(|p| p.price().asc());
    let both = both.limit(2).await.unwrap();
    assert!(both.iter().all(|(_, price)| *price == 9.5) && both[0].0 != both[1].0, "{both:?}");
}
