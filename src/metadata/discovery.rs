//! Which entities an [`Orm`](crate::Orm) knows: those that were listed, or all that registered themselves.

use super::definition::{EntityMeta, EntityRegistration};

/// All entities that `#[derive(Entity)]` has registered in this program, in a stable order.
pub(super) fn registered() -> Vec<&'static EntityMeta> {
    let mut found: Vec<&'static EntityMeta> =
        inventory::iter::<EntityRegistration>.into_iter().map(|registration| (registration.0)()).collect();
    found.sort_by_key(|meta| (meta.name, meta.source));
    found
}
