// An option that the attribute does not have.
// Expected: the options that there are.

use howdah::prelude::*;

#[derive(Projection)]
struct Card {
    #[projection(nested)]
    id: i64,
}

fn main() {
    let _ = Card { id: 1 }.id;
}
