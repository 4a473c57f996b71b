//! Rule C5: rows that come back are paired by key, whatever order they come in. The proxy gives every row another place.

use crate::library::*;
use crate::proxy::Proxy;
use crate::support::Fixture;
use howdah::prelude::*;

/// The database makes the key, and a value that is different in every row.
#[derive(Entity, Clone, Debug)]
pub struct Ticket {
    #[primary_key]
    pub id: i64,
    pub holder: String,
    #[property(default_sql = "gen_random_uuid()")]
    pub code: Uuid,
    #[version]
    pub version: i32,
    #[many_to_one]
    pub before: Option<Ref<Ticket>>,
}

/// A key of two columns, and a value that the database makes.
#[derive(Entity, Clone, Debug)]
pub struct Seat {
    #[primary_key(assigned)]
    pub line: String,
    #[primary_key(assigned)]
    pub number: i16,
    #[property(default_sql = "gen_random_uuid()")]
    pub code: Uuid,
    #[version]
    pub version: i32,
    #[many_to_one]
    pub ticket: Option<Ref<Ticket>>,
}

/// The key is made by the database, and in no order.
#[derive(Entity, Clone, Debug)]
pub struct Coin {
    #[primary_key(default = "gen_random_uuid()")]
    pub id: Uuid,
    pub value: i32,
}

async fn start(seed: u64) -> (Fixture, Proxy, EntityManager) {
    let entities = library().into_iter().chain(entities![Ticket, Seat, Coin]);
    let (fixture, proxy) = Fixture::through_proxy(entities).await;
    proxy.shuffle(seed);
    let em = fixture.em();
    (fixture, proxy, em)
}

/// Asserts that the entities know of themselves what the database knows.
async fn assert_tickets(fixture: &Fixture, tickets: &[Managed<Ticket>]) {
    let mut known: Vec<(i64, String)> = tickets
        .iter()
        .map(|ticket| {
            let ticket = ticket.read();
            (ticket.id, format!("{}|{}|{}|{}", ticket.id, ticket.holder, ticket.code, ticket.version))
        })
        .collect();
    known.sort();
    let known: Vec<String> = known.into_iter().map(|(_, text)| text).collect();
    assert_eq!(fixture.rows("SELECT id, holder, code, version FROM ticket ORDER BY id").await, known);
}

async fn assert_seats(fixture: &Fixture, seats: &[Managed<Seat>]) {
    let mut known: Vec<((String, i16), String)> = seats
        .iter()
        .map(|seat| {
            let seat = seat.read();
            let text = format!("{}|{}|{}|{}", seat.line, seat.number, seat.code, seat.version);
            ((seat.line.clone(), seat.number), text)
        })
        .collect();
    known.sort();
    let known: Vec<String> = known.into_iter().map(|(_, text)| text).collect();
    let rows = fixture.rows("SELECT line, number, code, version FROM seat ORDER BY line COLLATE \"C\", number").await;
    assert_eq!(rows, known);
}

fn tickets(em: &EntityManager, count: usize) -> Vec<Managed<Ticket>> {
    (0..count).map(|number| em.persist(NewTicket { holder: format!("holder {number}") })).collect()
}

fn seats(em: &EntityManager, count: i16) -> Vec<Managed<Seat>> {
    (0..count).map(|number| em.persist(NewSeat { line: format!("line {}", number % 7), number })).collect()
}

#[tokio::test]
async fn c5_generated_keys_and_values_reach_their_entities() {
    for seed in 1..=4 {
        let (fixture, proxy, em) = start(seed).await;
        let many = tickets(&em, 300);
        em.flush().await.unwrap();
        assert_tickets(&fixture, &many).await;
        let inserts = proxy.statements().iter().filter(|text| text.contains("INSERT")).count();
        assert_eq!(inserts, 1, "all rows come in one result");
        let ids: Vec<i64> = many.iter().map(Managed::id).collect();
        assert!(ids.is_sorted(), "the first that is persisted has the first key");
    }
}

#[tokio::test]
async fn c5_composite_keys_reach_their_entities() {
    let (fixture, _proxy, em) = start(5).await;
    let many = seats(&em, 100);
    em.flush().await.unwrap();
    assert_seats(&fixture, &many).await;
}

#[tokio::test]
async fn c5_keys_that_come_in_no_order_reach_their_entities() {
    let (fixture, _proxy, em) = start(6).await;
    let coins: Vec<_> = [1, 2, 5, 10, 20, 50, 100].into_iter().map(|value| em.persist(NewCoin { value })).collect();
    em.flush().await.unwrap();
    for coin in coins {
        let rows = fixture.rows(&format!("SELECT value FROM coin WHERE id = '{}'", coin.id())).await;
        assert_eq!(rows, [coin.read().value.to_string()]);
    }
}

#[tokio::test]
async fn c5_what_refers_to_new_rows_refers_to_the_right_ones() {
    let (fixture, _proxy, em) = start(7).await;
    let first = tickets(&em, 50);
    for ticket in &first {
        let second = em.persist(NewTicket { holder: format!("after {}", ticket.read().holder) });
        second.write().before = Some(ticket.to_ref());
    }
    for (ticket, seat) in first.iter().zip(seats(&em, 50)) {
        seat.write().ticket = Some(ticket.to_ref());
    }
    em.flush().await.unwrap();
    let pairs =
        "SELECT count(*) FROM ticket a JOIN ticket b ON b.id = a.before_id WHERE a.holder = 'after ' || b.holder";
    assert_eq!(fixture.rows(pairs).await, ["50"]);
    let pairs =
        "SELECT count(*) FROM seat s JOIN ticket t ON t.id = s.ticket_id WHERE t.holder = 'holder ' || s.number";
    assert_eq!(fixture.rows(pairs).await, ["50"]);
}

#[tokio::test]
async fn c5_new_versions_reach_their_entities() {
    let (fixture, _proxy, em) = start(8).await;
    let (tickets, seats) = (tickets(&em, 40), seats(&em, 40));
    em.flush().await.unwrap();
    // Rows of one statement with different versions: the first ten are changed four times, the last once.
    for round in 0..4 {
        for (ticket, seat) in tickets.iter().zip(&seats).take(40 - 10 * round) {
            ticket.write().holder += "!";
            seat.write().ticket = Some(ticket.to_ref());
        }
        for seat in seats.iter().take(40 - 10 * round) {
            seat.write().code = Uuid::now_v7();
        }
        em.flush().await.unwrap();
        assert_tickets(&fixture, &tickets).await;
        assert_seats(&fixture, &seats).await;
    }
    let versions: Vec<i32> = [0, 10, 20, 30].iter().map(|index: &usize| tickets[*index].read().version).collect();
    assert_eq!(versions, [5, 4, 3, 2]);
}

#[tokio::test]
async fn c9_exactly_the_stale_ones_are_named() {
    let (fixture, _proxy, em) = start(9).await;
    let (tickets, seats) = (tickets(&em, 30), seats(&em, 30));
    em.flush().await.unwrap();
    let stale = "UPDATE ticket SET version = 7 WHERE id IN (3, 11); DELETE FROM ticket WHERE id = 20";
    fixture.database.execute(stale).await.unwrap();
    for ticket in &tickets {
        ticket.write().holder += "?";
    }
    let Err(Error::OptimisticLock { mut entities }) = em.flush().await else { panic!("nobody noticed") };
    entities.sort();
    assert_eq!(entities, ["Ticket#11", "Ticket#20", "Ticket#3"]);
    assert_eq!(fixture.rows("SELECT count(*) FROM ticket WHERE holder LIKE '%?'").await, ["0"]);

    let em = fixture.em();
    let found = em.find::<Seat>().order_by(|seat| (seat.line().asc(), seat.number().asc())).await.unwrap();
    assert_eq!(found.len(), seats.len());
    fixture.database.execute("DELETE FROM seat WHERE number IN (4, 8)").await.unwrap();
    em.remove(found);
    let Err(Error::OptimisticLock { entities }) = em.flush().await else { panic!("nobody noticed") };
    assert_eq!(entities.len(), 2, "{entities:?}");
    assert!(
        ["line 4", "line 1"].iter().all(|line| entities.iter().any(|entity| entity.contains(line))),
        "{entities:?}"
    );
    assert_eq!(fixture.rows("SELECT count(*) FROM seat").await, ["28"]);
}

#[tokio::test]
async fn rows_with_an_order_keep_it() {
    let (_fixture, proxy, em) = start(10).await;
    tickets(&em, 60);
    em.flush().await.unwrap();
    em.clear();
    let found = em.find::<Ticket>().order_by(|ticket| ticket.id().desc()).await.unwrap();
    let ids: Vec<i64> = found.iter().map(Managed::id).collect();
    assert_eq!(ids, (1..=60).rev().collect::<Vec<_>>());
    assert!(proxy.statements().last().is_some_and(|text| text.starts_with("SELECT")));
}

#[tokio::test]
async fn a_graph_is_written_changed_and_removed_in_any_order_of_rows() {
    for seed in 11..=14 {
        let (fixture, _proxy, em) = start(seed).await;
        let authors: Vec<_> = (0..10).map(|number| em.persist(NewAuthor { name: format!("{number}") })).collect();
        for (number, author) in authors.iter().enumerate() {
            let books = ["a", "b", "c"]
                .map(|title| em.create(NewBook { title: format!("{title}{number}"), author: author.to_ref() }));
            for book in books {
                let tag = em.create(NewTag { name: format!("tag of {}", book.read().title) });
                book.write().tags.add(&tag);
                author.write().books.add(&book);
            }
        }
        em.flush().await.unwrap();
        let wrong = "SELECT b.title, t.name, a.name FROM book b JOIN author a ON a.id = b.author_id \
                     LEFT JOIN book_tags p ON p.book_id = b.id LEFT JOIN tag t ON t.id = p.tag_id \
                     WHERE t.name IS DISTINCT FROM 'tag of ' || b.title OR substr(b.title, 2) <> a.name";
        assert!(fixture.rows(wrong).await.is_empty());
        for author in &authors {
            author.write().born = Some(i32::try_from(author.id()).unwrap());
            for book in author.read().books.items().unwrap() {
                book.write().pages = Some(i32::try_from(book.id()).unwrap());
            }
        }
        em.flush().await.unwrap();
        let right =
            "SELECT (SELECT count(*) FROM author WHERE born = id), (SELECT count(*) FROM book WHERE pages = id)";
        assert_eq!(fixture.rows(right).await, ["10|30"]);
        em.remove(authors);
        em.flush().await.unwrap();
        assert_eq!(fixture.rows("SELECT (SELECT count(*) FROM author), (SELECT count(*) FROM book)").await, ["0|0"]);
    }
}

#[tokio::test]
async fn c5_a_sequence_that_counts_down_or_begins_anew_pairs_rows_too() {
    for sequence in ["INCREMENT BY -1 MINVALUE -1000 START -1 RESTART", "MAXVALUE 100 CYCLE RESTART WITH 90"] {
        let (fixture, _proxy, em) = start(15).await;
        fixture.database.execute(&format!("ALTER SEQUENCE ticket_id_seq {sequence}")).await.unwrap();
        let many = tickets(&em, 40);
        match em.flush().await {
            Ok(_) => assert_tickets(&fixture, &many).await,
            // An answer that cannot be paired is an error, and nothing is committed.
            Err(_) => assert_tickets(&fixture, &[]).await,
        }
    }
}
