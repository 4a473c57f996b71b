// The field of a to-many relation is a `Collection`, not a `Vec`.
// Expected: one error at the type.
use howdah::prelude::*;

#[derive(Entity, Clone)]
pub struct Author {
    #[primary_key]
    pub id: i64,
    #[one_to_many(mapped_by = author)]
    pub books: Vec<Book>,
}

#[derive(Entity, Clone)]
pub struct Book {
    #[primary_key]
    pub id: i64,
    #[many_to_one(inversed_by = books)]
    pub author: Ref<Author>,
}

fn main() {}
