//! Keys that a flush changes: what each is called at any moment of it.
//!
//! A change set names every row by the key that it has when the flush begins. An UPDATE gives a row another one, and the
//! server hands that on (`ON UPDATE CASCADE`) to the keys that are made of it. What is sent behind it has to name the rows as
//! they are called then, and the entities get the last of their names when everything has succeeded (rule C3).

use std::borrow::Cow;

use rustc_hash::{FxHashMap, FxHashSet};

use super::change_set::{ChangeKind, ChangeSet, RowChange, Target};
use crate::metadata::{EntityDef, KeyRule, Metadata, RelationDef};
use crate::types::{Key, KeyPart};

/// What a property of a key is changed to.
#[derive(Clone, Debug)]
pub(crate) enum NewPart {
    Value(KeyPart),
    /// A relation that is part of the key.
    Target(Target),
}

/// Which rows of a change set change their own keys, by entity and key.
#[derive(Debug, Default)]
pub(crate) struct KeyChanges {
    rows: FxHashMap<usize, FxHashMap<Key, usize>>,
}

impl KeyChanges {
    pub(super) fn of(rows: &[RowChange]) -> Self {
        let mut changes = Self::default();
        for (position, row) in rows.iter().enumerate().filter(|(_, row)| !row.new_key.is_empty()) {
            if let Some(key) = &row.key {
                changes.rows.entry(row.entity).or_default().insert(key.clone(), position);
            }
        }
        changes
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The row of the change set that changes this key itself.
    pub(super) fn row(&self, entity: usize, key: &Key) -> Option<usize> {
        self.rows.get(&entity)?.get(key).copied()
    }

    /// Positions of all rows that change their own keys, in order.
    pub(super) fn positions(&self) -> Vec<usize> {
        let mut positions: Vec<usize> = self.rows.values().flat_map(FxHashMap::values).copied().collect();
        positions.sort_unstable();
        positions
    }

    /// The entities whose keys may change: of these rows, and those whose keys are made of theirs.
    pub(super) fn entities(&self, metadata: &Metadata) -> FxHashSet<usize> {
        let mut moved: FxHashSet<usize> = self.rows.keys().copied().collect();
        loop {
            let before = moved.len();
            for entity in &metadata.entities {
                if key_relations(entity).any(|(relation, _)| moved.contains(&relation.target)) {
                    moved.insert(entity.index);
                }
            }
            if moved.len() == before {
                return moved;
            }
        }
    }

    /// Adds the rows whose updates change this key: that of the row itself, and those that the server hands on to it.
    pub(super) fn push_movers(&self, metadata: &Metadata, entity: usize, key: &Key, out: &mut Vec<usize>) {
        if self.is_empty() {
            return;
        }
        out.extend(self.row(entity, key));
        for (relation, range) in key_relations(&metadata.entities[entity]) {
            if relation.key_rule() == KeyRule::Cascade
                && let Some(part) = part_of(key, range)
            {
                self.push_movers(metadata, relation.target, &part, out);
            }
        }
    }
}

/// The relations that are part of a key, with the columns of the key that they are.
fn key_relations(entity: &EntityDef) -> impl Iterator<Item = (&RelationDef, std::ops::Range<usize>)> {
    let relation = |property: &usize| Some((entity.relation(*property)?, entity.key_columns_of(*property)?));
    entity.key_properties.iter().filter_map(relation)
}

fn part_of(key: &Key, range: std::ops::Range<usize>) -> Option<Key> {
    Key::from_parts(key.parts().get(range)?.to_vec())
}

/// What has been done of a flush.
#[derive(Clone, Copy)]
pub(crate) enum Done<'a> {
    Nothing,
    /// These properties of these rows have been written.
    These(&'a FxHashSet<(usize, u16)>),
    Everything,
}

/// The keys of all rows at one moment of a flush.
#[derive(Clone, Copy)]
pub(crate) struct KeysNow<'a> {
    pub(crate) metadata: &'a Metadata,
    pub(crate) changes: &'a ChangeSet,
    /// By row of the change set: its key, made of what other keys were called when the flush began.
    pub(crate) keys: &'a [Option<Key>],
    pub(crate) done: Done<'a>,
    /// A row whose own UPDATE counts as done: what it writes is for the time behind that.
    pub(crate) behind: Option<usize>,
}

impl<'a> KeysNow<'a> {
    /// What this key, which a row has had when the flush began, is now.
    pub(crate) fn of<'k>(&self, entity: usize, key: &'k Key) -> Cow<'k, Key> {
        if self.changes.keys.is_empty() || matches!(self.done, Done::Nothing) && self.behind.is_none() {
            return Cow::Borrowed(key);
        }
        let own = self.changes.keys.row(entity, key);
        self.translated(entity, key, own, 0).map_or(Cow::Borrowed(key), Cow::Owned)
    }

    /// The key of a row of the change set now, if it is known.
    pub(crate) fn of_row(&self, position: usize) -> Option<Cow<'a, Key>> {
        self.of_row_at(position, 0)
    }

    fn of_row_at(&self, position: usize, depth: usize) -> Option<Cow<'a, Key>> {
        let key = self.keys.get(position)?.as_ref()?;
        if self.changes.keys.is_empty() {
            return Some(Cow::Borrowed(key));
        }
        let row = &self.changes.rows[position];
        // A new row may have got the key of one that changes its own.
        let own = if row.kind == ChangeKind::Insert { None } else { self.changes.keys.row(row.entity, key) };
        Some(self.translated(row.entity, key, own, depth).map_or(Cow::Borrowed(key), Cow::Owned))
    }

    /// The key of what a written relation refers to.
    pub(crate) fn of_target<'k>(&self, entity: usize, target: &'k Target) -> Option<Cow<'k, Key>>
    where
        'a: 'k,
    {
        match target {
            Target::Null => None,
            Target::Key(key) => Some(self.of(entity, key)),
            Target::Row(row) => self.of_row(*row),
        }
    }

    fn is_done(&self, row: usize, property: u16) -> bool {
        self.behind == Some(row)
            || match self.done {
                Done::Nothing => false,
                Done::These(done) => done.contains(&(row, property)),
                Done::Everything => true,
            }
    }

    /// The key with what has changed of it, `None` if nothing has. `own` is the row that changes it itself.
    fn translated(&self, entity: usize, key: &Key, own: Option<usize>, depth: usize) -> Option<Key> {
        let definition = &self.metadata.entities[entity];
        // Keys are made of keys at most as often as there are entities.
        if depth > self.metadata.entities.len() {
            return None;
        }
        let mut parts: Option<Vec<KeyPart>> = None;
        let mut replace = |start: usize, with: &[KeyPart]| {
            let parts = parts.get_or_insert_with(|| key.parts().to_vec());
            for (part, new) in parts.iter_mut().skip(start).zip(with) {
                part.clone_from(new);
            }
        };
        for property in &definition.key_properties {
            let Some(range) = definition.key_columns_of(*property) else { continue };
            let new = own.and_then(|row| {
                let number = u16::try_from(*property).ok()?;
                let (_, part) = self.changes.rows[row].new_key.iter().find(|(other, _)| *other == number)?;
                self.is_done(row, number).then_some(part)
            });
            let relation = definition.relation(*property);
            match (new, relation) {
                (Some(NewPart::Value(part)), _) => replace(range.start, std::slice::from_ref(part)),
                (Some(NewPart::Target(target)), Some(relation)) => {
                    let key = match target {
                        Target::Null => None,
                        Target::Key(key) => Some(self.at_depth(relation.target, key, depth + 1)),
                        Target::Row(row) => self.of_row_at(*row, depth + 1),
                    };
                    if let Some(key) = key {
                        replace(range.start, key.parts());
                    }
                }
                (None, Some(relation)) if relation.key_rule() == KeyRule::Cascade => {
                    let Some(part) = part_of(key, range.clone()) else { continue };
                    let own = self.changes.keys.row(relation.target, &part);
                    if let Some(now) = self.translated(relation.target, &part, own, depth + 1) {
                        replace(range.start, now.parts());
                    }
                }
                _ => {}
            }
        }
        parts.and_then(Key::from_parts)
    }

    fn at_depth<'k>(&self, entity: usize, key: &'k Key, depth: usize) -> Cow<'k, Key> {
        let own = self.changes.keys.row(entity, key);
        self.translated(entity, key, own, depth).map_or(Cow::Borrowed(key), Cow::Owned)
    }
}
