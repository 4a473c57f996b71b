//! How many round trips there may be: the promises of rules C2 and D1 as numbers.

use super::*;

/// Keys are known beforehand, or made by the database in one level only.
const ONE_FLIGHT: u64 = 1;

/// Keys are made by the database in several levels, of any depth: keys first, then everything.
const TWO_FLIGHTS: u64 = 2;

#[tokio::test]
async fn c2_one_insert_is_one_statement_and_one_trip() {
    let wire = Wire::new().await;
    wire.author("Ada");
    assert_eq!(wire.flush().await, ONE_FLIGHT);
    assert_eq!(wire.proxy.statements().len(), 1, "a statement alone needs no BEGIN: {:?}", wire.proxy.statements());
    assert_eq!(wire.fixture.rows("SELECT name FROM author").await, ["Ada"]);
}

#[tokio::test]
async fn c2_a_thousand_inserts_are_one_trip() {
    let wire = Wire::new().await;
    wire.em.persist((0..1000).map(|number| NewAuthor { name: format!("{number}") }).collect::<Vec<_>>());
    assert_eq!(wire.flush().await, ONE_FLIGHT);
    assert_eq!(wire.fixture.rows("SELECT count(*) FROM author").await, ["1000"]);
}

#[tokio::test]
async fn c2_everything_together_is_one_trip() {
    let wire = Wire::new().await;
    wire.mixture().await;
    assert_eq!(wire.flush().await, ONE_FLIGHT);
}

#[tokio::test]
async fn c2_known_keys_are_one_trip_at_any_depth() {
    let wire = Wire::new().await;
    wire.three_known_levels();
    assert_eq!(wire.flush().await, ONE_FLIGHT);
}

#[tokio::test]
async fn c2_one_level_of_generated_keys_below_known_ones_is_one_trip() {
    let wire = Wire::new().await;
    let ada = wire.author("Ada");
    wire.em.flush().await.unwrap();
    let [algebra, engine] = wire.em.persist(["algebra", "engine"].map(|name| NewTag { name: name.into() }));
    for title in ["Notes", "Sketch"] {
        wire.em.persist(NewBook { title: title.into(), author: ada.to_ref() });
    }
    ada.write().born = Some(1815);
    engine.write().name = "engines".into();
    wire.em.remove(&algebra);
    assert_eq!(wire.flush().await, ONE_FLIGHT);
}

#[tokio::test]
async fn c2_generated_keys_are_two_trips_at_any_depth() {
    let wire = Wire::new().await;
    wire.three_generated_levels(10);
    assert_eq!(wire.flush().await, TWO_FLIGHTS);
    wire.tree();
    assert_eq!(wire.flush().await, TWO_FLIGHTS, "levels of one table, too");
}

#[tokio::test]
async fn c2_distance_makes_no_difference() {
    let wire = Wire::new().await;
    wire.proxy.latency(Duration::from_millis(30));
    wire.three_generated_levels(10);
    assert_eq!(wire.flush().await, TWO_FLIGHTS);
    wire.three_known_levels();
    assert_eq!(wire.flush().await, ONE_FLIGHT);
}

#[tokio::test]
async fn c2_inside_a_transaction_it_is_the_same() {
    let wire = Wire::new().await;
    assert_eq!(two_flushes_in_a_transaction(&wire).await, [ONE_FLIGHT, TWO_FLIGHTS, 1]);
}

#[tokio::test]
async fn d1_begin_and_commit_travel_with_the_work() {
    let wire = Wire::new().await;
    assert_eq!(transactional_with_work(&wire).await, ONE_FLIGHT);
}
