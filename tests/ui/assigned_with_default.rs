// A key is either assigned or made by the database.
// Expected: one error at `assigned`.
use howdah::prelude::*;

#[derive(Entity, Clone)]
pub struct Author {
    #[primary_key(assigned, default = "nextval('authors_id')")]
    pub id: i64,
}

fn main() {}
