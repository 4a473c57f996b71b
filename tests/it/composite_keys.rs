//! Keys of several columns, keys that are made of relations, and what refers to them.

use crate::support::Fixture;
use howdah::prelude::*;

#[derive(Entity, Clone, Debug)]
pub struct Playlist {
    #[primary_key]
    pub id: i64,
    pub title: String,
    #[one_to_many(mapped_by = playlist, cascade(persist, remove))]
    pub entries: Collection<Entry>,
}

/// A relation is part of the key.
#[derive(Entity, Clone, Debug)]
pub struct Entry {
    #[primary_key]
    #[many_to_one(inversed_by = entries)]
    pub playlist: Ref<Playlist>,
    #[primary_key]
    pub position: i32,
    pub song: String,
    #[one_to_one(mapped_by = entry)]
    pub note: Option<Ref<Note>>,
    #[one_to_many(mapped_by = entry)]
    pub ratings: Collection<Rating>,
    #[many_to_many(inversed_by = entries)]
    pub moods: Collection<Mood>,
    #[many_to_one]
    pub after: Option<Ref<Entry>>,
}

/// A relation is the whole key: that of an entity with two key columns.
#[derive(Entity, Clone, Debug)]
pub struct Note {
    #[primary_key]
    #[one_to_one(inversed_by = note)]
    pub entry: Ref<Entry>,
    pub text: String,
}

/// Three columns: two of the relation, one of its own.
#[derive(Entity, Clone, Debug)]
pub struct Rating {
    #[primary_key]
    #[many_to_one(inversed_by = ratings)]
    pub entry: Ref<Entry>,
    #[primary_key]
    pub listener: String,
    pub stars: i16,
}

/// Three columns of its own.
#[derive(Entity, Clone, Debug)]
pub struct Mood {
    #[primary_key]
    pub color: String,
    #[primary_key]
    pub level: i16,
    #[primary_key]
    pub since: NaiveDate,
    pub label: Option<String>,
    #[many_to_many(mapped_by = moods)]
    pub entries: Collection<Entry>,
}

fn since() -> NaiveDate {
    NaiveDate::from_ymd_opt(2020, 2, 29).unwrap()
}

/// "Morning" with the songs "Sun" (noted, rated twice, two moods) and "Moon" (after "Sun"); "Evening" with "Sun".
async fn playlists() -> (Fixture, i64, i64) {
    let fixture = Fixture::new(entities![Playlist, Entry, Note, Rating, Mood]).await;
    let em = fixture.em();
    let playlist = |title: &str| em.persist(NewPlaylist { title: title.into() });
    let (morning, evening) = (playlist("Morning"), playlist("Evening"));
    em.flush().await.unwrap();
    let entry = |playlist: &Managed<Playlist>, position, song: &str| {
        em.persist(NewEntry { playlist: playlist.to_ref(), position, song: song.into() })
    };
    let (sun, moon) = (entry(&morning, 1, "Sun"), entry(&morning, 2, "Moon"));
    entry(&evening, 1, "Sun");
    moon.write().after = Some(sun.to_ref());
    em.persist(NewNote { entry: sun.to_ref(), text: "loud".into() });
    for (listener, stars) in [("ann", 5), ("bea", 3)] {
        em.persist(NewRating { entry: sun.to_ref(), listener: listener.into(), stars });
    }
    for level in [1, 2] {
        let mood = em.persist(NewMood { color: "red".into(), level, since: since() });
        sun.write().moods.add(&mood);
    }
    em.flush().await.unwrap();
    fixture.forget();
    (fixture, morning.id(), evening.id())
}

#[tokio::test]
async fn a_row_is_found_by_a_tuple() {
    let (fixture, morning, _) = playlists().await;
    let em = fixture.em();
    let sun = em.find_one::<Entry>((morning, 1), ()).await.unwrap().unwrap();
    assert_eq!((sun.id(), sun.read().song.as_str()), ((morning, 1), "Sun"));
    // A1: any form of the same key is the same entity, without a query.
    fixture.forget();
    assert_eq!(em.find_one::<Entry>((morning, 1_i16), ()).await.unwrap().unwrap(), sun);
    assert_eq!(em.get_reference::<Entry>((morning, 1)).get().unwrap(), sun);
    assert!(fixture.statements().is_empty());
    assert!(em.find_one::<Entry>((morning, 99), ()).await.unwrap().is_none());
    let mood = em.find_one::<Mood>(("red", 2, since()), ()).await.unwrap().unwrap();
    assert_eq!(mood.id(), ("red".to_owned(), 2, since()));
    assert_eq!(em.find_one::<Note>((morning, 1), ()).await.unwrap().unwrap().read().text, "loud");
    assert_eq!(em.find_one::<Rating>(((morning, 1), "bea"), ()).await.unwrap().unwrap().read().stars, 3);
    assert_eq!(em.count::<Rating>(((morning, 1), "bea")).await.unwrap(), 1);
    let error = em.find_one_or_fail::<Rating>(((morning, 1), "cat"), ()).await.unwrap_err();
    assert_eq!(error.to_string(), format!("Rating not found: Rating#({morning}, 1, cat)"));
}

#[tokio::test]
async fn every_relation_of_composite_keys_is_populated() {
    let (fixture, morning, evening) = playlists().await;
    let em = fixture.em();
    let populate = ["entries.note", "entries.ratings", "entries.moods.entries", "entries.after"];
    let found = em.find::<Playlist>().order_by(|p| p.id().asc()).populate_names(populate).await.unwrap();
    assert_eq!(fixture.log.round_trips(), 4);
    let statements = fixture.statements();
    assert!(
        statements
            .iter()
            .any(|sql| sql.contains("IN (SELECT k0, k1 FROM unnest($1::int8[], $2::int4[]) AS k(k0, k1))"))
    );
    let entries = found[0].read().entries.items().unwrap();
    assert_eq!(entries.iter().map(Managed::id).collect::<Vec<_>>(), [(morning, 1), (morning, 2)]);
    let (sun, moon) = (entries[0].read(), entries[1].read());
    assert_eq!(sun.note.as_ref().unwrap().get().unwrap().read().text, "loud");
    assert!(moon.note.is_none());
    let ratings = sun.ratings.items().unwrap();
    assert_eq!(ratings[1].id(), ((morning, 1), "bea".to_owned()));
    assert!(moon.ratings.is_empty().unwrap());
    let moods = sun.moods.items().unwrap();
    assert_eq!(moods.iter().map(|mood| mood.read().level).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(moods[0].read().entries.items().unwrap(), [entries[0].clone()]);
    assert_eq!(moon.after.as_ref().unwrap().get().unwrap(), entries[0]);
    assert_eq!(found[1].read().entries.items().unwrap()[0].id(), (evening, 1));
    // To-one over several columns, and from the key itself.
    let em = fixture.em();
    let note = em.find_one_or_fail::<Note>((morning, 1), Note::fields().entry().playlist()).await.unwrap();
    let entry = note.read().entry.get().unwrap();
    assert_eq!(entry.read().playlist.get().unwrap().read().title, "Morning");
    assert_eq!(serde_json::to_value(&note.read().entry).unwrap(), serde_json::json!([morning, 1]));
    assert_eq!(format!("{:?}", note.read().entry), format!("Ref<Entry#({morning}, 1)>"));
}

#[tokio::test]
async fn conditions_compare_all_columns_and_join_only_what_they_must() {
    let (fixture, morning, evening) = playlists().await;
    let em = fixture.em();
    let sun = em.find_one_or_fail::<Entry>((morning, 1), ()).await.unwrap();
    let playlist = em.get_reference::<Playlist>(evening);
    macro_rules! expect {
        ($($entity:ident: $condition:expr => $rows:expr, $joins:expr;)*) => {$(
            fixture.forget();
            assert_eq!(em.count::<$entity>($condition).await.unwrap(), $rows, "{}", stringify!($condition));
            let sql = fixture.statements().concat();
            assert_eq!(sql.matches("JOIN").count(), $joins, "{sql}");
        )*};
    }
    let (entry, rating, note) = (Entry::fields, Rating::fields, Note::fields);
    expect! {
        Rating: rating().entry().eq(&sun) => 2, 0;
        Rating: rating().entry().eq((morning, 2)) => 0, 0;
        Rating: rating().entry().is_in([(morning, 1), (evening, 1)]) => 2, 0;
        Rating: rating().entry().position().eq(1) => 2, 0;
        // The key of the key's relation is in the row, too.
        Rating: rating().entry().playlist().id().eq(morning) => 2, 0;
        Rating: rating().entry().playlist().eq(&playlist) => 0, 0;
        Note: note().entry().playlist().id().eq(morning) & note().entry().position().lt(2) => 1, 0;
        Rating: rating().entry().song().eq("Sun") => 2, 1;
        Rating: rating().entry().playlist().title().eq("Morning") => 2, 2;
        Entry: entry().after().eq((morning, 1)) => 1, 0;
        Entry: entry().after().is_null() => 2, 0;
        Entry: entry().after().playlist().is_not_null() => 1, 0;
        Entry: entry().note().is_null() => 2, 1;
        Entry: entry().note().entry().eq(&sun) => 1, 1;
        Entry: entry().playlist().eq(evening) => 1, 0;
        Entry: entry().ratings().some(|r| r.stars().gt(4)) => 1, 0;
        Entry: entry().moods().some(|m| m.level().eq(2) & m.color().eq("red")) => 1, 1;
        Entry: entry().moods().is_empty() => 2, 1;
        Mood: Mood::fields().entries().playlist().title().eq("Morning") => 2, 2;
    }
}

#[tokio::test]
async fn rows_are_updated_linked_and_removed_by_all_columns() {
    let (fixture, morning, evening) = playlists().await;
    let em = fixture.em();
    let entries = em.find::<Entry>().order_by(|e| (e.playlist().id().asc(), e.position().asc())).await.unwrap();
    em.populate(&entries, ["moods", "ratings", "note"]).await.unwrap();
    entries[0].write().song = "Sunrise".into();
    entries[2].write().song = "Sunset".into();
    let mood = entries[0].read().moods.items().unwrap()[0].clone();
    entries[0].write().moods.remove(&mood);
    entries[2].write().moods.add(&mood);
    entries[1].write().after = Some(entries[2].to_ref());
    let rating = em.find_one_or_fail::<Rating>(((morning, 1), "ann"), ()).await.unwrap();
    rating.write().stars = 1;
    let summary = em.flush().await.unwrap();
    assert_eq!((summary.inserted, summary.updated, summary.deleted), (0, 4, 0));
    assert_eq!(
        fixture.rows("SELECT playlist_id, position, song, after_playlist_id FROM entry ORDER BY 1, 2").await,
        [format!("{morning}|1|Sunrise|~"), format!("{morning}|2|Moon|{evening}"), format!("{evening}|1|Sunset|~")]
    );
    assert_eq!(
        fixture.rows("SELECT entry_playlist_id, mood_level FROM entry_moods ORDER BY 1").await,
        [format!("{morning}|2"), format!("{evening}|1")]
    );
    assert_eq!(fixture.rows("SELECT listener FROM rating WHERE stars = 1").await, ["ann"]);
    em.remove(&rating);
    em.remove(&entries[1]);
    assert_eq!(em.flush().await.unwrap().deleted, 2);
    assert_eq!(fixture.rows("SELECT listener FROM rating").await, ["bea"]);
    assert_eq!(fixture.rows("SELECT count(*) FROM entry").await, ["2"]);
}

#[tokio::test]
async fn a_key_may_hold_a_reference_to_an_entity_of_the_same_flush() {
    let fixture = Fixture::new(entities![Playlist, Entry, Note, Rating, Mood]).await;
    let em = fixture.em();
    let playlist = em.create(NewPlaylist { title: "New".into() });
    let entry = em.create(NewEntry { playlist: playlist.to_ref(), position: 1, song: "First".into() });
    let note = em.persist(NewNote { entry: entry.to_ref(), text: "all at once".into() });
    em.flush().await.unwrap();
    assert_eq!(note.id(), (playlist.id(), 1));
    assert_eq!(entry.id(), (playlist.id(), 1));
    assert_eq!(em.find_one::<Note>((playlist.id(), 1), ()).await.unwrap().unwrap(), note);
    let rows = fixture.rows("SELECT entry_playlist_id, entry_position, text FROM note").await;
    assert_eq!(rows, [format!("{}|1|all at once", playlist.id())]);
}
