// `mapped_by` takes the field itself, so that the compiler can check it.
// Expected: one error at the string.
use howdah::prelude::*;

#[derive(Entity, Clone)]
pub struct Author {
    #[primary_key]
    pub id: i64,
    #[one_to_many(mapped_by = "author")]
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
