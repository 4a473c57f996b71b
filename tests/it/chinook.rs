//! The example `chinook`: what its entities answer is what plain SQL answers, on data that nobody here wrote.

use howdah::prelude::*;
use howdah::testing::TestDatabase;

use crate::support::Fixture;

#[path = "../../examples/chinook/analysis.rs"]
mod analysis;
#[path = "../../examples/chinook/entities.rs"]
mod entities;
#[path = "../../examples/chinook/playlist.rs"]
mod playlist;
#[path = "../../examples/chinook/reports.rs"]
mod reports;
#[path = "../../examples/chinook/script.rs"]
mod script;

use entities::*;

/// A database with the data; `None`, and a message, if the script is not there.
async fn shop() -> Option<Fixture> {
    let path = match script::find(None) {
        Ok(path) => path,
        Err(missing @ script::Missing::Default(_)) => {
            eprintln!("skipped: {missing}");
            return None;
        }
        Err(missing) => panic!("{missing}"),
    };
    let database = TestDatabase::from_template("chinook", async |url: String| {
        let (client, connection) = tokio_postgres::connect(&url, tokio_postgres::NoTls).await.unwrap();
        let connection = tokio::spawn(connection);
        client.batch_execute(&script::read(&path).unwrap()).await?;
        drop(client);
        connection.await.unwrap()
    })
    .await
    .unwrap();
    let log = howdah::StatementLog::new();
    let builder = Orm::builder().url(database.url()).entities(chinook()).statement_log(&log);
    let orm = builder.connect().await.unwrap();
    Some(Fixture { database, orm, log })
}

#[tokio::test]
async fn every_report_is_what_sql_answers() {
    let Some(shop) = shop().await else { return };
    let reports = reports::all(&shop.em()).await.unwrap();
    assert_eq!(reports.len(), 12);
    for report in reports {
        assert!(!report.rows.is_empty(), "{}", report.title);
        assert_eq!(report.rows, shop.rows(report.sql).await, "{}", report.title);
    }
}

#[tokio::test]
async fn every_question_to_the_numbers_is_one_statement_and_what_sql_answers() {
    let Some(shop) = shop().await else { return };
    shop.forget();
    let reports = analysis::all(&shop.em()).await.unwrap();
    assert_eq!((reports.len(), shop.log.round_trips()), (10, 10));
    for report in reports {
        assert!(!report.rows.is_empty(), "{}", report.title);
        assert_eq!(report.rows, shop.rows(report.sql).await, "{}", report.title);
    }
}

#[tokio::test]
async fn all_rows_of_all_tables_are_read_and_nothing_is_written_back() {
    let Some(shop) = shop().await else { return };
    let em = shop.em();
    let mut found = vec![
        em.find_all::<Artist>().await.unwrap().len(),
        em.find_all::<Album>().await.unwrap().len(),
        em.find_all::<Genre>().await.unwrap().len(),
        em.find_all::<MediaType>().await.unwrap().len(),
        em.find_all::<Track>().await.unwrap().len(),
        em.find_all::<Playlist>().await.unwrap().len(),
        em.find_all::<PlaylistTrack>().await.unwrap().len(),
    ];
    // What is written to and back again is no change, whatever the type (B2, B3).
    for employee in em.find_all::<Employee>().await.unwrap() {
        let copy = employee.read().clone();
        employee.update(|fields| *fields = copy);
    }
    for line in em.find::<InvoiceLine>().filter(|l| l.id().lte(100)).await.unwrap() {
        line.update(|line| {
            line.unit_price += 1.0;
            line.unit_price -= 1.0;
        });
        let price = (line.read().unit_price * 100.0).round() / 100.0;
        line.write().unit_price = price;
    }
    found.push(em.find_all::<Employee>().await.unwrap().len());
    found.push(em.find_all::<Customer>().await.unwrap().len());
    found.push(em.find_all::<Invoice>().await.unwrap().len());
    found.push(em.find_all::<InvoiceLine>().await.unwrap().len());
    let tables = "artist album genre media_type track playlist playlist_track employee customer invoice invoice_line";
    for (table, found) in tables.split(' ').zip(found) {
        assert_eq!(shop.rows(&format!("SELECT count(*) FROM {table}")).await, [found.to_string()], "{table}");
    }
    shop.forget();
    assert_eq!(em.flush().await.unwrap(), FlushSummary::default());
    assert!(shop.log.take().is_empty());
}

#[tokio::test]
async fn a_playlist_is_edited_by_its_difference() {
    let Some(shop) = shop().await else { return };
    let before = shop.rows(playlist::SQL).await;
    shop.forget();
    let (summary, tracks) = playlist::edit(&shop.em()).await.unwrap();
    // C14: one statement inserts the pairs that are new, one deletes those that are gone.
    let is_write = |text: &String| text.starts_with("INSERT") || text.starts_with("DELETE");
    let writes: Vec<String> = shop.statements().into_iter().filter(is_write).collect();
    assert_eq!((summary.statements, writes.len()), (2, 2), "{writes:?}");
    assert!(writes.iter().all(|text| text.contains("\"playlist_track\"")), "{writes:?}");
    assert_eq!(tracks, shop.rows(playlist::SQL).await);
    assert_eq!(tracks.len(), before.len() - 1 + 5);
}

#[tokio::test]
async fn a_sale_is_written_with_its_money_and_its_keys() {
    let Some(shop) = shop().await else { return };
    let em = shop.em();
    let date = NaiveDate::from_ymd_opt(2026, 1, 2).unwrap().and_hms_opt(3, 4, 5).unwrap();
    let invoice = em.persist(NewInvoice { customer: em.get_reference(5), invoice_date: date, total: 2.98 });
    for (track, unit_price) in [(1, 0.99), (2819, 1.99)] {
        let line =
            NewInvoiceLine { invoice: invoice.to_ref(), track: em.get_reference(track), unit_price, quantity: 1 };
        em.persist(line);
    }
    let summary = em.flush().await.unwrap();
    assert_eq!((summary.inserted, summary.statements), (3, 4), "with the keys of both tables");
    assert_eq!(invoice.id(), 413);
    assert_eq!(
        shop.rows("SELECT customer_id, invoice_date, total FROM invoice WHERE invoice_id = 413").await,
        ["5|2026-01-02 03:04:05|2.98"]
    );
    let lines = "SELECT invoice_line_id, track_id, unit_price FROM invoice_line WHERE invoice_id = 413 ORDER BY 1";
    assert_eq!(shop.rows(lines).await, ["2241|1|0.99", "2242|2819|1.99"]);

    invoice.write().total = 3.5;
    assert_eq!(em.flush().await.unwrap().updated, 1);
    assert_eq!(shop.rows("SELECT total FROM invoice WHERE invoice_id = 413").await, ["3.50"]);
}

#[tokio::test]
async fn one_track_of_a_playlist_is_found_by_a_key_of_two_relations_and_removed() {
    let Some(shop) = shop().await else { return };
    let em = shop.em();
    let entry = em.find_one_or_fail::<PlaylistTrack>((16, 52), ["playlist", "track"]).await.unwrap();
    assert_eq!(entry.id(), (16, 52));
    assert_eq!(entry.read().playlist.get().unwrap().read().name.as_deref(), Some("Grunge"));
    assert_eq!(entry.read().track.get().unwrap().read().name, "Man In The Box");
    shop.forget();
    assert_eq!(em.find_one::<PlaylistTrack>((16, 52), ()).await.unwrap(), Some(entry.clone()));
    assert!(shop.log.take().is_empty(), "A1: it is known");

    em.remove(&entry);
    em.persist(NewPlaylistTrack { playlist: em.get_reference(16), track: em.get_reference(1) });
    let summary = em.flush().await.unwrap();
    assert_eq!((summary.inserted, summary.deleted), (1, 1));
    let rows = shop.rows("SELECT track_id FROM playlist_track WHERE playlist_id = 16 AND track_id < 100").await;
    assert_eq!(rows, ["1"]);
}

#[tokio::test]
async fn the_entities_describe_the_tables_of_the_script() {
    let Some(shop) = shop().await else { return };
    let ours = Fixture::new(chinook()).await;
    let columns = "SELECT table_name, column_name, data_type, character_maximum_length, numeric_precision, numeric_scale, \
                   is_nullable, is_identity FROM information_schema.columns \
                   WHERE table_schema = 'public' ORDER BY 1, 2";
    assert_eq!(ours.rows(columns).await, shop.rows(columns).await);
    let keys = "SELECT conrelid::regclass::text, pg_get_constraintdef(oid) FROM pg_constraint \
                WHERE connamespace = 'public'::regnamespace AND contype = 'p' ORDER BY 1";
    assert_eq!(ours.rows(keys).await, shop.rows(keys).await);
    let references = "SELECT conrelid::regclass::text, attname, confrelid::regclass::text FROM pg_constraint \
                      JOIN pg_attribute ON attrelid = conrelid AND attnum = conkey[1] \
                      WHERE connamespace = 'public'::regnamespace AND contype = 'f' ORDER BY 1, 2";
    assert_eq!(ours.rows(references).await, shop.rows(references).await);
}
