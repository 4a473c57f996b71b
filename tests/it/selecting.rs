//! `select`: columns, expressions and aggregates as tuples, of finds and of queries.

use crate::library::*;
use crate::support::Fixture;
use howdah::Error;
use howdah::functions::{count, count_distinct};
use howdah::prelude::*;

/// Ursula has three books, two of them on a shelf; Mary has one without pages; Virginia, Ursula's mentor, has none.
async fn shelves() -> Fixture {
    let fixture = Fixture::new(library()).await;
    let sql = "INSERT INTO author (id, name, born, mentor_id) OVERRIDING SYSTEM VALUE
            VALUES (1, 'Virginia', 1882, NULL), (2, 'Ursula', 1929, 1), (3, 'Mary', NULL, NULL);
        INSERT INTO shelf VALUES ('sf');
        INSERT INTO book (id, title, pages, version, author_id, shelf_code) OVERRIDING SYSTEM VALUE VALUES
            (1, 'The Dispossessed', 341, 1, 2, 'sf'), (2, 'Lavinia', 280, 1, 2, NULL),
            (3, 'Rocannon', 117, 1, 2, 'sf'), (4, 'Frankenstein', NULL, 1, 3, NULL);
        INSERT INTO tag VALUES ('00000000-0000-7000-8000-000000000001', 'utopia'), ('00000000-0000-7000-8000-000000000002', 'novel');
        INSERT INTO book_tags (book_id, tag_id) SELECT b.id, t.id FROM book b, tag t WHERE t.name = 'novel' OR b.id = 1";
    fixture.database.execute(sql).await.unwrap();
    fixture.forget();
    fixture
}

#[tokio::test]
async fn columns_are_tuples_and_nullable_ones_are_options() {
    let fixture = shelves().await;
    let em = fixture.em();
    let authors = em.find::<Author>().filter(|a| a.id().gte(2)).order_by(|a| a.id().asc());
    let found: Vec<(i64, String, Option<i32>)> =
        authors.clone().select(|a| (a.id(), a.name(), a.born())).await.unwrap();
    assert_eq!(found, [(2, "Ursula".to_owned(), Some(1929)), (3, "Mary".to_owned(), None)]);
    // E1
    assert_eq!(
        fixture.statements(),
        [
            "SELECT t0.\"id\", t0.\"name\", t0.\"born\" FROM \"author\" AS t0 WHERE t0.\"id\" >= $1::int8 ORDER BY t0.\"id\""
        ]
    );
    assert_eq!(fixture.log.round_trips(), 0);
    let names: Vec<String> = authors.clone().select(|a| a.name()).limit(1).await.unwrap();
    assert_eq!(names, ["Ursula"]);
    // A relation is its key.
    let mentors: Vec<(i64, Option<i64>)> = authors.clone().select(|a| (a.id(), a.mentor())).await.unwrap();
    assert_eq!(mentors, [(2, Some(1)), (3, None)]);
    let authors_of: Vec<i64> = em.find::<Book>().select(|b| b.author()).distinct().await.unwrap();
    assert_eq!(authors_of.len(), 2);
    // Tuples in tuples.
    let nested = authors.select(|a| (a.id(), (a.name(), a.born()))).one().await.unwrap();
    assert_eq!(nested, Some((2, ("Ursula".to_owned(), Some(1929)))));
    // E5: nothing was put into the identity map.
    fixture.forget();
    em.find_one_or_fail::<Author>(2, ()).await.unwrap();
    assert_eq!(fixture.statements().len(), 1);
}

#[tokio::test]
async fn columns_of_relations_are_joined() {
    let fixture = shelves().await;
    let em = fixture.em();
    let books = em.find::<Book>().order_by(|b| b.id().asc());
    let found = books.clone().select(|b| (b.title(), b.author().name(), b.shelf().code().nullable())).await.unwrap();
    assert_eq!(found[0], ("The Dispossessed".to_owned(), "Ursula".to_owned(), Some("sf".to_owned())));
    assert_eq!(found[3], ("Frankenstein".to_owned(), "Mary".to_owned(), None));
    // A missing relation has no value for what is no Option.
    let error = books.clone().select(|b| b.author().mentor().name()).await.unwrap_err();
    assert!(matches!(&error, Error::Conversion { entity: "Book", column, .. } if column == "name"), "{error:?}");
    assert!(error.to_string().contains("nullable()"), "{error}");
    let with_mentor =
        em.find::<Book>().filter(|b| b.author().mentor().is_not_null()).select(|b| b.author().mentor().name());
    assert_eq!(with_mentor.distinct().order_by(|b| b.author().mentor().name().asc()).await.unwrap(), ["Virginia"]);
    let many = em.find::<Author>().select(|a| a.books().title()).await.unwrap_err();
    assert!(matches!(many, Error::Validation { .. }), "{many}");
}

#[tokio::test]
async fn aggregates_of_groups() {
    let fixture = shelves().await;
    let em = fixture.em();
    let by_author = em
        .query::<Book>()
        .group_by(|b| b.author().name())
        .having(|b| b.id().count().gte(1))
        .select(|b| {
            (
                b.author().name(),
                count(),
                b.pages().count(),
                b.shelf().code().count_distinct(),
                b.pages().sum(),
                b.pages().avg(),
                b.pages().min(),
                b.title().max(),
            )
        })
        .order_by_result(|columns| columns.0.asc());
    let rows = by_author.await.unwrap();
    let mary = ("Mary".to_owned(), 1, 0, 0, None, None, None, Some("Frankenstein".to_owned()));
    let ursula =
        ("Ursula".to_owned(), 3, 3, 1, Some(738_i64), Some(246.0), Some(117), Some("The Dispossessed".to_owned()));
    assert_eq!(rows, [mary, ursula]);

    let lists = em
        .query::<Book>()
        .group_by(|b| b.author())
        .select(|b| {
            (
                b.author(),
                b.title().array_agg().order_by(b.pages().desc()),
                b.title().string_agg(", ").order_by(b.title().asc()).filter(b.pages().gt(200)),
                b.pages().array_agg(),
            )
        })
        .order_by(|b| b.author().id().desc());
    let titles = vec!["The Dispossessed".to_owned(), "Lavinia".to_owned(), "Rocannon".to_owned()];
    let long = Some("Lavinia, The Dispossessed".to_owned());
    let rows = lists.await.unwrap();
    assert_eq!(rows[0], (3, Some(vec!["Frankenstein".to_owned()]), None, None));
    assert_eq!((rows[1].0, &rows[1].1, &rows[1].2), (2, &Some(titles), &long));

    let all = em
        .find::<Book>()
        .select(|b| (count(), count_distinct((b.author(), b.shelf().code())), b.pages().sum().distinct()));
    assert_eq!(all.one_or_fail().await.unwrap(), (4, 3, Some(738)));
    let none = em.find::<Book>().filter(|b| b.id().eq(0)).select(|b| (count(), b.pages().sum(), b.pages().avg()));
    assert_eq!(none.one_or_fail().await.unwrap(), (0, None, None));
}

#[tokio::test]
async fn values_in_groups_are_the_same_parameter() {
    let fixture = shelves().await;
    let em = fixture.em();
    let initial = |b: &BookFields| b.title().like("L%").or(b.title().like("R%")).as_expr();
    let query = em.query::<Book>().group_by(|b| initial(&b)).select(|b| (initial(&b), count()));
    let rows = query.order_by_result(|(_, count)| count.desc()).await.unwrap();
    assert_eq!(rows, [(Some(false), 2), (Some(true), 2)]);
}

#[tokio::test]
async fn aggregates_behind_to_many_relations_are_of_each_row() {
    let fixture = shelves().await;
    let em = fixture.em();
    let authors = em.find::<Author>().order_by(|a| a.id().asc());
    let rows = authors.select(|a| (a.name(), a.books().id().count(), a.books().pages().max())).await.unwrap();
    let row = |name: &str, books: i64, pages: Option<i32>| (name.to_owned(), books, pages);
    assert_eq!(rows, [row("Virginia", 0, None), row("Ursula", 3, Some(341)), row("Mary", 1, None)]);
}

/// Money, whose column is `numeric` and whose values are floats; and an enum of the database.
#[derive(Entity, Clone, Debug)]
struct Sale {
    #[primary_key]
    id: i64,
    #[property(precision = 10, scale = 2)]
    price: f64,
    state: SaleState,
}

#[derive(DbEnum, Clone, Copy, Debug, PartialEq)]
#[db_enum(native)]
enum SaleState {
    Open,
    Paid,
}

#[tokio::test]
async fn aggregates_are_read_as_their_rust_type_whatever_the_column_is() {
    let fixture = Fixture::new(entities![Sale]).await;
    let em = fixture.em();
    for (price, state) in [(0.1, SaleState::Open), (0.2, SaleState::Paid), (0.3, SaleState::Paid)] {
        em.persist(NewSale { price, state });
    }
    em.flush().await.unwrap();
    let rows = em
        .query::<Sale>()
        .group_by(|s| s.state())
        .select(|s| (s.state(), s.price().sum(), s.price().max(), s.price().array_agg(), s.id().sum()))
        .order_by(|s| s.state().asc());
    let rows = rows.await.unwrap();
    assert_eq!(rows[0], (SaleState::Open, Some(0.1), Some(0.1), Some(vec![0.1]), Some(1)));
    // Decimals are added up as decimals.
    assert_eq!((rows[1].0, rows[1].1, rows[1].4), (SaleState::Paid, Some(0.5), Some(5)));
    let states = em.query::<Sale>().select(|s| (s.state().min(), s.state().array_agg().order_by(s.id().desc())));
    let all = Some(vec![SaleState::Paid, SaleState::Paid, SaleState::Open]);
    assert_eq!(states.one_or_fail().await.unwrap(), (Some(SaleState::Open), all));
}

/// A large column, which is left out when the entity is read.
#[derive(Entity, Clone, Debug)]
struct Scan {
    #[primary_key]
    id: i64,
    pages: Lazy<String>,
    notes: Lazy<Option<String>>,
}

#[derive(Projection, Debug, PartialEq)]
#[projection(entity = Scan)]
struct ScanCard {
    id: i64,
    pages: String,
    notes: Option<String>,
}

#[tokio::test]
async fn lazy_columns_are_selected_like_others() {
    let fixture = Fixture::new(entities![Scan]).await;
    let em = fixture.em();
    fixture.database.execute("INSERT INTO scan (pages, notes) VALUES ('long', NULL)").await.unwrap();
    let scans = em.find::<Scan>().select(|s| (s.id(), s.pages(), s.notes()));
    assert_eq!(scans.await.unwrap(), [(1, "long".to_owned(), None)]);
    let card = em.find::<Scan>().into::<ScanCard>().one_or_fail().await.unwrap();
    assert_eq!(card, ScanCard { id: 1, pages: "long".into(), notes: None });
}

/// The same expression in two clauses is one to the server, values included.
#[tokio::test]
async fn what_is_selected_once_is_ordered_by_the_same_expression() {
    let fixture = shelves().await;
    let em = fixture.em();
    let born = em.query::<Author>().distinct().select(|a| a.born().coalesce(0));
    assert_eq!(born.order_by(|a| a.born().coalesce(0).desc()).await.unwrap(), [1929, 1882, 0]);
    // A text of limited length is text where texts are put together.
    let names = em.query::<Author>().select(|a| a.name().string_agg(", ").distinct().order_by(a.name().desc()));
    assert_eq!(names.one_or_fail().await.unwrap().as_deref(), Some("Virginia, Ursula, Mary"));
    let names = em.query::<Author>().select(|a| {
        let name = || a.name().concat("!");
        name().string_agg(" ").distinct().order_by(name().asc())
    });
    assert_eq!(names.one_or_fail().await.unwrap().as_deref(), Some("Mary! Ursula! Virginia!"));
}
