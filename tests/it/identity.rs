//! Rules A1 to A5: one row is one entity, handles outlive their manager, what is read again is merged.

use std::sync::{Arc, Weak};

use crate::library::*;
use crate::support::Fixture;
use howdah::prelude::*;

/// An author with two books, one of them tagged and on a shelf, and a profile.
async fn shelved(fixture: &Fixture) -> i64 {
    let em = fixture.em();
    let ursula = em.persist(NewAuthor { name: "Ursula".into() });
    let tag = em.persist(NewTag { name: "utopia".into() });
    let shelf = em.persist(NewShelf { code: "A1".into() });
    for title in ["The Dispossessed", "Lavinia"] {
        let book = em.persist(NewBook { title: title.into(), author: ursula.to_ref() });
        if title == "Lavinia" {
            book.write().tags.add(&tag);
            book.write().shelf = Some(shelf.to_ref());
        }
    }
    em.persist(NewProfile { text: "Portland".into(), author: ursula.to_ref() });
    em.flush().await.unwrap();
    fixture.forget();
    ursula.id()
}

#[tokio::test]
async fn a1_one_row_is_one_entity_by_whatever_query() {
    let fixture = Fixture::new(library()).await;
    let id = shelved(&fixture).await;
    let em = fixture.em();
    let by_key = em.find_one_or_fail::<Author>(id, ()).await.unwrap();
    let by_name = em.find_one_or_fail::<Author>(Author::fields().name().eq("Ursula"), ()).await.unwrap();
    let all = em.find_all::<Author>().await.unwrap();
    let clone = em.clone().find_one_or_fail::<Author>(id, ()).await.unwrap();
    assert_eq!(by_key, by_name);
    assert_eq!(all, [by_key.clone()]);
    assert_eq!(clone, by_key);
    let book = em.find::<Book>().limit(1).await.unwrap().remove(0);
    assert_eq!(book.read().author.get().unwrap(), by_key);
    by_name.write().born = Some(1929);
    assert_eq!(by_key.read().born, Some(1929));

    let other = fixture.em().find_one_or_fail::<Author>(id, ()).await.unwrap();
    assert_ne!(other, by_key, "another manager has an entity of its own");
    assert_eq!(other.read().born, None);
}

#[tokio::test]
async fn a1_a_loaded_key_is_found_without_sql() {
    let fixture = Fixture::new(library()).await;
    let id = shelved(&fixture).await;
    let em = fixture.em();
    let author = em.find_one_or_fail::<Author>(id, ["books.tags", "books.shelf", "profile", "mentor"]).await.unwrap();
    fixture.forget();
    assert_eq!(em.find_one::<Author>(id, ()).await.unwrap().as_ref(), Some(&author));
    let populated = em.find_one::<Author>(id, ["books.tags", "books.shelf", "profile", "mentor"]).await.unwrap();
    assert_eq!(populated.as_ref(), Some(&author));
    assert_eq!(author.load(&em, |a| a.books()).await.unwrap().len(), 2);
    assert!(author.read().profile.as_ref().unwrap().load(&em).await.is_ok());
    assert!(fixture.statements().is_empty());
    assert_eq!(fixture.log.round_trips(), 0);

    // What is not loaded yet is all that is asked for.
    let tags = em.find_one::<Author>(id, ["books.tags.books"]).await.unwrap().unwrap();
    assert_eq!(tags, author);
    assert_eq!(fixture.log.round_trips(), 1);
    assert_eq!(fixture.statements().len(), 2, "the links, and what they lead to");
}

#[tokio::test]
async fn a1_an_entity_that_was_flushed_is_found_without_sql() {
    let fixture = Fixture::new(library()).await;
    let em = fixture.em();
    let author = em.persist(NewAuthor { name: "Ursula".into() });
    em.flush().await.unwrap();
    fixture.forget();
    assert_eq!(em.find_one::<Author>(author.id(), ()).await.unwrap(), Some(author.clone()));
    assert!(author.read().books.is_empty().unwrap());
    assert!(em.find_one::<Author>(author.id(), ["books"]).await.unwrap().is_some());
    assert!(fixture.statements().is_empty());

    em.remove(&author);
    em.flush().await.unwrap();
    assert_eq!(em.find_one::<Author>(1, ()).await.unwrap(), None, "a deleted entity left the identity map");
}

/// Has a field that tells when the entity is dropped.
#[derive(Entity, Clone, Debug)]
pub struct Leaf {
    #[primary_key]
    pub id: i64,
    #[many_to_one(inversed_by = leaves)]
    pub twig: Ref<Twig>,
    #[transient]
    pub probe: Option<Arc<()>>,
}

#[derive(Entity, Clone, Debug)]
pub struct Twig {
    #[primary_key]
    pub id: i64,
    #[one_to_many(mapped_by = twig)]
    pub leaves: Collection<Leaf>,
}

/// A twig that knows its leaf and a leaf that knows its twig, the probe being the leaf's.
fn grow(em: &EntityManager) -> (Managed<Twig>, Managed<Leaf>, Weak<()>) {
    let probe = Arc::new(());
    let twig = em.persist(NewTwig {});
    let leaf = em.create(NewLeaf { twig: twig.to_ref() });
    leaf.write().probe = Some(Arc::clone(&probe));
    twig.write().leaves.add(&leaf);
    (twig, leaf, Arc::downgrade(&probe))
}

#[tokio::test]
async fn a2_handles_outlive_the_manager_and_nothing_leaks() {
    let fixture = Fixture::new(entities![Leaf, Twig]).await;
    let em = fixture.em();
    let (twig, leaf, probe) = grow(&em);
    em.flush().await.unwrap();
    drop((em, leaf));
    let leaf = twig.read().leaves.items().unwrap().remove(0);
    assert_eq!(leaf.read().twig.get().unwrap(), twig, "both directions are navigable without the manager");
    drop(twig);
    let twig = leaf.read().twig.get().unwrap();
    assert_eq!(twig.id(), 1);
    drop(leaf);
    assert!(probe.upgrade().is_some(), "one handle keeps the whole graph");
    drop(twig);
    assert!(probe.upgrade().is_none(), "the last handle frees it");
}

#[tokio::test]
async fn a2_a_graph_that_was_never_flushed_or_was_dirty_is_freed() {
    let fixture = Fixture::new(entities![Leaf, Twig]).await;
    let em = fixture.em();
    let (twig, leaf, probe) = grow(&em);
    drop((em, twig, leaf));
    assert!(probe.upgrade().is_none());

    let em = fixture.em();
    let (twig, leaf, probe) = grow(&em);
    em.flush().await.unwrap();
    leaf.write().probe = None;
    twig.write().leaves.remove(&leaf);
    assert!(probe.upgrade().is_some(), "the copy that changes are told by has it");
    drop((em, twig, leaf));
    assert!(probe.upgrade().is_none());
}

#[tokio::test]
async fn a2_clear_detaches_handles_and_leaves_them_navigable() {
    let fixture = Fixture::new(entities![Leaf, Twig]).await;
    let em = fixture.em();
    let (twig, leaf, probe) = grow(&em);
    em.flush().await.unwrap();
    let unsaved = em.persist(NewTwig {});
    em.clear();
    for state in [twig.state(), leaf.state(), unsaved.state()] {
        assert_eq!(state, EntityState::Detached);
    }
    assert_eq!(leaf.read().twig.get().unwrap(), twig);
    assert_eq!(twig.read().leaves.items().unwrap(), [leaf.clone()]);

    fixture.forget();
    twig.write().leaves.remove_all();
    leaf.write().probe = None;
    assert!(!leaf.is_dirty());
    assert_eq!(em.flush().await.unwrap(), FlushSummary::default(), "detached changes and schedules are forgotten");
    let found = em.find_one_or_fail::<Twig>(twig.id(), ()).await.unwrap();
    assert_ne!(found, twig, "the manager has a new graph");
    assert_eq!(found.state(), EntityState::Managed);
    assert_eq!(fixture.statements().len(), 1);
    drop((twig, leaf, unsaved));
    assert!(probe.upgrade().is_none(), "the old graph is gone while the manager lives");
}

#[tokio::test]
async fn a2_one_entity_can_be_detached() {
    let fixture = Fixture::new(library()).await;
    let id = shelved(&fixture).await;
    let em = fixture.em();
    let author = em.find_one_or_fail::<Author>(id, ()).await.unwrap();
    author.write().name = "Nobody".into();
    em.detach(&author);
    assert_eq!(author.state(), EntityState::Detached);
    assert_eq!(em.flush().await.unwrap(), FlushSummary::default());
    let again = em.find_one_or_fail::<Author>(id, ()).await.unwrap();
    assert_ne!(again, author);
    assert_eq!(again.read().name, "Ursula");
    let error = em.refresh(&author).await.unwrap_err();
    assert!(matches!(error, Error::Detached { entity: "Author" }), "{error}");
}
