//! The operators of expressions that make conditions, one file per family. What a type must be able to do is asked at the
//! method, so that the compiler says what is wrong with the type and not that there is no such method.

mod array;
mod comparison;
mod contains;
mod fulltext;
mod json;
mod list;
mod text;
mod tuple;

pub use array::IntoArray;
pub use contains::ContainsOperand;
pub use fulltext::FullText;
pub use json::IntoJsonPath;
pub use list::IntoList;
pub use tuple::{TupleList, TupleOperand, TupleOperators, TypedExpr};
