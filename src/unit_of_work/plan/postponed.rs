//! References of new rows that are written behind them: where keys cannot be taken beforehand, one row of a circle has to be
//! inserted without what it refers to (rule C7).
//!
//! Only references that may be NULL, and few of them, by a greedy choice: the other rows are inserted level by level.

use std::collections::{BTreeMap, BTreeSet};

use super::PlannedStatement;
use super::rows::Rows;

/// Entity and property, and the rows.
pub(super) type Postponed = BTreeMap<(usize, u16), BTreeSet<usize>>;

/// What a row of a circle waits for inside of it.
#[derive(Default)]
struct Waiting {
    /// Edges that lead to it.
    edges: Vec<usize>,
    left: usize,
    /// How many of those that are left cannot be postponed.
    firm: usize,
}

impl Rows<'_, '_> {
    /// Has a reference of a new row written behind it.
    pub(super) fn postpone(&mut self, row: usize, property: u16) {
        let entity = self.planner.changes.rows[row].entity;
        self.groups[row].properties.retain(|written| *written != property);
        self.postponed.entry((entity, property)).or_default().insert(row);
    }

    /// Puts the rows of a circle in an order, as far as there is one that needs nothing but references that may be written later: the
    /// next is one that waits for nothing more, or else the first that waits for nothing else. Whether that has eased anything.
    pub(super) fn postpone_some(&mut self, circle: &[usize]) -> bool {
        let mut nodes: BTreeMap<usize, Waiting> = BTreeMap::new();
        let mut ahead: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for position in circle.iter().copied().filter(|edge| self.edges[*edge].holds) {
            let edge = self.edges[position];
            ahead.entry(edge.from).or_default().push(position);
            let waiting = nodes.entry(edge.to).or_default();
            waiting.edges.push(position);
            waiting.left += 1;
            waiting.firm += usize::from(edge.postpones.is_none());
        }
        let mut free: Vec<usize> = Vec::new();
        let mut loose: BTreeSet<usize> =
            nodes.iter().filter(|(_, waiting)| waiting.firm == 0).map(|(node, _)| *node).collect();
        let mut done = BTreeSet::new();
        let mut has_eased = false;
        while let Some(node) = free.pop().or_else(|| loose.pop_first()) {
            if !done.insert(node) {
                continue;
            }
            for position in nodes.get(&node).map(|waiting| waiting.edges.as_slice()).unwrap_or_default() {
                let edge = self.edges[*position];
                if let (Some(property), false) = (edge.postpones, done.contains(&edge.from)) {
                    self.edges[*position].holds = false;
                    self.postpone(node, property);
                    has_eased = true;
                }
            }
            for position in ahead.get(&node).into_iter().flatten() {
                let edge = self.edges[*position];
                let Some(waiting) = nodes.get_mut(&edge.to).filter(|_| !done.contains(&edge.to)) else { continue };
                waiting.left -= 1;
                waiting.firm -= usize::from(edge.postpones.is_none());
                if waiting.left == 0 {
                    free.push(edge.to);
                } else if waiting.firm == 0 {
                    loose.insert(edge.to);
                }
            }
        }
        has_eased
    }

    /// Writes what was postponed, when every row is there.
    pub(super) fn write_postponed(&mut self) {
        for ((entity, property), rows) in std::mem::take(&mut self.postponed) {
            let mut rows: Vec<usize> = rows.into_iter().collect();
            self.planner.sort_by_key(&mut rows);
            self.statements.push(PlannedStatement::Advance { entity, properties: vec![property], rows });
        }
    }
}
