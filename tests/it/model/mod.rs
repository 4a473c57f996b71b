//! The unit of work against a model of it: random stories of entities, told to the library and to a small reference model
//! of tables in memory (rules A to D).
//!
//! After every flush, scope and fault the rows are those of the model, read over a connection of their own; every handle
//! shows its row; what has failed can be seen nowhere; no transaction is open. `PROPTEST_CASES=20000` tells more stories
//! than the 200 of every run. A story that went wrong once is told again at every run: its seed is in `regressions.txt`.
//!
//! Fewer stories, a fifth, are told as a user who may not take keys from sequences, and as many through a proxy that shuffles rows.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures_util::FutureExt;
use proptest::test_runner::{Config, FileFailurePersistence, TestCaseError, TestError, TestRunner};

mod actions;
mod constraints;
mod database;
mod faults;
mod flushing;
mod handles;
mod invariants;
mod operations;
mod reference;
pub mod schema;
mod scope;
mod swaps;
mod tables;
mod world;

use database::{Database, Way};
use operations::Operation;
use world::{Stop, World};

/// Longer than any story takes: one that hangs has gone wrong.
const TOO_LONG: Duration = Duration::from_secs(30);

/// Tells one story; what went wrong, after the story as it was told.
async fn tell(database: &Database, operations: &[Operation]) -> Result<(), String> {
    database.reset().await;
    let mut world = World::new(database);
    let told = AssertUnwindSafe(tokio::time::timeout(TOO_LONG, world.tell_all(operations))).catch_unwind().await;
    let wrong = match told {
        Ok(Ok(Ok(()))) => return Ok(()),
        Ok(Ok(Err(Stop::Wrong(message)))) => message,
        Ok(Ok(Err(stop))) => format!("{stop:?}"),
        Ok(Err(_)) => "it hangs".to_owned(),
        Err(panic) => panic.downcast::<String>().map_or_else(|_| "it panics".to_owned(), |message| *message),
    };
    Err(format!("{}\n\n{wrong}\n", world.story.join("\n")))
}

impl World<'_> {
    async fn tell_all(&mut self, operations: &[Operation]) -> Result<(), Stop> {
        self.run(operations).await?;
        self.flush().await?;
        self.check_no_transaction().await
    }
}

#[test]
fn stories_end_as_the_model_says() {
    tell_stories(Way::Direct, 1);
}

#[test]
fn stories_of_a_user_who_may_not_take_keys_from_sequences_end_as_the_model_says() {
    tell_stories(Way::WithoutSequences, 5);
}

#[test]
fn stories_whose_rows_come_back_in_another_order_end_as_the_model_says() {
    tell_stories(Way::Shuffled, 5);
}

fn tell_stories(way: Way, part: u32) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let database = runtime.block_on(Database::new(way));
    let mut config = Config {
        failure_persistence: Some(Box::new(FileFailurePersistence::Direct(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/tests/it/model/regressions.txt"
        )))),
        max_shrink_iters: 3000,
        ..Config::default()
    };
    if std::env::var_os("PROPTEST_CASES").is_none() {
        config.cases = 200;
    }
    config.cases = (config.cases / part).max(1);
    let outcome = TestRunner::new(config).run(&operations::story(), |operations| {
        runtime.block_on(tell(&database, &operations)).map_err(TestCaseError::fail)
    });
    match outcome {
        Ok(()) => {}
        Err(TestError::Fail(reason, _)) => panic!("a story went wrong:\n\n{reason}"),
        Err(TestError::Abort(reason)) => panic!("{reason}"),
    }
}
