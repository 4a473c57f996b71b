//! Every kind of relation, from both sides, with every `cascade(…)`: what persist and remove pass on.

use crate::support::Fixture;
use howdah::prelude::*;

/// What a cascade does over the six sides of relations: many to one, one to many, one to one (owning, inverse), many to
/// many (owning, inverse).
type Sides = [bool; 6];

/// A hub with a relation of each kind, all with the same cascade.
macro_rules! hub {
    ($module:ident, $($cascade:tt)*) => {
        mod $module {
            use super::*;

            #[derive(Entity, Clone, Debug)]
            pub struct Hub {
                #[primary_key]
                pub id: i64,
                #[many_to_one($($cascade)*)]
                pub parent: Option<Ref<Parent>>,
                #[one_to_many(mapped_by = hub, $($cascade)*)]
                pub children: Collection<Child>,
                #[one_to_one(inversed_by = hub, $($cascade)*)]
                pub partner: Option<Ref<Partner>>,
                #[one_to_one(mapped_by = hub, $($cascade)*)]
                pub spouse: Option<Ref<Spouse>>,
                #[many_to_many(inversed_by = hubs, $($cascade)*)]
                pub friends: Collection<Friend>,
                #[many_to_many(mapped_by = hubs, $($cascade)*)]
                pub fans: Collection<Fan>,
            }

            #[derive(Entity, Clone, Debug)]
            pub struct Parent {
                #[primary_key]
                pub id: i64,
            }

            #[derive(Entity, Clone, Debug)]
            pub struct Child {
                #[primary_key]
                pub id: i64,
                #[many_to_one(inversed_by = children, on_delete = set_null)]
                pub hub: Option<Ref<Hub>>,
            }

            #[derive(Entity, Clone, Debug)]
            pub struct Partner {
                #[primary_key]
                pub id: i64,
                #[one_to_one(mapped_by = partner)]
                pub hub: Option<Ref<Hub>>,
            }

            #[derive(Entity, Clone, Debug)]
            pub struct Spouse {
                #[primary_key]
                pub id: i64,
                #[one_to_one(inversed_by = spouse, on_delete = set_null)]
                pub hub: Option<Ref<Hub>>,
            }

            #[derive(Entity, Clone, Debug)]
            pub struct Friend {
                #[primary_key]
                pub id: i64,
                #[many_to_many(mapped_by = friends)]
                pub hubs: Collection<Hub>,
            }

            #[derive(Entity, Clone, Debug)]
            pub struct Fan {
                #[primary_key]
                pub id: i64,
                #[many_to_many(inversed_by = fans)]
                pub hubs: Collection<Hub>,
            }

            /// Makes a hub whose relation number `side` leads to a new entity.
            fn link(em: &EntityManager, hub: &Managed<Hub>, side: usize, persist: bool) {
                macro_rules! target {
                    ($new:expr) => {{
                        let target = em.create($new);
                        if persist {
                            em.persist(&target);
                        }
                        target
                    }};
                }
                match side {
                    0 => hub.write().parent = Some(target!(NewParent {}).to_ref()),
                    1 => hub.write().children.add(target!(NewChild {})),
                    2 => hub.write().partner = Some(target!(NewPartner {}).to_ref()),
                    3 => hub.write().spouse = Some(target!(NewSpouse {}).to_ref()),
                    4 => hub.write().friends.add(target!(NewFriend {})),
                    _ => hub.write().fans.add(target!(NewFan {})),
                }
            }

            const COUNTS: [&str; 6] = ["parent", "child", "partner", "spouse", "friend", "fan"];
            const RELATIONS: [&str; 6] = ["parent", "children", "partner", "spouse", "friends", "fans"];

            /// Over which sides persist and remove are passed on.
            pub async fn passed_on() -> (Sides, Sides) {
                let fixture = Fixture::new(entities![Hub, Parent, Child, Partner, Spouse, Friend, Fan]).await;
                let (mut persisted, mut removed) = (Sides::default(), Sides::default());
                for side in 0..6 {
                    let em = fixture.em();
                    let hub = em.create(NewHub {});
                    link(&em, &hub, side, false);
                    em.persist(&hub);
                    fixture.forget();
                    persisted[side] = match em.flush().await {
                        Ok(summary) => summary.inserted == 2,
                        Err(Error::Validation { .. }) if fixture.statements().is_empty() => false,
                        Err(error) => panic!("{error}"),
                    };
                    let em = fixture.em();
                    let hub = em.persist(NewHub {});
                    link(&em, &hub, side, true);
                    em.flush().await.unwrap();
                    let count = format!("SELECT count(*) FROM {}", COUNTS[side]);
                    let before = fixture.rows(&count).await;
                    let em = fixture.em();
                    let hub = em.find_one_or_fail::<Hub>(hub.id(), [RELATIONS[side]]).await.unwrap();
                    em.remove(&hub);
                    let deleted = em.flush().await.unwrap().deleted;
                    removed[side] = fixture.rows(&count).await != before;
                    assert_eq!(deleted, 1 + u64::from(removed[side]));
                }
                (persisted, removed)
            }
        }
    };
}

hub!(none, cascade());
hub!(persist, cascade(persist));
hub!(remove, cascade(remove));
hub!(all, cascade(all));

#[tokio::test]
async fn cascades_are_what_each_relation_declares() {
    assert_eq!(none::passed_on().await, ([false; 6], [false; 6]));
    assert_eq!(persist::passed_on().await, ([true; 6], [false; 6]));
    assert_eq!(remove::passed_on().await, ([false; 6], [true; 6]));
    assert_eq!(all::passed_on().await, ([true; 6], [true; 6]));
}
