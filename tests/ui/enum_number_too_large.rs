// A discriminant that does not fit into a smallint.
// Expected: one error at the number, which says what to write.
use howdah::prelude::*;

#[derive(DbEnum, Clone, Debug, PartialEq)]
#[db_enum(integer)]
pub enum Priority {
    Low = 0,
    High = 100_000,
}

fn main() {}
