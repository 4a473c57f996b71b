//! Rule C8: rows that exchange unique values.

use super::*;

#[tokio::test]
async fn two_rows_exchange_values_that_may_be_null() {
    let fixture = club().await;
    let em = fixture.em();
    let [ann, bea, cat] = members(&em).await;
    fixture.forget();
    ann.write().badge = Some(2);
    bea.write().badge = Some(1);
    let summary = em.flush().await.unwrap();
    assert_eq!((summary.updated, summary.statements, summary.round_trips), (2, 2, 1), "parked, then written");
    let sent = fixture.statements();
    assert!(sent[0].contains(r#"SET "badge" = NULL"#), "{sent:?}");
    let rows = "SELECT email, badge, version FROM member ORDER BY id";
    assert_eq!(fixture.rows(rows).await, ["ann|2|2", "bea|1|2", "cat|3|1"]);
    assert_eq!((ann.read().version, bea.read().version), (2, 2));

    // Three in a circle, one of which also changes something else; then back in one go.
    ann.write().badge = Some(1);
    bea.write().badge = Some(3);
    cat.update(|cat| {
        cat.badge = Some(2);
        cat.name = Some("Cat".into());
    });
    let summary = em.flush().await.unwrap();
    assert_eq!((summary.updated, summary.statements, summary.round_trips), (3, 3, 1));
    assert_eq!(fixture.rows(rows).await, ["ann|1|3", "bea|3|3", "cat|2|2"]);
}

#[tokio::test]
async fn any_number_of_exchanges_is_two_statements() {
    let fixture = club().await;
    let em = fixture.em();
    let members: Vec<_> = (0..1000)
        .map(|badge| em.persist(NewMember { email: badge.to_string() }.with(|m| m.badge = Some(badge))))
        .collect();
    em.flush().await.unwrap();
    fixture.forget();
    for pair in members.chunks(2) {
        pair[0].write().badge = pair[1].read().badge;
        pair[1].update(|member| member.badge = Some(member.badge.unwrap() - 1));
    }
    let summary = em.flush().await.unwrap();
    assert_eq!((summary.updated, summary.statements, summary.round_trips), (1000, 2, 1));
    // And one circle of them all.
    for member in &members {
        member.update(|member| member.badge = Some((member.badge.unwrap() + 1) % 1000));
    }
    let summary = em.flush().await.unwrap();
    assert_eq!((summary.updated, summary.statements, summary.round_trips), (1000, 2, 1));
    let wrong = "SELECT count(*) FROM member WHERE badge <> ((email::int / 2 * 2 + 1 - email::int % 2) + 1) % 1000";
    assert_eq!(fixture.rows(wrong).await, ["0"]);
    assert_eq!(fixture.rows("SELECT count(DISTINCT badge), max(version) FROM member").await, ["1000|3"]);
}

#[tokio::test]
async fn one_to_one_partners_are_replaced_and_exchanged() {
    let fixture = club().await;
    let em = fixture.em();
    let [ann, bea, cat] = members(&em).await;
    let lockers = [(); 3].map(|()| em.persist(NewLocker {}));
    lockers[0].write().holder = Some(ann.to_ref());
    lockers[1].write().holder = Some(bea.to_ref());
    em.flush().await.unwrap();
    fixture.forget();
    // Exchanged by the owning sides.
    lockers[0].write().holder = Some(bea.to_ref());
    lockers[1].write().holder = Some(ann.to_ref());
    let summary = em.flush().await.unwrap();
    assert_eq!((summary.updated, summary.statements, summary.round_trips), (2, 2, 1));
    let rows = "SELECT id, holder_id FROM locker ORDER BY id";
    assert_eq!(fixture.rows(rows).await, ["1|2", "2|1", "3|~"]);
    assert_eq!(ann.read().locker.as_ref().unwrap().get().unwrap(), lockers[1]);
    // Replaced: the third takes what the first has had, which gets nothing.
    lockers[2].write().holder = Some(bea.to_ref());
    lockers[0].write().holder = None;
    let summary = em.flush().await.unwrap();
    assert_eq!((summary.updated, summary.round_trips), (2, 1));
    assert_eq!(fixture.rows(rows).await, ["1|~", "2|1", "3|2"]);
    // By the inverse sides: Cat gets Ann's, Ann gets Bea's, Bea gets none.
    cat.write().locker = Some(lockers[1].to_ref());
    ann.write().locker = Some(lockers[2].to_ref());
    bea.write().locker = None;
    em.flush().await.unwrap();
    assert_eq!(fixture.rows(rows).await, ["1|~", "2|3", "3|1"]);
    assert_eq!(lockers[2].read().holder.as_ref().unwrap().get().unwrap(), ann);
}

/// Unique together with something that may be NULL.
#[derive(Entity, Clone, Debug)]
#[unique(hall, hour)]
pub struct Talk {
    #[primary_key]
    pub id: i64,
    pub hall: String,
    pub hour: Option<i32>,
}

#[tokio::test]
async fn one_nullable_column_of_several_is_enough() {
    let fixture = Fixture::new(entities![Talk]).await;
    let em = fixture.em();
    let talk = |hall: &str, hour| em.persist(NewTalk { hall: hall.into() }.with(|talk| talk.hour = hour));
    let talks = [talk("A", Some(1)), talk("B", Some(1)), talk("A", None), talk("A", None)];
    em.flush().await.unwrap();
    fixture.forget();
    // The halls are exchanged, the hours stay as they are; and NULL is equal to nothing.
    talks[0].write().hall = "B".into();
    talks[1].write().hall = "A".into();
    talks[2].write().hall = "B".into();
    let summary = em.flush().await.unwrap();
    assert_eq!((summary.statements, summary.round_trips), (3, 1), "parked, written, and put back");
    assert!(fixture.statements()[0].contains(r#"SET "hour" = NULL"#));
    let rows = "SELECT hall, hour FROM talk ORDER BY id";
    assert_eq!(fixture.rows(rows).await, ["B|1", "A|1", "B|~", "A|~"]);
    assert_eq!(em.flush().await.unwrap(), FlushSummary::default());
    // Both change.
    talks[0].update(|talk| (talk.hall, talk.hour) = ("A".into(), Some(3)));
    talks[1].update(|talk| (talk.hall, talk.hour) = ("B".into(), Some(1)));
    talks[2].update(|talk| (talk.hall, talk.hour) = ("A".into(), Some(1)));
    talks[3].update(|talk| (talk.hall, talk.hour) = ("B".into(), Some(2)));
    assert_eq!(em.flush().await.unwrap().round_trips, 1);
    assert_eq!(fixture.rows(rows).await, ["A|3", "B|1", "A|1", "B|2"]);
}

/// Unique in its album, if it has one.
#[derive(Entity, Clone, Debug)]
#[unique(album, position)]
pub struct Photo {
    #[primary_key]
    pub id: i64,
    #[many_to_one]
    pub album: Option<Ref<Album>>,
    pub position: i32,
}

#[derive(Entity, Clone, Debug)]
pub struct Album {
    #[primary_key]
    pub id: i64,
}

#[tokio::test]
async fn a_relation_that_is_parked_is_put_back() {
    let fixture = Fixture::new(entities![Photo, Album]).await;
    let em = fixture.em();
    let album = em.create(NewAlbum {});
    let photos: Vec<_> = (0..5)
        .map(|position| em.persist(NewPhoto { position }.with(|photo| photo.album = Some(album.to_ref()))))
        .collect();
    em.flush().await.unwrap();
    fixture.forget();
    for photo in &photos {
        photo.update(|photo| photo.position = 4 - photo.position);
    }
    let summary = em.flush().await.unwrap();
    assert_eq!((summary.updated, summary.statements, summary.round_trips), (4, 3, 1));
    let rows = fixture.rows("SELECT string_agg(id::text, ' ' ORDER BY position), count(album_id) FROM photo").await;
    assert_eq!(rows, ["5 4 3 2 1|5"]);
    assert_eq!(photos[0].read().album, Some(album.to_ref()));
}

/// Checked at the end of each statement.
#[derive(Entity, Clone, Debug)]
#[unique(rank, deferrable)]
pub struct Player {
    #[primary_key]
    pub id: i64,
    pub rank: i32,
    pub name: Option<String>,
}

async fn players() -> (Fixture, EntityManager, Vec<Managed<Player>>) {
    let fixture = Fixture::new(entities![Player]).await;
    let em = fixture.em();
    let players: Vec<_> = (1..=4).map(|rank| em.persist(NewPlayer { rank })).collect();
    em.flush().await.unwrap();
    fixture.forget();
    (fixture, em, players)
}

#[tokio::test]
async fn a_deferrable_constraint_needs_nothing() {
    let (fixture, em, players) = players().await;
    players[0].write().rank = 2;
    players[1].write().rank = 1;
    let summary = em.flush().await.unwrap();
    assert_eq!((summary.updated, summary.statements, summary.round_trips), (2, 1, 1));
    assert_eq!(fixture.rows("SELECT rank FROM player ORDER BY id").await, ["2", "1", "3", "4"]);
    // A shift, too.
    for player in &players {
        player.write().rank += 1;
    }
    let summary = em.flush().await.unwrap();
    assert_eq!((summary.updated, summary.statements, summary.round_trips), (4, 1, 1));
    // What passes on between statements still has an order.
    fixture.forget();
    em.remove(&players[0]);
    em.persist(NewPlayer { rank: 3 });
    players[1].write().rank = 10;
    em.persist(NewPlayer { rank: 2 });
    em.flush().await.unwrap();
    assert_eq!(heads(&fixture), ["DELETE player", "UPDATE player", "INSERT player"]);
    assert_eq!(fixture.rows("SELECT rank FROM player ORDER BY rank").await, ["2", "3", "4", "5", "10"]);
}

#[tokio::test]
async fn a_deferrable_constraint_is_put_off_where_one_statement_is_not_enough() {
    let (fixture, em, players) = players().await;
    players[0].write().rank = 2;
    players[1].update(|player| {
        player.rank = 1;
        player.name = Some("Bea".into());
    });
    let summary = em.flush().await.unwrap();
    assert_eq!((summary.updated, summary.round_trips), (2, 1));
    let sent = fixture.statements();
    assert!(sent[0].starts_with("SET CONSTRAINTS") && sent[0].ends_with("DEFERRED"), "{sent:?}");
    assert!(sent[3].starts_with("SET CONSTRAINTS") && sent[3].ends_with("IMMEDIATE"), "{sent:?}");
    assert_eq!(fixture.rows("SELECT rank, name FROM player ORDER BY id").await, ["2|~", "1|Bea", "3|~", "4|~"]);
    // In a transaction it is checked before the scope goes on: the error is the flush's.
    let error = em
        .transactional(async |em| {
            players[0].write().rank = 1;
            players[1].update(|player| {
                player.rank = 2;
                player.name = None;
            });
            em.flush().await?;
            em.persist(NewPlayer { rank: 3 });
            let error = em.flush().await.unwrap_err();
            assert!(matches!(&error, Error::UniqueViolation { .. }), "{error}");
            Err::<(), Error>(error)
        })
        .await
        .unwrap_err();
    assert!(matches!(error, Error::UniqueViolation { entity: Some("Player"), .. }), "{error:?}");
    assert_eq!(fixture.rows("SELECT rank FROM player ORDER BY id").await, ["2", "1", "3", "4"]);
}

/// Checked at the end of the transaction.
#[derive(Entity, Clone, Debug)]
#[unique(rank, deferrable = "initially deferred")]
pub struct Runner {
    #[primary_key]
    pub id: i64,
    pub rank: i32,
    pub name: Option<String>,
}

#[tokio::test]
async fn a_constraint_that_is_initially_deferred_needs_no_order() {
    let fixture = Fixture::new(entities![Runner]).await;
    let em = fixture.em();
    let runners: Vec<_> = (1..=3).map(|rank| em.persist(NewRunner { rank })).collect();
    em.flush().await.unwrap();
    fixture.forget();
    runners[0].write().rank = 2;
    runners[1].update(|runner| {
        runner.rank = 1;
        runner.name = Some("Bea".into());
    });
    em.remove(&runners[2]);
    em.persist(NewRunner { rank: 3 });
    let summary = em.flush().await.unwrap();
    assert_eq!((summary.statements, summary.round_trips), (4, 1));
    assert_eq!(heads(&fixture), ["INSERT runner", "UPDATE runner", "UPDATE runner", "DELETE runner"]);
    assert_eq!(fixture.rows("SELECT rank FROM runner ORDER BY id").await, ["2", "1", "3"]);
}

#[tokio::test]
async fn an_exchange_that_cannot_be_is_refused_before_anything_is_sent() {
    let fixture = club().await;
    let em = fixture.em();
    let [ann, bea, cat] = members(&em).await;
    fixture.forget();
    ann.write().email = "bea".into();
    bea.write().email = "ann".into();
    cat.write().name = Some("Cat".into());
    let new = em.persist(NewMember { email: "dee".into() });
    for _ in 0..2 {
        let error = em.flush().await.unwrap_err();
        let Error::UnresolvableUniqueSwap { constraint, entities } = &error else { panic!("{error}") };
        assert_eq!(constraint, "member_email_unique");
        let mut entities = entities.clone();
        entities.sort_unstable();
        assert_eq!(entities, [format!("Member#{}", ann.id()), format!("Member#{}", bea.id())]);
        assert!(error.to_string().contains("deferrable"), "{error}");
    }
    assert!(fixture.log.statements().is_empty(), "C1: no SQL");
    assert_eq!(fixture.log.round_trips(), 0);
    assert!(ann.is_dirty() && cat.is_dirty() && new.state() == EntityState::New);
    // One of them gets another value: the rest is still scheduled.
    bea.write().email = "bea.new".into();
    let summary = em.flush().await.unwrap();
    assert_eq!((summary.inserted, summary.updated, summary.round_trips), (1, 3, 1));
    bea.write().email = "ann".into();
    em.flush().await.unwrap();
    assert_eq!(fixture.rows("SELECT email FROM member ORDER BY id").await, ["bea", "ann", "cat", "dee"]);
}
