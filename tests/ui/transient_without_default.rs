// A transient field starts with its default, since no row has it.
// Expected: one error at the type.
use howdah::prelude::*;

#[derive(Clone)]
pub struct Session(std::net::SocketAddr);

#[derive(Entity, Clone)]
pub struct Author {
    #[primary_key]
    pub id: i64,
    #[transient]
    pub session: Session,
}

fn main() {}
