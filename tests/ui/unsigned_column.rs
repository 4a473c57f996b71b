// PostgreSQL has no unsigned integers.
// Expected: one error at the type.
use howdah::prelude::*;

#[derive(Entity, Clone)]
pub struct Author {
    #[primary_key]
    pub id: i64,
    pub age: u32,
}

fn main() {}
