// A closure that may run again changes what is around it.
// Expected: one error that names the closure and `Clone`.
use howdah::prelude::*;

struct Counter(u64);

impl Counter {
    fn add(&mut self, number: u64) {
        self.0 += number;
    }
}

async fn work(em: EntityManager, mut counter: Counter) -> Result<(), Error> {
    let transaction = em.transaction().retries(3);
    transaction.run(async |em| Ok(counter.add(em.flush().await?.inserted))).await
}

fn main() {}
