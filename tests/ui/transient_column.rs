// A transient field is no column.
// Expected: one error at the second attribute.
use howdah::prelude::*;

#[derive(Entity, Clone)]
pub struct Author {
    #[primary_key]
    pub id: i64,
    #[transient]
    #[property(length = 10)]
    pub cache: String,
}

fn main() {}
