// A text column has no type to name.
// Expected: one error at the name, which says what is missing.
use howdah::prelude::*;

#[derive(DbEnum, Clone, Debug, PartialEq)]
#[db_enum(name = "ticket_status")]
pub enum Status {
    Open,
}

fn main() {}
