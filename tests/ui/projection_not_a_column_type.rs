// A field whose type is neither a column's nor a projection.
// Expected: one error, at the type.

use howdah::prelude::*;

pub struct Plain;

#[derive(Projection)]
pub struct Card {
    pub value: Plain,
}

fn main() {}
