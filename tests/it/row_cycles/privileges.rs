//! Users who may insert but may not take from the sequences of the keys (rules C2 and C7).

use super::trees::{Folder, NewFolder};
use super::*;
use howdah::StatementLog;

#[derive(Entity, Clone, Debug)]
pub struct Author {
    #[primary_key]
    pub id: i64,
    pub name: String,
    #[many_to_one]
    pub mentor: Option<Ref<Author>>,
}

#[derive(Entity, Clone, Debug)]
pub struct Book {
    #[primary_key]
    pub id: i64,
    pub title: String,
    #[many_to_one]
    pub author: Ref<Author>,
    #[many_to_many]
    pub readers: Collection<Author>,
}

/// A clerk may read and write all rows, but has no USAGE on any sequence.
async fn clerk() -> (Fixture, Orm, StatementLog, String) {
    let fixture = Fixture::new(entities![Author, Book, Folder]).await;
    let clerk = format!("clerk_of_{}", fixture.rows("SELECT current_database()").await[0]);
    let grants = format!(
        "CREATE ROLE \"{clerk}\" LOGIN; GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO \"{clerk}\""
    );
    fixture.database.execute(&grants).await.unwrap();
    let log = StatementLog::new();
    let builder = Orm::builder().url(fixture.database.url()).user(&clerk).statement_log(&log);
    let orm = builder.entities(entities![Author, Book, Folder]).connect().await.unwrap();
    (fixture, orm, log, clerk)
}

#[tokio::test]
async fn c2_rows_are_inserted_level_by_level() {
    let (fixture, orm, log, _) = clerk().await;
    let em = orm.em();
    let graph = |em: &EntityManager, name: &str| {
        let author = em.create(NewAuthor { name: name.into() });
        let pupil = em.create(NewAuthor { name: format!("{name}'s pupil") });
        pupil.write().mentor = Some(author.to_ref());
        let book = em.persist(NewBook { title: name.into(), author: pupil.to_ref() });
        book.write().readers.add(&author);
        (author, book)
    };
    let (author, book) = graph(&em, "Ann");
    let summary = em.flush().await.unwrap();
    // The question for keys, which is refused; mentors; pupils; books; readers.
    assert_eq!((summary.inserted, summary.round_trips), (3, 5));
    assert_eq!(log.round_trips(), 5);
    assert_eq!(author.read().id, author.id());
    // The second time nobody asks.
    log.clear();
    graph(&em, "Bea");
    let summary = em.flush().await.unwrap();
    assert_eq!((summary.inserted, summary.statements, summary.round_trips), (3, 4, 4));
    let rows = "SELECT title, a.name, m.name, r.name FROM book JOIN author a ON a.id = author_id JOIN author m \
                ON m.id = a.mentor_id JOIN book_readers br ON br.book_id = book.id JOIN author r ON r.id = br.author_id \
                ORDER BY 1";
    assert_eq!(fixture.rows(rows).await, ["Ann|Ann's pupil|Ann|Ann", "Bea|Bea's pupil|Bea|Bea"]);
    assert_eq!(book.read().author.get().unwrap().read().mentor, Some(author.to_ref()));
    // One level needs no keys beforehand.
    em.persist(NewAuthor { name: "Cat".into() });
    assert_eq!(em.flush().await.unwrap().round_trips, 1);
}

#[tokio::test]
async fn c7_circles_are_refused_and_the_error_says_what_to_grant() {
    let (fixture, orm, log, clerk) = clerk().await;
    let em = orm.em();
    let (one, two) = (em.persist(NewAuthor { name: "1".into() }), em.persist(NewAuthor { name: "2".into() }));
    one.write().mentor = Some(two.to_ref());
    two.write().mentor = Some(one.to_ref());
    for _ in 0..2 {
        let error = em.flush().await.unwrap_err();
        assert!(matches!(&error, Error::Validation { entity: Some("Author"), .. }), "{error:?}");
        assert!(error.to_string().contains("grant USAGE on the sequences of author.id"), "{error}");
    }
    let sent = log.take();
    assert!(sent.iter().all(|text| text.contains("nextval")), "only the keys were asked for: {sent:?}");
    em.clear();
    // To itself is a circle, too: it is not written as NULL.
    let own = em.persist(NewAuthor { name: "own".into() });
    own.write().mentor = Some(own.to_ref());
    let folder = em.persist(NewFolder { name: "r".into(), parent: em.get_reference(0) });
    folder.write().parent = folder.to_ref();
    let error = em.flush().await.unwrap_err();
    assert!(error.to_string().contains("grant USAGE"), "{error}");
    assert_eq!(fixture.rows("SELECT count(*) FROM author").await, ["0"]);
    // As it says.
    let grant = format!("GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO \"{clerk}\"");
    fixture.database.execute(&grant).await.unwrap();
    let summary = em.flush().await.unwrap();
    assert_eq!((summary.inserted, summary.round_trips), (2, 2));
    assert_eq!(fixture.rows("SELECT id = mentor_id FROM author").await, ["t"]);
    assert_eq!(fixture.rows("SELECT id = parent_id FROM folder").await, ["t"]);
}
