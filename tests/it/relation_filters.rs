//! Conditions that follow relations: to-one by a join, to-many by EXISTS, keys by the foreign key alone.

use crate::library::*;
use crate::support::Fixture;
use howdah::Condition;
use howdah::prelude::*;

/// Ada (with a profile) taught Grace, Grace taught Jane (with a profile). Ada wrote "Engine" (math, code; on shelf A) and
/// "Notes" (math; 12 pages), Grace "Compiler" (code; on shelf B), Jane nothing.
async fn shelves() -> Fixture {
    let fixture = Fixture::new(library()).await;
    let em = fixture.em();
    let author =
        |name: &str, born: i32| em.persist(Author { born: Some(born), ..NewAuthor { name: name.into() }.into() });
    let (ada, grace, jane) = (author("Ada", 1815), author("Grace", 1906), author("Jane", 1775));
    grace.write().mentor = Some(ada.to_ref());
    jane.write().mentor = Some(grace.to_ref());
    em.persist(NewProfile { text: "countess".into(), author: ada.to_ref() });
    em.persist(NewProfile { text: "novelist".into(), author: jane.to_ref() });
    let shelf = |code: &str| em.persist(NewShelf { code: code.into() });
    let (a, b) = (shelf("A"), shelf("B"));
    let tag = |name: &str| em.persist(NewTag { name: name.into() });
    let (math, code) = (tag("math"), tag("code"));
    let book =
        |title: &str, author: &Managed<Author>, pages, shelf: Option<&Managed<Shelf>>, tags: &[&Managed<Tag>]| {
            let book = em.persist(NewBook { title: title.into(), author: author.to_ref() });
            let mut fields = book.write();
            (fields.pages, fields.shelf) = (pages, shelf.map(Managed::to_ref));
            tags.iter().for_each(|tag| fields.tags.add(tag));
        };
    book("Engine", &ada, None, Some(&a), &[&math, &code]);
    book("Notes", &ada, Some(12), None, &[&math]);
    book("Compiler", &grace, Some(300), Some(&b), &[&code]);
    em.flush().await.unwrap();
    fixture.forget();
    fixture
}

async fn titles(fixture: &Fixture, condition: Condition<Book>) -> String {
    let shown = format!("{condition:?}");
    let found = fixture.em().find::<Book>().filter(|_| condition).order_by(|b| b.title().asc()).await;
    let found = found.unwrap_or_else(|error| panic!("{shown}: {error}"));
    found.iter().map(|book| book.read().title.clone()).collect::<Vec<_>>().join(" ")
}

async fn names(fixture: &Fixture, condition: Condition<Author>) -> String {
    let shown = format!("{condition:?}");
    let found = fixture.em().find::<Author>().filter(|_| condition).order_by(|a| a.name().asc()).await;
    let found = found.unwrap_or_else(|error| panic!("{shown}: {error}"));
    found.iter().map(|author| author.read().name.clone()).collect::<Vec<_>>().join(" ")
}

fn author() -> AuthorFields<Author> {
    Author::fields()
}

fn book() -> BookFields<Book> {
    Book::fields()
}

macro_rules! expect {
    ($run:ident($fixture:expr); $($condition:expr => $expected:expr;)*) => {$(
        assert_eq!($run($fixture, $condition).await, $expected, "{}", stringify!($condition));
    )*};
}

/// The one statement since the last look.
fn statement(fixture: &Fixture) -> String {
    let statements = fixture.statements();
    assert_eq!(statements.len(), 1, "{statements:?}");
    statements.into_iter().next().unwrap()
}

#[tokio::test]
async fn fields_behind_to_one_relations_are_found_over_joins() {
    let fixture = &shelves().await;
    expect! { titles(fixture);
        book().author().name().eq("Ada") => "Engine Notes";
        book().author().born().gt(1900) => "Compiler";
        !book().author().name().eq("Ada") => "Compiler";
        book().author().mentor().name().eq("Ada") => "Compiler";
        book().author().mentor().is_null() => "Engine Notes";
        book().author().mentor().is_not_null() => "Compiler";
        book().shelf().is_null() => "Notes";
        book().shelf().code().ne("A") => "Compiler";
        // What a missing relation leads to is NULL: neither equal nor not equal.
        book().author().mentor().name().ne("Nobody") => "Compiler";
        book().author().mentor().name().is_null() => "Engine Notes";
        book().author().name().like("%a%") & book().author().born().lt(1900) => "Engine Notes";
    }
    expect! { names(fixture);
        // The inverse side of a one-to-one.
        author().profile().text().eq("countess") => "Ada";
        author().profile().text().is_null() => "Grace";
        author().profile().is_null() => "Grace";
        author().profile().is_not_null() => "Ada Jane";
        author().mentor().profile().text().eq("countess") => "Grace";
        // Self references: each hop is a table of its own.
        author().mentor().mentor().name().eq("Ada") => "Jane";
        author().mentor().name().eq("Ada") & author().mentor().mentor().is_null() => "Grace";
    }
}

#[tokio::test]
async fn a_path_is_joined_once_however_often_it_is_used() {
    let fixture = &shelves().await;
    let by_ada = book().author().name().eq("Ada") & !book().author().born().gt(1900);
    let em = fixture.em();
    let find = em.find::<Book>().filter(|_| by_ada).filter(|b| b.author().name().ne("Grace"));
    let found = find.order_by(|b| (b.author().name().desc(), b.author().mentor().name().asc())).await.unwrap();
    assert_eq!(found.len(), 2);
    let sql = statement(fixture);
    assert_eq!(sql.matches("LEFT JOIN").count(), 2, "the author, and the author's mentor: {sql}");
    em.count::<Book>(book().author().name().eq("Ada") | book().author().name().eq("Jane")).await.unwrap();
    assert_eq!(statement(fixture).matches("LEFT JOIN").count(), 1);
}

#[tokio::test]
async fn comparing_the_key_of_a_relation_joins_nothing() {
    let fixture = &shelves().await;
    let em = fixture.em();
    let ada = em.find_one_or_fail::<Author>(author().name().eq("Ada"), ()).await.unwrap();
    let shelf = em.get_reference::<Shelf>("A");
    fixture.forget();
    for (condition, expected, joins) in [
        (book().author().eq(&ada), "Engine Notes", 0),
        (book().author().eq(&ada.to_ref()), "Engine Notes", 0),
        (book().author().eq(ada.id()), "Engine Notes", 0),
        (book().author().id().eq(ada.id()), "Engine Notes", 0),
        (book().author().id().gt(ada.id()), "Compiler", 0),
        (book().author().id().is_in([ada.id(), 99]), "Engine Notes", 0),
        (book().author().id().between(0, 0), "", 0),
        (book().shelf().code().eq("A"), "Engine", 0),
        (book().shelf().eq(&shelf), "Engine", 0),
        (book().shelf().eq("A"), "Engine", 0),
        (!book().shelf().eq("A"), "Compiler", 0),
        (book().shelf().code().is_null(), "Notes", 0),
        (book().shelf().is_not_null(), "Compiler Engine", 0),
        (book().author().is_in([&ada]), "Engine Notes", 0),
        (book().author().is_in([1_i64, 2, 3]), "Compiler Engine Notes", 0),
        (book().author().is_in(Vec::<i64>::new()), "", 0),
        (!book().author().is_in(Vec::<i64>::new()), "Compiler Engine Notes", 0),
        // The mentor's key is in the author's row.
        (book().author().mentor().id().eq(ada.id()), "Compiler", 1),
        (book().author().mentor().eq(&ada), "Compiler", 1),
    ] {
        let shown = format!("{condition:?}");
        assert_eq!(titles(fixture, condition).await, expected, "{shown}");
        let sql = statement(fixture);
        assert_eq!(sql.matches("JOIN").count(), joins, "{shown}: {sql}");
    }
    em.find::<Book>().order_by(|b| b.author().id().asc()).await.unwrap();
    assert_eq!(statement(fixture).matches("JOIN").count(), 0);
    titles(fixture, book().author().is_in([1, 2, 3])).await;
    assert!(statement(fixture).contains(r#"t0."author_id" = ANY($1::int8[])"#));
}

#[tokio::test]
async fn an_entity_that_has_no_row_is_referred_to_by_nobody() {
    let fixture = &shelves().await;
    let new = fixture.em().create(NewAuthor { name: "New".into() });
    expect! { titles(fixture);
        book().author().eq(&new) => "";
        book().author().eq(i64::MAX) => "";
        book().author().is_in([&new]) => "";
    }
}

#[tokio::test]
async fn quantifiers_ask_for_some_none_or_every_related_entity() {
    let fixture = &shelves().await;
    expect! { names(fixture);
        author().books().some(|b| b.title().like("%n%")) => "Ada";
        author().books().some(|b| b.title().eq("Nothing")) => "";
        author().books().none(|b| b.title().eq("Engine")) => "Grace Jane";
        author().books().every(|b| b.title().like("%o%")) => "Grace Jane";
        author().books().every(|b| b.shelf().is_not_null()) => "Grace Jane";
        author().books().is_empty() => "Jane";
        !author().books().is_empty() => "Ada Grace";
        !author().books().some(|b| b.title().eq("Engine")) => "Grace Jane";
        !author().books().none(|b| b.title().eq("Engine")) => "Ada";
        author().books().some(|_| Condition::always()) => "Ada Grace";
        // Unknown is not true: the pages of "Engine" are NULL.
        author().books().every(|b| b.pages().gt(1)) => "Grace Jane";
        author().books().none(|b| b.pages().gt(20)) => "Ada Jane";
        author().books().some(|b| b.pages().is_null()) => "Ada";
    }
    // Several conditions on one related entity, or on several.
    expect! { names(fixture);
        author().books().some(|b| b.title().eq("Engine") & b.pages().eq(12)) => "";
        author().books().title().eq("Engine") & author().books().pages().eq(12) => "Ada";
    }
}

#[tokio::test]
async fn a_path_through_a_to_many_relation_means_some_of_them() {
    let fixture = &shelves().await;
    expect! { names(fixture);
        author().books().title().eq("Notes") => "Ada";
        author().books().title().is_in(["Notes", "Compiler"]) => "Ada Grace";
        author().books().pages().between(10, 20) => "Ada";
        author().books().pages().is_null() => "Ada";
        author().books().shelf().code().eq("B") => "Grace";
        author().books().shelf().is_null() => "Ada";
        author().books().shelf().eq("B") => "Grace";
        author().books().tags().name().eq("code") => "Ada Grace";
        author().books().tags().is_empty() => "";
        author().mentor().books().title().eq("Engine") => "Grace";
        // Whoever has no mentor has no mentor's books either.
        author().mentor().books().is_empty() => "Ada";
        author().books().author().mentor().name().eq("Ada") => "Grace";
        !author().books().title().eq("Notes") => "Grace Jane";
    }
    expect! { titles(fixture);
        book().tags().name().eq("code") => "Compiler Engine";
        book().tags().name().eq("code") & book().tags().name().eq("math") => "Engine";
        book().author().books().title().eq("Notes") => "Engine Notes";
    }
    fixture.forget();
    // Rows stay rows: three books of whom each has an author are not multiplied by tags.
    assert_eq!(fixture.em().count::<Book>(book().tags().name().is_in(["math", "code"])).await.unwrap(), 3);
    let sql = statement(fixture);
    assert!(sql.contains("EXISTS (SELECT 1 FROM"), "{sql}");
}

#[tokio::test]
async fn quantifiers_nest_and_cross_many_to_many_from_both_sides() {
    let fixture = &shelves().await;
    expect! { names(fixture);
        author().books().some(|b| b.tags().some(|t| t.name().eq("code"))) => "Ada Grace";
        author().books().every(|b| b.tags().some(|t| t.name().eq("math"))) => "Ada Jane";
        author().books().some(|b| b.tags().every(|t| t.name().eq("math"))) => "Ada";
        author().books().some(|b| b.tags().none(|t| t.name().eq("math"))) => "Grace";
        author().books().none(|b| b.tags().some(|t| t.books().some(|b| b.author().name().eq("Grace")))) => "Jane";
        author().books().some(|b| b.author().mentor().is_null() & b.shelf().code().eq("A")) => "Ada";
        author().mentor().books().some(|b| b.tags().name().eq("math")) => "Grace";
    }
    let em = fixture.em();
    let tags = em.find::<Tag>().filter(|t| t.books().every(|b| b.author().name().eq("Ada"))).await.unwrap();
    assert_eq!(tags.iter().map(|tag| tag.read().name.clone()).collect::<Vec<_>>(), ["math"]);
    let grace = em.find_one::<Author>(author().name().eq("Grace"), ()).await.unwrap().unwrap();
    let tags = em.find::<Tag>().filter(|t| t.books().some(|b| b.author().eq(&grace))).await.unwrap();
    assert_eq!(tags.iter().map(|tag| tag.read().name.clone()).collect::<Vec<_>>(), ["code"]);
}
