// Change tracking copies entities, so they are `Clone`.
// Expected: one error at the name, which offers the derive.
use howdah::prelude::*;

#[derive(Entity)]
pub struct Author {
    #[primary_key]
    pub id: i64,
    pub name: String,
    pub age: Option<i32>,
}

fn main() {}
