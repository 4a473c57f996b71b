//! Users who may insert but may not take from the sequences of the keys (rules C2 and C7).

use super::trees::{Folder, NewFolder};
use super::*;
use howdah::StatementLog;

#[derive(Entity, Clone, Debug)]
pub struct Author {
    #[primary_key]
    pub id: i64,
    pub name: String,
    #[many_to_one]
    pub mentor: Option<Ref<Author>>,
}

#[derive(Entity, Clone, Debug)]
pub struct Book {
    #[primary_key]
    pub id: i64,
    pub title: String,
    #[many_to_one]
    pub author: Ref<Author>,
    #[many_to_many]
    pub readers: Collection<Author>,
}

/// A shop is kept by somebody, who belongs to it.
#[derive(Entity, Clone, Debug)]
pub struct Shop {
    #[primary_key]
    pub id: i64,
    #[property(unique)]
    pub name: String,
    #[version]
    pub version: i32,
    #[many_to_one]
    pub keeper: Option<Ref<Keeper>>,
}

#[derive(Entity, Clone, Debug)]
pub struct Keeper {
    #[primary_key]
    pub id: i64,
    pub name: String,
    #[many_to_one]
    pub shop: Ref<Shop>,
}

/// A clerk may read and write all rows, but has no USAGE on any sequence.
async fn clerk() -> (Fixture, Orm, StatementLog, String) {
    let fixture = Fixture::new(entities![Author, Book, Folder, Shop, Keeper]).await;
    let clerk = format!("clerk_of_{}", fixture.rows("SELECT current_database()").await[0]);
    let grants = format!(
        "CREATE ROLE \"{clerk}\" LOGIN; GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO \"{clerk}\""
    );
    fixture.database.execute(&grants).await.unwrap();
    let log = StatementLog::new();
    let builder = Orm::builder().url(fixture.database.url()).user(&clerk).statement_log(&log);
    let orm = builder.entities(entities![Author, Book, Folder, Shop, Keeper]).connect().await.unwrap();
    (fixture, orm, log, clerk)
}

#[tokio::test]
async fn c2_rows_are_inserted_level_by_level() {
    let (fixture, orm, log, _) = clerk().await;
    let em = orm.em();
    let graph = |em: &EntityManager, name: &str| {
        let author = em.create(NewAuthor { name: name.into() });
        let pupil = em.create(NewAuthor { name: format!("{name}'s pupil") });
        pupil.write().mentor = Some(author.to_ref());
        let book = em.persist(NewBook { title: name.into(), author: pupil.to_ref() });
        book.write().readers.add(&author);
        (author, book)
    };
    let (author, book) = graph(&em, "Ann");
    let summary = em.flush().await.unwrap();
    // The question for keys, which is refused; mentors; pupils; books; readers.
    assert_eq!((summary.inserted, summary.round_trips), (3, 5));
    assert_eq!(log.round_trips(), 5);
    assert_eq!(author.read().id, author.id());
    // The second time nobody asks.
    log.clear();
    graph(&em, "Bea");
    let summary = em.flush().await.unwrap();
    assert_eq!((summary.inserted, summary.statements, summary.round_trips), (3, 4, 4));
    let rows = "SELECT title, a.name, m.name, r.name FROM book JOIN author a ON a.id = author_id JOIN author m \
                ON m.id = a.mentor_id JOIN book_readers br ON br.book_id = book.id JOIN author r ON r.id = br.author_id \
                ORDER BY 1";
    assert_eq!(fixture.rows(rows).await, ["Ann|Ann's pupil|Ann|Ann", "Bea|Bea's pupil|Bea|Bea"]);
    assert_eq!(book.read().author.get().unwrap().read().mentor, Some(author.to_ref()));
    // One level needs no keys beforehand.
    em.persist(NewAuthor { name: "Cat".into() });
    assert_eq!(em.flush().await.unwrap().round_trips, 1);
}

#[tokio::test]
async fn c7_in_a_circle_a_reference_that_may_be_null_is_written_last() {
    let (fixture, orm, log, _) = clerk().await;
    let em = orm.em();
    let pair = |names: [&str; 2]| {
        let [one, two] = names.map(|name| em.persist(NewAuthor { name: name.into() }));
        one.write().mentor = Some(two.to_ref());
        two.write().mentor = Some(one.to_ref());
        (one, two)
    };
    pair(["Ann", "Bea"]);
    let summary = em.flush().await.unwrap();
    // The question for keys, which is refused; one of them; the other one; the reference of the first.
    assert_eq!((summary.inserted, summary.statements, summary.round_trips), (2, 4, 4));
    assert_eq!(log.round_trips(), 4);
    log.clear();
    let (one, two) = pair(["Cat", "Dan"]);
    let summary = em.flush().await.unwrap();
    assert_eq!((summary.inserted, summary.updated, summary.statements, summary.round_trips), (2, 0, 3, 3));
    let sent = log.take();
    let update = r#"UPDATE "author" AS t0 SET "mentor_id" = s.c0 FROM unnest("#;
    assert!(sent.iter().any(|text| text.starts_with(update)), "{sent:?}");
    let rows = "SELECT a.name, m.name FROM author a JOIN author m ON m.id = a.mentor_id ORDER BY a.name";
    assert_eq!(fixture.rows(rows).await, ["Ann|Bea", "Bea|Ann", "Cat|Dan", "Dan|Cat"]);
    assert_eq!((one.read().mentor.clone(), two.read().mentor.clone()), (Some(two.to_ref()), Some(one.to_ref())));
    assert_eq!(em.flush().await.unwrap(), FlushSummary::default());
    // To itself is a circle, too.
    let own = em.persist(NewAuthor { name: "own".into() });
    own.write().mentor = Some(own.to_ref());
    let summary = em.flush().await.unwrap();
    assert_eq!((summary.inserted, summary.statements, summary.round_trips), (1, 2, 2));
    assert_eq!(fixture.rows("SELECT id = mentor_id FROM author WHERE name = 'own'").await, ["t"]);
    assert_eq!(own.read().mentor, Some(own.to_ref()));
}

#[tokio::test]
async fn c7_one_reference_is_enough_for_a_long_circle_and_what_hangs_on_it() {
    let (fixture, orm, log, _) = clerk().await;
    let em = orm.em();
    let ring: Vec<_> = (0..20).map(|number| em.persist(NewAuthor { name: format!("{number}") })).collect();
    for (number, author) in ring.iter().enumerate() {
        author.write().mentor = Some(ring[(number + 1) % 20].to_ref());
        let pupil = em.persist(NewAuthor { name: format!("{}", 100 + number) });
        pupil.write().mentor = Some(author.to_ref());
        let book = em.persist(NewBook { title: "b".into(), author: pupil.to_ref() });
        book.write().readers.add(author);
    }
    em.flush().await.unwrap();
    let updates = log.take().iter().filter(|text| text.starts_with("UPDATE")).count();
    assert_eq!(updates, 1);
    let wrong = "SELECT a.name, m.name FROM author a LEFT JOIN author m ON m.id = a.mentor_id WHERE m.id IS NULL OR \
                 m.name::int <> CASE WHEN a.name::int < 100 THEN (a.name::int + 1) % 20 ELSE a.name::int - 100 END";
    assert_eq!(fixture.rows(wrong).await, [""; 0]);
    assert_eq!(fixture.rows("SELECT count(*) FROM author").await, ["40"]);
    assert_eq!(fixture.rows("SELECT count(*) FROM book_readers").await, ["20"]);
}

#[tokio::test]
async fn c7_tables_that_refer_to_each_other_go_by_the_reference_that_may_be_null() {
    let (fixture, orm, ..) = clerk().await;
    let em = orm.em();
    let pairs = |names: std::ops::Range<i32>| {
        for number in names {
            let name = format!("{number}");
            let shop = em.persist(NewShop { name: name.clone() });
            let keeper = em.persist(NewKeeper { name, shop: shop.to_ref() });
            shop.write().keeper = Some(keeper.to_ref());
        }
    };
    pairs(0..1);
    em.flush().await.unwrap();
    pairs(1..50);
    let summary = em.flush().await.unwrap();
    // Shops; keepers; who keeps the shops.
    assert_eq!((summary.inserted, summary.statements, summary.round_trips), (98, 3, 3));
    let right = "SELECT count(*), max(s.version) FROM shop s JOIN keeper k ON k.id = s.keeper_id AND k.shop_id = s.id \
                 AND k.name = s.name";
    assert_eq!(fixture.rows(right).await, ["50|1"]);
    // The version is the one that memory has.
    let shop = em.find_one::<Shop>(1, ()).await.unwrap().unwrap();
    shop.write().name = "renamed".into();
    assert_eq!(em.flush().await.unwrap().updated, 1);

    // What fails is undone, and can be mended.
    let shop = em.persist(NewShop { name: "renamed".into() });
    let keeper = em.persist(NewKeeper { name: "k".into(), shop: shop.to_ref() });
    shop.write().keeper = Some(keeper.to_ref());
    let error = em.flush().await.unwrap_err();
    assert!(matches!(error, Error::UniqueViolation { .. }), "{error:?}");
    assert_eq!((shop.read().id, shop.state()), (0, EntityState::New));
    shop.write().name = "k".into();
    assert_eq!(em.flush().await.unwrap().inserted, 2);
    assert_eq!(fixture.rows(right).await, ["50|1"], "the renamed one has another name than its keeper");
}

#[tokio::test]
async fn c7_circles_without_such_a_reference_are_refused_and_the_error_says_what_to_grant() {
    let (fixture, orm, log, clerk) = clerk().await;
    let em = orm.em();
    let folder = |name: &str| em.create(NewFolder { name: name.into(), parent: em.get_reference(0) });
    let (one, two) = (folder("1"), folder("2"));
    one.write().parent = two.to_ref();
    two.write().parent = one.to_ref();
    em.persist(&one);
    for _ in 0..2 {
        let error = em.flush().await.unwrap_err();
        assert!(matches!(&error, Error::Validation { entity: Some("Folder"), .. }), "{error:?}");
        assert!(error.to_string().contains("grant USAGE on the sequences of folder.id"), "{error}");
    }
    let sent = log.take();
    assert!(sent.iter().all(|text| text.contains("nextval")), "only the keys were asked for: {sent:?}");
    em.clear();
    // To itself is a circle, too.
    let own = folder("r");
    own.write().parent = own.to_ref();
    em.persist(&own);
    let error = em.flush().await.unwrap_err();
    assert!(error.to_string().contains("grant USAGE"), "{error}");
    assert_eq!(fixture.rows("SELECT count(*) FROM folder").await, ["0"]);
    // As it says.
    let grant = format!("GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO \"{clerk}\"");
    fixture.database.execute(&grant).await.unwrap();
    let summary = em.flush().await.unwrap();
    assert_eq!((summary.inserted, summary.round_trips), (1, 2));
    assert_eq!(fixture.rows("SELECT id = parent_id FROM folder").await, ["t"]);
}

#[tokio::test]
async fn c2_a_transaction_that_only_flushes_is_begun_again_where_rows_have_to_go_one_by_one() {
    let (fixture, _, _, clerk) = clerk().await;
    // Nothing was there when this one has connected, and then something changes rows.
    fixture.database.execute("ALTER TABLE author RENAME TO elsewhere").await.unwrap();
    let builder = Orm::builder().url(fixture.database.url()).user(&clerk);
    let orm = builder.entities(entities![Author, Book, Folder, Shop, Keeper]).connect().await.unwrap();
    let sql = "ALTER TABLE elsewhere RENAME TO author; CREATE FUNCTION shout() RETURNS trigger LANGUAGE plpgsql AS \
               'BEGIN NEW.name := upper(NEW.name); RETURN NEW; END'; \
               CREATE TRIGGER shout BEFORE INSERT ON author FOR EACH ROW EXECUTE FUNCTION shout()";
    fixture.database.execute(sql).await.unwrap();
    let em = orm.em();
    let book = em.transactional(async |em| {
        let [ann, _] = ["ann", "bea"].map(|name| em.persist(NewAuthor { name: name.into() }));
        Ok::<_, Error>(em.persist(NewBook { title: "t".into(), author: ann.to_ref() }))
    });
    let book = book.await.unwrap();
    assert_eq!(fixture.rows("SELECT title, name FROM book JOIN author ON author.id = author_id").await, ["t|ANN"]);
    assert_eq!(fixture.rows("SELECT name FROM author ORDER BY 1").await, ["ANN", "BEA"]);
    assert_eq!(book.state(), EntityState::Managed);
    assert_eq!(fixture.open_transactions().await, 0);
}
