// Floats are no keys: NaN, and two zeros.
// Expected: one error at the type.
use howdah::prelude::*;

#[derive(Entity, Clone)]
pub struct Author {
    #[primary_key]
    pub id: f64,
    pub name: String,
}

fn main() {}
