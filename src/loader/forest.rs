//! The parts that are sent in one flight: trees of statements, each beginning with a selection or with keys.

use super::part::Taken;
use super::walk::Branch;
use crate::metadata::{EntityDef, Metadata, RelationDef, RelationKind};
use crate::query::{LoadStrategy, PopulateNode};
use crate::sql::{Form, Part, Selection, Shape, Source, View};

/// Parts, parents before their children.
pub(super) struct Forest<'a> {
    pub(super) metadata: &'a Metadata,
    pub(super) view: &'a View,
    strategy: LoadStrategy,
    /// Whether entities that are there already are overwritten.
    pub(super) refresh: bool,
    pub(super) parts: Vec<Part<'a>>,
    /// Of each part: the relations that are not joined, and the segments that have them.
    pub(super) open: Vec<Vec<Open<'a>>>,
    /// Of each part: the relation that it loads.
    pub(super) nodes: Vec<Option<&'a PopulateNode>>,
}

/// A relation that is not part of its owner's statement.
#[derive(Clone, Copy)]
pub(super) struct Open<'a> {
    pub(super) segment: usize,
    pub(super) node: &'a PopulateNode,
}

/// How a to-many relation is loaded: one-to-many by its foreign key; many-to-many by its links and what they lead to, unless
/// there are options, which one statement can obey.
pub(super) fn has_links(relation: &RelationDef, node: &PopulateNode) -> bool {
    relation.meta.kind == RelationKind::ManyToMany && node.options.is_none()
}

impl<'a> Forest<'a> {
    pub(super) const fn new(metadata: &'a Metadata, view: &'a View, strategy: LoadStrategy, refresh: bool) -> Self {
        Self { metadata, view, strategy, refresh, parts: Vec::new(), open: Vec::new(), nodes: Vec::new() }
    }

    pub(super) const fn strategy(&self) -> LoadStrategy {
        self.strategy
    }

    fn push(&mut self, part: Part<'a>, open: Vec<Open<'a>>, node: Option<&'a PopulateNode>) -> usize {
        self.parts.push(part);
        self.open.push(open);
        self.nodes.push(node);
        self.parts.len() - 1
    }

    /// Adds a selection, and so many depths of its relations.
    pub(super) fn add_roots(
        &mut self,
        entity: &EntityDef,
        selection: &'a Selection,
        nodes: &'a [PopulateNode],
        depth: usize,
    ) {
        let mut shape = Shape::of(entity);
        let mut open = Vec::new();
        self.join(&mut shape, 0, nodes, &mut open);
        let source = Source::Selection(selection);
        let part = Part { relation: None, form: Form::Roots, source, entity: entity.index, shape, options: None };
        let number = self.push(part, open, None);
        self.add_below(number, depth);
    }

    /// Adds a relation, and so many depths below it.
    pub(super) fn add(&mut self, owner: &EntityDef, node: &'a PopulateNode, source: Source<'a>, depth: usize) -> usize {
        let Some(relation) = owner.relation(node.relation) else { return self.add_column(owner, node, source) };
        let target = self.metadata.target(relation);
        let relates = Some((owner.index, node.relation));
        let part = |form, source, shape| {
            let options = node.options.as_ref();
            Part { relation: relates, form, source, entity: target.index, shape, options }
        };
        let first = self.parts.len();
        let (form, source) = if has_links(relation, node) {
            let targets = match &source {
                Source::Keys(keys) => Source::Keys(keys.clone()),
                _ => Source::Part { part: first, offset: 0 },
            };
            self.push(part(Form::Links, source, Shape::of(target)), Vec::new(), Some(node));
            (Form::Targets, targets)
        } else if relation.meta.kind.is_to_many() {
            (Form::Items, source)
        } else {
            (Form::ToOne, source)
        };
        let mut shape = Shape::of(target);
        let mut open = Vec::new();
        self.join(&mut shape, 0, &node.children, &mut open);
        let number = self.push(part(form, source, shape), open, Some(node));
        self.add_below(number, depth);
        first
    }

    /// Adds a lazy column of entities that are known by their keys.
    fn add_column(&mut self, owner: &EntityDef, node: &'a PopulateNode, source: Source<'a>) -> usize {
        let relation = Some((owner.index, node.relation));
        let shape = Shape::of(owner);
        let part = Part { relation, form: Form::Column, source, entity: owner.index, shape, options: None };
        self.push(part, Vec::new(), Some(node))
    }

    fn add_below(&mut self, number: usize, depth: usize) {
        let Some(depth) = depth.checked_sub(1) else { return };
        for Open { segment, node } in self.open[number].clone() {
            let Some(segment) = self.parts[number].shape.segments().get(segment) else { continue };
            let source = Source::Part { part: number, offset: segment.offset };
            let owner = &self.metadata.entities[segment.entity];
            // Columns are read when it is known of which entities.
            if owner.relation(node.relation).is_none() {
                continue;
            }
            self.add(owner, node, source, depth);
        }
    }

    /// Joins to-one relations, as far as the strategy does so; the others stay open.
    fn join(&self, shape: &mut Shape, segment: usize, nodes: &'a [PopulateNode], open: &mut Vec<Open<'a>>) {
        for node in nodes {
            let entity = shape.segments().get(segment).map(|segment| &self.metadata.entities[segment.entity]);
            let relation = entity.and_then(|entity| entity.relation(node.relation));
            let joined = relation
                .filter(|relation| self.strategy.joins() && !relation.meta.kind.is_to_many())
                .and_then(|_| shape.join(self.metadata, segment, node.relation));
            match joined {
                Some(joined) => self.join(shape, joined, &node.children, open),
                None => open.push(Open { segment, node }),
            }
        }
    }

    /// What is to be looked for below entities that were all made of the rows of a part: the relations that are not joined.
    pub(super) fn below(&self, number: usize, taken: &mut Taken, asked: usize) -> Vec<Branch<'a>> {
        let mut branches: Vec<Branch<'a>> = Vec::new();
        let segments = self.parts[number].shape.segments();
        for (index, segment) in segments.iter().enumerate() {
            let open = self.open[number].iter().filter(|open| open.segment == index);
            let nodes: Vec<&'a PopulateNode> = open.map(|open| open.node).collect();
            if nodes.is_empty() {
                continue;
            }
            let (cells, fresh) = match index.checked_sub(1).and_then(|index| taken.joined.get_mut(index)) {
                Some((cells, fresh)) => (std::mem::take(cells), *fresh),
                None => (std::mem::take(&mut taken.cells), taken.fresh),
            };
            branches.push(Branch { entity: &self.metadata.entities[segment.entity], cells, nodes, fresh, asked });
        }
        branches
    }
}
