// `inversed_by` of a many-to-many names something that is no collection of this entity.
// Expected: one error at the name.
use howdah::prelude::*;

#[derive(Entity, Clone)]
pub struct Book {
    #[primary_key]
    pub id: i64,
    #[many_to_many(inversed_by = name)]
    pub tags: Collection<Tag>,
}

#[derive(Entity, Clone)]
pub struct Tag {
    #[primary_key]
    pub id: i64,
    pub name: String,
}

fn main() {}
