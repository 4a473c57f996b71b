// A struct is no list of values.
// Expected: one error at the name.
use howdah::prelude::*;

#[derive(DbEnum, Clone, Debug, PartialEq)]
pub struct Status {
    pub open: bool,
}

fn main() {}
