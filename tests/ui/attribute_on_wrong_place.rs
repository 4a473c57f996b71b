// Attributes of the struct on a field, and the other way round.
// Expected: one error at each.
use howdah::prelude::*;

#[derive(Entity, Clone)]
#[property(unique)]
pub struct Author {
    #[primary_key]
    pub id: i64,
    #[unique]
    pub email: String,
}

fn main() {}
