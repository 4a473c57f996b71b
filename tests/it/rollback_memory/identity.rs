//! What a failed scope did to the identity map: removals, loads, refreshes, `clear()` and `detach()`.

use tokio::sync::mpsc::unbounded_channel;

use super::{EVERY, Failure, fail, shown};
use crate::library::*;
use crate::support::Fixture;
use howdah::prelude::*;

/// Ada, in the manager and in the database, and Bob, only in the database.
async fn ada_and_bob() -> (Fixture, EntityManager, Managed<Author>) {
    let fixture = Fixture::new(library()).await;
    let em = fixture.em();
    let ada = em.persist(NewAuthor { name: "Ada".into() });
    em.flush().await.unwrap();
    fixture.database.execute("INSERT INTO author (name) VALUES ('Bob')").await.unwrap();
    (fixture, em, ada)
}

#[tokio::test]
async fn d2_removed_entities_are_back_in_the_identity_map() {
    for how in EVERY {
        let (fixture, em, ada) = ada_and_bob().await;
        let (going, staying) = (em.persist(NewShelf { code: "A".into() }), em.persist(NewShelf { code: "B".into() }));
        em.flush().await.unwrap();
        em.remove(&going);
        let before = [shown(&ada), shown(&going).replace("Shelf", ""), shown(&staying)];
        let (author, one, two) = (ada.clone(), going.clone(), staying.clone());
        fail(&em, how, |em| async move {
            em.remove(&author);
            em.remove(&two);
            em.flush().await?;
            assert_eq!(em.find_one::<Shelf>("B", ()).await?, None);
            // The key is free for another one, in the map, too.
            let other = em.persist(NewShelf { code: "B".into() });
            em.flush().await?;
            assert_ne!(other, two);
            assert_eq!((one.state(), two.state(), author.id()), (EntityState::Removed, EntityState::Removed, 1));
            Ok(())
        })
        .await;
        assert_eq!([shown(&ada), shown(&going).replace("Shelf", ""), shown(&staying)], before, "{how:?}");
        fixture.forget();
        assert_eq!(em.find_one_or_fail::<Author>(1, ()).await.unwrap(), ada);
        assert_eq!(em.find_one_or_fail::<Shelf>("B", ()).await.unwrap(), staying);
        assert!(fixture.flow().is_empty(), "{how:?}: both are in the map");
        assert_eq!(em.flush().await.unwrap().deleted, 1, "{how:?}: what was to be removed before still is");
        assert_eq!(fixture.rows("SELECT code FROM shelf").await, ["B"]);
    }
}

#[tokio::test]
async fn d2_what_was_loaded_after_a_write_is_detached() {
    for how in EVERY {
        let (fixture, em, ada) = ada_and_bob().await;
        let (sender, mut receiver) = unbounded_channel();
        let author = ada.clone();
        fail(&em, how, |em| async move {
            author.write().name = "Augusta".into();
            em.flush().await?;
            let bob = em.find_one_or_fail::<Author>(2, ()).await?;
            bob.write().born = Some(1900);
            em.flush().await?;
            sender.send(bob).unwrap();
            Ok(())
        })
        .await;
        let phantom = receiver.recv().await.unwrap();
        assert_eq!(phantom.state(), EntityState::Detached, "{how:?}");
        let bob = em.find_one_or_fail::<Author>(2, ()).await.unwrap();
        assert_ne!(bob, phantom);
        assert_eq!((bob.state(), bob.read().born), (EntityState::Managed, None));
        // The detached one is nobody's business any more.
        phantom.write().name = "Eve".into();
        assert_eq!(em.flush().await.unwrap(), FlushSummary::default());
        assert!(matches!(em.refresh(&phantom).await, Err(Error::Detached { .. })), "{how:?}");
        assert_eq!(fixture.rows("SELECT name, born FROM author ORDER BY id").await, ["Ada|~", "Bob|~"]);
    }
}

#[tokio::test]
async fn d2_what_was_loaded_before_a_write_stays() {
    for how in EVERY {
        let (fixture, em, _) = ada_and_bob().await;
        let (sender, mut receiver) = unbounded_channel();
        fail(&em, how, |em| async move {
            let bob = em.find_one_or_fail::<Author>(2, ()).await?;
            bob.write().born = Some(1900);
            em.flush().await?;
            sender.send(bob).unwrap();
            Ok(())
        })
        .await;
        let bob = receiver.recv().await.unwrap();
        assert_eq!((bob.state(), bob.read().born, bob.is_dirty()), (EntityState::Managed, None, false), "{how:?}");
        fixture.forget();
        assert_eq!(em.find_one_or_fail::<Author>(2, ()).await.unwrap(), bob);
        assert!(fixture.flow().is_empty());
    }
}

#[tokio::test]
async fn d2_refreshed_entities_get_their_earlier_values_back() {
    for how in EVERY {
        let (fixture, em, ada) = ada_and_bob().await;
        let bob = em.find_one_or_fail::<Author>(2, ()).await.unwrap();
        bob.write().name = "Robert".into();
        let before = [shown(&ada), shown(&bob)];
        let (one, two) = (ada.clone(), bob.clone());
        let url = fixture.database.url().to_owned();
        fail(&em, how, |em| async move {
            // A refresh drops the user's changes; a find of a row that has changed since takes it over.
            em.refresh(&two).await?;
            assert_eq!(two.read().name, "Bob");
            em.persist(NewAuthor { name: "Eve".into() });
            em.flush().await?;
            let elsewhere = Orm::builder().url(url).entities(library()).connect().await?.em();
            elsewhere.find_one_or_fail::<Author>(one.id(), ()).await?.write().born = Some(1815);
            elsewhere.flush().await?;
            em.find_all::<Author>().await?;
            assert_eq!(one.read().born, Some(1815));
            Ok(())
        })
        .await;
        assert_eq!([shown(&ada), shown(&bob)], before, "{how:?}");
        assert_eq!(em.flush().await.unwrap().updated, 1);
        assert_eq!(fixture.rows("SELECT name, born FROM author ORDER BY id").await, ["Ada|1815", "Robert|~"]);
    }
}

#[tokio::test]
async fn d2_clear_is_undone() {
    for how in EVERY {
        let (fixture, em, ada) = ada_and_bob().await;
        let scheduled = em.persist(NewAuthor { name: "Eve".into() });
        ada.write().born = Some(1815);
        let before = [shown(&ada), shown(&scheduled)];
        let (sender, mut receiver) = unbounded_channel();
        let author = ada.clone();
        fail(&em, how, |em| async move {
            author.write().name = "Augusta".into();
            em.clear();
            assert_eq!(author.state(), EntityState::Detached);
            author.write().name = "nobody".into();
            let again = em.find_one_or_fail::<Author>(1, ()).await?;
            assert_ne!(again, author);
            again.write().name = "Countess".into();
            let created = em.persist(NewAuthor { name: "Joe".into() });
            em.flush().await?;
            em.clear();
            sender.send((again, created)).unwrap();
            Ok(())
        })
        .await;
        assert_eq!([shown(&ada), shown(&scheduled)], before, "{how:?}");
        let (again, created) = receiver.recv().await.unwrap();
        assert_eq!((again.state(), created.state()), (EntityState::Detached, EntityState::Detached), "{how:?}");
        fixture.forget();
        assert_eq!(em.find_one_or_fail::<Author>(1, ()).await.unwrap(), ada);
        assert!(fixture.flow().is_empty());
        let summary = em.flush().await.unwrap();
        assert_eq!((summary.inserted, summary.updated), (1, 1), "{how:?}");
        let rows = fixture.rows("SELECT name, born FROM author ORDER BY name").await;
        assert_eq!(rows, ["Ada|1815", "Bob|~", "Eve|~"], "{how:?}");
    }
}

#[tokio::test]
async fn d2_detach_is_undone() {
    for how in EVERY {
        let (fixture, em, ada) = ada_and_bob().await;
        let scheduled = em.persist(NewAuthor { name: "Eve".into() });
        ada.write().born = Some(1815);
        let before = [shown(&ada), shown(&scheduled)];
        let (sender, mut receiver) = unbounded_channel();
        let (one, two) = (ada.clone(), scheduled.clone());
        fail(&em, how, |em| async move {
            em.detach(&one);
            em.detach(&two);
            assert_eq!((one.state(), two.state()), (EntityState::Detached, EntityState::Detached));
            one.write().name = "nobody".into();
            let again = em.find_one_or_fail::<Author>(1, ()).await?;
            assert_ne!(again, one);
            sender.send(again).unwrap();
            Ok(())
        })
        .await;
        assert_eq!([shown(&ada), shown(&scheduled)], before, "{how:?}");
        // One row, one entity: the place belongs to the first again.
        let again = receiver.recv().await.unwrap();
        assert_eq!(again.state(), EntityState::Detached, "{how:?}");
        fixture.forget();
        assert_eq!(em.find_one_or_fail::<Author>(1, ()).await.unwrap(), ada);
        assert!(fixture.flow().is_empty());
        let summary = em.flush().await.unwrap();
        assert_eq!((summary.inserted, summary.updated), (1, 1), "{how:?}");
    }
}

#[tokio::test]
async fn d2_a_transaction_that_commits_keeps_all_of_it() {
    let (fixture, em, ada) = ada_and_bob().await;
    let (bob, eve) = em
        .transactional(async |em| {
            let inner = em
                .transactional(async |em| {
                    ada.write().name = "Augusta".into();
                    em.flush().await?;
                    let bob = em.find_one_or_fail::<Author>(2, ()).await?;
                    Ok::<_, Error>((bob, em.persist(NewAuthor { name: "Eve".into() })))
                })
                .await?;
            em.remove(&ada);
            Ok::<_, Error>(inner)
        })
        .await
        .unwrap();
    assert_eq!(
        (ada.state(), bob.state(), eve.state()),
        (EntityState::Removed, EntityState::Managed, EntityState::Managed)
    );
    assert!(eve.id() > 0);
    assert_eq!(fixture.rows("SELECT name FROM author ORDER BY id").await, ["Bob", "Eve"]);
    // Nothing of it is undone by a later failure.
    fail(&em, Failure::Error, |em| async move { em.flush().await.map(|_| ()) }).await;
    assert_eq!(
        (ada.state(), bob.state(), eve.state()),
        (EntityState::Removed, EntityState::Managed, EntityState::Managed)
    );
}
