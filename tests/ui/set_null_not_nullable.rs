// SET NULL on a column that cannot be NULL would fail when a row is deleted.
// Expected: one error at the action.
use howdah::prelude::*;

#[derive(Entity, Clone)]
pub struct Author {
    #[primary_key]
    pub id: i64,
}

#[derive(Entity, Clone)]
pub struct Book {
    #[primary_key]
    pub id: i64,
    #[many_to_one(on_delete = set_null)]
    pub author: Ref<Author>,
}

fn main() {}
