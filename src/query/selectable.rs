//! What a query selects: columns, expressions, relations (their keys), and tuples of them.

use super::aggregate::Aggregated;
use super::column::Column;
use super::expr::Expr;
use super::lazy::LazyColumn;
use super::path::ToOne;
use crate::entity::{Entity, FieldSet, Managed};
use crate::error::Error;
use crate::metadata::ColumnType;
use crate::sql::{SelectedTerm, Term};
use crate::types::{ColumnReader, ColumnShape, EntityKey, PgType, RowValue, ScalarType, for_each_tuple};

/// What [`select`](crate::Find::select) takes, and what comes out: a column or expression of type `V` is a `V`, a to-one
/// relation the key of what it refers to (an `Option` where it may be missing), a tuple of up to sixteen of them the tuple
/// of their values.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be selected from `{R}`",
    label = "expected a column, an expression, a to-one relation, or a tuple of them"
)]
pub trait Selectable<R: Entity> {
    /// The value of a row.
    type Output: Send + 'static;

    #[doc(hidden)]
    #[allow(private_interfaces, reason = "only this crate calls it")]
    fn push_selected(self, terms: &mut Vec<SelectedTerm>);

    #[doc(hidden)]
    fn push_shapes(shapes: &mut Vec<ColumnShape>);

    /// Reads the next columns.
    ///
    /// # Errors
    /// [`Error::Conversion`] if they hold something else.
    #[doc(hidden)]
    fn read_selected(row: &mut ColumnReader<'_>) -> Result<Self::Output, Error>;
}

macro_rules! one_value {
    ($($type:ident)*) => {$(
        impl<R: Entity, V: ColumnType + RowValue> Selectable<R> for $type<R, V> {
            type Output = V;

            #[allow(private_interfaces, reason = "only this crate calls it")]
            fn push_selected(self, terms: &mut Vec<SelectedTerm>) {
                let expr: Expr<R, V> = self.into();
                terms.push(SelectedTerm { term: expr.term, pg: Some(V::Operand::TYPE) });
            }

            fn push_shapes(shapes: &mut Vec<ColumnShape>) {
                shapes.push(V::SHAPE);
            }

            fn read_selected(row: &mut ColumnReader<'_>) -> Result<V, Error> {
                V::read_value(row)
            }
        }
    )*};
}

one_value!(Column Expr Aggregated);

/// A lazy column is selected like every other.
impl<R: Entity, V: ColumnType + RowValue> Selectable<R> for LazyColumn<R, V> {
    type Output = V;

    #[allow(private_interfaces, reason = "only this crate calls it")]
    fn push_selected(self, terms: &mut Vec<SelectedTerm>) {
        self.column().push_selected(terms);
    }

    fn push_shapes(shapes: &mut Vec<ColumnShape>) {
        shapes.push(V::SHAPE);
    }

    fn read_selected(row: &mut ColumnReader<'_>) -> Result<V, Error> {
        V::read_value(row)
    }
}

macro_rules! key_of_relation {
    ($loaded:ty => $output:ty: |$key:ident, $row:ident| $value:expr) => {
        impl<R: Entity, T: Entity> Selectable<R> for ToOne<R, T, $loaded> {
            type Output = $output;

            #[allow(private_interfaces, reason = "only this crate calls it")]
            fn push_selected(self, terms: &mut Vec<SelectedTerm>) {
                let path = self.fields().path().clone();
                if let Some((last, before)) = path.hops().split_last() {
                    let head = before.iter().fold(path.starting_over(), |path, hop| path.then(*hop));
                    terms.push(SelectedTerm { term: Term::Column { path: head, property: *last }, pg: None });
                }
            }

            fn push_shapes(shapes: &mut Vec<ColumnShape>) {
                let mut types: Vec<PgType> = Vec::new();
                T::Id::push_types(&mut types);
                // Whatever the server sends for the type is looked at when the key is read.
                shapes.extend(types.into_iter().map(|pg| ColumnShape { pg, accepts: &[], nullable: true }));
            }

            fn read_selected($row: &mut ColumnReader<'_>) -> Result<$output, Error> {
                let $key = $row.key::<T::Id>()?;
                $value
            }
        }
    };
}

key_of_relation!(Managed<T> => T::Id: |key, row| key.ok_or_else(|| row.missing_key()));
key_of_relation!(Option<Managed<T>> => Option<T::Id>: |key, row| Ok(key));

macro_rules! tuple {
    ($($name:ident),*) => {
        impl<R: Entity, $($name: Selectable<R>),*> Selectable<R> for ($($name,)*) {
            type Output = ($($name::Output,)*);

            #[allow(non_snake_case, reason = "the type parameters name the tuple's fields")]
            #[allow(private_interfaces, reason = "only this crate calls it")]
            fn push_selected(self, terms: &mut Vec<SelectedTerm>) {
                let ($($name,)*) = self;
                $($name.push_selected(terms);)*
            }

            fn push_shapes(shapes: &mut Vec<ColumnShape>) {
                $($name::push_shapes(shapes);)*
            }

            fn read_selected(row: &mut ColumnReader<'_>) -> Result<Self::Output, Error> {
                Ok(($($name::read_selected(row)?,)*))
            }
        }
    };
}

for_each_tuple!(tuple);

/// The terms of something to group, partition or order by.
pub(crate) fn terms_of<R: Entity>(selected: impl Selectable<R>) -> Vec<Term> {
    let mut terms = Vec::new();
    selected.push_selected(&mut terms);
    terms.into_iter().map(|selected| selected.term).collect()
}
