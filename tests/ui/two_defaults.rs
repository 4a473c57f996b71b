// The value of a new row is made by the program or by the database.
// Expected: one error at the expression.
use howdah::prelude::*;

#[derive(Entity, Clone)]
pub struct Author {
    #[primary_key]
    pub id: i64,
    #[property(default = 1, default_sql = "1")]
    pub rank: i32,
}

fn main() {}
