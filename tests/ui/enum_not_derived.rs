// An enum without the derive is no column type.
// Expected: one error at the type, which names the derive.
use howdah::prelude::*;

#[derive(Clone, Debug, PartialEq)]
pub enum Status {
    Open,
}

#[derive(Entity, Clone, Debug)]
pub struct Ticket {
    #[primary_key]
    pub id: i64,
    pub status: Status,
}

fn main() {}
