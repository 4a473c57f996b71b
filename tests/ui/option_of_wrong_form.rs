// Options with values of another kind.
// Expected: one error at each value.
use howdah::prelude::*;

#[derive(Entity, Clone)]
#[entity(table = authors)]
pub struct Author {
    #[primary_key]
    pub id: i64,
    #[property(length = "50", unique = 1)]
    pub name: String,
}

fn main() {}
