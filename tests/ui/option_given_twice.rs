// The same option twice, and the same attribute twice.
// Expected: one error at each second one.
use howdah::prelude::*;

#[derive(Entity, Clone)]
pub struct Author {
    #[primary_key]
    pub id: i64,
    #[property(length = 50, length = 60)]
    pub name: String,
    #[property(unique)]
    #[property(length = 10)]
    pub email: String,
}

fn main() {}
