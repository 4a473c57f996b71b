//! The order of rows, where that of their tables is not enough: circles of tables, self-references, unique values that pass
//! from one row to another (rules C6 to C8).
//!
//! Rows and pivot statements are the nodes of a graph; an edge says what has to be done before what. Statements are made
//! of as many rows as can go together, in the usual order of operations (Kahn's algorithm, "Topological sorting of large
//! networks", 1962, on groups of nodes). What is left in a circle is resolved in `cycles.rs`.

use std::collections::BTreeMap;

use rustc_hash::FxHashMap;

use super::slots::{Conflicts, Constraint};
use super::{Group, Phase, PlannedStatement, Planner};
use crate::error::Error;
use crate::metadata::EntityDef;
use crate::types::Key;
use crate::unit_of_work::change_set::{ChangeKind, LinkEnd, Target};

/// Why one node comes before another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    /// A foreign key: it is checked at the end of the statement, so both rows may be in one.
    Reference,
    /// The same, but the key is only known when the first row is inserted.
    UnknownKey,
    /// A unique value passes on; the position of the constraint.
    Unique(usize),
    /// It probably does. Better in this order, but not at any price.
    Likely,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Edge {
    pub(super) from: usize,
    pub(super) to: usize,
    pub(super) cause: Cause,
    /// Whether it still counts.
    pub(super) holds: bool,
}

/// The rows that are left, and what has to come before what.
pub(super) struct Rows<'p, 'a> {
    pub(super) planner: &'p Planner<'a>,
    pub(super) constraints: Vec<Constraint>,
    /// By node: the statement that it would be part of.
    pub(super) groups: Vec<Group>,
    pub(super) edges: Vec<Edge>,
    /// By node: positions of the edges that lead to it.
    pub(super) before: Vec<Vec<usize>>,
    pub(super) done: Vec<bool>,
    pub(super) statements: Vec<PlannedStatement>,
    /// Constraints to be checked again when everything has been written.
    pub(super) deferred: Vec<(usize, Vec<String>)>,
}

/// Orders row by row.
///
/// # Errors
/// As [`plan`](super::plan()).
pub(super) fn by_row(planner: &Planner<'_>, conflicts: Conflicts) -> Result<Vec<PlannedStatement>, Error> {
    let mut groups: Vec<Group> = (0..planner.changes.rows.len()).map(|position| planner.group(position)).collect();
    groups.extend(planner.pivots().map(|(group, ())| group));
    let nodes = groups.len();
    let mut rows = Rows {
        planner,
        constraints: conflicts.constraints,
        groups,
        edges: Vec::new(),
        before: vec![Vec::new(); nodes],
        done: vec![false; nodes],
        statements: Vec::new(),
        deferred: Vec::new(),
    };
    for handover in &conflicts.handovers {
        let cause = if handover.certain { Cause::Unique(handover.constraint) } else { Cause::Likely };
        rows.add(handover.from, handover.to, cause);
    }
    let passing = rows.edges.len();
    rows.references();
    rows.pivots();
    rows.bring_forward(passing);
    while let Some(group) = rows.next_group()? {
        rows.emit(&group.0, group.1);
    }
    for (entity, names) in std::mem::take(&mut rows.deferred) {
        rows.statements.push(PlannedStatement::Constraints { entity, names, deferred: false });
    }
    Ok(rows.statements)
}

impl Rows<'_, '_> {
    fn add(&mut self, from: usize, to: usize, cause: Cause) {
        if from != to {
            self.before[to].push(self.edges.len());
            self.edges.push(Edge { from, to, cause, holds: true });
        }
    }

    /// Rows that refer to each other: what is referred to is inserted before, and deleted behind.
    fn references(&mut self) {
        let changes = self.planner.changes;
        let mut deleted: FxHashMap<(usize, &Key), usize> = FxHashMap::default();
        let mut inserted: FxHashMap<(usize, &Key), usize> = FxHashMap::default();
        for (position, row) in changes.rows.iter().enumerate() {
            match (&row.key, row.kind) {
                (Some(key), ChangeKind::Delete) => drop(deleted.insert((row.entity, key), position)),
                (Some(key), ChangeKind::Insert) => drop(inserted.insert((row.entity, key), position)),
                _ => {}
            }
        }
        for (position, row) in changes.rows.iter().enumerate() {
            let entity: &EntityDef = self.planner.entity(row);
            let target_of = |property: u16| entity.relation(usize::from(property)).map(|relation| relation.target);
            for (property, target) in &row.targets {
                match target {
                    Target::Row(other) => {
                        let known = changes.rows[*other].key.is_some() || self.planner.is_taken(*other);
                        let cause = if known { Cause::Reference } else { Cause::UnknownKey };
                        self.add(*other, position, cause);
                    }
                    Target::Key(key) => {
                        let other = target_of(*property).and_then(|target| inserted.get(&(target, key)));
                        if let Some(other) = other {
                            self.add(*other, position, Cause::Reference);
                        }
                    }
                    Target::Null => {}
                }
            }
            for (property, key) in &row.previous {
                if let Some(other) = target_of(*property).and_then(|target| deleted.get(&(target, key))) {
                    self.add(position, *other, Cause::Reference);
                }
            }
        }
    }

    /// Pivot rows are written behind what they refer to, and deleted before it; what is unlinked goes before what is linked.
    /// Rows that are deleted by their keys have the place that their table has among those that are deleted.
    fn pivots(&mut self) {
        let changes = self.planner.changes;
        let deleted: Vec<usize> =
            (0..changes.rows.len()).filter(|position| changes.rows[*position].kind == ChangeKind::Delete).collect();
        let nodes: Vec<usize> = (changes.rows.len()..self.groups.len()).collect();
        let writes_links = |phase| matches!(phase, Phase::Link | Phase::Place);
        for &node in &nodes {
            let (phase, link) = (self.groups[node].phase, self.groups[node].link);
            if self.groups[node].removal.is_some() {
                self.removal(node, &deleted, &nodes);
            } else if writes_links(phase) {
                let pairs =
                    if phase == Phase::Link { &changes.links[link].linked } else { &changes.links[link].placed };
                for end in pairs.iter().flat_map(|(one, two)| [one, two]) {
                    if let LinkEnd::Row(row) = end {
                        self.add(*row, node, Cause::UnknownKey);
                    }
                }
                for &other in &nodes {
                    if !writes_links(self.groups[other].phase) && self.groups[other].removal.is_none() {
                        self.add(other, node, Cause::UnknownKey);
                    }
                }
            } else {
                for row in &deleted {
                    self.add(node, *row, Cause::UnknownKey);
                }
            }
        }
    }

    /// Rows that are deleted by their keys go behind the rows of tables that refer to theirs, and before the others.
    fn removal(&mut self, node: usize, deleted: &[usize], others: &[usize]) {
        let rank = self.groups[node].rank;
        for other in deleted.iter().chain(others) {
            let group = &self.groups[*other];
            let is_deleted = group.phase == Phase::Delete;
            if !is_deleted || group.rank < rank {
                self.add(*other, node, Cause::UnknownKey);
            } else if group.rank > rank {
                self.add(node, *other, Cause::UnknownKey);
            }
        }
    }

    /// What a row waits for that takes a unique value is done early (rule C6).
    fn bring_forward(&mut self, passing: usize) {
        let mut early = vec![false; self.groups.len()];
        let mut stack: Vec<usize> = self.edges[..passing].iter().map(|edge| edge.from).collect();
        while let Some(node) = stack.pop() {
            if !std::mem::replace(&mut early[node], true) {
                stack.extend(self.before[node].iter().map(|edge| self.edges[*edge].from));
            }
        }
        for (node, early) in early.into_iter().enumerate() {
            let phase = &mut self.groups[node].phase;
            if early {
                *phase = match *phase {
                    Phase::Clear => Phase::EarlyClear,
                    Phase::Unlink => Phase::EarlyUnlink,
                    Phase::Delete => Phase::EarlyDelete,
                    Phase::Update => Phase::EarlyUpdate,
                    other => other,
                };
            }
        }
    }

    /// The next statement: the first, in the usual order, that some of its rows are ready for. `None` when all is done.
    fn next_group(&mut self) -> Result<Option<(Group, Vec<usize>)>, Error> {
        loop {
            let mut left: BTreeMap<&Group, Vec<usize>> = BTreeMap::new();
            for (node, group) in self.groups.iter().enumerate().filter(|(node, _)| !self.done[*node]) {
                left.entry(group).or_default().push(node);
            }
            if left.is_empty() {
                return Ok(None);
            }
            let ready = left.into_iter().find_map(|(group, nodes)| {
                let ready = self.ready(&nodes);
                (!ready.is_empty()).then(|| (group.clone(), ready))
            });
            if ready.is_some() {
                return Ok(ready);
            }
            self.resolve()?;
        }
    }

    /// The most nodes of a group that can be written now: what each waits for is done, or goes with it where that is allowed.
    fn ready(&self, nodes: &[usize]) -> Vec<usize> {
        let mut together = vec![false; self.groups.len()];
        for node in nodes {
            together[*node] = true;
        }
        loop {
            let mut changed = false;
            for node in nodes {
                let waits = together[*node]
                    && self.before[*node].iter().map(|edge| &self.edges[*edge]).any(|edge| {
                        edge.holds && !self.done[edge.from] && !(together[edge.from] && self.goes_together(edge))
                    });
                if waits {
                    together[*node] = false;
                    changed = true;
                }
            }
            if !changed {
                return nodes.iter().copied().filter(|node| together[*node]).collect();
            }
        }
    }

    /// Whether both ends of an edge may be in one statement.
    fn goes_together(&self, edge: &Edge) -> bool {
        match edge.cause {
            Cause::Reference => true,
            Cause::Unique(constraint) => self.constraints[constraint].deferrable,
            Cause::UnknownKey | Cause::Likely => false,
        }
    }

    fn emit(&mut self, group: &Group, nodes: Vec<usize>) {
        for node in &nodes {
            self.done[*node] = true;
        }
        self.planner.push_statement(group.clone(), nodes, &mut self.statements);
    }
}
