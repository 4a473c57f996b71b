//! Rows that are inserted at once, past the unit of work.

use crate::library::*;
use crate::support::Fixture;
use howdah::prelude::*;

#[derive(Clone, Copy, Debug, PartialEq, DbEnum)]
#[db_enum(native)]
pub enum Genre {
    Novel,
    Essay,
}

#[derive(Entity, Clone, Debug)]
pub struct Edition {
    #[primary_key]
    pub isbn: String,
    #[primary_key]
    #[many_to_one]
    pub author: Ref<Author>,
    pub languages: Vec<String>,
    pub genres: Vec<Genre>,
    pub genre: Genre,
    #[property(default_sql = "now()")]
    pub printed_at: DateTime<Utc>,
    #[property(default = 7)]
    pub copies: i32,
    #[property(on_create = "made".to_owned())]
    pub origin: String,
    pub note: Option<String>,
    #[version]
    pub version: i32,
}

#[tokio::test]
async fn c2_c4_any_number_of_rows_is_one_statement_in_one_round_trip() {
    let fixture = Fixture::new(library()).await;
    let em = fixture.em();
    let names = ["Ursula", "Stanisław", "Octavia"];
    let ids = em.insert_many(names.map(|name| NewAuthor { name: name.into() })).await.unwrap();
    assert_eq!(ids, [1, 2, 3]);
    assert_eq!(fixture.log.round_trips(), 1);
    assert_eq!(fixture.flow(), ["INSERT"], "one statement needs no transaction");
    fixture.forget();

    let tags: Vec<NewTag> = (0..5000).map(|number| NewTag { name: format!("tag {number}") }).collect();
    let ids = em.insert_many(tags).await.unwrap();
    assert_eq!(fixture.log.round_trips(), 1);
    assert_eq!(fixture.flow(), ["INSERT"]);
    let seventh = format!("SELECT name FROM tag WHERE id = '{}'", ids[7]);
    assert_eq!((ids.len(), fixture.rows(&seventh).await), (5000, vec!["tag 7".to_owned()]));
    // Nothing has become managed: the row is read.
    fixture.forget();
    let found = em.find_one_or_fail::<Author>(2, ()).await.unwrap();
    assert_eq!((found.read().name.as_str(), fixture.statements().len()), ("Stanisław", 1));
}

#[tokio::test]
async fn every_kind_of_column_is_written() {
    let fixture = Fixture::new([library().as_slice(), &entities![Edition]].concat()).await;
    let em = fixture.em();
    let author = em.insert(NewAuthor { name: "Ursula".into() }).await.unwrap();
    let reference = em.get_reference::<Author>(author);
    let edition = |isbn: &str| NewEdition {
        isbn: isbn.into(),
        author: reference.clone(),
        languages: vec!["en".into(), "d,e\"".into()],
        genres: vec![Genre::Essay, Genre::Novel],
        genre: Genre::Novel,
    };
    let with_note = edition("b").with(|edition| edition.note = Some("signed".into()));
    let given = edition("c").with(|edition| edition.printed_at = "1999-12-31T00:00:00Z".parse().unwrap());
    fixture.forget();
    let keys = em.insert_many([edition("a").with(|_| ()), with_note, given]).await.unwrap();
    assert_eq!(keys, [("a".to_owned(), 1), ("b".to_owned(), 1), ("c".to_owned(), 1)]);
    // Two sets of columns: the third row gives what the database makes for the others.
    assert_eq!(fixture.log.round_trips(), 1);
    assert_eq!(fixture.flow(), ["BEGIN", "INSERT", "INSERT", "COMMIT"]);
    let sql = "SELECT isbn, author_id, languages[2], genres, genre, printed_at > '2000-01-01', copies, origin, note, version \
               FROM edition ORDER BY isbn";
    assert_eq!(
        fixture.rows(sql).await,
        [
            "a|1|d,e\"|{Essay,Novel}|Novel|t|7|made|~|1",
            "b|1|d,e\"|{Essay,Novel}|Novel|t|7|made|signed|1",
            "c|1|d,e\"|{Essay,Novel}|Novel|f|7|made|~|1"
        ]
    );
}

#[tokio::test]
async fn rows_that_refer_to_each_other_by_key_go_together() {
    let fixture = Fixture::new(library()).await;
    let em = fixture.em();
    let ids = em
        .insert_many([2, 1].map(|id| {
            NewAuthor { name: format!("author {id}") }.with(|author| {
                author.id = id;
                author.mentor = (id == 2).then(|| em.get_reference::<Author>(1));
            })
        }))
        .await
        .unwrap();
    assert_eq!(ids, [2, 1], "the keys are in the order of the rows");
    assert_eq!(fixture.rows("SELECT id, mentor_id FROM author ORDER BY id").await, ["1|~", "2|1"]);
}

#[tokio::test]
async fn what_the_unit_of_work_has_is_left_alone() {
    let fixture = Fixture::new(library()).await;
    let em = fixture.em();
    let managed = em.persist(NewAuthor { name: "Ursula".into() });
    assert_eq!(em.insert_many([NewAuthor { name: "Stanisław".into() }]).await.unwrap(), [1]);
    assert_eq!(managed.state(), EntityState::New);
    assert_eq!(em.flush().await.unwrap().inserted, 1);
    assert_eq!(managed.id(), 2);
    assert_eq!(em.insert_many(Vec::<NewAuthor>::new()).await.unwrap(), Vec::<i64>::new());
    fixture.forget();
    assert!(em.insert_many(Vec::<NewAuthor>::new()).await.unwrap().is_empty());
    assert!(fixture.log.take().is_empty(), "no rows: nothing is sent");
}

#[tokio::test]
async fn d1_inside_a_transaction_it_is_part_of_it() {
    let fixture = Fixture::new(library()).await;
    let em = fixture.em();
    em.insert(NewAuthor { name: "Ursula".into() }).await.unwrap();
    fixture.forget();
    em.begin().await.unwrap();
    em.insert_many([NewAuthor { name: "Octavia".into() }]).await.unwrap();
    // A failure undoes no more than itself, and names what is wrong as a flush does.
    let error = em.insert_many(["Stanisław", "Ursula"].map(|name| NewAuthor { name: name.into() })).await.unwrap_err();
    assert!(
        matches!(&error, Error::UniqueViolation { entity: Some("Author"), properties, .. } if properties == &["name"]),
        "{error:?}"
    );
    em.commit().await.unwrap();
    let flow = fixture.flow();
    let inserts: Vec<&str> = flow.iter().map(String::as_str).filter(|verb| !verb.contains("SAVEPOINT")).collect();
    assert_eq!(inserts, ["BEGIN", "INSERT", "INSERT", "COMMIT"], "{flow:?}");
    assert_eq!(fixture.rows("SELECT name FROM author ORDER BY name").await, ["Octavia", "Ursula"]);

    let rolled_back: Result<(), Error> = em
        .transactional(async |em| {
            em.insert_many([NewAuthor { name: "Joanna".into() }]).await?;
            Err(Error::TransactionAborted)
        })
        .await;
    assert!(rolled_back.is_err());
    assert_eq!(fixture.rows("SELECT count(*) FROM author").await, ["2"]);
}

#[tokio::test]
async fn what_has_no_row_is_refused_before_anything_is_sent() {
    let fixture = Fixture::new(library()).await;
    let em = fixture.em();
    let author = em.create(NewAuthor { name: "Ursula".into() });
    fixture.forget();
    let error = em.insert_many([NewBook { title: "a".into(), author: author.to_ref() }]).await.unwrap_err();
    let expected = "Book.author refers to an entity that has no row yet: flush it first; only rows of Book are written";
    assert_eq!(error.to_string(), expected);
    let book = em.create(NewBook { title: "a".into(), author: author.to_ref() });
    let with_items = NewAuthor { name: "Octavia".into() }.with(|author| author.books.add(&book));
    let error = em.insert_many([with_items]).await.unwrap_err();
    assert!(error.to_string().starts_with("Author.books has items"), "{error}");
    assert!(fixture.log.take().is_empty());
}
