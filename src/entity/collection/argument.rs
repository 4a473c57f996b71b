//! What is put into a collection and taken out of it: a handle, or a reference to a row that need not be loaded.

use super::item_list::Item;
use crate::entity::{Entity, Managed, Ref};

/// Something that names an item of a [`Collection<T>`](crate::Collection): a handle (`&Managed<T>`), or a [`Ref<T>`] where
/// the entity is not loaded.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no item of a `Collection<{T}>`",
    label = "expected a `&Managed<{T}>` or a `Ref<{T}>`",
    note = "em.get_reference::<{T}>(key) names a row that is not loaded"
)]
pub trait CollectionItem<T: Entity> {
    #[doc(hidden)]
    fn item(&self) -> NamedItem;
}

/// An item without its type.
#[doc(hidden)]
pub struct NamedItem(pub(super) Item);

impl std::fmt::Debug for NamedItem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("NamedItem(..)")
    }
}

impl<T: Entity> CollectionItem<T> for Managed<T> {
    fn item(&self) -> NamedItem {
        NamedItem(Item::cell(&self.any()))
    }
}

impl<T: Entity> CollectionItem<T> for Ref<T> {
    fn item(&self) -> NamedItem {
        NamedItem(match self.row() {
            Ok(row) => Item::row(row),
            Err(cell) => Item::Cell(cell),
        })
    }
}

impl<T: Entity, I: CollectionItem<T> + ?Sized> CollectionItem<T> for &I {
    fn item(&self) -> NamedItem {
        (**self).item()
    }
}
