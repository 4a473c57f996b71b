// Text has the order of the alphabet, not that of the variants.
// Expected: one error at the comparison.
use howdah::prelude::*;

#[derive(DbEnum, Clone, Debug, PartialEq)]
pub enum Status {
    Open,
    Closed,
}

#[derive(Entity, Clone, Debug)]
pub struct Ticket {
    #[primary_key]
    pub id: i64,
    pub status: Status,
}

fn after_open() {
    let _ = Ticket::fields().status().gt(Status::Open);
}

fn main() {}
