// Values are inserted by a query that selects something.
// Expected: insert_into() for what is selected, or insert() of a query that selects nothing.

use howdah::prelude::*;

#[derive(Entity, Clone)]
pub struct User {
    #[primary_key]
    pub id: i64,
    pub name: String,
}

fn insert(em: &EntityManager) {
    let _ = em.query::<User>().select(|u| u.id()).insert([NewUser { name: "x".into() }]);
}

fn main() {
    let _ = insert;
}
