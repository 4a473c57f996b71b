//! Filters hold wherever rows are read: nothing that a find leads to, loads along or remembers gets around them.

mod bulk;
mod declared;
mod hidden;
mod options;
mod queries;
mod ways;

use crate::support::Fixture;
use howdah::prelude::*;
use howdah::{LoadStrategy, StatementLog};

#[derive(Entity, Clone, Debug)]
#[filter(name = "tenant", condition = |w, tenant: i64| w.tenant().eq(tenant))]
#[filter(name = "not_deleted", condition = |w| w.deleted_at().is_null())]
pub struct Writer {
    #[primary_key(assigned)]
    pub id: i32,
    pub tenant: i64,
    pub name: String,
    pub deleted_at: Option<DateTime<Utc>>,
    #[one_to_many(mapped_by = writer)]
    pub notes: Collection<Note>,
    #[one_to_one(mapped_by = writer)]
    pub card: Option<Ref<Card>>,
}

#[derive(Entity, Clone, Debug)]
#[filter(name = "tenant", condition = |n, tenant: i64| n.tenant().eq(tenant))]
pub struct Note {
    #[primary_key(assigned)]
    pub id: i32,
    pub tenant: i64,
    #[many_to_one(inversed_by = notes)]
    pub writer: Ref<Writer>,
    #[many_to_one]
    pub reviewer: Option<Ref<Writer>>,
    #[many_to_many(inversed_by = notes)]
    pub labels: Collection<Label>,
}

#[derive(Entity, Clone, Debug)]
#[filter(name = "tenant", condition = |l, tenant: i64| l.tenant().eq(tenant))]
pub struct Label {
    #[primary_key(assigned)]
    pub id: i32,
    pub tenant: i64,
    #[many_to_many(mapped_by = labels)]
    pub notes: Collection<Note>,
}

#[derive(Entity, Clone, Debug)]
#[filter(name = "tenant", condition = |c, tenant: i64| c.tenant().eq(tenant))]
pub struct Card {
    #[primary_key(assigned)]
    pub id: i32,
    pub tenant: i64,
    #[one_to_one(inversed_by = card)]
    pub writer: Ref<Writer>,
}

/// Has no filter.
#[derive(Entity, Clone, Debug)]
pub struct Shelf {
    #[primary_key(assigned)]
    pub id: i32,
    #[many_to_one]
    pub note: Ref<Note>,
}

const ROWS: &str = "
    INSERT INTO writer(id, tenant, name, deleted_at) VALUES
        (1, 1, 'Ann', NULL), (2, 1, 'Bea', now()), (3, 2, 'Cat', NULL), (4, 1, 'Dan', NULL);
    INSERT INTO note(id, tenant, writer_id, reviewer_id) VALUES
        (10, 1, 1, 3), (11, 2, 1, 1), (12, 1, 1, 4), (13, 1, 2, NULL), (14, 2, 3, 1), (15, 1, 3, 2);
    INSERT INTO label(id, tenant) VALUES (20, 1), (21, 2), (22, 1);
    INSERT INTO note_labels(note_id, label_id) VALUES (10, 20), (10, 21), (11, 20), (12, 21), (12, 22), (14, 22);
    INSERT INTO card(id, tenant, writer_id) VALUES (30, 2, 1), (31, 1, 4), (32, 2, 3);
    INSERT INTO shelf(id, note_id) VALUES (40, 10), (41, 11);
";

async fn tenants() -> Fixture {
    let fixture = Fixture::new(entities![Writer, Note, Label, Card, Shelf]).await;
    fixture.database.execute(ROWS).await.unwrap();
    fixture.forget();
    fixture
}

/// A manager of tenant 1, who sees the writers 1 and 4, the notes 10, 12, 13 and 15, the labels 20 and 22, and card 31.
fn tenant_one(fixture: &Fixture) -> EntityManager {
    let em = fixture.em();
    em.set_filter_params("tenant", 1_i64);
    em
}

/// One that sees everything.
async fn everything(em: &EntityManager) -> Vec<Managed<Writer>> {
    let find = em.find::<Writer>().populate(|w| (w.notes().labels(), w.notes().reviewer(), w.card())).without_filters();
    find.await.unwrap()
}

fn ids<T: Entity<Id = i32>>(found: &[Managed<T>]) -> Vec<i32> {
    let mut ids: Vec<i32> = found.iter().map(Managed::id).collect();
    ids.sort_unstable();
    ids
}

const STRATEGIES: [LoadStrategy; 4] =
    [LoadStrategy::Balanced, LoadStrategy::SelectIn, LoadStrategy::Joined, LoadStrategy::Pipelined];

#[tokio::test]
async fn finds_counts_and_pages_see_what_the_filters_let_through() {
    let fixture = tenants().await;
    let em = tenant_one(&fixture);
    assert_eq!(ids(&em.find_all::<Writer>().await.unwrap()), [1, 4]);
    assert_eq!(ids(&em.find::<Note>().await.unwrap()), [10, 12, 13, 15]);
    assert_eq!(em.find::<Note>().filter(|n| n.id().gt(12)).count().await.unwrap(), 2);
    assert_eq!((em.count::<Writer>(()).await.unwrap(), em.count::<Writer>(3).await.unwrap()), (2, 0));
    assert!(em.exists::<Writer>(1).await.unwrap() && !em.exists::<Writer>(2).await.unwrap());
    assert!(!em.find::<Card>().filter(|c| c.id().eq(30)).exists().await.unwrap());
    for hidden in [2, 3] {
        assert!(em.find_one::<Writer>(hidden, ()).await.unwrap().is_none());
        assert!(em.find_one::<Writer>(hidden, ["notes"]).await.unwrap().is_none());
        assert!(em.find_one::<Writer>(Writer::fields().id().eq(hidden), ()).await.unwrap().is_none());
        let error = em.find_one_or_fail::<Writer>(hidden, ()).await.unwrap_err();
        assert!(matches!(error, Error::NotFound { entity: "Writer", .. }), "{error}");
    }
    let (page, total) = em.find::<Note>().order_by(|n| n.id().desc()).limit(2).find_and_count().await.unwrap();
    assert_eq!((ids(&page), total), (vec![13, 15], 4));
    let page = em.find::<Note>().cursor().first(3).with_total_count().await.unwrap();
    assert_eq!((ids(&page.items), page.total_count, page.has_next_page), (vec![10, 12, 13], Some(4), true));
    let next = em.find::<Note>().cursor().first(3).after(page.end_cursor).await.unwrap();
    assert_eq!((ids(&next.items), next.has_next_page, next.has_prev_page), (vec![15], false, true));
    // An order says nothing of a row that is hidden, either: Note 15 is one of Cat's, as if nobody's.
    let found = em.find::<Note>().order_by(|n| (n.writer().name().asc(), n.id().asc())).await.unwrap();
    assert_eq!(found.iter().map(Managed::id).collect::<Vec<_>>(), [10, 12, 13, 15]);
    assert!(fixture.statements().iter().all(|text| text.contains("\"tenant\" = $")));
}

#[tokio::test]
async fn every_strategy_loads_every_kind_of_relation_without_what_is_hidden() {
    let fixture = tenants().await;
    for strategy in STRATEGIES {
        // A manager that knows nothing, and one that has loaded everything before without the filters.
        for knows_all in [false, true] {
            let em = tenant_one(&fixture);
            let known = if knows_all { everything(&em).await } else { Vec::new() };
            assert_eq!(known.len(), if knows_all { 4 } else { 0 });
            let at = format!("{strategy:?}, knows all: {knows_all}");
            let writers = em
                .find::<Writer>()
                .populate(|w| (w.notes().labels(), w.notes().writer(), w.card()))
                .strategy(strategy)
                .order_by(|w| w.id().asc())
                .await
                .unwrap();
            assert_eq!(ids(&writers), [1, 4], "{at}");
            let ann = &writers[0];
            let notes = ann.read().notes.items().unwrap();
            assert_eq!(ids(&notes), [10, 12], "{at}");
            assert_eq!(ids(&notes[0].read().labels.items().unwrap()), [20], "{at}");
            assert_eq!(ids(&notes[1].read().labels.items().unwrap()), [22], "{at}");
            // The inverse side of a one-to-one: a hidden card is no card.
            assert!(ann.read().card.is_none(), "{at}");
            assert_eq!(writers[1].read().card.as_ref().unwrap().id(), 31, "{at}");
            // A foreign key is a column of the row, and says what it says; what it leads to is not there.
            let notes = em.find::<Note>().populate(|n| (n.writer(), n.reviewer())).strategy(strategy).await.unwrap();
            assert_eq!(ids(&notes), [10, 12, 13, 15], "{at}");
            for note in notes {
                let (writer, reviewer) = (note.read().writer.id(), note.read().reviewer.as_ref().map(Ref::id));
                let seen = [1, 4];
                let loaded = note.load(&em, |n| n.writer()).await;
                if seen.contains(&writer) {
                    assert_eq!(loaded.unwrap().id(), writer, "{at}");
                } else {
                    assert!(matches!(loaded, Err(Error::NotFound { entity: "Writer", .. })), "{at}: {loaded:?}");
                    let reference = note.read().writer.clone();
                    assert_eq!(reference.is_loaded(), knows_all, "{at}");
                    assert!(matches!(reference.load(&em).await, Err(Error::NotFound { .. })), "{at}");
                }
                let loaded = note.load(&em, |n| n.reviewer()).await.unwrap().map(|reviewer| reviewer.id());
                assert_eq!(loaded, reviewer.filter(|id| seen.contains(id)), "{at}");
            }
            fixture.forget();
            em.flush().await.unwrap();
            assert!(fixture.statements().is_empty(), "{at}"); // B3: what is hidden is not taken for changed
        }
    }
}

#[tokio::test]
async fn conditions_that_lead_to_hidden_rows_find_nothing_there() {
    let fixture = tenants().await;
    let em = tenant_one(&fixture);
    type Made = fn(WriterFields<Writer>) -> Condition<Writer>;
    let writers: [(Made, &[i32]); 10] = [
        (|w| w.notes().id().eq(10), &[1]),
        (|w| w.notes().id().eq(11), &[]),
        (|w| w.notes().some(|n| n.id().eq(11)), &[]),
        (|w| w.notes().none(|n| n.id().eq(11)), &[1, 4]),
        (|w| w.notes().every(|n| n.tenant().eq(1)), &[1, 4]),
        (|w| w.notes().is_empty(), &[4]),
        (|w| w.notes().labels().id().eq(21), &[]),
        (|w| w.notes().some(|n| n.labels().some(|l| l.id().eq(22))), &[1]),
        (|w| w.card().id().eq(30), &[]),
        (|w| w.card().tenant().is_null(), &[1]),
    ];
    for (index, (condition, expected)) in writers.into_iter().enumerate() {
        assert_eq!(ids(&em.find::<Writer>().filter(condition).await.unwrap()), expected, "condition {index}");
        assert_eq!(em.find::<Writer>().filter(condition).count().await.unwrap(), expected.len() as u64);
    }
    type OfNotes = fn(NoteFields<Note>) -> Condition<Note>;
    let notes: [(OfNotes, &[i32]); 6] = [
        (|n| n.writer().name().eq("Ann"), &[10, 12]),
        (|n| n.writer().name().eq("Cat"), &[]),
        (|n| n.writer().name().is_null(), &[13, 15]),
        // The foreign key is the row's own.
        (|n| n.writer().eq(3), &[15]),
        (|n| n.reviewer().name().is_not_null(), &[12]),
        (|n| n.writer().card().id().is_not_null(), &[]),
    ];
    for (index, (condition, expected)) in notes.into_iter().enumerate() {
        assert_eq!(ids(&em.find::<Note>().filter(condition).await.unwrap()), expected, "condition {index}");
    }
}

#[tokio::test]
async fn an_entity_that_was_loaded_without_the_filter_is_looked_for_again() {
    let fixture = tenants().await;
    let em = tenant_one(&fixture);
    let all = em.find::<Writer>().without_filters().order_by(|w| w.id().asc()).await.unwrap();
    assert_eq!(ids(&all), [1, 2, 3, 4]);
    fixture.forget();
    assert!(em.find_one::<Writer>(3, ()).await.unwrap().is_none());
    assert_eq!(em.find_one::<Writer>(1, ()).await.unwrap().as_ref(), Some(&all[0])); // A1: one row is one entity
    assert_eq!(fixture.statements().len(), 2);
    // Now it was seen through the filters: no SQL, as without any.
    assert!(em.find_one::<Writer>(1, ()).await.unwrap().is_some());
    assert!(fixture.statements().is_empty());
    // Other parameters are other filters.
    em.set_filter_params("tenant", 2_i64);
    assert!(em.find_one::<Writer>(1, ()).await.unwrap().is_none());
    assert!(em.find_one::<Writer>(3, ()).await.unwrap().is_some());
    assert_eq!(fixture.statements().len(), 2);
    // What was written may have gone out of sight.
    all[2].write().deleted_at = Some(Utc::now());
    em.flush().await.unwrap();
    assert!(em.find_one::<Writer>(3, ()).await.unwrap().is_none());
    // What a handle leads to is what the manager has loaded.
    assert_eq!(all[2].read().name, "Cat");
}

#[tokio::test]
async fn collections_are_loaded_again_when_other_filters_hold() {
    let fixture = tenants().await;
    for strategy in STRATEGIES {
        let em = tenant_one(&fixture);
        let ann = em.find_one_or_fail::<Writer>(1, ["notes.labels"]).strategy(strategy).await.unwrap();
        let notes = || ids(&ann.read().notes.items().unwrap());
        assert_eq!(notes(), [10, 12]);
        fixture.forget();
        em.populate(&ann, ["notes.labels"]).strategy(strategy).await.unwrap();
        assert!(fixture.statements().is_empty(), "{strategy:?}");
        em.set_filter_params("tenant", 2_i64);
        em.populate(&ann, ["notes.labels"]).strategy(strategy).await.unwrap();
        assert_eq!(notes(), [11], "{strategy:?}");
        em.set_filter_params("tenant", 1_i64);
        em.find::<Writer>().populate(|w| w.notes()).strategy(strategy).await.unwrap();
        assert_eq!(notes(), [10, 12], "{strategy:?}");
        everything(&em).await;
        assert_eq!(notes(), [10, 11, 12], "{strategy:?}");
        assert_eq!(ids(&ann.load(&em, |w| w.notes()).await.unwrap()), [10, 12], "{strategy:?}");
        // D2: what a failed scope has loaded through other filters is not taken for these.
        let failed = em
            .transactional(async |em| {
                let note = em.find_one_or_fail::<Note>(10, ()).await?;
                note.write().tenant = 1;
                note.write().reviewer = None;
                em.flush().await?;
                everything(&em).await;
                Err::<(), _>(Error::TransactionAborted)
            })
            .await;
        assert!(failed.is_err());
        em.populate(&ann, ["notes"]).strategy(strategy).await.unwrap();
        assert_eq!(notes(), [10, 12], "{strategy:?}");
    }
}

#[tokio::test]
async fn refresh_and_lock_do_not_reach_hidden_rows() {
    let fixture = tenants().await;
    let em = tenant_one(&fixture);
    let all = everything(&em).await;
    let cat = all.iter().find(|writer| writer.id() == 3).unwrap();
    let ann = all.iter().find(|writer| writer.id() == 1).unwrap();
    assert!(matches!(em.refresh(cat).await, Err(Error::NotFound { entity: "Writer", .. })));
    em.refresh(ann).await.unwrap();
    em.transactional(async |em| {
        em.lock(ann, LockMode::PessimisticWrite).await?;
        assert!(matches!(em.lock(cat, LockMode::PessimisticWrite).await, Err(Error::NotFound { .. })));
        let locked = em.find::<Note>().filter(|n| n.writer().name().eq("Ann")).lock(LockMode::PessimisticWrite).await?;
        assert_eq!(ids(&locked), [10, 12]);
        let refreshed = em.find::<Writer>().populate(|w| w.notes()).refresh().await?;
        assert_eq!(ids(&refreshed), [1, 4]);
        Ok::<_, Error>(())
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn missing_and_wrong_parameters_are_errors_before_anything_is_sent() {
    let fixture = tenants().await;
    let em = fixture.em();
    let refused = |error: Error, what: &str| {
        assert!(matches!(error, Error::Validation { .. }), "{error}");
        assert!(error.to_string().contains(what), "{error}");
    };
    let missing = "the filter \"tenant\" of Writer has no parameters: set them with set_filter_params(\"tenant\", …)";
    refused(em.find_all::<Writer>().await.unwrap_err(), missing);
    refused(em.find_one::<Writer>(1, ()).await.unwrap_err(), missing);
    refused(em.count::<Writer>(()).await.unwrap_err(), missing);
    refused(em.find::<Writer>().cursor().await.unwrap_err(), missing);
    refused(em.find::<Writer>().find_and_count().await.unwrap_err(), missing);
    for strategy in STRATEGIES {
        let find = em.find::<Shelf>().populate(|s| s.note().labels()).strategy(strategy);
        refused(find.await.unwrap_err(), "of Note has no parameters");
    }
    refused(em.find::<Shelf>().filter(|s| s.note().tenant().eq(1)).await.unwrap_err(), "of Note has no parameters");
    em.set_filter_params("tenant", 1_i32);
    let wrong = "the filter \"tenant\" of Writer takes parameters of type `i64`, and was given `i32`";
    refused(em.exists::<Writer>(()).await.unwrap_err(), wrong);
    let given = em.find::<Writer>().without_filter("tenant").with_filter("not_deleted", 1_i64);
    refused(given.await.unwrap_err(), "takes no parameters");
    refused(em.find::<Writer>().without_filter("tenants").await.unwrap_err(), "(filters: not_deleted, tenant)");
    refused(
        em.find::<Writer>().with_filter("deleted", ()).count().await.unwrap_err(),
        "there is no filter \"deleted\"",
    );
    assert!(fixture.statements().is_empty());
    // Who does not ask for the entity needs no parameters.
    assert_eq!(em.find_all::<Shelf>().await.unwrap().len(), 2);
    assert_eq!(em.find::<Writer>().with_filter("tenant", 2_i64).count().await.unwrap(), 1);
}

#[tokio::test]
async fn queries_turn_filters_on_and_off_for_all_that_they_load() {
    let fixture = tenants().await;
    let em = tenant_one(&fixture);
    let writers = |found: Vec<Managed<Writer>>| ids(&found);
    assert_eq!(writers(em.find().without_filter("not_deleted").await.unwrap()), [1, 2, 4]);
    assert_eq!(writers(em.find().without_filter("tenant").await.unwrap()), [1, 3, 4]);
    assert_eq!(writers(em.find().without_filters().await.unwrap()), [1, 2, 3, 4]);
    assert_eq!(writers(em.find().without_filters().with_filter("not_deleted", ()).await.unwrap()), [1, 3, 4]);
    assert_eq!(writers(em.find().with_filter("tenant", 2_i64).await.unwrap()), [3]);
    assert_eq!(writers(em.find().with_filter("tenant", 2_i64).without_filter("tenant").await.unwrap()), [1, 3, 4]);
    for strategy in STRATEGIES {
        let em = tenant_one(&fixture);
        let found =
            em.find::<Writer>().populate(|w| w.notes().labels()).with_filter("tenant", 2_i64).strategy(strategy);
        let found = found.await.unwrap();
        let notes = found[0].read().notes.items().unwrap();
        assert_eq!((ids(&found), ids(&notes)), (vec![3], vec![14]), "{strategy:?}");
        assert!(notes[0].read().labels.items().unwrap().is_empty());
    }
}

#[tokio::test]
async fn entities_without_filters_are_read_as_ever() {
    let log = StatementLog::new();
    let fixture =
        Fixture::with(entities![Shelf, Note, Writer, Label, Card], |builder| builder.statement_log(&log)).await;
    fixture.database.execute(ROWS).await.unwrap();
    let em = fixture.em();
    em.set_filter_params("tenant", 1_i64);
    log.clear();
    assert!(em.find_one::<Shelf>(40, ()).await.unwrap().is_some());
    assert!(em.find_one::<Shelf>(40, ()).await.unwrap().is_some()); // A1
    assert_eq!(log.take(), ["SELECT t0.\"id\", t0.\"note_id\" FROM \"shelf\" AS t0 WHERE t0.\"id\" = $1::int4"]);
}
