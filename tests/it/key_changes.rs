//! Keys that are changed in memory: the row gets another key, and what refers to it follows, in the database and in memory.

use crate::support::{Fixture, unguarded};
use howdah::prelude::*;

/// The program gives the key.
#[derive(Entity, Clone, Debug)]
pub struct Country {
    #[primary_key]
    pub code: String,
    pub name: String,
    #[one_to_many(mapped_by = country, cascade(persist, remove))]
    pub cities: Collection<City>,
    #[one_to_one(mapped_by = country)]
    pub flag: Option<Ref<Flag>>,
    #[many_to_many]
    pub languages: Collection<Language>,
}

/// A relation is part of the key.
#[derive(Entity, Clone, Debug)]
pub struct City {
    #[primary_key]
    #[many_to_one(inversed_by = cities)]
    pub country: Ref<Country>,
    #[primary_key]
    pub number: i32,
    pub name: String,
    #[one_to_many(mapped_by = city)]
    pub streets: Collection<Street>,
}

/// A key that is made of a key that is made of a key.
#[derive(Entity, Clone, Debug)]
pub struct Street {
    #[primary_key]
    #[many_to_one(inversed_by = streets)]
    pub city: Ref<City>,
    #[primary_key]
    pub name: String,
}

/// The relation is the whole key.
#[derive(Entity, Clone, Debug)]
pub struct Flag {
    #[primary_key]
    #[one_to_one(inversed_by = flag)]
    pub country: Ref<Country>,
    pub colors: String,
}

#[derive(Entity, Clone, Debug)]
pub struct Language {
    #[primary_key]
    pub code: String,
    #[many_to_many(mapped_by = languages)]
    pub countries: Collection<Country>,
}

/// The key is the database's; it refers to one that is not.
#[derive(Entity, Clone, Debug)]
pub struct Traveller {
    #[primary_key]
    pub id: i64,
    pub name: String,
    #[many_to_one]
    pub home: Ref<Country>,
    #[many_to_one]
    pub hotel: Option<Ref<Street>>,
}

/// Siam with Bangkok and its Silom Road, a flag, two languages, and Anna, who stays there; Laos with Vientiane.
async fn asia() -> (Fixture, EntityManager) {
    let fixture = Fixture::new(entities![Country, City, Street, Flag, Language, Traveller]).await;
    let em = fixture.em();
    let country = |code: &str, name: &str| em.persist(NewCountry { code: code.into(), name: name.into() });
    let (siam, laos) = (country("SI", "Siam"), country("LA", "Laos"));
    let city = |country: &Managed<Country>, number, name: &str| {
        em.persist(NewCity { country: country.to_ref(), number, name: name.into() })
    };
    let (bangkok, _) = (city(&siam, 1, "Bangkok"), city(&laos, 1, "Vientiane"));
    let silom = em.persist(NewStreet { city: bangkok.to_ref(), name: "Silom".into() });
    em.persist(NewFlag { country: siam.to_ref(), colors: "white elephant".into() });
    for code in ["th", "en"] {
        siam.write().languages.add(em.persist(NewLanguage { code: code.into() }));
    }
    let anna = em.create(NewTraveller { name: "Anna".into(), home: siam.to_ref() });
    anna.write().hotel = Some(silom.to_ref());
    em.persist(&anna);
    em.flush().await.unwrap();
    em.clear();
    fixture.forget();
    (fixture, em)
}

async fn keys(fixture: &Fixture) -> Vec<String> {
    fixture
        .rows(
            "SELECT 'country', code, name FROM country UNION ALL SELECT 'city', country_code, name FROM city \
             UNION ALL SELECT 'street', city_country_code, name FROM street \
             UNION ALL SELECT 'flag', country_code, colors FROM flag \
             UNION ALL SELECT 'home', home_code, hotel_city_country_code FROM traveller ORDER BY 1, 2, 3",
        )
        .await
}

#[tokio::test]
async fn a_key_is_changed_by_one_update_and_all_that_is_made_of_it_follows_in_memory() {
    // A1, B3, C2, C4
    let (fixture, em) = asia().await;
    let siam = em.find_one_or_fail::<Country>("SI".to_owned(), ["cities.streets", "flag", "languages.countries"]);
    let siam = siam.await.unwrap();
    let anna = em.find::<Traveller>().await.unwrap().remove(0);
    let bangkok = siam.read().cities.items().unwrap().remove(0);
    let silom = bangkok.read().streets.items().unwrap().remove(0);
    let flag = siam.read().flag.clone().unwrap().get().unwrap();
    fixture.forget();
    siam.update(|siam| {
        siam.code = "TH".into();
        siam.name = "Thailand".into();
    });
    assert_eq!(siam.id(), "SI", "the key changes with the flush");
    let summary = em.flush().await.unwrap();
    assert_eq!((summary.updated, summary.statements, summary.round_trips), (1, 1, 1));
    let statements = fixture.statements();
    assert!(unguarded(&statements[0]).starts_with(r#"UPDATE "country" AS t0 SET "code" = s.c0, "name" = s.c1"#));
    assert_eq!(
        keys(&fixture).await,
        [
            "city|LA|Vientiane",
            "city|TH|Bangkok",
            "country|LA|Laos",
            "country|TH|Thailand",
            "flag|TH|white elephant",
            "home|TH|TH",
            "street|TH|Silom"
        ]
    );
    // The identity map knows all of them by their new keys, and asks for none of them.
    fixture.forget();
    assert_eq!(siam.id(), "TH");
    assert_eq!(em.find_one::<Country>("TH".to_owned(), ()).await.unwrap().unwrap(), siam);
    let city = ("TH".to_owned(), 1);
    assert_eq!(em.find_one::<City>(city.clone(), ()).await.unwrap().unwrap(), bangkok);
    let street = (city.clone(), "Silom".to_owned());
    assert_eq!(em.find_one::<Street>(street, ()).await.unwrap().unwrap(), silom);
    assert_eq!(em.find_one::<Flag>("TH".to_owned(), ()).await.unwrap().unwrap(), flag);
    assert_eq!(siam.read().flag.clone().unwrap().get().unwrap(), flag);
    assert_eq!(bangkok.read().country.get().unwrap(), siam);
    assert_eq!(silom.read().city.get().unwrap(), bangkok);
    assert_eq!(anna.read().home.get().unwrap(), siam);
    assert_eq!(anna.read().hotel.as_ref().unwrap().get().unwrap(), silom);
    assert_eq!(em.flush().await.unwrap(), FlushSummary::default(), "nothing is left to send");
    assert_eq!(fixture.log.round_trips(), 0);
    assert!(em.find_one::<Country>("SI".to_owned(), ()).await.unwrap().is_none());
    // What follows is written under the new keys: their baselines followed, too.
    bangkok.write().name = "Krung Thep".into();
    siam.write().languages.remove_all();
    em.remove(&flag);
    let summary = em.flush().await.unwrap();
    assert_eq!((summary.updated, summary.deleted), (1, 1));
    assert_eq!(fixture.rows("SELECT name FROM city WHERE country_code = 'TH'").await, ["Krung Thep"]);
    assert!(fixture.rows("SELECT * FROM country_languages").await.is_empty());
    assert!(siam.read().flag.is_none());
}

#[tokio::test]
async fn what_else_is_written_by_the_flush_names_rows_as_they_are_called_then() {
    // C6: children of a row whose key changes are inserted, changed, moved and deleted by the same flush.
    let (fixture, em) = asia().await;
    let siam = em.find_one_or_fail::<Country>("SI".to_owned(), ["cities.streets"]).await.unwrap();
    let laos = em.find_one_or_fail::<Country>("LA".to_owned(), ["cities", "languages"]).await.unwrap();
    let bangkok = siam.read().cities.items().unwrap().remove(0);
    let vientiane = laos.read().cities.items().unwrap().remove(0);
    let silom = bangkok.read().streets.items().unwrap().remove(0);
    siam.write().code = "TH".into();
    bangkok.write().name = "Krung Thep".into();
    let phuket = em.persist(NewCity { country: siam.to_ref(), number: 3, name: "Phuket".into() });
    em.persist(NewStreet { city: bangkok.to_ref(), name: "Sukhumvit".into() });
    vientiane.update(|city| {
        city.country = siam.to_ref();
        city.number = 2;
    });
    let anna = em.find::<Traveller>().await.unwrap().remove(0);
    anna.write().hotel = None;
    em.remove(&silom);
    let khmer = em.persist(NewLanguage { code: "km".into() });
    siam.write().languages.add(&khmer);
    // Named by the key that it is going to have.
    let by_key = em.get_reference::<Country>("TH".to_owned());
    let bob = em.persist(NewTraveller { name: "Bob".into(), home: by_key });
    em.flush().await.unwrap();
    assert_eq!(
        fixture.rows("SELECT country_code, number, name FROM city ORDER BY number").await,
        ["TH|1|Krung Thep", "TH|2|Vientiane", "TH|3|Phuket"]
    );
    assert_eq!(fixture.rows("SELECT city_country_code, name FROM street").await, ["TH|Sukhumvit"]);
    assert_eq!(
        fixture.rows("SELECT country_code, language_code FROM country_languages ORDER BY 2").await,
        ["TH|en", "TH|km", "TH|th"]
    );
    assert_eq!((phuket.id(), vientiane.id()), (("TH".to_owned(), 3), ("TH".to_owned(), 2)));
    assert_eq!(bob.read().home.get().unwrap(), siam);
    assert!(laos.read().cities.items().unwrap().is_empty());
    assert_eq!(siam.read().cities.len().unwrap(), 3);
    fixture.forget();
    assert_eq!(em.flush().await.unwrap(), FlushSummary::default());
}

#[tokio::test]
async fn a_row_whose_key_is_partly_a_relation_moves_to_another_parent() {
    let (fixture, em) = asia().await;
    let cities = em.find::<City>().populate(|city| (city.country(), city.streets()));
    let cities = cities.order_by(|city| city.name().asc()).await.unwrap();
    let (bangkok, vientiane) = (&cities[0], &cities[1]);
    assert_eq!(bangkok.id().0, "SI");
    // Vientiane has (LA, 1): one column of the key changes, too.
    bangkok.update(|city| {
        city.country = vientiane.read().country.clone();
        city.number = 7;
    });
    // To a country that is inserted by the same flush.
    let burma = em.persist(NewCountry { code: "MM".into(), name: "Burma".into() });
    vientiane.write().country = burma.to_ref();
    let summary = em.flush().await.unwrap();
    assert_eq!((summary.inserted, summary.updated), (1, 2));
    assert_eq!(
        fixture.rows("SELECT country_code, number, name FROM city ORDER BY 1").await,
        ["LA|7|Bangkok", "MM|1|Vientiane"]
    );
    assert_eq!(fixture.rows("SELECT city_country_code, city_number FROM street").await, ["LA|7"]);
    let street = bangkok.read().streets.items().unwrap().remove(0);
    assert_eq!(street.id(), (("LA".to_owned(), 7), "Silom".to_owned()));
    assert_eq!(vientiane.id(), ("MM".to_owned(), 1));
    assert_eq!(em.flush().await.unwrap(), FlushSummary::default());
}

#[tokio::test]
async fn keys_pass_from_row_to_row_in_a_legal_order() {
    // C6, C8: the key of a deleted row is taken over, and the one that is left is taken by a new row.
    let (fixture, em) = asia().await;
    let [en, th] = &em.find::<Language>().order_by(|language| language.code().asc()).await.unwrap()[..] else {
        panic!("two languages")
    };
    em.remove(en);
    th.write().code = "en".into();
    let new = em.persist(NewLanguage { code: "th".into() });
    em.flush().await.unwrap();
    assert_eq!(fixture.rows("SELECT language_code FROM country_languages").await, ["en"], "the row of the old th");
    assert_eq!((th.id(), new.id()), ("en".to_owned(), "th".to_owned()));
    assert_eq!(em.find_one::<Language>("en".to_owned(), ()).await.unwrap().as_ref(), Some(th));
    assert_eq!(em.find_one::<Language>("th".to_owned(), ()).await.unwrap().as_ref(), Some(&new));
    // A chain: each takes the key of the next.
    new.write().code = "en".into();
    th.write().code = "de".into();
    em.flush().await.unwrap();
    assert_eq!(fixture.rows("SELECT code FROM language ORDER BY 1").await, ["de", "en"]);
    assert_eq!(fixture.rows("SELECT language_code FROM country_languages").await, ["de"]);
    assert_eq!((th.id(), new.id()), ("de".to_owned(), "en".to_owned()));
    // A row that is removed by reference makes room, too.
    let em = fixture.em();
    let de = em.find_one_or_fail::<Language>("de".to_owned(), ()).await.unwrap();
    em.remove(em.get_reference::<Language>("en".to_owned()));
    de.write().code = "en".into();
    em.flush().await.unwrap();
    assert_eq!(fixture.rows("SELECT code FROM language").await, ["en"]);
}

#[tokio::test]
async fn what_cannot_be_is_refused_before_any_sql() {
    // C1, C3, C8
    let (fixture, em) = asia().await;
    let countries = em.find::<Country>().order_by(|country| country.code().asc()).await.unwrap();
    let (laos, siam) = (&countries[0], &countries[1]);
    let anna = em.find::<Traveller>().await.unwrap().remove(0);
    fixture.forget();
    // A swap: the server checks keys row by row.
    siam.write().code = "LA".into();
    laos.write().code = "SI".into();
    let error = em.flush().await.unwrap_err();
    assert!(matches!(&error, Error::UnresolvableUniqueSwap { entities, .. } if entities.len() == 2), "{error}");
    // A key that another one keeps, loaded or new.
    laos.write().code = "LA".into();
    let error = em.flush().await.unwrap_err().to_string();
    assert!(error.contains("Country#SI cannot get the key LA"), "{error}");
    siam.write().code = "TH".into();
    let double = em.persist(NewCountry { code: "TH".into(), name: "Thailand".into() });
    let error = em.flush().await.unwrap_err().to_string();
    assert!(error.contains("are both to get the key TH"), "{error}");
    em.remove(&double);
    // One that the database makes.
    let id = anna.id();
    anna.write().id = 77;
    let error = em.flush().await.unwrap_err().to_string();
    assert!(error.contains("the database makes this key") && error.contains(&format!("Traveller#{id}")), "{error}");
    anna.write().id = id;
    assert_eq!(fixture.log.round_trips(), 0);
    em.flush().await.unwrap();
    assert_eq!(fixture.rows("SELECT code FROM country ORDER BY 1").await, ["LA", "TH"]);
    // A key that only the server knows to be taken.
    let other = fixture.em();
    other.persist(NewCountry { code: "VN".into(), name: "Vietnam".into() });
    other.flush().await.unwrap();
    siam.write().code = "VN".into();
    let error = em.flush().await.unwrap_err();
    assert!(matches!(&error, Error::UniqueViolation { .. }), "{error}");
    assert_eq!((siam.id(), siam.is_dirty()), ("TH".to_owned(), true));
    assert_eq!(em.find_one::<Country>("TH".to_owned(), ()).await.unwrap().as_ref(), Some(siam));
    siam.write().code = "TI".into();
    em.flush().await.unwrap();
    assert_eq!(siam.id(), "TI");
}

#[tokio::test]
async fn a_rolled_back_scope_gives_all_keys_back() {
    // A1, D2: without a query.
    let (fixture, em) = asia().await;
    let countries = em.find::<Country>().populate(|country| (country.cities().streets(), country.languages()));
    let countries = countries.order_by(|country| country.code().asc()).await.unwrap();
    let (laos, siam) = (&countries[0], &countries[1]);
    let bangkok = siam.read().cities.items().unwrap().remove(0);
    let failed = em.transactional(async |em| {
        siam.write().code = "TH".into();
        em.flush().await?;
        // A swap in two steps: inside, the keys have passed on.
        em.transactional(async |em| {
            laos.write().code = "SI".into();
            em.flush().await?;
            bangkok.write().name = "Krung Thep".into();
            Ok::<_, Error>(())
        })
        .await?;
        assert_eq!(em.find_one::<Country>("SI".to_owned(), ()).await?.as_ref(), Some(laos));
        Err::<(), _>(Error::Validation { entity: None, message: "no".into() })
    });
    failed.await.unwrap_err();
    fixture.forget();
    assert_eq!((siam.id(), laos.id(), bangkok.id()), ("SI".to_owned(), "LA".to_owned(), ("SI".to_owned(), 1)));
    for (key, country) in [("SI", siam), ("LA", laos)] {
        assert_eq!(em.find_one::<Country>(key.to_owned(), ()).await.unwrap().as_ref(), Some(country));
        assert_eq!(country.state(), EntityState::Managed);
        assert_eq!(country.read().code, key);
    }
    assert_eq!(bangkok.read().country.get().unwrap(), *siam);
    assert_eq!(fixture.log.round_trips(), 0);
    assert_eq!(em.flush().await.unwrap(), FlushSummary::default());
    assert_eq!(
        keys(&fixture).await[..4],
        ["city|LA|Vientiane", "city|SI|Bangkok", "country|LA|Laos", "country|SI|Siam"]
    );
}

#[tokio::test]
async fn what_was_created_in_a_failed_scope_refers_to_the_keys_that_are_back() {
    // D2: before the key was changed, behind that, and flushed behind that.
    let (fixture, em) = asia().await;
    let siam = em.find_one_or_fail::<Country>("SI".to_owned(), ()).await.unwrap();
    // Two ways lead from Anna to her country, and PostgreSQL checks one before it has followed the other, if the row is of the
    // same transaction.
    em.find::<Traveller>().await.unwrap()[0].write().hotel = None;
    em.flush().await.unwrap();
    let mut created = Vec::new();
    let failed = em.transactional(async |em| {
        let traveller = |name: &str| em.create(NewTraveller { name: name.into(), home: siam.to_ref() });
        created.push(traveller("before"));
        for code in ["TH", "TI"] {
            siam.write().code = code.into();
            em.flush().await?;
            created.push(traveller(code));
            created.push(em.persist(traveller("flushed")));
        }
        em.flush().await?;
        created.push(traveller("behind"));
        Err::<(), _>(Error::Validation { entity: None, message: "no".into() })
    });
    let error = failed.await.unwrap_err();
    assert!(matches!(&error, Error::Validation { message, .. } if message == "no"), "{error}");
    for traveller in &created {
        assert_eq!((traveller.state(), traveller.read().home.id()), (EntityState::New, "SI".to_owned()));
        em.persist(traveller);
    }
    em.flush().await.unwrap();
    let names = fixture.rows("SELECT name FROM traveller WHERE home_code = 'SI' ORDER BY id").await;
    assert_eq!(names, ["Anna", "before", "TH", "flushed", "TI", "flushed", "behind"]);
}

#[tokio::test]
async fn a_guard_of_what_would_follow_is_noticed_before_commit() {
    let (fixture, em) = asia().await;
    let siam = em.find_one_or_fail::<Country>("SI".to_owned(), ["cities"]).await.unwrap();
    let bangkok = siam.read().cities.items().unwrap().remove(0);
    siam.write().code = "TH".into();
    let flush = em.flush();
    let error = {
        let _guard = bangkok.read();
        tokio::pin!(flush);
        futures_util::future::FutureExt::now_or_never(&mut flush).expect("refused at once").unwrap_err()
    };
    assert!(matches!(error, Error::EntityBorrowed { entity: "City" }), "{error}");
    em.flush().await.unwrap();
    assert_eq!(fixture.rows("SELECT country_code FROM city ORDER BY 1").await, ["LA", "TH"]);
}
