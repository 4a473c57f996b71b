//! Rows that are inserted, or update those that are there.

use crate::library::*;
use crate::support::{Fixture, unguarded};
use howdah::prelude::*;

#[derive(Entity, Clone, Debug)]
#[unique(tenant, handle)]
#[unique(phone, where = "closed = false", name = "open_phone")]
#[unique(slot, name = "slot_later", deferrable)]
pub struct Account {
    #[primary_key]
    pub id: i64,
    #[property(unique)]
    pub email: String,
    pub tenant: i32,
    pub handle: String,
    pub phone: Option<String>,
    pub slot: Option<i32>,
    #[property(default = false)]
    pub closed: bool,
    #[property(default = 0)]
    pub points: i32,
    pub labels: Vec<String>,
    #[property(on_create = 1)]
    pub created: i32,
    #[property(on_create = 1, on_update = 2)]
    pub touched: i32,
    #[version]
    pub version: i32,
    #[many_to_one]
    pub sponsor: Option<Ref<Account>>,
}

#[derive(Entity, Clone, Debug)]
#[unique(at, place)]
pub struct Reading {
    #[primary_key]
    pub id: Uuid,
    #[property(precision = 0)]
    pub at: DateTime<Utc>,
    #[property(precision = 10, scale = 1)]
    pub place: f64,
    pub value: i32,
}

fn account(email: &str, handle: &str) -> NewAccount {
    NewAccount { email: email.into(), tenant: 1, handle: handle.into(), labels: vec!["a".into(), "b,c".into()] }
}

const ROWS: &str = "SELECT email, handle, points, created, touched, version FROM account ORDER BY id";

#[tokio::test]
async fn a_row_is_inserted_and_then_updated_in_one_round_trip_each() {
    let fixture = Fixture::new(entities![Account]).await;
    let em = fixture.em();
    let ada = em.upsert(account("ada@x", "ada")).on_conflict(|a| a.email()).await.unwrap();
    assert_eq!((ada.state(), ada.id(), ada.read().version), (EntityState::Managed, 1, 1));
    assert_eq!(fixture.log.round_trips(), 1);
    let statements = fixture.log.take();
    assert_eq!(statements.len(), 1, "{statements:?}");
    assert!(unguarded(&statements[0]).contains("SELECT * FROM unnest"), "{statements:?}");

    let second = account("ada@x", "lovelace").with(|a| {
        a.points = 5;
        a.created = 9;
    });
    let same = em.upsert(second).on_conflict(|a| a.email()).await.unwrap();
    assert_eq!((fixture.log.round_trips(), fixture.log.take().len()), (1, 1));
    assert_eq!(same, ada, "A1: one row is one entity");
    // The on_update value is made, the version counted up, and what belongs to the creation stays.
    assert_eq!(fixture.rows(ROWS).await, ["ada@x|lovelace|5|1|2|2"]);
    let read = ada.read();
    assert_eq!((read.handle.as_str(), read.created, read.touched, read.version), ("lovelace", 1, 2, 2));
    drop(read);
    assert!(!ada.is_dirty());
    assert_eq!(em.flush().await.unwrap(), FlushSummary::default());
}

#[tokio::test]
async fn the_target_is_found_by_what_the_rows_have() {
    let fixture = Fixture::new(entities![Account]).await;
    let em = fixture.em();
    // The first unique constraint that every row has values for; then the key.
    let ada = em.upsert(account("ada@x", "ada")).await.unwrap();
    let by_first = em.upsert(account("other@x", "ada")).await.unwrap();
    assert_eq!(by_first, ada, "tenant and handle are declared first");
    let by_key = em
        .upsert(account("ada@x", "countess").with(|a| {
            a.id = ada.id();
            a.points = 3;
        }))
        .await
        .unwrap();
    assert_eq!(
        (by_key, fixture.rows("SELECT email, handle, points FROM account").await),
        (ada, vec!["ada@x|countess|3".into()])
    );

    let named = em.upsert(account("ada@x", "x")).on_constraint("account_email_unique").await.unwrap();
    assert_eq!(named.id(), 1);
    let both = em.upsert(account("b@x", "x")).on_conflict(|a| (a.tenant(), a.handle())).await.unwrap();
    assert_eq!((both.id(), both.read().email.as_str()), (1, "b@x"));
}

#[tokio::test]
async fn an_index_of_some_rows_is_a_target_together_with_its_condition() {
    let fixture = Fixture::new(entities![Account]).await;
    let em = fixture.em();
    let with_phone = |email: &str, closed: bool| {
        account(email, email).with(|a| {
            a.phone = Some("1".into());
            a.closed = closed;
        })
    };
    em.insert_many([with_phone("closed@x", true), with_phone("open@x", false)]).await.unwrap();
    let open = em.upsert(with_phone("new@x", false)).on_conflict(|a| a.phone()).await.unwrap();
    assert_eq!((open.id(), open.read().email.as_str()), (2, "new@x"));
    let same = em.upsert(with_phone("newer@x", false)).on_constraint("open_phone").ignore().await.unwrap();
    assert_eq!((same.id(), same.read().email.as_str()), (2, "new@x"));
    assert_eq!(fixture.rows("SELECT email FROM account ORDER BY id").await, ["closed@x", "new@x"]);

    // A row that the index does not have is inserted; if it cannot be told from another one, nothing is.
    let closed = em.upsert(with_phone("second@x", true)).on_conflict(|a| a.phone()).await.unwrap();
    assert_eq!(closed.read().email, "second@x");
    let rows = [with_phone("third@x", true), with_phone("newest@x", false)];
    let error = em.upsert_many(rows).on_conflict(|a| a.phone()).await.unwrap_err();
    assert!(error.to_string().starts_with("a row is not one of those that the unique index of phone has"), "{error}");
    assert_eq!(fixture.rows("SELECT email FROM account ORDER BY id").await, ["closed@x", "new@x", "second@x"]);
}

#[tokio::test]
async fn rows_that_are_left_as_they_are_come_back_too() {
    let fixture = Fixture::new(entities![Account]).await;
    let em = fixture.em();
    em.insert_many([account("a@x", "a").into(), account("b@x", "b").with(|a| a.points = 10)]).await.unwrap();
    fixture.forget();
    let rows = ["b@x", "c@x", "a@x"].map(|email| account(email, &email[..1]).with(|a| a.points = 5));
    let ignored = em.upsert_many(rows.clone()).on_conflict(|a| a.email()).ignore().await.unwrap();
    assert_eq!((fixture.log.round_trips(), fixture.log.take().len()), (1, 1));
    let seen: Vec<(String, i32)> = ignored.iter().map(|a| (a.read().email.clone(), a.read().points)).collect();
    assert_eq!(seen, [("b@x".into(), 10), ("c@x".into(), 5), ("a@x".into(), 0)], "in the order of the rows");

    let em = fixture.em();
    let rows = ["a@x", "b@x"].map(|email| account(email, &email[..1]).with(|a| a.points = 7));
    let merged = em.upsert_many(rows).on_conflict(|a| a.email()).r#where(|a| a.points().lt(7)).await.unwrap();
    let seen: Vec<(String, i32, i32)> =
        merged.iter().map(|a| (a.read().email.clone(), a.read().points, a.read().version)).collect();
    assert_eq!(seen, [("a@x".into(), 7, 2), ("b@x".into(), 10, 1)]);
}

#[tokio::test]
async fn a_condition_may_lead_over_relations() {
    let fixture = Fixture::new(entities![Account]).await;
    let em = fixture.em();
    em.insert_many([account("a@x", "a").into(), account("b@x", "b").with(|a| a.sponsor = Some(em.get_reference(1)))])
        .await
        .unwrap();
    let rows = ["a@x", "b@x"].map(|email| account(email, &email[..1]).with(|a| a.points = 7));
    let condition = |a: AccountFields<Account>| a.sponsor().email().eq("a@x");
    em.upsert_many(rows).on_conflict(|a| a.email()).exclude(|a| a.sponsor()).r#where(condition).await.unwrap();
    assert_eq!(fixture.rows("SELECT email, points, sponsor_id FROM account ORDER BY id").await, ["a@x|0|~", "b@x|7|1"]);
}

#[tokio::test]
async fn fields_are_chosen() {
    let fixture = Fixture::new(entities![Account]).await;
    let em = fixture.em();
    em.upsert(account("a@x", "a")).await.unwrap();
    let new = || {
        account("a@x", "z").with(|a| {
            a.points = 4;
            a.tenant = 9;
        })
    };
    em.upsert(new()).on_conflict(|a| a.email()).merge_fields(|a| a.points()).await.unwrap();
    assert_eq!(fixture.rows("SELECT tenant, handle, points, touched, version FROM account").await, ["1|a|4|2|2"]);
    em.upsert(new()).on_conflict(|a| a.email()).exclude(|a| (a.tenant(), a.touched())).await.unwrap();
    assert_eq!(fixture.rows("SELECT tenant, handle, version FROM account").await, ["1|z|3"]);
    let error = em.upsert(new()).on_conflict(|a| a.email()).merge_fields(|a| a.id()).await.unwrap_err();
    assert!(error.to_string().contains("the key of a row is not changed"), "{error}");
}

#[tokio::test]
async fn a3_pending_changes_of_a_loaded_entity_are_kept() {
    let fixture = Fixture::new(entities![Account]).await;
    let em = fixture.em();
    let ada = em.upsert(account("a@x", "a")).await.unwrap();
    ada.write().points = 50;
    ada.write().handle = "mine".into();
    let same = em.upsert(account("a@x", "theirs").with(|a| a.tenant = 2)).on_conflict(|a| a.email()).await.unwrap();
    assert_eq!(same, ada);
    assert_eq!((ada.read().points, ada.read().handle.as_str(), ada.read().tenant), (50, "mine", 2));
    assert_eq!(fixture.rows(ROWS).await, ["a@x|theirs|0|1|2|2"]);
    // Nobody else has written the row: the changes are written over the version that the upsert has made.
    assert_eq!(em.flush().await.unwrap().updated, 1);
    assert_eq!(fixture.rows(ROWS).await, ["a@x|mine|50|1|2|3"]);
}

#[tokio::test]
async fn c9_what_somebody_else_has_written_in_between_is_not_lost() {
    let fixture = Fixture::new(entities![Account]).await;
    let em = fixture.em();
    let ada = em.upsert(account("a@x", "a")).await.unwrap();
    ada.write().points = 50;
    fixture.em().find_one_or_fail::<Account>(1, ()).await.unwrap();
    fixture.database.query("UPDATE account SET points = 1, version = version + 1").await.unwrap();
    em.upsert(account("a@x", "b")).on_conflict(|a| a.email()).merge_fields(|a| a.handle()).await.unwrap();
    assert_eq!(ada.read().points, 50);
    assert!(matches!(em.flush().await, Err(Error::OptimisticLock { .. })));
}

#[tokio::test]
async fn many_rows_of_several_shapes_are_one_transaction() {
    let fixture = Fixture::new(library()).await;
    let em = fixture.em();
    em.insert(NewAuthor { name: "a".into() }).await.unwrap();
    fixture.forget();
    let authors = (0..3000).map(|number| {
        let name = if number == 0 { "a".to_owned() } else { format!("author {number}") };
        NewAuthor { name }.with(|author| {
            author.born = Some(number);
            // A row with its key given has one more column.
            author.id = if number == 7 { 100_000 } else { 0 };
        })
    });
    let authors = em.upsert_many(authors).on_conflict(|a| a.name()).await.unwrap();
    assert_eq!(fixture.log.round_trips(), 1);
    assert_eq!(fixture.flow(), ["BEGIN", "SELECT", "SELECT", "COMMIT"]);
    assert_eq!((authors.len(), authors[0].id(), authors[7].id()), (3000, 1, 100_000));
    assert!(authors.iter().enumerate().all(|(number, author)| author.read().born == i32::try_from(number).ok()));
    // All are managed, and complete.
    fixture.forget();
    em.find_one_or_fail::<Author>(authors[2999].id(), ()).await.unwrap();
    assert!(fixture.log.take().is_empty());
    assert!(em.upsert_many(Vec::<NewAuthor>::new()).await.unwrap().is_empty());
}

#[tokio::test]
async fn c5_rows_are_paired_as_the_server_compares_them() {
    let fixture = Fixture::new(entities![Reading]).await;
    let em = fixture.em();
    let reading = |second: &str, place: f64, value: i32| NewReading {
        at: format!("2024-05-01T12:00:{second}Z").parse().unwrap(),
        place,
        value,
    };
    em.upsert(reading("00.3", 1.04, 1)).await.unwrap();
    // The columns round: these are the same row, and so is what comes back.
    let rows = [reading("00.4", 1.0, 2), reading("01.2", 2.0, 3)];
    let rows = em.upsert_many(rows).await.unwrap();
    assert_eq!(rows.iter().map(|row| row.read().value).collect::<Vec<_>>(), [2, 3]);
    assert_eq!(fixture.rows("SELECT place, value FROM reading ORDER BY value").await, ["1.0|2", "2.0|3"]);
}

#[tokio::test]
async fn a_row_that_came_into_the_way_is_read_by_a_second_statement() {
    let fixture = Fixture::new(entities![Account]).await;
    // Somebody else has inserted the row and not committed yet: the statement waits, and then does not see the row.
    let other = fixture.em();
    other.begin().await.unwrap();
    other.insert(account("a@x", "a").with(|a| a.points = 8)).await.unwrap();
    fixture.forget();
    let em = fixture.em();
    let waiting = tokio::spawn({
        let em = em.clone();
        async move { em.upsert(account("a@x", "a")).on_conflict(|a| a.email()).ignore().await }
    });
    let blocked = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    while fixture.rows(blocked).await.is_empty() {
        assert!(!waiting.is_finished(), "it has to wait for the other transaction");
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    other.commit().await.unwrap();
    assert_eq!(waiting.await.unwrap().unwrap().read().points, 8);
}

#[tokio::test]
async fn what_can_be_in_no_conflict_is_refused_before_anything_is_sent() {
    let fixture = Fixture::new([entities![Account, Reading].as_slice(), &library()].concat()).await;
    let em = fixture.em();
    let refused = async |upsert: howdah::Upsert<Account>| upsert.await.unwrap_err().to_string();
    let error = refused(em.upsert(account("a@x", "a")).on_conflict(|a| a.phone())).await;
    assert!(error.contains("row 1 has no value for Account.phone"), "{error}");
    let error = refused(em.upsert(account("a@x", "a")).on_conflict(|a| a.id())).await;
    assert!(error.contains("row 1 has no value for Account.id"), "{error}");
    let error = refused(em.upsert(account("a@x", "a").with(|a| a.slot = Some(1))).on_conflict(|a| a.slot())).await;
    assert!(error.contains("slot_later is deferrable"), "{error}");
    let error = refused(em.upsert(account("a@x", "a")).on_constraint("no_such")).await;
    assert!(error.contains("Account declares no unique constraint or index no_such; it has:"), "{error}");
    let error = refused(em.upsert(account("a@x", "a")).on_conflict(|a| a.sponsor().email())).await;
    assert!(error.contains("on_conflict() takes fields of Account itself"), "{error}");
    let error = em.upsert(NewBook { title: "a".into(), author: em.get_reference(1) }).await.unwrap_err();
    assert!(error.to_string().contains("name the fields with on_conflict()"), "{error}");
    assert!(fixture.log.take().is_empty());

    let twice = [account("a@x", "a"), account("a@x", "b")];
    let error = em.upsert_many(twice.clone()).on_conflict(|a| a.email()).await.unwrap_err();
    assert!(error.to_string().starts_with("two of the rows have the same email"), "{error}");
    let ignored = em.upsert_many(twice).on_conflict(|a| a.email()).ignore().await.unwrap();
    assert_eq!(ignored[0], ignored[1]);
}

#[tokio::test]
async fn d2_a_rolled_back_upsert_takes_its_entities_back() {
    let fixture = Fixture::new(entities![Account]).await;
    let em = fixture.em();
    let ada = em.upsert(account("a@x", "a")).await.unwrap();
    em.begin().await.unwrap();
    em.upsert(account("a@x", "b")).on_conflict(|a| a.email()).await.unwrap();
    let new = em.upsert(account("c@x", "c")).await.unwrap();
    // A failure undoes no more than itself, and names what is wrong.
    let error = em.upsert(account("c@x", "b")).on_conflict(|a| a.email()).await.unwrap_err();
    assert!(
        matches!(&error, Error::UniqueViolation { entity: Some("Account"), properties, .. } if properties == &["tenant", "handle"]),
        "{error:?}"
    );
    assert_eq!((ada.read().handle.as_str(), new.state()), ("b", EntityState::Managed));
    em.rollback().await.unwrap();
    assert_eq!((ada.read().handle.as_str(), ada.read().version), ("a", 1));
    assert_eq!(new.state(), EntityState::Detached);
    assert_eq!(fixture.rows(ROWS).await, ["a@x|a|0|1|1|1"]);
}
