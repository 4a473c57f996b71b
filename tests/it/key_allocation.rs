//! Rule C2: keys that are needed before their rows are there are taken beforehand, for all tables in one flight.

use std::collections::HashSet;

use crate::support::Fixture;
use howdah::prelude::*;
use howdah::{EntityMeta, FlushSummary, IdAllocation};

/// A chain of five tables.
macro_rules! chain {
    ($module:ident: $(#[$key:meta])* $id:ty) => {
        mod $module {
            use super::*;

            #[derive(Entity, Clone, Debug)]
            pub struct Country {
                $(#[$key])*
                pub id: $id,
                pub name: String,
            }

            #[derive(Entity, Clone, Debug)]
            pub struct City {
                $(#[$key])*
                pub id: $id,
                pub name: String,
                #[many_to_one]
                pub country: Ref<Country>,
            }

            #[derive(Entity, Clone, Debug)]
            pub struct Street {
                $(#[$key])*
                pub id: $id,
                pub name: String,
                #[many_to_one]
                pub city: Ref<City>,
            }

            #[derive(Entity, Clone, Debug)]
            pub struct House {
                $(#[$key])*
                pub id: $id,
                pub name: String,
                #[many_to_one]
                pub street: Ref<Street>,
                #[many_to_many]
                pub twins: Collection<City>,
            }

            #[derive(Entity, Clone, Debug)]
            pub struct Flat {
                $(#[$key])*
                pub id: $id,
                pub name: String,
                #[many_to_one]
                pub house: Ref<House>,
            }

            pub fn entities() -> [&'static EntityMeta; 5] {
                entities![Country, City, Street, House, Flat]
            }

            /// Two of everything in everything.
            pub fn world(em: &EntityManager, name: &str) -> Vec<Managed<Flat>> {
                let two = |name: &str| [format!("{name}1"), format!("{name}2")];
                let mut flats = Vec::new();
                let country = em.create(NewCountry { name: name.into() });
                for name in two(name) {
                    let city = em.create(NewCity { name: name.clone(), country: country.to_ref() });
                    for name in two(&name) {
                        let street = em.create(NewStreet { name: name.clone(), city: city.to_ref() });
                        for name in two(&name) {
                            let house = em.create(NewHouse { name: name.clone(), street: street.to_ref() });
                            house.write().twins.add(&city);
                            for name in two(&name) {
                                flats.push(em.persist(NewFlat { name, house: house.to_ref() }));
                            }
                        }
                    }
                }
                flats
            }

            /// How many flats are where their names say, in houses with the right twin.
            pub async fn right(fixture: &Fixture) -> String {
                let sql = "SELECT count(*) FROM flat f JOIN house h ON h.id = f.house_id JOIN street s ON s.id = h.street_id \
                           JOIN city c ON c.id = s.city_id JOIN country n ON n.id = c.country_id \
                           JOIN house_twins t ON t.house_id = h.id AND t.city_id = c.id \
                           WHERE f.name LIKE h.name || '_' AND h.name LIKE s.name || '_' AND s.name LIKE c.name || '_' \
                           AND c.name LIKE n.name || '_'";
                fixture.rows(sql).await.concat()
            }
        }
    };
}

chain!(identity: #[primary_key] i64);
chain!(small: #[primary_key] i16);
chain!(normal: #[primary_key] i32);
chain!(uuid: #[primary_key] Uuid);
chain!(made: #[primary_key(default = "gen_random_uuid()")] Uuid);

/// What was reported is what was sent.
fn checked(fixture: &Fixture, summary: FlushSummary) -> (u64, u64, u64) {
    assert_eq!(summary.round_trips, fixture.log.round_trips());
    assert_eq!(summary.statements, fixture.statements().len() as u64);
    fixture.forget();
    (summary.inserted, summary.statements, summary.round_trips)
}

macro_rules! depth {
    ($module:ident, $statements:expr, $trips:expr) => {
        let fixture = Fixture::new($module::entities()).await;
        let em = fixture.em();
        let mut flats = $module::world(&em, "a");
        let summary = em.flush().await.unwrap();
        assert_eq!(checked(&fixture, summary), (1 + 2 + 4 + 8 + 16, $statements, $trips));
        // The first time costs no more, nor does a transaction.
        flats.extend($module::world(&em, "b"));
        let summary = em.flush().await.unwrap();
        assert_eq!(checked(&fixture, summary), (31, $statements, $trips));
        flats.extend(em.transactional(async |em| Ok::<_, Error>($module::world(&em, "c"))).await.unwrap());
        assert_eq!(fixture.log.round_trips(), $trips, "BEGIN and COMMIT go along");
        assert_eq!($module::right(&fixture).await, "48");
        let ids: HashSet<_> = flats.iter().map(|flat| flat.id()).collect();
        assert_eq!(ids.len(), 48);
        assert!(flats.iter().all(|flat| flat.read().house.get().unwrap().id() == flat.read().house.id()));
    };
}

#[tokio::test]
async fn keys_of_five_levels_take_one_trip_more() {
    // Five tables' keys, five tables, one pivot table.
    depth!(identity, 11, 2);
    depth!(small, 11, 2);
    depth!(normal, 11, 2);
    depth!(made, 11, 2);
}

#[tokio::test]
async fn uuids_take_one_trip_at_any_depth() {
    depth!(uuid, 6, 1);
}

#[tokio::test]
async fn one_level_takes_one_trip() {
    let fixture = Fixture::new(identity::entities()).await;
    let em = fixture.em();
    let country = em.persist(identity::NewCountry { name: "a".into() });
    let summary = em.flush().await.unwrap();
    assert_eq!(checked(&fixture, summary), (1, 1, 1));
    assert!(country.id() > 0);
    // Of any number of tables, and below what is there already.
    for name in ["b", "c"] {
        em.persist(identity::NewCountry { name: name.into() });
        em.persist(identity::NewCity { name: name.into(), country: country.to_ref() });
    }
    let summary = em.flush().await.unwrap();
    assert_eq!(checked(&fixture, summary), (4, 2, 1));
    let em = fixture.em();
    em.persist(identity::NewCity { name: "d".into(), country: em.get_reference(country.id()) });
    let summary = em.flush().await.unwrap();
    assert_eq!(checked(&fixture, summary), (1, 1, 1));
}

#[tokio::test]
async fn keys_of_an_expression_find_their_rows() {
    let fixture = Fixture::new(made::entities()).await;
    let em = fixture.em();
    let countries: Vec<_> = (0..100).map(|n| em.persist(made::NewCountry { name: n.to_string() })).collect();
    let summary = em.flush().await.unwrap();
    assert_eq!(checked(&fixture, summary), (100, 2, 2), "rows without an order need keys beforehand");
    for row in fixture.rows("SELECT id, name FROM country").await {
        let (id, name) = row.split_once('|').unwrap();
        assert_eq!(countries[name.parse::<usize>().unwrap()].id().to_string(), id);
    }
    em.persist(made::NewCountry { name: "one".into() });
    let summary = em.flush().await.unwrap();
    assert_eq!(checked(&fixture, summary), (1, 1, 1), "one row cannot be mistaken");
}

#[tokio::test]
async fn keys_in_stock_take_no_trip() {
    let fixture = Fixture::with(identity::entities(), |builder| builder.id_allocation(IdAllocation::Block(50))).await;
    let em = fixture.em();
    identity::world(&em, "a");
    let summary = em.flush().await.unwrap();
    assert_eq!(checked(&fixture, summary), (31, 11, 2));
    identity::world(&em, "b");
    let summary = em.flush().await.unwrap();
    assert_eq!(checked(&fixture, summary), (31, 6, 1), "50 flats, of which 16 are used");
    identity::world(&em, "c");
    em.flush().await.unwrap();
    fixture.forget();
    identity::world(&em, "d");
    let summary = em.flush().await.unwrap();
    assert_eq!(checked(&fixture, summary), (31, 7, 2), "only those of flats are used up");
    // More than a block at once.
    for number in 0..120 {
        let country = em.create(identity::NewCountry { name: "e".into() });
        em.persist(identity::NewCity { name: number.to_string(), country: country.to_ref() });
    }
    let summary = em.flush().await.unwrap();
    assert_eq!((summary.inserted, summary.round_trips), (240, 2));
    assert_eq!(identity::right(&fixture).await, "64");
}

#[tokio::test]
async fn managers_never_share_a_key() {
    for allocation in [IdAllocation::OnDemand, IdAllocation::Block(10), IdAllocation::Block(1)] {
        let fixture = Fixture::with(identity::entities(), |builder| builder.id_allocation(allocation)).await;
        let work = (0..8).map(|number| {
            let em = fixture.em();
            tokio::spawn(async move {
                for round in 0..10 {
                    let em = em.fork();
                    identity::world(&em, &format!("{number}.{round}."));
                    em.flush().await.unwrap();
                }
            })
        });
        for done in work.collect::<Vec<_>>() {
            done.await.unwrap();
        }
        assert_eq!(identity::right(&fixture).await, "1280");
    }
}

#[tokio::test]
async fn what_is_left_over_is_forgotten_with_the_tables() {
    let fixture = Fixture::with(identity::entities(), |builder| builder.id_allocation(IdAllocation::Block(1000))).await;
    let em = fixture.em();
    identity::world(&em, "a");
    em.flush().await.unwrap();
    fixture.orm.schema().refresh_database().await.unwrap();
    fixture.forget();
    // The sequence begins again: keys that come from it must not meet those in stock.
    for _ in 0..2 {
        let em = fixture.em();
        identity::world(&em, "b");
        em.flush().await.unwrap();
        for number in 0..100 {
            em.persist(identity::NewCountry { name: number.to_string() });
        }
        em.flush().await.unwrap();
    }
    assert_eq!(identity::right(&fixture).await, "32");
    assert_eq!(fixture.rows("SELECT count(*) FROM country").await, ["202"]);
}

#[tokio::test]
async fn sequences_count_as_they_like() {
    let fixture = Fixture::with(identity::entities(), |builder| builder.id_allocation(IdAllocation::Block(3))).await;
    let alter = "ALTER TABLE country ALTER id SET INCREMENT BY 5 RESTART WITH 100; \
                 ALTER TABLE city ALTER id SET INCREMENT BY 7 SET CACHE 20; ALTER TABLE flat ALTER id SET GENERATED ALWAYS";
    fixture.database.execute(alter).await.unwrap();
    let em = fixture.em();
    for name in ["a", "b", "c"] {
        identity::world(&em, name);
    }
    em.flush().await.unwrap();
    assert_eq!(identity::right(&fixture).await, "48");
    assert_eq!(fixture.rows("SELECT id FROM country ORDER BY id").await, ["100", "105", "110"]);
    // Keys that nothing waits for are made by the INSERT, behind those that were taken.
    em.persist(identity::NewCountry { name: "d".into() });
    em.flush().await.unwrap();
    assert_eq!(fixture.rows("SELECT max(id) FROM country").await, ["115"]);
}

#[tokio::test]
async fn a_sequence_that_is_used_up_is_an_error_and_nothing_is_lost() {
    let fixture = Fixture::new(small::entities()).await;
    fixture.database.execute("ALTER TABLE city ALTER id RESTART WITH 32767").await.unwrap();
    let em = fixture.em();
    small::world(&em, "a");
    let error = em.flush().await.unwrap_err();
    assert_eq!(error.sqlstate(), Some("2200H"));
    assert_eq!(fixture.rows("SELECT count(*) FROM country").await, ["0"]);
    fixture.database.execute("ALTER TABLE city ALTER id RESTART WITH 1").await.unwrap();
    assert_eq!(em.flush().await.unwrap().inserted, 31);
    assert_eq!(small::right(&fixture).await, "16");
}
