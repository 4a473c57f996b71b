// Enums are copied with their entities.
// Expected: one error at the name, which offers the derive.
use howdah::prelude::*;

#[derive(DbEnum, Debug)]
#[db_enum(native)]
pub enum Status {
    Open,
}

fn main() {}
