//! Which statement can be sent next: nodes in groups of those that can share a statement, and how much each still waits for
//! (Kahn's algorithm, "Topological sorting of large networks", 1962, on groups of nodes).
//!
//! Looks only at what has changed since the last statement: thousands of rows that need a statement each take linear time.

use std::collections::{BTreeMap, BTreeSet};

use super::Group;

/// The nodes that are left. They are numbered in the order in which they are added.
#[derive(Default)]
pub(super) struct Queue {
    /// Positions of the groups, in the usual order of statements.
    order: BTreeMap<Group, usize>,
    groups: Vec<Members>,
    nodes: Vec<Waiting>,
}

/// The nodes of one group.
#[derive(Default)]
struct Members {
    nodes: Vec<usize>,
    left: usize,
    /// Nodes that wait for nothing, or only for others of the group that may go with them.
    free: BTreeSet<usize>,
    /// How often a node waits for one that may go with it.
    links: usize,
    /// What can be sent now, if it is known.
    ready: Option<Vec<usize>>,
}

/// What one node waits for.
struct Waiting {
    group: usize,
    is_done: bool,
    /// How many others have to be in a statement before.
    before: usize,
    /// Those that may go with this one, but not without what it waits for.
    companions: Vec<usize>,
}

impl Queue {
    pub(super) fn add(&mut self, group: &Group) {
        let next = self.groups.len();
        let position = match self.order.get(group) {
            Some(position) => *position,
            None => {
                self.order.insert(group.clone(), next);
                self.groups.push(Members::default());
                next
            }
        };
        let members = &mut self.groups[position];
        members.nodes.push(self.nodes.len());
        members.free.insert(self.nodes.len());
        members.left += 1;
        members.ready = None;
        self.nodes.push(Waiting { group: position, is_done: false, before: 0, companions: Vec::new() });
    }

    pub(super) fn is_done(&self, node: usize) -> bool {
        self.nodes.get(node).is_some_and(|node| node.is_done)
    }

    /// Whether two nodes can be in one statement, as far as that is up to the statement.
    pub(super) fn is_same_group(&self, one: usize, two: usize) -> bool {
        self.nodes[one].group == self.nodes[two].group
    }

    /// A node waits for another one, which may be `with` it in one statement.
    pub(super) fn wait(&mut self, node: usize, other: usize, with: bool) {
        let members = &mut self.groups[self.nodes[node].group];
        members.ready = None;
        if with {
            members.links += 1;
            self.nodes[other].companions.push(node);
        } else {
            members.free.remove(&node);
            self.nodes[node].before += 1;
        }
    }

    /// Something that a node has waited for is done.
    pub(super) fn arrive(&mut self, node: usize, with: bool) {
        let waiting = &mut self.nodes[node];
        let members = &mut self.groups[waiting.group];
        members.ready = None;
        if with {
            members.links -= 1;
        } else {
            waiting.before -= 1;
            if waiting.before == 0 && !waiting.is_done {
                members.free.insert(node);
            }
        }
    }

    /// A node is in a statement.
    pub(super) fn finish(&mut self, node: usize) {
        let waiting = &mut self.nodes[node];
        waiting.is_done = true;
        let members = &mut self.groups[waiting.group];
        members.free.remove(&node);
        members.left -= 1;
        members.ready = None;
    }

    /// Whether every node is in a statement.
    pub(super) fn is_empty(&self) -> bool {
        self.groups.iter().all(|members| members.left == 0)
    }

    /// The next statement: in the usual order the first whose nodes are all ready, or else the first of which some are.
    pub(super) fn next(&mut self) -> Option<(Group, Vec<usize>)> {
        let mut some = None;
        for (group, position) in &self.order {
            let members = &mut self.groups[*position];
            let left = members.left;
            let ready = members.ready(&self.nodes).len();
            if left > 0 && ready == left {
                some = Some((group, *position));
                break;
            }
            if ready > 0 && some.is_none() {
                some = Some((group, *position));
            }
        }
        let (group, position) = some?;
        Some((group.clone(), self.groups[position].ready.take().unwrap_or_default()))
    }
}

impl Members {
    /// The most nodes that can be sent now: what each waits for is done, or goes with it where that is allowed.
    fn ready(&mut self, all: &[Waiting]) -> &[usize] {
        let (nodes, free, left, links) = (&self.nodes, &self.free, self.left, self.links);
        self.ready.get_or_insert_with(|| {
            if links == 0 || free.len() == left {
                return free.iter().copied().collect();
            }
            // Who goes with one that has to wait has to wait, too.
            let held = nodes.iter().copied().filter(|node| !all[*node].is_done && all[*node].before > 0);
            let mut stack: Vec<usize> = held.collect();
            let mut ready = free.clone();
            while let Some(node) = stack.pop() {
                let companions = all[node].companions.iter();
                stack.extend(companions.copied().filter(|companion| ready.remove(companion)));
            }
            ready.into_iter().collect()
        })
    }
}
