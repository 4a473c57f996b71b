// A default that is not of the field's type.
// Expected: one error at the expression.
use howdah::prelude::*;

#[derive(Entity, Clone)]
pub struct Author {
    #[primary_key]
    pub id: i64,
    #[property(default = "no")]
    pub is_active: bool,
}

fn main() {}
