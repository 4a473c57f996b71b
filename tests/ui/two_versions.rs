// Two versions would be two answers to whether a row is stale.
// Expected: one error at the second.
use howdah::prelude::*;

#[derive(Entity, Clone)]
pub struct Author {
    #[primary_key]
    pub id: i64,
    #[version]
    pub version: i32,
    #[version]
    pub revision: i32,
}

fn main() {}
