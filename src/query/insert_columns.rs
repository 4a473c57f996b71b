//! Which columns the values of a query are inserted into.

use super::column::Column;
use super::lazy::LazyColumn;
use super::path::ToOne;
use super::property_list::PropertyList;
use crate::entity::{Entity, Managed};
use crate::metadata::ColumnType;
use crate::types::ScalarType;

/// Columns of the entity `T` that rows of type `O` fit into: a column for a value of its type (a nullable one also for values
/// that are not), a to-one relation for a key, a tuple of up to sixteen for a tuple, and so within it.
#[diagnostic::on_unimplemented(
    message = "values of type `{O}` do not fit into `{Self}`",
    label = "expected as many columns of `{T}` as values, of the same types"
)]
pub trait InsertColumns<T: Entity, O>: PropertyList<T> {}

impl<T: Entity, V: ColumnType> InsertColumns<T, V> for Column<T, V> {}
impl<T: Entity, V: ScalarType> InsertColumns<T, V> for Column<T, Option<V>> {}
impl<T: Entity, V: ColumnType> InsertColumns<T, V> for LazyColumn<T, V> {}
impl<T: Entity, V: ScalarType> InsertColumns<T, V> for LazyColumn<T, Option<V>> {}
impl<T: Entity, X: Entity> InsertColumns<T, X::Id> for ToOne<T, X, Managed<X>> {}
impl<T: Entity, X: Entity> InsertColumns<T, Option<X::Id>> for ToOne<T, X, Option<Managed<X>>> {}

macro_rules! tuple {
    ($($column:ident $value:ident),*) => {
        impl<T: Entity, $($value, $column: InsertColumns<T, $value>),*> InsertColumns<T, ($($value,)*)> for ($($column,)*) {}
    };
}

tuple!(A A1);
tuple!(A A1, B B1);
tuple!(A A1, B B1, C C1);
tuple!(A A1, B B1, C C1, D D1);
tuple!(A A1, B B1, C C1, D D1, E E1);
tuple!(A A1, B B1, C C1, D D1, E E1, F F1);
tuple!(A A1, B B1, C C1, D D1, E E1, F F1, G G1);
tuple!(A A1, B B1, C C1, D D1, E E1, F F1, G G1, H H1);
tuple!(A A1, B B1, C C1, D D1, E E1, F F1, G G1, H H1, I I1);
tuple!(A A1, B B1, C C1, D D1, E E1, F F1, G G1, H H1, I I1, J J1);
tuple!(A A1, B B1, C C1, D D1, E E1, F F1, G G1, H H1, I I1, J J1, K K1);
tuple!(A A1, B B1, C C1, D D1, E E1, F F1, G G1, H H1, I I1, J J1, K K1, L L1);
tuple!(A A1, B B1, C C1, D D1, E E1, F F1, G G1, H H1, I I1, J J1, K K1, L L1, M M1);
tuple!(A A1, B B1, C C1, D D1, E E1, F F1, G G1, H H1, I I1, J J1, K K1, L L1, M M1, N N1);
tuple!(A A1, B B1, C C1, D D1, E E1, F F1, G G1, H H1, I I1, J J1, K K1, L L1, M M1, N N1, O O1);
tuple!(A A1, B B1, C C1, D D1, E E1, F F1, G G1, H H1, I I1, J J1, K K1, L L1, M M1, N N1, O O1, P P1);
