//! Pages by cursors: every order is walked in both directions, and gives exactly the ordered list.

mod expressions;

use crate::support::Fixture;
use howdah::prelude::*;
use howdah::{Order, Page};

#[derive(Entity, Clone, Debug)]
pub struct Label {
    #[primary_key(assigned)]
    pub code: String,
    pub founded: Option<i32>,
}

#[derive(Entity, Clone, Debug)]
pub struct Album {
    #[primary_key]
    pub id: i64,
    pub title: Option<String>,
    #[many_to_one]
    pub label: Option<Ref<Label>>,
}

#[derive(Clone, Copy, Debug, PartialEq, DbEnum)]
#[db_enum(native)]
pub enum Mood {
    Wild,
    Calm,
}

#[derive(Entity, Clone, Debug)]
pub struct Track {
    #[primary_key]
    pub id: i64,
    pub title: String,
    pub live: bool,
    pub plays: Option<i32>,
    pub rating: Option<f64>,
    pub recorded: Option<DateTime<Utc>>,
    pub released: Option<NaiveDate>,
    pub token: Option<Uuid>,
    #[property(precision = 20, scale = 10)]
    pub price: Option<String>,
    pub mood: Option<Mood>,
    pub marks: Option<Vec<i32>>,
    pub notes: Option<serde_json::Value>,
    #[many_to_one]
    pub album: Option<Ref<Album>>,
}

/// Values are repeated and missing, each in a rhythm of its own.
async fn tracks() -> Fixture {
    let fixture = Fixture::new(entities![Label, Album, Track]).await;
    let em = fixture.em();
    let labels = ["ECM", "Verve"].map(|code| em.persist(NewLabel { code: code.into() }));
    labels[0].write().founded = Some(1969);
    let mut albums = Vec::new();
    for (title, label) in [(Some("Blue"), Some(0)), (None, Some(1)), (Some("Köln"), None), (Some("Blue"), None)] {
        let album = em.persist(Album::from(NewAlbum {}));
        album.write().title = title.map(str::to_owned);
        album.write().label = label.map(|label: usize| labels[label].to_ref());
        albums.push(album);
    }
    for number in 0..23_i32 {
        let every = |rhythm: i32| (number % rhythm != 0).then_some(number % rhythm);
        let track = Track::from(NewTrack { title: format!("T{}'\"\u{1F3B5}", number % 5), live: number % 2 == 0 });
        let track = em.persist(track);
        let mut fields = track.write();
        fields.plays = every(4);
        fields.rating = every(3).map(|rest| if rest == 2 { f64::NAN } else { f64::from(number) / 3.0 });
        fields.recorded = every(5).and_then(|rest| DateTime::from_timestamp(i64::from(rest), 123_456_000));
        fields.released = every(6).and_then(|rest| NaiveDate::from_ymd_opt(1999, 12, rest.unsigned_abs()));
        fields.token = every(7).map(|rest| Uuid::from_u128(rest.unsigned_abs().into()));
        fields.price = every(3).map(|rest| format!("1234567890.12345678{rest}0"));
        fields.mood = every(4).map(|rest| if rest == 1 { Mood::Wild } else { Mood::Calm });
        fields.marks = every(5).map(|rest| vec![rest, 7]);
        fields.notes = every(6).map(|rest| serde_json::json!({"rest": rest}));
        fields.album = every(5).map(|rest| albums[rest.unsigned_abs() as usize - 1].to_ref());
    }
    em.flush().await.unwrap();
    fixture.forget();
    fixture
}

type Terms = fn(TrackFields<Track>) -> Vec<Order<Track>>;

/// Orders, and whether the key comes behind them in descending order.
const ORDERS: &[(Terms, bool)] = &[
    (|_| vec![], false),
    (|t| vec![t.id().desc()], true),
    (|t| vec![t.title().asc()], false),
    (|t| vec![t.title().desc()], true),
    (|t| vec![t.live().desc(), t.title().asc()], false),
    (|t| vec![t.title().asc(), t.live().desc()], true),
    (|t| vec![t.plays().asc()], false),
    (|t| vec![t.plays().desc()], true),
    (|t| vec![t.plays().asc().nulls_first()], false),
    (|t| vec![t.plays().desc().nulls_last()], true),
    (|t| vec![t.plays().asc().nulls_first(), t.rating().desc().nulls_last(), t.title().asc()], false),
    (|t| vec![t.rating().asc(), t.plays().desc()], true),
    (|t| vec![t.rating().desc()], true),
    (|t| vec![t.recorded().asc(), t.released().desc().nulls_last()], true),
    (|t| vec![t.released().asc(), t.recorded().asc().nulls_first()], false),
    (|t| vec![t.token().desc().nulls_last(), t.live().asc()], false),
    (|t| vec![t.price().asc(), t.id().desc()], true),
    (|t| vec![t.price().desc().nulls_last()], true),
    (|t| vec![t.mood().asc(), t.price().desc()], true),
    (|t| vec![t.marks().desc(), t.mood().asc()], false),
    (|t| vec![t.album().title().asc(), t.plays().desc()], true),
    (|t| vec![t.album().title().desc(), t.album().label().founded().asc().nulls_first()], false),
    (|t| vec![t.album().label().code().desc().nulls_last(), t.album().id().asc()], false),
    // Expressions.
    (|t| vec![t.title().lower().asc()], false),
    (|t| vec![t.title().length().desc(), t.plays().coalesce(-1).asc()], false),
    (|t| vec![(t.plays() + 1).desc().nulls_last(), t.rating().desc()], true),
    (|t| vec![(t.rating() * 2.0).asc().nulls_first()], false),
    (|t| vec![t.album().title().lower().desc(), t.album().label().code().upper().asc()], false),
    (|t| vec![t.price().coalesce("5".to_owned()).asc(), t.live().asc()], false),
    (|t| vec![t.mood().coalesce(Mood::Calm).desc()], true),
    (|t| vec![t.recorded().date().desc().nulls_last(), t.released().month().asc()], false),
    (|t| vec![t.notes().json("rest").as_::<i32>().desc()], true),
    (|t| vec![raw("char_length(?) % 3", (t.title(),)).as_::<i64>().asc(), t.marks().desc()], true),
    (|t| vec![raw("nullif(?, ?)", (t.plays(), 2)).as_::<Option<i32>>().asc().nulls_first()], false),
];

fn ids(items: &[Managed<Track>]) -> Vec<i64> {
    items.iter().map(Managed::id).collect()
}

/// The ids in an order, as a find without pages gives them.
async fn ordered(em: &EntityManager, order: Terms, descending: bool) -> Vec<i64> {
    let find = em.find::<Track>().order_by(order);
    let find = if descending { find.order_by(|t| t.id().desc()) } else { find.order_by(|t| t.id().asc()) };
    ids(&find.await.unwrap())
}

#[tokio::test]
async fn pages_in_any_order_and_both_directions_give_the_ordered_list() {
    let fixture = tracks().await;
    let em = fixture.em();
    for (number, (order, descending)) in ORDERS.iter().enumerate() {
        let all = ordered(&em, *order, *descending).await;
        for rows in [1, 4, 23, 50] {
            let find = || em.find::<Track>().order_by(*order).cursor();
            let (mut forward, mut cursor) = (Vec::new(), None);
            loop {
                let page: Page<Track> = find().first(rows).after(&cursor).await.unwrap();
                assert_eq!(page.has_prev_page, !forward.is_empty(), "order {number}, {rows} rows");
                forward.extend(ids(&page.items));
                assert_eq!(page.has_next_page, forward.len() < all.len(), "order {number}, {rows} rows");
                if !page.has_next_page {
                    break;
                }
                cursor = page.end_cursor;
            }
            assert_eq!(forward, all, "order {number}, {rows} rows");
            let (mut backward, mut cursor) = (Vec::new(), None);
            loop {
                let page = find().last(rows).before(&cursor).await.unwrap();
                assert_eq!(page.has_next_page, !backward.is_empty(), "order {number}, {rows} rows");
                backward.splice(0..0, ids(&page.items));
                assert_eq!(page.has_prev_page, backward.len() < all.len(), "order {number}, {rows} rows");
                if !page.has_prev_page {
                    break;
                }
                cursor = page.start_cursor;
            }
            assert_eq!(backward, all, "order {number}, {rows} rows backward");
        }
    }
}

#[tokio::test]
async fn every_item_has_a_cursor_and_two_cursors_enclose_what_is_between() {
    let fixture = tracks().await;
    let em = fixture.em();
    for (number, (order, descending)) in ORDERS.iter().enumerate() {
        let all = ordered(&em, *order, *descending).await;
        let whole = em.find::<Track>().order_by(*order).cursor().with_total_count().await.unwrap();
        assert_eq!((ids(&whole.items), whole.total_count), (all.clone(), Some(23)));
        assert_eq!(whole.start_cursor, Some(whole.cursor_for(&whole.items[0]).unwrap()));
        let cursor = |index: usize| whole.cursor_for(&whole.items[index]).unwrap();
        let between = em.find::<Track>().order_by(*order).cursor().after(cursor(4)).before(cursor(9));
        let page = between.clone().await.unwrap();
        assert_eq!(ids(&page.items), all[5..9], "order {number}");
        assert!(page.has_next_page && page.has_prev_page);
        assert_eq!(ids(&between.clone().first(2).await.unwrap().items), all[5..7], "order {number}");
        assert_eq!(ids(&between.last(2).await.unwrap().items), all[7..9], "order {number}");
        let nothing = em.find::<Track>().order_by(*order).cursor().after(cursor(22)).first(3).await.unwrap();
        assert!(nothing.items.is_empty() && !nothing.has_next_page && nothing.has_prev_page);
        assert_eq!((nothing.start_cursor, nothing.end_cursor), (None, None));
        let other = fixture.em().find::<Track>().one().await.unwrap().unwrap();
        assert!(whole.cursor_for(&other).unwrap_err().to_string().contains("not on this page"));
    }
}

#[tokio::test]
async fn a_page_takes_one_round_trip_with_all_that_is_asked_along() {
    let fixture = tracks().await;
    let em = fixture.em();
    let find = || em.find::<Track>().filter(|t| t.live().eq(true)).order_by(|t| t.title().asc()).cursor();
    let first = find().first(2).await.unwrap();
    let sent = fixture.statements();
    assert_eq!(sent.len(), 1);
    assert!(sent[0].contains(" ORDER BY t0.\"title\", t0.\"id\" LIMIT $2::int8"), "{}", sent[0]);
    fixture.forget();
    let page = find().first(2).after(first.end_cursor).with_total_count().await.unwrap();
    assert_eq!((fixture.log.round_trips(), page.total_count), (1, Some(12)));
    let sent = fixture.statements();
    assert_eq!(sent.len(), 3);
    // Both columns cannot be NULL and have one direction: an index on them finds the page.
    assert!(sent[0].contains(" AND (t0.\"title\", t0.\"id\") > ($2::text, $3::int8) ORDER BY "), "{}", sent[0]);
    assert!(sent[1].contains(" AND (t0.\"title\", t0.\"id\") <= ($2::text, $3::int8))"), "{}", sent[1]);
    assert!(sent[2].starts_with("SELECT count(*)") && !sent[2].contains("title"), "{}", sent[2]);
    fixture.forget();
    let populated = em.find::<Track>().populate(|t| t.album().label()).comment("page").cursor().first(9);
    let page = populated.await.unwrap();
    assert_eq!(fixture.log.round_trips(), 2); // E2
    assert!(page.items.iter().all(|track| track.read().album.as_ref().is_none_or(Ref::is_loaded)));
    assert!(fixture.statements().iter().all(|text| text.starts_with("/* page */ ")));
    // The row behind the page is not loaded.
    let em = fixture.em();
    let page = em.find::<Track>().order_by(|t| t.id().asc()).cursor().first(1).await.unwrap();
    assert!(!em.get_reference::<Track>(page.items[0].id() + 1).is_loaded());
    assert!(page.items[0].to_ref().is_loaded());
    let none = em.find::<Track>().cursor().first(0).await.unwrap();
    assert!(none.items.is_empty() && none.has_next_page);
}

#[tokio::test]
async fn a_cursor_holds_its_place_whatever_becomes_of_the_rows() {
    let fixture = tracks().await;
    let em = fixture.em();
    let find = || em.find::<Track>().order_by(|t| t.plays().desc().nulls_last()).cursor();
    let all = find().await.unwrap();
    let cursor = all.cursor_for(&all.items[7]).unwrap();
    fixture
        .database
        .execute("DELETE FROM track WHERE id NOT IN (SELECT id FROM track ORDER BY id LIMIT 12)")
        .await
        .unwrap();
    let gone: Vec<i64> = fixture.rows("SELECT id FROM track").await.iter().map(|id| id.parse().unwrap()).collect();
    let left: Vec<i64> = ids(&all.items[8..]).into_iter().filter(|id| gone.contains(id)).collect();
    let page = find().first(50).after(&cursor).await.unwrap();
    assert_eq!(ids(&page.items), left);
    fixture.database.execute("DELETE FROM track WHERE plays IS NOT NULL").await.unwrap();
    let page = find().first(50).after(&cursor).await.unwrap();
    // Nothing is left in front: that is found out, not supposed.
    assert!(!page.has_prev_page && !page.items.is_empty());
}

#[tokio::test]
async fn foreign_and_garbled_cursors_are_errors_before_anything_is_sent() {
    let fixture = tracks().await;
    let em = fixture.em();
    let by_title = || em.find::<Track>().order_by(|t| t.title().asc()).cursor();
    let cursor = by_title().first(1).await.unwrap().end_cursor.unwrap();
    assert!(cursor.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)), "{cursor}");
    fixture.forget();
    let refused = |error: Error, what: &str| {
        assert!(matches!(error, Error::Validation { entity: Some("Track"), .. }), "{error}");
        assert!(error.to_string().contains(what), "{error}");
    };
    // Of other orders.
    for (order, _) in ORDERS.iter().filter(|(order, _)| order(Track::fields()).len() != 1).take(8) {
        refused(em.find::<Track>().order_by(*order).cursor().after(&cursor).await.unwrap_err(), "another order");
    }
    let near: [fn(TrackFields<Track>) -> Order<Track>; 3] =
        [|t| t.title().desc(), |t| t.title().asc().nulls_first(), |t| t.album().title().asc()];
    for terms in near {
        refused(em.find::<Track>().order_by(terms).cursor().before(&cursor).await.unwrap_err(), "another order");
    }
    let error = em.find::<Album>().order_by(|a| a.title().asc()).cursor().after(&cursor).await.unwrap_err();
    assert!(error.to_string().contains("another entity than Album"), "{error}");
    // Cut off, changed, made up.
    for end in 0..cursor.len() {
        refused(by_title().after(&cursor[..end]).await.unwrap_err(), "cannot be read");
    }
    for position in 0..cursor.len() {
        let mut changed = cursor.clone().into_bytes();
        changed[position] = if changed[position] == b'A' { b'B' } else { b'A' };
        let changed = String::from_utf8(changed).unwrap();
        // The last character has bits that say nothing; then the string is not canonical.
        refused(by_title().after(&changed).await.unwrap_err(), "cannot be read");
    }
    for made_up in ["'; DROP TABLE track; --", "é", "====", "AQ", &"A".repeat(100_000)] {
        refused(by_title().first(1).after(made_up).await.unwrap_err(), "cannot be read");
    }
    refused(by_title().first(1).last(1).await.unwrap_err(), "not both");
    refused(em.find::<Track>().limit(1).cursor().await.unwrap_err(), "limit()");
    refused(em.find::<Track>().offset(1).cursor().await.unwrap_err(), "offset()");
    assert!(fixture.statements().is_empty());
}

#[derive(Entity, Clone, Debug)]
pub struct Line {
    #[primary_key(assigned)]
    pub invoice: i32,
    #[primary_key(assigned)]
    pub number: i16,
    pub amount: i32,
}

#[tokio::test]
async fn a_composite_key_decides_between_equal_rows() {
    let fixture = Fixture::new(entities![Line]).await;
    let em = fixture.em();
    for invoice in 1..=3 {
        em.persist([1, 2, 3].map(|number| NewLine { invoice, number, amount: i32::from(number) % 2 }));
    }
    em.flush().await.unwrap();
    let mut walked = Vec::new();
    let mut cursor = None;
    loop {
        let find = em.find::<Line>().order_by(|l| (l.amount().desc(), l.number().asc()));
        let page = find.cursor().first(2).after(cursor).await.unwrap();
        walked.extend(page.items.iter().map(|line| (line.read().amount, line.read().number, line.read().invoice)));
        if !page.has_next_page {
            break;
        }
        cursor = page.end_cursor;
    }
    let mut expected = walked.clone();
    expected.sort_by_key(|(amount, number, invoice)| (-amount, *number, *invoice));
    assert_eq!(walked.len(), 9);
    assert_eq!(walked, expected);
}
