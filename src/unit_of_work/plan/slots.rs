//! Unique values that pass from one row to another in one flush (rules C6, C8): who has to let go before whom.

use bytes::BytesMut;
use rustc_hash::FxHashMap;

use crate::error::Error;
use crate::metadata::{EntityDef, EntityObject, EntityView, IndexDef, Metadata, PropertyDef, ReferenceTarget};
use crate::types::Key;
use crate::unit_of_work::change_set::{ChangeKind, ChangeSet, Override, RowChange, Target};

/// A unique constraint or index whose values pass on.
#[derive(Debug)]
pub(super) struct Constraint {
    pub(super) entity: usize,
    pub(super) name: String,
    /// Whether it can be checked at the end of a statement, or of several.
    pub(super) deferrable: bool,
    /// Properties of it that may be NULL: a row that has NULL there has no unique value.
    pub(super) nullable: Vec<u16>,
}

/// One row takes what another one has had.
#[derive(Clone, Copy, Debug)]
pub(super) struct Handover {
    pub(super) from: usize,
    pub(super) to: usize,
    /// Position among the constraints.
    pub(super) constraint: usize,
    /// Whether it is sure that the values are the same and that both rows are under the constraint. A partial index, or a
    /// type with an equality of its own, only makes it likely.
    pub(super) certain: bool,
}

/// What passes on.
#[derive(Debug, Default)]
pub(super) struct Conflicts {
    pub(super) constraints: Vec<Constraint>,
    pub(super) handovers: Vec<Handover>,
}

impl Conflicts {
    pub(super) fn is_empty(&self) -> bool {
        self.handovers.is_empty()
    }
}

/// Finds the unique values that pass on. Looks only at entities of which a row may let go of one and another may take one.
///
/// # Errors
/// [`Error::EntityBorrowed`] if this thread holds a guard of one of the entities.
pub(super) fn conflicts(metadata: &Metadata, changes: &ChangeSet) -> Result<Conflicts, Error> {
    let mut conflicts = Conflicts::default();
    let mut by_entity: FxHashMap<usize, Vec<usize>> = FxHashMap::default();
    let is_release = |row: &RowChange| row.kind != ChangeKind::Insert;
    // Most flushes only insert, or touch nothing unique.
    if !changes.rows.iter().any(is_release) {
        return Ok(conflicts);
    }
    for (position, row) in changes.rows.iter().enumerate() {
        by_entity.entry(row.entity).or_default().push(position);
    }
    for (entity, rows) in by_entity {
        let definition = &metadata.entities[entity];
        primary_key(definition, changes, &rows, &mut conflicts);
        for index in definition.indexes.iter().filter(|index| index.unique) {
            if index.deferrable.is_some_and(|when| when.to_ascii_lowercase().contains("initially deferred")) {
                continue;
            }
            of_index(definition, index, changes, &rows, &mut conflicts)?;
        }
    }
    Ok(conflicts)
}

/// A key that is given by hand can be used again.
fn primary_key(entity: &EntityDef, changes: &ChangeSet, rows: &[usize], conflicts: &mut Conflicts) {
    let mut deleted: FxHashMap<&Key, usize> = FxHashMap::default();
    for position in rows {
        let row = &changes.rows[*position];
        if let (ChangeKind::Delete, Some(key)) = (row.kind, &row.key) {
            deleted.insert(key, *position);
        }
    }
    if deleted.is_empty() {
        return;
    }
    let constraint = conflicts.constraints.len();
    let before = conflicts.handovers.len();
    for position in rows {
        let row = &changes.rows[*position];
        if let (ChangeKind::Insert, Some(key)) = (row.kind, &row.key)
            && let Some(from) = deleted.get(key)
        {
            conflicts.handovers.push(Handover { from: *from, to: *position, constraint, certain: true });
        }
    }
    if conflicts.handovers.len() > before {
        let name = format!("the primary key of {}", entity.table);
        let nullable = Vec::new();
        conflicts.constraints.push(Constraint { entity: entity.index, name, deferrable: false, nullable });
    }
}

fn of_index(
    entity: &EntityDef,
    index: &IndexDef,
    changes: &ChangeSet,
    rows: &[usize],
    conflicts: &mut Conflicts,
) -> Result<(), Error> {
    let position = |name: &&str| entity.meta.properties.iter().position(|property| property.name == *name);
    let properties: Vec<usize> = index.properties.iter().filter_map(position).collect();
    let touches = |row: &RowChange| {
        // A row can come under, or leave, a partial index by any of its columns.
        index.predicate.is_some()
            || properties.iter().any(|property| row.properties.iter().any(|other| usize::from(*other) == *property))
    };
    let releases = |row: &RowChange| row.kind == ChangeKind::Delete || (row.kind == ChangeKind::Update && touches(row));
    let takes = |row: &RowChange| row.kind == ChangeKind::Insert || (row.kind == ChangeKind::Update && touches(row));
    let any = |test: &dyn Fn(&RowChange) -> bool| rows.iter().any(|position| test(&changes.rows[*position]));
    if properties.is_empty() || !any(&releases) || !any(&takes) {
        return Ok(());
    }
    let mut had: FxHashMap<Vec<u8>, Vec<usize>> = FxHashMap::default();
    let mut wanted: Vec<(Vec<u8>, usize)> = Vec::new();
    for position in rows {
        let row = &changes.rows[*position];
        let (mut old, mut new) = (None, None);
        row.cell.read_sent(changes.flush, &mut |view| {
            if releases(row) {
                old = slot(entity, &properties, &mut |property, out| old_part(entity, &view, property, out));
            }
            if takes(row) {
                new = slot(entity, &properties, &mut |property, out| new_part(entity, row, &view, property, out));
            }
        })?;
        // A value that a row keeps does not pass on.
        if index.predicate.is_none() && old == new {
            continue;
        }
        if let Some(old) = old {
            had.entry(old).or_default().push(*position);
        }
        if let Some(new) = new {
            wanted.push((new, *position));
        }
    }
    let plain = |property: &usize| entity.column(*property).is_none_or(|column| column.meta.sql_type.is_none());
    let certain = index.predicate.is_none() && properties.iter().all(plain);
    let before = conflicts.handovers.len();
    let constraint = conflicts.constraints.len();
    for (value, to) in wanted {
        for from in had.get(&value).into_iter().flatten().filter(|from| **from != to) {
            // Under a partial index two updates can pass a value either way: that cannot be told from here.
            let unclear = index.predicate.is_some()
                && changes.rows[*from].kind == ChangeKind::Update
                && changes.rows[to].kind == ChangeKind::Update;
            if !unclear {
                conflicts.handovers.push(Handover { from: *from, to, constraint, certain });
            }
        }
    }
    if conflicts.handovers.len() > before {
        let may_be_null = |property: &&usize| match &entity.properties[**property] {
            PropertyDef::Column(column) => column.meta.nullable,
            PropertyDef::Relation(relation) => relation.meta.nullable,
        };
        let nullable = properties.iter().filter(may_be_null).filter_map(|property| u16::try_from(*property).ok());
        conflicts.constraints.push(Constraint {
            entity: entity.index,
            name: index.name.clone(),
            deferrable: index.deferrable.is_some(),
            nullable: nullable.collect(),
        });
    }
    Ok(())
}

/// The values of these properties in one, `None` if one of them is NULL or not known yet: that is equal to nothing.
fn slot(
    entity: &EntityDef,
    properties: &[usize],
    part: &mut dyn FnMut(usize, &mut BytesMut) -> bool,
) -> Option<Vec<u8>> {
    let mut value = Vec::new();
    let mut out = BytesMut::new();
    for property in properties {
        out.clear();
        if !part(*property, &mut out) {
            return None;
        }
        // Types with an equality of their own: citext, padded characters.
        let folded = entity.column(*property).is_some_and(|column| column.meta.sql_type.is_some());
        let bytes =
            if folded { String::from_utf8_lossy(&out).trim_end().to_lowercase().into_bytes() } else { out.to_vec() };
        value.extend_from_slice(&bytes.len().to_be_bytes());
        value.extend_from_slice(&bytes);
    }
    Some(value)
}

/// What the database has; whether it is not NULL.
fn old_part(entity: &EntityDef, view: &EntityView<'_>, property: usize, out: &mut BytesMut) -> bool {
    held(entity, view.baseline.unwrap_or(view.value), property, out)
}

/// What the flush writes; whether it is known and not NULL.
fn new_part(entity: &EntityDef, row: &RowChange, view: &EntityView<'_>, property: usize, out: &mut BytesMut) -> bool {
    let number = u16::try_from(property).unwrap_or_default();
    if entity.column(property).is_some() {
        let unwritten = row.kind == ChangeKind::Insert && !row.properties.contains(&number);
        return !unwritten && row.value(view, number).encode(out).unwrap_or(false);
    }
    if let Some((_, target)) = row.targets.iter().find(|(index, _)| *index == number) {
        return match target {
            Target::Key(key) => push_key(key, out),
            Target::Null | Target::Row(_) => false,
        };
    }
    let cleared =
        row.overrides.iter().any(|(index, value)| *index == number && matches!(value, Override::Reference(None)));
    !cleared && held(entity, view.value, property, out)
}

/// The value of a property; whether it is not NULL.
fn held(entity: &EntityDef, value: &dyn EntityObject, property: usize, out: &mut BytesMut) -> bool {
    let value = value.property(property);
    if entity.column(property).is_some() {
        return value.encode(out).unwrap_or(false);
    }
    match value.as_reference().map(|reference| reference.target()) {
        Some(ReferenceTarget::Key(key)) => push_key(&key, out),
        _ => false,
    }
}

fn push_key(key: &Key, out: &mut BytesMut) -> bool {
    for part in key.parts() {
        let text = part.to_string();
        out.extend_from_slice(&text.len().to_be_bytes());
        out.extend_from_slice(text.as_bytes());
    }
    true
}
