// The field of a to-one relation is a `Ref`, not the key.
// Expected: one error at the type.
use howdah::prelude::*;

#[derive(Entity, Clone)]
pub struct Author {
    #[primary_key]
    pub id: i64,
}

#[derive(Entity, Clone)]
pub struct Book {
    #[primary_key]
    pub id: i64,
    #[many_to_one]
    pub author: i64,
}

fn main() {}
