// A filter needs a name and a closure, and the closure makes a condition of the entity.
// Expected: one error at each mistake.
use howdah::prelude::*;

fn open() -> Condition<Ticket> {
    Ticket::fields().closed().eq(false)
}

#[derive(Entity, Clone)]
#[filter(name = "open", condition = open)]
#[filter(condition = |t| t.closed().eq(false))]
#[filter(name = "off", condition = |t| t.closed().eq(true), default = no)]
pub struct Ticket {
    #[primary_key]
    pub id: i64,
    pub closed: bool,
}

fn main() {}
