// Two variants are called the same in the database.
// Expected: one error at the second name, with both variants.
use howdah::prelude::*;

#[derive(DbEnum, Clone, Debug, PartialEq)]
#[db_enum(rename_all = "lowercase")]
pub enum Status {
    Open,
    #[db_enum(rename = "open")]
    Reopened,
}

fn main() {}
