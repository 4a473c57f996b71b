//! What is written past the unit of work writes to no row that is hidden; projections and queries read none.

use super::{NewNote, Note, NoteFields, Writer, ids, tenant_one, tenants};
use howdah::prelude::*;

const NOTES: &str = "SELECT id, tenant, reviewer_id FROM note ORDER BY id";

#[tokio::test]
async fn updates_and_deletes_touch_only_what_is_seen() {
    let fixture = tenants().await;
    let em = tenant_one(&fixture);
    assert_eq!(em.native_update::<Note>().set_null(|n| n.reviewer()).await.unwrap(), 4);
    assert_eq!(fixture.rows(NOTES).await, ["10|1|~", "11|2|1", "12|1|~", "13|1|~", "14|2|1", "15|1|~"]);
    let hidden = em.native_update::<Note>().filter(|n| n.id().eq(11)).set_null(|n| n.reviewer());
    assert_eq!(hidden.await.unwrap(), 0);
    // Conditions and values lead to nothing that is hidden, either.
    let of_cat = em.native_update::<Note>().filter(|n| n.writer().name().eq("Cat")).set(|n| n.reviewer(), 1);
    assert_eq!(of_cat.await.unwrap(), 0);
    assert_eq!(em.native_delete::<Note>().filter(|n| n.id().eq(14)).await.unwrap(), 0);
    assert!(
        em.native_delete::<Note>().filter(|n| n.id().is_in([11, 14])).returning_entities().await.unwrap().is_empty()
    );
    fixture.database.execute("DELETE FROM note_labels; DELETE FROM shelf").await.unwrap();
    assert_eq!(em.native_delete::<Note>().await.unwrap(), 4);
    assert_eq!(fixture.rows("SELECT id FROM note ORDER BY id").await, ["11", "14"]);
    let two = em.native_delete::<Note>().with_filter("tenant", 2_i64).filter(|n| n.id().eq(11));
    assert_eq!(two.await.unwrap(), 1);
    assert_eq!(em.native_delete::<Note>().without_filters().await.unwrap(), 1);
    // Soft deletion, and what purges.
    let deleted = em.native_update::<Writer>().set(|w| w.deleted_at(), Some(Utc::now()));
    assert_eq!(deleted.await.unwrap(), 2);
    assert_eq!(em.native_update::<Writer>().set(|w| w.name(), "x").await.unwrap(), 0);
    fixture.database.execute("DELETE FROM card").await.unwrap();
    assert_eq!(em.native_delete::<Writer>().without_filter("not_deleted").await.unwrap(), 3);
    assert_eq!(fixture.rows("SELECT name FROM writer").await, ["Cat"]);
}

#[tokio::test]
async fn missing_parameters_and_unknown_filters_stop_them_before_anything_is_sent() {
    let fixture = tenants().await;
    let em = fixture.em();
    for error in [
        em.native_update::<Note>().set_null(|n| n.reviewer()).await.unwrap_err(),
        em.native_delete::<Note>().await.unwrap_err(),
        em.native_delete::<Note>().without_filter("tenants").await.unwrap_err(),
        em.upsert(note(&em, 10)).await.unwrap_err(),
    ] {
        assert!(matches!(error, Error::Validation { .. }), "{error}");
    }
    assert!(fixture.statements().is_empty());
}

/// A note of Ann's, of tenant 1.
fn note(em: &EntityManager, id: i32) -> Note {
    NewNote { id, tenant: 1, writer: em.get_reference::<Writer>(1) }.into()
}

#[tokio::test]
async fn an_upsert_overwrites_no_row_that_is_hidden() {
    let fixture = tenants().await;
    let em = tenant_one(&fixture);
    assert!(em.upsert(note(&em, 11)).await.is_err());
    assert_eq!(fixture.rows("SELECT tenant FROM note WHERE id = 11").await, ["2"]);
    em.upsert(note(&em, 10)).await.unwrap();
    assert_eq!(fixture.rows("SELECT tenant, reviewer_id FROM note WHERE id = 10").await, ["1|~"]);
}

#[tokio::test]
async fn filters_that_lead_over_relations_hold_where_nothing_can_be_joined() {
    let fixture = tenants().await;
    let em = fixture.em();
    em.add_filter(Filter::new::<Note>("tenant", |n| n.writer().name().eq("Ann") & n.labels().is_empty().not()));
    em.add_filter(Filter::new::<Writer>("tenant", |w| w.notes().tenant().eq(1)));
    assert_eq!(ids(&em.find::<Note>().without_filter("not_deleted").await.unwrap()), [10, 11, 12]);
    let update = em.native_update::<Note>().filter(|n| n.tenant().eq(1)).set_null(|n| n.reviewer());
    assert_eq!(update.await.unwrap(), 2);
    assert_eq!(em.native_update::<Writer>().set(|w| w.name(), "seen").await.unwrap(), 2);
    assert_eq!(fixture.rows("SELECT name FROM writer ORDER BY id").await, ["seen", "Bea", "seen", "Dan"]);
    assert_eq!(em.native_delete::<Note>().await.unwrap(), 0);
}

#[derive(Projection, Debug)]
struct Card {
    id: i32,
    notes: Vec<OfNote>,
}

#[derive(Projection, Debug)]
struct OfNote {
    id: i32,
}

#[tokio::test]
async fn projections_and_queries_read_what_the_filters_let_through() {
    let fixture = tenants().await;
    let em = tenant_one(&fixture);
    let cards = em.find::<Writer>().order_by(|w| w.id().asc()).into::<Card>().await.unwrap();
    assert_eq!(cards.iter().map(|card| card.id).collect::<Vec<_>>(), [1, 4]);
    assert_eq!(cards[0].notes.iter().map(|note| note.id).collect::<Vec<_>>(), [10, 12]);
    let all = em.find::<Writer>().without_filters().order_by(|w| w.id().asc()).into::<Card>().await.unwrap();
    assert_eq!(all[0].notes.len(), 3);
    type Counted = (i32, i64);
    let counted: Vec<Counted> =
        em.find::<Writer>().order_by(|w| w.id().asc()).select(|w| (w.id(), w.notes().count())).await.unwrap();
    assert_eq!(counted, [(1, 2), (4, 0)]);
    // What a hidden row would have is NULL.
    let select = |n: NoteFields<Note>| (n.id(), n.writer().name().nullable());
    let joined = em.query::<Note>().order_by(|n| n.id().asc()).select(select).await.unwrap();
    let ann = Some("Ann".to_owned());
    assert_eq!(joined, [(10, ann.clone()), (12, ann), (13, None), (15, None)]);
    // A collection is narrowed to what is seen of it.
    let ann = em.find_one_or_fail::<Writer>(1, ()).await.unwrap();
    assert_eq!(ann.load_count(&em, |w| w.notes()).await.unwrap(), 2);
    assert_eq!(ids(&ann.matching(&em, |w| w.notes()).filter(|n| n.id().gt(10)).await.unwrap()), [12]);
    assert_eq!(em.repository::<Writer>().all().await.unwrap().len(), 2);
}
