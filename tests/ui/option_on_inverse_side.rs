// The inverse side has no foreign key that options could be about.
// Expected: one error at the attribute.
use howdah::prelude::*;

#[derive(Entity, Clone)]
pub struct User {
    #[primary_key]
    pub id: i64,
    #[one_to_one(mapped_by = user, on_delete = "cascade")]
    pub profile: Option<Ref<Profile>>,
}

#[derive(Entity, Clone)]
pub struct Profile {
    #[primary_key]
    pub id: i64,
    #[one_to_one(inversed_by = profile)]
    pub user: Ref<User>,
}

fn main() {}
