// `mapped_by` names a column instead of a relation.
// Expected: one error at the name.
use howdah::prelude::*;

#[derive(Entity, Clone)]
pub struct Author {
    #[primary_key]
    pub id: i64,
    #[one_to_many(mapped_by = author_id)]
    pub books: Collection<Book>,
}

#[derive(Entity, Clone)]
pub struct Book {
    #[primary_key]
    pub id: i64,
    pub author_id: i64,
}

fn main() {}
