// A field that the entity does not have.
// Expected: one error, at the field.

use howdah::prelude::*;

#[derive(Entity, Clone)]
pub struct User {
    #[primary_key]
    pub id: i64,
    pub name: String,
}

#[derive(Projection)]
#[projection(entity = User)]
pub struct Card {
    pub nmae: String,
}

fn main() {}
