//! Descriptions of queries: typed paths, conditions, orders, populate trees. Plain values, no I/O; the typed shells hold
//! one untyped core each, which `sql/` turns into text.

/// Calls a macro with every type that a key can be given as.
macro_rules! for_every_key_form {
    ($callback:ident) => {
        $callback! {
            [] i16;
            [] i32;
            [] i64;
            [] bool;
            [] uuid::Uuid;
            [] String;
            ['a,] &'a str;
            ['a,] &'a String;
            [] Vec<u8>;
            [] chrono::DateTime<chrono::Utc>;
            [] chrono::NaiveDateTime;
            [] chrono::NaiveDate;
            [] chrono::NaiveTime;
            [A, B,] (A, B);
            [A, B, C,] (A, B, C);
            [A, B, C, D,] (A, B, C, D);
            [A, B, C, D, E,] (A, B, C, D, E);
            [A, B, C, D, E, F,] (A, B, C, D, E, F);
        }
    };
}

mod column;
mod condition;
mod criteria;
mod cursor;
mod expr;
mod find;
mod flush_mode;
pub mod functions;
mod items;
mod load;
mod lock;
mod operators;
mod order;
mod path;
mod populate;
mod projection_check;
mod raw;
mod relation_check;
mod strategy;
mod subquery;

pub use column::Column;
pub use condition::{Condition, IntoCondition};
pub use criteria::Criteria;
pub(crate) use criteria::CriteriaKind;
pub(crate) use cursor::CursorForm;
pub use expr::{Expr, IntoExpr};
pub(crate) use find::{FindOptions, FindPlan};
pub use flush_mode::FlushMode;
pub use items::{Items, SomeItems};
pub(crate) use lock::LockKind;
pub use lock::LockMode;
pub use operators::{
    ContainsOperand, FullText, IntoArray, IntoJsonPath, IntoList, TupleList, TupleOperand, TupleOperators, TypedExpr,
};
pub use order::{IntoOrder, Order};
pub use path::{LoadPath, RelationOperand, ToMany, ToOne};
pub use populate::{Populate, PopulatePath};
pub(crate) use populate::{PopulateNode, PopulateRequest};
pub use projection_check::*;
pub use relation_check::*;
pub use strategy::LoadStrategy;
pub use subquery::{Subquery, SubqueryColumns, SubqueryOf};
