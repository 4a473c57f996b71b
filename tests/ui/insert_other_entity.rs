// A query of one entity inserts values of another one.
// Expected: values of the query's entity.

use howdah::prelude::*;

#[derive(Entity, Clone)]
pub struct User {
    #[primary_key]
    pub id: i64,
    pub name: String,
}

#[derive(Entity, Clone)]
pub struct Tag {
    #[primary_key]
    pub id: i64,
    pub name: String,
}

fn insert(em: &EntityManager) {
    let _ = em.query::<User>().insert([NewTag { name: "x".into() }]);
}

fn main() {
    let _ = insert;
}
