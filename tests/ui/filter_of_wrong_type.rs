// The condition of a filter compares a column with a parameter of another type.
// Expected: an error at the parameter.
use howdah::prelude::*;

#[derive(Entity, Clone)]
#[filter(name = "tenant", condition = |t, tenant: i32| t.tenant().eq(tenant))]
pub struct Ticket {
    #[primary_key]
    pub id: i64,
    pub tenant: i64,
}

fn main() {}
