//! From a change set to an ordered list of statements. Pure; an impossible plan is an error before any SQL is sent (rule
//! C1).
//!
//! Most flushes are ordered by their tables alone. Where rows refer to each other in a circle of tables, or give a unique value
//! to one another, the rows themselves are ordered (`plan/rows.rs`).

use rustc_hash::FxHashSet;

use super::change_set::{ChangeKind, ChangeSet, LinkEnd, RowChange, Target};
use super::commit_order::CommitOrder;
use crate::error::Error;
use crate::metadata::{EntityDef, Metadata};
use crate::types::Key;

mod barriers;
mod cycles;
mod expressions;
mod keys;
mod postponed;
mod predicate;
mod queue;
mod rekeying;
mod rows;
mod slots;
mod values;

pub(crate) use keys::{Allocation, KeyFacts};

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
    /// Rows let go of what others wait for: these properties are NULL until the UPDATE or DELETE that follows (rule C8).
    Park {
        entity: usize,
        properties: Vec<u16>,
        rows: Vec<usize>,
    },
    /// Rows take these values apart from the UPDATE that writes the others, and the version: before it, or behind it where they were
    /// parked and have not changed; or behind the INSERT, where they refer to rows whose keys were not known then.
    Advance {
        entity: usize,
        properties: Vec<u16>,
        rows: Vec<usize>,
    },
    /// Inserts, or deletes, of rows that refer to each other in a circle: one `WITH` (rule C7).
    Together {
        parts: Vec<PlannedStatement>,
    },
    /// Reads what the database has made for rows that were inserted together.
    ReadBack {
        entity: usize,
        properties: Vec<u16>,
        rows: Vec<usize>,
    },
    /// Rows that were removed by reference; position in [`ChangeSet::removals`].
    DeleteRows {
        removal: usize,
    },
    /// Pivot rows; positions in [`ChangeSet::links`].
    Link {
        link: usize,
    },
    /// Pivot rows in their order, behind all others.
    Place {
        link: usize,
    },
    Unlink {
        link: usize,
    },
    /// Position in [`ChangeSet::clears`].
    Clear {
        clear: usize,
    },
    /// Has these constraints of the entity's table checked later, or now.
    Constraints {
        entity: usize,
        names: Vec<String>,
        deferred: bool,
    },
}

/// The statements of a flush, in order.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Plan {
    /// Keys that are taken from the database before the first statement.
    pub(crate) allocations: Vec<Allocation>,
    pub(crate) statements: Vec<PlannedStatement>,
}

/// Orders a change set (rule C6): deletes and updates that release a unique value that something else takes, inserts parents
/// first, updates, pivot rows, deletes children first. Rows of a statement are sorted by key, so that concurrent flushes
/// lock them in the same order.
///
/// # Errors
/// [`Error::UnresolvableUniqueSwap`] if rows exchange unique values that cannot be parked; [`Error::Validation`] if new rows
/// whose keys cannot be known beforehand refer to each other in a circle; [`Error::EntityBorrowed`].
pub(crate) fn plan(
    metadata: &Metadata,
    order: &CommitOrder,
    changes: &ChangeSet,
    facts: &dyn KeyFacts,
) -> Result<Plan, Error> {
    let allocations = keys::allocations(metadata, changes, facts);
    let taken = taken(changes, &allocations);
    let planner = Planner { metadata, order, changes, facts, taken };
    let conflicts = slots::conflicts(metadata, changes)?;
    let statements = if conflicts.is_empty() && changes.keys.is_empty() && !planner.has_circles() {
        planner.by_table()
    } else {
        rows::by_row(&planner, conflicts)?
    };
    Ok(Plan { allocations, statements })
}

/// What planning looks at.
struct Planner<'a> {
    metadata: &'a Metadata,
    order: &'a CommitOrder,
    changes: &'a ChangeSet,
    facts: &'a dyn KeyFacts,
    /// By row: whether its key is taken from the database beforehand; empty if none is.
    taken: Vec<bool>,
}

/// What the rows of one statement have in common; statements are sorted by it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Group {
    phase: Phase,
    /// The rank of the table, or what puts children first.
    rank: usize,
    entity: usize,
    properties: Vec<u16>,
    /// Pivot rows, or a barrier: which.
    link: usize,
    /// Rows that were removed by reference: which.
    removal: Option<usize>,
}

/// In which order statements are sent, where nothing else decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    /// Nothing is sent: what is to be behind it may come.
    Barrier,
    /// What has to come before a row that takes a unique value.
    EarlyClear,
    EarlyUnlink,
    EarlyDelete,
    EarlyUpdate,
    Advance,
    Insert,
    Update,
    Clear,
    Unlink,
    Place,
    Link,
    Delete,
}

/// By row: whether its key is taken beforehand; empty if none is.
fn taken(changes: &ChangeSet, allocations: &[Allocation]) -> Vec<bool> {
    let mut taken = Vec::new();
    if !allocations.is_empty() {
        taken.resize(changes.rows.len(), false);
        for row in allocations.iter().flat_map(|allocation| &allocation.rows) {
            taken[*row] = true;
        }
    }
    taken
}

impl<'a> Planner<'a> {
    fn entity(&self, row: &RowChange) -> &'a EntityDef {
        &self.metadata.entities[row.entity]
    }

    /// Whether the key of a row is taken beforehand.
    fn is_taken(&self, position: usize) -> bool {
        self.taken.get(position).copied().unwrap_or(false)
    }

    /// The columns that a row writes.
    fn properties(&self, position: usize) -> Vec<u16> {
        let row = &self.changes.rows[position];
        let mut properties = row.properties.to_vec();
        if self.is_taken(position)
            && let Some(key) = keys::generated(self.entity(row), row)
        {
            properties.push(key);
            properties.sort_unstable();
        }
        properties
    }

    /// The statement that a row belongs to.
    fn group(&self, position: usize) -> Group {
        let row = &self.changes.rows[position];
        let rank = self.order.rank(row.entity);
        let (phase, rank, properties) = match row.kind {
            ChangeKind::Insert => (Phase::Insert, rank, self.properties(position)),
            ChangeKind::Update => (Phase::Update, rank, row.properties.to_vec()),
            ChangeKind::Delete => (Phase::Delete, usize::MAX - rank, Vec::new()),
        };
        Group { phase, rank, entity: row.entity, properties, link: 0, removal: None }
    }

    /// Whether rows that are inserted or deleted belong to tables that refer to each other in a circle, or to themselves.
    fn has_circles(&self) -> bool {
        let changes = self.changes;
        let rank = |entity: usize| self.order.rank(entity);
        // What a key refers to may be one of the rows that are inserted: one whose key was given by hand.
        let mut given: Option<FxHashSet<(usize, &Key)>> = None;
        changes.rows.iter().filter(|row| self.order.is_circular(row.entity)).any(|row| match row.kind {
            ChangeKind::Insert => row.targets.iter().any(|(property, target)| match target {
                Target::Row(other) => rank(changes.rows[*other].entity) == rank(row.entity),
                Target::Key(key) => {
                    let relation = self.entity(row).relation(usize::from(*property));
                    let given = given.get_or_insert_with(|| changes.given_keys().collect());
                    relation.is_some_and(|relation| {
                        rank(relation.target) == rank(row.entity) && given.contains(&(relation.target, key))
                    })
                }
                Target::Null => false,
            }),
            ChangeKind::Update => false,
            ChangeKind::Delete => self.order.is_shared(row.entity) && !row.previous.is_empty(),
        })
    }

    /// By row: whether its key is known before its statement is sent. One that is made of the keys of other rows is if theirs
    /// are.
    fn known_keys(&self) -> Vec<bool> {
        let changes = self.changes;
        let mut known: Vec<bool> = changes.rows.iter().map(|row| row.key.is_some()).collect();
        let part_is_known = |known: &[bool], position: usize, property: usize| {
            let row = &changes.rows[position];
            let Ok(number) = u16::try_from(property) else { return false };
            if self.entity(row).column(property).is_some() {
                return row.properties.contains(&number)
                    || (self.is_taken(position) && keys::generated(self.entity(row), row) == Some(number));
            }
            match row.target(number) {
                Target::Key(_) => true,
                Target::Row(other) => known[*other],
                Target::Null => false,
            }
        };
        let mut pending: Vec<usize> = (0..known.len()).filter(|position| !known[*position]).collect();
        loop {
            let before = pending.len();
            pending.retain(|position| {
                let key = &self.entity(&changes.rows[*position]).key_properties;
                known[*position] = key.iter().all(|property| part_is_known(&known, *position, *property));
                !known[*position]
            });
            // Every pass goes one relation deeper: keys of keys.
            if pending.len() == before {
                return known;
            }
        }
    }

    /// Orders by tables alone.
    fn by_table(&self) -> Vec<PlannedStatement> {
        let mut runs: Vec<(Group, Vec<usize>)> = Vec::new();
        // Rows of one kind come together: most belong to the group of the one before.
        let mut last: Option<(usize, ChangeKind, *const u16, Vec<usize>)> = None;
        for (position, row) in self.changes.rows.iter().enumerate() {
            let shape = row.properties.as_ptr();
            match &mut last {
                Some((entity, kind, known, rows))
                    if *entity == row.entity
                        && *kind == row.kind
                        && *known == shape
                        && self.is_taken(rows[0]) == self.is_taken(position) =>
                {
                    rows.push(position);
                }
                _ => {
                    if let Some((.., rows)) = last.replace((row.entity, row.kind, shape, vec![position])) {
                        runs.push((self.group(rows[0]), rows));
                    }
                }
            }
        }
        if let Some((.., rows)) = last {
            runs.push((self.group(rows[0]), rows));
        }
        runs.extend(self.pivots().map(|(group, ())| (group, Vec::new())));
        // A sort that keeps the order of what is equal: that of the rows.
        runs.sort_by(|one, two| one.0.cmp(&two.0));
        runs.dedup_by(|next, run| {
            next.0 == run.0 && {
                run.1.append(&mut next.1);
                true
            }
        });
        let mut statements = Vec::with_capacity(runs.len());
        for (group, rows) in runs {
            self.push_statement(group, rows, &mut statements);
        }
        statements
    }

    /// The statements about pivot rows, and about rows that are deleted by their keys.
    fn pivots(&self) -> impl Iterator<Item = (Group, ())> {
        let group = |phase, link| Group { phase, rank: 0, entity: 0, properties: Vec::new(), link, removal: None };
        let clears = (0..self.changes.clears.len()).map(move |clear| group(Phase::Clear, clear));
        let links = self.changes.links.iter().enumerate().flat_map(move |(link, change)| {
            let unlink = (!change.unlinked.is_empty()).then(|| group(Phase::Unlink, link));
            let placed = (!change.placed.is_empty()).then(|| group(Phase::Place, link));
            let linked = (!change.linked.is_empty()).then(|| group(Phase::Link, link));
            unlink.into_iter().chain(placed).chain(linked)
        });
        let removals = self.changes.removals.iter().enumerate().map(|(removal, rows)| {
            let rank = usize::MAX - self.order.rank(rows.entity);
            let (entity, removal) = (rows.entity, Some(removal));
            Group { phase: Phase::Delete, rank, entity, properties: Vec::new(), link: 0, removal }
        });
        clears.chain(links).chain(removals).map(|group| (group, ()))
    }

    /// The statement of a group.
    fn push_statement(&self, group: Group, mut rows: Vec<usize>, statements: &mut Vec<PlannedStatement>) {
        let Group { phase, entity, properties, link, removal, .. } = group;
        if let Some(removal) = removal {
            return statements.push(PlannedStatement::DeleteRows { removal });
        }
        match phase {
            Phase::Barrier => {}
            Phase::Insert => self.push_insert(entity, properties, rows, statements),
            Phase::EarlyUpdate | Phase::Update => {
                self.sort_by_key(&mut rows);
                statements.push(PlannedStatement::Update { entity, properties, rows });
            }
            Phase::Advance => {
                self.sort_by_key(&mut rows);
                statements.push(PlannedStatement::Advance { entity, properties, rows });
            }
            Phase::EarlyDelete | Phase::Delete => {
                self.sort_by_key(&mut rows);
                statements.push(PlannedStatement::Delete { entity, rows });
            }
            Phase::EarlyClear | Phase::Clear => statements.push(PlannedStatement::Clear { clear: link }),
            Phase::EarlyUnlink | Phase::Unlink => statements.push(PlannedStatement::Unlink { link }),
            Phase::Place => statements.push(PlannedStatement::Place { link }),
            Phase::Link => statements.push(PlannedStatement::Link { link }),
        }
    }

    fn push_insert(
        &self,
        entity: usize,
        properties: Vec<u16>,
        mut rows: Vec<usize>,
        statements: &mut Vec<PlannedStatement>,
    ) {
        let definition = &self.metadata.entities[entity];
        let missing = |property: usize| u16::try_from(property).is_ok_and(|number| !properties.contains(&number));
        let returning: Vec<u16> = (0..definition.properties.len())
            .filter(|property| definition.column(*property).is_some() && missing(*property))
            .filter(|property| !definition.key_properties.contains(property))
            .filter_map(|property| u16::try_from(property).ok())
            .collect();
        let makes_keys = definition
            .key_properties
            .iter()
            .any(|property| definition.column(*property).is_some() && missing(*property));
        if makes_keys && rows.len() > 1 && (definition.identity.is_none() || !self.facts.is_ordered(entity)) {
            // Keys without an order cannot be paired with rows by it: one statement a row.
            for row in rows {
                let (properties, returning) = (properties.clone(), returning.clone());
                let rows = vec![row];
                statements.push(PlannedStatement::Insert { entity, properties, returning, rows, makes_keys });
            }
            return;
        }
        if !makes_keys {
            self.sort_by_key(&mut rows);
        }
        statements.push(PlannedStatement::Insert { entity, properties, returning, rows, makes_keys });
    }

    /// Sorts rows by key. Rows whose keys are not known yet stay in the order in which they were persisted, in front.
    fn sort_by_key(&self, rows: &mut [usize]) {
        let rows_by_key = &self.changes.rows;
        if !rows.is_sorted_by(|one, two| rows_by_key[*one].key <= rows_by_key[*two].key) {
            rows.sort_by(|one, two| rows_by_key[*one].key.cmp(&rows_by_key[*two].key));
        }
    }
}

impl PlannedStatement {
    /// Whether all keys that the statement writes are known.
    pub(crate) fn is_ready(&self, changes: &ChangeSet, keys: &[Option<Key>]) -> bool {
        let end_known = |end: &LinkEnd| match end {
            LinkEnd::Key(_) => true,
            LinkEnd::Row(row) => keys[*row].is_some(),
        };
        let pairs_known =
            |pairs: &[(LinkEnd, LinkEnd)]| pairs.iter().all(|(one, two)| end_known(one) && end_known(two));
        let rows_known = |rows: &[usize], properties: &[u16]| {
            let targets = rows.iter().flat_map(|row| &changes.rows[*row].targets);
            targets.into_iter().all(|(property, target)| match target {
                Target::Null | Target::Key(_) => true,
                Target::Row(row) => keys[*row].is_some() || !properties.contains(property),
            })
        };
        match self {
            Self::Insert { rows, properties, .. } | Self::Update { rows, properties, .. } => {
                rows_known(rows, properties)
            }
            Self::Advance { rows, properties, .. } => {
                rows.iter().all(|row| keys[*row].is_some()) && rows_known(rows, properties)
            }
            Self::Link { link } => pairs_known(&changes.links[*link].linked),
            Self::Place { link } => pairs_known(&changes.links[*link].placed),
            Self::Together { parts } => parts.iter().all(|part| part.is_ready(changes, keys)),
            Self::Unlink { .. }
            | Self::Clear { .. }
            | Self::Delete { .. }
            | Self::DeleteRows { .. }
            | Self::Park { .. }
            | Self::ReadBack { .. }
            | Self::Constraints { .. } => true,
        }
    }
}
