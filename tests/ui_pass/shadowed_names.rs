// Generated code names everything by absolute paths: what the user calls like the prelude does not matter.
#![allow(dead_code, unused_macros)]

struct Some;
struct None;
struct Ok;
struct Vec;
struct Box;
enum Option {}
enum Result {}
trait Clone {}
trait Default {}
trait From {}
trait Into {}
struct EntityMeta;
struct Property;
struct Column;
mod core {}
mod std {}
macro_rules! concat {
    () => {};
}
macro_rules! line {
    () => {};
}

#[derive(howdah::Entity, ::core::clone::Clone)]
pub struct Author {
    #[primary_key]
    pub id: i64,
    pub name: String,
    pub age: ::core::option::Option<i32>,
    #[property(default = "x")]
    pub state: ::core::option::Option<String>,
    #[transient]
    pub cache: u8,
    #[one_to_many(mapped_by = author)]
    pub books: howdah::Collection<Book>,
}

#[derive(howdah::Entity, ::core::clone::Clone)]
pub struct Book {
    #[primary_key]
    pub id: howdah::prelude::Uuid,
    #[many_to_one(inversed_by = books)]
    pub author: howdah::Ref<Author>,
}

fn main() {
    let _: Author = NewAuthor { name: String::new() }.into_author();
}

impl NewAuthor {
    fn into_author(self) -> Author {
        self.with(|_| {})
    }
}
