//! What a failed scope has written past the unit of work, and what was read of that: the memory goes back, too (rule D2).

use super::on_purpose;
use crate::library::*;
use crate::support::Fixture;
use howdah::prelude::*;

/// The ways to send plain SQL.
#[derive(Clone, Copy, Debug)]
enum Way {
    Execute,
    Rows,
    Values,
    Entities,
}

async fn send(em: &EntityManager, way: Way) -> Result<(), Error> {
    let update = "UPDATE author SET name = 'X' || id";
    let returning = format!("{update} RETURNING *");
    match way {
        Way::Execute => em.sql(update, &[]).execute().await.map(|_| ()),
        Way::Rows => em.sql(returning, &[]).await.map(|_| ()),
        Way::Values => em.sql(format!("{update} RETURNING name"), &[]).map_to::<String>().await.map(|_| ()),
        Way::Entities => em.sql(returning, &[]).into_entities::<Author>().await.map(|_| ()),
    }
}

#[tokio::test]
async fn d2_what_plain_sql_has_written() {
    let fixture = Fixture::new(library()).await;
    fixture.database.execute("INSERT INTO author (name) VALUES ('Ada'), ('Bob')").await.unwrap();
    for way in [Way::Execute, Way::Rows, Way::Values, Way::Entities] {
        let em = fixture.em();
        let ada = em.find_one_or_fail::<Author>(1, ()).await.unwrap();
        let mut read = Vec::new();
        let failed = em
            .transactional(async |em| {
                send(&em, way).await?;
                read.extend(em.find::<Author>().order_by(|a| a.id().asc()).await?);
                assert_eq!((ada.read().name.as_str(), read[1].read().name.as_str()), ("X1", "X2"), "{way:?}");
                Err::<(), _>(on_purpose())
            })
            .await;
        assert!(failed.is_err());
        assert_eq!((ada.read().name.as_str(), ada.state()), ("Ada", EntityState::Managed), "{way:?}");
        assert_eq!(read[1].state(), EntityState::Detached, "{way:?}: it shows a row that never was");
        fixture.forget();
        assert_eq!(em.find_one_or_fail::<Author>(2, ()).await.unwrap().read().name, "Bob", "{way:?}");
        assert_eq!(fixture.statements().len(), 1);
        ada.write().born = Some(1815);
        em.flush().await.unwrap();
        assert_eq!(fixture.rows("SELECT name FROM author ORDER BY id").await, ["Ada", "Bob"], "{way:?}");
    }
}

/// Read while what was sent is on its way, by another handle of the manager.
#[tokio::test]
async fn d2_what_was_read_beside_a_write() {
    let fixture = Fixture::new(library()).await;
    fixture.database.execute("INSERT INTO author (name) VALUES ('Ada')").await.unwrap();
    for is_flush in [false, true] {
        let em = fixture.em();
        em.set_flush_mode(FlushMode::Commit);
        let ada = em.find_one_or_fail::<Author>(1, ()).await.unwrap();
        let failed = em
            .transactional(async |em| {
                let write = async {
                    if is_flush {
                        em.persist(NewShelf { code: "A".into() });
                        em.sql("SELECT 1", &[]).await?;
                        em.flush().await.map(|_| ())
                    } else {
                        send(&em, Way::Execute).await
                    }
                };
                let (written, read) = tokio::join!(write, em.find::<Author>());
                written?;
                assert_eq!(read?[0].read().name == "X1", !is_flush);
                Err::<(), _>(on_purpose())
            })
            .await;
        assert!(failed.is_err());
        assert_eq!(ada.read().name, "Ada");
    }
}

/// What a stale entity was when the scope began is stale again: it was never read.
#[tokio::test]
async fn d2_a_stale_entity_is_stale_again() {
    let fixture = Fixture::new(library()).await;
    let em = fixture.em();
    em.set_flush_mode(FlushMode::Commit);
    let author = em.persist(NewAuthor { name: "Ada".into() });
    let book = em.persist(NewBook { title: "Notes".into(), author: author.to_ref() });
    em.flush().await.unwrap();
    for is_nested in [false, true] {
        em.native_update::<Book>().set(|b| b.pages(), 20 + i32::from(is_nested)).await.unwrap();
        let scope = async |em: EntityManager| {
            em.persist(NewShelf { code: "A".into() });
            em.flush().await?;
            em.find_one_or_fail::<Book>(book.id(), ()).await?;
            assert_eq!(book.read().pages, Some(20 + i32::from(is_nested)));
            Err::<(), _>(on_purpose())
        };
        let failed = if is_nested {
            em.transactional(async |em| {
                assert!(em.transactional(scope).await.is_err());
                Ok::<_, Error>(())
            })
            .await
        } else {
            em.transactional(scope).await
        };
        assert_eq!(failed.is_ok(), is_nested);
        fixture.forget();
        em.find_one_or_fail::<Book>(book.id(), ()).await.unwrap();
        assert_eq!((book.read().pages, fixture.statements().len()), (Some(20 + i32::from(is_nested)), 1));
        book.write().title = format!("Notes {is_nested}");
        assert_eq!(em.flush().await.unwrap().updated, 1);
    }
    assert_eq!(fixture.rows("SELECT title, pages, version FROM book").await, ["Notes true|21|5"]);
}

/// A row that was deleted and inserted again is another entity, as long as it is there.
#[tokio::test]
async fn d2_an_entity_that_was_replaced_in_the_identity_map_comes_back() {
    let fixture = Fixture::new(library()).await;
    let em = fixture.em();
    let first = em.persist(NewShelf { code: "A".into() });
    em.flush().await.unwrap();
    let mut second = None;
    let failed = em
        .transactional(async |em| {
            em.native_delete::<Shelf>().filter(|s| s.code().eq("A")).await?;
            let shelf = em.persist(NewShelf { code: "A".into() });
            em.flush().await?;
            assert_eq!((first.state(), shelf.state()), (EntityState::Detached, EntityState::Managed));
            assert_eq!(em.find_one_or_fail::<Shelf>("A", ()).await?, shelf);
            second = Some(shelf);
            Err::<(), _>(on_purpose())
        })
        .await;
    assert!(failed.is_err());
    assert_eq!((first.state(), second.unwrap().state()), (EntityState::Managed, EntityState::New));
    assert_eq!(em.find_one_or_fail::<Shelf>("A", ()).await.unwrap(), first);
    em.remove(&first);
    assert_eq!(em.flush().await.unwrap().deleted, 1);
}
