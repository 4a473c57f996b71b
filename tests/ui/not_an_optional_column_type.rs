// An Option of something that cannot be stored in a column.
// Expected: one error at the type.
use howdah::prelude::*;

#[derive(Clone)]
pub struct Address {
    pub city: String,
}

#[derive(Entity, Clone)]
pub struct Author {
    #[primary_key]
    pub id: i64,
    pub address: Option<Address>,
}

fn main() {}
