// Actions and cascades that there are not.
// Expected: one error at each, which lists the ones there are.
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
    #[many_to_one(on_delete = "delete", cascade(merge))]
    pub author: Ref<Author>,
}

fn main() {}
