// Nothing makes sure that the row of the other table is there.
// Expected: one error at the type of the inverse side.
use howdah::prelude::*;

#[derive(Entity, Clone)]
pub struct User {
    #[primary_key]
    pub id: i64,
    #[one_to_one(mapped_by = user)]
    pub profile: Ref<Profile>,
}

#[derive(Entity, Clone)]
pub struct Profile {
    #[primary_key]
    pub id: i64,
    #[one_to_one(inversed_by = profile)]
    pub user: Ref<User>,
}

fn main() {}
