// Columns need names.
// Expected: one error at the name of the struct.
use howdah::prelude::*;

#[derive(Entity, Clone)]
pub struct Point(i64, i64);

fn main() {}
