//! Tables that do not take rows as they are: triggers, rules, views, partitions.

use super::*;

/// The database makes its key.
#[derive(Entity, Clone, Debug)]
pub struct Event {
    #[primary_key]
    pub id: i64,
    pub name: String,
    #[property(default_sql = "clock_timestamp()")]
    pub at: DateTime<Utc>,
}

/// Its key is known beforehand.
#[derive(Entity, Clone, Debug)]
pub struct Entry {
    #[primary_key]
    pub id: Uuid,
    pub name: String,
    pub year: Option<i32>,
    #[version]
    pub version: i32,
}

async fn logs(sql: &str) -> Fixture {
    let fixture = Fixture::new(entities![Event, Entry]).await;
    fixture.database.execute(sql).await.unwrap();
    fixture
}

/// A trigger of both tables that runs before each row of this operation.
fn trigger(operation: &str, body: &str) -> String {
    format!(
        "CREATE FUNCTION meddle() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {body} END $$; \
         CREATE TRIGGER meddle BEFORE {operation} ON event FOR EACH ROW EXECUTE FUNCTION meddle(); \
         CREATE TRIGGER meddle BEFORE {operation} ON entry FOR EACH ROW EXECUTE FUNCTION meddle()"
    )
}

const COUNTS: &str = "SELECT (SELECT count(*) FROM event), (SELECT count(*) FROM entry)";

#[tokio::test]
async fn c5_rows_that_are_not_inserted_are_an_error_every_time() {
    let suppress = trigger("INSERT", "IF NEW.name = 'no' THEN RETURN NULL; END IF; RETURN NEW;");
    let fixture = logs(&suppress).await;
    for round in 0..3 {
        let em = fixture.em();
        // First something else, so that the tables are known from the second round on.
        em.persist(NewEvent { name: "yes".into() });
        em.persist(NewEntry { name: "yes".into() });
        em.flush().await.unwrap();
        let there = fixture.rows(COUNTS).await;
        let event = em.persist(NewEvent { name: "no".into() });
        assert!(matches!(em.flush().await.unwrap_err(), Error::Validation { entity: Some("Event"), .. }));
        assert_eq!((event.state(), event.id()), (EntityState::New, 0));
        event.write().name = "yes".into();
        let entry = em.persist(NewEntry { name: "no".into() });
        em.persist(NewEntry { name: "yes".into() });
        let error = em.flush().await.unwrap_err();
        assert!(matches!(error, Error::Validation { entity: Some("Entry"), .. }), "{error}");
        assert_eq!(fixture.rows(COUNTS).await, there, "round {round}");
        entry.write().name = "yes".into();
        assert_eq!(em.flush().await.unwrap().inserted, 3);
    }
    assert_eq!(fixture.rows(COUNTS).await, ["6|9"]);
}

#[tokio::test]
async fn c5_values_that_a_trigger_changes_do_not_mix_rows_up() {
    let fixture = logs(&trigger("INSERT", "NEW.name := upper(NEW.name); RETURN NEW;")).await;
    for round in 0..3 {
        let em = fixture.em();
        let events: Vec<_> = (0..20).map(|n| em.persist(NewEvent { name: format!("r{round} e{n}") })).collect();
        let entries: Vec<_> = (0..20).map(|n| em.persist(NewEntry { name: format!("r{round} n{n}") })).collect();
        em.flush().await.unwrap();
        let names = fixture.rows("SELECT id, name FROM event UNION ALL SELECT NULL, name || id FROM entry").await;
        for event in &events {
            let row = format!("{}|{}", event.id(), event.read().name.to_uppercase());
            assert!(names.contains(&row), "{row}");
        }
        for entry in &entries {
            let row = format!("~|{}{}", entry.read().name.to_uppercase(), entry.id());
            assert!(names.contains(&row), "{row}");
        }
    }
}

#[tokio::test]
async fn c5_keys_that_a_trigger_changes_are_right_or_an_error() {
    let other_key = "IF TG_TABLE_NAME = 'event' THEN NEW.id := NEW.id + 1000; ELSE NEW.id := gen_random_uuid(); END IF; \
                     RETURN NEW;";
    let fixture = logs(&trigger("INSERT", other_key)).await;
    for _ in 0..2 {
        let em = fixture.em();
        let one = em.persist(NewEvent { name: "one".into() });
        em.flush().await.unwrap();
        assert!(one.id() > 1000, "the key comes back from the INSERT");
        let there = fixture.rows(COUNTS).await;
        // Several rows could not be told apart; keys that were given are not used.
        let events = ["a", "b", "c"].map(|name| em.persist(NewEvent { name: name.into() }));
        let error = em.flush().await.unwrap_err();
        assert!(matches!(error, Error::Validation { entity: Some("Event"), .. }), "{error}");
        em.remove(events);
        em.persist(NewEntry { name: "x".into() });
        let error = em.flush().await.unwrap_err();
        assert!(matches!(error, Error::Validation { entity: Some("Entry"), .. }), "{error}");
        assert_eq!(fixture.rows(COUNTS).await, there);
    }
}

#[tokio::test]
async fn c9_rows_that_a_trigger_keeps_from_being_changed_are_named() {
    let keep =
        "IF OLD.name LIKE 'kept%' THEN RETURN NULL; END IF; IF TG_OP = 'DELETE' THEN RETURN OLD; END IF; RETURN NEW;";
    let fixture = logs(&trigger("UPDATE OR DELETE", keep)).await;
    let em = fixture.em();
    let names = ["kept", "free", "kept too", "free too"];
    let entries = names.map(|name| em.persist(NewEntry { name: name.into() }));
    let event = em.persist(NewEvent { name: "kept".into() });
    em.flush().await.unwrap();
    let before = fixture.rows("SELECT name, year, version FROM entry ORDER BY id").await;
    entries.iter().for_each(|entry| entry.write().year = Some(1));
    let error = em.flush().await.unwrap_err();
    let mut expected = [0, 2].map(|index: usize| format!("Entry#{}", entries[index].id()));
    expected.sort_unstable();
    assert_eq!(stale(&error), expected);
    em.remove(entries);
    em.remove(&event);
    em.flush().await.unwrap_err();
    assert_eq!(fixture.rows("SELECT name, year, version FROM entry ORDER BY id").await, before);
    assert_eq!(fixture.rows(COUNTS).await, ["1|4"]);
}

#[tokio::test]
async fn c5_rules_are_an_error_and_nothing_is_committed() {
    let rules = "CREATE TABLE copy (name text); \
                 CREATE RULE twice AS ON INSERT TO event DO ALSO INSERT INTO copy VALUES (NEW.name); \
                 CREATE RULE never AS ON INSERT TO entry DO INSTEAD NOTHING";
    let fixture = logs(rules).await;
    for _ in 0..2 {
        let em = fixture.em();
        let entry = em.persist(NewEntry { name: "x".into() });
        assert_eq!(em.flush().await.unwrap_err().sqlstate(), Some("0A000"));
        em.remove(&entry);
        em.persist(NewEvent { name: "x".into() });
        assert_eq!(em.flush().await.unwrap_err().sqlstate(), Some("0A000"));
    }
    assert_eq!(fixture.rows(COUNTS).await, ["0|0"]);
    assert_eq!(fixture.rows("SELECT count(*) FROM copy").await, ["0"]);
}

#[tokio::test]
async fn an_entity_may_be_a_view() {
    // One that the server can write to by itself, and one that needs a trigger.
    let simple =
        "ALTER TABLE entry RENAME TO entries; CREATE VIEW entry AS SELECT * FROM entries WHERE name <> 'hidden'";
    let with_trigger = "CREATE FUNCTION divert() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
         IF TG_OP = 'INSERT' THEN \
           IF NEW.name = 'no' THEN RETURN NULL; END IF; \
           INSERT INTO entries VALUES (NEW.*); RETURN NEW; \
         ELSIF TG_OP = 'UPDATE' THEN \
           UPDATE entries SET name = NEW.name, year = NEW.year, version = NEW.version WHERE id = OLD.id; RETURN NEW; \
         ELSE DELETE FROM entries WHERE id = OLD.id; RETURN OLD; END IF; END $$; \
         CREATE TRIGGER divert INSTEAD OF INSERT OR UPDATE OR DELETE ON entry FOR EACH ROW EXECUTE FUNCTION divert()";
    for sql in [simple.to_owned(), format!("{simple}; {with_trigger}")] {
        let fixture = logs(&sql).await;
        let em = fixture.em();
        let entries = ["a", "b", "c"].map(|name| em.persist(NewEntry { name: name.into() }));
        assert_eq!(em.flush().await.unwrap().inserted, 3);
        entries[0].write().year = Some(1);
        em.remove(&entries[1]);
        em.persist(NewEntry { name: "d".into() });
        em.flush().await.unwrap();
        let rows = "SELECT name, year, version FROM entries ORDER BY name";
        assert_eq!(fixture.rows(rows).await, ["a|1|2", "c|~|1", "d|~|1"]);
        fixture.database.execute("UPDATE entries SET version = 9 WHERE name = 'c'").await.unwrap();
        entries[0].write().year = Some(2);
        entries[2].write().year = Some(2);
        let error = em.flush().await.unwrap_err();
        assert_eq!(stale(&error), [format!("Entry#{}", entries[2].id())]);
        assert_eq!(fixture.rows(rows).await, ["a|1|2", "c|~|9", "d|~|1"]);
    }
    let fixture = logs(&format!("{simple}; {with_trigger}")).await;
    let em = fixture.em();
    em.persist(["yes", "no"].map(|name| NewEntry { name: name.into() }));
    assert!(matches!(em.flush().await.unwrap_err(), Error::Validation { entity: Some("Entry"), .. }));
    assert_eq!(fixture.rows("SELECT count(*) FROM entries").await, ["0"]);
}

#[tokio::test]
async fn an_entity_may_be_a_partitioned_table() {
    let partitions = "DROP TABLE entry; \
         CREATE TABLE entry (id uuid, name text NOT NULL, year integer, version integer NOT NULL) PARTITION BY RANGE (year); \
         CREATE TABLE old PARTITION OF entry FOR VALUES FROM (1900) TO (2000); \
         CREATE TABLE new PARTITION OF entry FOR VALUES FROM (2000) TO (2100)";
    let fixture = logs(partitions).await;
    let em = fixture.em();
    let entry = |year| em.persist(NewEntry { name: "e".into() }.with(|entry| entry.year = Some(year)));
    let entries = [1950, 1960, 2050, 2060].map(entry);
    for _ in 0..2 {
        em.flush().await.unwrap();
        entry(1990);
    }
    let counts = "SELECT (SELECT count(*) FROM old), (SELECT count(*) FROM new)";
    assert_eq!(fixture.rows(counts).await, ["3|2"]);
    // A row moves to the other partition; one goes.
    entries[0].write().year = Some(2000);
    em.remove(&entries[3]);
    let summary = em.flush().await.unwrap();
    assert_eq!((summary.inserted, summary.updated, summary.deleted), (1, 1, 1));
    assert_eq!(fixture.rows(counts).await, ["3|2"]);
    assert_eq!(fixture.rows("SELECT year FROM entry WHERE version = 2").await, ["2000"]);
    // There is no partition for it: everything stays as it was, and can be repaired.
    entries[1].write().year = Some(2);
    entries[2].write().name = "changed".into();
    assert_eq!(em.flush().await.unwrap_err().sqlstate(), Some("23514"));
    assert_eq!(fixture.rows("SELECT count(*) FROM entry WHERE name = 'changed'").await, ["0"]);
    entries[1].write().year = Some(1961);
    fixture.database.execute("UPDATE entry SET version = 7 WHERE year = 2050").await.unwrap();
    let error = em.flush().await.unwrap_err();
    assert_eq!(stale(&error), [format!("Entry#{}", entries[2].id())]);
}
