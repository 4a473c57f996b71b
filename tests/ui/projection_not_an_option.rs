// A field that is no Option, of a column that may be NULL.
// Expected: one error, at the type, that names both.

use howdah::prelude::*;

#[derive(Entity, Clone)]
pub struct User {
    #[primary_key]
    pub id: i64,
    pub age: Option<i32>,
}

#[derive(Projection)]
#[projection(entity = User)]
pub struct Card {
    pub age: i32,
}

fn main() {}
