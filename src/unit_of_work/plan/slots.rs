//! Unique values that pass from one row to another in one flush (rules C6, C8): who has to let go before whom.

use std::collections::BTreeSet;

use rustc_hash::{FxHashMap, FxHashSet};

use super::barriers::{Barrier, Passing};
use super::expressions::{self, Part, PartUse};
use super::predicate::{Held, Predicate};
use super::values::{fold, fold_loosely, new_part, old_part};
use crate::error::Error;
use crate::metadata::{EntityDef, IndexDef, Metadata, PropertyDef};
use crate::types::Key;
use crate::unit_of_work::change_set::{ChangeKind, ChangeSet, RowChange, Target};
use crate::unit_of_work::key_changes::NewPart;

/// A unique constraint or index whose values pass on.
#[derive(Debug)]
pub(super) struct Constraint {
    pub(super) entity: usize,
    pub(super) name: String,
    /// Whether it can be checked at the end of a statement, or of several.
    pub(super) deferrable: bool,
    pub(super) properties: Vec<u16>,
    /// Those that may be NULL: a row that has NULL there has no unique value.
    pub(super) nullable: Vec<u16>,
}

/// One row takes what another one has had.
#[derive(Clone, Copy, Debug)]
pub(super) struct Handover {
    pub(super) from: usize,
    pub(super) to: usize,
    /// Position among the constraints.
    pub(super) constraint: usize,
    /// Whether it is sure that the values are the same and that both rows are under the constraint. A condition or an expression
    /// that is not understood, or a type with an equality of its own, only makes it likely.
    pub(super) certain: bool,
}

/// One row comes where rows are removed of which only the keys are known.
#[derive(Clone, Copy, Debug)]
pub(super) struct Replaced {
    /// Position among the removals.
    pub(super) removal: usize,
    pub(super) to: usize,
    /// Position among the constraints.
    pub(super) constraint: usize,
    /// Whether it has the key of one of them.
    pub(super) certain: bool,
}

/// What passes on.
#[derive(Debug, Default)]
pub(super) struct Conflicts {
    pub(super) constraints: Vec<Constraint>,
    pub(super) handovers: Vec<Handover>,
    pub(super) replaced: Vec<Replaced>,
    pub(super) barriers: Vec<Barrier>,
}

impl Conflicts {
    pub(super) fn is_empty(&self) -> bool {
        self.handovers.is_empty() && self.replaced.is_empty() && self.barriers.is_empty()
    }
}

/// Finds the unique values that pass on. Looks only at entities of which a row may let go of one and another may take one.
///
/// # Errors
/// [`Error::EntityBorrowed`] if this thread holds a guard of one of the entities.
pub(super) fn conflicts(metadata: &Metadata, changes: &ChangeSet) -> Result<Conflicts, Error> {
    let mut conflicts = Conflicts::default();
    for (position, removal) in changes.removals.iter().enumerate() {
        of_removal(&metadata.entities[removal.entity], position, &removal.keys, changes, &mut conflicts);
    }
    // Most flushes only insert.
    if changes.inserts_only {
        return Ok(conflicts);
    }
    let mut by_entity: FxHashMap<usize, Vec<usize>> = FxHashMap::default();
    for (position, row) in changes.rows.iter().enumerate() {
        by_entity.entry(row.entity).or_default().push(position);
    }
    let mut by_entity: Vec<(usize, Vec<usize>)> = by_entity.into_iter().collect();
    by_entity.sort_unstable_by_key(|(entity, _)| *entity);
    for (entity, rows) in by_entity {
        let definition = &metadata.entities[entity];
        Slots::of_key(definition).find(changes, &rows, &mut conflicts)?;
        for index in definition.indexes.iter().filter(|index| index.unique) {
            // It is checked when everything is done.
            if !index.deferrable.is_some_and(|when| when.to_ascii_lowercase().contains("initially deferred")) {
                Slots::of_index(definition, index).find(changes, &rows, &mut conflicts)?;
            }
        }
    }
    Ok(conflicts)
}

/// What rows have had of which only the keys are known is not known: it may be what others take.
fn of_removal(entity: &EntityDef, removal: usize, keys: &[Key], changes: &ChangeSet, conflicts: &mut Conflicts) {
    let indexes = entity.indexes.iter().filter(|index| index.unique).map(|index| Slots::of_index(entity, index));
    let slots: Vec<Slots<'_>> = std::iter::once(Slots::of_key(entity)).chain(indexes).collect();
    let keys: FxHashSet<&Key> = keys.iter().collect();
    let constraint = conflicts.constraints.len();
    conflicts.constraints.push(slots[0].constraint());
    for (to, row) in changes.rows.iter().enumerate().filter(|(_, row)| row.entity == entity.index) {
        let certain = match row.kind {
            ChangeKind::Insert => row.key.as_ref().is_some_and(|key| keys.contains(key)),
            ChangeKind::Update => changed_key(entity, row).is_some_and(|key| keys.contains(&key)),
            ChangeKind::Delete => false,
        };
        if certain || slots[1..].iter().any(|slots| slots.takes(row)) {
            conflicts.replaced.push(Replaced { removal, to, constraint, certain });
        }
    }
}

/// The key that an UPDATE gives a row, if that is known.
fn changed_key(entity: &EntityDef, row: &RowChange) -> Option<Key> {
    if row.new_key.is_empty() {
        return None;
    }
    let mut parts = row.key.as_ref()?.parts().to_vec();
    for (property, part) in &row.new_key {
        let range = entity.key_columns_of(usize::from(*property))?;
        let new = match part {
            NewPart::Value(part) => std::slice::from_ref(part),
            NewPart::Target(Target::Key(key)) => key.parts(),
            NewPart::Target(_) => return None,
        };
        parts.splice(range, new.iter().cloned());
    }
    Key::from_parts(parts)
}

/// Between how many pairs of rows that may pass one value on there are edges. Where there are more, a barrier stands between the rows.
const PAIRS: usize = 64;

/// What has to be different in every row.
struct Slots<'a> {
    entity: &'a EntityDef,
    parts: Vec<Part>,
    /// Whether the server makes something of the parts that is not known here.
    is_computed: bool,
    name: &'a str,
    deferrable: bool,
    condition: Condition,
}

/// Which rows have to differ.
enum Condition {
    Always,
    If(Predicate),
    /// It is not understood; the properties that it may look at.
    Unclear(Vec<usize>),
}

/// What a row has, or gets.
#[derive(PartialEq, Eq)]
pub(super) enum Holding {
    /// It is not under the constraint, or has NULL there.
    Nothing,
    /// Something that is not known here.
    Unknown,
    Value(Value),
}

/// The values of a row.
#[derive(PartialEq, Eq)]
pub(super) struct Value {
    /// Equal if the server may think so.
    folded: Vec<u8>,
    /// Equal only if the server certainly thinks so.
    exact: Vec<u8>,
    /// Whether it is sure that the row is under the constraint.
    certain: bool,
}

impl<'a> Slots<'a> {
    fn of_key(entity: &'a EntityDef) -> Self {
        let parts = entity.key_properties.iter().map(|property| Part::itself(*property)).collect();
        Self { entity, parts, is_computed: false, name: "", deferrable: false, condition: Condition::Always }
    }

    fn of_index(entity: &'a EntityDef, index: &'a IndexDef) -> Self {
        let condition = match index.predicate.map(|text| (text, Predicate::parse(entity, text))) {
            None => Condition::Always,
            Some((_, Some(predicate))) => Condition::If(predicate),
            Some((text, None)) => Condition::Unclear(expressions::inputs(entity, &entity.mentioned_in(text))),
        };
        let (parts, is_computed) = (expressions::parts(entity, index), !index.expressions.is_empty());
        Self { entity, parts, is_computed, name: &index.name, deferrable: index.deferrable.is_some(), condition }
    }

    /// Whether an update may change what the row has here.
    fn is_touched(&self, row: &RowChange) -> bool {
        let written = |property: usize| row.properties.iter().any(|other| usize::from(*other) == property);
        let conditional = match &self.condition {
            Condition::Always => false,
            Condition::If(predicate) => predicate.properties().any(written),
            Condition::Unclear(properties) => properties.iter().any(|property| written(*property)),
        };
        conditional || self.parts.iter().any(|part| written(part.property))
    }

    /// Whether a row may take something here.
    fn takes(&self, row: &RowChange) -> bool {
        match row.kind {
            // Keys that the database makes are new.
            ChangeKind::Insert => self.is_computed || self.parts.iter().all(|part| is_written(row, part.property)),
            ChangeKind::Update => self.is_touched(row),
            ChangeKind::Delete => false,
        }
    }

    fn find(&self, changes: &ChangeSet, rows: &[usize], conflicts: &mut Conflicts) -> Result<(), Error> {
        let releases = |row: &RowChange| match row.kind {
            ChangeKind::Insert => false,
            ChangeKind::Update => self.is_touched(row),
            ChangeKind::Delete => true,
        };
        let takes = |row: &RowChange| self.takes(row);
        let any = |test: &dyn Fn(&RowChange) -> bool| rows.iter().any(|position| test(&changes.rows[*position]));
        if self.parts.is_empty() || !any(&releases) || !any(&takes) {
            return Ok(());
        }
        let mut had: FxHashMap<Vec<u8>, Vec<(usize, Value)>> = FxHashMap::default();
        let mut wanted: Vec<(usize, Value)> = Vec::new();
        let mut passing = Passing::default();
        for position in rows {
            let row = &changes.rows[*position];
            let (mut old, mut new) = (Holding::Nothing, Holding::Nothing);
            row.cell.read_sent(changes.flush, &mut |view| {
                if releases(row) {
                    old = self.value(&mut |property| old_part(self.entity, &view, property));
                }
                if takes(row) {
                    new = self.value(&mut |property| new_part(self.entity, row, &view, property));
                }
            })?;
            // A value that a row keeps does not pass on.
            if old == new && old.is_certain() {
                continue;
            }
            if self.is_computed {
                passing.note(*position, row.kind, &old, &new);
            }
            if let Holding::Value(old) = old {
                had.entry(old.folded.clone()).or_default().push((*position, old));
            }
            if let Holding::Value(new) = new {
                wanted.push((*position, new));
            }
        }
        let constraint = conflicts.constraints.len();
        let before = conflicts.handovers.len();
        let is_understood = self.parts.iter().all(|part| part.is_strict());
        let is_update = |position: usize| changes.rows[position].kind == ChangeKind::Update;
        let mut takers: FxHashMap<&[u8], usize> = FxHashMap::default();
        for (_, new) in &wanted {
            *takers.entry(&new.folded).or_default() += 1;
        }
        let mut crowds: FxHashMap<&[u8], Passing> = FxHashMap::default();
        for (to, new) in &wanted {
            let Some(givers) = had.get(&new.folded) else { continue };
            // Of rows that surely are under the constraint only one has the value.
            let is_sure = is_understood && new.certain && givers.iter().all(|(_, old)| old.certain);
            if !is_sure && givers.len() * takers.get(new.folded.as_slice()).copied().unwrap_or_default() > PAIRS {
                let crowd = crowds.entry(&new.folded).or_insert_with(|| {
                    let mut crowd = Passing::default();
                    givers.iter().for_each(|(from, _)| crowd.gives(*from, changes.rows[*from].kind));
                    crowd
                });
                crowd.takes(*to, changes.rows[*to].kind);
                continue;
            }
            for (from, old) in givers.iter().filter(|(from, _)| from != to) {
                let is_sure = old.certain && new.certain;
                // Under a condition that is not understood two updates may pass a value on either way.
                if is_sure || !(is_update(*from) && is_update(*to)) {
                    let certain = is_sure && is_understood && old.exact == new.exact;
                    conflicts.handovers.push(Handover { from: *from, to: *to, constraint, certain });
                }
            }
        }
        let mut barriers = passing.barriers(constraint);
        if !self.is_computed {
            barriers.extend(crowds.into_values().flat_map(|crowd| crowd.barriers(constraint)));
        }
        if conflicts.handovers.len() > before || !barriers.is_empty() {
            conflicts.constraints.push(self.constraint());
            conflicts.barriers.extend(barriers);
        }
        Ok(())
    }

    fn constraint(&self) -> Constraint {
        let numbers = |parts: &mut dyn Iterator<Item = &Part>| -> Vec<u16> {
            let numbers: BTreeSet<u16> = parts.filter_map(|part| u16::try_from(part.property).ok()).collect();
            numbers.into_iter().collect()
        };
        let properties = self.parts.iter().map(|part| &part.property);
        let is_key = !self.is_computed && properties.eq(&self.entity.key_properties);
        let may_be_null = |part: &Part| match &self.entity.properties[part.property] {
            PropertyDef::Column(column) => column.meta.nullable,
            PropertyDef::Relation(relation) => relation.meta.nullable,
        };
        Constraint {
            entity: self.entity.index,
            name: if is_key { format!("the primary key of {}", self.entity.table) } else { self.name.to_owned() },
            deferrable: self.deferrable,
            properties: numbers(&mut self.parts.iter()),
            nullable: numbers(&mut self.parts.iter().filter(|part| part.is_strict() && may_be_null(part))),
        }
    }

    /// The values of a row in one. NULL is equal to nothing, and so is what is not known yet.
    fn value(&self, held: &mut dyn FnMut(usize) -> Held) -> Holding {
        let certain = match &self.condition {
            Condition::Always => true,
            Condition::Unclear(_) => false,
            Condition::If(predicate) => match predicate.holds(held) {
                Some(false) => return Holding::Nothing,
                holds => holds.is_some(),
            },
        };
        let (mut folded, mut exact, mut is_known) = (Vec::new(), Vec::new(), true);
        let push = |bytes: &[u8], out: &mut Vec<u8>| {
            out.extend_from_slice(&bytes.len().to_be_bytes());
            out.extend_from_slice(bytes);
        };
        for part in &self.parts {
            match held(part.property) {
                Held::Value(bytes) => {
                    let fold = if part.used == PartUse::Itself { fold } else { fold_loosely };
                    push(&fold(self.entity, part.property, &bytes), &mut folded);
                    push(&bytes, &mut exact);
                }
                Held::Null if part.is_strict() => return Holding::Nothing,
                Held::Null => {
                    [&mut folded, &mut exact].into_iter().for_each(|out| out.extend(usize::MAX.to_be_bytes()))
                }
                Held::Unknown => is_known = false,
            }
        }
        if is_known { Holding::Value(Value { folded, exact, certain }) } else { Holding::Unknown }
    }
}

impl Holding {
    /// Whether it is what the row surely has.
    const fn is_certain(&self) -> bool {
        match self {
            Self::Nothing => true,
            Self::Unknown => false,
            Self::Value(value) => value.certain,
        }
    }
}

fn is_written(row: &RowChange, property: usize) -> bool {
    row.properties.iter().any(|other| usize::from(*other) == property)
}
