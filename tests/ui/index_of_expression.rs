// Indexes over expressions that are empty, that are no text, or that a constraint cannot have.
// Expected: one error at each of them.
use howdah::prelude::*;

#[derive(Entity, Clone)]
#[unique(expression = "lower(name)", deferrable)]
#[unique(expression = " ")]
#[index(expression = lower)]
#[index(where = "name <> ''")]
pub struct Author {
    #[primary_key]
    pub id: i64,
    pub name: String,
}

fn main() {}
