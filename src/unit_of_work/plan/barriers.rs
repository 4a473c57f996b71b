//! Unique indexes whose values are made by expressions (rules C6, C8): what the server makes of the columns is not known here, so
//! rows that may let go of a value come before all rows that may take one, where nothing speaks against it.
//!
//! An edge from each of the ones to each of the others would be too many: between them stands a node that is no statement. What
//! surely, or probably, is the same value has edges of its own. The same goes for many rows that have the same values under a condition
//! that is not understood.

use super::rows::{Cause, Rows};
use super::slots::Holding;
use super::{Group, Phase};
use crate::unit_of_work::change_set::ChangeKind;

/// Rows that come before others because of what they may let go of.
#[derive(Debug)]
pub(super) struct Barrier {
    /// Position among the constraints.
    constraint: usize,
    before: Vec<usize>,
    behind: Vec<usize>,
}

/// The rows that may let go of a value of an index, or take one.
#[derive(Default)]
pub(super) struct Passing {
    deleted: Vec<usize>,
    releasing: Vec<usize>,
    taking: Vec<usize>,
    inserted: Vec<usize>,
}

impl Passing {
    /// Takes note of what a row has and gets, as far as that is known.
    pub(super) fn note(&mut self, row: usize, kind: ChangeKind, old: &Holding, new: &Holding) {
        if *old != Holding::Nothing {
            self.gives(row, kind);
        }
        if *new != Holding::Nothing {
            self.takes(row, kind);
        }
    }

    /// Takes note of a row that may let go of a value.
    pub(super) fn gives(&mut self, row: usize, kind: ChangeKind) {
        match kind {
            ChangeKind::Delete => self.deleted.push(row),
            ChangeKind::Update => self.releasing.push(row),
            ChangeKind::Insert => {}
        }
    }

    /// Takes note of a row that may take a value.
    pub(super) fn takes(&mut self, row: usize, kind: ChangeKind) {
        match kind {
            ChangeKind::Insert => self.inserted.push(row),
            ChangeKind::Update => self.taking.push(row),
            ChangeKind::Delete => {}
        }
    }

    /// What is deleted comes before what is updated and inserted; what is updated before what is inserted.
    pub(super) fn barriers(self, constraint: usize) -> Vec<Barrier> {
        let behind = self.taking.into_iter().chain(self.inserted.iter().copied()).collect();
        let deletes = Barrier { constraint, before: self.deleted, behind };
        let updates = Barrier { constraint, before: self.releasing, behind: self.inserted };
        let mut barriers = vec![deletes, updates];
        barriers.retain(|barrier| !barrier.before.is_empty() && !barrier.behind.is_empty());
        barriers
    }
}

impl Rows<'_, '_> {
    /// Adds the nodes that stand between rows.
    pub(super) fn barriers(&mut self, barriers: &[Barrier]) {
        for (link, barrier) in barriers.iter().enumerate() {
            let node = self.groups.len();
            let entity = self.constraints[barrier.constraint].entity;
            let group = Group { phase: Phase::Barrier, rank: 0, entity, properties: Vec::new(), link, removal: None };
            self.groups.push(group);
            self.behind.push(Vec::new());
            for row in &barrier.before {
                self.add(*row, node, Cause::Likely(barrier.constraint), None);
            }
            for row in &barrier.behind {
                self.add(node, *row, Cause::Likely(barrier.constraint), None);
            }
        }
    }

    /// Lets rows of a circle pass by the barriers that are part of it: before anything else is done about the circle, which they
    /// may have made.
    pub(super) fn lift_barriers(&mut self, circle: &[usize]) -> bool {
        let mut done = false;
        for position in circle {
            let edge = &mut self.edges[*position];
            if edge.holds && self.groups[edge.to].phase == Phase::Barrier {
                edge.holds = false;
                done = true;
            }
        }
        done
    }
}
