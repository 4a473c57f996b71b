//! One-to-one relations: orphans from either side, partners that are replaced, both sides after a flush and a rollback.

use super::{NewPassport, NewPerson, NewSeat, Passport, Person, Seat};
use crate::support::Fixture;
use howdah::prelude::*;

/// The owning side removes orphans.
#[derive(Entity, Clone, Debug)]
pub struct House {
    #[primary_key]
    pub id: i64,
    #[one_to_one(inversed_by = house, orphan_removal)]
    pub address: Option<Ref<Address>>,
}

#[derive(Entity, Clone, Debug)]
pub struct Address {
    #[primary_key]
    pub id: i64,
    #[one_to_one(mapped_by = address)]
    pub house: Option<Ref<House>>,
}

const ADDRESSES: &str = "SELECT id FROM address ORDER BY id";

#[tokio::test]
async fn the_owning_side_removes_what_it_no_longer_refers_to() {
    let fixture = Fixture::new(entities![House, Address]).await;
    let em = fixture.em();
    let house = em.persist(NewHouse {});
    let [one, two, three] = [0, 1, 2].map(|_| em.persist(NewAddress {}));
    house.write().address = Some(one.to_ref());
    em.flush().await.unwrap();

    // Replaced, emptied, and gone with its owner.
    house.write().address = Some(two.to_ref());
    let summary = em.flush().await.unwrap();
    assert_eq!((summary.updated, summary.deleted), (1, 1));
    assert_eq!((one.state(), fixture.rows(ADDRESSES).await), (EntityState::Removed, vec!["2".into(), "3".into()]));
    assert_eq!(two.read().house.as_ref().unwrap().get().unwrap(), house);
    house.write().address = None;
    assert_eq!(em.flush().await.unwrap().deleted, 1);
    house.write().address = Some(three.to_ref());
    em.flush().await.unwrap();
    em.remove(&house);
    assert_eq!(em.flush().await.unwrap().deleted, 2);
    assert!(fixture.rows(ADDRESSES).await.is_empty());
}

#[tokio::test]
async fn an_orphan_of_the_owning_side_need_not_be_loaded_and_may_be_taken_in() {
    let fixture = Fixture::new(entities![House, Address]).await;
    let em = fixture.em();
    let houses = [em.persist(NewHouse {}), em.persist(NewHouse {})];
    let address = em.persist(NewAddress {});
    houses[0].write().address = Some(address.to_ref());
    em.flush().await.unwrap();

    // Set back in the end: nothing happens.
    houses[0].write().address = None;
    houses[0].write().address = Some(address.to_ref());
    assert_eq!(em.flush().await.unwrap(), FlushSummary::default());

    // Moved, whichever owner is looked at first.
    for (from, to) in [(0, 1), (1, 0)] {
        houses[1].write();
        houses[0].write();
        houses[from].write().address = None;
        houses[to].write().address = Some(address.to_ref());
        let summary = em.flush().await.unwrap();
        assert_eq!((summary.updated, summary.deleted), (2, 0));
        assert_eq!(address.read().house.as_ref().unwrap().get().unwrap(), houses[to]);
    }
    let em = fixture.em();
    let house = em.find_one_or_fail::<House>(1, ()).await.unwrap();
    fixture.forget();
    house.write().address = None;
    assert_eq!(em.flush().await.unwrap().deleted, 1);
    assert!(fixture.statements().iter().all(|text| !text.starts_with("SELECT")));
    assert!(fixture.rows(ADDRESSES).await.is_empty());
}

async fn people(fixture: &Fixture) -> (EntityManager, [Managed<Person>; 2], [Managed<Seat>; 2]) {
    let em = fixture.em();
    let people = [em.persist(NewPerson {}), em.persist(NewPerson {})];
    let seats = [em.persist(NewSeat {}), em.persist(NewSeat {})];
    for (person, seat) in people.iter().zip(&seats) {
        seat.write().person = Some(person.to_ref());
    }
    em.flush().await.unwrap();
    (em, people, seats)
}

async fn fixture() -> Fixture {
    Fixture::new(entities![Person, Passport, Seat, super::Desk]).await
}

const SEATS: &str = "SELECT id, person_id FROM seat ORDER BY id";

#[tokio::test]
async fn c8_a_partner_is_replaced_in_one_flush() {
    for (old, new) in [(0, 1), (1, 0)] {
        let fixture = fixture().await;
        let (em, people, seats) = people(&fixture).await;
        // The other person's seat is free first: only then it is a partner to take.
        seats[new].write().person = None;
        em.flush().await.unwrap();

        // From the inverse side: the old seat's foreign key is released before the new one takes its value.
        people[old].write().seat = Some(seats[new].to_ref());
        assert_eq!(em.flush().await.unwrap().updated, 2);
        assert_eq!(
            (&seats[old].read().person, seats[new].read().person.as_ref().unwrap().id()),
            (&None, people[old].id())
        );
        // From the owning side, and back.
        seats[new].write().person = None;
        seats[old].write().person = Some(people[old].to_ref());
        assert_eq!(em.flush().await.unwrap().updated, 2);
        assert_eq!(people[old].read().seat.as_ref().unwrap().get().unwrap(), seats[old]);
        assert_eq!(em.flush().await.unwrap(), FlushSummary::default());
    }
}

#[tokio::test]
async fn c8_an_orphan_is_deleted_before_a_new_partner_takes_its_place() {
    let fixture = fixture().await;
    let em = fixture.em();
    let person = em.persist(NewPerson {});
    let old = em.persist(NewPassport { person: person.to_ref() });
    em.flush().await.unwrap();
    let new = em.create(NewPassport { person: person.to_ref() });
    person.write().passport = Some(new.to_ref());
    let summary = em.flush().await.unwrap();
    assert_eq!((summary.inserted, summary.deleted), (1, 1));
    assert_eq!((old.state(), new.state()), (EntityState::Removed, EntityState::Managed));
    assert_eq!(fixture.rows("SELECT id, person_id FROM passport").await, ["2|1"]);
    assert_eq!(person.read().passport.as_ref().unwrap().get().unwrap(), new);
}

#[tokio::test]
async fn d2_both_sides_are_as_before_after_a_rollback() {
    let fixture = fixture().await;
    let (em, people, seats) = people(&fixture).await;
    let failed: Result<(), Error> = em
        .transactional(async |em| {
            seats[0].write().person = None;
            people[1].write().seat = None;
            em.flush().await?;
            assert!(people[0].read().seat.is_none() && seats[1].read().person.is_none());
            Err(Error::NotLoaded { entity: "", relation: "" })
        })
        .await;
    assert!(matches!(failed, Err(Error::NotLoaded { .. })));
    assert_eq!(fixture.rows(SEATS).await, ["1|1", "2|2"]);
    for (person, seat) in people.iter().zip(&seats) {
        assert_eq!(person.read().seat.as_ref().unwrap().get().unwrap(), *seat);
        assert_eq!(seat.read().person.as_ref().unwrap().get().unwrap(), *person);
    }
    assert_eq!(em.flush().await.unwrap(), FlushSummary::default());
}
