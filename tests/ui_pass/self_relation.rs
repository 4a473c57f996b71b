// A tree: an entity that refers to itself, from both sides.
#![deny(warnings)]
use howdah::prelude::*;

#[derive(Entity, Clone, Debug)]
pub struct Employee {
    #[primary_key]
    pub id: i64,
    pub name: String,
    #[many_to_one(inversed_by = reports, on_delete = "set null")]
    pub manager: Option<Ref<Employee>>,
    #[one_to_many(mapped_by = manager)]
    pub reports: Collection<Employee>,
    #[many_to_many(inversed_by = mentees)]
    pub mentors: Collection<Self>,
    #[many_to_many(mapped_by = mentors)]
    pub mentees: Collection<Self>,
}

fn main() {
    let boss: Employee = NewEmployee { name: "Ada".into() }.into();
    assert!(boss.manager.is_none());
    let _ = Employee::fields().reports().manager().name().eq("Ada");
}
