// An entity without a key: the identity map could not tell its rows apart.
// Expected: one error at the name of the struct.
use howdah::prelude::*;

#[derive(Entity, Clone)]
pub struct Author {
    pub name: String,
}

fn main() {}
