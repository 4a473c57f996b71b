//! Rules C6 and C8: a unique value that one row lets go of can be taken by another one in the same flush.

use crate::support::{Fixture, unguarded};
use howdah::prelude::*;

mod children;
mod conditions;
mod exchanges;
mod expressions;

#[derive(Entity, Clone, Debug)]
pub struct Member {
    #[primary_key]
    pub id: i64,
    #[property(unique)]
    pub email: String,
    #[property(unique)]
    pub badge: Option<i32>,
    pub name: Option<String>,
    #[version]
    pub version: i32,
    #[one_to_one(mapped_by = holder)]
    pub locker: Option<Ref<Locker>>,
}

/// Perhaps somebody has it: nobody has two.
#[derive(Entity, Clone, Debug)]
pub struct Locker {
    #[primary_key]
    pub id: i64,
    #[one_to_one(inversed_by = locker)]
    pub holder: Option<Ref<Member>>,
}

/// Always somebody's.
#[derive(Entity, Clone, Debug)]
pub struct Contract {
    #[primary_key]
    pub id: i64,
    pub text: String,
    #[one_to_one]
    pub member: Ref<Member>,
}

/// A key that is given by hand.
#[derive(Entity, Clone, Debug)]
pub struct Room {
    #[primary_key]
    pub code: String,
    pub name: String,
}

/// A composite key with a relation.
#[derive(Entity, Clone, Debug)]
pub struct Seat {
    #[primary_key]
    #[many_to_one]
    pub room: Ref<Room>,
    #[primary_key]
    pub number: i32,
    pub label: String,
}

/// A unique constraint of a relation and a column.
#[derive(Entity, Clone, Debug)]
#[unique(room, position)]
pub struct Shelf {
    #[primary_key]
    pub id: i64,
    #[many_to_one]
    pub room: Ref<Room>,
    pub position: i32,
}

async fn club() -> Fixture {
    Fixture::new(entities![Member, Locker, Contract, Room, Seat, Shelf]).await
}

/// Ann, Bea and Cat have the badges 1 to 3.
async fn members(em: &EntityManager) -> [Managed<Member>; 3] {
    let members = [("ann", 1), ("bea", 2), ("cat", 3)]
        .map(|(name, badge)| em.persist(NewMember { email: name.into() }.with(|member| member.badge = Some(badge))));
    em.flush().await.unwrap();
    members
}

/// What each statement does to which table, without those that take keys.
fn heads(fixture: &Fixture) -> Vec<String> {
    let head = |text: &String| {
        let words = unguarded(text).split_whitespace().filter(|word| !["INTO", "FROM"].contains(word));
        words.take(2).collect::<Vec<_>>().join(" ").replace('"', "")
    };
    fixture.statements().iter().map(head).filter(|head| !head.starts_with("SELECT")).collect()
}

#[tokio::test]
async fn c6_a_deleted_row_gives_its_values_to_a_new_one() {
    let fixture = club().await;
    let em = fixture.em();
    let [ann, bea, _] = members(&em).await;
    fixture.forget();
    em.remove(&ann);
    em.remove(&bea);
    let new = em.persist(NewMember { email: "ann".into() }.with(|member| member.badge = Some(2)));
    em.persist(NewMember { email: "dee".into() });
    let summary = em.flush().await.unwrap();
    assert_eq!((summary.inserted, summary.deleted, summary.round_trips), (2, 2, 1));
    assert_eq!(heads(&fixture), ["DELETE member", "INSERT member"]);
    let rows = fixture.rows("SELECT email, badge FROM member ORDER BY id").await;
    assert_eq!(rows, ["cat|3", "ann|2", "dee|~"]);
    assert_eq!(em.find_one::<Member>(new.id(), ()).await.unwrap().unwrap(), new);
}

#[tokio::test]
async fn c6_a_key_that_was_given_by_hand_can_be_used_again() {
    let fixture = club().await;
    let em = fixture.em();
    let room = em.persist(NewRoom { code: "A".into(), name: "old".into() });
    let seat = em.persist(NewSeat { room: room.to_ref(), number: 1, label: "old".into() });
    em.persist(NewSeat { room: room.to_ref(), number: 2, label: "kept".into() });
    em.flush().await.unwrap();
    fixture.forget();
    // A composite key, with a relation that stays.
    em.remove(&seat);
    let new = em.persist(NewSeat { room: room.to_ref(), number: 1, label: "new".into() });
    let summary = em.flush().await.unwrap();
    assert_eq!((summary.statements, summary.round_trips), (2, 1));
    assert_eq!(heads(&fixture), ["DELETE seat", "INSERT seat"]);
    assert_eq!(fixture.rows("SELECT number, label FROM seat ORDER BY 1").await, ["1|new", "2|kept"]);
    assert_eq!((new.state(), seat.state()), (EntityState::Managed, EntityState::Removed));
    assert_eq!(em.find_one::<Seat>(("A", 1), ()).await.unwrap().unwrap(), new);

    // The room itself and everything in it: all goes before anything comes.
    let seats = em.find_all::<Seat>().await.unwrap();
    fixture.forget();
    em.remove(&room);
    em.remove(&seats);
    let room = em.create(NewRoom { code: "A".into(), name: "new".into() });
    for number in [1, 2] {
        em.persist(NewSeat { room: room.to_ref(), number, label: "newer".into() });
    }
    let summary = em.flush().await.unwrap();
    assert_eq!((summary.inserted, summary.deleted, summary.round_trips), (3, 3, 1));
    assert_eq!(heads(&fixture), ["DELETE seat", "DELETE room", "INSERT room", "INSERT seat"]);
    let rows = fixture.rows("SELECT name, number, label FROM seat JOIN room ON code = room_code ORDER BY 2").await;
    assert_eq!(rows, ["new|1|newer", "new|2|newer"]);
}

#[tokio::test]
async fn c6_several_columns_are_one_value() {
    let fixture = club().await;
    let em = fixture.em();
    let [a, b] = ["A", "B"].map(|code| em.persist(NewRoom { code: code.into(), name: "room".into() }));
    let shelf = |room: &Managed<Room>, position| em.persist(NewShelf { room: room.to_ref(), position });
    let (a1, b1, b2) = (shelf(&a, 1), shelf(&b, 1), shelf(&b, 2));
    em.flush().await.unwrap();
    fixture.forget();
    // A new one takes the place of one that goes; another comes from the other room to where one has been.
    em.remove(&a1);
    shelf(&a, 1);
    b1.write().position = 3;
    b2.write().position = 1;
    let summary = em.flush().await.unwrap();
    assert_eq!(summary.round_trips, 1);
    assert_eq!(heads(&fixture), ["DELETE shelf", "INSERT shelf", "UPDATE shelf", "UPDATE shelf"]);
    let places = "SELECT room_code, position FROM shelf ORDER BY 1, 2";
    assert_eq!(fixture.rows(places).await, ["A|1", "B|1", "B|3"]);
    // Only a part of it is the same: nothing passes on, and it is one statement.
    b1.write().position = 7;
    b2.write().position = 8;
    assert_eq!(em.flush().await.unwrap().statements, 1);
    // The relation moves, the position does not.
    em.remove(&b2);
    b1.write().room = a.to_ref();
    shelf(&b, 8);
    em.flush().await.unwrap();
    assert_eq!(fixture.rows(places).await, ["A|1", "A|7", "B|8"]);
}

#[tokio::test]
async fn c6_an_update_gives_its_value_to_a_new_row() {
    let fixture = club().await;
    let em = fixture.em();
    let [ann, bea, cat] = members(&em).await;
    fixture.forget();
    ann.write().email = "ann.old".into();
    bea.write().name = Some("Bea".into());
    cat.write().email = "cat.old".into();
    em.persist(NewMember { email: "ann".into() });
    let summary = em.flush().await.unwrap();
    assert_eq!((summary.updated, summary.round_trips), (3, 1));
    // Only what something waits for is early.
    assert_eq!(heads(&fixture), ["UPDATE member", "INSERT member", "UPDATE member", "UPDATE member"]);
    let rows = fixture.rows("SELECT email, version FROM member ORDER BY id").await;
    assert_eq!(rows, ["ann.old|2", "bea|2", "cat.old|2", "ann|1"]);
}

#[tokio::test]
async fn c6_a_deleted_row_gives_its_value_to_an_updated_one() {
    let fixture = club().await;
    let em = fixture.em();
    let [ann, bea, cat] = members(&em).await;
    fixture.forget();
    em.remove(&ann);
    bea.write().email = "ann".into();
    // And what that has had goes to a third.
    cat.write().email = "bea".into();
    let summary = em.flush().await.unwrap();
    assert_eq!((summary.updated, summary.deleted, summary.round_trips), (2, 1, 1));
    assert_eq!(heads(&fixture), ["DELETE member", "UPDATE member", "UPDATE member"]);
    assert_eq!(fixture.rows("SELECT id, email FROM member ORDER BY id").await, ["2|ann", "3|bea"]);
}

#[tokio::test]
async fn c8_a_shift_goes_from_the_free_end() {
    let fixture = club().await;
    let em = fixture.em();
    let room = em.persist(NewRoom { code: "A".into(), name: "room".into() });
    let shelves: Vec<_> = (1..=300).map(|position| em.persist(NewShelf { room: room.to_ref(), position })).collect();
    em.flush().await.unwrap();
    fixture.forget();
    // One in front: everything moves up, the last one first.
    for shelf in &shelves {
        shelf.write().position += 1;
    }
    let first = em.persist(NewShelf { room: room.to_ref(), position: 1 });
    let summary = em.flush().await.unwrap();
    assert_eq!((summary.updated, summary.statements, summary.round_trips), (300, 301, 1));
    assert_eq!(heads(&fixture).last().unwrap(), "INSERT shelf");
    let order = "SELECT string_agg(id::text, ' ' ORDER BY position), count(DISTINCT position) FROM shelf";
    let ids = |shelves: &[Managed<Shelf>]| shelves.iter().map(|s| s.id().to_string()).collect::<Vec<_>>().join(" ");
    assert_eq!(fixture.rows(order).await, [format!("{} {}|301", first.id(), ids(&shelves))]);
    // It goes again, and everything moves back.
    em.remove(&first);
    for shelf in &shelves {
        shelf.write().position -= 1;
    }
    assert_eq!(em.flush().await.unwrap().round_trips, 1);
    assert_eq!(fixture.rows(order).await, [format!("{}|300", ids(&shelves))]);
    // By two places: two chains, whose rows go in pairs.
    for shelf in &shelves {
        shelf.write().position += 2;
    }
    assert_eq!(em.flush().await.unwrap().statements, 150);
    assert_eq!(fixture.rows("SELECT min(position), max(position) FROM shelf").await, ["3|302"]);
}

#[tokio::test]
async fn c6_a_one_to_one_passes_to_a_new_row() {
    let fixture = club().await;
    let em = fixture.em();
    let [ann, bea, _] = members(&em).await;
    let old = em.persist(NewContract { text: "old".into(), member: ann.to_ref() });
    let other = em.persist(NewContract { text: "other".into(), member: bea.to_ref() });
    em.flush().await.unwrap();
    fixture.forget();
    em.remove(&old);
    em.persist(NewContract { text: "new".into(), member: ann.to_ref() });
    let summary = em.flush().await.unwrap();
    assert_eq!((summary.statements, summary.round_trips), (2, 1));
    assert_eq!(heads(&fixture), ["DELETE contract", "INSERT contract"]);
    // The contract passes to a member that comes when its own one goes.
    let new = em.persist(NewMember { email: "dee".into() });
    em.remove(&bea);
    other.write().member = new.to_ref();
    fixture.forget();
    let summary = em.flush().await.unwrap();
    assert_eq!((summary.inserted, summary.updated, summary.deleted, summary.round_trips), (1, 1, 1, 2));
    assert_eq!(heads(&fixture), ["INSERT member", "UPDATE contract", "DELETE member"]);
    let rows = fixture.rows("SELECT text, email FROM contract JOIN member m ON m.id = member_id ORDER BY 1").await;
    assert_eq!(rows, ["new|ann", "other|dee"]);
}

#[tokio::test]
async fn c6_rows_that_are_removed_by_their_keys_make_room_too() {
    let fixture = club().await;
    let em = fixture.em();
    let [ann, bea, _] = members(&em).await;
    let contract = em.persist(NewContract { text: "ann's".into(), member: ann.to_ref() });
    let room = em.persist(NewRoom { code: "A".into(), name: "old".into() });
    em.persist(NewSeat { room: room.to_ref(), number: 1, label: "old".into() });
    em.flush().await.unwrap();
    let (ann, bea, contract) = (ann.id(), bea.id(), contract.id());
    let em = fixture.em();
    em.set_flush_mode(FlushMode::Commit);
    fixture.forget();
    // What they have had is not known: they go first. The contract passes to somebody else.
    em.remove(em.get_reference::<Member>(ann));
    em.remove(em.get_reference::<Member>(bea));
    let contract = em.find_one_or_fail::<Contract>(contract, ()).await.unwrap();
    let cat = em.find_one_or_fail::<Member>(Member::fields().email().eq("cat"), ()).await.unwrap();
    contract.write().member = cat.to_ref();
    em.persist(NewMember { email: "bea".into() }.with(|member| member.badge = Some(1)));
    fixture.forget();
    let summary = em.flush().await.unwrap();
    assert_eq!((summary.inserted, summary.updated, summary.deleted, summary.round_trips), (1, 1, 2, 1));
    assert_eq!(heads(&fixture), ["UPDATE contract", "DELETE member", "INSERT member"]);
    assert_eq!(fixture.rows("SELECT email, badge FROM member ORDER BY id").await, ["cat|3", "bea|1"]);
    // Keys that are given by hand again, of a parent and its child.
    em.remove(em.get_reference::<Room>("A".to_owned()));
    em.remove(em.get_reference::<Seat>(("A".to_owned(), 1)));
    let room = em.create(NewRoom { code: "A".into(), name: "new".into() });
    em.persist(NewSeat { room: room.to_ref(), number: 1, label: "new".into() });
    let summary = em.flush().await.unwrap();
    assert_eq!((summary.inserted, summary.deleted, summary.round_trips), (2, 2, 1));
    assert_eq!(fixture.rows("SELECT name, label FROM seat JOIN room ON code = room_code").await, ["new|new"]);
}

#[tokio::test]
async fn c6_rows_of_a_statement_are_locked_in_the_order_of_their_keys() {
    let fixture = club().await;
    let em = fixture.em();
    for number in 0..50 {
        em.persist(NewMember { email: number.to_string() });
    }
    em.flush().await.unwrap();
    // Two managers write the same rows at the same time, one from the front, one from the back.
    let write = |backwards: bool| {
        let em = fixture.em();
        async move {
            for round in 0..20 {
                let em = em.fork();
                let mut members = em.find::<Member>().order_by(|m| m.id().asc()).await.unwrap();
                if backwards {
                    members.reverse();
                }
                for member in members {
                    member.write().name = Some(format!("{backwards} {round}"));
                }
                match em.flush().await {
                    Ok(_) | Err(Error::OptimisticLock { .. }) => {}
                    Err(error) => panic!("{error}"),
                }
            }
        }
    };
    let (forwards, backwards) = tokio::join!(tokio::spawn(write(false)), tokio::spawn(write(true)));
    forwards.and(backwards).unwrap();
    let rows = fixture.rows("SELECT count(DISTINCT name), count(DISTINCT version) FROM member").await;
    assert_eq!(rows, ["1|1"], "one writer or the other, never a mixture");
}
