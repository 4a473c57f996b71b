//! The proxy itself: that it counts, delays, shuffles and cuts what it says.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use howdah::testing::TestDatabase;
use tokio_postgres::{Client, NoTls};

use super::shuffle::has_no_order;
use super::{At, Cut, Proxy};

/// A database with a table, a proxy in front of it, and a client of the proxy.
async fn start() -> (TestDatabase, Proxy, Client) {
    let database = TestDatabase::new().await.unwrap();
    database.execute("CREATE TABLE word (id int GENERATED ALWAYS AS IDENTITY, text text)").await.unwrap();
    let proxy = Proxy::start(&database).await;
    let client = client(&proxy).await;
    proxy.reset();
    (database, proxy, client)
}

async fn client(proxy: &Proxy) -> Client {
    let (client, connection) = tokio_postgres::connect(proxy.url(), NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

async fn words(database: &TestDatabase) -> Vec<String> {
    let rows = database.query("SELECT text FROM word ORDER BY id").await.unwrap();
    rows.into_iter().flatten().map(Option::unwrap).collect()
}

fn insert(text: &str) -> String {
    format!("INSERT INTO word (text) VALUES ('{text}')")
}

#[tokio::test]
async fn what_waits_is_a_trip_and_what_is_pipelined_is_not() {
    let (_database, proxy, client) = start().await;
    for number in 1..=3 {
        client.batch_execute("SELECT 1").await.unwrap();
        assert_eq!(proxy.round_trips(), number);
    }
    proxy.reset();
    join_all((0..20).map(|_| client.batch_execute("SELECT 2"))).await;
    assert_eq!((proxy.round_trips(), proxy.messages(b'Q')), (1, 20));
    assert_eq!(proxy.statements(), vec!["SELECT 2"; 20]);
    proxy.reset();
    assert_eq!((proxy.round_trips(), proxy.all_messages(), proxy.statements().len()), (0, 0, 0));
    assert_eq!(proxy.connections(), 0);
}

#[tokio::test]
async fn a_flight_that_fills_all_buffers_is_one_trip() {
    let (database, proxy, client) = start().await;
    let long = "x".repeat(4 << 20);
    let statements = [insert(&long), insert(&long), "SELECT text FROM word".to_owned()];
    let answers = join_all(statements.iter().map(|text| client.simple_query(text))).await;
    assert!(answers.iter().all(Result::is_ok));
    assert_eq!(proxy.round_trips(), 1);
    assert_eq!(words(&database).await.len(), 2);
}

#[tokio::test]
async fn messages_are_counted_by_type_and_statements_when_they_are_executed() {
    let (_database, proxy, client) = start().await;
    let statement = client.prepare("SELECT $1::text").await.unwrap();
    assert_eq!((proxy.round_trips(), proxy.messages(b'P'), proxy.messages(b'B')), (1, 1, 0));
    assert!(proxy.statements().is_empty());
    for _ in 0..2 {
        client.query(&statement, &[&"a"]).await.unwrap();
    }
    assert_eq!((proxy.round_trips(), proxy.messages(b'P'), proxy.messages(b'B')), (3, 1, 2));
    assert_eq!((proxy.messages(b'E'), proxy.messages(b'S')), (2, 3));
    assert_eq!(proxy.statements(), ["SELECT $1::text"; 2]);
}

#[tokio::test]
async fn latency_is_added_there_and_back_and_makes_no_trips() {
    let (_database, proxy, client) = start().await;
    proxy.latency(Duration::from_millis(30));
    let started = Instant::now();
    join_all((0..20).map(|_| client.batch_execute("SELECT 1"))).await;
    assert!(started.elapsed() >= Duration::from_millis(60));
    assert_eq!(proxy.round_trips(), 1);
}

#[tokio::test]
async fn returned_rows_leave_their_places_and_selected_ones_do_not() {
    let insert = "INSERT INTO word (text) SELECT x FROM unnest($1::text[]) WITH ORDINALITY AS s(x, o) ORDER BY o \
                  RETURNING text";
    let sent: Vec<String> = (0..50).map(|number| format!("{number:02}")).collect();
    let mut orders = Vec::new();
    for seed in [1, 1, 2] {
        let (database, proxy, client) = start().await;
        proxy.shuffle(seed);
        let rows = client.query(insert, &[&sent]).await.unwrap();
        let returned: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
        assert!(returned.iter().zip(&sent).all(|(one, other)| one != other), "{returned:?}");
        let mut sorted = returned.clone();
        sorted.sort();
        assert_eq!(sorted, sent);
        let selected = client.query("SELECT text FROM word ORDER BY id", &[]).await.unwrap();
        assert_eq!(selected.iter().map(|row| row.get(0)).collect::<Vec<String>>(), sent);
        assert_eq!(words(&database).await, sent);
        orders.push(returned);
    }
    assert_eq!(orders[0], orders[1], "the same seed");
    assert_ne!(orders[0], orders[2], "another seed");
}

#[tokio::test]
async fn pipelined_results_are_shuffled_each_for_itself() {
    let (_database, proxy, client) = start().await;
    proxy.shuffle(3);
    let texts = [
        "INSERT INTO word (text) VALUES ('a'), ('b') RETURNING text",
        "SELECT x FROM generate_series(1, 5) AS x ORDER BY x",
        "INSERT INTO word (text) VALUES (1 / 0) RETURNING text",
        "WITH c AS (INSERT INTO word (text) VALUES ('c'), ('d') RETURNING text) SELECT text FROM c",
        "DELETE FROM word",
    ];
    let answers = join_all(texts.iter().map(|text| client.query(*text, &[]))).await;
    let rows = |index: usize| answers[index].as_ref().unwrap();
    assert_eq!(rows(0).iter().map(|row| row.get(0)).collect::<Vec<&str>>(), ["b", "a"]);
    assert_eq!(rows(1).iter().map(|row| row.get(0)).collect::<Vec<i32>>(), [1, 2, 3, 4, 5]);
    assert!(answers[2].is_err());
    assert_eq!(rows(3).iter().map(|row| row.get(0)).collect::<Vec<&str>>(), ["d", "c"]);
    assert!(rows(4).is_empty());
}

#[test]
fn an_order_by_behind_returning_is_kept() {
    for text in ["insert into a select b order by c returning d", "DELETE FROM a", "WITH a AS (SELECT 1) SELECT 2"] {
        assert!(has_no_order(text), "{text}");
    }
    for text in [
        "SELECT 1",
        "WITH a AS (INSERT INTO b RETURNING c) SELECT d ORDER BY e",
        "WITH a AS (SELECT 1) SELECT 2 ORDER BY 3",
    ] {
        assert!(!has_no_order(text), "{text}");
    }
}

/// What is in the table after a transaction was cut, and whether the client was told of every statement that it was carried
/// out: INSERT, COMMIT.
async fn after(cut: impl Into<Cut>) -> (usize, [bool; 2]) {
    let (database, proxy, client) = start().await;
    proxy.cut(cut);
    let begun = client.batch_execute(&format!("BEGIN; {}", insert("a"))).await.is_ok();
    let committed = client.batch_execute("COMMIT").await.is_ok();
    assert_eq!(proxy.cuts(), u64::from(!(begun && committed)));
    assert_eq!(proxy.disarm(), begun && committed, "a cut that was met is gone");
    assert!(client.is_closed() || committed);
    let sessions = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()";
    assert_eq!(database.query(sessions).await.unwrap().len(), usize::from(committed), "the server knows, too");
    assert!(self::client(&proxy).await.batch_execute("SELECT 1").await.is_ok(), "the next one is not cut");
    (words(&database).await.len(), [begun, committed])
}

#[tokio::test]
async fn a_connection_is_cut_at_the_point_that_was_chosen() {
    let first = format!("BEGIN; {}", insert("a")).len() + 6;
    for (cut, expected) in [
        (At::Before("BEGIN"), (0, [false, false])),
        (At::After("BEGIN"), (0, [false, false])),
        (At::Before("COMMIT"), (0, [true, false])),
        (At::After("COMMIT"), (1, [true, false])),
        (At::After("nothing like it"), (1, [true, true])),
        (At::Message(b'Q', 1), (0, [false, false])),
        (At::Message(b'Q', 2), (1, [true, false])),
        (At::Byte(0), (0, [false, false])),
        (At::Byte(first), (0, [true, false])),
        (At::Byte(first + 11), (0, [true, false])),
        (At::Byte(first + 12), (1, [true, true])),
        (At::AnswerByte(0), (0, [false, false])),
        // Of BEGIN and INSERT: two CommandComplete, ReadyForQuery.
        (At::AnswerByte(11 + 16 + 6), (1, [true, false])),
    ] {
        assert_eq!(after(cut.clone()).await, expected, "{cut:?}");
    }
}

#[tokio::test]
async fn a_server_that_ends_the_session_says_so_unless_it_is_too_late() {
    for (cut, told) in [
        (At::Before("COMMIT").by_server(), Some("57P01")),
        (At::After("COMMIT").by_server(), None),
        (At::AnswerByte(0).by_server(), None),
    ] {
        let (_database, proxy, client) = start().await;
        proxy.cut(cut.clone());
        let error = client.batch_execute("SELECT; COMMIT").await.unwrap_err();
        assert_eq!(error.code().map(|code| code.code()), told, "{cut:?}");
        assert_eq!(proxy.cuts(), 1);
    }
}

#[tokio::test]
async fn a_cut_that_the_server_does_not_notice_leaves_the_transaction_open_until_it_is_healed() {
    let (database, proxy, client) = start().await;
    client.batch_execute(&format!("BEGIN; {}", insert("a"))).await.unwrap();
    proxy.cut(At::Before("COMMIT").unnoticed());
    assert!(client.batch_execute("COMMIT").await.unwrap_err().is_closed());
    let open = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND state = 'idle in transaction'";
    assert_eq!(database.query(open).await.unwrap().len(), 1);
    proxy.heal();
    while !database.query(open).await.unwrap().is_empty() {}
    assert!(words(&database).await.is_empty());
}

#[tokio::test]
async fn new_connections_can_be_refused() {
    let (_database, proxy, client) = start().await;
    proxy.refuse(true);
    assert!(tokio_postgres::connect(proxy.url(), NoTls).await.is_err());
    client.batch_execute("SELECT 1").await.unwrap();
    proxy.refuse(false);
    self::client(&proxy).await.batch_execute("SELECT 1").await.unwrap();
    assert_eq!(proxy.connections(), 1);
}
