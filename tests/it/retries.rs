//! A transaction that meets another one is run again, with the memory as it was (rule D5). All conflicts are real: two
//! managers in each other's way.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::Barrier;

use crate::library::*;
use crate::support::Fixture;
use howdah::prelude::*;

/// Counts how often a closure was run.
#[derive(Default)]
struct Runs(AtomicU32);

impl Runs {
    /// Counts one; answers with its number, from 1.
    fn next(&self) -> u32 {
        self.0.fetch_add(1, Ordering::AcqRel) + 1
    }

    fn count(&self) -> u32 {
        self.0.load(Ordering::Acquire)
    }
}

/// Two authors, Ada and Bob; the server looks for dead-locks early.
async fn fixture() -> Fixture {
    let fixture = Fixture::new(library()).await;
    fixture.database.execute("INSERT INTO author (name) VALUES ('Ada'), ('Bob')").await.unwrap();
    let sql = format!("ALTER DATABASE \"{}\" SET deadlock_timeout = '20ms'", fixture.database.name());
    fixture.database.execute(&sql).await.unwrap();
    // Settings of a database count for connections that are opened later.
    let builder = Orm::builder().url(fixture.database.url()).entities(library()).statement_log(&fixture.log);
    let orm = builder.connect().await.unwrap();
    fixture.forget();
    Fixture { orm, ..fixture }
}

/// Somebody else changes Ada, and commits.
async fn interfere(orm: &Orm, born: i32) -> Result<(), Error> {
    let em = orm.em();
    em.find_one_or_fail::<Author>(1, ()).await?.write().born = Some(born);
    em.flush().await.map(|_| ())
}

#[tokio::test]
async fn d5_a_serialization_failure_is_run_again_with_the_memory_restored() {
    let fixture = fixture().await;
    let em = fixture.em();
    let ada = em.find_one_or_fail::<Author>(1, ()).await.unwrap();
    let runs = Runs::default();
    fixture.forget();
    let book = em
        .transaction()
        .isolation(IsolationLevel::RepeatableRead)
        .retries(3)
        .run(async |em| {
            assert_eq!((ada.read().mentor.is_none(), ada.read().books.is_loaded()), (true, false), "as at the start");
            em.refresh(&ada).await?;
            let bob = em.find_one_or_fail::<Author>(2, ()).await?;
            ada.write().mentor = Some(bob.to_ref());
            let book = em.persist(NewBook { title: "Notes".into(), author: ada.to_ref() });
            if runs.next() == 1 {
                interfere(&fixture.orm, 1815).await?;
            }
            em.flush().await?;
            Ok::<_, Error>(book)
        })
        .await
        .unwrap();
    assert_eq!(runs.count(), 2);
    let ended: Vec<_> =
        fixture.flow().into_iter().filter(|text| text == "ROLLBACK" || text.contains("COMMIT")).collect();
    assert_eq!(ended, ["ROLLBACK", "COMMIT"], "the failed one, the good one");
    assert_eq!((book.state(), book.read().version), (EntityState::Managed, 1));
    assert_eq!(ada.read().born, Some(1815), "what the other has written is not lost");
    assert_eq!(fixture.rows("SELECT name, born, mentor_id FROM author WHERE id = 1").await, ["Ada|1815|2"]);
    assert_eq!(fixture.rows("SELECT title FROM book").await, ["Notes"], "once");
    fixture.no_open_transaction().await;
}

#[tokio::test]
async fn d5_a_conflict_that_shows_at_commit_is_run_again() {
    let fixture = fixture().await;
    // Each adds a shelf if there is none: one after the other, the second would not.
    let meet = Barrier::new(2);
    let add = async |code: &'static str, runs: &Runs| {
        let em = fixture.em();
        let serializable = em.transaction().isolation(IsolationLevel::Serializable).retries(5);
        let added = serializable.run(async |em| {
            let is_first = runs.next() == 1;
            let count = em.count::<Shelf>(()).await?;
            if is_first {
                meet.wait().await;
            }
            if count == 0 {
                em.persist(NewShelf { code: code.into() });
            }
            Ok::<_, Error>(count == 0)
        });
        added.await.unwrap()
    };
    let (one, two) = (Runs::default(), Runs::default());
    let added = tokio::join!(add("A", &one), add("B", &two));
    assert_eq!(u8::from(added.0) + u8::from(added.1), 1);
    assert!(one.count() + two.count() >= 3, "one of them was run again, and saw the other's shelf");
    assert_eq!(fixture.rows("SELECT count(*) FROM shelf").await, ["1"]);
}

#[tokio::test]
async fn d5_a_dead_lock_is_run_again() {
    let fixture = fixture().await;
    let meet = Barrier::new(2);
    let crosswise = async |first: i64, second: i64, year: i32, runs: &Runs| {
        let em = fixture.em();
        let transaction = em.transaction().retries(5);
        let outcome = transaction.run(async |em| {
            let is_first = runs.next() == 1;
            for id in [first, second] {
                let author = em.find_one_or_fail::<Author>(id, ()).await?;
                author.write().born = Some(year);
                em.flush().await?;
                if is_first && id == first {
                    meet.wait().await;
                }
            }
            Ok::<_, Error>(())
        });
        outcome.await
    };
    let (one, two) = (Runs::default(), Runs::default());
    let (first, second) = tokio::join!(crosswise(1, 2, 1901, &one), crosswise(2, 1, 1902, &two));
    first.unwrap();
    second.unwrap();
    assert!(one.count() + two.count() >= 3, "the server has failed one of them");
    let born = fixture.rows("SELECT DISTINCT born FROM author").await;
    assert_eq!(born.len(), 1, "one after the other: {born:?}");
    fixture.no_open_transaction().await;
}

#[tokio::test]
async fn d5_it_gives_up_after_so_many() {
    let fixture = fixture().await;
    let em = fixture.em();
    let all_runs = Runs::default();
    for retries in [0, 1, 3] {
        let runs = Runs::default();
        let begun = Instant::now();
        let outcome = em
            .transaction()
            .isolation(IsolationLevel::RepeatableRead)
            .retries(retries)
            .run(async |em| {
                let ada = em.find_one_or_fail::<Author>(1, ()).await?;
                runs.next();
                interfere(&fixture.orm, 1800 + i32::try_from(all_runs.next()).unwrap()).await?;
                ada.write().born = Some(1815);
                Ok::<_, Error>(())
            })
            .await;
        assert!(matches!(outcome, Err(Error::SerializationFailure { .. })), "{outcome:?}");
        assert_eq!(runs.count(), retries + 1);
        // Half of 10, 20 and 40 milliseconds, at least.
        let paused = Duration::from_millis((0..retries).map(|repetition| 5 << repetition).sum());
        assert!(begun.elapsed() >= paused, "{retries}: {:?}", begun.elapsed());
    }
    assert_eq!(fixture.rows("SELECT born FROM author WHERE id = 1").await, ["1807"]);
}

#[tokio::test]
async fn after_a_conflict_everything_is_read_again_also_by_hand() {
    let fixture = fixture().await;
    let em = fixture.em();
    let bob = em.find_one_or_fail::<Author>(2, ()).await.unwrap();
    let repeatable = TransactionOptions::new().isolation(IsolationLevel::RepeatableRead);
    // Reads a year, somebody else changes it, and a year is added to what was read.
    let add_a_year = async |interfered: Option<i32>| {
        em.begin_with(repeatable).await?;
        let ada = em.find_one_or_fail::<Author>(1, ()).await?;
        em.find_one_or_fail::<Author>(2, ()).await?;
        if let Some(year) = interfered {
            interfere(&fixture.orm, year).await?;
        }
        ada.update(|ada| ada.born = Some(ada.born.unwrap_or(0) + 1));
        let outcome = em.commit().await;
        Ok::<_, Error>((ada, outcome))
    };
    let (lost, outcome) = add_a_year(Some(1814)).await.unwrap();
    assert!(matches!(outcome, Err(Error::SerializationFailure { .. })), "{outcome:?}");
    assert_eq!((lost.state(), bob.state()), (EntityState::Detached, EntityState::Managed), "Bob was read before");
    let (ada, outcome) = add_a_year(None).await.unwrap();
    outcome.unwrap();
    assert_eq!(ada.read().born, Some(1815));
    assert_eq!(fixture.rows("SELECT born FROM author WHERE id = 1").await, ["1815"], "1814 is not lost");
}

#[tokio::test]
async fn d5_collections_are_read_again() {
    let fixture = fixture().await;
    let em = fixture.em();
    let ada = em.find_one_or_fail::<Author>(1, ()).await.unwrap();
    let runs = Runs::default();
    let add = "INSERT INTO book (title, version, author_id) VALUES ('Sketch', 1, 1); UPDATE author SET born = 1815 WHERE id = 1";
    let seen = em
        .transaction()
        .isolation(IsolationLevel::RepeatableRead)
        .retries(1)
        .run(async |em| {
            let books = ada.load(&em, |author| author.books()).await?;
            if runs.next() == 1 {
                fixture.database.execute(add).await.unwrap();
            }
            ada.write().name = format!("Ada of {}", books.len());
            Ok::<_, Error>(books.len())
        })
        .await
        .unwrap();
    assert_eq!((runs.count(), seen), (2, 1));
    assert_eq!(fixture.rows("SELECT name FROM author WHERE id = 1").await, ["Ada of 1"]);
}

#[tokio::test]
async fn d5_other_errors_are_not_run_again() {
    let fixture = fixture().await;
    let runs = Runs::default();
    let em = fixture.em();
    let outcome = em
        .transaction()
        .retries(3)
        .run(async |em| {
            runs.next();
            em.persist(NewAuthor { name: "Ada".into() });
            Ok::<_, Error>(())
        })
        .await;
    assert!(matches!(outcome, Err(Error::UniqueViolation { .. })));
    assert_eq!(runs.count(), 1);
}

/// An error that does not tell what has caused it.
#[derive(Debug)]
struct Opaque;

impl From<Error> for Opaque {
    fn from(_: Error) -> Self {
        Self
    }
}

#[tokio::test]
async fn d5_the_error_of_the_application_need_not_tell_the_cause() {
    let fixture = fixture().await;
    let runs = Runs::default();
    let em = fixture.em();
    em.transaction()
        .isolation(IsolationLevel::RepeatableRead)
        .retries(1)
        .run(async |em| {
            let ada = em.find_one_or_fail::<Author>(1, ()).await?;
            if runs.next() == 1 {
                interfere(&fixture.orm, 1815).await?;
            }
            ada.write().name = "Augusta".into();
            em.flush().await?;
            Ok::<_, Opaque>(())
        })
        .await
        .unwrap();
    assert_eq!(runs.count(), 2);
    assert_eq!(fixture.rows("SELECT name, born FROM author WHERE id = 1").await, ["Augusta|1815"]);
}

#[tokio::test]
async fn d5_it_is_the_outermost_transaction_that_is_run_again() {
    let fixture = fixture().await;
    for propagation in [Propagation::Nested, Propagation::Required] {
        let (outer, inner) = (Runs::default(), Runs::default());
        let em = fixture.em();
        em.transaction()
            .isolation(IsolationLevel::RepeatableRead)
            .retries(2)
            .run(async |em| {
                let ada = em.find_one_or_fail::<Author>(1, ()).await?;
                if outer.next() == 1 {
                    interfere(&fixture.orm, 1815).await?;
                }
                em.transaction()
                    .propagation(propagation)
                    .retries(5)
                    .run(async |em| {
                        inner.next();
                        ada.write().name.push('!');
                        em.flush().await
                    })
                    .await
            })
            .await
            .unwrap();
        assert_eq!((outer.count(), inner.count()), (2, 2), "{propagation:?}: its snapshot is that of the whole");
        interfere(&fixture.orm, 1800).await.unwrap();
    }
    assert_eq!(fixture.rows("SELECT name FROM author WHERE id = 1").await, ["Ada!!"]);
}

#[tokio::test]
async fn a_transaction_of_its_own_inside_another_one_is_run_again_alone() {
    let fixture = fixture().await;
    let (outer, inner) = (Runs::default(), Runs::default());
    let em = fixture.em();
    em.transactional(async |em| {
        outer.next();
        let new = em.transaction().propagation(Propagation::RequiresNew).isolation(IsolationLevel::RepeatableRead);
        new.retries(2)
            .run(async |em| {
                let ada = em.find_one_or_fail::<Author>(1, ()).await?;
                if inner.next() == 1 {
                    interfere(&fixture.orm, 1815).await?;
                }
                ada.write().name = "Augusta".into();
                Ok::<_, Error>(())
            })
            .await
    })
    .await
    .unwrap();
    assert_eq!((outer.count(), inner.count()), (1, 2));
}

#[tokio::test]
async fn the_connection_is_free_between_two_runs() {
    let options = |builder: howdah::OrmBuilder| builder.max_connections(1).acquire_timeout(Duration::from_secs(5));
    let one = Fixture::with(library(), options).await;
    one.database.execute("INSERT INTO author (name) VALUES ('Ada')").await.unwrap();
    let runs = Runs::default();
    let em = one.em();
    em.transaction()
        .isolation(IsolationLevel::RepeatableRead)
        .retries(1)
        .run(async |em| {
            let ada = em.find_one_or_fail::<Author>(1, ()).await?;
            if runs.next() == 1 {
                one.database.execute("UPDATE author SET born = 1815").await.unwrap();
            }
            ada.write().name = "Augusta".into();
            Ok::<_, Error>(())
        })
        .await
        .unwrap();
    assert_eq!(runs.count(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn closures_of_every_form_can_be_repeated_and_spawned() {
    let fixture = fixture().await;
    let em = fixture.em();
    let name = String::from("Eve");
    // Borrows what is around it.
    em.transaction()
        .retries(1)
        .run(async |em| {
            em.persist(NewAuthor { name: name.clone() });
            Ok::<_, Error>(())
        })
        .await
        .unwrap();
    // Owns it, in both ways to say so.
    let (first, second) = (name.clone() + "1", name + "2");
    let task = tokio::spawn(async move {
        let owned = em.transaction().retries(1).run(|em| async move {
            em.persist(NewAuthor { name: first });
            Ok::<_, Error>(())
        });
        owned.await?;
        let owned = async move |em: EntityManager| {
            em.persist(NewAuthor { name: second.clone() });
            Ok::<_, Error>(())
        };
        em.transaction().retries(1).run(owned).await
    });
    task.await.unwrap().unwrap();
    // A function.
    async fn count(em: EntityManager) -> Result<u64, Error> {
        em.count::<Author>(()).await
    }
    assert_eq!(fixture.em().transaction().retries(1).run(count).await.unwrap(), 5);
}
