// A one-to-many is the inverse side of a many-to-one, which it names.
// Expected: one error at the attribute.
use howdah::prelude::*;

#[derive(Entity, Clone)]
pub struct Author {
    #[primary_key]
    pub id: i64,
    #[one_to_many]
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
