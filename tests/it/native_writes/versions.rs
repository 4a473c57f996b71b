//! Pending changes and removals of rows that a statement past the unit of work has written, or somebody else has (rule C9).

use super::rows;
use crate::library::*;
use crate::support::Fixture;
use howdah::prelude::*;

/// What somebody else has written is not overwritten, because a statement of the manager's own has come in between.
#[tokio::test]
async fn c9_pending_changes_are_not_written_over_what_others_have_written() {
    let fixture = Fixture::new(library()).await;
    for (is_touched, is_keyed) in [(false, false), (false, true), (true, false), (true, true)] {
        let em = rows(&fixture).await;
        em.set_flush_mode(FlushMode::Commit);
        let book = em.find_one_or_fail::<Book>(Book::fields().title().eq("a"), ()).await.unwrap();
        let removed = em.find_one_or_fail::<Book>(Book::fields().title().eq("b"), ()).await.unwrap();
        book.write().pages = Some(7);
        em.remove(&removed);
        let other = fixture.em();
        for theirs in other.find::<Book>().await.unwrap() {
            theirs.write().title = "theirs".into();
        }
        other.flush().await.unwrap();
        let (one, two) = (book.id(), removed.id());
        let update = em.native_update::<Book>().set(|b| b.title(), "ours");
        let update = if is_keyed { update.filter(|b| b.id().is_in([one, two])) } else { update };
        let update = if is_touched { update } else { update.filter(|b| b.title().eq("nobody's")) };
        assert_eq!(update.await.unwrap() > 0, is_touched);
        em.find::<Book>().await.unwrap();
        let context = format!("{is_touched} {is_keyed}");
        let Err(Error::OptimisticLock { entities }) = em.flush().await else { panic!("{context}") };
        assert_eq!(entities.len(), 2, "{context}: {entities:?}");
        let pages = fixture.rows("SELECT pages FROM book ORDER BY id").await;
        assert_eq!(pages, ["~", "~", "~"], "{context}");
        fixture.database.execute("TRUNCATE author, book CASCADE").await.unwrap();
    }
}

/// A statement that has failed has written nothing that pending changes could be written over.
#[tokio::test]
async fn c9_a_failed_statement_has_written_nothing() {
    let fixture = Fixture::new(library()).await;
    let em = rows(&fixture).await;
    em.set_flush_mode(FlushMode::Commit);
    let book = em.find_one_or_fail::<Book>(1, ()).await.unwrap();
    book.write().title = "mine".into();
    fixture.database.execute("UPDATE book SET title = 'theirs', version = 2 WHERE id = 1").await.unwrap();
    assert!(em.native_update::<Book>().set(|b| b.pages(), -1).await.is_err());
    em.find::<Book>().await.unwrap();
    assert!(matches!(em.flush().await, Err(Error::OptimisticLock { .. })));
    assert_eq!(fixture.rows("SELECT title FROM book WHERE id = 1").await, ["theirs"]);
}

/// Several statements, and those of others only before or behind: the versions are counted one by one.
#[tokio::test]
async fn c9_pending_changes_follow_the_managers_own_statements() {
    let fixture = Fixture::new(library()).await;
    let em = rows(&fixture).await;
    em.set_flush_mode(FlushMode::Commit);
    let book = em.find_one_or_fail::<Book>(1, ()).await.unwrap();
    let removed = em.find_one_or_fail::<Book>(2, ()).await.unwrap();
    book.write().title = "mine".into();
    em.remove(&removed);
    for pages in 1..3 {
        em.native_update::<Book>().set(|b| b.pages(), pages).await.unwrap();
    }
    let returned = em.native_update::<Book>().set(|b| b.pages(), 3).returning_entities().await.unwrap();
    assert_eq!(returned.len(), 3);
    assert_eq!((book.read().pages, book.read().version), (Some(3), 4));
    let summary = em.flush().await.unwrap();
    assert_eq!((summary.updated, summary.deleted), (1, 1));
    assert_eq!(fixture.rows("SELECT title, pages, version FROM book ORDER BY id").await, ["mine|3|5", "c|3|4"]);
}

#[tokio::test]
async fn c9_a_statement_with_a_common_table_expression_tells_its_versions() {
    let fixture = Fixture::new(library()).await;
    let em = rows(&fixture).await;
    em.set_flush_mode(FlushMode::Commit);
    let book = em.find_one_or_fail::<Book>(1, ()).await.unwrap();
    book.write().title = "mine".into();
    let first = em.query::<Book>().filter(|b| b.id().lt(3)).select(|b| b.id()).as_cte("first_books");
    let update = em.query::<Book>().join_with(&first, |b, id| b.id().eq(id)).update().set(|b| b.pages(), 4);
    assert_eq!(update.await.unwrap(), 2);
    em.find::<Book>().await.unwrap();
    assert_eq!(em.flush().await.unwrap().updated, 1);
    assert_eq!(fixture.rows("SELECT title, pages, version FROM book WHERE id = 1").await, ["mine|4|3"]);
}
