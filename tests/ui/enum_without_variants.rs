// An enum without variants has no value that a column could hold.
// Expected: one error at the name.
use howdah::prelude::*;

#[derive(DbEnum, Clone, Debug, PartialEq)]
pub enum Status {}

fn main() {}
