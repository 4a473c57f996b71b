// A variant with fields is more than one value.
// Expected: one error at the fields; the entity is not reported as well.
use howdah::prelude::*;

#[derive(DbEnum, Clone, Debug, PartialEq)]
pub enum Status {
    Open,
    Closed { by: String },
}

#[derive(Entity, Clone, Debug)]
pub struct Ticket {
    #[primary_key]
    pub id: i64,
    #[property(default = Status::Open)]
    pub status: Status,
    pub history: Option<Vec<Status>>,
}

fn main() {}
