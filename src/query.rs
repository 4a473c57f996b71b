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

mod aggregate;
mod assign;
mod column;
mod condition;
mod criteria;
mod cursor;
mod derived;
mod equal_to;
mod expr;
mod filter;
mod find;
mod flush_mode;
pub mod functions;
mod insert_columns;
mod items;
mod key_order;
mod lazy;
mod load;
mod lock;
mod operators;
mod order;
mod path;
mod populate;
mod projection_check;
mod property_list;
mod raw;
mod relation_check;
mod selectable;
mod strategy;
mod subquery;
mod window;

pub(crate) use crate::sql::{FilterOptions, FilterParams};
pub use aggregate::{Aggregated, Summable};
pub(crate) use assign::Assignment;
pub use assign::{Assign, ColumnValue};
pub use column::Column;
pub use condition::{Condition, IntoCondition};
pub use criteria::Criteria;
pub(crate) use criteria::{ById, CriteriaKind};
pub(crate) use cursor::CursorForm;
pub use derived::{Alias, DerivedTable, JoinPath, JoinSource, OutputRow};
pub use equal_to::EqualTo;
pub use expr::{Expr, IntoExpr};
pub use filter::Filter;
pub(crate) use find::{FindOptions, FindPlan};
pub use flush_mode::FlushMode;
pub use insert_columns::InsertColumns;
pub use items::{Items, SomeItems};
pub(crate) use key_order::{creation_order, key_order};
pub use lazy::LazyColumn;
pub(crate) use lock::LockKind;
pub use lock::LockMode;
pub use operators::{
    ContainsOperand, FullText, IntoArray, IntoJsonPath, IntoList, TupleList, TupleOperand, TupleOperators, TypedExpr,
};
pub use order::{IntoOrder, Order};
pub use path::{LoadPath, RelationList, RelationOperand, ToMany, ToOne};
pub use populate::{Populate, PopulatePath};
pub(crate) use populate::{PopulateNode, PopulateRequest};
pub use projection_check::*;
pub use property_list::PropertyList;
pub(crate) use property_list::PropertyName;
pub use relation_check::*;
pub use selectable::Selectable;
pub(crate) use selectable::terms_of;
pub use strategy::LoadStrategy;
pub use subquery::{ExistsOperand, Subquery, SubqueryColumns, SubqueryOf};
pub use window::{FrameBound, WindowFunction, WindowSpec};
