//! Rows that are copied in.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::stream::{self, StreamExt};
use howdah::prelude::*;

use crate::library::*;
use crate::support::Fixture;

#[derive(Clone, Copy, Debug, PartialEq, DbEnum)]
#[db_enum(native)]
pub enum Scale {
    Celsius,
    Kelvin,
}

/// Every value in the form of its column's type.
#[derive(Entity, Clone, Debug)]
pub struct Measurement {
    #[primary_key]
    pub id: i64,
    #[property(length = 20)]
    pub station: String,
    pub scale: Scale,
    pub values: Vec<f64>,
    pub at: DateTime<Utc>,
    pub raw: Vec<u8>,
    pub details: Json<Vec<i32>>,
    pub note: Option<String>,
    #[property(default = 3)]
    pub quality: i16,
    #[version]
    pub version: i32,
}

/// Values that are cast.
#[derive(Entity, Clone, Debug)]
pub struct Price {
    #[primary_key(assigned)]
    pub code: String,
    #[property(precision = 10, scale = 2)]
    pub amount: f64,
    pub scales: Vec<Scale>,
    pub words: Vec<String>,
    pub note: Option<String>,
    pub on_sale: bool,
}

fn measurement(station: &str) -> NewMeasurement {
    NewMeasurement {
        station: station.into(),
        scale: Scale::Kelvin,
        values: vec![1.5, f64::INFINITY],
        at: "2024-02-29T12:00:00.000001Z".parse().unwrap(),
        raw: vec![0, 255],
        details: Json(vec![1, 2]),
    }
}

#[tokio::test]
async fn any_number_of_rows_is_one_copy() {
    let fixture = Fixture::new(library()).await;
    let em = fixture.em();
    let tags = (0..50_000).map(|number| NewTag { name: format!("tag {number}") });
    assert_eq!(em.copy_in::<Tag>(tags).await.unwrap(), 50_000);
    assert_eq!(fixture.log.round_trips(), 3, "prepare, begin, end");
    assert_eq!(fixture.log.take(), ["COPY \"tag\" (\"id\", \"name\") FROM STDIN (FORMAT binary)"]);
    let sql = "SELECT count(*), count(DISTINCT id), count(DISTINCT name) FROM tag";
    assert_eq!(fixture.rows(sql).await, ["50000|50000|50000"]);
    assert_eq!(em.copy_in::<Tag>(Vec::<NewTag>::new()).await.unwrap(), 0);
    assert!(fixture.log.take().is_empty(), "no rows: nothing is sent");
}

#[tokio::test]
async fn every_type_is_written_as_insert_many_writes_it() {
    let fixture = Fixture::new(entities![Measurement, Price]).await;
    let em = fixture.em();
    let with_note = |station: &str| measurement(station).with(|one| one.note = Some("a\tb".into()));
    em.insert_many([measurement("a").into(), with_note("b")]).await.unwrap();
    assert_eq!(em.copy_in::<Measurement>([measurement("a").into(), with_note("b")]).await.unwrap(), 2);
    let sql = "SELECT station, scale, values, at, raw, details, note, quality, version, count(*) FROM measurement \
               GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9";
    let rows = fixture.rows(sql).await;
    assert!(rows.len() == 2 && rows.iter().all(|row| row.ends_with("|3|1|2")), "{rows:?}");
    assert_eq!(fixture.rows("SELECT max(id) FROM measurement").await, ["4"]);

    let price = |code: &str, amount: f64| NewPrice {
        code: code.into(),
        amount,
        scales: vec![Scale::Celsius, Scale::Kelvin],
        words: vec!["tab\t".into(), "quote\"".into(), "back\\slash".into(), "line\r\n".into(), "NULL".into()],
        on_sale: true,
    };
    em.insert_many([price("a", 1.25)]).await.unwrap();
    let noted = price("b\\N", 1.25).with(|price| price.note = Some("\\N".into()));
    fixture.forget();
    em.copy_in::<Price>([price("c", 1.25).into(), noted]).await.unwrap();
    assert!(fixture.log.take()[0].ends_with("FROM STDIN"), "in text form");
    let sql = "SELECT code, amount, note FROM price WHERE (scales, words, on_sale) = \
               (SELECT scales, words, on_sale FROM price WHERE code = 'a') ORDER BY code";
    assert_eq!(fixture.rows(sql).await, ["a|1.25|~", "b\\N|1.25|\\N", "c|1.25|~"]);
}

#[tokio::test]
async fn relations_and_given_keys_are_written() {
    let fixture = Fixture::new(library()).await;
    let em = fixture.em();
    let author = |id: i64| {
        let mentor = (id > 1).then(|| em.get_reference::<Author>(1));
        NewAuthor { name: format!("author {id}") }.with(|author| {
            author.id = id;
            author.mentor = mentor;
        })
    };
    em.copy_in::<Author>([1, 2].map(author)).await.unwrap();
    assert_eq!(fixture.rows("SELECT id, mentor_id FROM author ORDER BY id").await, ["1|~", "2|1"]);
    let books = (0..10).map(|number| NewBook { title: format!("{number}"), author: em.get_reference(2) });
    em.copy_in_stream::<Book>(stream::iter(books)).await.unwrap();
    assert_eq!(fixture.rows("SELECT count(*), min(version) FROM book WHERE author_id = 2").await, ["10|1"]);
}

#[tokio::test]
async fn errors_name_the_row() {
    let fixture = Fixture::new(library()).await;
    let em = fixture.em();
    em.insert(NewTag { name: "tag 70".into() }).await.unwrap();
    let error = em.copy_in::<Tag>((0..100).map(|number| NewTag { name: format!("tag {number}") })).await.unwrap_err();
    let Error::Row { row: 71, source } = &error else { panic!("{error:?}") };
    assert!(
        matches!(&**source, Error::UniqueViolation { entity: Some("Tag"), properties, .. } if properties == &["name"]),
        "{source:?}"
    );
    assert!(
        error.sqlstate() == Some("23505") && error.to_string().starts_with("row 71: Tag.name must be unique"),
        "{error}"
    );

    let books = |pages: i32, author: i64| {
        let author = em.get_reference::<Author>(author);
        vec![NewBook { title: "a".into(), author }.with(|book| book.pages = Some(pages))]
    };
    let error = em.copy_in::<Book>(books(0, 1)).await.unwrap_err();
    assert!(
        matches!(&error, Error::Row { row: 1, source } if matches!(**source, Error::CheckViolation { .. })),
        "{error:?}"
    );
    // Of foreign keys the server does not tell which row it was.
    let error = em.copy_in::<Book>(books(1, 1)).await.unwrap_err();
    assert!(matches!(&error, Error::ForeignKeyViolation { entity: Some("Book"), .. }), "{error:?}");

    // What is found wrong here.
    let rows = [0, 5].map(|id| NewAuthor { name: format!("{id}") }.with(|author| author.id = id));
    let error = em.copy_in::<Author>(rows).await.unwrap_err();
    let expected = "row 2: Author.id: this row has a value and the first row leaves it to the database: copy such rows \
                    apart, or use insert_many()";
    assert_eq!(error.to_string(), expected);
    let new = em.create(NewAuthor { name: "new".into() });
    let error = em.copy_in::<Book>([NewBook { title: "a".into(), author: new.to_ref() }]).await.unwrap_err();
    assert!(error.to_string().starts_with("row 1: Book.author refers to an entity that has no row yet"), "{error}");
    let failing = [Ok(NewTag { name: "x".into() }), Err(Error::TransactionAborted)];
    let error = em.copy_in::<Tag>(failing).await.unwrap_err();
    assert!(
        matches!(&error, Error::Row { row: 2, source } if matches!(**source, Error::TransactionAborted)),
        "{error:?}"
    );
    let sql = "SELECT (SELECT count(*) FROM tag), (SELECT count(*) FROM author), (SELECT count(*) FROM book)";
    assert_eq!(fixture.rows(sql).await, ["1|0|0"], "all or nothing");
}

#[tokio::test]
async fn d1_inside_a_transaction_it_is_part_of_it() {
    let fixture = Fixture::new(library()).await;
    let em = fixture.em();
    let tags = |names: [&str; 2]| names.map(|name| NewTag { name: name.into() });
    em.begin().await.unwrap();
    em.copy_in::<Tag>(tags(["a", "b"])).await.unwrap();
    let error = em.copy_in::<Tag>(tags(["c", "a"])).await.unwrap_err();
    assert!(matches!(error, Error::Row { row: 2, .. }), "{error:?}");
    em.persist(NewTag { name: "d".into() });
    em.flush().await.unwrap();
    assert_eq!(em.count::<Tag>(()).await.unwrap(), 3);
    em.commit().await.unwrap();
    assert_eq!(fixture.rows("SELECT name FROM tag ORDER BY name").await, ["a", "b", "d"]);

    em.begin().await.unwrap();
    em.copy_in::<Tag>(tags(["e", "f"])).await.unwrap();
    em.rollback().await.unwrap();
    assert_eq!(fixture.rows("SELECT count(*) FROM tag").await, ["3"]);
}

#[tokio::test]
async fn c12_a_copy_that_is_given_up_leaves_nothing() {
    let fixture = Fixture::with(library(), |builder| builder.max_connections(1)).await;
    let em = fixture.em();
    for in_transaction in [false, true] {
        if in_transaction {
            em.begin().await.unwrap();
            em.insert(NewTag { name: "kept".into() }).await.unwrap();
        }
        let taken = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&taken);
        let rows = (0..20_000).map(move |number| {
            counter.fetch_add(1, Ordering::Relaxed);
            NewTag { name: format!("tag {number}") }
        });
        let endless = stream::iter(rows).chain(stream::pending());
        let copy = tokio::spawn({
            let em = em.clone();
            async move { em.copy_in_stream::<Tag>(endless).await }
        });
        while taken.load(Ordering::Relaxed) < 20_000 {
            tokio::task::yield_now().await;
        }
        copy.abort();
        assert!(copy.await.unwrap_err().is_cancelled());
        // The only connection is good for the next statement.
        assert_eq!(em.count::<Tag>(()).await.unwrap(), u64::from(in_transaction));
        if in_transaction {
            em.commit().await.unwrap();
        }
        fixture.no_open_transaction().await;
        assert_eq!(fixture.rows("SELECT name FROM tag").await, ["kept"][..usize::from(in_transaction)]);
    }
}
