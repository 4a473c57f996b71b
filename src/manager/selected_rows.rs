//! How the rows of a query are read that selects values: a tuple, or a projection.

use crate::entity::Entity;
use crate::loader::{ReadRow, RowIntake};
use crate::query::Selectable;
use crate::types::{ColumnShape, ExpectedRow, Projection};

/// What is made of each row.
pub(super) struct SelectedRows<O> {
    expected: fn() -> ExpectedRow,
    read: ReadRow<O>,
    /// What is read, for messages.
    pub(super) subject: &'static str,
}

impl<O> SelectedRows<O> {
    /// What was selected of an entity.
    pub(super) fn of_selection<T: Entity, S: Selectable<T, Output = O>>() -> Self {
        Self { expected: expected::<T, S>, read: S::read_selected, subject: T::meta().name }
    }

    /// A projection.
    pub(super) fn of_projection() -> Self
    where
        O: Projection,
    {
        Self { expected: O::expected, read: O::read, subject: O::meta().name }
    }

    /// What takes in the rows.
    pub(super) fn intake(&self) -> RowIntake<O> {
        RowIntake::selected((self.expected)(), self.read, self.subject)
    }
}

impl<O> Clone for SelectedRows<O> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<O> Copy for SelectedRows<O> {}

fn expected<T: Entity, S: Selectable<T>>() -> ExpectedRow {
    let mut shapes: Vec<ColumnShape> = Vec::new();
    S::push_shapes(&mut shapes);
    ExpectedRow::InOrder(shapes)
}
