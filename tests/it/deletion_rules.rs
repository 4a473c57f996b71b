//! What the database deletes or changes along with a row that a flush deletes (`on_delete`): loaded entities know it afterwards.

use crate::library::*;
use crate::support::Fixture;
use howdah::prelude::*;

#[derive(Entity, Clone, Debug)]
pub struct Ship {
    #[primary_key]
    pub id: i64,
    pub name: String,
    #[one_to_many(mapped_by = ship)]
    pub cabins: Collection<Cabin>,
    #[one_to_many(mapped_by = ship)]
    pub sailors: Collection<Sailor>,
}

#[derive(Entity, Clone, Debug)]
pub struct Cabin {
    #[primary_key]
    pub id: i64,
    pub number: i32,
    #[version]
    pub version: i32,
    #[many_to_one(inversed_by = cabins, on_delete = cascade)]
    pub ship: Ref<Ship>,
    #[many_to_one(inversed_by = cabins)]
    pub owner: Option<Ref<Sailor>>,
}

#[derive(Entity, Clone, Debug)]
pub struct Lamp {
    #[primary_key]
    pub id: i64,
    pub watts: i32,
    #[many_to_one(on_delete = cascade)]
    pub cabin: Ref<Cabin>,
}

#[derive(Entity, Clone, Debug)]
pub struct Sailor {
    #[primary_key]
    pub id: i64,
    pub name: String,
    #[version]
    pub version: i32,
    #[many_to_one(inversed_by = sailors, on_delete = set_null)]
    pub ship: Option<Ref<Ship>>,
    #[many_to_one(on_delete = set_default)]
    pub last: Option<Ref<Ship>>,
    #[one_to_many(mapped_by = owner)]
    pub cabins: Collection<Cabin>,
}

struct Fleet {
    fixture: Fixture,
    em: EntityManager,
    ships: [Managed<Ship>; 2],
    cabins: [Managed<Cabin>; 2],
    lamps: [Managed<Lamp>; 2],
    sailor: Managed<Sailor>,
}

/// Two ships with a cabin each, which has a lamp; a sailor of the first one, who owns both cabins.
async fn fleet() -> Fleet {
    let fixture = Fixture::new(entities![Ship, Cabin, Lamp, Sailor]).await;
    let em = fixture.em();
    em.set_flush_mode(FlushMode::Commit);
    let ships = ["Argo", "Beagle"].map(|name| em.persist(NewShip { name: name.into() }));
    let cabins = [0, 1].map(|at: usize| em.persist(NewCabin { number: 1, ship: ships[at].to_ref() }));
    let lamps = [0, 1].map(|at: usize| em.persist(NewLamp { watts: 5, cabin: cabins[at].to_ref() }));
    let sailor = em.persist(NewSailor { name: "Ann".into() });
    sailor.write().ship = Some(ships[0].to_ref());
    sailor.write().last = Some(ships[0].to_ref());
    cabins.iter().for_each(|cabin| cabin.write().owner = Some(sailor.to_ref()));
    em.flush().await.unwrap();
    em.populate(&ships, ["cabins", "sailors"]).await.unwrap();
    em.populate(&sailor, "cabins").await.unwrap();
    fixture.forget();
    Fleet { fixture, em, ships, cabins, lamps, sailor }
}

impl Fleet {
    fn assert_gone(&self, context: &str) {
        assert_eq!(
            self.cabins.each_ref().map(Managed::state),
            [EntityState::Removed, EntityState::Managed],
            "{context}"
        );
        assert_eq!(
            self.lamps.each_ref().map(Managed::state),
            [EntityState::Removed, EntityState::Managed],
            "{context}"
        );
        assert_eq!(self.sailor.state(), EntityState::Managed, "{context}");
        assert!(self.sailor.read().ship.is_none(), "{context}");
        assert_eq!(self.sailor.read().cabins.items().unwrap(), [self.cabins[1].clone()], "{context}");
    }
}

#[tokio::test]
async fn c3_a1_what_the_database_deletes_along_is_gone_in_memory_too() {
    let fleet = fleet().await;
    let (fixture, em) = (&fleet.fixture, &fleet.em);
    em.remove(&fleet.ships[0]);
    let summary = em.flush().await.unwrap();
    assert_eq!((summary.deleted, summary.statements, summary.round_trips), (1, 1, 1));
    fleet.assert_gone("flushed");
    assert_eq!(em.find_one::<Cabin>(1, ()).await.unwrap(), None);
    assert_eq!(em.find_one::<Lamp>(1, ()).await.unwrap(), None);
    // What else the server has made of the row is read again.
    assert_eq!(em.find_one_or_fail::<Sailor>(1, ()).await.unwrap(), fleet.sailor);
    assert!(fleet.sailor.read().last.is_none());
    assert!(!fleet.sailor.is_dirty() && em.flush().await.unwrap() == FlushSummary::default());
    fleet.sailor.write().name = "Bea".into();
    fleet.cabins[0].write().number = 9;
    assert_eq!(em.flush().await.unwrap().updated, 1);
    assert_eq!(fixture.rows("SELECT name, ship_id, last_id, version FROM sailor").await, ["Bea|~|~|2"]);
}

#[tokio::test]
async fn c3_a_row_that_is_removed_by_reference() {
    let fleet = fleet().await;
    let em = &fleet.em;
    em.detach(&fleet.ships[0]);
    em.remove(em.get_reference::<Ship>(1));
    assert_eq!(em.flush().await.unwrap().deleted, 1);
    fleet.assert_gone("by reference");
}

#[tokio::test]
async fn c3_what_is_pending_at_the_same_time() {
    let fleet = fleet().await;
    let (fixture, em) = (&fleet.fixture, &fleet.em);
    em.remove(&fleet.ships[0]);
    // One leaves the ship in time, and one is changed and goes down with it.
    fleet.cabins[0].write().ship = fleet.ships[1].to_ref();
    fleet.lamps[0].write().watts = 6;
    fleet.sailor.write().ship = Some(fleet.ships[1].to_ref());
    let new = em.persist(NewCabin { number: 2, ship: fleet.ships[0].to_ref() });
    em.flush().await.unwrap();
    assert_eq!(fleet.cabins[0].state(), EntityState::Managed);
    assert_eq!((fleet.lamps[0].state(), fleet.lamps[0].is_dirty()), (EntityState::Managed, false));
    assert_eq!(fleet.sailor.read().ship.as_ref().map(Ref::id), Some(fleet.ships[1].id()));
    assert_eq!(new.state(), EntityState::Removed);
    assert_eq!(fixture.rows("SELECT id, ship_id FROM cabin ORDER BY id").await, ["1|2", "2|2"]);
    assert_eq!(em.flush().await.unwrap(), FlushSummary::default());
}

#[tokio::test]
async fn c3_what_is_changed_while_the_flush_is_on_its_way() {
    let fleet = fleet().await;
    let (fixture, em) = (&fleet.fixture, &fleet.em);
    let obstacle = fixture.em();
    obstacle.begin().await.unwrap();
    obstacle.lock(&obstacle.find_one_or_fail::<Ship>(1, ()).await.unwrap(), LockMode::PessimisticWrite).await.unwrap();
    em.remove(&fleet.ships[0]);
    fixture.forget();
    let clone = em.clone();
    let flush = tokio::spawn(async move { clone.flush().await });
    while fixture.statements().is_empty() {
        tokio::task::yield_now().await;
    }
    fleet.sailor.write().name = "Bea".into();
    fleet.lamps[0].write().watts = 7;
    obstacle.rollback().await.unwrap();
    flush.await.unwrap().unwrap();
    fleet.assert_gone("meanwhile");
    assert!(fleet.sailor.is_dirty());
    assert_eq!(em.flush().await.unwrap().updated, 1);
    assert_eq!(fixture.rows("SELECT name, ship_id FROM sailor").await, ["Bea|~"]);
}

#[tokio::test]
async fn d2_a_failed_scope_brings_it_back() {
    let fleet = fleet().await;
    let (fixture, em) = (&fleet.fixture, &fleet.em);
    for is_nested in [false, true] {
        let scope = async |em: EntityManager| {
            em.remove(&fleet.ships[0]);
            em.flush().await?;
            fleet.assert_gone("in the scope");
            Err::<(), _>(Error::NotFound { entity: "Ship", criteria: "on purpose".into() })
        };
        if is_nested {
            em.transactional(async |em| {
                assert!(em.transactional(scope).await.is_err());
                Ok::<_, Error>(())
            })
            .await
            .unwrap();
        } else {
            assert!(em.transactional(scope).await.is_err());
        }
        assert_eq!(fleet.cabins.each_ref().map(Managed::state), [EntityState::Managed; 2]);
        assert_eq!(fleet.sailor.read().ship.as_ref().map(Ref::id), Some(1));
        assert_eq!(fleet.ships[0].read().cabins.items().unwrap(), [fleet.cabins[0].clone()]);
        assert_eq!(fleet.sailor.read().cabins.items().unwrap(), fleet.cabins);
        fixture.forget();
        assert_eq!(em.find_one_or_fail::<Cabin>(1, ()).await.unwrap(), fleet.cabins[0]);
        assert!(fixture.statements().is_empty());
        fleet.cabins[0].update(|cabin| cabin.number += 1);
        fleet.sailor.update(|sailor| sailor.name.push('!'));
        assert_eq!(em.flush().await.unwrap().updated, 2);
    }
    assert_eq!(fixture.rows("SELECT name, ship_id, last_id FROM sailor").await, ["Ann!!|1|1"]);
}

#[tokio::test]
async fn c3_a_guard_of_what_goes_along_is_an_error_before_anything_is_sent() {
    let fleet = fleet().await;
    fleet.em.remove(&fleet.ships[0]);
    let guard = fleet.lamps[0].read();
    let borrowed = fleet.em.flush().await;
    assert!(matches!(borrowed, Err(Error::EntityBorrowed { entity: "Lamp" })), "{borrowed:?}");
    drop(guard);
    assert!(fleet.fixture.statements().is_empty());
    fleet.em.flush().await.unwrap();
    fleet.assert_gone("afterwards");
}

#[tokio::test]
async fn c3_the_other_side_of_a_one_to_one() {
    let fixture = Fixture::new(library()).await;
    let em = fixture.em();
    let ada = em.persist(NewAuthor { name: "Ada".into() });
    let profile = em.persist(NewProfile { text: "x".into(), author: ada.to_ref() });
    em.flush().await.unwrap();
    em.remove(&ada);
    assert_eq!(em.flush().await.unwrap().deleted, 1);
    assert_eq!(profile.state(), EntityState::Removed);
    assert_eq!(em.find_one::<Profile>(1, ()).await.unwrap(), None);
    profile.write().text = "y".into();
    assert_eq!(em.flush().await.unwrap(), FlushSummary::default());
}
