// `mapped_by` names a field that the other entity does not have.
// Expected: one error at the name, with the similar one.
use howdah::prelude::*;

#[derive(Entity, Clone)]
pub struct Author {
    #[primary_key]
    pub id: i64,
    #[one_to_many(mapped_by = authr)]
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
