//! Which keys are taken from the database before rows are inserted: two round trips at any depth, instead of one a level
//! (rule C2).

use rustc_hash::{FxHashMap, FxHashSet};

use crate::metadata::{EntityDef, Metadata};
use crate::sql;
use crate::unit_of_work::change_set::{ChangeKind, ChangeSet, LinkEnd, RowChange, Target};

/// What is known of the keys that the database makes.
pub(crate) trait KeyFacts: Sync {
    /// Whether they can be taken before rows are inserted.
    fn can_take(&self, entity: usize) -> bool;

    /// Whether those of one statement grow in the order of its rows, as far as is known.
    fn is_ordered(&self, entity: usize) -> bool;
}

/// Keys that are needed before the rows are there.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Allocation {
    pub(crate) entity: usize,
    /// The property that the database makes.
    pub(crate) property: usize,
    /// Positions in [`ChangeSet::rows`].
    pub(crate) rows: Vec<usize>,
}

/// The property of a new row's key that the database is to make, if it is one.
pub(super) fn generated(entity: &EntityDef, row: &RowChange) -> Option<u16> {
    let property = u16::try_from(sql::generated_key(entity)?).ok()?;
    let is_made = row.kind == ChangeKind::Insert && row.key.is_none() && !row.properties.contains(&property);
    is_made.then_some(property)
}

/// Whether the database makes more of a key than can be taken beforehand.
fn is_beyond(entity: &EntityDef, row: &RowChange) -> bool {
    let made = |index: &&usize| {
        let number = u16::try_from(**index).unwrap_or_default();
        entity.column(**index).is_some() && !row.properties.contains(&number)
    };
    entity.key_properties.iter().filter(made).count() > 1
}

/// The keys to take: all that the database makes, if a row needs one of them that is not inserted yet, or if the rows of a
/// statement could not be told apart by theirs.
pub(super) fn allocations(metadata: &Metadata, changes: &ChangeSet, facts: &dyn KeyFacts) -> Vec<Allocation> {
    let has_references = changes.links.iter().any(|link| !link.linked.is_empty())
        || changes.has_references
            && changes.rows.iter().any(|row| row.targets.iter().any(|(_, target)| matches!(target, Target::Row(_))));
    let unpaired = |entity: usize| metadata.entities[entity].identity.is_none() || !facts.is_ordered(entity);
    if !has_references && !changes.inserted.iter().any(|(entity, _)| unpaired(*entity)) {
        return Vec::new();
    }
    let mut by_entity: FxHashMap<usize, Allocation> = FxHashMap::default();
    for (position, row) in changes.rows.iter().enumerate() {
        let entity = &metadata.entities[row.entity];
        if let Some(property) = generated(entity, row)
            && !is_beyond(entity, row)
            && facts.can_take(row.entity)
        {
            let property = usize::from(property);
            let allocation = by_entity.entry(row.entity);
            let allocation =
                allocation.or_insert_with(|| Allocation { entity: row.entity, property, rows: Vec::new() });
            allocation.rows.push(position);
        }
    }
    let is_needed = by_entity.values().any(|allocation| unpaired(allocation.entity) && allocation.rows.len() > 1) || {
        let made: FxHashSet<usize> = by_entity.values().flat_map(|allocation| &allocation.rows).copied().collect();
        let targets = changes.rows.iter().flat_map(|row| &row.targets);
        let targets = targets.filter_map(|(_, target)| match target {
            Target::Row(row) => Some(*row),
            Target::Null | Target::Key(_) => None,
        });
        let ends = changes.links.iter().flat_map(|link| &link.linked).flat_map(|(one, two)| [one, two]);
        let ends = ends.filter_map(|end| match end {
            LinkEnd::Row(row) => Some(*row),
            LinkEnd::Key(_) => None,
        });
        targets.chain(ends).any(|row| made.contains(&row))
    };
    if !is_needed {
        return Vec::new();
    }
    let mut allocations: Vec<Allocation> = by_entity.into_values().collect();
    allocations.sort_unstable_by_key(|allocation| allocation.entity);
    allocations
}
