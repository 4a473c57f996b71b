//! Keys that are changed while foreign keys refer to them that do not follow by themselves: they are written in a legal
//! order, follow as the server has changed them, or the flush says before any SQL why it cannot be.

use crate::support::{Fixture, unguarded};
use howdah::prelude::*;

#[derive(Entity, Clone, Debug)]
pub struct Warehouse {
    #[primary_key(assigned)]
    pub number: i32,
    pub town: String,
    #[version]
    pub version: i32,
    #[one_to_many(mapped_by = emptied)]
    pub emptied: Collection<Pallet>,
}

/// One relation for each rule.
#[derive(Entity, Clone, Debug)]
pub struct Pallet {
    #[primary_key]
    pub id: i64,
    #[many_to_one(on_update = "no_action")]
    pub parked: Option<Ref<Warehouse>>,
    #[many_to_one(on_update = "no_action", deferrable = "initially deferred")]
    pub deferred: Ref<Warehouse>,
    #[many_to_one(on_update = "set_null", inversed_by = emptied)]
    pub emptied: Option<Ref<Warehouse>>,
    #[many_to_one(on_update = "restrict")]
    pub strict: Ref<Warehouse>,
    #[many_to_one(on_update = "set_default")]
    pub unclear: Option<Ref<Warehouse>>,
    #[version]
    pub version: i32,
}

/// A tree: the table refers to itself.
#[derive(Entity, Clone, Debug)]
pub struct Shelf {
    #[primary_key]
    pub label: String,
    #[many_to_one]
    pub above: Option<Ref<Shelf>>,
}

struct Stock {
    fixture: Fixture,
    em: EntityManager,
    one: Managed<Warehouse>,
    two: Managed<Warehouse>,
    pallet: Managed<Pallet>,
}

/// Two warehouses; a pallet that refers to the second one by all its relations, except `parked`.
async fn stock() -> Stock {
    let fixture = Fixture::new(entities![Warehouse, Pallet, Shelf]).await;
    let em = fixture.em();
    let warehouse = |number, town: &str| em.persist(NewWarehouse { number, town: town.into() });
    let (one, two) = (warehouse(1, "Riga"), warehouse(2, "Tallinn"));
    let pallet = em.persist(NewPallet { deferred: two.to_ref(), strict: two.to_ref() });
    em.flush().await.unwrap();
    fixture.forget();
    Stock { fixture, em, one, two, pallet }
}

#[tokio::test]
async fn a_foreign_key_that_may_be_null_is_parked() {
    // C8: NULL, the key, and what it is now.
    let Stock { fixture, em, one, pallet, .. } = stock().await;
    pallet.write().parked = Some(one.to_ref());
    em.flush().await.unwrap();
    fixture.forget();
    one.write().number = 10;
    let summary = em.flush().await.unwrap();
    assert_eq!((summary.updated, summary.statements, summary.round_trips), (2, 3, 1));
    let statements = fixture.statements();
    let statements: Vec<&str> = statements.iter().map(|statement| unguarded(statement)).collect();
    assert!(statements[0].starts_with(r#"UPDATE "pallet" AS t0 SET "parked_number" = NULL"#), "{statements:#?}");
    assert!(statements[1].starts_with(r#"UPDATE "warehouse" AS t0 SET "number" = s.c0"#), "{statements:#?}");
    assert!(statements[2].starts_with(r#"UPDATE "pallet" AS t0 SET "parked_number" = s.c0"#), "{statements:#?}");
    assert_eq!(fixture.rows("SELECT parked_number, version FROM pallet").await, ["10|3"]);
    assert_eq!(pallet.read().parked.as_ref().unwrap().get().unwrap(), one);
    assert_eq!(em.flush().await.unwrap(), FlushSummary::default());
    // What leaves in the same flush need not be parked.
    one.write().number = 11;
    pallet.write().parked = None;
    assert_eq!(em.flush().await.unwrap().statements, 2);
    assert_eq!(fixture.rows("SELECT parked_number, version FROM pallet").await, ["~|4"]);
}

#[tokio::test]
async fn a_deferred_foreign_key_is_written_behind() {
    let Stock { fixture, em, one, two, pallet } = stock().await;
    pallet.write().strict = one.to_ref();
    em.flush().await.unwrap();
    two.write().number = 20;
    let summary = em.flush().await.unwrap();
    assert_eq!((summary.updated, summary.statements, summary.round_trips), (2, 2, 1));
    assert_eq!(fixture.rows("SELECT deferred_number, strict_number FROM pallet").await, ["20|1"]);
    assert_eq!((pallet.read().deferred.id(), two.read().version), (20, 2));
    assert_eq!(em.flush().await.unwrap(), FlushSummary::default());
}

#[tokio::test]
async fn one_that_can_be_written_neither_before_nor_behind_is_named() {
    // C1
    let Stock { fixture, em, one, two, pallet } = stock().await;
    two.write().number = 20;
    let error = em.flush().await.unwrap_err().to_string();
    assert!(error.contains("Warehouse#2 cannot be changed") && error.contains("Pallet.strict"), "{error}");
    assert!(error.contains(r#"on_update = "cascade""#), "{error}");
    assert_eq!(fixture.log.round_trips(), 0);
    // It leaves by the same flush; or is deleted by it.
    pallet.write().strict = one.to_ref();
    em.flush().await.unwrap();
    assert_eq!(fixture.rows("SELECT deferred_number, strict_number FROM pallet").await, ["20|1"]);
    one.write().number = 10;
    em.remove(&pallet);
    em.flush().await.unwrap();
    assert_eq!(fixture.rows("SELECT number FROM warehouse ORDER BY 1").await, ["10", "20"]);
    // A row that has to be written before the key and behind it.
    let other = em.persist(NewPallet { deferred: two.to_ref(), strict: two.to_ref() });
    other.write().parked = Some(two.to_ref());
    em.flush().await.unwrap();
    fixture.forget();
    two.write().number = 30;
    other.write().strict = one.to_ref();
    let error = em.flush().await.unwrap_err().to_string();
    assert!(error.contains("Warehouse#20 was changed") && error.contains("both before and behind"), "{error}");
    assert_eq!(fixture.log.round_trips(), 0);
    other.write().parked = None;
    em.flush().await.unwrap();
    em.remove(&other);
    em.flush().await.unwrap();
    // The server says so of rows that are not loaded.
    em.persist(NewPallet { deferred: two.to_ref(), strict: two.to_ref() });
    em.flush().await.unwrap();
    let em = fixture.em();
    let two = em.find_one_or_fail::<Warehouse>(30, ()).await.unwrap();
    two.write().number = 31;
    let error = em.flush().await.unwrap_err();
    assert!(matches!(&error, Error::ForeignKeyViolation { .. }), "{error}");
    assert_eq!(two.id(), 30);
}

#[tokio::test]
async fn what_the_server_sets_to_null_is_null_in_memory() {
    // C3, D2: on both sides; and back.
    let Stock { fixture, em, one, pallet, .. } = stock().await;
    pallet.write().emptied = Some(one.to_ref());
    em.flush().await.unwrap();
    assert_eq!(one.read().emptied.len().unwrap(), 1);
    fixture.forget();
    let rolled_back = em.transactional(async |em| {
        one.write().number = 10;
        assert_eq!(em.flush().await?.statements, 1);
        assert!(pallet.read().emptied.is_none() && one.read().emptied.items()?.is_empty());
        assert!(!pallet.is_dirty());
        Err::<(), _>(Error::Validation { entity: None, message: "no".into() })
    });
    rolled_back.await.unwrap_err();
    assert_eq!((pallet.read().emptied.as_ref().unwrap().id(), one.id()), (1, 1));
    assert_eq!(one.read().emptied.items().unwrap(), [pallet.clone()]);
    one.write().number = 10;
    em.flush().await.unwrap();
    assert!(pallet.read().emptied.is_none());
    assert_eq!(fixture.rows("SELECT emptied_number FROM pallet").await, ["~"]);
    // One that comes with the new key comes behind.
    let new = em.persist(NewPallet { deferred: one.to_ref(), strict: one.to_ref() });
    new.write().emptied = Some(one.to_ref());
    one.write().number = 11;
    em.flush().await.unwrap();
    assert_eq!(fixture.rows("SELECT emptied_number FROM pallet WHERE emptied_number > 0").await, ["11"]);
}

#[tokio::test]
async fn a_default_that_is_not_known_is_refused() {
    let Stock { fixture, em, one, pallet, .. } = stock().await;
    pallet.write().unclear = Some(one.to_ref());
    em.flush().await.unwrap();
    fixture.forget();
    one.write().number = 10;
    let error = em.flush().await.unwrap_err().to_string();
    assert!(error.contains("Pallet.unclear") && error.contains("default"), "{error}");
    assert_eq!(fixture.log.round_trips(), 0);
}

#[tokio::test]
async fn stale_rows_and_versions_count_for_keys_as_for_anything() {
    // C9
    let Stock { fixture, em, one, .. } = stock().await;
    fixture.database.execute("UPDATE warehouse SET version = 7 WHERE number = 1").await.unwrap();
    one.write().number = 10;
    let error = em.flush().await.unwrap_err();
    assert!(matches!(&error, Error::OptimisticLock { entities } if *entities == ["Warehouse#1"]), "{error}");
    em.refresh(&one).await.unwrap();
    assert_eq!((one.read().number, one.read().version), (1, 7));
    one.write().number = 10;
    em.flush().await.unwrap();
    assert_eq!(one.read().version, 8);
    one.write().town = "Ventspils".into();
    em.flush().await.unwrap();
    assert_eq!(fixture.rows("SELECT number, version, town FROM warehouse WHERE number = 10").await, ["10|9|Ventspils"]);
}

#[tokio::test]
async fn a_tree_is_renamed_from_within() {
    // C7: every row is a parent, a child, or both, and all change their keys in one flush.
    let Stock { fixture, em, .. } = stock().await;
    let shelf = |label: &str, above: Option<&Managed<Shelf>>| {
        let shelf = em.persist(NewShelf { label: label.into() });
        shelf.write().above = above.map(Managed::to_ref);
        shelf
    };
    let a = shelf("a", None);
    let b = shelf("b", Some(&a));
    let c = shelf("c", Some(&b));
    em.flush().await.unwrap();
    // It refers to itself, too.
    a.write().above = Some(a.to_ref());
    for shelf in [&a, &b, &c] {
        shelf.update(|shelf| shelf.label = shelf.label.to_uppercase());
    }
    c.write().above = Some(a.to_ref());
    em.flush().await.unwrap();
    assert_eq!(fixture.rows("SELECT label, above_label FROM shelf ORDER BY 1").await, ["A|A", "B|A", "C|A"]);
    assert_eq!(em.flush().await.unwrap(), FlushSummary::default());
    for shelf in [&a, &b, &c] {
        assert_eq!(shelf.read().above.as_ref().unwrap().get().unwrap(), a);
    }
    // The tail takes the key of the one above, which goes on.
    b.write().label = "D".into();
    c.update(|shelf| {
        shelf.label = "B".into();
        shelf.above = Some(b.to_ref());
    });
    em.flush().await.unwrap();
    assert_eq!(fixture.rows("SELECT label, above_label FROM shelf ORDER BY 1").await, ["A|A", "B|D", "D|A"]);
    assert_eq!(c.read().above.as_ref().unwrap().get().unwrap(), b);
    assert_eq!(em.flush().await.unwrap(), FlushSummary::default());
}
