// A sum of a column that is no number.
// Expected: one error that says so.

use howdah::prelude::*;

#[derive(Entity, Clone)]
pub struct User {
    #[primary_key]
    pub id: i64,
    pub name: String,
}

fn select(em: &EntityManager) {
    let _ = em.find::<User>().select(|u| u.name().sum());
}

fn main() {
    let _ = select;
}
