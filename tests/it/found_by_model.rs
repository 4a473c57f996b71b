//! Stories that the model test has found, made small.

use crate::model::schema::*;
use crate::support::Fixture;
use howdah::prelude::*;

/// Ada, who has a note and a badge, and Bob, who has nothing.
struct Office {
    fixture: Fixture,
    em: EntityManager,
    ada: Managed<Person>,
    bob: Managed<Person>,
    note: Managed<Note>,
    badge: Managed<Badge>,
}

/// Notes with the people they belong to.
const NOTES: &str = "SELECT text, name FROM note JOIN person ON person.id = person_id";

/// Badges with the people who wear them.
const BADGES: &str = "SELECT color, name FROM badge LEFT JOIN person ON person.id = person_id";

impl Office {
    async fn new() -> Self {
        let fixture = Fixture::new(entities()).await;
        let em = fixture.em();
        let [ada, bob] = ["Ada", "Bob"].map(|name| em.persist(NewPerson { name: name.into(), age: 30 }));
        let note = em.persist(NewNote { text: "note".into(), person: ada.to_ref() });
        let badge = em.persist(NewBadge { color: "red".into() }.with(|badge| badge.person = Some(ada.to_ref())));
        em.flush().await.unwrap();
        assert_eq!(ada.read().badge.as_ref().unwrap().get().unwrap(), badge);
        fixture.forget();
        Self { fixture, em, ada, bob, note, badge }
    }
}

#[tokio::test]
async fn c13_what_was_given_to_somebody_else_does_not_go_along_with_its_former_owner() {
    let Office { fixture, em, ada, bob, note, badge } = Office::new().await;
    let second = em.persist(NewNote { text: "second".into(), person: ada.to_ref() });
    em.flush().await.unwrap();
    assert_eq!(ada.read().notes.len().unwrap(), 2);
    // By its own side, and by the new owner's collection.
    note.write().person = bob.to_ref();
    em.remove(&ada);
    bob.write().notes.add(&second);
    badge.write().person = None;
    let summary = em.flush().await.unwrap();
    assert_eq!((summary.updated, summary.deleted), (3, 1));
    assert_eq!(fixture.rows(&format!("{NOTES} ORDER BY text")).await, ["note|Bob", "second|Bob"]);
    assert_eq!(bob.read().notes.len().unwrap(), 2);
}

#[tokio::test]
async fn c13_an_owner_that_is_removed_lets_go_the_inverse_side_that_was_emptied_before() {
    let Office { fixture, em, ada, badge, .. } = Office::new().await;
    ada.write().badge = None;
    em.remove(&ada);
    let summary = em.flush().await.unwrap();
    assert_eq!((summary.updated, summary.deleted), (1, 2), "the badge; Ada and her note");
    assert_eq!(fixture.rows(BADGES).await, ["red|~"]);
    assert_eq!(badge.read().person, None);
}

#[tokio::test]
async fn c14_an_inverse_side_that_is_set_to_something_that_is_removed_has_nothing_after_the_flush() {
    let Office { fixture, em, bob, badge, .. } = Office::new().await;
    bob.write().badge = Some(badge.to_ref());
    em.remove(&badge);
    assert_eq!(em.flush().await.unwrap().deleted, 1);
    assert_eq!(fixture.rows("SELECT count(*) FROM badge").await, ["0"]);
    assert_eq!(bob.read().badge, None);
    assert_eq!(em.flush().await.unwrap(), FlushSummary::default());
}

#[tokio::test]
async fn c14_an_inverse_side_that_is_set_to_something_that_is_not_loaded_is_refused() {
    let Office { fixture, badge, .. } = Office::new().await;
    let em = fixture.em();
    let bob = em.find_one_or_fail::<Person>(Person::fields().name().eq("Bob"), ()).await.unwrap();
    bob.write().badge = Some(em.get_reference::<Badge>(badge.id()));
    fixture.forget();
    // It was forgotten without a word: the row whose foreign key has to be set is not known.
    let error = em.flush().await.unwrap_err();
    assert!(matches!(error, Error::NotLoaded { entity: "Person", relation: "badge" }), "{error}");
    assert!(fixture.statements().is_empty());
    em.find_all::<Badge>().await.unwrap();
    assert_eq!(em.flush().await.unwrap().updated, 1);
    assert_eq!(fixture.rows(BADGES).await, ["red|Bob"]);
}

#[tokio::test]
async fn c3_what_is_deleted_together_keeps_its_fields() {
    let Office { fixture, em, ada, note, badge, .. } = Office::new().await;
    em.remove(&ada);
    em.remove(&badge);
    assert_eq!(em.flush().await.unwrap().deleted, 3);
    assert_eq!(fixture.rows("SELECT name FROM person").await, ["Bob"]);
    assert_eq!([ada.state(), note.state(), badge.state()], [EntityState::Removed; 3]);
    assert_eq!(badge.read().person.as_ref().unwrap().id(), ada.id());
    assert_eq!(note.read().person.id(), ada.id());
}

#[tokio::test]
async fn c6_c7_what_is_referred_to_by_key_may_be_inserted_in_the_same_flush() {
    let Office { fixture, em, .. } = Office::new().await;
    // A city that is known by its key before it is there; neither can be without the other.
    let id = Uuid::now_v7();
    let country = em.persist(NewCountry { name: "Norway".into(), capital: em.get_reference::<City>(id) });
    let city = em.persist(NewCity { name: "Oslo".into(), country: country.to_ref() }.with(|city| city.id = id));
    assert_eq!(em.flush().await.unwrap().inserted, 2);

    // Entities that were deleted refer to each other by key. They are inserted again, in whatever order.
    em.remove(&country);
    em.remove(&city);
    assert_eq!(em.flush().await.unwrap().deleted, 2);
    em.persist(&city);
    em.persist(&country);
    assert_eq!(em.flush().await.unwrap().inserted, 2);
    assert_eq!(country.read().capital.get().unwrap(), city);
    assert_eq!(fixture.rows("SELECT count(*) FROM city JOIN country ON country.id = country_id").await, ["1"]);

    // Both sides of a tree agree, too.
    let root = em.persist(NewFolder { title: "root".into() });
    em.flush().await.unwrap();
    let leaf = em.create(NewFolder { title: "leaf".into() });
    leaf.write().parent = Some(root.to_ref());
    em.remove(&root);
    em.flush().await.unwrap();
    em.persist(&leaf);
    em.persist(&root);
    assert_eq!(em.flush().await.unwrap().inserted, 2);
    assert_eq!(root.read().children.items().unwrap(), [leaf]);
}

#[tokio::test]
async fn c14_what_is_persisted_again_is_linked_to_what_it_holds() {
    let Office { fixture, em, ada, bob, .. } = Office::new().await;
    let links = "SELECT person.name, tag.name FROM person_tags JOIN person ON person.id = person_id JOIN tag ON tag.id = tag_id ORDER BY 1";
    let tag = em.persist(NewTag { name: "rust".into() });
    tag.write().people.set([&ada, &bob]);
    em.flush().await.unwrap();
    em.remove(&tag);
    em.flush().await.unwrap();
    assert_eq!(fixture.rows(links).await, [""; 0]);
    assert!(ada.read().tags.is_empty().unwrap());
    // One is taken out and put in again, one is taken out.
    tag.write().people.remove_all();
    tag.write().people.add(&ada);
    em.persist(&tag);
    em.flush().await.unwrap();
    assert_eq!(fixture.rows(links).await, ["Ada|rust"]);
    assert_eq!(ada.read().tags.items().unwrap(), [tag.clone()]);
    assert!(bob.read().tags.is_empty().unwrap());
    assert_eq!(tag.read().people.items().unwrap(), [ada]);
    assert_eq!(em.flush().await.unwrap(), FlushSummary::default());
}

#[tokio::test]
async fn c14_a_collection_takes_in_what_has_referred_to_an_entity_that_was_deleted() {
    let Office { fixture, em, ada, bob, .. } = Office::new().await;
    let eve = em.create(NewPerson { name: "Eve".into(), age: 30 });
    let draft = em.create(NewNote { text: "draft".into(), person: eve.to_ref() });
    em.persist(&eve);
    em.flush().await.unwrap();
    em.remove(&eve);
    em.flush().await.unwrap();
    fixture.forget();

    // Of its own it cannot be written.
    em.persist(&draft);
    let error = em.flush().await.unwrap_err();
    assert!(matches!(error, Error::Detached { entity: "Person" }), "{error:?}");
    assert_eq!(fixture.statements(), [""; 0]);

    bob.write().notes.add(&draft);
    assert_eq!(em.flush().await.unwrap().inserted, 1);
    assert_eq!(fixture.rows(&format!("{NOTES} ORDER BY text")).await, ["draft|Bob", "note|Ada"]);
    assert_eq!((ada.read().notes.len().unwrap(), draft.read().person.id()), (1, bob.id()));
}

#[tokio::test]
async fn c14_what_was_removed_before_it_was_inserted_and_is_referred_to_belongs_to_its_collection() {
    let Office { fixture, em, .. } = Office::new().await;
    let eve = em.create(NewPerson { name: "Eve".into(), age: 30 });
    em.persist(&eve);
    em.remove(&eve);
    let team = em.persist(NewTeam { region: "north".into(), number: 1 });
    team.write().members.add(&eve);
    em.persist(NewNote { text: "of Eve".into(), person: eve.to_ref() });
    assert_eq!(em.flush().await.unwrap().inserted, 3);
    let row = "SELECT person.name, region FROM person JOIN team ON team.id = team_id";
    assert_eq!(fixture.rows(row).await, ["Eve|north"]);
    assert_eq!(eve.read().team, Some(team.to_ref()));
    assert_eq!(team.read().members.items().unwrap(), [eve]);
    assert_eq!(em.flush().await.unwrap(), FlushSummary::default());
}

#[tokio::test]
async fn c14_what_was_removed_before_it_was_inserted_goes_where_it_is_put_last() {
    let Office { fixture, em, ada, bob, .. } = Office::new().await;
    let eve = em.create(NewPerson { name: "Eve".into(), age: 30 });
    em.persist(&eve);
    em.remove(&eve);
    let teams = [1, 2].map(|number| em.persist(NewTeam { region: "north".into(), number }));
    teams[0].write().members.add(&eve);
    em.persist(NewNote { text: "of Eve".into(), person: eve.to_ref() });
    teams[1].write().members.add(&eve);
    em.flush().await.unwrap();
    let row = "SELECT person.name, number FROM person JOIN team ON team.id = team_id";
    assert_eq!(fixture.rows(row).await, ["Eve|2"]);
    assert_eq!(eve.read().team, Some(teams[1].to_ref()));

    // Taken out of one collection and put into another one.
    let note = em.create(NewNote { text: "moved".into(), person: ada.to_ref() });
    em.persist(&note);
    em.remove(&note);
    ada.write().notes.remove(&note);
    em.flush().await.unwrap();
    assert_eq!((note.state(), fixture.rows(NOTES).await.len()), (EntityState::New, 2), "it is not meant again by that");
    bob.write().notes.add(&note);
    em.persist(&note);
    em.flush().await.unwrap();
    assert_eq!(fixture.rows(&format!("{NOTES} WHERE text = 'moved'")).await, ["moved|Bob"]);
}

#[tokio::test]
async fn c14_an_inverse_side_finds_what_it_names_among_what_is_inserted_again() {
    let Office { fixture, em, .. } = Office::new().await;
    let badge = em.persist(NewBadge { color: "violet".into() });
    em.flush().await.unwrap();
    let eve = em.create(NewPerson { name: "Eve".into(), age: 30 });
    eve.write().badge = Some(badge.to_ref());
    em.remove(&badge);
    em.flush().await.unwrap();
    em.persist(&eve);
    em.persist(&badge);
    assert_eq!(em.flush().await.unwrap().inserted, 2);
    assert_eq!(fixture.rows(&format!("{BADGES} WHERE color = 'violet'")).await, ["violet|Eve"]);
    assert_eq!(badge.read().person, Some(eve.to_ref()));
    assert_eq!(eve.read().badge, Some(badge.to_ref()));
}
