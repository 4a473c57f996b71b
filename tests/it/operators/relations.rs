//! Comparisons over relations: columns with columns, counts, the same related row.

use crate::library::*;
use crate::support::Fixture;
use howdah::prelude::*;

/// Ada (1815) taught Grace (1906). Ada wrote "Engine" (10 pages; on shelf A; tags math, code) and "Ada" (20 pages; math),
/// Grace "Compiler" (30 pages, on shelf B), Jane nothing.
async fn library_rows() -> Fixture {
    let fixture = Fixture::new(library()).await;
    let sql = "INSERT INTO author (id, name, born, mentor_id) OVERRIDING SYSTEM VALUE VALUES
          (1, 'Ada', 1815, NULL), (2, 'Grace', 1906, 1), (3, 'Jane', 1775, NULL);
        INSERT INTO shelf (code) VALUES ('A'), ('B');
        INSERT INTO book (id, title, pages, version, author_id, shelf_code) OVERRIDING SYSTEM VALUE VALUES
          (1, 'Engine', 10, 1, 1, 'A'), (2, 'Ada', 20, 1, 1, NULL), (3, 'Compiler', 30, 1, 2, 'B');
        INSERT INTO tag (id, name) VALUES ('00000000-0000-0000-0000-000000000001', 'math'),
          ('00000000-0000-0000-0000-000000000002', 'code');
        INSERT INTO book_tags (book_id, tag_id) VALUES (1, '00000000-0000-0000-0000-000000000001'),
          (1, '00000000-0000-0000-0000-000000000002'), (2, '00000000-0000-0000-0000-000000000001');
        INSERT INTO profile (id, text, author_id) OVERRIDING SYSTEM VALUE VALUES (1, 'Ada', 1)";
    fixture.database.execute(sql).await.unwrap();
    fixture.forget();
    fixture
}

fn a() -> AuthorFields<Author> {
    Author::fields()
}

fn b() -> BookFields<Book> {
    Book::fields()
}

async fn names(fixture: &Fixture, condition: Condition<Author>) -> String {
    let shown = format!("{condition:?}");
    let found = fixture.em().find::<Author>().filter(|_| condition).order_by(|a| a.name().asc()).await;
    let found = found.unwrap_or_else(|error| panic!("{shown}: {error} {:?}", fixture.statements()));
    found.iter().map(|author| author.read().name.clone()).collect::<Vec<_>>().join(" ")
}

async fn titles(fixture: &Fixture, condition: Condition<Book>) -> String {
    let shown = format!("{condition:?}");
    let found = fixture.em().find::<Book>().filter(|_| condition).order_by(|b| b.title().asc()).await;
    let found = found.unwrap_or_else(|error| panic!("{shown}: {error} {:?}", fixture.statements()));
    found.iter().map(|book| book.read().title.clone()).collect::<Vec<_>>().join(" ")
}

macro_rules! expect {
    ($run:ident($fixture:expr); $($condition:expr => $expected:expr;)*) => {$(
        assert_eq!($run($fixture, $condition).await, $expected, "{}", stringify!($condition));
    )*};
}

#[tokio::test]
async fn columns_are_compared_with_columns_over_relations() {
    let fixture = &library_rows().await;
    expect! { titles(fixture);
        b().title().eq(b().author().name()) => "Ada";
        b().author().name().eq(b().title()) => "Ada";
        b().title().ne(b().author().profile().text()) => "Engine";
        b().author().mentor().id().eq(b().author().id() - 1) => "Compiler";
        b().author().born().lt(b().author().mentor().born()) => "";
        b().author().born().gt(b().author().mentor().born()) => "Compiler";
        b().shelf().code().is_distinct_from("A") => "Ada Compiler";
        b().author().ne(1) => "Compiler";
        b().author().not_in([2, 3]) => "Ada Engine";
        (b().pages() + b().author().born()).gt(1900) => "Compiler";
    }
}

#[tokio::test]
async fn a_comparison_over_a_to_many_relation_means_the_same_related_row() {
    let fixture = &library_rows().await;
    expect! { names(fixture);
        a().books().title().eq(a().name()) => "Ada";
        a().name().eq(a().books().title()) => "Ada";
        a().books().title().eq(a().books().author().name()) => "Ada";
        a().books().pages().between(15, a().born()) => "Ada Grace";
        a().books().tags().name().eq("math") => "Ada";
        a().books().title().lower().eq("engine") => "Ada";
        (a().books().pages() + a().born()).eq(1835) => "Ada";
        a().books().tags().name().ne(a().books().title()) => "Ada";
        a().books().contains(3) => "Grace";
        a().books().tags().name().length().gt(a().books().shelf().code().length()) => "Ada";
        !a().books().title().eq(a().name()) => "Grace Jane";
        a().books().some(|b| b.pages().gt(25)) | a().books().is_empty() => "Grace Jane";
    }
    let sql = {
        fixture.forget();
        names(fixture, a().books().tags().name().ne(a().books().title())).await;
        fixture.statements().concat()
    };
    // Both sides stand in the FROM list of one EXISTS in the other: a book, and its tags.
    assert_eq!(sql.matches("EXISTS").count(), 2, "{sql}");
    assert_eq!(sql.matches("\"book\"").count(), 1, "{sql}");
}

#[tokio::test]
async fn different_to_many_relations_in_one_comparison_are_refused() {
    let fixture = library_rows().await;
    let em = fixture.em();
    let condition = a().books().title().eq(a().mentor().books().title());
    let error = em.count::<Author>(condition).await.unwrap_err();
    assert!(matches!(error, Error::Validation { entity: Some("Author"), .. }), "{error}");
    assert!(error.to_string().contains("Author.books") && error.to_string().contains("some()"), "{error}");
    let error = em.find::<Author>().order_by(|a| a.books().title().lower().asc()).await.unwrap_err();
    assert!(error.to_string().contains("Author.books leads over a to-many relation"), "{error}");
    assert!(fixture.statements().is_empty());
}

#[tokio::test]
async fn related_rows_are_counted_to_compare_and_to_order_by() {
    let fixture = &library_rows().await;
    expect! { names(fixture);
        a().books().count().eq(2) => "Ada";
        a().books().count().gte(1) => "Ada Grace";
        a().books().count().is_in([0, 1]) => "Grace Jane";
        a().books().count().gt(a().mentor().books().count()) => "Ada";
        // Over the whole path: pairs of book and tag.
        a().books().tags().count().eq(3) => "Ada";
        a().books().tags().count().eq(0) => "Grace Jane";
        a().mentor().books().count().eq(2) => "Grace";
        a().books().count_of(|b| b.pages().gt(15)).eq(1) => "Ada Grace";
        a().books().count_of(|b| b.shelf().code().eq("A") & b.author().name().eq("Ada")).eq(1) => "Ada";
        a().books().count_of(|b| b.tags().name().eq("math")).eq(2) => "Ada";
        a().books().count_of(|b| b.tags().count().gt(1)).eq(1) => "Ada";
        a().books().some(|b| b.tags().count().eq(0)) => "Grace";
        a().books().every(|b| b.tags().count().gt(0)) => "Ada Jane";
        (a().books().count() * 10).eq(20) => "Ada";
    }
    expect! { titles(fixture);
        b().tags().count().eq(2) => "Engine";
        b().author().books().count().eq(1) => "Compiler";
    }
    let em = fixture.em();
    let found = em.find::<Author>().order_by(|a| (a.books().count().desc(), a.name().asc())).await.unwrap();
    assert_eq!(found.iter().map(|a| a.read().name.clone()).collect::<Vec<_>>(), ["Ada", "Grace", "Jane"]);
    let found = em.find::<Book>().order_by(|b| (b.author().books().tags().count().asc(), b.title().desc())).await;
    assert_eq!(
        found.unwrap().iter().map(|b| b.read().title.clone()).collect::<Vec<_>>(),
        ["Compiler", "Engine", "Ada"]
    );
}

#[tokio::test]
async fn a_comparison_behind_a_to_many_relation_may_count_there() {
    let fixture = &library_rows().await;
    let tags = fixture.em();
    let found = tags.find::<Tag>().filter(|t| t.books().tags().name().eq(t.name())).count().await.unwrap();
    assert_eq!(found, 2);
    expect! { names(fixture);
        a().books().pages().gt(a().books().count().cast::<i32>() * 10) => "Grace";
    }
}
