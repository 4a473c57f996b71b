// One side of a relation cannot be both the owning and the inverse side.
// Expected: one error at `inversed_by`.
use howdah::prelude::*;

#[derive(Entity, Clone)]
pub struct Book {
    #[primary_key]
    pub id: i64,
    #[many_to_many(mapped_by = books, inversed_by = books)]
    pub tags: Collection<Tag>,
}

#[derive(Entity, Clone)]
pub struct Tag {
    #[primary_key]
    pub id: i64,
    #[many_to_many(inversed_by = tags)]
    pub books: Collection<Book>,
}

fn main() {}
