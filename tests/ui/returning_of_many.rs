// A relation to many is returned by a statement that writes.
// Expected: what can be selected.

use howdah::prelude::*;

#[derive(Entity, Clone)]
pub struct User {
    #[primary_key]
    pub id: i64,
    #[one_to_many(mapped_by = author)]
    pub posts: Collection<Post>,
}

#[derive(Entity, Clone)]
pub struct Post {
    #[primary_key]
    pub id: i64,
    #[many_to_one(inversed_by = posts)]
    pub author: Ref<User>,
}

fn delete(em: &EntityManager) {
    let _ = em.query::<User>().delete().returning(|u| u.posts());
}

fn main() {
    let _ = delete;
}
