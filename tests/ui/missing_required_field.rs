// A new entity without one of its required fields.
// Expected: the compiler's own error for a missing field.
use howdah::prelude::*;

#[derive(Entity, Clone)]
pub struct Author {
    #[primary_key]
    pub id: i64,
    pub name: String,
    pub email: String,
}

fn main() {
    let _ = NewAuthor { name: "Ada".into() };
}
