//! What happens to the one who comes second: it waits, skips the row, or is told.

use super::*;
use crate::cancellation::cancelled_after;

#[tokio::test]
async fn a_mode_that_fails_leaves_the_transaction_as_it_was() {
    let fixture = books().await;
    let holder = begun(&fixture).await;
    holder.lock(&book(&holder, 2).await, LockMode::PessimisticWrite).await.unwrap();

    let em = begun(&fixture).await;
    let (first, second) = (book(&em, 1).await, book(&em, 2).await);
    first.write().title = "written before".into();
    em.flush().await.unwrap();
    let mode = LockMode::PessimisticNoKeyWriteOrFail;
    let error = em.lock(&second, mode).await.unwrap_err();
    let Error::LockNotAvailable { entity: Some("Book"), source: Some(_) } = &error else { panic!("{error:?}") };
    assert_eq!(error.to_string(), "Book is locked by another transaction; try again later");
    assert_eq!((error.sqlstate(), error.is_retryable()), (Some("55P03"), true));

    // A find gives up what it had locked before it came to the row: the third book comes before the second here.
    let found = em.find::<Book>().filter(|book| book.id().is_in([2, 3])).order_by(|book| book.id().desc()).lock(mode);
    let error = found.clone().await.unwrap_err();
    assert!(matches!(error, Error::LockNotAvailable { entity: Some("Book"), source: Some(_) }), "{error:?}");
    assert!(is_free(&fixture, 3, LockMode::PessimisticWriteOrFail).await);
    assert!(!is_free(&fixture, 1, LockMode::PessimisticWriteOrFail).await, "what was written before is still locked");

    holder.rollback().await.unwrap();
    assert_eq!(found.await.unwrap().len(), 2);
    em.lock(&second, mode).await.unwrap();
    first.write().pages = Some(3);
    em.commit().await.unwrap();
    assert_eq!(fixture.rows("SELECT title, pages FROM book WHERE id = 1").await, ["written before|3"]);
    assert!(is_free(&fixture, 2, LockMode::PessimisticWriteOrFail).await, "committed");
}

#[tokio::test]
async fn a_partial_mode_finds_the_other_rows() {
    let fixture = books().await;
    let queue = async |em: &EntityManager, mode| {
        let find = em.find::<Book>().order_by(|book| book.id().asc()).limit(2).lock(mode);
        find.await.unwrap().iter().map(Managed::id).collect::<Vec<_>>()
    };
    let (one, two, three) = (begun(&fixture).await, begun(&fixture).await, begun(&fixture).await);
    assert_eq!(queue(&one, LockMode::PessimisticPartialWrite).await, [1, 2]);
    assert_eq!(queue(&two, LockMode::PessimisticPartialRead).await, [3, 4]);
    assert!(queue(&three, LockMode::PessimisticPartialWrite).await.is_empty());
    assert_eq!(queue(&three, LockMode::PessimisticPartialRead).await, [3, 4], "shared with the second");

    // One entity cannot be skipped. It is no failure of the server: the transaction goes on without a savepoint.
    let taken = book(&three, 1).await;
    fixture.forget();
    let error = three.lock(&taken, LockMode::PessimisticPartialWrite).await.unwrap_err();
    let Error::LockNotAvailable { entity: Some("Book"), source: None } = &error else { panic!("{error:?}") };
    assert_eq!((error.sqlstate(), error.is_retryable()), (Some("55P03"), true));
    assert!(!fixture.flow().iter().any(|statement| statement.starts_with("SAVEPOINT")));
    three.commit().await.unwrap();
    one.rollback().await.unwrap();
    two.rollback().await.unwrap();
}

#[tokio::test]
async fn modes_conflict_as_the_server_defines() {
    let fixture = books().await;
    let weakest_to_strongest = [
        (LockMode::PessimisticKeyRead, LockMode::PessimisticKeyReadOrFail),
        (LockMode::PessimisticRead, LockMode::PessimisticReadOrFail),
        (LockMode::PessimisticNoKeyWrite, LockMode::PessimisticNoKeyWriteOrFail),
        (LockMode::PessimisticWrite, LockMode::PessimisticWriteOrFail),
    ];
    let holder = begun(&fixture).await;
    let held = book(&holder, 1).await;
    // How many of the modes another transaction can take beside the one that is held.
    for ((mode, _), compatible) in weakest_to_strongest.into_iter().zip([3, 2, 1, 0]) {
        holder.lock(&held, mode).await.unwrap();
        for (index, (_, or_fail)) in weakest_to_strongest.into_iter().enumerate() {
            assert_eq!(is_free(&fixture, 1, or_fail).await, index < compatible, "{mode:?} beside {or_fail:?}");
        }
    }
    holder.rollback().await.unwrap();
}

#[tokio::test]
async fn rows_that_refer_to_a_locked_row_can_be_inserted_if_its_key_stays() {
    let fixture = books().await;
    let holder = begun(&fixture).await;
    let ada = holder.find_one_or_fail::<Author>(1, ()).await.unwrap();
    holder.lock(&ada, LockMode::PessimisticNoKeyWrite).await.unwrap();
    let em = fixture.em();
    em.persist(NewBook { title: "e".into(), author: em.get_reference(1) });
    em.flush().await.unwrap();

    holder.lock(&ada, LockMode::PessimisticWrite).await.unwrap();
    em.persist(NewBook { title: "f".into(), author: em.get_reference(1) });
    let (flushed, committed) = tokio::join!(em.flush(), async {
        somebody_waits(&fixture).await;
        holder.commit().await
    });
    committed.unwrap();
    assert_eq!(flushed.unwrap().inserted, 1);
    assert_eq!(fixture.rows("SELECT count(*) FROM book WHERE author_id = 1").await, ["4"]);
}

#[tokio::test]
async fn a_lock_waits_until_the_other_transaction_has_committed() {
    let fixture = books().await;
    let (one, two) = (begun(&fixture).await, begun(&fixture).await);
    let mine = one.find::<Book>().filter(|book| book.id().eq(1)).lock(LockMode::PessimisticWrite).one().await.unwrap();
    let theirs = book(&two, 1).await;
    let write = |book: &Managed<Book>, by: &str| book.write().title.push_str(by);
    write(&mine.unwrap(), " one");
    let (locked, committed) = tokio::join!(
        async {
            two.lock(&theirs, LockMode::PessimisticWrite).await?;
            two.refresh(&theirs).await
        },
        async {
            somebody_waits(&fixture).await;
            one.commit().await
        }
    );
    committed.unwrap();
    locked.unwrap();
    write(&theirs, " two");
    assert_eq!(theirs.read().title, "a one two");

    // A find that waits sees the row as it is then, and leaves it out if the filter no longer holds.
    let three = begun(&fixture).await;
    let stale = book(&three, 1).await;
    assert_eq!((stale.read().title.as_str(), stale.read().version), ("a one", 2));
    two.flush().await.unwrap();
    let (found, committed) = tokio::join!(
        async { three.find::<Book>().filter(|book| book.id().lt(3)).lock(LockMode::PessimisticRead).await },
        async {
            somebody_waits(&fixture).await;
            two.commit().await
        }
    );
    committed.unwrap();
    assert_eq!(found.unwrap().len(), 2);
    assert_eq!((stale.read().title.as_str(), stale.read().version), ("a one two", 3));

    let removing = fixture.em();
    three.rollback().await.unwrap();
    removing.begin().await.unwrap();
    removing.remove(book(&removing, 1).await);
    removing.flush().await.unwrap();
    three.begin().await.unwrap();
    let ((found, gone), committed) = tokio::join!(
        async {
            let gone = three.lock(&stale, LockMode::PessimisticKeyRead).await;
            (three.find::<Book>().filter(|book| book.id().eq(1)).lock(LockMode::PessimisticRead).one().await, gone)
        },
        async {
            somebody_waits(&fixture).await;
            removing.commit().await
        }
    );
    committed.unwrap();
    assert!(matches!(gone, Err(Error::NotFound { entity: "Book", .. })), "{gone:?}");
    assert_eq!(found.unwrap(), None);
    three.commit().await.unwrap();
}

#[tokio::test]
async fn d2_locks_of_a_scope_that_fails_are_given_up() {
    let fixture = books().await;
    let em = fixture.em();
    em.transactional(async |em| {
        em.lock(&book(&em, 1).await, LockMode::PessimisticWrite).await?;
        let failed: Result<(), Error> = em
            .transactional(async |em| {
                em.lock(&book(&em, 2).await, LockMode::PessimisticWriteOrFail).await?;
                em.transactional(async |em| em.lock(&book(&em, 3).await, LockMode::PessimisticWrite).await).await?;
                Err(Error::NotFound { entity: "Book", criteria: "on purpose".into() })
            })
            .await;
        assert!(failed.is_err());
        em.transactional(async |em| em.lock(&book(&em, 4).await, LockMode::PessimisticWriteOrFail).await).await?;
        let mut free = Vec::new();
        for id in 1..=4 {
            free.push(is_free(&fixture, id, LockMode::PessimisticReadOrFail).await);
        }
        assert_eq!(free, [false, true, true, false]);
        Ok::<_, Error>(())
    })
    .await
    .unwrap();
    assert!(is_free(&fixture, 4, LockMode::PessimisticWriteOrFail).await);
}

#[tokio::test]
async fn a5_flushes_and_locks_of_one_transaction_do_not_undo_each_other() {
    let fixture = books().await;
    let holder = begun(&fixture).await;
    holder.lock(&book(&holder, 4).await, LockMode::PessimisticWrite).await.unwrap();
    let em = begun(&fixture).await;
    let first = book(&em, 1).await;
    let fails = em.find::<Book>().lock(LockMode::PessimisticWriteOrFail);
    for round in 0..20 {
        first.write().title = format!("round {round}");
        let (flushed, one, two) = tokio::join!(em.flush(), fails.clone(), fails.clone());
        assert_eq!(flushed.unwrap().updated, 1);
        assert!(matches!(one, Err(Error::LockNotAvailable { .. })), "{one:?}");
        assert!(matches!(two, Err(Error::LockNotAvailable { .. })), "{two:?}");
    }
    em.commit().await.unwrap();
    assert_eq!(fixture.rows("SELECT title, version FROM book WHERE id = 1").await, ["round 19|21"]);
}

#[tokio::test]
async fn c12_a_lock_that_nobody_waits_for_any_more_leaves_no_transaction_behind() {
    let fixture = books().await;
    let holder = begun(&fixture).await;
    holder.lock(&book(&holder, 1).await, LockMode::PessimisticWrite).await.unwrap();
    let em = fixture.em();
    let first = book(&em, 1).await;
    let patient = em.transactional(async |em| em.lock(&first, LockMode::PessimisticWrite).await);
    tokio::select! {
        outcome = patient => panic!("the lock is held: {outcome:?}"),
        () = somebody_waits(&fixture) => {}
    }
    assert!(!em.is_in_transaction());
    holder.commit().await.unwrap();
    fixture.no_open_transaction().await;
    assert!(is_free(&fixture, 1, LockMode::PessimisticWriteOrFail).await);

    // Of a mode that may fail, the savepoint goes with the future, and the transaction stays, whenever that is.
    for polls in 0..100 {
        let em = begun(&fixture).await;
        let first = book(&em, 1).await;
        let done = cancelled_after(polls, em.lock(&first, LockMode::PessimisticWriteOrFail)).await;
        let pages = i32::try_from(polls).unwrap() + 1;
        first.write().pages = Some(pages);
        em.commit().await.unwrap();
        assert_eq!(fixture.rows("SELECT pages FROM book WHERE id = 1").await, [pages.to_string()]);
        if let Some(outcome) = done {
            assert!(polls > 1, "the lock was there after {polls} polls");
            outcome.unwrap();
            return;
        }
    }
    panic!("the lock was never there");
}
