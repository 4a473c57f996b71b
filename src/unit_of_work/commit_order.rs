//! In which order tables are written: what is referred to before what refers to it (rule C6).
//!
//! Computed once an Orm, on the graph of tables (strongly connected components by Tarjan's algorithm, "Depth-first search
//! and linear graph algorithms", 1972). Only inside a component rows have to be looked at.

use crate::metadata::Metadata;

/// The order of the tables.
#[derive(Debug)]
pub(crate) struct CommitOrder {
    /// By entity: tables of a lower rank come first. Tables that refer to each other in a circle share a rank.
    rank: Vec<usize>,
    /// By entity: whether its table shares its rank with another one.
    shared: Vec<bool>,
    /// By entity: whether its table refers to itself.
    self_referencing: Vec<bool>,
}

impl CommitOrder {
    pub(crate) fn of(metadata: &Metadata) -> Self {
        let edges: Vec<Vec<usize>> = metadata
            .entities
            .iter()
            .map(|entity| {
                let owning = entity.relations().filter(|(_, relation)| relation.is_owning_to_one());
                owning.map(|(_, relation)| relation.target).collect()
            })
            .collect();
        let mut search = Search {
            edges: &edges,
            index: vec![None; edges.len()],
            low: vec![0; edges.len()],
            stack: Vec::new(),
            on_stack: vec![false; edges.len()],
            next: 0,
            components: Vec::new(),
        };
        for node in 0..edges.len() {
            if search.index[node].is_none() {
                search.visit(node);
            }
        }
        let mut rank = vec![0; edges.len()];
        let mut shared = vec![false; edges.len()];
        for (position, component) in search.components.iter().enumerate() {
            for node in component {
                rank[*node] = position;
                shared[*node] = component.len() > 1;
            }
        }
        let self_referencing = edges.iter().enumerate().map(|(node, targets)| targets.contains(&node)).collect();
        Self { rank, shared, self_referencing }
    }

    /// Where the entity's table stands: parents have lower ranks.
    pub(crate) fn rank(&self, entity: usize) -> usize {
        self.rank[entity]
    }

    /// Whether the table shares its rank: other tables refer to it that it refers to.
    pub(crate) fn is_shared(&self, entity: usize) -> bool {
        self.shared[entity]
    }

    /// Whether rows of these tables can refer to each other in a circle.
    pub(crate) fn is_circular(&self, entity: usize) -> bool {
        self.shared[entity] || self.self_referencing[entity]
    }
}

struct Search<'a> {
    edges: &'a [Vec<usize>],
    index: Vec<Option<usize>>,
    low: Vec<usize>,
    stack: Vec<usize>,
    on_stack: Vec<bool>,
    next: usize,
    /// Complete components; what they refer to was completed before.
    components: Vec<Vec<usize>>,
}

impl Search<'_> {
    /// Visits everything reachable from a node. The depth is at most the number of tables.
    fn visit(&mut self, node: usize) {
        let own = self.next;
        self.next += 1;
        self.index[node] = Some(own);
        self.low[node] = own;
        self.stack.push(node);
        self.on_stack[node] = true;
        for &target in &self.edges[node] {
            match self.index[target] {
                None => {
                    self.visit(target);
                    self.low[node] = self.low[node].min(self.low[target]);
                }
                Some(index) if self.on_stack[target] => self.low[node] = self.low[node].min(index),
                Some(_) => {}
            }
        }
        if self.low[node] == own {
            let mut component = Vec::new();
            while let Some(member) = self.stack.pop() {
                self.on_stack[member] = false;
                component.push(member);
                if member == node {
                    break;
                }
            }
            self.components.push(component);
        }
    }
}
