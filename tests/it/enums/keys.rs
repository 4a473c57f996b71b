//! Enums that are keys, or parts of them, and that foreign keys and pivot tables refer to.

use super::{Channel, Priority, Status};
use crate::support::Fixture;
use howdah::prelude::*;

/// An entity whose key is an enum, and others that refer to it in every way.
macro_rules! keyed {
    ($module:ident: $key:ty, $one:expr, $two:expr, $column:literal, $stored:literal) => {
        mod $module {
            use super::*;

            #[derive(Entity, Clone, Debug)]
            pub struct Lane {
                #[primary_key]
                pub kind: $key,
                pub name: String,
                #[one_to_many(mapped_by = lane)]
                pub cards: Collection<Card>,
                #[many_to_many(inversed_by = lanes)]
                pub users: Collection<User>,
            }

            #[derive(Entity, Clone, Debug)]
            pub struct Card {
                #[primary_key]
                #[many_to_one(inversed_by = cards)]
                pub lane: Ref<Lane>,
                #[primary_key]
                pub color: $key,
                pub text: String,
                #[many_to_one]
                pub former: Option<Ref<Lane>>,
            }

            #[derive(Entity, Clone, Debug)]
            pub struct User {
                #[primary_key]
                pub id: i64,
                #[many_to_many(mapped_by = users)]
                pub lanes: Collection<Lane>,
            }

            #[tokio::test]
            async fn rows_are_found_related_changed_and_removed_by_enums() {
                let fixture = Fixture::new(entities![Lane, Card, User]).await;
                let columns = "SELECT string_agg(DISTINCT format_type(atttypid, -1), ' ') FROM pg_attribute \
                               WHERE attname IN ('kind', 'lane_kind', 'color', 'former_kind') AND attnum > 0";
                assert_eq!(fixture.rows(columns).await, [$column], "foreign keys have the type of the key");
                let em = fixture.em();
                let (one, two) = ($one, $two);
                let first = em.persist(NewLane { kind: one.clone(), name: "first".into() });
                let second = em.persist(NewLane { kind: two.clone(), name: "second".into() });
                let card = em.persist(NewCard { lane: first.to_ref(), color: two.clone(), text: "a".into() });
                let user = em.persist(NewUser {});
                second.write().users.add(&user);
                assert_eq!(em.flush().await.unwrap().inserted, 4);
                assert_eq!(fixture.rows("SELECT lane_kind, color, former_kind FROM card").await, [$stored]);

                // A1: a row is one entity, whichever way it was found.
                let em = fixture.em();
                let card_key = card.id();
                assert_eq!(card_key, (one.clone(), two.clone()));
                let card = em.find_one_or_fail::<Card>((one.clone(), two.clone()), "lane").await.unwrap();
                let lane = em.find_one_or_fail::<Lane>(one.clone(), ["cards", "users"]).await.unwrap();
                assert_eq!(card.read().lane.get().unwrap(), lane);
                assert_eq!(lane.read().cards.items().unwrap(), [card.clone()]);
                assert!(lane.read().users.is_empty().unwrap());
                fixture.forget();
                assert_eq!(em.find_one::<Lane>(one.clone(), ()).await.unwrap(), Some(lane.clone()));
                assert_eq!(fixture.log.round_trips(), 0);
                let user = em.find_one_or_fail::<User>(user.id(), "lanes").await.unwrap();
                assert_eq!(user.read().lanes.items().unwrap()[0].id(), two);

                let lanes = || Lane::fields();
                assert_eq!(em.count::<Lane>(lanes().kind().eq(two.clone())).await.unwrap(), 1);
                assert_eq!(em.count::<Lane>(lanes().kind().is_in([&one, &two])).await.unwrap(), 2);
                assert_eq!(em.count::<Card>(Card::fields().lane().eq(one.clone())).await.unwrap(), 1);
                assert_eq!(em.count::<Card>(Card::fields().lane().kind().ne(one.clone())).await.unwrap(), 0);
                assert_eq!(em.count::<Card>(Card::fields().lane().is_in([one.clone(), two.clone()])).await.unwrap(), 1);
                assert_eq!(em.count::<Card>(Card::fields().former().is_null()).await.unwrap(), 1);
                assert_eq!(em.count::<User>(User::fields().lanes().kind().eq(two.clone())).await.unwrap(), 1);

                card.write().former = Some(em.get_reference::<Lane>(two.clone()));
                user.write().lanes.remove_all();
                user.write().lanes.add(&lane);
                assert_eq!(em.flush().await.unwrap().updated, 1);
                assert_eq!(fixture.rows("SELECT count(former_kind) FROM card").await, ["1"]);
                assert_eq!(fixture.rows("SELECT count(*) FROM lane_users").await, ["1"]);
                em.remove(&card);
                em.remove(&user);
                em.flush().await.unwrap();
                let twice = fixture.em();
                twice.persist(NewLane { kind: one, name: "again".into() });
                let error = twice.flush().await.unwrap_err();
                assert!(matches!(&error, Error::UniqueViolation { entity: Some("Lane"), .. }), "{error:?}");
                assert_eq!(fixture.rows("SELECT count(*) FROM card").await, ["0"]);
            }
        }
    };
}

keyed!(native: Status, Status::InProgress, Status::WontFix, "status", r#"in_progress|won't "fix", {NULL} \|~"#);
keyed!(text: Channel, Channel::WebForm, Channel::Phone, "text", r#"web-form|it's "said", {NULL} \|~"#);
keyed!(integer: Priority, Priority::Low, Priority::High, "smallint", "-1|10|~");

mod slots {
    use super::*;

    #[derive(Entity, Clone, Debug)]
    #[unique(shelf, status)]
    pub struct Slot {
        #[primary_key]
        pub id: i64,
        pub shelf: i32,
        pub status: Status,
        #[property(unique)]
        pub channel: Option<Channel>,
    }

    #[tokio::test]
    async fn enums_in_unique_constraints() {
        let fixture = Fixture::new(entities![Slot]).await;
        let em = fixture.em();
        let slot = |shelf, status| Slot::from(NewSlot { shelf, status });
        em.persist([slot(1, Status::Open), slot(1, Status::Closed), slot(2, Status::Open)]);
        em.flush().await.unwrap();
        let again = em.persist(slot(2, Status::Open));
        let error = em.flush().await.unwrap_err();
        let Error::UniqueViolation { entity: Some("Slot"), properties, .. } = &error else { panic!("{error:?}") };
        assert_eq!(properties, &["shelf", "status"]);
        // C3: repaired, it is written.
        again.update(|slot| (slot.status, slot.channel) = (Status::Closed, Some(Channel::Mail)));
        em.flush().await.unwrap();
        em.persist(Slot { channel: Some(Channel::Mail), ..slot(3, Status::Open) });
        let error = em.flush().await.unwrap_err();
        let Error::UniqueViolation { properties, .. } = &error else { panic!("{error:?}") };
        assert_eq!(properties, &["channel"]);
    }
}
