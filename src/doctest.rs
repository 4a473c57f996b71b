//! What the examples in the documentation run in: a database of their own on a real server.

use std::future::Future;

use crate::testing::TestDatabase;

/// Runs an example.
///
/// # Panics
/// If the example fails: that is how a documentation test fails.
#[allow(clippy::panic, clippy::missing_panics_doc, reason = "an example that fails has to fail its test")]
pub fn run<F, Fut>(example: F)
where
    F: FnOnce(String) -> Fut,
    Fut: Future<Output = Result<(), Box<dyn std::error::Error>>>,
{
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let result = runtime.map_err(Into::into).and_then(|runtime| {
        runtime.block_on(async {
            let database = TestDatabase::new().await?;
            example(database.url().to_owned()).await
        })
    });
    if let Err(error) = result {
        panic!("the example failed: {error}");
    }
}
