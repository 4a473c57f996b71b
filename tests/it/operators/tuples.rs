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

#[tokio::test]
async fn keys_of_several_columns_are_compared_and_found_by_subqueries() {
    use crate::composite_keys::*;
    let fixture = Fixture::new(entities![Playlist, Entry, Note, Rating, Mood]).await;
    let em = fixture.em();
    let list = em.persist(NewPlaylist { title: "Morning".into() });
    for (position, song, stars) in [(1, "Sun", 5), (2, "Moon", 3), (3, "Sun", 1)] {
        let entry = em.persist(NewEntry { playlist: list.to_ref(), position, song: song.into() });
        em.persist(NewRating { entry: entry.to_ref(), listener: "ada".into(), stars });
    }
    em.flush().await.unwrap();
    fixture.forget();
    let (e, r) = (Entry::fields(), Rating::fields());
    let id = list.id();
    assert_eq!(em.count::<Entry>((e.playlist().id(), e.position()).eq((id, 2))).await.unwrap(), 1);
    assert_eq!(em.count::<Entry>((e.playlist().id(), e.position()).gt((id, 1))).await.unwrap(), 2);
    assert_eq!(em.count::<Entry>((e.playlist().id(), e.position()).is_in([(id, 3), (id, 4)])).await.unwrap(), 1);
    let listed =
        (r.entry().playlist().id(), r.entry().position(), r.listener()).is_in([(id, 1, "ada"), (id, 2, "bob")]);
    assert_eq!(em.count::<Rating>(listed).await.unwrap(), 1);
    let sql = fixture.statements().concat();
    assert!(!sql.contains("JOIN"), "the key is in the foreign key: {sql}");
    // Both columns of the foreign key are compared with what the sub-query finds.
    let suns = || Subquery::of::<Entry>().filter(|e| e.song().eq("Sun"));
    assert_eq!(em.count::<Rating>(r.entry().is_in(suns())).await.unwrap(), 2);
    assert_eq!(em.count::<Rating>(r.entry().not_in(suns())).await.unwrap(), 1);
    let best = suns().order_by(|e| e.position().asc()).limit(1);
    assert_eq!(em.count::<Rating>(r.entry().is_in(best) & r.stars().eq(5)).await.unwrap(), 1);
    let sql = fixture.statements().concat();
    assert!(
        sql.contains(
            r#"(t0."entry_playlist_id", t0."entry_position") IN (SELECT t1."playlist_id", t1."position" FROM"#
        ),
        "{sql}"
    );
}
