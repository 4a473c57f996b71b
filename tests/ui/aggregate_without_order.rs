// PostgreSQL has no min() and max() of uuid.
// Expected: one error at the method, with what there is.
use howdah::prelude::*;

#[derive(Entity, Clone)]
pub struct Author {
    #[primary_key]
    pub id: Uuid,
    pub username: String,
}

fn newest() {
    let _ = Author::fields().id().max();
}

fn main() {}
