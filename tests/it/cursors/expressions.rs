//! Pages in the order of expressions: where a row stands is what the expression has given for it.

use howdah::Order;
use howdah::functions::{case, now, random, row_number};
use howdah::prelude::*;

use super::{Track, TrackFields, ids, tracks};
use crate::library::*;
use crate::support::Fixture;

#[tokio::test]
async fn an_index_on_the_expression_finds_the_page() {
    let fixture = tracks().await;
    let em = fixture.em();
    let find = || em.find::<Track>().order_by(|t| t.title().lower().asc()).cursor().first(3);
    let first = find().await.unwrap();
    assert!(fixture.statements()[0].contains(r#", (lower(t0."title"))::text, t0."id" FROM "#));
    find().after(&first.end_cursor).await.unwrap();
    let sent = fixture.statements();
    assert_eq!(sent.len(), 2);
    let behind = r#" WHERE ((lower(t0."title"))::text, t0."id") > ($1::text, $2::int8) ORDER BY (lower(t0."title"))::text, t0."id""#;
    assert!(sent[0].contains(behind), "{}", sent[0]);
    // The cast to what it is anyway is none for the server.
    let of_nobody =
        sent[0].replace("$1::text", "'t1'::text").replace("$2::int8", "5::int8").replace("$3::int8", "4::int8");
    let explain = format!(
        "CREATE INDEX track_lower ON track (lower(title), id); SET enable_seqscan = off; SET enable_sort = off;
         SET enable_bitmapscan = off; EXPLAIN {of_nobody}"
    );
    let plan = fixture.rows(&explain).await.join("\n");
    assert!(plan.contains("Index Scan using track_lower"), "{plan}");
    assert!(plan.contains("Index Cond: (ROW(lower(title), id) > ROW('t1'::text, "), "{plan}");
}

#[tokio::test]
async fn values_in_an_expression_are_part_of_the_order() {
    let fixture = tracks().await;
    let em = fixture.em();
    let find = |instead: i32| em.find::<Track>().order_by(|t| t.plays().coalesce(instead).desc()).cursor().first(2);
    let cursor = find(7).await.unwrap().end_cursor;
    fixture.forget();
    let next = find(7).after(&cursor).await.unwrap();
    assert!(next.items.iter().all(|track| track.read().plays.is_none()), "7 comes first");
    fixture.forget();
    let error = find(0).after(&cursor).await.unwrap_err();
    assert!(error.to_string().contains("made for another order"), "{error}");
    // In another manager, and on another day: the same value is the same order.
    let again =
        fixture.em().find::<Track>().order_by(|t| t.plays().coalesce(7).desc()).cursor().after(&cursor).first(2);
    assert_eq!(ids(&again.await.unwrap().items), ids(&next.items));
    let shown = em.find::<Track>().order_by(|t| case(t.live().eq(true), 1).otherwise(2).asc()).cursor().first(12).await;
    assert!(shown.unwrap().items.iter().all(|track| track.read().live));
}

#[tokio::test]
async fn what_has_no_place_is_refused_before_anything_is_sent() {
    let fixture = tracks().await;
    let em = fixture.em();
    let cases: [(fn(TrackFields<Track>) -> Order<Track>, &str); 7] = [
        (|_| raw("char_length(title)", ()).asc(), "raw(…).as_::<i32>().asc()"),
        (|t| row_number().over(|w| w.order_by(t.id().asc())).desc(), "window function"),
        (|t| (row_number().over(|w| w.order_by(t.id().asc())) + 1).desc(), "window function"),
        (|_| random().asc(), "and random does"),
        (|_| now().asc(), "and now does"),
        (
            |t| raw("? - pg_catalog.clock_timestamp()", (t.recorded(),)).as_::<Option<String>>().asc(),
            "clock_timestamp does",
        ),
        (|t| raw("CURRENT_DATE - ?", (t.released(),)).as_::<Option<i32>>().asc(), "current_date does"),
    ];
    for (order, what) in cases {
        let error = em.find::<Track>().order_by(order).cursor().first(1).await.unwrap_err();
        assert!(matches!(error, Error::Validation { entity: Some("Track"), .. }), "{error}");
        assert!(error.to_string().contains(what), "{error}");
    }
    assert!(fixture.statements().is_empty());
    // A text that says so is a text.
    let find = em.find::<Track>().order_by(|t| raw("? || ' now()'", (t.title(),)).as_::<String>().asc());
    assert_eq!(find.cursor().await.unwrap().items.len(), 23);
}

#[tokio::test]
async fn rows_are_ordered_by_what_is_related_to_them() {
    let fixture = Fixture::new(library()).await;
    let em = fixture.em();
    for number in 0..9 {
        let author = em.persist(NewAuthor { name: format!("author {number}") });
        for book in 0..number % 3 {
            em.persist(NewBook { title: format!("book {book}"), author: author.to_ref() });
        }
    }
    em.flush().await.unwrap();
    let find = || em.find::<Author>().order_by(|a| (a.books().count().desc(), a.books().title().min().asc()));
    let names = |authors: &[Managed<Author>]| authors.iter().map(|a| a.read().name.clone()).collect::<Vec<_>>();
    let all = names(&find().order_by(|a| a.id().asc()).await.unwrap());
    assert_eq!(all[0], "author 2");
    let (mut walked, mut cursor) = (Vec::new(), None);
    loop {
        let page = find().cursor().first(2).after(&cursor).await.unwrap();
        walked.extend(names(&page.items));
        if !page.has_next_page {
            break;
        }
        cursor = page.end_cursor;
    }
    assert_eq!(walked, all);
}
