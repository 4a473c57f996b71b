// A projection that is a tuple struct.
// Expected: the derive says what a projection is.

use howdah::prelude::*;

#[derive(Projection)]
struct Card(i64, String);

fn main() {}
