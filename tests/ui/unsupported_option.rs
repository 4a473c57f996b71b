// Options of other mappers that this one does not have.
// Expected: one error at each of them.
use howdah::prelude::*;

#[derive(Entity, Clone)]
pub struct Author {
    #[primary_key]
    pub id: i64,
    #[property(lazy)]
    pub biography: String,
    #[embedded]
    pub city: String,
}

fn main() {}
