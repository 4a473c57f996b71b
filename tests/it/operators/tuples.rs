//! Tuples of columns, as those of a composite key.

use super::*;
use crate::library::*;

#[tokio::test]
async fn tuples_are_compared_as_rows() {
    let fixture = &samples().await;
    check! { fixture;
        (s().id(), s().text()).eq((2, "Beta_x")) => "(id, text) = (2, 'Beta_x')";
        (s().id(), s().mood()).ne((2, Mood::Calm)) => "(id, mood) <> (2, 'Calm')";
        (s().mood(), s().id()).gt((Mood::Sad, 1)) => "(mood, id) > ('Sad', 1)";
        (s().mood(), s().id()).gte((Mood::Sad, 1)) => "(mood, id) >= ('Sad', 1)";
        (s().mood(), s().id()).lt((Mood::Calm, 9)) => "(mood, id) < ('Calm', 9)";
        (s().mood(), s().id()).lte((Mood::Calm, 0)) => "(mood, id) <= ('Calm', 0)";
        (s().amount(), s().at(), s().id()).gte((2.01, at(1), 0)) => "(amount, at, id) >= (2.01, to_timestamp(1700086400.25), 0)";
        (s().id(), s().normal()).lt((s().normal(), 7)) => "(id, normal) < (normal, 7)";
        (s().id() + 1, s().text().lower()).eq((3, "beta_x")) => "(id + 1, lower(text)) = (3, 'beta_x')";
        (s().mood(), s().id()).is_in([(Mood::Calm, 2), (Mood::Happy, 1)]) => "(mood, id) IN (('Calm', 2), ('Happy', 1))";
        (s().id(), s().text()).is_in(vec![(1, "alpha"), (3, "?")]) => "(id, text) IN ((1, 'alpha'), (3, '?'))";
        (s().id(), s().short()).not_in([(1, "ALPHA".to_owned())]) => "(id, short) NOT IN ((1, 'ALPHA'))";
        (s().id(), s().text()).is_in(Vec::<(i32, String)>::new()) => "false";
        (s().id(), s().text()).not_in(Vec::<(i32, String)>::new()) => "true";
        (s().id(), s().small(), s().level(), s().word()).eq((1, 100, Level::Low, Word::Alpha)) => "id = 1";
    }
    fixture.forget();
    let many: Vec<(i32, i64)> = (0..50_000).map(|n| (n, i64::from(n) * 10_000_000_000)).collect();
    assert_eq!(fixture.em().count::<Sample>((s().id(), s().big()).is_in(many.clone())).await.unwrap(), 3);
    let sql = fixture.statements().concat();
    assert!(sql.ends_with("IN (SELECT k0, k1 FROM unnest($1::int4[], $2::int8[]) AS k(k0, k1))"), "{sql}");
}

#[tokio::test]
async fn tuples_go_over_relations() {
    let fixture = Fixture::new(library()).await;
    let em = fixture.em();
    let ann = em.persist(NewAuthor { name: "Ann".into() });
    let bob = em.persist(NewAuthor { name: "Bob".into() });
    for (title, author) in [("One", &ann), ("Two", &ann), ("One", &bob)] {
        em.persist(NewBook { title: title.into(), author: author.to_ref() });
    }
    em.flush().await.unwrap();
    let b = Book::fields;
    assert_eq!(em.count::<Book>((b().author().name(), b().title()).eq(("Ann", "One"))).await.unwrap(), 1);
    assert_eq!(em.count::<Book>((b().author().id(), b().title()).gt((ann.id(), "One"))).await.unwrap(), 2);
    // Behind a to-many relation all columns are of one row.
    let a = Author::fields;
    assert_eq!(
        em.count::<Author>((a().books().title(), a().books().author().name()).eq(("Two", "Bob"))).await.unwrap(),
        0
    );
    assert_eq!(em.count::<Author>((a().books().title(), a().name()).eq(("One", "Bob"))).await.unwrap(), 1);
}
