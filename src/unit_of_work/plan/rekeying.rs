//! Where updates that change keys come: what refers to the key with the name that it gets is written behind them; what has to
//! let go of it, because the server does not change it, before.

use rustc_hash::FxHashMap;

use super::Phase;
use super::rows::{Cause, Rows};
use crate::metadata::KeyRule;
use crate::types::Key;
use crate::unit_of_work::change_set::{ChangeKind, LinkEnd, Target};
use crate::unit_of_work::key_changes::{Done, KeysNow};

/// Rows by the keys that they get.
type NewKeys = FxHashMap<(usize, Key), usize>;

impl Rows<'_, '_> {
    /// Adds what follows from keys that are changed.
    pub(super) fn key_changes(&mut self) {
        let changes = self.planner.changes;
        if changes.keys.is_empty() {
            return;
        }
        let new_keys = self.new_keys();
        for (position, row) in changes.rows.iter().enumerate() {
            let relation = |property: u16| self.planner.entity(row).relation(usize::from(property));
            let mut edges = Vec::new();
            for (property, target) in &row.targets {
                let (Some(relation), Target::Key(key)) = (relation(*property), target) else { continue };
                let follows = relation.key_rule() == KeyRule::Cascade || relation.is_checked_last();
                let cause = if follows { Cause::Rekeyed } else { Cause::UnknownKey };
                for (mover, cause) in self.movers(&new_keys, relation.target, key, cause) {
                    edges.push((mover, position, cause, None));
                }
            }
            for (property, key) in row.previous.iter().filter(|_| row.kind != ChangeKind::Insert) {
                let Some(relation) = relation(*property) else { continue };
                if relation.key_rule() != KeyRule::Check || relation.is_deferred() {
                    continue;
                }
                let mut movers = Vec::new();
                changes.keys.push_movers(self.planner.metadata, relation.target, key, &mut movers);
                let parks = relation.meta.nullable.then_some(*property);
                edges.extend(movers.into_iter().map(|mover| (position, mover, Cause::Reference, parks)));
            }
            for (from, to, cause, parks) in edges {
                self.add(from, to, cause, parks);
            }
        }
        for node in changes.rows.len()..self.groups.len() {
            self.key_changes_of_links(node, &new_keys);
        }
    }

    /// Pivot rows refer to keys by a name that exists.
    fn key_changes_of_links(&mut self, node: usize, new_keys: &NewKeys) {
        let (phase, link) = (self.groups[node].phase, self.groups[node].link);
        let Some(link) = self.planner.changes.links.get(link) else { return };
        let pairs = match phase {
            Phase::Link => &link.linked,
            Phase::Place => &link.placed,
            _ => return,
        };
        let Some(relation) = self.planner.metadata.entities[link.entity].relation(link.property) else { return };
        for (one, two) in pairs {
            for (entity, end) in [(link.entity, one), (relation.target, two)] {
                let LinkEnd::Key(key) = end else { continue };
                for (mover, cause) in self.movers(new_keys, entity, key, Cause::Rekeyed) {
                    self.add(mover, node, cause, None);
                }
            }
        }
    }

    /// The rows whose updates come before this key is referred to: those that change it, or else the one that gets it.
    fn movers(&self, new_keys: &NewKeys, entity: usize, key: &Key, cause: Cause) -> Vec<(usize, Cause)> {
        let mut movers = Vec::new();
        self.planner.changes.keys.push_movers(self.planner.metadata, entity, key, &mut movers);
        if movers.is_empty() {
            let new = new_keys.get(&(entity, key.clone()));
            return new.map(|row| (*row, Cause::UnknownKey)).into_iter().collect();
        }
        movers.into_iter().map(|mover| (mover, cause)).collect()
    }

    /// The keys that rows get, as far as they are known.
    fn new_keys(&self) -> NewKeys {
        let (metadata, changes) = (self.planner.metadata, self.planner.changes);
        let given: Vec<Option<Key>> = changes.rows.iter().map(|row| row.key.clone()).collect();
        let now = KeysNow { metadata, changes, keys: &given, done: Done::Everything, behind: None };
        let positions = changes.keys.positions().into_iter();
        positions.filter_map(|row| Some(((changes.rows[row].entity, now.of_row(row)?.into_owned()), row))).collect()
    }
}
