// Reading rows into a struct without the derive.
// Expected: what to add to the struct.

use howdah::prelude::*;

#[derive(Entity, Clone)]
pub struct User {
    #[primary_key]
    pub id: i64,
}

pub struct Card;

fn read(em: &EntityManager) {
    let _ = em.find::<User>().into::<Card>();
}

fn main() {
    let _ = read;
}
