//! What one call says of filters, wherever a call can say it: also where the answer is no find, and where a query is a part of
//! another one.

use super::{Note, Shelf};
use super::{STRATEGIES, Writer, ids, tenant_one, tenants};
use howdah::prelude::*;

#[tokio::test]
async fn one_call_turns_filters_on_and_off() {
    let fixture = tenants().await;
    let em = tenant_one(&fixture);
    // By key and by condition, with an entity that is known and with one that is not.
    for _ in 0..2 {
        assert!(em.find_one::<Writer>(3, ()).await.unwrap().is_none());
        let cat = em.find_one::<Writer>(3, ()).with_filter("tenant", 2_i64).await.unwrap();
        assert_eq!(cat.unwrap().read().name, "Cat");
        let cat = em.find_one::<Writer>(Writer::fields().name().eq("Cat"), ()).without_filter("tenant").await.unwrap();
        assert_eq!(cat.unwrap().id(), 3);
        assert!(em.find_one::<Writer>(2, ()).without_filter("tenant").await.unwrap().is_none(), "Bea is deleted");
        assert_eq!(em.find_one_or_fail::<Writer>(2, ()).without_filter("not_deleted").await.unwrap().id(), 2);
        let error = em.find_one_or_fail::<Writer>(1, ()).with_filter("tenant", 2_i64).await.unwrap_err();
        assert!(matches!(error, Error::NotFound { entity: "Writer", .. }), "{error}");
    }
    assert_eq!(em.count::<Writer>(()).without_filters().await.unwrap(), 4);
    assert_eq!(em.count::<Writer>(()).without_filters().with_filter("not_deleted", ()).await.unwrap(), 3);
    assert!(em.exists::<Writer>(3).without_filter("tenant").await.unwrap());
    assert!(!em.exists::<Writer>(1).with_filter("tenant", 2_i64).await.unwrap());
    let writers = em.repository::<Writer>();
    assert_eq!(writers.count(()).with_filter("tenant", 2_i64).await.unwrap(), 1);
    assert_eq!(writers.last().without_filters().await.unwrap().unwrap().id(), 4);
    assert_eq!(writers.first().with_filter("tenant", 2_i64).await.unwrap().unwrap().id(), 3);
    assert!(writers.get(3).without_filter("tenant").await.is_ok());
    assert_eq!(em.find_by_id::<Writer>(2).without_filters().await.unwrap().unwrap().id(), 2);
    let bea = em.find_first_by::<Writer, _>(|w| w.name(), "Bea");
    assert!(bea.without_filter("not_deleted").await.unwrap().is_some());
}

#[tokio::test]
async fn what_is_populated_with_one_call_goes_through_its_filters() {
    let fixture = tenants().await;
    for strategy in STRATEGIES {
        let em = tenant_one(&fixture);
        let ann = em.find_one::<Writer>(1, ["notes.labels"]).without_filter("tenant").strategy(strategy).await.unwrap();
        let ann = ann.unwrap();
        let notes = || ids(&ann.read().notes.items().unwrap());
        assert_eq!(notes(), [10, 11, 12], "{strategy:?}");
        // The manager's own filters hold again for the next call, and what was loaded through others is no answer for it.
        em.populate(&ann, ["notes.labels"]).strategy(strategy).await.unwrap();
        assert_eq!(notes(), [10, 12], "{strategy:?}");
        em.populate(&ann, ["notes"]).with_filter("tenant", 2_i64).strategy(strategy).await.unwrap();
        assert_eq!(notes(), [11], "{strategy:?}");
        em.populate(&ann, Writer::fields().notes()).await.unwrap();
        assert_eq!(notes(), [10, 12], "{strategy:?}");
        // A to-one relation that was loaded without the filter is not there for a call with it.
        let note = em.find_one_or_fail::<Note>(15, ["writer"]).without_filters().strategy(strategy).await.unwrap();
        assert_eq!(note.read().writer.get().unwrap().id(), 3);
        let gone = note.load(&em, |n| n.writer()).await;
        assert!(matches!(gone, Err(Error::NotFound { entity: "Writer", .. })), "{gone:?}");
    }
}

#[tokio::test]
async fn what_is_wrong_is_said_before_anything_is_sent() {
    let fixture = tenants().await;
    let em = tenant_one(&fixture);
    let shelf = em.find_one_or_fail::<Shelf>(40, ()).await.unwrap();
    fixture.forget();
    let refused = |error: Error, what: &str| {
        assert!(matches!(error, Error::Validation { .. }), "{error}");
        assert!(error.to_string().contains(what), "{error}");
    };
    let unknown = "there is no filter \"tenants\" (filters: not_deleted, tenant)";
    refused(em.find_one::<Writer>(1, ()).without_filter("tenants").await.unwrap_err(), unknown);
    refused(em.find_one_or_fail::<Writer>(1, ()).without_filter("tenants").await.unwrap_err(), unknown);
    refused(em.populate(&shelf, ["note"]).with_filter("tenants", ()).await.unwrap_err(), unknown);
    refused(em.count::<Writer>(()).with_filter("tenants", ()).await.unwrap_err(), unknown);
    refused(em.exists::<Writer>(()).without_filter("tenants").await.unwrap_err(), unknown);
    let wrong = "takes parameters of type `i64`, and was given `i32`";
    refused(em.find_one::<Writer>(1, ()).with_filter("tenant", 2_i32).await.unwrap_err(), wrong);
    refused(em.populate(&shelf, ["note"]).with_filter("tenant", 2_i32).await.unwrap_err(), wrong);
    refused(em.count::<Writer>(()).with_filter("tenant", 2_i32).await.unwrap_err(), wrong);
    assert!(fixture.statements().is_empty());
}

#[tokio::test]
async fn what_is_said_of_the_outermost_query_holds_for_its_parts_unless_they_say_otherwise() {
    let fixture = tenants().await;
    let em = tenant_one(&fixture);
    let all = || em.query::<Writer>().without_filter("tenant").select(|w| w.id());
    let own = || em.query::<Writer>().select(|w| w.id());
    let sorted = |mut ids: Vec<i32>| {
        ids.sort_unstable();
        ids
    };
    assert_eq!(sorted(own().union(all()).await.unwrap()), [1, 3, 4]);
    assert_eq!(sorted(own().union(own()).without_filters().await.unwrap()), [1, 2, 3, 4]);
    let notes = em.find::<Note>().filter(|n| n.writer().id().is_in(own())).without_filter("tenant").await.unwrap();
    assert_eq!(ids(&notes), [10, 11, 12, 14, 15]);
    // The notes are still the tenant's own where only the part says something.
    let notes = em.find::<Note>().filter(|n| n.writer().id().is_in(all())).await.unwrap();
    assert_eq!(ids(&notes), [10, 12, 15]);
    fixture.forget();
    let elsewhere = em.find::<Writer>().schema("archive").select(|w| w.id());
    let error = own().union(elsewhere).await.unwrap_err();
    assert!(matches!(error, Error::Validation { entity: Some("Writer"), .. }), "{error}");
    assert!(error.to_string().contains("say them of the query around"), "{error}");
    assert!(fixture.statements().is_empty());
}

#[tokio::test]
async fn what_a_query_finds_is_written_through_its_own_filters() {
    let fixture = tenants().await;
    let em = tenant_one(&fixture);
    let two = em.query::<Writer>().with_filter("tenant", 2_i64);
    assert_eq!(two.clone().update().set(|w| w.name(), "two").await.unwrap(), 1);
    let deleted = em.query::<Writer>().without_filter("not_deleted").filter(|w| w.deleted_at().is_not_null());
    assert_eq!(deleted.update().set(|w| w.name(), "gone").await.unwrap(), 1);
    let names = "SELECT name FROM writer ORDER BY id";
    assert_eq!(fixture.rows(names).await, ["Ann", "gone", "two", "Dan"]);
    // Also where the rows are found by a sub-query.
    let last = em.query::<Writer>().with_filter("tenant", 2_i64).order_by(|w| w.id().desc()).limit(1);
    assert_eq!(last.update().set(|w| w.name(), "last").await.unwrap(), 1);
    assert_eq!(fixture.rows(names).await, ["Ann", "gone", "last", "Dan"]);
    fixture
        .database
        .execute("DELETE FROM card; DELETE FROM note_labels; DELETE FROM shelf; DELETE FROM note")
        .await
        .unwrap();
    assert_eq!(em.query::<Writer>().filter(|w| w.id().gt(1)).delete().await.unwrap(), 1);
    assert_eq!(two.delete().await.unwrap(), 1);
    assert_eq!(fixture.rows("SELECT id FROM writer ORDER BY id").await, ["1", "2"]);
}
