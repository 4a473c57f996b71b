//! Loading strategies (rule E2): every strategy loads every kind of relation, and finds the same.

mod kinds;
mod partly;
mod rules;
mod streams;
mod together;

use crate::library::*;
use crate::support::Fixture;
use howdah::prelude::*;

/// A key of two columns, and a relation of each kind to it.
#[derive(Entity, Clone, Debug)]
pub struct Depot {
    #[primary_key(assigned)]
    pub country: String,
    #[primary_key(assigned)]
    pub number: i32,
    #[one_to_many(mapped_by = depot)]
    pub cartons: Collection<Carton>,
    #[one_to_one(mapped_by = depot)]
    pub manager: Option<Ref<Manager>>,
    #[many_to_many(mapped_by = depots)]
    pub carriers: Collection<Carrier>,
}

#[derive(Entity, Clone, Debug)]
pub struct Manager {
    #[primary_key]
    pub id: i64,
    pub name: String,
    #[one_to_one(inversed_by = manager)]
    pub depot: Ref<Depot>,
}

/// Cartons can be in cartons.
#[derive(Entity, Clone, Debug)]
pub struct Carton {
    #[primary_key]
    pub id: i64,
    pub label: String,
    #[many_to_one(inversed_by = cartons)]
    pub depot: Option<Ref<Depot>>,
    #[many_to_one(inversed_by = contents)]
    pub inside: Option<Ref<Carton>>,
    #[one_to_many(mapped_by = inside)]
    pub contents: Collection<Carton>,
}

#[derive(Entity, Clone, Debug)]
pub struct Carrier {
    #[primary_key]
    pub id: Uuid,
    pub name: String,
    #[many_to_many(inversed_by = carriers, fixed_order)]
    pub depots: Collection<Depot>,
}

pub const STRATEGIES: [LoadStrategy; 4] =
    [LoadStrategy::Balanced, LoadStrategy::SelectIn, LoadStrategy::Joined, LoadStrategy::Pipelined];

/// The entities of these tests.
pub fn entities() -> impl Iterator<Item = &'static howdah::EntityMeta> {
    library().into_iter().chain(entities![Depot, Manager, Carton, Carrier])
}

/// Ann taught Bea, Bea taught Cid. Ann wrote A1 (tags a, b; shelf S), A2 (a) and A3 (none), Bea B1 (a, b; shelf S) and B2
/// (b), Cid nothing. Ann and Cid have a profile.
///
/// Depot DE 1 has a manager and the cartons x (with y in it, and z in y) and y; DE 2 has z; PL 1 has nothing. One carrier
/// goes to PL 1 and then to DE 1, another to DE 1.
pub async fn fill(em: &EntityManager) {
    let shelf = em.persist(NewShelf { code: "S".into() });
    let [a, b] = ["a", "b"].map(|name| em.persist(NewTag { name: name.into() }));
    let mut mentor: Option<Managed<Author>> = None;
    for name in ["Ann", "Bea", "Cid"] {
        let author = em.persist(NewAuthor { name: name.into() });
        author.write().mentor = mentor.as_ref().map(Managed::to_ref);
        mentor = Some(author.clone());
        let book = |title: &str, tags: &[&Managed<Tag>], shelved: bool| {
            let book = em.persist(NewBook { title: title.into(), author: author.to_ref() });
            let mut fields = book.write();
            tags.iter().for_each(|tag| fields.tags.add(tag));
            fields.shelf = shelved.then(|| shelf.to_ref());
        };
        match name {
            "Ann" => {
                book("A1", &[&a, &b], true);
                book("A2", &[&a], false);
                book("A3", &[], false);
            }
            "Bea" => {
                book("B1", &[&a, &b], true);
                book("B2", &[&b], false);
            }
            _ => {}
        }
        if name != "Bea" {
            em.persist(NewProfile { text: format!("about {name}"), author: author.to_ref() });
        }
    }
    let [one, two, three] = [("DE", 1), ("DE", 2), ("PL", 1)]
        .map(|(country, number)| em.persist(NewDepot { country: country.into(), number }));
    em.persist(NewManager { name: "Mia".into(), depot: one.to_ref() });
    let mut inside: Option<Managed<Carton>> = None;
    for (label, depot) in [("x", &one), ("y", &one), ("z", &two)] {
        let carton = em.persist(NewCarton { label: label.into() });
        carton.write().depot = Some(depot.to_ref());
        carton.write().inside = inside.as_ref().map(Managed::to_ref);
        inside = Some(carton);
    }
    let carrier = em.persist(NewCarrier { name: "Rail".into() });
    carrier.write().depots.set([&three, &one]);
    em.persist(NewCarrier { name: "Road".into() }).write().depots.add(&one);
    em.flush().await.unwrap();
}

/// A database with all that.
pub async fn filled() -> Fixture {
    let fixture = Fixture::new(entities()).await;
    fill(&fixture.em()).await;
    fixture.forget();
    fixture
}

pub fn joined(parts: impl IntoIterator<Item = String>) -> String {
    parts.into_iter().collect::<Vec<_>>().join(" ")
}

/// `A1(a b)@S[A1 B1]`, as far as it is loaded.
pub fn book(book: &Managed<Book>) -> String {
    let book = book.read();
    let mut text = book.title.clone();
    if let Ok(tags) = book.tags.items() {
        text += &format!("({})", joined(tags.iter().map(|tag| tag.read().name.clone())));
    }
    if let Some(shelf) = &book.shelf
        && let Ok(shelf) = shelf.get()
    {
        text += &format!("@{}", shelf.id());
        if let Ok(books) = shelf.read().books.items() {
            text += &format!("[{}]", joined(books.iter().map(|book| book.read().title.clone())));
        }
    }
    text
}

/// `A1@S by Ann`, as far as it is loaded.
pub fn book_by(book: &Managed<Book>) -> String {
    let author = book.read().author.get();
    self::book(book) + &author.map(|author| format!(" by {}", author.read().name)).unwrap_or_default()
}

/// `Cid<Bea<Ann`, as far as it is loaded.
pub fn mentors(author: &Managed<Author>) -> String {
    let mentor = author.read().mentor.as_ref().and_then(|mentor| mentor.get().ok());
    author.read().name.clone() + &mentor.map(|mentor| format!("<{}", mentors(&mentor))).unwrap_or_default()
}

/// `Ann "about Ann": A1 A2`, as far as it is loaded.
pub fn author(author: &Managed<Author>) -> String {
    let author = author.read();
    let mut text = author.name.clone();
    if let Some(Ok(profile)) = author.profile.as_ref().map(Ref::get) {
        text += &format!(" {:?}", profile.read().text);
    }
    if let Ok(books) = author.books.items() {
        text += &format!(": {}", joined(books.iter().map(book)));
    }
    text
}

pub fn depot(depot: &Managed<Depot>) -> String {
    let depot = depot.read();
    let mut text = format!("{}{}", depot.country, depot.number);
    if let Some(Ok(manager)) = depot.manager.as_ref().map(Ref::get) {
        text += &format!(" {}", manager.read().name);
    }
    if let Ok(cartons) = depot.cartons.items() {
        text += &format!(" [{}]", joined(cartons.iter().map(carton)));
    }
    if let Ok(carriers) = depot.carriers.items() {
        let mut names: Vec<String> = carriers.iter().map(|carrier| carrier.read().name.clone()).collect();
        names.sort();
        text += &format!(" ({})", names.join(" "));
    }
    text
}

pub fn carton(carton: &Managed<Carton>) -> String {
    let carton = carton.read();
    let mut text = carton.label.clone();
    if let Ok(contents) = carton.contents.items() {
        text += &format!("{{{}}}", joined(contents.iter().map(self::carton)));
    }
    text
}
