// A text column is compared with a number.
// Expected: one error at the value.
use howdah::prelude::*;

#[derive(Entity, Clone)]
pub struct Author {
    #[primary_key]
    pub id: i64,
    pub username: String,
}

fn condition() -> Condition<Author> {
    Author::fields().username().eq(5)
}

fn main() {}
