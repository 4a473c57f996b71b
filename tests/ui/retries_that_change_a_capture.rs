// A closure that may run again changes what is around it.
// Expected: one error that names the closure and `Clone`.
use howdah::prelude::*;

async fn work(em: EntityManager) -> Result<(), Error> {
    let mut counted = 0;
    em.transaction()
        .retries(3)
        .run(async |em| {
            counted += em.flush().await?.inserted;
            Ok(())
        })
        .await
}

fn main() {}
