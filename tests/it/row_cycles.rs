//! Rule C7: rows that refer to each other in circles, though no foreign key may be NULL.

use crate::support::{Fixture, unguarded};
use howdah::prelude::*;

mod mixed;
mod privileges;
mod trees;

/// Firms have a head, and everybody works for a firm: neither row can be there before the other.
macro_rules! firms {
    ($module:ident: $(#[$key:meta])* $id:ty, $make:expr, $trips:expr) => {
        mod $module {
            use super::*;

            #[derive(Entity, Clone, Debug)]
            pub struct Firm {
                $(#[$key])*
                pub id: $id,
                pub name: String,
                #[property(default_sql = "upper('open')")]
                pub state: String,
                #[many_to_one(on_delete = restrict)]
                pub head: Ref<Person>,
            }

            #[derive(Entity, Clone, Debug)]
            pub struct Person {
                $(#[$key])*
                pub id: $id,
                pub name: String,
                #[version]
                pub version: i32,
                #[many_to_one(on_delete = restrict)]
                pub firm: Ref<Firm>,
            }

            fn firm(em: &EntityManager, number: u32) -> (Managed<Firm>, Managed<Person>) {
                let make: fn(u32) -> $id = $make;
                let head = em.get_reference::<Person>(make(number));
                let name = format!("{number}");
                let firm = em.create(Firm { id: make(number), name: name.clone(), state: String::new(), head });
                let person = em.persist(Person { id: make(number), name, version: 1, firm: firm.to_ref() });
                firm.write().head = person.to_ref();
                (firm, person)
            }

            #[tokio::test]
            async fn a_pair_and_many_pairs_are_one_statement() {
                let fixture = Fixture::new(entities![Firm, Person]).await;
                let em = fixture.em();
                let (one, head) = firm(&em, 1);
                let summary = em.flush().await.unwrap();
                assert_eq!((summary.inserted, summary.round_trips), (2, $trips));
                assert_eq!(one.read().state, "OPEN", "what the database has made is read back");
                assert_eq!(one.read().head, head.to_ref());
                assert_eq!(head.read().firm.id(), one.id());
                assert_eq!(em.flush().await.unwrap(), FlushSummary::default());

                fixture.forget();
                let pairs: Vec<_> = (2..300).map(|number| firm(&em, number)).collect();
                let summary = em.flush().await.unwrap();
                assert_eq!((summary.inserted, summary.round_trips), (596, $trips));
                assert_eq!(written(&fixture), ["WITH INSERT INSERT"]);
                let right = "SELECT count(*) FROM firm f JOIN person p ON p.id = f.head_id AND p.firm_id = f.id \
                             WHERE p.name = f.name AND f.state = 'OPEN'";
                assert_eq!(fixture.rows(right).await, ["299"]);
                assert!(pairs.iter().all(|(firm, person)| {
                    firm.read().state == "OPEN" && firm.id() == firm.read().id && person.read().firm.id() == firm.id()
                }));

                // All go at once, whatever the foreign keys say.
                for (firm, person) in &pairs[1..] {
                    em.remove(firm);
                    em.remove(person);
                }
                fixture.forget();
                let summary = em.flush().await.unwrap();
                assert_eq!((summary.deleted, summary.statements, summary.round_trips), (594, 1, 1));
                assert_eq!(written(&fixture), ["WITH DELETE DELETE"]);
                assert_eq!(fixture.rows("SELECT count(*) FROM person").await, ["2"]);
            }

            #[tokio::test]
            async fn stale_rows_of_a_circle_are_named() {
                let fixture = Fixture::new(entities![Firm, Person]).await;
                let em = fixture.em();
                let pairs: Vec<_> = (1..6).map(|number| firm(&em, number)).collect();
                em.flush().await.unwrap();
                fixture.database.execute("UPDATE person SET version = 7 WHERE name IN ('2', '4')").await.unwrap();
                for (firm, person) in &pairs {
                    em.remove(firm);
                    em.remove(person);
                }
                let error = em.flush().await.unwrap_err();
                let Error::OptimisticLock { entities } = &error else { panic!("{error}") };
                let mut entities = entities.clone();
                entities.sort_unstable();
                let mut expected = [1, 3].map(|number: usize| format!("Person#{}", pairs[number].1.id()));
                expected.sort_unstable();
                assert_eq!(entities, expected, "C9: exactly these");
                assert_eq!(fixture.rows("SELECT count(*) FROM person, firm").await, ["25"]);
            }
        }
    };
}

firms!(identity: #[primary_key] i64, |_| 0, 2);
firms!(small: #[primary_key] i16, |_| 0, 2);
firms!(uuid: #[primary_key] Uuid, |_| Uuid::nil(), 1);
firms!(assigned: #[primary_key] String, |number| format!("f{number:03}"), 1);
firms!(made_by_sql: #[primary_key(default = "gen_random_uuid()")] Uuid, |_| Uuid::nil(), 2);

/// What the statements that write do: the verbs of each, without those that take keys or read back.
fn written(fixture: &Fixture) -> Vec<String> {
    let verbs = |text: &String| {
        let words =
            text.split(|c: char| !c.is_ascii_uppercase()).filter(|w| ["INSERT", "UPDATE", "DELETE"].contains(w));
        let verbs: Vec<&str> = words.collect();
        if verbs.len() > 1 { format!("WITH {}", verbs.join(" ")) } else { verbs.concat() }
    };
    let sent = fixture.statements();
    let written: Vec<String> = sent.iter().filter(|text| !text.contains("nextval")).map(verbs).collect();
    written.into_iter().filter(|verbs| !verbs.is_empty()).collect()
}

/// What each statement does to which table, without those that take keys or read back.
fn heads(fixture: &Fixture) -> Vec<String> {
    let head = |text: &String| {
        let words = unguarded(text).split_whitespace().filter(|word| !["INTO", "FROM"].contains(word));
        words.take(2).collect::<Vec<_>>().join(" ").replace('"', "")
    };
    fixture.statements().iter().map(head).filter(|head| !head.starts_with("SELECT")).collect()
}

mod composite {
    //! The key of one is part of the key of the other, which refers back.
    use super::*;

    #[derive(Entity, Clone, Debug)]
    pub struct Book {
        #[primary_key]
        pub id: i64,
        pub title: String,
        #[many_to_one]
        pub first: Ref<Chapter>,
    }

    #[derive(Entity, Clone, Debug)]
    pub struct Chapter {
        #[primary_key]
        #[many_to_one]
        pub book: Ref<Book>,
        #[primary_key]
        pub number: i32,
        #[many_to_one]
        pub next: Ref<Chapter>,
    }

    #[tokio::test]
    async fn keys_that_are_made_of_keys_are_known_in_time() {
        let fixture = Fixture::new(entities![Book, Chapter]).await;
        let em = fixture.em();
        let mut chapters = Vec::new();
        for title in ["one", "two"] {
            let book = em.create(NewBook { title: title.into(), first: em.get_reference((0, 0)) });
            let next = em.get_reference((0, 0));
            let own: Vec<_> = (1..=3)
                .map(|number| em.persist(NewChapter { book: book.to_ref(), number, next: next.clone() }))
                .collect();
            for (index, chapter) in own.iter().enumerate() {
                chapter.write().next = own[(index + 1) % 3].to_ref();
            }
            book.write().first = own[0].to_ref();
            chapters.extend(own);
        }
        let summary = em.flush().await.unwrap();
        assert_eq!((summary.inserted, summary.statements, summary.round_trips), (8, 2, 2));
        assert_eq!(written(&fixture), ["WITH INSERT INSERT"]);
        assert_eq!(chapters[3].id(), (chapters[3].read().book.id(), 1));
        let rows = "SELECT b.id = book_id AND first_number = 1, book_id = next_book_id, number, next_number \
                    FROM chapter JOIN book b ON b.id = book_id ORDER BY book_id, number";
        assert_eq!(fixture.rows(rows).await[..3], ["t|t|1|2", "t|t|2|3", "t|t|3|1"]);
        let books = em.find_all::<Book>().await.unwrap();
        em.remove(books);
        em.remove(chapters);
        assert_eq!(em.flush().await.unwrap().statements, 1);
        assert_eq!(fixture.rows("SELECT count(*) FROM chapter").await, ["0"]);
    }
}

mod ring {
    //! A ring over three tables.
    use super::*;

    #[derive(Entity, Clone, Debug)]
    pub struct Sun {
        #[primary_key]
        pub id: i32,
        #[many_to_one]
        pub planet: Ref<Planet>,
    }

    #[derive(Entity, Clone, Debug)]
    pub struct Planet {
        #[primary_key]
        pub id: Uuid,
        #[one_to_one]
        pub moon: Ref<Moon>,
    }

    #[derive(Entity, Clone, Debug)]
    pub struct Moon {
        #[primary_key]
        pub name: String,
        #[many_to_one]
        pub sun: Ref<Sun>,
    }

    #[tokio::test]
    async fn a_ring_of_three_tables_is_one_statement() {
        let fixture = Fixture::new(entities![Sun, Planet, Moon]).await;
        let em = fixture.em();
        let mut rings = Vec::new();
        for number in 0..10 {
            let sun = em.create(NewSun { planet: em.get_reference(Uuid::nil()) });
            let moon = em.create(NewMoon { name: format!("m{number}"), sun: sun.to_ref() });
            let planet = em.create(NewPlanet { moon: moon.to_ref() });
            sun.write().planet = planet.to_ref();
            em.persist(&planet);
            rings.push((sun, planet, moon));
        }
        let summary = em.flush().await.unwrap();
        assert_eq!((summary.inserted, summary.statements, summary.round_trips), (30, 2, 2));
        assert_eq!(written(&fixture), ["WITH INSERT INSERT INSERT"]);
        let closed = "SELECT count(*) FROM sun s JOIN planet p ON p.id = s.planet_id JOIN moon m ON m.name = p.moon_name \
                      WHERE m.sun_id = s.id";
        assert_eq!(fixture.rows(closed).await, ["10"]);
        // The partners of two rings are exchanged, which needs no NULL where nothing is unique; the moons are.
        let (one, two) = (&rings[0], &rings[1]);
        one.0.write().planet = two.1.to_ref();
        two.0.write().planet = one.1.to_ref();
        assert_eq!(em.flush().await.unwrap().statements, 1);
        one.1.write().moon = two.2.to_ref();
        two.1.write().moon = one.2.to_ref();
        assert!(matches!(em.flush().await.unwrap_err(), Error::UnresolvableUniqueSwap { .. }));
        one.1.write().moon = one.2.to_ref();
        two.1.write().moon = two.2.to_ref();
        for (sun, planet, moon) in &rings {
            em.remove(moon);
            em.remove(sun);
            em.remove(planet);
        }
        fixture.forget();
        assert_eq!(em.flush().await.unwrap().statements, 1);
        assert_eq!(written(&fixture), ["WITH DELETE DELETE DELETE"]);
    }
}
