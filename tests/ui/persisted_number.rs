// Something that is no entity is persisted.
// Expected: one error at the call, which says what can be persisted.
use howdah::prelude::*;

async fn save(em: EntityManager) {
    em.persist(5);
}

fn main() {}
