//! Order, limits, counts, and finding one.

use crate::library::*;
use crate::support::Fixture;
use howdah::prelude::*;
use howdah::{EntityState, Order};

/// Ann (1950), Bea (no year), Cat (1950, taught by Bea); Ann wrote "A1" and "A2", Cat "C1"; "A2" is on the shelf.
async fn authors() -> Fixture {
    let fixture = Fixture::new(library()).await;
    let em = fixture.em();
    let author = |name: &str, born| em.persist(Author { born, ..NewAuthor { name: name.into() }.into() });
    let (ann, bea, cat) = (author("Ann", Some(1950)), author("Bea", None), author("Cat", Some(1950)));
    cat.write().mentor = Some(bea.to_ref());
    em.persist(NewProfile { text: "first".into(), author: cat.to_ref() });
    em.persist(NewProfile { text: "second".into(), author: ann.to_ref() });
    let shelf = em.persist(NewShelf { code: "S".into() });
    for (title, author) in [("A1", &ann), ("A2", &ann), ("C1", &cat)] {
        let book = em.persist(NewBook { title: title.into(), author: author.to_ref() });
        if title == "A2" {
            book.write().shelf = Some(shelf.to_ref());
        }
    }
    em.flush().await.unwrap();
    fixture.forget();
    fixture
}

fn names(found: &[Managed<Author>]) -> String {
    found.iter().map(|author| author.read().name.clone()).collect::<Vec<_>>().join(" ")
}

fn titles(found: &[Managed<Book>]) -> String {
    found.iter().map(|book| book.read().title.clone()).collect::<Vec<_>>().join(" ")
}

#[tokio::test]
async fn rows_come_in_the_order_that_was_asked_for() {
    let fixture = authors().await;
    type Terms = fn(AuthorFields<Author>) -> Vec<Order<Author>>;
    let orders: [(Terms, &str); 9] = [
        (|a| vec![a.name().asc()], "Ann Bea Cat"),
        (|a| vec![a.name().desc()], "Cat Bea Ann"),
        (|a| vec![a.born().asc(), a.name().desc()], "Cat Ann Bea"),
        (|a| vec![a.born().desc(), a.name().asc()], "Bea Ann Cat"),
        (|a| vec![a.born().asc().nulls_first(), a.name().asc()], "Bea Ann Cat"),
        (|a| vec![a.born().desc().nulls_last(), a.name().asc()], "Ann Cat Bea"),
        (|a| vec![a.mentor().name().asc(), a.name().desc()], "Cat Bea Ann"),
        (|a| vec![a.profile().text().desc().nulls_last()], "Ann Cat Bea"),
        (|a| vec![a.mentor().mentor().name().asc(), a.id().desc()], "Cat Bea Ann"),
    ];
    for (index, (order, expected)) in orders.into_iter().enumerate() {
        let found = fixture.em().find::<Author>().order_by(order).await.unwrap();
        assert_eq!(names(&found), expected, "order {index}");
    }
    // Terms add up, in the order in which they are given; a tuple holds several.
    let find = fixture.em().find::<Book>().order_by(|b| b.author().born().asc());
    let found = find.order_by(|b| (b.author().name().desc(), b.title().desc())).await.unwrap();
    assert_eq!(titles(&found), "C1 A2 A1");
    let found = fixture.em().find::<Book>().order_by(|b| (b.shelf().code().asc(), b.title().asc())).await.unwrap();
    assert_eq!(titles(&found), "A2 A1 C1");
}

#[tokio::test]
async fn an_order_over_a_to_many_relation_is_refused() {
    let fixture = authors().await;
    let error = fixture.em().find::<Author>().order_by(|a| a.books().title().asc()).await.unwrap_err();
    assert!(matches!(error, Error::Validation { entity: Some("Author"), .. }), "{error}");
    assert!(error.to_string().contains("Author.books"), "{error}");
    assert!(fixture.statements().is_empty());
}

#[tokio::test]
async fn limit_and_offset_cut_the_roots_and_count_does_not_mind_them() {
    let fixture = authors().await;
    let em = fixture.em();
    let find = em.find::<Author>().order_by(|a| a.name().asc());
    for (limit, offset, expected) in [
        (Some(2), None, "Ann Bea"),
        (Some(2), Some(1), "Bea Cat"),
        (None, Some(2), "Cat"),
        (Some(0), None, ""),
        (Some(u64::MAX), Some(0), "Ann Bea Cat"),
        (Some(1), Some(u64::MAX), ""),
    ] {
        let mut page = find.clone();
        page = limit.into_iter().fold(page, Find::limit);
        page = offset.into_iter().fold(page, Find::offset);
        assert_eq!(names(&page.clone().await.unwrap()), expected, "{limit:?} {offset:?}");
        assert_eq!(page.count().await.unwrap(), 3);
    }
    // Limits are values, too: one text for every page.
    fixture.forget();
    find.clone().limit(1).await.unwrap();
    find.clone().limit(2).await.unwrap();
    let statements = fixture.statements();
    assert_eq!(statements[0], statements[1]);
    // E3: a populated to-many relation does not multiply what the limit counts.
    let found = find.clone().limit(2).populate(|a| a.books()).await.unwrap();
    assert_eq!(names(&found), "Ann Bea");
    assert_eq!(found[0].read().books.len().unwrap(), 2);
}

#[tokio::test]
async fn count_and_exists_are_one_statement_without_the_rows() {
    let fixture = authors().await;
    let em = fixture.em();
    let born = || Author::fields().born().eq(1950);
    assert_eq!(em.count::<Author>(()).await.unwrap(), 3);
    assert_eq!(em.count::<Author>(born()).await.unwrap(), 2);
    assert_eq!(em.count::<Author>(i64::MAX).await.unwrap(), 0);
    assert!(em.exists::<Author>(()).await.unwrap());
    assert!(!em.exists::<Author>(Author::fields().name().eq("Nobody")).await.unwrap());
    let find = em.find::<Author>().filter(|_| born()).order_by(|a| a.mentor().name().asc()).limit(1);
    assert_eq!(find.clone().count().await.unwrap(), 2);
    assert!(find.exists().await.unwrap());
    assert_eq!(fixture.log.round_trips(), 7);
    let statements = fixture.statements();
    assert_eq!(statements.len(), 7);
    assert_eq!(statements[0], r#"SELECT count(*) FROM "author" AS t0"#);
    assert_eq!(statements[1], r#"SELECT count(*) FROM "author" AS t0 WHERE t0."born" = $1::int4"#);
    assert_eq!(statements[3], r#"SELECT EXISTS (SELECT 1 FROM "author" AS t0)"#);
    assert!(statements.iter().all(|sql| !sql.contains("ORDER BY") && !sql.contains("LIMIT")), "{statements:?}");
}

#[tokio::test]
async fn one_is_found_by_key_by_condition_or_by_nothing() {
    let fixture = authors().await;
    let em = fixture.em();
    let ann = em.find_one::<Author>(Author::fields().name().eq("Ann"), ()).await.unwrap().unwrap();
    let sql = fixture.statements().concat();
    assert!(sql.ends_with("LIMIT $2::int8"), "{sql}");
    let id = ann.id();
    // A1: the same row is the same entity, and a loaded key is answered without SQL, however it is given.
    for found in [
        em.find_one::<Author>(id, ()).await,
        em.find_one::<Author>(i32::try_from(id).unwrap(), ()).await,
        em.find_one::<Author>(i16::try_from(id).unwrap(), ()).await,
        em.find_one::<Author>(&ann, ()).await,
        em.find_one::<Author>(&ann.to_ref(), ()).await,
    ] {
        assert_eq!(found.unwrap().unwrap(), ann);
    }
    assert!(fixture.statements().is_empty());
    assert!(em.find_one::<Author>((), ()).await.unwrap().is_some());
    assert!(em.find_one::<Author>(id + 100, ()).await.unwrap().is_none());
    // A number that no key of this width can be is no row, not an error.
    assert!(em.find_one::<Profile>(i64::MAX, ()).await.unwrap().is_none());
    assert_eq!(em.find::<Author>().order_by(|a| a.name().desc()).one().await.unwrap().unwrap().read().name, "Cat");
    assert!(em.find::<Author>().filter(|a| a.name().eq("Nobody")).one().await.unwrap().is_none());
    assert_eq!(em.find_all::<Author>().await.unwrap().len(), 3);
    assert_eq!(em.find_one::<Shelf>("S", ()).await.unwrap().unwrap().id(), "S");
}

#[tokio::test]
async fn what_is_not_there_is_named_in_the_error() {
    let fixture = authors().await;
    let em = fixture.em();
    let error = em.find_one_or_fail::<Author>(404, ()).await.unwrap_err();
    assert!(matches!(&error, Error::NotFound { entity: "Author", .. }));
    assert_eq!(error.to_string(), "Author not found: Author#404");
    let condition = Author::fields().name().eq("secret") & Author::fields().books().title().is_null();
    let error = em.find_one_or_fail::<Author>(condition, ()).await.unwrap_err();
    assert_eq!(error.to_string(), "Author not found: (Author.name = ? and Author.books.title is null)");
    let error = em.find_one_or_fail::<Shelf>("Z", ()).await.unwrap_err();
    assert_eq!(error.to_string(), "Shelf not found: Shelf#Z");
}

#[tokio::test]
async fn a_reference_to_a_row_sends_nothing() {
    let fixture = authors().await;
    let em = fixture.em();
    let reference = em.get_reference::<Author>(77);
    assert_eq!((reference.id(), reference.is_loaded()), (77, false));
    assert!(matches!(reference.get().unwrap_err(), Error::NotLoaded { entity: "Author", .. }));
    assert!(fixture.statements().is_empty());
    let error = reference.load(&em).await.unwrap_err();
    assert_eq!(error.to_string(), "Author not found: Author#77");
    let ann = em.find_one_or_fail::<Author>(Author::fields().name().eq("Ann"), ()).await.unwrap();
    let reference = em.get_reference::<Author>(ann.id());
    assert_eq!(reference.get().unwrap(), ann);
    assert_eq!(reference, ann.to_ref());
}

#[tokio::test]
async fn refresh_reads_the_row_again_and_says_if_it_is_gone() {
    let fixture = authors().await;
    let em = fixture.em();
    let bea = em.find_one_or_fail::<Author>(Author::fields().name().eq("Bea"), ()).await.unwrap();
    fixture.database.execute("UPDATE author SET born = 1999 WHERE name = 'Bea'").await.unwrap();
    bea.write().name = "Beatrice".into();
    fixture.forget();
    em.refresh(&bea).await.unwrap();
    assert_eq!((bea.read().name.as_str(), bea.read().born, bea.is_dirty()), ("Bea", Some(1999), false));
    assert_eq!(fixture.statements().len(), 1);
    fixture.database.execute("DELETE FROM profile; DELETE FROM book; DELETE FROM author").await.unwrap();
    let error = em.refresh(&bea).await.unwrap_err();
    assert_eq!(error.to_string(), format!("Author not found: Author#{}", bea.id()));
    // Neither a new entity nor another manager's can be read again.
    let new = em.create(NewAuthor { name: "New".into() });
    assert_eq!(new.state(), EntityState::New);
    assert!(matches!(em.refresh(&new).await.unwrap_err(), Error::Detached { entity: "Author" }));
    assert!(matches!(fixture.em().refresh(&bea).await.unwrap_err(), Error::Detached { entity: "Author" }));
}
