// An enum is no row.
// Expected: one error at the name.
use howdah::prelude::*;

#[derive(Entity, Clone)]
pub enum Shape {
    Circle,
    Square,
}

fn main() {}
