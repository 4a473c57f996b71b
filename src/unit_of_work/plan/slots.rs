//! Unique values that pass from one row to another in one flush (rules C6, C8): who has to let go before whom.

use rustc_hash::{FxHashMap, FxHashSet};

use super::predicate::{Held, Predicate};
use crate::error::Error;
use crate::metadata::{EntityDef, EntityObject, EntityView, IndexDef, Metadata, PropertyDef, ReferenceTarget};
use crate::types::Key;
use crate::unit_of_work::change_set::{ChangeKind, ChangeSet, Override, RowChange, Target};
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
    /// Whether it is sure that the values are the same and that both rows are under the constraint. A condition that is not
    /// understood, or a type with an equality of its own, only makes it likely.
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
}

impl Conflicts {
    pub(super) fn is_empty(&self) -> bool {
        self.handovers.is_empty() && self.replaced.is_empty()
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

/// What has to be different in every row.
struct Slots<'a> {
    entity: &'a EntityDef,
    properties: Vec<usize>,
    name: &'a str,
    deferrable: bool,
    condition: Condition,
}

/// Which rows have to differ.
enum Condition {
    Always,
    If(Predicate),
    /// It is not understood.
    Unclear,
}

/// The values of a row, if none of them is NULL and all are known.
#[derive(PartialEq, Eq)]
struct Value {
    /// Equal if the server may think so.
    folded: Vec<u8>,
    /// Equal only if the server certainly thinks so.
    exact: Vec<u8>,
    /// Whether it is sure that the row is under the constraint.
    certain: bool,
}

impl<'a> Slots<'a> {
    fn of_key(entity: &'a EntityDef) -> Self {
        let (properties, condition) = (entity.key_properties.clone(), Condition::Always);
        Self { entity, properties, name: "", deferrable: false, condition }
    }

    fn of_index(entity: &'a EntityDef, index: &'a IndexDef) -> Self {
        let position = |name: &&str| entity.meta.properties.iter().position(|property| property.name == *name);
        let condition = match index.predicate.map(|text| Predicate::parse(entity, text)) {
            None => Condition::Always,
            Some(Some(predicate)) => Condition::If(predicate),
            Some(None) => Condition::Unclear,
        };
        let properties = index.properties.iter().filter_map(position).collect();
        Self { entity, properties, name: &index.name, deferrable: index.deferrable.is_some(), condition }
    }

    /// Whether an update may change what the row has here.
    fn is_touched(&self, row: &RowChange) -> bool {
        let written = |property: usize| row.properties.iter().any(|other| usize::from(*other) == property);
        let conditional = match &self.condition {
            Condition::Always => false,
            Condition::If(predicate) => predicate.properties().any(written),
            // A row can come under the index, or leave it, by any of its columns.
            Condition::Unclear => true,
        };
        conditional || self.properties.iter().any(|property| written(*property))
    }

    /// Whether a row may take something here.
    fn takes(&self, row: &RowChange) -> bool {
        match row.kind {
            // Keys that the database makes are new.
            ChangeKind::Insert => self.properties.iter().all(|property| is_written(row, *property)),
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
        if self.properties.is_empty() || !any(&releases) || !any(&takes) {
            return Ok(());
        }
        let mut had: FxHashMap<Vec<u8>, Vec<(usize, Value)>> = FxHashMap::default();
        let mut wanted: Vec<(usize, Value)> = Vec::new();
        for position in rows {
            let row = &changes.rows[*position];
            let (mut old, mut new) = (None, None);
            row.cell.read_sent(changes.flush, &mut |view| {
                if releases(row) {
                    old = self.value(&mut |property| old_part(self.entity, &view, property));
                }
                if takes(row) {
                    new = self.value(&mut |property| new_part(self.entity, row, &view, property));
                }
            })?;
            // A value that a row keeps does not pass on.
            if old == new && old.as_ref().is_none_or(|value| value.certain) {
                continue;
            }
            if let Some(old) = old {
                had.entry(old.folded.clone()).or_default().push((*position, old));
            }
            wanted.extend(new.map(|new| (*position, new)));
        }
        let constraint = conflicts.constraints.len();
        let before = conflicts.handovers.len();
        let is_update = |position: usize| changes.rows[position].kind == ChangeKind::Update;
        for (to, new) in &wanted {
            for (from, old) in had.get(&new.folded).into_iter().flatten().filter(|(from, _)| from != to) {
                let is_sure = old.certain && new.certain;
                // Under a condition that is not understood two updates may pass a value on either way.
                if is_sure || !(is_update(*from) && is_update(*to)) {
                    let certain = is_sure && old.exact == new.exact;
                    conflicts.handovers.push(Handover { from: *from, to: *to, constraint, certain });
                }
            }
        }
        if conflicts.handovers.len() > before {
            conflicts.constraints.push(self.constraint());
        }
        Ok(())
    }

    fn constraint(&self) -> Constraint {
        let numbers = || self.properties.iter().filter_map(|property| u16::try_from(*property).ok());
        let is_key = self.properties == self.entity.key_properties;
        let may_be_null = |property: &u16| match &self.entity.properties[usize::from(*property)] {
            PropertyDef::Column(column) => column.meta.nullable,
            PropertyDef::Relation(relation) => relation.meta.nullable,
        };
        Constraint {
            entity: self.entity.index,
            name: if is_key { format!("the primary key of {}", self.entity.table) } else { self.name.to_owned() },
            deferrable: self.deferrable,
            properties: numbers().collect(),
            nullable: numbers().filter(may_be_null).collect(),
        }
    }

    /// The values of a row in one. NULL is equal to nothing, and so is what is not known yet.
    fn value(&self, part: &mut dyn FnMut(usize) -> Held) -> Option<Value> {
        let certain = match &self.condition {
            Condition::Always => true,
            Condition::Unclear => false,
            Condition::If(predicate) => match predicate.holds(part) {
                Some(false) => return None,
                holds => holds.is_some(),
            },
        };
        let (mut folded, mut exact) = (Vec::new(), Vec::new());
        for property in &self.properties {
            let Held::Value(bytes) = part(*property) else { return None };
            let push = |bytes: &[u8], out: &mut Vec<u8>| {
                out.extend_from_slice(&bytes.len().to_be_bytes());
                out.extend_from_slice(bytes);
            };
            push(&fold(self.entity, *property, &bytes), &mut folded);
            push(&bytes, &mut exact);
        }
        Some(Value { folded, exact, certain })
    }
}

fn is_written(row: &RowChange, property: usize) -> bool {
    row.properties.iter().any(|other| usize::from(*other) == property)
}

/// A form that is the same for all values that the server may take for equal: types that are named by hand may have an equality
/// of their own (citext, padded characters).
fn fold(entity: &EntityDef, property: usize, bytes: &[u8]) -> Vec<u8> {
    let Some(column) = entity.column(property) else { return bytes.to_vec() };
    if column.meta.sql_type.is_some() {
        return String::from_utf8_lossy(bytes).trim_end().to_lowercase().into_bytes();
    }
    match (column.meta.pg.name, bytes) {
        // There are two zeros.
        ("float4" | "float8", [0x80, rest @ ..]) if rest.iter().all(|byte| *byte == 0) => vec![0; bytes.len()],
        _ => bytes.to_vec(),
    }
}

/// What the database has.
fn old_part(entity: &EntityDef, view: &EntityView<'_>, property: usize) -> Held {
    held(entity, view.baseline.unwrap_or(view.value), property)
}

/// What the flush writes.
fn new_part(entity: &EntityDef, row: &RowChange, view: &EntityView<'_>, property: usize) -> Held {
    let Ok(number) = u16::try_from(property) else { return Held::Unknown };
    if entity.column(property).is_some() {
        let unwritten = row.kind == ChangeKind::Insert && !row.properties.contains(&number);
        return if unwritten { Held::Unknown } else { encoded(|out| row.value(view, number).encode(out)) };
    }
    if let Some((_, target)) = row.targets.iter().find(|(index, _)| *index == number) {
        return match target {
            Target::Null => Held::Null,
            Target::Key(key) => Held::Value(key_bytes(key)),
            // A new row has a key that nothing has referred to.
            Target::Row(_) => Held::Unknown,
        };
    }
    let cleared =
        row.overrides.iter().any(|(index, value)| *index == number && matches!(value, Override::Reference(None)));
    if cleared { Held::Null } else { held(entity, view.value, property) }
}

/// The value of a property.
fn held(entity: &EntityDef, value: &dyn EntityObject, property: usize) -> Held {
    let value = value.property(property);
    if entity.column(property).is_some() {
        return encoded(|out| value.encode(out));
    }
    match value.as_reference().map(|reference| reference.target()) {
        Some(ReferenceTarget::Key(key)) => Held::Value(key_bytes(&key)),
        Some(ReferenceTarget::Nothing) => Held::Null,
        _ => Held::Unknown,
    }
}

fn encoded(encode: impl FnOnce(&mut Vec<u8>) -> Result<bool, crate::types::ConversionError>) -> Held {
    let mut out = Vec::new();
    match encode(&mut out) {
        Ok(true) => Held::Value(out),
        Ok(false) => Held::Null,
        Err(_) => Held::Unknown,
    }
}

fn key_bytes(key: &Key) -> Vec<u8> {
    let mut bytes = Vec::new();
    for part in key.parts() {
        let text = part.to_string();
        bytes.extend_from_slice(&text.len().to_be_bytes());
        bytes.extend_from_slice(text.as_bytes());
    }
    bytes
}
