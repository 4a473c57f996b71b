// `mapped_by` names a relation to another entity.
// Expected: one error at the name.
use howdah::prelude::*;

#[derive(Entity, Clone)]
pub struct Author {
    #[primary_key]
    pub id: i64,
    #[one_to_many(mapped_by = publisher)]
    pub books: Collection<Book>,
}

#[derive(Entity, Clone)]
pub struct Publisher {
    #[primary_key]
    pub id: i64,
}

#[derive(Entity, Clone)]
pub struct Book {
    #[primary_key]
    pub id: i64,
    #[many_to_one]
    pub publisher: Ref<Publisher>,
}

fn main() {}
