// Queries of different entities are combined.
// Expected: queries of the same entity, or of the same values.

use howdah::prelude::*;

#[derive(Entity, Clone)]
pub struct User {
    #[primary_key]
    pub id: i64,
}

#[derive(Entity, Clone)]
pub struct Tag {
    #[primary_key]
    pub id: i64,
}

fn combine(em: &EntityManager) {
    let _ = em.query::<User>().union(em.query::<Tag>());
}

fn main() {
    let _ = combine;
}
