//! Structs of some columns: nested, renamed, from any depth, in one statement, and never in the identity map (E5).

use crate::library::*;
use crate::support::Fixture;
use howdah::Error;
use howdah::prelude::*;

#[derive(Projection, Debug, PartialEq)]
#[projection(entity = Author)]
struct AuthorCard {
    id: i64,
    name: String,
    born: Option<i32>,
}

#[derive(Projection, Debug, PartialEq)]
#[projection(entity = Book)]
struct BookCard {
    title: String,
    author: AuthorCard,
    shelf: Option<ShelfCard>,
    /// The foreign key itself.
    #[projection(rename = "author")]
    author_id: i64,
    #[projection(rename = "author.mentor.name")]
    mentor: Option<String>,
    tags: Vec<TagCard>,
}

#[derive(Projection, Debug, PartialEq)]
struct ShelfCard {
    code: String,
}

#[derive(Projection, Debug, PartialEq)]
struct TagCard {
    name: String,
}

/// Optional and nested three times.
#[derive(Projection, Debug, PartialEq)]
#[projection(entity = Author)]
struct Shop {
    name: String,
    profile: Option<Text>,
    mentor: Option<AuthorCard>,
    books: Vec<Title>,
}

#[derive(Projection, Debug, PartialEq)]
struct Text {
    text: String,
}

#[derive(Projection, Debug, PartialEq)]
struct Title {
    title: String,
    pages: Option<i32>,
    shelf: Option<ShelfCard>,
    tags: Vec<TagCard>,
}

/// Ursula, who was Virginia's pupil, has two books: one on a shelf and with tags. Mary has none.
async fn library_with_rows() -> Fixture {
    let fixture = Fixture::new(library()).await;
    let sql = "INSERT INTO author (id, name, born, mentor_id) OVERRIDING SYSTEM VALUE VALUES (1, 'Virginia', 1882, NULL);
        INSERT INTO author (id, name, born, mentor_id) OVERRIDING SYSTEM VALUE VALUES (2, 'Ursula', 1929, 1), (3, 'Mary', NULL, NULL);
        INSERT INTO shelf VALUES ('sf');
        INSERT INTO book (id, title, pages, version, author_id, shelf_code) OVERRIDING SYSTEM VALUE
            VALUES (1, 'The Dispossessed', 341, 1, 2, 'sf'), (2, 'Lavinia', NULL, 1, 2, NULL);
        INSERT INTO tag VALUES ('00000000-0000-7000-8000-000000000001', 'utopia'), ('00000000-0000-7000-8000-000000000002', 'anarchy');
        INSERT INTO book_tags (book_id, tag_id) SELECT 1, id FROM tag;
        INSERT INTO profile (id, text, author_id) OVERRIDING SYSTEM VALUE VALUES (1, 'Portland', 2)";
    fixture.database.execute(sql).await.unwrap();
    fixture
}

fn tag(name: &str) -> TagCard {
    TagCard { name: name.into() }
}

fn ursula() -> AuthorCard {
    AuthorCard { id: 2, name: "Ursula".into(), born: Some(1929) }
}

fn virginia() -> AuthorCard {
    AuthorCard { id: 1, name: "Virginia".into(), born: Some(1882) }
}

#[tokio::test]
async fn columns_of_relations_are_joined_and_lists_are_arrays() {
    let fixture = library_with_rows().await;
    fixture.forget();
    let books = fixture.em().find::<Book>().order_by(|b| b.id().asc()).into::<BookCard>().await.unwrap();
    let first = BookCard {
        title: "The Dispossessed".into(),
        author: ursula(),
        shelf: Some(ShelfCard { code: "sf".into() }),
        author_id: 2,
        mentor: Some("Virginia".into()),
        tags: vec![tag("utopia"), tag("anarchy")],
    };
    let second = BookCard {
        title: "Lavinia".into(),
        author: ursula(),
        shelf: None,
        author_id: 2,
        mentor: Some("Virginia".into()),
        tags: vec![],
    };
    assert_eq!(books, [first, second]);
    // E1: columns by name, quoted; E2: one round trip.
    assert_eq!(fixture.log.round_trips(), 1);
    let sql = r#"SELECT t0."title", t0."author_id", t1."name", t1."born", t2."code" IS NOT NULL, t0."shelf_code", t0."author_id", t3."name", ARRAY(SELECT ROW(t4."name") FROM "tag" AS t4 JOIN "book_tags" AS t5 ON t5."tag_id" = t4."id" WHERE t5."book_id" = t0."id" ORDER BY t4."id") FROM "book" AS t0 LEFT JOIN "author" AS t1 ON t1."id" = t0."author_id" LEFT JOIN "shelf" AS t2 ON t2."code" = t0."shelf_code" LEFT JOIN "author" AS t3 ON t3."id" = t1."mentor_id" ORDER BY t0."id""#;
    assert_eq!(fixture.statements(), [sql]);
}

#[tokio::test]
async fn lists_inside_of_lists_are_one_statement() {
    let fixture = library_with_rows().await;
    fixture.forget();
    let shops = fixture.em().find::<Author>().order_by(|a| a.id().asc()).into::<Shop>().await.unwrap();
    assert_eq!(fixture.log.round_trips(), 1);
    let titles = vec![
        Title {
            title: "The Dispossessed".into(),
            pages: Some(341),
            shelf: Some(ShelfCard { code: "sf".into() }),
            tags: vec![tag("utopia"), tag("anarchy")],
        },
        Title { title: "Lavinia".into(), pages: None, shelf: None, tags: vec![] },
    ];
    let shop = |name: &str| Shop { name: name.into(), profile: None, mentor: None, books: vec![] };
    let ursula = Shop {
        profile: Some(Text { text: "Portland".into() }),
        mentor: Some(virginia()),
        books: titles,
        ..shop("Ursula")
    };
    assert_eq!(shops, [shop("Virginia"), ursula, shop("Mary")]);
}

#[tokio::test]
async fn nothing_is_in_the_identity_map_and_nothing_is_written() {
    let fixture = library_with_rows().await;
    let em = fixture.em();
    em.set_flush_mode(FlushMode::Commit);
    let author = em.find_one_or_fail::<Author>(2, ()).await.unwrap();
    author.write().name = "Ursula K.".into();
    // E5: the row as it is, and no entity that was half filled.
    let cards = em.find::<Author>().filter(|a| a.id().gte(2)).order_by(|a| a.id().asc()).into::<AuthorCard>();
    assert_eq!(cards.await.unwrap()[0], ursula());
    assert_eq!(author.read().name, "Ursula K.");
    fixture.forget();
    assert_eq!(em.find_one::<Author>(3, ()).await.unwrap().unwrap().read().name, "Mary");
    assert_eq!(fixture.statements().len(), 1);
    assert_eq!(em.flush().await.unwrap().updated, 1);
}

#[tokio::test]
async fn all_forms_of_a_find_work_on_projections() {
    let fixture = library_with_rows().await;
    let em = fixture.em();
    let authors = || em.find::<Author>().order_by(|a| a.id().desc()).into::<AuthorCard>();
    assert_eq!(authors().await.unwrap().len(), 3);
    assert_eq!(authors().limit(1).offset(1).await.unwrap(), [ursula()]);
    assert_eq!(authors().filter(|a| a.born().lt(1900)).await.unwrap(), [virginia()]);
    assert_eq!(authors().filter_opt(None).one().await.unwrap().unwrap().id, 3);
    assert_eq!(authors().first().await.unwrap().unwrap().id, 3);
    assert_eq!(authors().filter(|a| a.id().eq(2)).one_or_fail().await.unwrap(), ursula());
    assert_eq!(authors().count().await.unwrap(), 3);
    assert_eq!(authors().limit(2).count().await.unwrap(), 2);
    let missing = authors().filter(|a| a.id().eq(9)).one_or_fail().await.unwrap_err();
    assert!(matches!(missing, Error::NotFound { entity: "AuthorCard", .. }), "{missing}");
    assert_eq!(authors().filter(|a| a.id().eq(9)).one().await.unwrap(), None);

    // In a transaction, on its connection, with locks.
    em.transactional(async |em| {
        em.sql("UPDATE author SET born = 1900 WHERE id = 2", &[]).execute().await?;
        let born = em.find::<Author>().filter(|a| a.id().eq(2)).lock(LockMode::PessimisticWrite).into::<AuthorCard>();
        assert_eq!(born.one_or_fail().await?.born, Some(1900));
        Err::<(), Error>(Error::TransactionAborted)
    })
    .await
    .unwrap_err();
    assert_eq!(authors().filter(|a| a.id().eq(2)).one_or_fail().await.unwrap(), ursula());
}

#[derive(Projection, Debug)]
struct Unknown {
    #[allow(dead_code, reason = "it is not there")]
    nmae: String,
}

#[derive(Projection, Debug)]
struct OtherType {
    #[allow(dead_code, reason = "it is not read")]
    name: i64,
}

#[derive(Projection, Debug)]
struct NotAnOption {
    #[allow(dead_code, reason = "it is not read")]
    born: i32,
}

#[derive(Projection, Debug)]
struct RequiredMentor {
    #[allow(dead_code, reason = "it is not read")]
    mentor: AuthorCard,
}

#[derive(Projection, Debug)]
struct BehindAMissingOne {
    #[allow(dead_code, reason = "it is not read")]
    #[projection(rename = "mentor.name")]
    mentor: String,
}

#[derive(Projection, Debug)]
struct ManyAsOne {
    #[allow(dead_code, reason = "it is not read")]
    books: Option<ShelfCard>,
}

#[derive(Projection, Debug)]
struct OneAsMany {
    #[allow(dead_code, reason = "it is not read")]
    mentor: Vec<AuthorCard>,
}

#[derive(Projection, Debug)]
struct ThroughMany {
    #[allow(dead_code, reason = "it is not read")]
    #[projection(rename = "books.title")]
    title: Option<String>,
}

#[derive(Projection, Debug)]
struct Endless {
    #[allow(dead_code, reason = "it is not read")]
    books: Vec<EndlessBook>,
}

#[derive(Projection, Debug)]
struct EndlessBook {
    #[allow(dead_code, reason = "it is not read")]
    author: Endless,
}

#[tokio::test]
async fn what_does_not_fit_the_entity_is_refused_before_anything_is_sent() {
    async fn refused<P: Projection + std::fmt::Debug>(fixture: &Fixture) -> String {
        let error = fixture.em().find::<Author>().into::<P>().await.unwrap_err();
        assert!(matches!(error, Error::Validation { entity: Some(_), .. }), "{error:?}");
        error.to_string()
    }
    let fixture = library_with_rows().await;
    fixture.forget();
    let messages = [
        refused::<Unknown>(&fixture).await,
        refused::<OtherType>(&fixture).await,
        refused::<NotAnOption>(&fixture).await,
        refused::<RequiredMentor>(&fixture).await,
        refused::<BehindAMissingOne>(&fixture).await,
        refused::<ManyAsOne>(&fixture).await,
        refused::<OneAsMany>(&fixture).await,
        refused::<ThroughMany>(&fixture).await,
        refused::<Endless>(&fixture).await,
    ];
    let expected = [
        "Unknown: the field for Author.nmae cannot be read: Author has no field `nmae` (fields: id, name, born, books, profile, mentor)",
        "OtherType: the field for Author.name cannot be read: it is text, and the field is read as int8",
        "NotAnOption: the field for Author.born cannot be read: it may be NULL: make the field an Option",
        "RequiredMentor: the field for Author.mentor cannot be read: it may be missing: make the field an Option",
        "BehindAMissingOne: the field for Author.mentor.name cannot be read: it may be NULL: make the field an Option",
        "ManyAsOne: the field for Author.books cannot be read: it leads to many: make the field a Vec",
        "OneAsMany: the field for Author.mentor cannot be read: it leads to one: the field is no Vec",
        "ThroughMany: the field for Author.books.title cannot be read: `books` is no to-one relation of Author",
        "the projection Endless contains itself: there would be no end to it",
    ];
    assert_eq!(messages, expected);
    let populated = fixture.em().find::<Author>().populate(|a| a.books()).into::<AuthorCard>().await.unwrap_err();
    assert!(populated.to_string().starts_with("populate() loads entities"), "{populated}");
    assert!(fixture.log.take().is_empty());
}

/// The same table, but other types than it has.
#[derive(Entity, Clone, Debug)]
#[entity(table = "book")]
struct Pamphlet {
    #[primary_key]
    id: i64,
    title: i32,
    pages: i32,
}

#[derive(Projection, Debug)]
struct PamphletTitle {
    #[allow(dead_code, reason = "it is not read")]
    title: i32,
}

#[derive(Projection, Debug)]
struct PamphletPages {
    #[allow(dead_code, reason = "it is not read")]
    pages: i32,
}

#[tokio::test]
async fn what_the_database_has_otherwise_names_the_column() {
    let fixture = library_with_rows().await;
    let orm = Orm::builder().url(fixture.database.url()).entities(entities![Pamphlet]).connect().await.unwrap();
    let title = orm.em().find::<Pamphlet>().into::<PamphletTitle>().await.unwrap_err();
    let expected = "PamphletTitle: column title cannot be converted: it is text, and read as int4: cast it, or read it as \
                    another type";
    assert_eq!(title.to_string(), expected);
    let pages = orm.em().find::<Pamphlet>().into::<PamphletPages>().await.unwrap_err();
    assert!(matches!(&pages, Error::Conversion { column, .. } if column == "pages"), "{pages}");
    assert!(pages.to_string().contains("it is NULL"), "{pages}");
}
