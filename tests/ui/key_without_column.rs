// A key is made of columns, and a collection has none.
// Expected: one error at the attribute.
use howdah::prelude::*;

#[derive(Entity, Clone)]
pub struct Author {
    #[primary_key]
    #[one_to_many(mapped_by = author)]
    pub books: Collection<Book>,
}

#[derive(Entity, Clone)]
pub struct Book {
    #[primary_key]
    pub id: i64,
    #[many_to_one(inversed_by = books)]
    pub author: Ref<Author>,
}

fn main() {}
