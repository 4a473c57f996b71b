// A table has one set of columns, so an entity cannot be generic.
// Expected: one error at the parameters.
use howdah::prelude::*;

#[derive(Entity, Clone)]
pub struct Page<T> {
    #[primary_key]
    pub id: i64,
    pub content: T,
}

fn main() {}
