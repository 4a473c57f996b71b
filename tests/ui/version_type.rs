// The database counts versions up, or sets them to the time.
// Expected: one error at the type.
use howdah::prelude::*;

#[derive(Entity, Clone)]
pub struct Author {
    #[primary_key]
    pub id: i64,
    #[version]
    pub version: String,
}

fn main() {}
