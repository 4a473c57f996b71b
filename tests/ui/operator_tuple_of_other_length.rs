// Two columns are compared with three values.
// Expected: one error at the values.
use howdah::prelude::*;

#[derive(Entity, Clone)]
pub struct Author {
    #[primary_key]
    pub id: i64,
    pub username: String,
    pub age: Option<i32>,
    pub tags: Vec<String>,
    #[one_to_many(mapped_by = author)]
    pub books: Collection<Book>,
}

#[derive(Entity, Clone)]
pub struct Book {
    #[primary_key]
    pub id: i64,
    pub title: String,
    #[many_to_one(inversed_by = books)]
    pub author: Ref<Author>,
}

fn condition() -> Condition<Author> {
    (Author::fields().id(), Author::fields().username()).eq((1, "ada", 36))
}

fn main() {}
