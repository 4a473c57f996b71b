//! Isolation levels, read-only and deferrable transactions: options of the `BEGIN`, which cost no trip (rule D1).

use crate::library::*;
use crate::support::Fixture;
use howdah::Transaction;
use howdah::prelude::*;

fn author(name: &str) -> NewAuthor {
    NewAuthor { name: name.into() }
}

async fn insert(em: &EntityManager, name: &str) -> Result<(), Error> {
    em.persist(author(name));
    em.flush().await.map(|_| ())
}

#[tokio::test]
async fn d1_options_are_part_of_the_begin() {
    type Options = fn(Transaction) -> Transaction;
    let cases: [(&str, Options); 7] = [
        ("BEGIN", |transaction| transaction),
        ("BEGIN ISOLATION LEVEL READ UNCOMMITTED", |t| t.isolation(IsolationLevel::ReadUncommitted)),
        ("BEGIN ISOLATION LEVEL READ COMMITTED", |t| t.isolation(IsolationLevel::ReadCommitted)),
        ("BEGIN ISOLATION LEVEL REPEATABLE READ", |t| t.isolation(IsolationLevel::RepeatableRead)),
        ("BEGIN ISOLATION LEVEL SERIALIZABLE", |t| t.isolation(IsolationLevel::Serializable)),
        ("BEGIN READ ONLY", |t| t.read_only()),
        ("BEGIN ISOLATION LEVEL SERIALIZABLE READ ONLY DEFERRABLE", |t| {
            t.deferrable().read_only().isolation(IsolationLevel::Serializable)
        }),
    ];
    let fixture = Fixture::new(library()).await;
    for (begin, options) in cases {
        fixture.forget();
        let transaction = options(fixture.em().transaction());
        assert_eq!(transaction.run(async |em| em.count::<Author>(()).await).await.unwrap(), 0);
        assert_eq!(fixture.log.round_trips(), 2, "{begin}: with the SELECT; and the COMMIT");
        assert_eq!(fixture.flow(), [begin, "SELECT", "COMMIT"]);
    }
}

#[tokio::test]
async fn begin_by_hand_takes_them_too() {
    let fixture = Fixture::new(library()).await;
    let em = fixture.em();
    em.begin_with(TransactionOptions::new().isolation(IsolationLevel::RepeatableRead).read_only()).await.unwrap();
    assert_eq!(em.count::<Author>(()).await.unwrap(), 0);
    insert(&fixture.em(), "Ada").await.unwrap();
    assert_eq!(em.count::<Author>(()).await.unwrap(), 0, "as of the first statement");
    assert!(matches!(insert(&em, "Bob").await, Err(Error::ReadOnlyTransaction { .. })));
    em.rollback().await.unwrap();
    let sent = fixture.flow();
    assert_eq!(sent[0], "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY");
    assert_eq!(fixture.rows("SELECT name FROM author").await, ["Ada"]);
}

#[tokio::test]
async fn what_is_seen_depends_on_the_level() {
    for (level, seen) in [
        (IsolationLevel::ReadUncommitted, 1),
        (IsolationLevel::ReadCommitted, 1),
        (IsolationLevel::RepeatableRead, 0),
        (IsolationLevel::Serializable, 0),
    ] {
        let fixture = Fixture::new(library()).await;
        let other = fixture.em();
        let counted = fixture
            .em()
            .transaction()
            .isolation(level)
            .run(async |em| {
                assert_eq!(em.count::<Author>(()).await?, 0);
                insert(&other, "Ada").await?;
                em.count::<Author>(()).await
            })
            .await;
        assert_eq!(counted.unwrap(), seen, "{level:?}");
    }
}

#[tokio::test]
async fn serializable_refuses_what_no_order_explains() {
    let fixture = Fixture::new(library()).await;
    // Each adds an author if there is none: one after the other, the second would not.
    let (one, two) = (fixture.em(), fixture.em());
    let serializable = TransactionOptions::new().isolation(IsolationLevel::Serializable);
    let names = [(&one, "Ada"), (&two, "Bob")];
    for (em, name) in names {
        em.begin_with(serializable).await.unwrap();
        assert_eq!(em.count::<Author>(()).await.unwrap(), 0);
        em.persist(author(name));
    }
    let (first, second) = (one.commit().await, two.commit().await);
    first.unwrap();
    let error = second.unwrap_err();
    assert!(matches!(error, Error::SerializationFailure { .. }) && error.is_retryable(), "{error:?}");
    assert_eq!(fixture.rows("SELECT name FROM author").await, ["Ada"]);
}

#[tokio::test]
async fn a_read_only_transaction_writes_nothing() {
    let fixture = Fixture::new(library()).await;
    let em = fixture.em();
    let ada = em.persist(author("Ada"));
    em.flush().await.unwrap();
    let outcome = em
        .transaction()
        .read_only()
        .run(async |em| {
            ada.write().born = Some(1815);
            let error = em.flush().await.unwrap_err();
            assert!(matches!(error, Error::ReadOnlyTransaction { .. }), "{error:?}");
            assert_eq!((error.sqlstate(), error.is_retryable()), (Some("25006"), false));
            // C3: as before the flush; and reading goes on.
            assert_eq!(ada.changes().len(), 1);
            assert_eq!(em.count::<Author>(()).await?, 1);
            Ok::<_, Error>(())
        })
        .await;
    assert!(matches!(outcome, Err(Error::ReadOnlyTransaction { .. })), "the flush at the end: {outcome:?}");
    assert_eq!((ada.read().born, ada.is_dirty()), (None, false), "D2");
    fixture.no_open_transaction().await;
}

#[tokio::test]
async fn a_savepoint_can_be_read_only_in_a_transaction_that_is_not() {
    let fixture = Fixture::new(library()).await;
    let em = fixture.em();
    em.transactional(async |em| {
        let nested = em
            .transaction()
            .read_only()
            .run(async |em| {
                assert_eq!(em.count::<Author>(()).await?, 0);
                // Of one that is read-only, everything inside is.
                em.transaction()
                    .propagation(Propagation::Required)
                    .read_only()
                    .run(async |_| Ok::<_, Error>(()))
                    .await?;
                em.transaction().read_only().run(async |_| Ok::<_, Error>(())).await?;
                em.persist(author("Ada"));
                Ok::<_, Error>(())
            })
            .await;
        assert!(matches!(nested, Err(Error::ReadOnlyTransaction { .. })), "{nested:?}");
        em.transaction().read_only().run(async |em| em.count::<Author>(()).await).await?;
        em.persist(author("Bob"));
        Ok::<_, Error>(())
    })
    .await
    .unwrap();
    let expected = [
        "BEGIN",
        "SAVEPOINT howdah_1",
        "SET", // TRANSACTION READ ONLY
        "SELECT",
        "SAVEPOINT howdah_2",
        "RELEASE SAVEPOINT howdah_2",
        "INSERT",
        "ROLLBACK TO SAVEPOINT howdah_1; RELEASE SAVEPOINT howdah_1",
        "SAVEPOINT howdah_3",
        "SET",
        "SELECT",
        "RELEASE SAVEPOINT howdah_3",
        "INSERT",
        "COMMIT",
    ];
    assert_eq!(fixture.flow(), expected);
    assert_eq!(fixture.rows("SELECT name FROM author").await, ["Bob"]);
}

#[tokio::test]
async fn what_cannot_be_changed_any_more_is_told_before_anything_is_sent() {
    let fixture = Fixture::new(library()).await;
    let em = fixture.em();
    let refused = |outcome: Result<(), Error>| match outcome {
        Err(Error::Validation { entity: None, message }) => message,
        other => panic!("{other:?}"),
    };
    em.begin_with(TransactionOptions::new().isolation(IsolationLevel::Serializable)).await.unwrap();
    fixture.forget();
    for propagation in [Propagation::Nested, Propagation::Required, Propagation::Supports, Propagation::Mandatory] {
        let run = async |transaction: Transaction| transaction.run(async |_| Ok::<_, Error>(())).await;
        let inner = em.transaction().propagation(propagation);
        let message = refused(run(inner.clone().isolation(IsolationLevel::RepeatableRead)).await);
        assert!(message.contains("another isolation level"), "{message}");
        assert!(refused(run(inner.clone().deferrable()).await).contains("deferrable"));
        if propagation != Propagation::Nested {
            assert!(refused(run(inner.clone().read_only()).await).contains("read only"));
            run(inner.clone().isolation(IsolationLevel::Serializable)).await.unwrap();
        }
    }
    refused(em.begin_with(TransactionOptions::new().isolation(IsolationLevel::ReadCommitted)).await);
    assert_eq!(fixture.flow(), [""; 0]);
    assert!(em.is_in_transaction(), "nothing has happened to the transaction");

    // One that is not inside may have what it likes.
    let new = em.transaction().propagation(Propagation::RequiresNew).isolation(IsolationLevel::RepeatableRead);
    assert_eq!(new.run(async |em| em.count::<Author>(()).await).await.unwrap(), 0);
    em.commit().await.unwrap();

    // Where no transaction is begun, there is nothing to have options.
    for propagation in [Propagation::NotSupported, Propagation::Supports, Propagation::Never] {
        let outside = em.transaction().propagation(propagation).isolation(IsolationLevel::Serializable);
        let message = refused(outside.run(async |_| Ok::<_, Error>(())).await);
        assert!(message.contains(&format!("{propagation:?}")), "{message}");
    }
}
