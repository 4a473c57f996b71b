//! From a change set to an ordered list of statements. Pure; an impossible plan is an error before any SQL is sent (rule
//! C1).

use std::collections::BTreeMap;

use super::change_set::{ChangeKind, ChangeSet, LinkEnd, RowChange, Target};
use super::commit_order::CommitOrder;
use crate::error::Error;
use crate::metadata::Metadata;
use crate::types::Key;

/// One statement: a table, an operation, a column set, and any number of rows (rule C4).
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum PlannedStatement {
    Insert {
        entity: usize,
        properties: Vec<u16>,
        /// Properties that the database makes, apart from the key.
        returning: Vec<u16>,
        /// Positions in [`ChangeSet::rows`].
        rows: Vec<usize>,
        /// Whether the database makes the key.
        makes_keys: bool,
    },
    Update {
        entity: usize,
        properties: Vec<u16>,
        rows: Vec<usize>,
    },
    Delete {
        entity: usize,
        rows: Vec<usize>,
    },
    /// Pivot rows; positions in [`ChangeSet::links`].
    Link {
        link: usize,
    },
    Unlink {
        link: usize,
    },
    /// Position in [`ChangeSet::clears`].
    Clear {
        clear: usize,
    },
}

/// The statements of a flush, in order.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Plan {
    pub(crate) statements: Vec<PlannedStatement>,
}

/// Orders a change set: inserts parents first, updates, pivot rows, deletes children first (rule C6). Rows of a statement
/// are sorted by key, so that concurrent flushes lock them in the same order.
///
/// # Errors
/// [`Error::Validation`] if new rows refer to each other in a circle.
pub(crate) fn plan(metadata: &Metadata, order: &CommitOrder, changes: &ChangeSet) -> Result<Plan, Error> {
    let mut statements = Vec::new();
    inserts(metadata, order, changes, &mut statements)?;
    updates(order, changes, &mut statements);
    for (clear, _) in changes.clears.iter().enumerate() {
        statements.push(PlannedStatement::Clear { clear });
    }
    for (link, change) in changes.links.iter().enumerate() {
        if !change.unlinked.is_empty() {
            statements.push(PlannedStatement::Unlink { link });
        }
    }
    for (link, change) in changes.links.iter().enumerate() {
        if !change.linked.is_empty() {
            statements.push(PlannedStatement::Link { link });
        }
    }
    deletes(order, changes, &mut statements);
    Ok(Plan { statements })
}

/// The rows of one operation with their positions.
fn rows_of(changes: &ChangeSet, kind: ChangeKind) -> impl Iterator<Item = (usize, &RowChange)> {
    changes.rows.iter().enumerate().filter(move |(_, row)| row.kind == kind)
}

/// Sorts rows by key; rows without one stay in the order in which they were persisted, in front.
fn sort_by_key(rows: &mut [usize], changes: &ChangeSet) {
    rows.sort_by(|one, two| changes.rows[*one].key.cmp(&changes.rows[*two].key));
}

fn inserts(
    metadata: &Metadata,
    order: &CommitOrder,
    changes: &ChangeSet,
    statements: &mut Vec<PlannedStatement>,
) -> Result<(), Error> {
    let levels = insert_levels(metadata, order, changes)?;
    let mut groups: BTreeMap<(usize, usize, usize, &[u16]), Vec<usize>> = BTreeMap::new();
    for (position, row) in rows_of(changes, ChangeKind::Insert) {
        let level = levels.get(position).copied().unwrap_or_default();
        let group = (order.rank(row.entity), level, row.entity, &*row.properties);
        groups.entry(group).or_default().push(position);
    }
    for ((_, _, entity, properties), mut rows) in groups {
        let definition = &metadata.entities[entity];
        let missing = |property: usize| u16::try_from(property).is_ok_and(|number| !properties.contains(&number));
        let returning = (0..definition.properties.len())
            .filter(|property| definition.column(*property).is_some() && missing(*property))
            .filter(|property| !definition.key_properties.contains(property))
            .filter_map(|property| u16::try_from(property).ok())
            .collect();
        let makes_keys = definition
            .key_properties
            .iter()
            .any(|property| definition.column(*property).is_some() && missing(*property));
        if makes_keys && definition.identity.is_none() && rows.len() > 1 {
            // Keys that are no sequence's have no order that rows could be paired by: one statement a row.
            for row in rows {
                statements.push(PlannedStatement::Insert {
                    entity,
                    properties: properties.to_vec(),
                    returning: Vec::clone(&returning),
                    rows: vec![row],
                    makes_keys,
                });
            }
            continue;
        }
        sort_by_key(&mut rows, changes);
        statements.push(PlannedStatement::Insert {
            entity,
            properties: properties.to_vec(),
            returning,
            rows,
            makes_keys,
        });
    }
    Ok(())
}

/// By row: how many inserts have to come before it among the tables of its circle.
fn insert_levels(metadata: &Metadata, order: &CommitOrder, changes: &ChangeSet) -> Result<Vec<usize>, Error> {
    let mut levels: Vec<Option<usize>> = vec![None; changes.rows.len()];
    for (start, row) in rows_of(changes, ChangeKind::Insert) {
        if !order.is_circular(row.entity) {
            levels[start] = Some(0);
        }
    }
    for (start, _) in rows_of(changes, ChangeKind::Insert) {
        // Depth first without recursion: chains of new rows can be long.
        let mut stack = vec![(start, false)];
        let mut open = vec![];
        while let Some((position, done)) = stack.pop() {
            let row = &changes.rows[position];
            let before = || row.targets.iter().filter_map(|(_, target)| depends(order, changes, row, target));
            if done {
                open.pop();
                let level = |(other, step): (usize, usize)| levels[other].unwrap_or_default() + step;
                levels[position] = before().map(level).max().or(Some(0));
                continue;
            }
            if levels[position].is_some() {
                continue;
            }
            if open.contains(&position) {
                let entity = metadata.entities[row.entity].meta.name;
                let message = format!(
                    "new entities refer to each other in a circle (through {entity}): flush one of them before it refers \
                     to the others"
                );
                return Err(Error::validation(entity, message));
            }
            open.push(position);
            stack.push((position, true));
            // Rows of one statement may refer to each other in a circle.
            let next =
                before().filter(|(other, step)| levels[*other].is_none() && (*step > 0 || !open.contains(other)));
            stack.extend(next.map(|(other, _)| (other, false)));
        }
    }
    Ok(levels.into_iter().map(Option::unwrap_or_default).collect())
}

/// The row that must not be inserted after this one, if the target is one; and how many levels have to be between them.
fn depends(order: &CommitOrder, changes: &ChangeSet, row: &RowChange, target: &Target) -> Option<(usize, usize)> {
    let Target::Row(position) = target else { return None };
    let other = &changes.rows[*position];
    if order.rank(other.entity) != order.rank(row.entity) {
        return None;
    }
    // Rows of one statement need no order: foreign keys are checked at its end (rule C7).
    let together = row.entity == other.entity && row.properties == other.properties && other.key.is_some();
    Some((*position, usize::from(!together)))
}

fn updates(order: &CommitOrder, changes: &ChangeSet, statements: &mut Vec<PlannedStatement>) {
    let mut groups: BTreeMap<(usize, usize, &[u16]), Vec<usize>> = BTreeMap::new();
    for (position, row) in rows_of(changes, ChangeKind::Update) {
        groups.entry((order.rank(row.entity), row.entity, &*row.properties)).or_default().push(position);
    }
    for ((_, entity, properties), mut rows) in groups {
        sort_by_key(&mut rows, changes);
        statements.push(PlannedStatement::Update { entity, properties: properties.to_vec(), rows });
    }
}

fn deletes(order: &CommitOrder, changes: &ChangeSet, statements: &mut Vec<PlannedStatement>) {
    let mut groups: BTreeMap<(usize, usize), Vec<usize>> = BTreeMap::new();
    for (position, row) in rows_of(changes, ChangeKind::Delete) {
        groups.entry((order.rank(row.entity), row.entity)).or_default().push(position);
    }
    for ((_, entity), mut rows) in groups.into_iter().rev() {
        sort_by_key(&mut rows, changes);
        statements.push(PlannedStatement::Delete { entity, rows });
    }
}

impl PlannedStatement {
    /// Whether all keys that the statement writes are known.
    pub(crate) fn is_ready(&self, changes: &ChangeSet, keys: &[Option<Key>]) -> bool {
        let end_known = |end: &LinkEnd| match end {
            LinkEnd::Key(_) => true,
            LinkEnd::Row(row) => keys[*row].is_some(),
        };
        let rows_known = |rows: &[usize]| {
            let targets = rows.iter().flat_map(|row| &changes.rows[*row].targets);
            targets.into_iter().all(|(_, target)| match target {
                Target::Null | Target::Key(_) => true,
                Target::Row(row) => keys[*row].is_some(),
            })
        };
        match self {
            Self::Insert { rows, .. } | Self::Update { rows, .. } => rows_known(rows),
            Self::Link { link } => {
                changes.links[*link].linked.iter().all(|(one, two)| end_known(one) && end_known(two))
            }
            Self::Unlink { .. } | Self::Clear { .. } | Self::Delete { .. } => true,
        }
    }
}
