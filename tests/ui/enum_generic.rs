// An enum with parameters has no one list of values.
// Expected: one error at the parameters.
use howdah::prelude::*;

#[derive(DbEnum, Clone, Debug, PartialEq)]
pub enum Status<T> {
    Open(T),
}

fn main() {}
