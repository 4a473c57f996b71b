// A column is compared with one of another entity.
// Expected: one error at the column.
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
    Author::fields().username().eq(Book::fields().title())
}

fn main() {}
