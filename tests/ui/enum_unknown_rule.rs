// A rule for names that there is not.
// Expected: one error at the rule, which lists those there are.
use howdah::prelude::*;

#[derive(DbEnum, Clone, Debug, PartialEq)]
#[db_enum(native, rename_all = "snakecase")]
pub enum Status {
    Open,
}

fn main() {}
