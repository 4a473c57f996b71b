//! Unique indexes over expressions: what the server makes of a value is not known before it is sent.

use super::*;

/// Large and small letters are the same: functions that are understood.
#[derive(Entity, Clone, Debug)]
#[unique(expression = "lower(email)")]
#[unique(expression = "Trim((upper(\"nick\")))", name = "nicks")]
#[index(expression = "lower(city)", where = "city <> ''")]
pub struct Account {
    #[primary_key]
    pub id: i64,
    pub email: String,
    pub nick: Option<String>,
    #[property(default = "")]
    pub city: String,
    #[many_to_one]
    pub sponsor: Option<Ref<Account>>,
}

/// A field, a condition, and several expressions.
#[derive(Entity, Clone, Debug)]
#[unique(space, expression = "lower(slug)", expression = "abs(edition)", where = "is_public")]
pub struct Page {
    #[primary_key]
    pub id: i64,
    #[many_to_one]
    pub space: Ref<Space>,
    pub slug: String,
    pub edition: i32,
    #[property(default = true)]
    pub is_public: bool,
}

#[derive(Entity, Clone, Debug)]
pub struct Space {
    #[primary_key]
    pub id: i64,
    pub name: String,
}

/// Expressions that are not understood.
#[derive(Entity, Clone, Debug)]
#[unique(expression = "coalesce(nick, first_name)")]
#[unique(expression = "lower(first_name || ' ' || last_name)")]
pub struct Person {
    #[primary_key]
    pub id: i64,
    pub first_name: String,
    pub last_name: String,
    pub nick: Option<String>,
    #[property(default = 0)]
    pub visits: i32,
}

/// Indexes of the same words, one of the row as a whole, and a field that is called like an option.
#[derive(Entity, Clone, Debug)]
#[index(expression = "name || expression")]
#[index(expression = "(name) || expression")]
#[index(expression = "name || (expression)")]
#[index(properties(expression), expression = "(length(name) > 1)")]
#[unique(expression = "hash_record(odd) /* of all */")]
pub struct Odd {
    #[primary_key]
    pub id: i64,
    pub name: String,
    pub expression: String,
}

#[derive(Entity, Clone, Debug)]
pub struct Visit {
    #[primary_key]
    pub id: i64,
    #[many_to_one]
    pub person: Ref<Person>,
}

async fn accounts_of(names: &[&str]) -> (Fixture, EntityManager, Vec<Managed<Account>>) {
    let fixture = Fixture::new(entities![Account]).await;
    let em = fixture.em();
    let accounts = names.iter().map(|name| {
        em.persist(NewAccount { email: (*name).into() }.with(|account| account.nick = Some((*name).into())))
    });
    let accounts = accounts.collect();
    em.flush().await.unwrap();
    fixture.forget();
    (fixture, em, accounts)
}

fn person(em: &EntityManager, nick: Option<&str>, first_name: &str, last_name: &str) -> Managed<Person> {
    let person = NewPerson { first_name: first_name.into(), last_name: last_name.into() };
    em.persist(person.with(|person| person.nick = nick.map(Into::into)))
}

const EMAILS: &str = "SELECT string_agg(email, ' ' ORDER BY id) FROM account";
const NAMES: &str = "SELECT coalesce(nick, '~'), first_name, last_name FROM person ORDER BY id";

#[tokio::test]
async fn the_schema_has_indexes_of_expressions_behind_the_columns() {
    let fixture = Fixture::new(entities![Account, Page, Space, Person]).await;
    let indexes =
        "SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' AND indexname !~ 'pkey' ORDER BY indexname";
    assert_eq!(
        fixture.rows(indexes).await,
        [
            "CREATE INDEX account_lower_city_index ON public.account USING btree (lower(city)) WHERE (city <> ''::text)",
            "CREATE UNIQUE INDEX account_lower_email_unique ON public.account USING btree (lower(email))",
            "CREATE INDEX account_sponsor_id_index ON public.account USING btree (sponsor_id)",
            "CREATE UNIQUE INDEX nicks ON public.account USING btree (TRIM(BOTH FROM upper(nick)))",
            "CREATE INDEX page_space_id_index ON public.page USING btree (space_id)",
            "CREATE UNIQUE INDEX page_space_id_lower_slug_abs_edition_unique ON public.page USING btree (space_id, \
             lower(slug), abs(edition)) WHERE is_public",
            "CREATE UNIQUE INDEX person_coalesce_nick_first_name_unique ON public.person USING btree \
             (COALESCE(nick, first_name))",
            "CREATE UNIQUE INDEX person_lower_first_name_last_name_unique ON public.person USING btree \
             (lower(((first_name || ' '::text) || last_name)))",
        ]
    );
}

#[tokio::test]
async fn names_that_are_made_of_expressions_are_all_different() {
    let fixture = Fixture::new(entities![Odd]).await;
    let script = fixture.orm.schema().create_sql();
    for index in [
        r#"CREATE INDEX "odd_name_expression_index" ON "odd" ((name || expression))"#,
        r#"CREATE INDEX "odd_name_expression_2_index" ON "odd" (((name) || expression))"#,
        r#"CREATE INDEX "odd_name_expression_3_index" ON "odd" ((name || (expression)))"#,
        r#"CREATE INDEX "odd_expression_length_name_index" ON "odd" ("expression", ((length(name) > 1)))"#,
        r#"CREATE UNIQUE INDEX "odd_hash_record_odd_unique" ON "odd" ((hash_record(odd) /* of all */))"#,
    ] {
        assert!(script.contains(index), "{script}");
    }
    // Of the row as a whole, any column may be the one: what changes lets go first.
    let em = fixture.em();
    let odd = em.persist(NewOdd { name: "a".into(), expression: "b".into() });
    em.flush().await.unwrap();
    fixture.forget();
    odd.write().name = "c".into();
    em.persist(NewOdd { name: "a".into(), expression: "b".into() });
    em.flush().await.unwrap();
    assert_eq!(heads(&fixture), ["UPDATE odd", "INSERT odd"]);
}

#[tokio::test]
async fn c6_a_deleted_row_gives_the_value_of_an_expression_to_a_new_one() {
    let (fixture, em, accounts) = accounts_of(&["ann", "bea"]).await;
    em.remove(&accounts[0]);
    em.persist(NewAccount { email: "ANN".into() }.with(|account| account.nick = Some(" Ann".into())));
    let summary = em.flush().await.unwrap();
    assert_eq!((summary.inserted, summary.deleted, summary.statements, summary.round_trips), (1, 1, 2, 1));
    assert_eq!(heads(&fixture), ["DELETE account", "INSERT account"]);
    assert_eq!(fixture.rows(EMAILS).await, ["bea ANN"]);

    // The same as the server sees it, and not by what is compared here.
    let fixture = Fixture::new(entities![Person]).await;
    let em = fixture.em();
    let old = person(&em, None, "Ann", "Lee");
    em.flush().await.unwrap();
    fixture.forget();
    em.remove(&old);
    person(&em, Some("Ann"), "Anna", "Lee");
    let summary = em.flush().await.unwrap();
    assert_eq!((summary.statements, summary.round_trips), (2, 1));
    assert_eq!(heads(&fixture), ["DELETE person", "INSERT person"]);
    assert_eq!(fixture.rows(NAMES).await, ["Ann|Anna|Lee"]);
}

#[tokio::test]
async fn c6_updates_let_go_before_new_rows_take_and_deletes_before_updates_take() {
    let (fixture, em, accounts) = accounts_of(&["ann", "bea", "cat"]).await;
    accounts[0].write().email = "ann.old".into();
    accounts[1].write().city = "Rome".into();
    em.persist(NewAccount { email: "Ann".into() });
    let summary = em.flush().await.unwrap();
    assert_eq!((summary.inserted, summary.updated, summary.round_trips), (1, 2, 1));
    // What does not touch the index has its usual place.
    assert_eq!(heads(&fixture), ["UPDATE account", "INSERT account", "UPDATE account"]);
    em.remove(&accounts[1]);
    accounts[2].write().email = "BEA".into();
    assert_eq!(em.flush().await.unwrap().round_trips, 1);
    assert_eq!(heads(&fixture), ["DELETE account", "UPDATE account"]);
    assert_eq!(fixture.rows(EMAILS).await, ["ann.old BEA Ann"]);

    // Where the values are only known to the server.
    let fixture = Fixture::new(entities![Person]).await;
    let em = fixture.em();
    let (ann, bea, cat) = (person(&em, None, "Ann", "A"), person(&em, None, "Bea", "B"), person(&em, None, "Cat", "C"));
    em.flush().await.unwrap();
    fixture.forget();
    ann.write().nick = Some("Annie".into());
    bea.write().visits = 1;
    person(&em, Some("Ann"), "Dee", "D");
    assert_eq!(em.flush().await.unwrap().round_trips, 1);
    assert_eq!(heads(&fixture), ["UPDATE person", "INSERT person", "UPDATE person"]);
    em.remove(&bea);
    cat.write().nick = Some("Bea".into());
    assert_eq!(em.flush().await.unwrap().round_trips, 1);
    assert_eq!(heads(&fixture), ["DELETE person", "UPDATE person"]);
    // All three: one goes, one lets go and takes, one comes.
    em.remove(&ann);
    cat.write().nick = Some("annie".into());
    person(&em, Some("Bea"), "Eve", "A");
    let summary = em.flush().await.unwrap();
    assert_eq!((summary.inserted, summary.updated, summary.deleted, summary.round_trips), (1, 1, 1, 1));
    assert_eq!(heads(&fixture), ["DELETE person", "UPDATE person", "INSERT person"]);
    assert_eq!(fixture.rows(NAMES).await, ["annie|Cat|C", "Ann|Dee|D", "Bea|Eve|A"]);
}

#[tokio::test]
async fn c6_rows_that_take_nothing_have_their_usual_place() {
    let fixture = Fixture::new(entities![Page, Space]).await;
    let em = fixture.em();
    let space = em.persist(NewSpace { name: "one".into() });
    let page = |slug: &str, is_public| {
        let page = NewPage { space: space.to_ref(), slug: slug.into(), edition: 1 };
        em.persist(page.with(|page| page.is_public = is_public))
    };
    let (home, draft) = (page("home", true), page("home", false));
    em.flush().await.unwrap();
    fixture.forget();
    // Not under the index: one that comes, and then one that goes.
    page("home", false);
    em.remove(&home);
    em.flush().await.unwrap();
    assert_eq!(heads(&fixture), ["INSERT page", "DELETE page"]);
    page("HOME", true);
    em.remove(&draft);
    em.flush().await.unwrap();
    assert_eq!(heads(&fixture), ["INSERT page", "DELETE page"]);
    let rows = "SELECT slug, is_public FROM page ORDER BY id";
    assert_eq!(fixture.rows(rows).await, ["home|f", "HOME|t"]);
}

#[tokio::test]
async fn c8_a_chain_goes_from_the_free_end() {
    let (fixture, em, accounts) = accounts_of(&["ann", "bea", "cat"]).await;
    for (account, email) in accounts.iter().zip(["Bea", "Cat", "Dee"]) {
        account.write().email = email.into();
    }
    em.persist(NewAccount { email: "ANN".into() });
    let summary = em.flush().await.unwrap();
    assert_eq!((summary.updated, summary.statements, summary.round_trips), (3, 4, 1));
    assert_eq!(heads(&fixture), ["UPDATE account", "UPDATE account", "UPDATE account", "INSERT account"]);
    assert_eq!(fixture.rows(EMAILS).await, ["Bea Cat Dee ANN"]);
    // Expressions that are not understood, by their columns.
    let fixture = Fixture::new(entities![Person]).await;
    let em = fixture.em();
    let people = ["a", "b", "c"].map(|name| person(&em, Some(name), "Ann", name));
    em.flush().await.unwrap();
    fixture.forget();
    for (person, name) in people.iter().zip(["B", "C", "D"]) {
        person.write().last_name = name.into();
    }
    let summary = em.flush().await.unwrap();
    assert_eq!((summary.updated, summary.statements, summary.round_trips), (3, 3, 1));
    assert_eq!(fixture.rows(NAMES).await, ["a|Ann|B", "b|Ann|C", "c|Ann|D"]);
}

#[tokio::test]
async fn c8_an_exchange_is_parked_or_refused() {
    let (fixture, em, accounts) = accounts_of(&["ann", "bea"]).await;
    let [ann, bea] = &*accounts else { panic!() };
    ann.write().nick = Some("Bea".into());
    bea.write().nick = Some("Ann".into());
    let summary = em.flush().await.unwrap();
    assert_eq!((summary.updated, summary.statements, summary.round_trips), (2, 2, 1), "parked, then written");
    assert!(fixture.statements()[0].contains(r#"SET "nick" = NULL"#));
    assert_eq!(fixture.rows("SELECT nick FROM account ORDER BY id").await, ["Bea", "Ann"]);
    // What must not be NULL cannot be parked: nothing is sent.
    ann.write().email = "bea".into();
    bea.write().email = "ann".into();
    let error = em.flush().await.unwrap_err();
    let Error::UnresolvableUniqueSwap { constraint, mut entities } = error else { panic!("{error}") };
    entities.sort_unstable();
    assert_eq!((&*constraint, &*entities.join(" ")), ("account_lower_email_unique", "Account#1 Account#2"));
    assert_eq!(fixture.statements(), Vec::<String>::new());
    // In another spelling they are the server's to judge, whose error names the field.
    ann.write().email = "BEA".into();
    bea.write().email = "ANN".into();
    let error = em.flush().await.unwrap_err();
    let Error::UniqueViolation { entity, properties, constraint, columns, .. } = error else { panic!("{error}") };
    assert_eq!((entity, properties, &*constraint), (Some("Account"), vec!["email"], "account_lower_email_unique"));
    assert_eq!(*columns, ["email"]);
    // Repaired, it goes.
    bea.write().email = "Cat".into();
    assert_eq!(em.flush().await.unwrap().statements, 2);
    assert_eq!(fixture.rows(EMAILS).await, ["BEA Cat"]);
}

#[tokio::test]
async fn c6_fields_and_conditions_are_part_of_the_value() {
    let fixture = Fixture::new(entities![Page, Space]).await;
    let em = fixture.em();
    let spaces = ["one", "two"].map(|name| em.persist(NewSpace { name: name.into() }));
    let page = |space: usize, slug: &str, edition| {
        em.persist(NewPage { space: spaces[space].to_ref(), slug: slug.into(), edition })
    };
    let (one, two) = (page(0, "home", 1), page(1, "home", 1));
    em.flush().await.unwrap();
    fixture.forget();
    // It leaves the index, and another one comes; then one from the other space takes its place.
    one.write().is_public = false;
    let three = page(0, "HOME", -1);
    assert_eq!(em.flush().await.unwrap().round_trips, 1);
    assert_eq!(heads(&fixture), ["UPDATE page", "INSERT page"]);
    em.remove(&three);
    two.write().space = spaces[0].to_ref();
    assert_eq!(em.flush().await.unwrap().round_trips, 1);
    assert_eq!(heads(&fixture), ["DELETE page", "UPDATE page"]);
    let rows = "SELECT space_id, slug, is_public FROM page ORDER BY id";
    assert_eq!(fixture.rows(rows).await, ["1|home|f", "1|home|t"]);
    // Taken: the error names all fields.
    page(0, "Home", -1);
    let Error::UniqueViolation { entity, properties, columns, .. } = em.flush().await.unwrap_err() else { panic!() };
    assert_eq!((entity, properties), (Some("Page"), vec!["space", "slug", "edition"]));
    assert_eq!(*columns, ["space_id", "slug", "edition"]);
}

#[tokio::test]
async fn c4_any_number_of_rows_that_go_and_come_is_two_statements() {
    let fixture = Fixture::new(entities![Person]).await;
    let em = fixture.em();
    let name = |number: usize| number.to_string();
    let people: Vec<_> = (0..2000).map(|number| person(&em, Some(&name(number)), "Ann", &name(number))).collect();
    em.flush().await.unwrap();
    fixture.forget();
    em.remove(&people[..1000]);
    for number in 0..1000 {
        person(&em, None, &name(number), &name(number));
    }
    let summary = em.flush().await.unwrap();
    assert_eq!((summary.inserted, summary.deleted, summary.statements, summary.round_trips), (1000, 1000, 2, 1));
    assert_eq!(heads(&fixture), ["DELETE person", "INSERT person"]);
    // And with as many that are updated.
    em.remove(em.find::<Person>().filter(|person| person.nick().is_null()).await.unwrap());
    for (number, person) in people[1000..].iter().enumerate() {
        person.write().nick = Some(format!("{number}"));
    }
    for number in 1000..2000 {
        person(&em, None, &name(number), &name(number));
    }
    fixture.forget();
    let summary = em.flush().await.unwrap();
    assert_eq!((summary.deleted, summary.updated, summary.inserted), (1000, 1000, 1000));
    assert_eq!((summary.statements, summary.round_trips), (3, 1));
    assert_eq!(heads(&fixture), ["DELETE person", "UPDATE person", "INSERT person"]);
    let rows = "SELECT count(DISTINCT coalesce(nick, first_name)), count(nick) FROM person";
    assert_eq!(fixture.rows(rows).await, ["2000|1000"]);
}

#[tokio::test]
async fn c6_rows_that_are_removed_by_their_keys_make_room_for_values_of_expressions() {
    let (fixture, em, accounts) = accounts_of(&["ann", "bea", "cat"]).await;
    let em_two = fixture.em();
    let cat = em_two.find_one_or_fail::<Account>(accounts[2].id(), ()).await.unwrap();
    fixture.forget();
    em_two.remove(em_two.get_reference::<Account>(accounts[0].id()));
    em_two.remove(em_two.get_reference::<Account>(accounts[1].id()));
    cat.write().email = "BEA".into();
    em_two.persist(NewAccount { email: "ANN".into() });
    let summary = em_two.flush().await.unwrap();
    assert_eq!((summary.inserted, summary.updated, summary.deleted, summary.round_trips), (1, 1, 2, 1));
    assert_eq!(heads(&fixture), ["DELETE account", "UPDATE account", "INSERT account"]);
    assert_eq!(fixture.rows(EMAILS).await, ["BEA ANN"]);
    drop(em);
}

#[tokio::test]
async fn c6_an_order_that_is_only_better_is_given_up_in_a_circle() {
    let fixture = Fixture::new(entities![Person, Visit]).await;
    let em = fixture.em();
    let (ann, bea) = (person(&em, None, "Ann", "A"), person(&em, None, "Bea", "B"));
    let visit = em.persist(NewVisit { person: ann.to_ref() });
    em.flush().await.unwrap();
    fixture.forget();
    // The visit leaves Ann before she goes, for somebody who comes: she cannot go first. Others can.
    em.remove(&ann);
    em.remove(&bea);
    let cat = person(&em, None, "Cat", "C");
    visit.write().person = cat.to_ref();
    person(&em, Some("Bea"), "Dee", "D");
    let summary = em.flush().await.unwrap();
    assert_eq!((summary.inserted, summary.updated, summary.deleted), (2, 1, 2));
    assert_eq!(heads(&fixture), ["DELETE person", "INSERT person", "UPDATE visit", "DELETE person"]);
    assert_eq!(fixture.rows(NAMES).await, ["~|Cat|C", "Bea|Dee|D"]);
    assert_eq!(fixture.rows("SELECT first_name FROM visit JOIN person p ON p.id = person_id").await, ["Cat"]);
    // One that changes its nick refers to somebody who comes, and so cannot let go first.
    let (fixture, em, accounts) = accounts_of(&["ann"]).await;
    let sponsored_by = |nick: &str, email: &str| {
        let new = em.persist(NewAccount { email: email.into() }.with(|account| account.nick = Some(nick.into())));
        accounts[0].write().sponsor = Some(new.to_ref());
    };
    accounts[0].write().nick = Some("ann two".into());
    sponsored_by("bea", "bea");
    assert_eq!(em.flush().await.unwrap().round_trips, 2);
    assert_eq!(heads(&fixture), ["INSERT account", "UPDATE account"]);
    // What probably is the same value is parked.
    accounts[0].write().nick = Some("ann three".into());
    sponsored_by("ANN TWO ", "cat");
    assert_eq!(em.flush().await.unwrap().round_trips, 2);
    assert_eq!(heads(&fixture), ["UPDATE account", "INSERT account", "UPDATE account"]);
    let rows = "SELECT nick, sponsor_id FROM account ORDER BY id";
    assert_eq!(fixture.rows(rows).await, ["ann three|3", "bea|~", "ANN TWO |~"]);
    // What is the same value has to go first: the reference, which may be NULL, is parked.
    for email in ["ann", "Ann"] {
        let (fixture, em, accounts) = accounts_of(&["ann", "bea"]).await;
        accounts[1].write().sponsor = Some(accounts[0].to_ref());
        em.flush().await.unwrap();
        fixture.forget();
        let new = em.persist(NewAccount { email: email.into() });
        accounts[1].write().sponsor = Some(new.to_ref());
        em.remove(&accounts[0]);
        let summary = em.flush().await.unwrap();
        assert_eq!((summary.inserted, summary.updated, summary.deleted, summary.round_trips), (1, 1, 1, 2));
        assert_eq!(heads(&fixture), ["UPDATE account", "DELETE account", "INSERT account", "UPDATE account"]);
        let rows = "SELECT lower(email), sponsor_id FROM account ORDER BY id";
        assert_eq!(fixture.rows(rows).await, ["bea|3", "ann|~"]);
    }
}

#[tokio::test]
async fn an_index_over_expressions_is_no_key_for_upserts() {
    let fixture = Fixture::new(entities![Page, Space, Account]).await;
    let em = fixture.em();
    let space = em.persist(NewSpace { name: "one".into() });
    em.flush().await.unwrap();
    fixture.forget();
    let page = || NewPage { space: space.to_ref(), slug: "home".into(), edition: 1 };
    let error = em.upsert(page()).await.unwrap_err();
    assert!(error.to_string().contains("no conflict can be found"), "{error}");
    let error = em.upsert(page()).on_constraint("page_space_id_lower_slug_abs_edition_unique").await.unwrap_err();
    assert!(error.to_string().contains("is a unique index over expressions"), "{error}");
    assert_eq!(fixture.statements(), Vec::<String>::new());
    // Of the columns alone it says nothing: the server is asked, and knows no such constraint.
    let error = em.upsert(page()).on_conflict(|page| page.space()).await.unwrap_err();
    assert_eq!(error.sqlstate(), Some("42P10"));
}
