//! Rule C2: what the library says of its round trips and statements is what crosses the wire.
//!
//! The scenarios are used twice: here the three counts are compared, and `promised` says how high they may be.

use std::time::Duration;

mod first_use;
mod promised;

use crate::library::*;
use crate::proxy::Proxy;
use crate::support::Fixture;
use howdah::prelude::*;

/// Three levels with keys that the database makes.
#[derive(Entity, Clone, Debug)]
pub struct Country {
    #[primary_key]
    pub id: i64,
    pub name: String,
}

#[derive(Entity, Clone, Debug)]
pub struct City {
    #[primary_key]
    pub id: i64,
    #[many_to_one]
    pub country: Ref<Country>,
    pub name: String,
}

#[derive(Entity, Clone, Debug)]
pub struct Street {
    #[primary_key]
    pub id: i32,
    #[many_to_one]
    pub city: Ref<City>,
    pub name: String,
}

/// Three levels with keys that are known beforehand: made by the client, and assigned.
#[derive(Entity, Clone, Debug)]
pub struct Museum {
    #[primary_key]
    pub id: Uuid,
    pub name: String,
}

#[derive(Entity, Clone, Debug)]
pub struct Room {
    #[primary_key(assigned)]
    pub number: i32,
    #[many_to_one]
    pub museum: Ref<Museum>,
}

#[derive(Entity, Clone, Debug)]
pub struct Painting {
    #[primary_key]
    pub id: Uuid,
    #[many_to_one]
    pub room: Ref<Room>,
    pub title: String,
}

struct Wire {
    fixture: Fixture,
    proxy: Proxy,
    em: EntityManager,
}

impl Wire {
    async fn new() -> Self {
        let entities = library().into_iter().chain(entities![Country, City, Street, Museum, Room, Painting]);
        let (fixture, proxy) = Fixture::through_proxy_with(entities, |builder| builder.max_connections(1)).await;
        let em = fixture.em();
        Self { fixture, proxy, em }
    }

    fn reset(&self) {
        self.fixture.forget();
        self.proxy.reset();
    }

    /// The round trips since the last reset. Statement by statement, the log has what the server was sent.
    fn trips(&self) -> u64 {
        let trips = self.proxy.round_trips();
        assert_eq!(self.fixture.log.round_trips(), trips, "the log, and what was seen");
        assert_eq!(self.fixture.log.statements(), self.proxy.statements());
        trips
    }

    /// Statements that write rows.
    fn writing(&self) -> u64 {
        let verbs = ["INSERT", "UPDATE", "DELETE", "WITH"];
        let writes = |text: &&String| verbs.iter().any(|verb| text.starts_with(verb));
        self.proxy.statements().iter().filter(writes).count() as u64
    }

    /// Flushes; answers with the round trips.
    async fn flush(&self) -> u64 {
        self.reset();
        let trips = self.flush_further().await;
        assert_eq!(trips, self.trips());
        trips
    }

    /// Flushes, and goes on counting: what an open transaction has posted is sent with what comes next.
    async fn flush_further(&self) -> u64 {
        let before = (self.proxy.round_trips(), self.writing());
        let summary = self.em.flush().await.unwrap();
        assert_eq!(summary.round_trips, self.proxy.round_trips() - before.0, "the summary, and what was seen");
        assert_eq!(summary.statements, self.writing() - before.1);
        summary.round_trips
    }

    fn author(&self, name: &str) -> Managed<Author> {
        self.em.persist(NewAuthor { name: name.into() })
    }

    fn three_generated_levels(&self, rows: usize) {
        for row in 0..rows {
            let name = || format!("{row}");
            let country = self.em.persist(NewCountry { name: name() });
            let city = self.em.persist(NewCity { country: country.to_ref(), name: name() });
            self.em.persist(NewStreet { city: city.to_ref(), name: name() });
        }
    }

    fn three_known_levels(&self) {
        let museum = self.em.persist(NewMuseum { name: "Prado".into() });
        let room = self.em.persist(NewRoom { number: 12, museum: museum.to_ref() });
        self.em.persist(NewPainting { room: room.to_ref(), title: "Las Meninas".into() });
    }

    /// A mentor of a mentor of an author.
    fn tree(&self) {
        let one = self.author("one");
        let two = self.author("two");
        two.write().mentor = Some(one.to_ref());
        let three = self.author("three");
        three.write().mentor = Some(two.to_ref());
    }

    /// An insert, two kinds of update, a deletion, new and old rows of a pivot table; all keys are known or made in one
    /// level.
    async fn mixture(&self) {
        let ada = self.author("Ada");
        let old = self.em.persist(NewBook { title: "Notes".into(), author: ada.to_ref() });
        let [algebra, engine] = self.em.persist(["algebra", "engine"].map(|name| NewTag { name: name.into() }));
        old.write().tags.add(&algebra);
        let shelf = self.em.persist(NewShelf { code: "A".into() });
        self.em.flush().await.unwrap();
        ada.write().born = Some(1815);
        old.write().title = "Sketch".into();
        old.write().tags.remove(&algebra);
        old.write().tags.add(&engine);
        self.em.remove(&shelf);
        self.em.persist(NewBook { title: "Letters".into(), author: ada.to_ref() });
    }
}

#[tokio::test]
async fn c2_one_insert() {
    let wire = Wire::new().await;
    wire.author("Ada");
    assert!(wire.flush().await > 0);
    assert_eq!(wire.writing(), 1);
}

#[tokio::test]
async fn c2_a_thousand_inserts_are_as_many_trips_as_one() {
    let wire = Wire::new().await;
    wire.author("Ada");
    let one = wire.flush().await;
    wire.em.persist((0..1000).map(|number| NewAuthor { name: format!("{number}") }).collect::<Vec<_>>());
    assert_eq!(wire.flush().await, one);
    assert_eq!(wire.writing(), 1);
    assert_eq!(wire.fixture.rows("SELECT count(*) FROM author").await, ["1001"]);
}

#[tokio::test]
async fn c2_inserts_updates_deletions_and_pivot_rows_together() {
    let wire = Wire::new().await;
    wire.mixture().await;
    wire.flush().await;
    assert_eq!(wire.writing(), 6, "a statement a table and operation");
    assert_eq!(wire.fixture.rows("SELECT title FROM book ORDER BY title").await, ["Letters", "Sketch"]);
}

#[tokio::test]
async fn c2_three_levels_of_known_and_of_generated_keys_and_a_tree() {
    let wire = Wire::new().await;
    wire.three_known_levels();
    wire.flush().await;
    wire.three_generated_levels(10);
    wire.flush().await;
    assert_eq!(wire.writing(), 6, "the keys and the rows of three tables");
    wire.tree();
    wire.flush().await;
    let joined = "SELECT count(*) FROM street s JOIN city c ON c.id = s.city_id JOIN country o ON o.id = c.country_id \
                  WHERE s.name = c.name AND c.name = o.name";
    assert_eq!(wire.fixture.rows(joined).await, ["10"]);
    let mentors = "SELECT a.name, m.name FROM author a LEFT JOIN author m ON m.id = a.mentor_id ORDER BY a.name";
    assert_eq!(wire.fixture.rows(mentors).await, ["one|~", "three|two", "two|one"]);
}

/// A flush of one level and one of three, in an open transaction; the trips of each, and of COMMIT.
async fn two_flushes_in_a_transaction(wire: &Wire) -> [u64; 3] {
    wire.reset();
    wire.em.begin().await.unwrap();
    wire.author("Ada");
    let one_level = wire.flush_further().await;
    wire.three_generated_levels(1);
    let three_levels = wire.flush_further().await;
    wire.em.commit().await.unwrap();
    let all = wire.trips();
    [one_level, three_levels, all - one_level - three_levels]
}

#[tokio::test]
async fn c2_flushes_in_an_open_transaction() {
    let wire = Wire::new().await;
    let [one_level, _, commit] = two_flushes_in_a_transaction(&wire).await;
    assert_eq!((one_level, commit), (1, 1), "BEGIN and the savepoints travel along");
    assert_eq!(wire.writing(), 7, "one, and the keys and the rows of three tables");
}

/// A flush at every depth of three nested transactions; the trips of all.
async fn nested_with_work_at_every_depth(wire: &Wire) -> u64 {
    wire.reset();
    let named = |name: &str| NewAuthor { name: name.into() };
    wire.em
        .transactional(async |em| {
            em.persist(named("one"));
            em.flush().await?;
            em.transactional(async |em| {
                em.persist(named("two"));
                em.flush().await?;
                em.transactional(async |em| {
                    em.persist(named("three"));
                    em.flush().await.map(|_| ())
                })
                .await
            })
            .await
        })
        .await
        .unwrap();
    wire.trips()
}

/// An insert in the innermost of three transactions.
async fn nested_with_work_in_the_innermost(wire: &Wire) -> u64 {
    wire.reset();
    wire.em
        .transactional(async |em| {
            em.transactional(async |em| {
                em.transactional(async |em| {
                    em.persist(NewAuthor { name: "Ada".into() });
                    Ok::<_, Error>(())
                })
                .await
            })
            .await
        })
        .await
        .unwrap();
    wire.trips()
}

#[tokio::test]
async fn d1_savepoints_travel_with_the_work() {
    let wire = Wire::new().await;
    let trips = nested_with_work_at_every_depth(&wire).await;
    assert_eq!(trips, 4, "three flushes, COMMIT");
    wire.fixture.database.execute("TRUNCATE author CASCADE").await.unwrap();
    let trips = nested_with_work_in_the_innermost(&wire).await;
    assert_eq!(trips, 2, "the flush, COMMIT");
    assert_eq!(wire.fixture.rows("SELECT name FROM author").await, ["Ada"]);
}

#[tokio::test]
async fn d1_a_scope_that_fails_costs_no_trip_in_the_scope_around_it() {
    let wire = Wire::new().await;
    wire.reset();
    wire.em
        .transactional(async |em| {
            let failed = em
                .transactional(async |em| {
                    em.persist(NewAuthor { name: "Ada".into() });
                    em.flush().await?;
                    Err::<(), _>(Error::TransactionAborted)
                })
                .await;
            assert!(failed.is_err());
            em.persist(NewAuthor { name: "Bob".into() });
            em.flush().await.map(|_| ())
        })
        .await
        .unwrap();
    assert_eq!(wire.trips(), 3, "two flushes, COMMIT");
    assert_eq!(wire.fixture.rows("SELECT name FROM author").await, ["Bob"]);
}

/// A transaction whose work is flushed at its end.
async fn transactional_with_work(wire: &Wire) -> u64 {
    wire.reset();
    wire.em
        .transactional(async |em| {
            em.persist(NewAuthor { name: "Ada".into() });
            Ok::<_, Error>(())
        })
        .await
        .unwrap();
    wire.trips()
}

#[tokio::test]
async fn c2_a_transaction_that_is_flushed_at_its_end() {
    let wire = Wire::new().await;
    assert!(transactional_with_work(&wire).await > 0);
    assert_eq!(wire.writing(), 1);
}

#[tokio::test]
async fn d1_a_transaction_that_fails_is_rolled_back_in_one_trip() {
    let wire = Wire::new().await;
    wire.reset();
    let failed = wire.em.transactional(async |_| Err::<(), _>(Error::TransactionAborted)).await;
    assert!(failed.is_err());
    assert_eq!(wire.trips(), 1);
}

#[tokio::test]
async fn c2_the_first_use_of_a_statement_takes_no_more_trips_than_later_ones() {
    let wire = Wire::new().await;
    let mut trips = Vec::new();
    let mut parsed = Vec::new();
    for _ in 0..3 {
        let em = wire.fixture.em();
        let ada = em.persist(NewAuthor { name: "Ada".into() });
        wire.reset();
        em.flush().await.unwrap();
        ada.write().born = Some(1815);
        em.flush().await.unwrap();
        em.find::<Author>().filter(|author| author.name().eq("Ada")).await.unwrap();
        em.remove(&ada);
        em.flush().await.unwrap();
        trips.push(wire.trips());
        parsed.push(wire.proxy.messages(b'P'));
    }
    assert_eq!(trips, [trips[0]; 3]);
    assert!(parsed[0] > 0, "it is parsed at its first use");
    // What is known of the table after its first INSERT makes the second a simpler one.
    assert_eq!((parsed[1], parsed[2]), (2, 0), "and only then");
}

#[tokio::test]
async fn c2_nothing_to_write_needs_no_connection() {
    let wire = Wire::new().await;
    let ada = wire.author("Ada");
    wire.flush().await;
    // The only connection is taken: a flush that wanted one would wait for it.
    let other = wire.fixture.em();
    other.begin().await.unwrap();
    other.count::<Author>(()).await.unwrap();
    wire.reset();
    assert_eq!(wire.em.flush().await.unwrap(), FlushSummary::default());
    ada.write().name = "Augusta".into();
    ada.write().name = "Ada".into();
    assert_eq!(wire.em.flush().await.unwrap(), FlushSummary::default());
    assert_eq!((wire.trips(), wire.proxy.all_messages(), wire.proxy.connections()), (0, 0, 0));
    other.rollback().await.unwrap();
}

#[tokio::test]
async fn c2_a_distant_server_is_asked_no_more_often() {
    let wire = Wire::new().await;
    wire.three_generated_levels(5);
    let near = wire.flush().await;
    wire.proxy.latency(Duration::from_millis(30));
    wire.three_generated_levels(5);
    assert_eq!(wire.flush().await, near);
    let one = transactional_with_work(&wire).await;
    wire.proxy.latency(Duration::ZERO);
    wire.fixture.database.execute("TRUNCATE author CASCADE").await.unwrap();
    assert_eq!(transactional_with_work(&wire).await, one);
}
