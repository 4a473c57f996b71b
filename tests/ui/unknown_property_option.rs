// A misspelled option.
// Expected: one error at the option, which lists the ones there are.
use howdah::prelude::*;

#[derive(Entity, Clone)]
pub struct Author {
    #[primary_key]
    pub id: i64,
    #[property(lenght = 50)]
    pub name: String,
}

fn main() {}
