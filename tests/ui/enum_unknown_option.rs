// An option that there is not.
// Expected: one error at the option, which lists those there are.
use howdah::prelude::*;

#[derive(DbEnum, Clone, Debug, PartialEq)]
#[db_enum(nativ)]
pub enum Status {
    Open,
}

#[derive(Entity, Clone, Debug)]
pub struct Ticket {
    #[primary_key]
    pub id: i64,
    pub status: Status,
}

fn gt() {
    let _ = Ticket::fields().status().gt(Status::Open);
}

fn main() {}
