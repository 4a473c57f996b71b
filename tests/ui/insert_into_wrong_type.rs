// Selected text is inserted into a column of numbers.
// Expected: columns of the same types as the values.

use howdah::prelude::*;

#[derive(Entity, Clone)]
pub struct User {
    #[primary_key]
    pub id: i64,
    pub name: String,
    pub age: i32,
}

fn insert(em: &EntityManager) {
    let names = em.query::<User>().select(|u| (u.id(), u.name()));
    let _ = names.insert_into::<User, _>(|u| (u.id(), u.age()));
}

fn main() {
    let _ = insert;
}
