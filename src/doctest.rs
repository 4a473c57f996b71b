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

/// The pages of the guide and the README: what they show compiles and runs.
///
/// The examples of one edition are one program, in which all entities are known: those that show `Orm::connect` are
/// marked `standalone_crate`, the others list their entities.
#[cfg(doctest)]
mod pages {
    macro_rules! pages {
        ($($name:ident = $path:literal;)*) => {$(
            #[doc = include_str!(concat!("../", $path))]
            mod $name {}
        )*};
    }

    pages! {
        readme = "README.md";
        introduction = "docs/src/introduction.md";
        entities = "docs/src/entities.md";
        relations = "docs/src/relations.md";
        types = "docs/src/types.md";
        writing = "docs/src/writing.md";
        finding = "docs/src/finding.md";
        loading = "docs/src/loading.md";
        operators = "docs/src/operators.md";
        transactions = "docs/src/transactions.md";
        locking = "docs/src/locking.md";
        errors = "docs/src/errors.md";
        testing = "docs/src/testing.md";
        performance = "docs/src/performance.md";
        rules = "docs/src/rules.md";
    }
}
