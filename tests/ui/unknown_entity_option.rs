// A misspelled option of the struct.
// Expected: one error at the option, which lists the ones there are.
use howdah::prelude::*;

#[derive(Entity, Clone)]
#[entity(tabel = "authors")]
pub struct Author {
    #[primary_key]
    pub id: i64,
}

fn main() {}
