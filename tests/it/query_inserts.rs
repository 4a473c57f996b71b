//! INSERT by the query builder: what rows get that nobody has named, many columns, values with conflicts, and refusals.

use crate::library::*;
use crate::support::Fixture;
use chrono::{DateTime, TimeZone, Utc};
use howdah::functions::value;
use howdah::prelude::*;
use howdah::{Error, Filter, Lazy};

/// Not the time of the test: whoever sees it knows who has made it.
fn made() -> DateTime<Utc> {
    Utc.with_ymd_and_hms(2001, 2, 3, 4, 5, 6).unwrap()
}

fn made_again() -> DateTime<Utc> {
    Utc.with_ymd_and_hms(2002, 2, 3, 4, 5, 6).unwrap()
}

/// Much of it is made by somebody else than who writes it.
#[derive(Entity, Clone, Debug)]
struct Entry {
    #[primary_key]
    id: Uuid,
    #[property(unique)]
    title: String,
    #[property(on_create = made())]
    created_at: DateTime<Utc>,
    #[property(on_create = made(), on_update = made_again())]
    updated_at: Option<DateTime<Utc>>,
    #[property(default = 7)]
    rank: i32,
    #[property(default_sql = "now() - interval '1 year'")]
    expires_at: DateTime<Utc>,
    #[version]
    version: DateTime<Utc>,
}

async fn books() -> Fixture {
    let entities = library().into_iter().chain(entities![Entry, Wide, Member, Secret]);
    let fixture = Fixture::new(entities).await;
    let sql = "INSERT INTO author (id, name) OVERRIDING SYSTEM VALUE VALUES (1, 'Virginia'), (2, 'Ursula');
        INSERT INTO book (id, title, pages, version, author_id) OVERRIDING SYSTEM VALUE VALUES
            (1, 'Orlando', 134, 1, 1), (2, 'The Waves', NULL, 1, 1), (3, 'Lavinia', 280, 1, 2);
        ALTER TABLE book ALTER COLUMN id RESTART WITH 10";
    fixture.database.execute(sql).await.unwrap();
    fixture.forget();
    fixture
}

#[tokio::test]
async fn rows_of_a_query_are_completed() {
    let fixture = books().await;
    let em = fixture.em();
    let titles = em.query::<Book>().select(|b| b.title());
    let inserted = titles.insert_into::<Entry, _>(|e| e.title()).returning_entities().await.unwrap();
    assert_eq!((inserted.len(), fixture.log.round_trips(), fixture.statements().len()), (3, 1, 1));
    for entry in &inserted {
        let entry = entry.read();
        assert_eq!((entry.created_at, entry.updated_at, entry.rank), (made(), Some(made()), 7));
        assert_eq!(entry.id.get_version_num(), 7, "{}", entry.id);
        assert_eq!(entry.id.get_variant(), uuid::Variant::RFC4122);
        let (seconds, _) = entry.id.get_timestamp().unwrap().to_unix();
        assert!(seconds.abs_diff(Utc::now().timestamp().cast_unsigned()) < 120, "{}", entry.id);
        assert!(entry.expires_at < Utc::now() - chrono::Duration::days(300));
        assert!((Utc::now() - entry.version).num_seconds().abs() < 120);
    }
    let mut ids: Vec<Uuid> = inserted.iter().map(Managed::id).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 3, "each row has a key of its own");
    // A1, B3: they are entities like all others.
    inserted[0].write().rank = 8;
    assert_eq!(em.flush().await.unwrap().updated, 1);
    assert_eq!(fixture.rows("SELECT rank FROM entry ORDER BY rank").await, ["7", "7", "8"]);
}

#[tokio::test]
async fn what_is_named_is_as_it_was_selected() {
    let fixture = books().await;
    let em = fixture.em();
    let id = Uuid::now_v7();
    let named = em.query::<Book>().filter(|b| b.id().eq(1));
    let named = named.select(|b| (value(id), b.title(), value(made_again()), value(1)));
    let insert = || named.clone().insert_into::<Entry, _>(|e| (e.id(), e.title(), e.created_at(), e.rank()));
    assert_eq!(insert().await.unwrap(), 1);
    let found = em.find_one_or_fail::<Entry>(id, ()).await.unwrap();
    assert_eq!((found.read().created_at, found.read().updated_at), (made_again(), Some(made())));

    // A row that is there keeps its key and when it was made, and is updated like every other.
    let again = em.query::<Book>().filter(|b| b.id().eq(1)).select(|b| (b.title(), value(2)));
    let again = again.insert_into::<Entry, _>(|e| (e.title(), e.rank())).on_conflict(|e| e.title());
    let before = found.read().version;
    assert_eq!(again.returning_entities().await.unwrap(), [found.clone()]);
    let read = found.read();
    assert_eq!((read.created_at, read.updated_at, read.rank), (made_again(), Some(made_again()), 2));
    assert!(read.version > before);
    drop(read);
    let twice = em.query::<Book>().select(|b| (b.title(), b.title()));
    let refused = twice.insert_into::<Entry, _>(|e| (e.title(), e.title())).await.unwrap_err();
    assert!(refused.to_string().contains("names Entry.title twice"), "{refused}");
}

/// More columns than a tuple has places.
#[derive(Entity, Clone, Debug)]
struct Wide {
    #[primary_key]
    id: i64,
    c1: i32,
    c2: i32,
    c3: i32,
    c4: i32,
    c5: i32,
    c6: i32,
    c7: i32,
    c8: i32,
    c9: i32,
    c10: i32,
    c11: i32,
    c12: i32,
    c13: i32,
    c14: i32,
    c15: i32,
    c16: i32,
    c17: Lazy<String>,
    c18: Option<i32>,
}

#[tokio::test]
async fn there_may_be_any_number_of_columns() {
    let fixture = books().await;
    let em = fixture.em();
    let query = em.query::<Book>().filter(|b| b.id().eq(3)).select(|b| {
        let v = value::<Book, i32>;
        let first = (v(1), v(2), v(3), v(4), v(5), v(6), v(7), v(8), v(9), v(10), v(11), v(12), v(13), v(14), v(15));
        (first, (v(16), b.title(), b.pages()))
    });
    let insert = query.insert_into::<Wide, _>(|w| {
        let first = (w.c1(), w.c2(), w.c3(), w.c4(), w.c5(), w.c6(), w.c7(), w.c8(), w.c9(), w.c10(), w.c11(), w.c12());
        let (a, b, c, d, e, f, g, h, i, j, k, l) = first;
        ((a, b, c, d, e, f, g, h, i, j, k, l, w.c13(), w.c14(), w.c15()), (w.c16(), w.c17(), w.c18()))
    });
    let written = insert.returning(|w| (w.id(), w.c1(), w.c15(), w.c16(), w.c17(), w.c18()));
    assert_eq!(written.await.unwrap(), [(1, 1, 15, 16, "Lavinia".to_owned(), Some(280))]);
    let flat = em.query::<Wide>().select(|w| {
        let last = (w.c13(), w.c14(), w.c15(), w.c16());
        (
            w.c1(),
            w.c2(),
            w.c3(),
            w.c4(),
            w.c5(),
            w.c6(),
            w.c7(),
            w.c8(),
            w.c9(),
            w.c10(),
            w.c11(),
            w.c12(),
            last.0,
            last.1,
            last.2,
            last.3,
        )
    });
    let (_, _, _, _, _, _, _, _, _, _, _, twelfth, ..) = flat.clone().as_table().columns::<Wide>();
    assert_eq!(em.query_from::<Wide, _>(&flat.as_table()).select(|_| value(1)).await.unwrap(), [1]);
    let _ = twelfth;
}

/// Its key is somebody's own.
#[derive(Entity, Clone, Debug)]
struct Member {
    #[primary_key(assigned)]
    code: String,
    #[primary_key]
    #[many_to_one]
    author: Ref<Author>,
    points: i32,
}

#[tokio::test]
async fn a_key_that_nobody_makes_is_asked_for() {
    let fixture = books().await;
    let em = fixture.em();
    let authors = || em.query::<Author>();
    let refused = authors().select(|_| value(1)).insert_into::<Member, _>(|m| m.points()).await.unwrap_err();
    assert!(refused.to_string().contains("no value for Member.code, a key that nobody makes"), "{refused}");
    let some = authors().select(|a| (a.name(), value(1)));
    let refused = some.insert_into::<Member, _>(|m| (m.code(), m.points())).await.unwrap_err();
    assert!(matches!(refused, Error::Validation { entity: Some("Member"), .. }), "{refused}");
    assert!(fixture.log.take().is_empty(), "nothing was sent");
    let all = authors().select(|a| (a.name(), a.id(), value(1)));
    assert_eq!(all.insert_into::<Member, _>(|m| (m.code(), m.author(), m.points())).await.unwrap(), 2);
    assert_eq!(fixture.rows("SELECT code, author_id FROM member ORDER BY code").await, ["Ursula|2", "Virginia|1"]);
}

#[tokio::test]
async fn values_are_inserted() {
    let fixture = books().await;
    let em = fixture.em();
    let entry = |title: &str| NewEntry { title: title.into() };
    let rows = [entry("one").with(|_| ()), entry("two").with(|e| e.updated_at = Some(made_again()))];
    assert_eq!(em.query::<Entry>().insert(rows).await.unwrap(), 2);
    assert_eq!(fixture.flow(), ["INSERT"]);
    let rows = fixture.rows("SELECT title, created_at = updated_at, rank FROM entry ORDER BY title").await;
    assert_eq!(rows, ["one|t|7", "two|f|7"]);

    // Those that are there stay, or get what is new; what is answered with are the rows that were written.
    let rows = || [entry("two"), entry("three")];
    let added = em.query::<Entry>().insert(rows()).on_conflict(|e| e.title()).ignore();
    let added = added.returning(|e| (e.title(), e.created_at(), e.rank())).await.unwrap();
    assert_eq!(added, [("three".to_owned(), made(), 7)]);
    let three = em.find::<Entry>().filter(|e| e.title().eq("three")).one().await.unwrap().unwrap();
    let better = [entry("three").with(|e| e.rank = 3)];
    let written = em.query::<Entry>().insert(better).on_conflict(|e| e.title()).returning_entities().await.unwrap();
    assert_eq!(written, [three.clone()]);
    let read = three.read();
    assert_eq!((read.rank, read.updated_at, read.created_at), (3, Some(made_again()), made()));
    drop(read);
    assert!(matches!(
        em.query::<Entry>().insert(rows()).await,
        Err(Error::UniqueViolation { entity: Some("Entry"), .. })
    ));
    assert_eq!(fixture.rows("SELECT count(*) FROM entry").await, ["3"]);

    // What cannot be done is said in words; entities that the statement has not touched are not stale.
    let twice = em.query::<Entry>().insert([entry("x"), entry("x")]).on_conflict(|e| e.title()).await.unwrap_err();
    assert!(twice.to_string().contains("two of the rows have the same title"), "{twice}");
    three.write().rank = 4;
    let other = em.query::<Entry>().insert([entry("one")]).on_conflict(|e| e.title());
    assert_eq!(other.returning_entities().await.unwrap().len(), 1);
    assert_eq!(em.flush().await.unwrap().updated, 1);

    // Rows with values for different columns are several statements, which take effect together.
    fixture.forget();
    let shelves = [NewShelf { code: "a".into() }, NewShelf { code: "b".into() }];
    assert_eq!(em.query::<Shelf>().insert(shelves).await.unwrap(), 2);
    let books = [
        NewBook { title: "x".into(), author: em.get_reference(1) }.with(|_| ()),
        NewBook { title: "y".into(), author: em.get_reference(2) }.with(|book| book.id = 77),
        NewBook { title: "z".into(), author: em.get_reference(9) }.with(|_| ()),
    ];
    fixture.forget();
    let failed = em.query::<Book>().insert(books.clone()).await.unwrap_err();
    assert!(matches!(failed, Error::ForeignKeyViolation { entity: Some("Book"), .. }), "{failed}");
    assert_eq!(fixture.rows("SELECT count(*) FROM book").await, ["3"]);
    fixture.forget();
    let [x, y, _] = books;
    let mut ids =
        em.query::<Book>().insert([x, y]).returning(|b| (b.title(), b.id(), b.author().name())).await.unwrap();
    ids.sort_unstable();
    assert_eq!((fixture.log.round_trips(), fixture.statements().len()), (1, 2));
    assert_eq!((ids[0].2.as_str(), &ids[1]), ("Virginia", &("y".to_owned(), 77, "Ursula".to_owned())));
    assert_eq!(em.query::<Book>().insert(Vec::<Book>::new()).await.unwrap(), 0);
    let refused = em.query::<Shelf>().filter(|s| s.code().eq("a")).insert([NewShelf { code: "c".into() }]);
    assert!(matches!(refused.await.unwrap_err(), Error::Validation { .. }));
    assert_eq!(fixture.rows("SELECT code FROM shelf ORDER BY code").await, ["a", "b"]);
}

/// Rows of others are not seen.
#[derive(Entity, Clone, Debug)]
struct Secret {
    #[primary_key(assigned)]
    name: String,
    owner: i32,
    text: String,
}

#[tokio::test]
async fn hidden_rows_are_not_overwritten() {
    let fixture = books().await;
    fixture.database.execute("INSERT INTO secret VALUES ('a', 2, 'theirs'), ('b', 1, 'mine')").await.unwrap();
    let em = fixture.em();
    em.add_filter(Filter::new::<Secret>("own", |s| s.owner().eq(1)));
    let secrets = ["a", "b", "c"].map(|name| NewSecret { name: name.into(), owner: 1, text: "new".into() });
    let insert = em.query::<Secret>().insert(secrets).on_conflict(|s| s.name());
    let mut written = insert.returning(|s| s.name()).await.unwrap();
    written.sort_unstable();
    assert_eq!(written, ["b", "c"]);
    let copy = em.query::<Author>().limit(1).select(|_| (value("a".to_owned()), value(1), value("new".to_owned())));
    let copy = copy.insert_into::<Secret, _>(|s| (s.name(), s.owner(), s.text())).on_conflict(|s| s.name());
    assert_eq!(copy.await.unwrap(), 0);
    let rows = fixture.rows("SELECT name, owner, text FROM secret ORDER BY name").await;
    assert_eq!(rows, ["a|2|theirs", "b|1|new", "c|1|new"]);
}
