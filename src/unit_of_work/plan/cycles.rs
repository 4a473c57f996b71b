//! Rows that wait for each other in a circle (rules C7, C8): one `WITH`, a value that is parked at NULL, a constraint that is
//! checked later, or an error that names constraint and rows.

use std::collections::BTreeMap;

use rustc_hash::{FxHashMap, FxHashSet};

use super::rows::{Cause, Rows};
use super::{Group, Phase, PlannedStatement};
use crate::error::Error;
use crate::unit_of_work::change_set::ChangeKind;

impl Rows<'_, '_> {
    /// Resolves one circle, so that something becomes ready.
    ///
    /// # Errors
    /// [`Error::UnresolvableUniqueSwap`], or [`Error::Validation`] for new rows whose keys cannot be known beforehand.
    pub(super) fn resolve(&mut self) -> Result<(), Error> {
        let circle = self.circle();
        let inside: Vec<usize> = (0..self.edges.len())
            .filter(|edge| {
                let edge = &self.edges[*edge];
                edge.holds && circle.contains(&edge.from) && circle.contains(&edge.to)
            })
            .collect();
        if self.drop_edges(&inside, |cause| cause == Cause::Likely) {
            return Ok(());
        }
        if inside.iter().all(|edge| self.edges[*edge].cause == Cause::Reference) && self.write_together(&circle) {
            return Ok(());
        }
        if self.park(&inside) || self.defer(&inside) {
            return Ok(());
        }
        Err(self.refusal(&inside))
    }

    /// Rows that wait for each other, and for nothing else (a strongly connected component that nothing outside leads to).
    fn circle(&self) -> FxHashSet<usize> {
        let mut before: FxHashMap<usize, Vec<usize>> = FxHashMap::default();
        let mut behind: FxHashMap<usize, Vec<usize>> = FxHashMap::default();
        for edge in self.edges.iter().filter(|edge| edge.holds && !self.done[edge.from] && !self.done[edge.to]) {
            before.entry(edge.to).or_default().push(edge.from);
            behind.entry(edge.from).or_default().push(edge.to);
        }
        // Everything that is left waits for something that is left: going back from anywhere ends in a circle.
        let Some(mut node) = before.keys().min().copied() else { return FxHashSet::default() };
        loop {
            let reached = reach(node, &before);
            let back = reach(node, &behind);
            match reached.iter().filter(|other| !back.contains(other)).min() {
                Some(other) => node = *other,
                None => return reached,
            }
        }
    }

    /// Forgets edges; whether there were any.
    fn drop_edges(&mut self, inside: &[usize], drops: impl Fn(Cause) -> bool) -> bool {
        let mut dropped = false;
        for edge in inside {
            if drops(self.edges[*edge].cause) {
                self.edges[*edge].holds = false;
                dropped = true;
            }
        }
        dropped
    }

    /// Writes rows that refer to each other in one `WITH`: foreign keys are checked when all of it is done (rule C7).
    fn write_together(&mut self, circle: &FxHashSet<usize>) -> bool {
        let rows = &self.planner.changes.rows;
        let kind = |kind: ChangeKind| circle.iter().all(|node| rows.get(*node).is_some_and(|row| row.kind == kind));
        if !kind(ChangeKind::Insert) && !kind(ChangeKind::Delete) {
            return false;
        }
        let mut groups: BTreeMap<Group, Vec<usize>> = BTreeMap::new();
        let mut nodes: Vec<usize> = circle.iter().copied().collect();
        nodes.sort_unstable();
        for node in nodes {
            groups.entry(self.groups[node].clone()).or_default().push(node);
            self.done[node] = true;
        }
        let mut parts = Vec::new();
        let mut made = Vec::new();
        for (group, nodes) in groups {
            let phase = if group.phase == Phase::EarlyDelete { Phase::Delete } else { group.phase };
            self.planner.push_statement(Group { phase, ..group }, nodes, &mut parts);
        }
        for part in &mut parts {
            if let PlannedStatement::Insert { entity, returning, rows, .. } = part
                && !returning.is_empty()
            {
                let properties = std::mem::take(returning);
                made.push(PlannedStatement::ReadBack { entity: *entity, properties, rows: rows.clone() });
            }
        }
        self.statements.push(PlannedStatement::Together { parts });
        self.statements.extend(made);
        true
    }

    /// Sets unique values that pass on in a circle to NULL first.
    fn park(&mut self, inside: &[usize]) -> bool {
        let mut parked: BTreeMap<(usize, Vec<u16>), Vec<usize>> = BTreeMap::new();
        for edge in inside {
            let edge = &mut self.edges[*edge];
            let Cause::Unique(constraint) = edge.cause else { continue };
            let constraint = &self.constraints[constraint];
            let Some(property) = constraint.nullable.first() else { continue };
            edge.holds = false;
            let rows = parked.entry((constraint.entity, vec![*property])).or_default();
            if !rows.contains(&edge.from) {
                rows.push(edge.from);
            }
        }
        let done = !parked.is_empty();
        for ((entity, properties), mut rows) in parked {
            self.planner.sort_by_key(&mut rows);
            self.statements.push(PlannedStatement::Park { entity, properties, rows });
        }
        done
    }

    /// Has deferrable constraints checked behind the last statement.
    fn defer(&mut self, inside: &[usize]) -> bool {
        let mut deferred: FxHashMap<usize, Vec<String>> = FxHashMap::default();
        let mut constraints = FxHashSet::default();
        for edge in inside {
            if let Cause::Unique(constraint) = self.edges[*edge].cause
                && self.constraints[constraint].deferrable
                && constraints.insert(constraint)
            {
                let constraint = &self.constraints[constraint];
                deferred.entry(constraint.entity).or_default().push(constraint.name.clone());
            }
        }
        for edge in &mut self.edges {
            if matches!(edge.cause, Cause::Unique(constraint) if constraints.contains(&constraint)) {
                edge.holds = false;
            }
        }
        for (entity, names) in deferred {
            let names_again = names.clone();
            self.statements.push(PlannedStatement::Constraints { entity, names, deferred: true });
            self.deferred.push((entity, names_again));
        }
        !constraints.is_empty()
    }

    fn refusal(&self, inside: &[usize]) -> Error {
        let changes = self.planner.changes;
        let named = |node: usize| {
            let row = &changes.rows[node];
            let name = self.planner.entity(row).meta.name;
            match &row.key {
                Some(key) if row.kind != ChangeKind::Insert => format!("{name}#{key}"),
                _ => format!("{name} (new)"),
            }
        };
        let swap = inside.iter().find_map(|edge| match self.edges[*edge].cause {
            Cause::Unique(constraint) => Some((constraint, self.edges[*edge])),
            _ => None,
        });
        if let Some((constraint, edge)) = swap {
            let entities = vec![named(edge.from), named(edge.to)];
            let constraint = self.constraints[constraint].name.clone();
            return Error::UnresolvableUniqueSwap { constraint, entities };
        }
        let entity = inside.first().and_then(|edge| changes.rows.get(self.edges[*edge].to));
        let entity = entity.map_or("", |row| self.planner.entity(row).meta.name);
        let message = format!(
            "new entities refer to each other in a circle (through {entity}), and their keys cannot be known before they \
             are inserted: grant USAGE on the sequences of their keys, or flush one of them before it refers to the others"
        );
        Error::validation(entity, message)
    }
}

/// What can be reached from a node; itself only if it is in a circle.
fn reach(node: usize, edges: &FxHashMap<usize, Vec<usize>>) -> FxHashSet<usize> {
    let mut reached = FxHashSet::default();
    let mut stack = vec![node];
    while let Some(next) = stack.pop() {
        stack.extend(edges.get(&next).into_iter().flatten().copied().filter(|other| reached.insert(*other)));
    }
    reached
}
