// An index over a field that there is not, and over one without a column.
// Expected: one error at each name.
use howdah::prelude::*;

#[derive(Entity, Clone)]
#[index(last_nam, first_name)]
#[unique(first_name, cache)]
pub struct Author {
    #[primary_key]
    pub id: i64,
    pub first_name: String,
    pub last_name: String,
    #[transient]
    pub cache: String,
}

fn main() {}
