//! Descriptions of queries: typed paths, conditions, orders, populate trees. Plain values, no I/O; the typed shells hold
//! one untyped core each, which `sql/` turns into text.

mod condition;
mod criteria;
mod find;
mod load;
mod order;
mod path;
mod populate;
mod relation_check;

pub use condition::Condition;
pub use criteria::Criteria;
pub(crate) use criteria::CriteriaKind;
pub(crate) use find::FindPlan;
pub use order::{IntoOrder, Order};
pub use path::{Column, LoadPath, ToMany, ToOne};
pub use populate::{Populate, PopulatePath};
pub(crate) use populate::{PopulateNode, PopulateRequest};
pub use relation_check::*;
