// A value of two words without quotes.
// Expected: one error at the second word.
use howdah::prelude::*;

#[derive(Entity, Clone)]
pub struct Employee {
    #[primary_key]
    pub id: i64,
    #[many_to_one(on_delete = set null)]
    pub manager: Option<Ref<Employee>>,
}

fn main() {}
