//! The entities that most tests tell their stories with: authors write books, books have tags, authors have a profile.

use howdah::prelude::*;

#[derive(Entity, Clone, Debug)]
pub struct Author {
    #[primary_key]
    pub id: i64,
    #[property(unique, length = 100)]
    pub name: String,
    pub born: Option<i32>,
    #[one_to_many(mapped_by = author, cascade(persist, remove), orphan_removal)]
    pub books: Collection<Book>,
    #[one_to_one(mapped_by = author)]
    pub profile: Option<Ref<Profile>>,
    #[many_to_one]
    pub mentor: Option<Ref<Author>>,
}

#[derive(Entity, Clone, Debug)]
pub struct Book {
    #[primary_key]
    pub id: i64,
    pub title: String,
    #[property(check = "pages > 0")]
    pub pages: Option<i32>,
    #[version]
    pub version: i32,
    #[many_to_one(inversed_by = books)]
    pub author: Ref<Author>,
    #[many_to_one(inversed_by = books)]
    pub shelf: Option<Ref<Shelf>>,
    #[many_to_many(inversed_by = books)]
    pub tags: Collection<Tag>,
}

/// Books can be taken from it and put back: its side of the relation removes nothing.
#[derive(Entity, Clone, Debug)]
pub struct Shelf {
    #[primary_key(assigned)]
    pub code: String,
    #[one_to_many(mapped_by = shelf)]
    pub books: Collection<Book>,
}

#[derive(Entity, Clone, Debug)]
pub struct Tag {
    #[primary_key]
    pub id: Uuid,
    #[property(unique)]
    pub name: String,
    #[many_to_many(mapped_by = tags)]
    pub books: Collection<Book>,
}

#[derive(Entity, Clone, Debug)]
pub struct Profile {
    #[primary_key]
    pub id: i32,
    pub text: String,
    #[one_to_one(inversed_by = profile, on_delete = cascade)]
    pub author: Ref<Author>,
}

/// All of them.
pub fn library() -> [&'static howdah::EntityMeta; 5] {
    entities![Author, Book, Shelf, Tag, Profile]
}
