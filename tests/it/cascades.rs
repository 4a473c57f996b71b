//! Rule C13: what goes along when an entity is persisted or removed, and what becomes of orphans.

use crate::library::*;
use crate::support::Fixture;
use howdah::prelude::*;

mod kinds;
mod one_to_one;

#[tokio::test]
async fn persist_reaches_everything_new_over_every_kind_of_relation() {
    let fixture = Fixture::new(library()).await;
    let em = fixture.em();
    // author ← book (to-many), book → shelf (to-one), book ↔ tag (pivot), author ↔ profile (inverse one-to-one), mentor.
    let author = em.create(NewAuthor { name: "Ursula".into() });
    let mentor = em.create(NewAuthor { name: "Theodora".into() });
    let book = em.create(NewBook { title: "Lavinia".into(), author: author.to_ref() });
    let shelf = em.create(NewShelf { code: "A1".into() });
    let tag = em.create(NewTag { name: "rome".into() });
    let profile = em.create(NewProfile { text: "Portland".into(), author: mentor.to_ref() });
    author.update(|a| {
        a.books.add(&book);
        a.mentor = Some(mentor.to_ref());
        a.profile = Some(profile.to_ref());
    });
    book.update(|b| {
        b.shelf = Some(shelf.to_ref());
        b.tags.add(&tag);
    });
    em.persist(&author);
    assert_eq!(em.flush().await.unwrap().inserted, 6);
    let states = [author.state(), mentor.state(), book.state(), shelf.state(), tag.state(), profile.state()];
    assert_eq!(states, [EntityState::Managed; 6]);
    assert_eq!(profile.read().author.get().unwrap(), author, "the inverse side decides what was set on it");
    let row = "SELECT a.name, m.name, title, shelf_code, t.name, text FROM author a JOIN author m ON m.id = a.mentor_id \
               JOIN book b ON b.author_id = a.id JOIN book_tags ON book_id = b.id JOIN tag t ON t.id = tag_id \
               JOIN profile p ON p.author_id = a.id";
    assert_eq!(fixture.rows(row).await, ["Ursula|Theodora|Lavinia|A1|rome|Portland"]);
}

#[tokio::test]
async fn persist_reaches_new_entities_from_managed_ones() {
    let fixture = Fixture::new(library()).await;
    let em = fixture.em();
    let author = em.persist(NewAuthor { name: "Ursula".into() });
    let tag = em.persist(NewTag { name: "rome".into() });
    em.flush().await.unwrap();
    let book = em.create(NewBook { title: "Lavinia".into(), author: author.to_ref() });
    tag.write().books.add(&book);
    let mentor = em.create(NewAuthor { name: "Theodora".into() });
    author.write().mentor = Some(mentor.to_ref());
    let profile = em.create(NewProfile { text: "Portland".into(), author: author.to_ref() });
    author.write().profile = Some(profile.to_ref());
    let summary = em.flush().await.unwrap();
    assert_eq!((summary.inserted, summary.updated), (3, 1));
    assert_eq!(author.read().books.items().unwrap(), [book.clone()]);
    assert_eq!(book.read().tags.items().unwrap(), [tag]);
    assert_eq!(fixture.rows("SELECT author_id FROM profile").await, ["1"]);
}

#[derive(Entity, Clone, Debug)]
pub struct Order {
    #[primary_key]
    pub id: i64,
    #[many_to_one(cascade())]
    pub customer: Ref<Customer>,
    #[one_to_many(mapped_by = order, cascade(persist, remove))]
    pub lines: Collection<Line>,
}

#[derive(Entity, Clone, Debug)]
pub struct Customer {
    #[primary_key]
    pub id: i64,
    pub name: String,
}

#[derive(Entity, Clone, Debug)]
pub struct Line {
    #[primary_key]
    #[many_to_one(inversed_by = lines)]
    pub order: Ref<Order>,
    #[primary_key]
    pub position: i32,
    pub text: String,
    #[many_to_one(cascade(persist, remove))]
    pub discount: Option<Ref<Discount>>,
}

#[derive(Entity, Clone, Debug)]
pub struct Discount {
    #[primary_key]
    pub id: i64,
    pub percent: i32,
}

#[tokio::test]
async fn a_relation_without_cascade_does_not_reach_and_says_so() {
    let fixture = Fixture::new(entities![Order, Customer, Line, Discount]).await;
    let em = fixture.em();
    let customer = em.create(NewCustomer { name: "Ada".into() });
    let order = em.persist(NewOrder { customer: customer.to_ref() });
    let error = em.flush().await.unwrap_err();
    assert!(matches!(&error, Error::Validation { entity: Some("Customer"), .. }), "{error}");
    assert!(error.to_string().contains("cascade(persist)"), "{error}");
    assert!(fixture.statements().is_empty());
    em.persist(&customer);
    em.flush().await.unwrap();
    assert_eq!(order.read().customer.get().unwrap(), customer);
}

#[tokio::test]
async fn keys_that_are_made_of_new_rows_are_composed() {
    let fixture = Fixture::new(entities![Order, Customer, Line, Discount]).await;
    let em = fixture.em();
    let customer = em.persist(NewCustomer { name: "Ada".into() });
    let order = em.persist(NewOrder { customer: customer.to_ref() });
    let lines: Vec<_> = (1..=3)
        .map(|position| {
            let line = em.create(NewLine { order: order.to_ref(), position, text: format!("line {position}") });
            order.write().lines.add(&line);
            line
        })
        .collect();
    assert_eq!(em.flush().await.unwrap().inserted, 5);
    assert_eq!(lines[1].id(), (order.id(), 2));
    fixture.forget();
    assert_eq!(em.find_one::<Line>((order.id(), 2), ()).await.unwrap().as_ref(), Some(&lines[1]));
    assert!(fixture.statements().is_empty());
    lines[1].write().text = "changed".into();
    assert_eq!(em.flush().await.unwrap().updated, 1);
    assert_eq!(fixture.rows("SELECT text FROM line ORDER BY position").await, ["line 1", "changed", "line 3"]);
    em.remove(&lines[0]);
    em.flush().await.unwrap();
    assert_eq!(order.read().lines.len().unwrap(), 2);
}

#[tokio::test]
async fn remove_goes_where_it_is_declared_and_only_there() {
    let fixture = Fixture::new(entities![Order, Customer, Line, Discount]).await;
    let em = fixture.em();
    let customer = em.persist(NewCustomer { name: "Ada".into() });
    let orders = [0, 1].map(|_| em.persist(NewOrder { customer: customer.to_ref() }));
    for order in &orders {
        for position in 1..=2 {
            let line = em.create(NewLine { order: order.to_ref(), position, text: "x".into() });
            line.write().discount = Some(em.create(NewDiscount { percent: position }).to_ref());
            order.write().lines.add(&line);
        }
    }
    em.flush().await.unwrap();

    let em = fixture.em();
    let order = em.find_one_or_fail::<Order>(orders[0].id(), ["lines.discount"]).await.unwrap();
    fixture.forget();
    em.remove(&order);
    let summary = em.flush().await.unwrap();
    assert_eq!((summary.deleted, summary.statements), (5, 3), "order, lines, discounts; the customer stays");
    let left = "SELECT (SELECT count(*) FROM \"order\"), (SELECT count(*) FROM line), (SELECT count(*) FROM discount), \
                (SELECT count(*) FROM customer)";
    assert_eq!(fixture.rows(left).await, ["1|2|2|1"]);

    // Only what is loaded can go along: the rest is the foreign key's business.
    let order = em.find_one_or_fail::<Order>(orders[1].id(), ()).await.unwrap();
    em.remove(&order);
    assert!(matches!(em.flush().await, Err(Error::ForeignKeyViolation { .. })));
    assert_eq!(order.state(), EntityState::Removed);
    em.populate(&order, "lines").await.unwrap();
    assert_eq!(em.flush().await.unwrap().deleted, 3);
}

#[tokio::test]
async fn a_new_entity_that_would_go_along_is_never_inserted() {
    let fixture = Fixture::new(library()).await;
    let em = fixture.em();
    let author = em.persist(NewAuthor { name: "Ursula".into() });
    em.flush().await.unwrap();
    fixture.forget();
    let persisted = em.persist(NewBook { title: "persisted".into(), author: author.to_ref() });
    let created = em.create(NewBook { title: "created".into(), author: author.to_ref() });
    author.write().books.set([&persisted, &created]);
    em.remove(&author);
    let summary = em.flush().await.unwrap();
    assert_eq!((summary.inserted, summary.deleted, summary.statements), (0, 1, 1));
    assert_eq!([persisted.state(), created.state()], [EntityState::New; 2]);
    assert!(!persisted.is_dirty(), "it is off the schedule");
    assert_eq!(em.flush().await.unwrap(), FlushSummary::default());
}

#[tokio::test]
async fn a_removed_entity_that_was_never_inserted_sends_nothing() {
    let fixture = Fixture::new(library()).await;
    let em = fixture.em();
    let author = em.persist(NewAuthor { name: "Ursula".into() });
    em.flush().await.unwrap();
    fixture.forget();
    let book = em.persist(NewBook { title: "Lavinia".into(), author: author.to_ref() });
    author.write().books.add(&book);
    em.remove(&book);
    assert_eq!(em.flush().await.unwrap(), FlushSummary::default());
    assert_eq!(book.state(), EntityState::New);
    assert!(author.read().books.is_empty().unwrap(), "it is no item of the collection either");
    em.remove(em.create(NewAuthor { name: "Nobody".into() }));
    assert_eq!(em.flush().await.unwrap(), FlushSummary::default());
    assert!(fixture.statements().is_empty());
}

#[tokio::test]
async fn a_removal_can_be_taken_back() {
    let fixture = Fixture::new(library()).await;
    let em = fixture.em();
    let author = em.persist(NewAuthor { name: "Ursula".into() });
    em.flush().await.unwrap();
    fixture.forget();
    em.remove(&author);
    assert_eq!(author.state(), EntityState::Removed);
    author.write().born = Some(1929);
    em.persist(&author);
    assert_eq!(author.state(), EntityState::Managed);
    assert_eq!(em.flush().await.unwrap().updated, 1, "what was written meanwhile is a change");
    assert_eq!(fixture.rows("SELECT name, born FROM author").await, ["Ursula|1929"]);

    // After the flush, the row is made anew, with the same key.
    em.remove(&author);
    em.flush().await.unwrap();
    assert_eq!(author.state(), EntityState::Removed);
    assert!(author.key().is_none());
    author.write().name = "U. K. Le Guin".into();
    em.persist(&author);
    assert_eq!(author.state(), EntityState::New);
    assert_eq!(em.flush().await.unwrap().inserted, 1);
    assert_eq!(fixture.rows("SELECT id, name FROM author").await, ["1|U. K. Le Guin"]);
    assert_eq!(em.find_one::<Author>(1, ()).await.unwrap(), Some(author));
}

#[tokio::test]
async fn orphans_are_removed_unless_something_takes_them_in() {
    let fixture = Fixture::new(library()).await;
    let em = fixture.em();
    // In both orders: the one who gives is looked at before the one who takes, and after.
    for (giver, taker) in [(0, 1), (1, 0)] {
        let authors = ["one", "two"].map(|name| em.persist(NewAuthor { name: format!("{name}{giver}") }));
        let (giver, taker) = (&authors[giver], &authors[taker]);
        let books = ["orphan", "given", "moved", "readded"]
            .map(|title| em.persist(NewBook { title: title.into(), author: giver.to_ref() }));
        em.flush().await.unwrap();
        assert_eq!(giver.read().books.len().unwrap(), 4);
        authors[0].write();
        authors[1].write();
        giver.update(|a| books.iter().for_each(|book| a.books.remove(book)));
        taker.write().books.add(&books[1]);
        books[2].write().author = taker.to_ref();
        giver.write().books.add(&books[3]);
        let summary = em.flush().await.unwrap();
        assert_eq!((summary.deleted, summary.updated), (1, 2));
        assert_eq!(books[0].state(), EntityState::Removed);
        assert_eq!(giver.read().books.items().unwrap(), [books[3].clone()]);
        let mut taken = taker.read().books.items().unwrap();
        taken.sort_by_key(Managed::id);
        assert_eq!(taken, books[1..3]);
        let stored =
            fixture.rows(&format!("SELECT title FROM book WHERE author_id = {} ORDER BY id", taker.id())).await;
        assert_eq!(stored, ["given", "moved"]);
    }
}

#[tokio::test]
async fn orphans_of_a_collection_that_was_replaced_are_removed() {
    let fixture = Fixture::new(library()).await;
    let em = fixture.em();
    let author = em.persist(NewAuthor { name: "Ursula".into() });
    let old = ["a", "b"].map(|title| em.persist(NewBook { title: title.into(), author: author.to_ref() }));
    em.flush().await.unwrap();
    let new = em.create(NewBook { title: "c".into(), author: author.to_ref() });
    author.write().books.set([&old[1], &new]);
    let summary = em.flush().await.unwrap();
    assert_eq!((summary.inserted, summary.updated, summary.deleted), (1, 0, 1));
    assert_eq!(fixture.rows("SELECT title FROM book ORDER BY id").await, ["b", "c"]);
    author.write().books.remove_all();
    assert_eq!(em.flush().await.unwrap().deleted, 2);
    assert!(author.read().books.is_empty().unwrap());

    // A new one that is taken out again was never there.
    let book = em.persist(NewBook { title: "d".into(), author: author.to_ref() });
    author.write().books.add(&book);
    author.write().books.remove(&book);
    em.remove(&book);
    fixture.forget();
    assert_eq!(em.flush().await.unwrap(), FlushSummary::default());
    assert!(fixture.statements().is_empty());
}

#[derive(Entity, Clone, Debug)]
pub struct Person {
    #[primary_key]
    pub id: i64,
    #[one_to_one(mapped_by = person, orphan_removal)]
    pub passport: Option<Ref<Passport>>,
    #[one_to_one(mapped_by = person)]
    pub seat: Option<Ref<Seat>>,
    #[one_to_one(mapped_by = person)]
    pub desk: Option<Ref<Desk>>,
}

#[derive(Entity, Clone, Debug)]
pub struct Passport {
    #[primary_key]
    pub id: i64,
    #[one_to_one(inversed_by = passport)]
    pub person: Ref<Person>,
}

#[derive(Entity, Clone, Debug)]
pub struct Seat {
    #[primary_key]
    pub id: i64,
    #[one_to_one(inversed_by = seat)]
    pub person: Option<Ref<Person>>,
}

#[derive(Entity, Clone, Debug)]
pub struct Desk {
    #[primary_key]
    pub id: i64,
    #[one_to_one(inversed_by = desk)]
    pub person: Ref<Person>,
}

#[tokio::test]
async fn an_inverse_one_to_one_that_is_emptied_releases_the_other_side() {
    let fixture = Fixture::new(entities![Person, Passport, Seat, Desk]).await;
    let em = fixture.em();
    let person = em.persist(NewPerson {});
    let passport = em.persist(NewPassport { person: person.to_ref() });
    let seat = em.create(NewSeat {});
    person.write().seat = Some(seat.to_ref());
    let desk = em.persist(NewDesk { person: person.to_ref() });
    em.flush().await.unwrap();
    assert_eq!(fixture.rows("SELECT person_id FROM seat").await, ["1"]);
    assert_eq!(person.read().passport.as_ref().unwrap().get().unwrap(), passport);

    person.update(|p| {
        p.passport = None;
        p.seat = None;
    });
    let summary = em.flush().await.unwrap();
    assert_eq!((summary.deleted, summary.updated), (1, 1), "the orphan goes, the seat is free");
    assert_eq!(passport.state(), EntityState::Removed);
    assert_eq!(seat.read().person, None);
    assert_eq!(fixture.rows("SELECT (SELECT count(*) FROM passport), person_id FROM seat").await, ["0|~"]);

    fixture.forget();
    person.write().desk = None;
    let error = em.flush().await.unwrap_err();
    assert!(matches!(&error, Error::Validation { entity: Some("Desk"), .. }), "{error}");
    assert!(error.to_string().contains("Desk.person must not be NULL"), "{error}");
    assert!(fixture.statements().is_empty());
    let other = em.persist(NewPerson {});
    desk.write().person = other.to_ref();
    em.flush().await.unwrap();
    assert_eq!(other.read().desk.as_ref().unwrap().get().unwrap(), desk);
    assert_eq!(fixture.rows("SELECT person_id FROM desk").await, ["2"]);
}

#[tokio::test]
async fn a_one_to_one_is_set_from_either_side() {
    let fixture = Fixture::new(entities![Person, Passport, Seat, Desk]).await;
    let em = fixture.em();
    let people = [em.persist(NewPerson {}), em.persist(NewPerson {})];
    let seats = [em.persist(NewSeat {}), em.persist(NewSeat {})];
    em.flush().await.unwrap();
    people[0].write().seat = Some(seats[0].to_ref());
    seats[1].write().person = Some(people[1].to_ref());
    assert_eq!(em.flush().await.unwrap().updated, 2);
    assert_eq!(fixture.rows("SELECT id, person_id FROM seat ORDER BY id").await, ["1|1", "2|2"]);
    for (person, seat) in people.iter().zip(&seats) {
        assert_eq!(person.read().seat.as_ref().unwrap().get().unwrap(), *seat);
        assert_eq!(seat.read().person.as_ref().unwrap().get().unwrap(), *person);
    }
    // The owning side lets go, and the other one knows.
    seats[0].write().person = None;
    em.remove(&seats[1]);
    em.flush().await.unwrap();
    assert!(people.iter().all(|person| person.read().seat.is_none()));
    assert_eq!(em.flush().await.unwrap(), FlushSummary::default());
}

#[tokio::test]
async fn an_inverse_one_to_one_that_is_not_loaded_cannot_be_emptied() {
    let fixture = Fixture::new(entities![Person, Passport, Seat, Desk]).await;
    let em = fixture.em();
    let person = em.persist(NewPerson {});
    em.persist(NewSeat {}.with(|s| s.person = Some(person.to_ref())));
    em.flush().await.unwrap();
    let em = fixture.em();
    let person = em.find_one_or_fail::<Person>(1, ()).await.unwrap();
    person.write().seat = None;
    let error = em.flush().await.unwrap_err();
    assert!(matches!(error, Error::NotLoaded { entity: "Person", relation: "seat" }), "{error}");
    em.find_all::<Seat>().await.unwrap();
    assert_eq!(em.flush().await.unwrap().updated, 1);
    assert_eq!(fixture.rows("SELECT person_id FROM seat").await, ["~"]);
}
