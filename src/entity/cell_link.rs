//! The weak pointer that links entities inside a graph.
//!
//! It does not contain the type of the entity it points to. Otherwise an entity would contain, as far as the compiler
//! can see, every entity that relations lead to, and whether it is `Send` would be asked of a chain as long as the
//! model is wide: some twenty entities exceed the compiler's recursion limit.

use std::marker::PhantomData;
use std::sync::{Arc, Weak};

use super::{Cell, Entity};
use crate::metadata::AnyCell;

/// A weak pointer to a cell.
pub(super) struct CellLink<T> {
    cell: Weak<dyn AnyCell>,
    entity: PhantomData<fn() -> T>,
}

impl<T> Clone for CellLink<T> {
    fn clone(&self) -> Self {
        Self { cell: Weak::clone(&self.cell), entity: PhantomData }
    }
}

impl<T: Entity> CellLink<T> {
    /// A link to this cell.
    pub(super) fn new(cell: &Arc<Cell<T>>) -> Self {
        let cell = Arc::clone(cell) as Arc<dyn AnyCell>;
        Self { cell: Arc::downgrade(&cell), entity: PhantomData }
    }

    /// The cell, if it is still there.
    pub(super) fn upgrade(&self) -> Option<Arc<Cell<T>>> {
        self.cell.upgrade().and_then(Cell::downcast)
    }

    /// The link without its type.
    pub(super) fn to_weak(&self) -> Weak<dyn AnyCell> {
        Weak::clone(&self.cell)
    }
}
