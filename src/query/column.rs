//! The end of a typed path: `User::fields().posts().title()`.

use std::fmt;
use std::ops::Deref;

use super::expr::Expr;
use crate::entity::{Entity, FieldPath};
use crate::sql::Term;

/// A column: of the entity `R` itself, or of one that relations lead to. `V` is the type of the field: an `Option` where the
/// column is nullable.
///
/// A column is an expression: all operators and functions are those of [`Expr`].
pub struct Column<R: Entity, V> {
    path: FieldPath,
    property: u16,
    expr: Expr<R, V>,
}

impl<R: Entity, V> Column<R, V> {
    /// The column with this property index at the end of a path.
    #[doc(hidden)]
    pub fn new(path: &FieldPath, property: u16) -> Self {
        let path = path.clone();
        Self { expr: Expr::new(Term::Column { path: path.clone(), property }), path, property }
    }

    /// The column as an expression.
    pub fn into_expr(self) -> Expr<R, V> {
        self.expr
    }

    /// The path to the entity that has the column.
    pub(crate) const fn path(&self) -> &FieldPath {
        &self.path
    }

    /// The index of the column's property.
    pub(crate) const fn property(&self) -> u16 {
        self.property
    }
}

impl<R: Entity, V> Deref for Column<R, V> {
    type Target = Expr<R, V>;

    fn deref(&self) -> &Expr<R, V> {
        &self.expr
    }
}

impl<R: Entity, V> From<Column<R, V>> for Expr<R, V> {
    fn from(column: Column<R, V>) -> Self {
        column.expr
    }
}

impl<R: Entity, V> Clone for Column<R, V> {
    fn clone(&self) -> Self {
        Self { path: self.path.clone(), property: self.property, expr: self.expr.clone() }
    }
}

impl<R: Entity, V> fmt::Debug for Column<R, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Column({:?})", self.expr)
    }
}
