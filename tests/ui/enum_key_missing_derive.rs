// Keys are compared.
// Expected: one error at the type, which names the derives.
use howdah::prelude::*;

#[derive(DbEnum, Clone, Debug)]
#[db_enum(native)]
pub enum Status {
    Open,
}

#[derive(Entity, Clone, Debug)]
pub struct Ticket {
    #[primary_key]
    pub status: Status,
    pub former: Option<Status>,
}

fn main() {}
