//! Plain SQL: rows, values, projections and entities of it; values are bound (E1).

use crate::library::*;
use crate::support::Fixture;
use howdah::Error;
use howdah::prelude::*;

async fn authors() -> Fixture {
    let fixture = Fixture::new(library()).await;
    let sql = "INSERT INTO author (name, born, mentor_id) VALUES ('Virginia', 1882, NULL), ('Ursula', 1929, 1), ('Mary', NULL, NULL)";
    fixture.database.execute(sql).await.unwrap();
    fixture.forget();
    fixture
}

#[derive(Projection, Debug, PartialEq)]
struct Card {
    name: String,
    born: Option<i32>,
    mentor: Option<Mentor>,
    #[projection(rename = "initial")]
    letter: String,
}

#[derive(Projection, Debug, PartialEq)]
struct Mentor {
    name: String,
}

#[tokio::test]
async fn rows_are_read_by_name_and_by_position() {
    let fixture = authors().await;
    let em = fixture.em();
    let (name, year) = ("Ur'sula".to_owned(), Some(1900));
    let rows = em
        .sql("SELECT id, name, born, ? AS given FROM author WHERE born > ? ORDER BY id", &[&name, &year])
        .await
        .unwrap();
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0].columns().collect::<Vec<_>>(), ["id", "name", "born", "given"]);
    assert_eq!(rows[0].get::<i64>("id").unwrap(), 2);
    assert_eq!(rows[0].at::<String>(1).unwrap(), "Ursula");
    assert_eq!(rows[0].get::<Option<i32>>("born").unwrap(), Some(1929));
    assert_eq!(rows[0].get::<String>("given").unwrap(), name);
    // E1: nothing of the values is in the text.
    assert_eq!(
        fixture.statements(),
        ["SELECT id, name, born, $1::text AS given FROM author WHERE born > $2::int4 ORDER BY id"]
    );
    for (error, expected) in [
        (
            rows[0].get::<i64>("nmae").unwrap_err(),
            "column nmae cannot be converted: there is no such column (columns: id, name, born, given)",
        ),
        (rows[0].get::<i32>("id").unwrap_err(), "column id cannot be converted: it is int8, and read as int4"),
        (rows[0].at::<i32>(4).unwrap_err(), "column #4 cannot be converted: the row has 4 columns"),
    ] {
        assert_eq!(error.to_string(), format!("row: {expected}"));
    }
}

#[tokio::test]
async fn rows_become_scalars_tuples_and_projections() {
    let fixture = authors().await;
    let em = fixture.em();
    let count = em.sql("SELECT count(*) FROM author", &[]).map_to::<i64>().one_or_fail().await.unwrap();
    assert_eq!(count, 3);
    let all = em.sql("SELECT name, born FROM author ORDER BY id", &[]).map_to::<(String, Option<i32>)>().await.unwrap();
    assert_eq!(all[1], ("Ursula".to_owned(), Some(1929)));
    let text = "SELECT left(a.name, $1) AS initial, m.name AS \"mentor.name\", a.* FROM author a
        LEFT JOIN author m ON m.id = a.mentor_id WHERE a.id = ANY($2) ORDER BY a.id";
    let cards = em.sql(text, &[&1_i32, &vec![1_i64, 2]]).map_to::<Card>().await.unwrap();
    let card = |name: &str, born: i32, mentor: Option<Mentor>| Card {
        name: name.into(),
        born: Some(born),
        mentor,
        letter: name[..1].into(),
    };
    let mentor = Some(Mentor { name: "Virginia".into() });
    assert_eq!(cards, [card("Virginia", 1882, None), card("Ursula", 1929, mentor)]);
    assert_eq!(em.sql("SELECT 1 WHERE false", &[]).map_to::<i32>().one().await.unwrap(), None);
    let missing = em.sql("SELECT 1 WHERE false", &[]).map_to::<i32>().one_or_fail().await.unwrap_err();
    assert!(matches!(missing, Error::NotFound { .. }), "{missing}");
}

#[tokio::test]
async fn what_rows_cannot_be_read_into_names_the_column() {
    let fixture = authors().await;
    let em = fixture.em();
    let cases = [
        (em.sql("SELECT born FROM author", &[]).map_to::<i32>().await.map(drop), "born"),
        (em.sql("SELECT id, born FROM author", &[]).map_to::<(i64, String)>().await.map(drop), "born"),
        (em.sql("SELECT id, name FROM author", &[]).map_to::<i64>().await.map(drop), "name"),
        (em.sql("SELECT name, born FROM author", &[]).map_to::<Card>().await.map(drop), "mentor.name"),
        (em.sql("SELECT 1::numeric AS price", &[]).map_to::<f64>().await.map(drop), "price"),
    ];
    for (outcome, expected) in cases {
        let error = outcome.unwrap_err();
        assert!(matches!(&error, Error::Conversion { column, .. } if column == expected), "{expected}: {error}");
    }
}

#[tokio::test]
async fn rows_become_managed_entities() {
    let fixture = authors().await;
    let em = fixture.em();
    em.set_flush_mode(FlushMode::Commit);
    let ursula = em.find_one_or_fail::<Author>(2, ()).await.unwrap();
    ursula.write().born = Some(1930);
    fixture.database.execute("UPDATE author SET name = 'U. K. Le Guin' WHERE id = 2").await.unwrap();
    // Columns in any order, others beside them; A1, A3.
    let text = "SELECT mentor_id, length(name), name, id, born FROM author WHERE id > ? ORDER BY id DESC; ";
    let found = em.sql(text, &[&1_i64]).into_entities::<Author>().await.unwrap();
    assert_eq!(found.iter().map(Managed::id).collect::<Vec<_>>(), [3, 2]);
    assert_eq!(found[1], ursula);
    assert_eq!((ursula.read().name.as_str(), ursula.read().born), ("U. K. Le Guin", Some(1930)));
    found[0].write().born = Some(1797);
    assert_eq!(em.flush().await.unwrap().updated, 2);
    assert_eq!(fixture.rows("SELECT id, born FROM author ORDER BY id").await, ["1|1882", "2|1930", "3|1797"]);

    let written = em.sql("UPDATE author SET born = born + ? WHERE id = 3 RETURNING * -- one", &[&1_i32]);
    let written = written.into_entities::<Author>().one().await.unwrap().unwrap();
    assert_eq!((&written, written.read().born), (&found[0], Some(1798)));
    assert!(!written.is_dirty());

    let missing = em.sql("SELECT id, name, mentor_id FROM author", &[]).into_entities::<Author>().await.unwrap_err();
    let expected = "the rows have no column born: an entity is made of all columns of Author";
    assert_eq!(missing.to_string(), expected);
    let wrong = em.sql("SELECT nonsense FROM author", &[]).into_entities::<Author>().await.unwrap_err();
    assert_eq!(wrong.sqlstate(), Some("42703"), "{wrong}");
}

#[tokio::test]
async fn it_runs_in_the_open_transaction() {
    let fixture = authors().await;
    let em = fixture.em();
    let outcome = em
        .transactional(async |em| {
            let changed = em.sql("UPDATE author SET born = ? WHERE id <= ?", &[&None::<i32>, &2_i64]).execute().await?;
            assert_eq!(changed, 2);
            let left = em.sql("SELECT count(born) FROM author", &[]).map_to::<i64>().one_or_fail().await?;
            assert_eq!(left, 0);
            Err::<(), Error>(Error::TransactionRollbackOnly)
        })
        .await;
    assert!(outcome.is_err());
    // D4: it was rolled back with the rest.
    assert_eq!(em.sql("SELECT count(born) FROM author", &[]).map_to::<i64>().one_or_fail().await.unwrap(), 2);
    assert_eq!(em.sql("DELETE FROM author WHERE id = 3", &[]).execute().await.unwrap(), 1);
}

#[tokio::test]
async fn every_type_is_a_value() {
    let fixture = Fixture::new(library()).await;
    let em = fixture.em();
    let (day, id) = (NaiveDate::from_ymd_opt(2024, 2, 29).unwrap(), Uuid::nil());
    let text = "SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11";
    let words = vec!["a".to_owned(), "b".to_owned()];
    let json = Json(vec![1, 2]);
    let row = em
        .sql(text, &[&true, &1_i16, &2_i32, &3_i64, &1.5_f32, &2.5_f64, &"text", &id, &day, &words, &json])
        .map_to::<(bool, i16, i32, i64, f32, f64, String, Uuid, NaiveDate, Vec<String>, Json<Vec<i32>>)>()
        .one_or_fail()
        .await
        .unwrap();
    assert_eq!(row, (true, 1, 2, 3, 1.5, 2.5, "text".into(), id, day, words, json));
    let nothing = em.sql("SELECT ?, ?, ?", &[&None::<Uuid>, &None::<&str>, &Some("é")]);
    let nothing = nothing.map_to::<(Option<Uuid>, Option<String>, String)>().one_or_fail().await.unwrap();
    assert_eq!(nothing, (None, None, "é".to_owned()));
    let refused = em.sql("SELECT ?", &[&"a\0"]).await.unwrap_err();
    assert!(matches!(refused, Error::Conversion { .. }), "{refused}");
    let refused = em.sql("SELECT ?, ?", &[&1_i32]).execute().await.unwrap_err();
    assert!(matches!(refused, Error::Validation { entity: None, .. }), "{refused}");
}

/// E6: quotes in texts and comments in comments do not hide the tables behind them, nor placeholders.
#[tokio::test]
async fn e6_texts_and_comments_hide_no_table() {
    let fixture = authors().await;
    let em = fixture.em();
    for (number, sql) in [
        r"SELECT count(*), E'it\'s' FROM author WHERE name = ? -- '",
        "SELECT count(*) /* a /* b */ ' */ FROM author WHERE name = ?",
        r"SELECT count(*), '\' FROM author WHERE name = ?",
    ]
    .into_iter()
    .enumerate()
    {
        let name = format!("Mary {number}");
        em.persist(NewAuthor { name: name.clone() });
        let rows = em.sql(sql, &[&name]).await.unwrap();
        assert_eq!(rows[0].at::<i64>(0).unwrap(), 1, "{sql}");
    }
    let raw_sql = |sql: &'static str| howdah::functions::raw::<Author>(sql, ("Mary 1",)).condition();
    for sql in [r"E'?\'?' <> 'x' AND name = ?", "name = ? -- why?", "/* /* ? */ ? */ name = ?"] {
        assert_eq!(em.count::<Author>(raw_sql(sql) & Author::fields().id().gt(0)).await.unwrap(), 1, "{sql}");
    }
}
