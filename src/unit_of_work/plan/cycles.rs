//! Rows that wait for each other in a circle (rules C7, C8): a constraint that is checked later, a value that is parked at
//! NULL, an update that is written in two parts, a reference that is written behind the row (`postponed.rs`), one `WITH`, or an error
//! that names constraint and rows.

use std::collections::{BTreeMap, BTreeSet};

use rustc_hash::{FxHashMap, FxHashSet};

use super::rows::{Cause, Edge, Rows};
use super::{Group, Phase, PlannedStatement};
use crate::error::Error;
use crate::metadata::EntityDef;
use crate::unit_of_work::change_set::ChangeKind;

/// What is to be parked: entity and property, and the rows.
type Parked = BTreeMap<(usize, u16), BTreeSet<usize>>;

impl Rows<'_, '_> {
    /// Resolves all circles but those of rows that can be written together.
    ///
    /// # Errors
    /// [`Error::UnresolvableUniqueSwap`], or [`Error::Validation`] for new rows whose keys cannot be known beforehand.
    pub(super) fn resolve(&mut self) -> Result<(), Error> {
        let mut parked = Parked::new();
        loop {
            let mut is_eased = false;
            for circle in self.circles() {
                if self.is_one_statement(&circle) || self.goes_together_as(&circle).is_some() {
                    continue;
                }
                // What was done about another one may have broken it.
                let is_broken = circle.iter().any(|edge| !self.edges[*edge].holds);
                let eased = is_broken
                    || self.lift_barriers(&circle)
                    || self.defer(&circle)
                        | self.park(&circle, &mut parked, |cause| matches!(cause, Cause::Unique(_) | Cause::Likely(_)))
                    || self.give_up(&circle, |cause| matches!(cause, Cause::Deferred | Cause::Rekeyed))
                    || self.park(&circle, &mut parked, |cause| cause == Cause::Reference)
                    || self.give_up(&circle, |cause| matches!(cause, Cause::Likely(_)))
                    || self.advance(&circle)
                    || self.postpone_some(&circle);
                if !eased {
                    return Err(self.refusal(&circle));
                }
                is_eased = true;
            }
            if !is_eased {
                break;
            }
        }
        for ((entity, property), rows) in parked {
            self.write_parked(entity, property, rows.into_iter().collect());
        }
        Ok(())
    }

    /// Whether the rows of a circle are written by one statement of the usual kind.
    fn is_one_statement(&self, circle: &[usize]) -> bool {
        let mut edges = circle.iter().map(|edge| &self.edges[*edge]);
        edges.all(|edge| self.goes_together(edge) && self.groups[edge.from] == self.groups[edge.to])
    }

    /// The kind of the rows of a circle, if they can be written in one statement.
    fn goes_together_as(&self, circle: &[usize]) -> Option<ChangeKind> {
        let mut edges = circle.iter().map(|edge| &self.edges[*edge]);
        let kind = self.kind_of(edges.clone().next()?.from)?;
        let all = edges.all(|edge| is_reference(edge) && self.kind_of(edge.from) == Some(kind));
        (all && kind != ChangeKind::Update).then_some(kind)
    }

    fn write_parked(&mut self, entity: usize, property: u16, mut rows: Vec<usize>) {
        let changes = self.planner.changes;
        self.planner.sort_by_key(&mut rows);
        let is_unwritten = |row: &usize| {
            let row = &changes.rows[*row];
            row.kind == ChangeKind::Update && !row.properties.contains(&property)
        };
        let unwritten: Vec<usize> = rows.iter().copied().filter(is_unwritten).collect();
        if !unwritten.is_empty() {
            self.put_back.push(PlannedStatement::Advance { entity, properties: vec![property], rows: unwritten });
        }
        self.statements.push(PlannedStatement::Park { entity, properties: vec![property], rows });
    }

    fn kind_of(&self, node: usize) -> Option<ChangeKind> {
        self.planner.changes.rows.get(node).map(|row| row.kind)
    }

    /// The edges that still count.
    fn left(&self, node: usize) -> impl Iterator<Item = (usize, &Edge)> {
        let edges = self.behind[node].iter().map(|edge| (*edge, &self.edges[*edge]));
        edges.filter(|(_, edge)| edge.holds && !self.queue.is_done(edge.from) && !self.queue.is_done(edge.to))
    }

    /// The rows that wait for each other (the strongly connected components of what is left, by Tarjan's algorithm without
    /// recursion, for chains may be long): the edges of each circle.
    fn circles(&self) -> Vec<Vec<usize>> {
        const NEW: usize = usize::MAX;
        let (mut index, mut low) = (vec![NEW; self.groups.len()], vec![NEW; self.groups.len()]);
        let mut on_stack = vec![false; self.groups.len()];
        let (mut stack, mut next) = (Vec::new(), 0);
        let mut circle_of: FxHashMap<usize, usize> = FxHashMap::default();
        let mut circles: Vec<Vec<usize>> = Vec::new();
        for start in (0..self.groups.len()).filter(|node| !self.queue.is_done(*node)) {
            // Nodes that are being visited, with what is left to look at from each.
            let mut path: Vec<(usize, Vec<usize>)> = Vec::new();
            let mut enter = (index[start] == NEW).then_some(start);
            loop {
                if let Some(node) = enter.take() {
                    (index[node], low[node], on_stack[node]) = (next, next, true);
                    next += 1;
                    stack.push(node);
                    path.push((node, self.left(node).map(|(_, edge)| edge.to).collect()));
                }
                let Some((node, targets)) = path.last_mut() else { break };
                let node = *node;
                match targets.pop() {
                    Some(target) if index[target] == NEW => enter = Some(target),
                    Some(target) if on_stack[target] => low[node] = low[node].min(index[target]),
                    Some(_) => {}
                    None => {
                        path.pop();
                        if let Some((parent, _)) = path.last() {
                            low[*parent] = low[*parent].min(low[node]);
                        }
                        if low[node] == index[node] {
                            let from = stack.iter().rposition(|member| *member == node).unwrap_or_default();
                            let members = stack.split_off(from);
                            members.iter().for_each(|member| on_stack[*member] = false);
                            if members.len() > 1 {
                                circle_of.extend(members.iter().map(|member| (*member, circles.len())));
                                circles.push(members);
                            }
                        }
                    }
                }
            }
        }
        let inside = |members: Vec<usize>| {
            let edges = members.iter().flat_map(|member| self.left(*member));
            let inside = edges.filter(|(_, edge)| circle_of.get(&edge.from) == circle_of.get(&edge.to));
            inside.map(|(position, _)| position).collect()
        };
        circles.into_iter().map(inside).collect()
    }

    /// Has deferrable constraints checked behind the last statement.
    fn defer(&mut self, circle: &[usize]) -> bool {
        let mut constraints = BTreeSet::new();
        for edge in circle.iter().map(|edge| &self.edges[*edge]).filter(|edge| edge.holds) {
            if let Cause::Unique(constraint) | Cause::Likely(constraint) = edge.cause
                && self.constraints[constraint].deferrable
            {
                constraints.insert(constraint);
            }
        }
        if constraints.is_empty() {
            return false;
        }
        for edge in 0..self.edges.len() {
            if let Cause::Unique(constraint) | Cause::Likely(constraint) = self.edges[edge].cause
                && constraints.contains(&constraint)
            {
                self.edges[edge].holds = false;
            }
        }
        let mut deferred: BTreeMap<usize, Vec<String>> = BTreeMap::new();
        for constraint in &constraints {
            let constraint = &self.constraints[*constraint];
            deferred.entry(constraint.entity).or_default().push(constraint.name.clone());
        }
        for (entity, names) in deferred {
            self.deferred.push((entity, names.clone()));
            self.statements.push(PlannedStatement::Constraints { entity, names, deferred: true });
        }
        true
    }

    /// Sets to NULL first what others wait for, where it may be NULL.
    fn park(&mut self, circle: &[usize], parked: &mut Parked, parks: impl Fn(Cause) -> bool) -> bool {
        let mut done = false;
        for position in circle {
            let edge = self.edges[*position];
            let (Some(property), true) = (edge.parks, edge.holds && parks(edge.cause)) else { continue };
            let Some(row) = self.planner.changes.rows.get(edge.from) else { continue };
            parked.entry((row.entity, property)).or_default().insert(edge.from);
            self.edges[*position].holds = false;
            done = true;
        }
        done
    }

    /// Does without an order that would be better.
    fn give_up(&mut self, circle: &[usize], is_dispensable: impl Fn(Cause) -> bool) -> bool {
        let mut done = false;
        for edge in circle {
            let edge = &mut self.edges[*edge];
            if edge.holds && is_dispensable(edge.cause) {
                edge.holds = false;
                done = true;
            }
        }
        done
    }

    /// Writes the unique values of a row in advance that is updated and waits for something else than unique values.
    fn advance(&mut self, circle: &[usize]) -> bool {
        let changes = self.planner.changes;
        let mut parts: BTreeMap<usize, BTreeSet<usize>> = BTreeMap::new();
        for edge in circle.iter().map(|edge| &self.edges[*edge]) {
            if let Cause::Unique(constraint) = edge.cause
                && self.kind_of(edge.from) == Some(ChangeKind::Update)
            {
                parts.entry(edge.from).or_default().insert(constraint);
            }
        }
        // Where unique values are all that it waits for, it would have to wait for them just the same.
        let others =
            circle.iter().map(|edge| &self.edges[*edge]).filter(|edge| !matches!(edge.cause, Cause::Unique(_)));
        let waits: FxHashSet<usize> = others.map(|edge| edge.to).collect();
        let mut leading: FxHashMap<usize, Vec<usize>> = FxHashMap::default();
        for (position, edge) in
            self.edges.iter().enumerate().filter(|(_, edge)| edge.holds && parts.contains_key(&edge.to))
        {
            leading.entry(edge.to).or_default().push(position);
        }
        let mut done = false;
        for (row, constraints) in parts.into_iter().filter(|(row, _)| waits.contains(row)) {
            let written = &changes.rows[row].properties;
            let of_constraint = |constraint: &usize| self.constraints[*constraint].properties.iter().copied();
            let mut properties: Vec<u16> = constraints.iter().flat_map(of_constraint).collect();
            properties.retain(|property| written.contains(property));
            properties.sort_unstable();
            properties.dedup();
            let entity = self.planner.entity(&changes.rows[row]);
            if properties.iter().all(|property| entity.column(usize::from(*property)).is_some()) {
                self.split(row, properties, &constraints, leading.remove(&row).unwrap_or_default());
                done = true;
            }
        }
        done
    }

    /// Makes a node of its own of the part of a row that these constraints are about; `leading` are the edges that lead to the row.
    fn split(&mut self, row: usize, properties: Vec<u16>, constraints: &BTreeSet<usize>, leading: Vec<usize>) {
        let node = self.groups.len();
        let group = Group { phase: Phase::Advance, properties, ..self.groups[row].clone() };
        self.groups.push(group);
        self.behind.push(Vec::new());
        self.advances.insert(node, row);
        let is_passed = |edge: &Edge| match edge.cause {
            Cause::Unique(constraint) | Cause::Likely(constraint) => edge.holds && constraints.contains(&constraint),
            _ => false,
        };
        for position in self.behind[row].clone() {
            let edge = self.edges[position];
            if is_passed(&edge) {
                self.edges[position].holds = false;
                self.add(node, edge.to, edge.cause, None);
            }
        }
        for position in leading {
            let edge = self.edges[position];
            if is_passed(&edge) {
                self.add(edge.from, node, edge.cause, None);
            }
        }
        self.add(node, row, Cause::UnknownKey, None);
    }

    /// Writes rows that refer to each other in one `WITH`: foreign keys are checked when all of it is done (rule C7). It takes
    /// every circle of one kind that waits for nothing else, and what lies between them.
    ///
    /// # Errors
    /// If there is no such circle. [`resolve`](Self::resolve) has left no others.
    pub(super) fn write_together(&mut self) -> Result<(), Error> {
        let circles = self.circles();
        let of_kind = |kind| {
            let possible = self.possible(kind);
            let edges = circles.iter().filter(|circle| self.goes_together_as(circle) == Some(kind)).flatten();
            let nodes = edges.map(|edge| self.edges[*edge].from).filter(|node| possible.contains(node));
            let seeds: Vec<usize> = nodes.collect();
            (!seeds.is_empty()).then_some((possible, seeds))
        };
        let Some((possible, seeds)) = [ChangeKind::Insert, ChangeKind::Delete].into_iter().find_map(of_kind) else {
            return Err(self.refusal(circles.first().map_or(&[], Vec::as_slice)));
        };
        let mut ahead: FxHashMap<usize, Vec<usize>> = FxHashMap::default();
        let mut back: FxHashMap<usize, Vec<usize>> = FxHashMap::default();
        for (_, edge) in
            possible.iter().flat_map(|node| self.left(*node)).filter(|(_, edge)| possible.contains(&edge.to))
        {
            ahead.entry(edge.from).or_default().push(edge.to);
            back.entry(edge.to).or_default().push(edge.from);
        }
        let (ahead, back) = (reach(&seeds, &ahead), reach(&seeds, &back));
        let nodes: BTreeSet<usize> = ahead.intersection(&back).copied().collect();
        let nodes: Vec<usize> = nodes.into_iter().collect();
        self.finish(&nodes);
        let mut groups: BTreeMap<Group, Vec<usize>> = BTreeMap::new();
        for node in nodes {
            groups.entry(self.groups[node].clone()).or_default().push(node);
        }
        let (mut parts, mut made) = (Vec::new(), Vec::new());
        for (group, nodes) in groups {
            self.planner.push_statement(group, nodes, &mut parts);
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
        Ok(())
    }

    /// The rows of a kind that could be written in one statement now: they wait for nothing, or refer to each other.
    fn possible(&self, kind: ChangeKind) -> FxHashSet<usize> {
        let is_left = |node: usize| self.kind_of(node) == Some(kind) && !self.queue.is_done(node);
        let mut possible: FxHashSet<usize> = (0..self.groups.len()).filter(|node| is_left(*node)).collect();
        let nodes = (0..self.groups.len()).filter(|node| !self.queue.is_done(*node));
        let others = nodes
            .flat_map(|node| self.left(node))
            .filter(|(_, edge)| possible.contains(&edge.to) && !(possible.contains(&edge.from) && is_reference(edge)));
        let mut stack: Vec<usize> = others.map(|(_, edge)| edge.to).collect();
        while let Some(node) = stack.pop() {
            if possible.remove(&node) {
                stack.extend(self.left(node).map(|(_, edge)| edge.to));
            }
        }
        possible
    }

    fn refusal(&self, circle: &[usize]) -> Error {
        let changes = self.planner.changes;
        let row = |node: usize| self.row_of(node).map(|row| &changes.rows[row]);
        let named = |node: usize| {
            let row = row(node)?;
            let name = self.planner.entity(row).meta.name;
            Some(match &row.key {
                Some(key) if row.kind != ChangeKind::Insert => format!("{name}#{key}"),
                _ => format!("{name} (new)"),
            })
        };
        let swap = circle.iter().map(|edge| &self.edges[*edge]).find_map(|edge| match edge.cause {
            Cause::Unique(constraint) => Some((constraint, edge)),
            _ => None,
        });
        if let Some((constraint, edge)) = swap {
            let entities = [edge.from, edge.to].into_iter().filter_map(named).collect();
            return Error::UnresolvableUniqueSwap { constraint: self.constraints[constraint].name.clone(), entities };
        }
        let nodes = || circle.iter().map(|edge| self.edges[*edge].from);
        if let Some(rekeyed) = nodes().find(|node| row(*node).is_some_and(|row| !row.new_key.is_empty())) {
            let others: Vec<String> = nodes().filter(|node| *node != rekeyed).filter_map(named).collect();
            let (name, others) = (named(rekeyed).unwrap_or_default(), others.join(", "));
            let message = format!(
                "the key of {name} was changed, and {others} would have to be written both before and behind it: flush one \
                 of the changes first, or let the foreign keys follow (on_update = \"cascade\")"
            );
            return Error::validation(row(rekeyed).map_or("", |row| self.planner.entity(row).meta.name), message);
        }
        let rows = circle.iter().filter_map(|edge| row(self.edges[*edge].from));
        unknown_keys(rows.map(|row| self.planner.entity(row)))
    }
}

/// New rows need keys of each other that are only made when they are inserted.
pub(super) fn unknown_keys<'e>(entities: impl IntoIterator<Item = &'e EntityDef>) -> Error {
    let entities: BTreeMap<&str, _> = entities.into_iter().map(|entity| (entity.meta.name, entity)).collect();
    let names: Vec<&str> = entities.keys().copied().collect();
    let sequences = entities.values().filter_map(|entity| {
        let column = entity.column(entity.identity?)?;
        Some(format!("{}.{}", entity.table, column.name))
    });
    let sequences: Vec<String> = sequences.collect();
    let message = format!(
        "new entities refer to each other in a circle (through {}), and their keys cannot be known before they are \
         inserted: grant USAGE on the sequences of {}, make one of the relations optional, or flush one of them before it \
         refers to the others",
        names.join(", "),
        if sequences.is_empty() { "their keys".to_owned() } else { sequences.join(", ") },
    );
    Error::validation(names.first().copied().unwrap_or_default(), message)
}

/// Whether both rows may be in one statement, of whatever tables.
fn is_reference(edge: &Edge) -> bool {
    matches!(edge.cause, Cause::Reference | Cause::Deferred)
}

/// What can be reached from nodes, these included.
fn reach(from: &[usize], edges: &FxHashMap<usize, Vec<usize>>) -> FxHashSet<usize> {
    let mut reached: FxHashSet<usize> = from.iter().copied().collect();
    let mut stack = from.to_vec();
    while let Some(next) = stack.pop() {
        stack.extend(edges.get(&next).into_iter().flatten().copied().filter(|other| reached.insert(*other)));
    }
    reached
}
