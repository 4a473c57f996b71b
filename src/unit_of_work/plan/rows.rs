//! The order of rows, where that of their tables is not enough: circles of tables, self-references, unique values that pass
//! from one row to another (rules C6 to C8).
//!
//! Rows and pivot statements are the nodes of a graph; an edge says what has to be done before what. Statements are made
//! of as many rows as can go together, in the usual order of operations (`queue.rs`). What is left in a circle is resolved in
//! `cycles.rs`.

use rustc_hash::{FxHashMap, FxHashSet};

use super::cycles::unknown_keys;
use super::postponed::Postponed;
use super::queue::Queue;
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
    /// The same, but the key is only known when the first row is inserted; or a pivot row.
    UnknownKey,
    /// A foreign key that is checked at the end of the transaction. Better in this order, but not at any price.
    Deferred,
    /// A key is changed before it is referred to. If it must be, the server changes what referred to it earlier.
    Rekeyed,
    /// A unique value passes on; the position of the constraint.
    Unique(usize),
    /// It probably does. Better in this order, but not at any price.
    Likely(usize),
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Edge {
    pub(super) from: usize,
    pub(super) to: usize,
    pub(super) cause: Cause,
    /// A property of the first row: nothing waits for that row any more as soon as it is NULL.
    pub(super) parks: Option<u16>,
    /// A property of the second row, a new one: it need not wait if that is written behind both.
    pub(super) postpones: Option<u16>,
    /// Whether it still counts.
    pub(super) holds: bool,
}

/// The rows that are left, and what has to come before what.
pub(super) struct Rows<'p, 'a> {
    pub(super) planner: &'p Planner<'a>,
    pub(super) constraints: Vec<Constraint>,
    /// By node: the statement that it is part of. The first nodes are the rows of the change set; behind them come pivot
    /// statements, then barriers.
    pub(super) groups: Vec<Group>,
    pub(super) edges: Vec<Edge>,
    /// By node: positions of the edges that lead away from it.
    pub(super) behind: Vec<Vec<usize>>,
    pub(super) queue: Queue,
    /// Nodes that write a part of a row before the rest of it: which row.
    pub(super) advances: FxHashMap<usize, usize>,
    pub(super) statements: Vec<PlannedStatement>,
    /// References of new rows that are written behind them.
    pub(super) postponed: Postponed,
    /// What writes values again that were parked and have not changed, when everything else has been written.
    pub(super) put_back: Vec<PlannedStatement>,
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
        behind: vec![Vec::new(); nodes],
        queue: Queue::default(),
        advances: FxHashMap::default(),
        statements: Vec::new(),
        postponed: Postponed::new(),
        put_back: Vec::new(),
        deferred: Vec::new(),
    };
    for handover in &conflicts.handovers {
        let constraint = &rows.constraints[handover.constraint];
        // Rather one that is written anyway than one that has to be put back.
        let written = &planner.changes.rows[handover.from].properties;
        let nullable = || constraint.nullable.iter().filter(|_| !constraint.deferrable).copied();
        let parks = nullable().find(|property| written.contains(property)).or_else(|| nullable().next());
        let cause =
            if handover.certain { Cause::Unique(handover.constraint) } else { Cause::Likely(handover.constraint) };
        rows.add(handover.from, handover.to, cause, parks);
    }
    for replaced in &conflicts.replaced {
        let is_removal = |group: &Group| group.removal == Some(replaced.removal);
        if let Some(node) = rows.groups.iter().rposition(is_removal) {
            let constraint = replaced.constraint;
            let cause = if replaced.certain { Cause::Unique(constraint) } else { Cause::Likely(constraint) };
            rows.add(node, replaced.to, cause, None);
        }
    }
    rows.references()?;
    rows.key_changes();
    rows.pivots();
    // Not before: what the others look at are pivot statements.
    rows.barriers(&conflicts.barriers);
    rows.resolve()?;
    rows.bring_forward();
    rows.fill_queue();
    while !rows.queue.is_empty() {
        match rows.queue.next() {
            Some((group, nodes)) => rows.emit(group, nodes),
            None => rows.write_together()?,
        }
    }
    rows.statements.append(&mut rows.put_back);
    rows.write_postponed();
    for (entity, names) in std::mem::take(&mut rows.deferred) {
        rows.statements.push(PlannedStatement::Constraints { entity, names, deferred: false });
    }
    Ok(rows.statements)
}

impl Rows<'_, '_> {
    pub(super) fn add(&mut self, from: usize, to: usize, cause: Cause, parks: Option<u16>) {
        if from != to {
            self.behind[from].push(self.edges.len());
            self.edges.push(Edge { from, to, cause, parks, postpones: None, holds: true });
        }
    }

    /// A new row refers to one whose key is only known when that is inserted.
    fn add_unknown(&mut self, from: usize, to: usize, postpones: Option<u16>) {
        self.add(from, to, Cause::UnknownKey, None);
        if let Some(edge) = self.edges.last_mut() {
            edge.postpones = postpones;
        }
    }

    /// Rows that refer to each other: what is referred to is inserted before, and deleted behind.
    ///
    /// # Errors
    /// [`Error::Validation`] if a new row has to refer to itself and does not know its key.
    fn references(&mut self) -> Result<(), Error> {
        let changes = self.planner.changes;
        let known = self.planner.known_keys();
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
            for (property, target) in &row.targets {
                let Some(relation) = entity.relation(usize::from(*property)) else { continue };
                let cause = if relation.is_deferred() { Cause::Deferred } else { Cause::Reference };
                match target {
                    Target::Row(other) if known[*other] => self.add(*other, position, cause, None),
                    Target::Row(other) => {
                        let is_new = row.kind == ChangeKind::Insert;
                        let postpones = (is_new && relation.meta.nullable).then_some(*property);
                        match postpones {
                            Some(property) if *other == position => self.postpone(position, property),
                            None if *other == position => return Err(unknown_keys([entity])),
                            _ => self.add_unknown(*other, position, postpones),
                        }
                    }
                    Target::Key(key) => {
                        // A row that is inserted may take the key of one whose key is changed; that one is meant.
                        let is_another = changes.keys.row(relation.target, key).is_some();
                        if let (Some(other), false) = (inserted.get(&(relation.target, key)), is_another) {
                            self.add(*other, position, cause, None);
                        }
                    }
                    Target::Null => {}
                }
            }
            for (property, key) in &row.previous {
                let Some(relation) = entity.relation(usize::from(*property)) else { continue };
                if let Some(other) = deleted.get(&(relation.target, key)) {
                    // Only a check can be put off, not what the server does by itself.
                    let is_checked =
                        relation.meta.on_delete.is_none_or(|action| action.eq_ignore_ascii_case("no action"));
                    let cause = if is_checked && relation.is_deferred() { Cause::Deferred } else { Cause::Reference };
                    self.add(position, *other, cause, relation.meta.nullable.then_some(*property));
                }
            }
        }
        Ok(())
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
                        self.add(*row, node, Cause::UnknownKey, None);
                    }
                }
                for &other in &nodes {
                    if !writes_links(self.groups[other].phase) && self.groups[other].removal.is_none() {
                        self.add(other, node, Cause::UnknownKey, None);
                    }
                }
            } else {
                for row in &deleted {
                    self.add(node, *row, Cause::UnknownKey, None);
                }
            }
        }
    }

    /// Rows that are deleted by their keys go behind the rows of tables that refer to theirs, and before the others; and behind
    /// what is unlinked, and what no longer refers to them.
    fn removal(&mut self, node: usize, deleted: &[usize], others: &[usize]) {
        let changes = self.planner.changes;
        let Group { rank, removal, .. } = self.groups[node];
        for other in deleted.iter().chain(others) {
            let group = &self.groups[*other];
            match group.phase {
                Phase::Link | Phase::Place => {}
                Phase::Delete if group.rank == rank => {}
                Phase::Delete if group.rank > rank => self.add(node, *other, Cause::UnknownKey, None),
                _ => self.add(*other, node, Cause::UnknownKey, None),
            }
        }
        let Some(removal) = removal.map(|removal| &changes.removals[removal]) else { return };
        let keys: FxHashSet<&Key> = removal.keys.iter().collect();
        for (position, row) in changes.rows.iter().enumerate().filter(|(_, row)| row.kind == ChangeKind::Update) {
            let relation = |property: u16| self.planner.entity(row).relation(usize::from(property));
            let leaves = row.previous.iter().any(|(property, key)| {
                relation(*property).is_some_and(|relation| relation.target == removal.entity) && keys.contains(key)
            });
            if leaves {
                self.add(position, node, Cause::Reference, None);
            }
        }
    }

    /// What a row waits for that takes a unique value is done early (rule C6).
    fn bring_forward(&mut self) {
        let mut before: Vec<Vec<usize>> = vec![Vec::new(); self.groups.len()];
        let mut stack = Vec::new();
        for edge in self.edges.iter().filter(|edge| edge.holds) {
            before[edge.to].push(edge.from);
            // Rows that are written alike are not put apart: they go one by one, or together.
            if matches!(edge.cause, Cause::Unique(_) | Cause::Likely(_))
                && self.groups[edge.from] != self.groups[edge.to]
            {
                stack.push(edge.from);
            }
        }
        let mut early = vec![false; self.groups.len()];
        while let Some(node) = stack.pop() {
            if !std::mem::replace(&mut early[node], true) {
                stack.extend(&before[node]);
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

    fn fill_queue(&mut self) {
        for group in &self.groups {
            self.queue.add(group);
        }
        for edge in self.edges.iter().filter(|edge| edge.holds) {
            let with = self.goes_together(edge) && self.queue.is_same_group(edge.from, edge.to);
            self.queue.wait(edge.to, edge.from, with);
        }
    }

    /// Whether both ends of an edge may be in one statement, as far as the edge is concerned.
    pub(super) fn goes_together(&self, edge: &Edge) -> bool {
        match edge.cause {
            Cause::Reference | Cause::Deferred => true,
            Cause::Unique(constraint) | Cause::Likely(constraint) => self.constraints[constraint].deferrable,
            Cause::UnknownKey | Cause::Rekeyed => false,
        }
    }

    /// Whether both ends of an edge may be in one statement, and are of the same.
    fn is_with(&self, edge: &Edge) -> bool {
        self.goes_together(edge) && self.queue.is_same_group(edge.from, edge.to)
    }

    /// The row that a node writes, if it is not about pivot rows.
    pub(super) fn row_of(&self, node: usize) -> Option<usize> {
        if node < self.planner.changes.rows.len() { Some(node) } else { self.advances.get(&node).copied() }
    }

    /// Makes a statement of nodes.
    fn emit(&mut self, group: Group, nodes: Vec<usize>) {
        self.finish(&nodes);
        let rows = nodes.into_iter().map(|node| self.row_of(node).unwrap_or(node)).collect();
        self.planner.push_statement(group, rows, &mut self.statements);
    }

    /// Notes that nodes are in a statement.
    pub(super) fn finish(&mut self, nodes: &[usize]) {
        for node in nodes {
            self.queue.finish(*node);
        }
        for node in nodes {
            for edge in &self.behind[*node] {
                let edge = &self.edges[*edge];
                if edge.holds {
                    let with = self.is_with(edge);
                    self.queue.arrive(edge.to, with);
                }
            }
        }
    }
}
