// A repository that cannot be made from the default one.
// Expected: at the repository's name, what to implement.
use howdah::prelude::*;

pub struct UserRepository;

#[derive(Entity, Clone, Debug)]
#[entity(repository = UserRepository)]
pub struct User {
    #[primary_key]
    pub id: i64,
}

fn main() {}
