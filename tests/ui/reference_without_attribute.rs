// A `Ref` needs an attribute that says what kind of relation it is.
// Expected: one error at the type, which names the attributes.
use howdah::prelude::*;

#[derive(Entity, Clone)]
pub struct Author {
    #[primary_key]
    pub id: i64,
}

#[derive(Entity, Clone)]
pub struct Book {
    #[primary_key]
    pub id: i64,
    pub author: Ref<Author>,
}

fn main() {}
