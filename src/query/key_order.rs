//! Orders that every entity has: that of its keys, and that of its creation.

use crate::entity::FieldPath;
use crate::metadata::{EntityMeta, PropertyKind};
use crate::sql::{OrderTerm, Term};

/// Rows in the order of their keys, or in the opposite one.
pub(crate) fn key_order(root: fn() -> &'static EntityMeta, descending: bool) -> Vec<OrderTerm> {
    let properties = (0..).zip(root().properties);
    properties.filter(|(_, property)| property.primary).map(|(index, _)| term(root, index, descending)).collect()
}

/// Rows in the order in which they were created, or in the opposite one: that of the first point in time which is given to a
/// row once, and then of the keys.
pub(crate) fn creation_order(root: fn() -> &'static EntityMeta, descending: bool) -> Vec<OrderTerm> {
    let mut properties = (0..).zip(root().properties);
    let created = properties.find(|(_, property)| match &property.kind {
        PropertyKind::Column(column) => {
            matches!(column.pg.name, "timestamptz" | "timestamp" | "date")
                && column.on_create.is_some()
                && column.on_update.is_none()
        }
        PropertyKind::Relation(_) => false,
    });
    let created = created.map(|(index, _)| OrderTerm { nulls_first: Some(false), ..term(root, index, descending) });
    created.into_iter().chain(key_order(root, descending)).collect()
}

const fn term(root: fn() -> &'static EntityMeta, property: u16, descending: bool) -> OrderTerm {
    let term = Term::Column { path: FieldPath::root(root), property };
    OrderTerm { term, descending, nulls_first: None, values: None }
}
