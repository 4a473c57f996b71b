//! What the database has answered, kept beside the entities until everything has succeeded (rule C3).

use bytes::Bytes;
use rustc_hash::{FxHashMap, FxHashSet};
use tokio_postgres::Row;

use super::change_set::{ChangeKind, ChangeSet, RowChange, Target};
use super::key_changes::{Done, KeysNow};
use super::plan::{Allocation, PlannedStatement};
use crate::driver::Answer;
use crate::error::Error;
use crate::metadata::{EntityDef, Metadata};
use crate::sql;
use crate::types::{Key, KeyPart, RawColumn};

/// Keys, versions and values that the database has made.
#[derive(Default)]
pub(crate) struct Outcome {
    /// By row of the change set: its key, made of what other keys were called when the flush began.
    pub(crate) keys: Vec<Option<Key>>,
    /// Properties of keys that have been changed by now: row and property.
    rekeyed: FxHashSet<(usize, u16)>,
    /// The keys that rows were sent with, where these are not those of the beginning.
    sent: FxHashMap<usize, Key>,
    /// By row: property and binary value, `None` for NULL.
    pub(crate) made: FxHashMap<usize, Vec<(u16, Option<Bytes>)>>,
    /// New rows whose keys are made of other new rows' keys, and not known yet.
    composed: Vec<usize>,
    /// The parts of such keys that the database has made beforehand.
    parts: FxHashMap<usize, KeyPart>,
    /// How many rows that were removed by reference there were.
    pub(crate) removed_rows: u64,
}

impl Outcome {
    /// What is known before anything was sent.
    pub(crate) fn before(metadata: &Metadata, changes: &ChangeSet) -> Self {
        let keys = changes.rows.iter().map(|row| row.key.clone()).collect();
        let composed = changes.rows.iter().enumerate().filter(|(_, row)| is_composed(metadata, row));
        let composed = composed.map(|(position, _)| position).collect();
        Self { keys, composed, ..Self::default() }
    }

    /// The keys of all rows, behind the statements that were sent so far.
    pub(crate) fn now<'a>(&'a self, metadata: &'a Metadata, changes: &'a ChangeSet) -> KeysNow<'a> {
        let done = Done::These(&self.rekeyed);
        KeysNow { metadata, changes, keys: &self.keys, done, behind: None }
    }

    /// The keys that all rows have in the end.
    pub(crate) fn in_the_end<'a>(&'a self, metadata: &'a Metadata, changes: &'a ChangeSet) -> KeysNow<'a> {
        KeysNow { done: Done::Everything, ..self.now(metadata, changes) }
    }

    /// Notes that a statement was bound: the versions that it counts up, and that what comes behind it names the rows as they are
    /// called then.
    ///
    /// # Errors
    /// [`Error::EntityBorrowed`] if this thread holds a write guard of one of the entities.
    pub(crate) fn bound(
        &mut self,
        metadata: &Metadata,
        changes: &ChangeSet,
        statement: &PlannedStatement,
    ) -> Result<(), Error> {
        if let PlannedStatement::Update { entity, rows, .. } = statement {
            self.count_up(&metadata.entities[*entity], changes, rows)?;
        }
        if changes.keys.is_empty() {
            return Ok(());
        }
        match statement {
            PlannedStatement::Insert { rows, .. }
            | PlannedStatement::Update { rows, .. }
            | PlannedStatement::ReadBack { rows, .. } => {
                let now = self.now(metadata, changes);
                let keys = rows.iter().filter_map(|row| Some((*row, now.of_row(*row)?.into_owned())));
                let keys: Vec<(usize, Key)> = keys.collect();
                self.sent.extend(keys);
            }
            _ => {}
        }
        if let PlannedStatement::Update { rows, properties, .. } | PlannedStatement::Advance { rows, properties, .. } =
            statement
        {
            for row in rows {
                let written = changes.rows[*row].new_key.iter().map(|(property, _)| *property);
                let written = written.filter(|property| properties.contains(property));
                self.rekeyed.extend(written.map(|property| (*row, property)));
            }
        }
        Ok(())
    }

    /// The new versions of rows, counted here as the statement counts them.
    fn count_up(&mut self, entity: &EntityDef, changes: &ChangeSet, rows: &[usize]) -> Result<(), Error> {
        let Some(version) = entity.version.filter(|_| !sql::returns_version(entity)) else { return Ok(()) };
        let number = u16::try_from(version).unwrap_or_default();
        for position in rows {
            let mut next = Vec::new();
            changes.rows[*position].cell.read_sent(changes.flush, &mut |view| {
                // It was encoded when the statement was bound.
                let _ = view.baseline.unwrap_or(view.value).property(version).encode(&mut next);
            })?;
            // A number that overflows is refused by the server.
            for byte in next.iter_mut().rev() {
                *byte = byte.wrapping_add(1);
                if *byte != 0 {
                    break;
                }
            }
            self.made.entry(*position).or_default().push((number, Some(next.into())));
        }
        Ok(())
    }

    /// Makes the keys that are made of keys that have become known.
    ///
    /// # Errors
    /// [`Error::EntityBorrowed`] if this thread holds a guard of one of the entities.
    pub(crate) fn compose(&mut self, metadata: &Metadata, changes: &ChangeSet) -> Result<(), Error> {
        loop {
            let pending = std::mem::take(&mut self.composed);
            let before = pending.len();
            for position in pending {
                let part = self.parts.get(&position).cloned();
                let taken = part.as_ref().and_then(|part| {
                    let entity = &metadata.entities[changes.rows[position].entity];
                    Some((entity.key_columns_of(sql::generated_key(entity)?)?.start, part))
                });
                match self.composed_key(metadata, changes, &changes.rows[position], taken)? {
                    Some(key) => self.keys[position] = Some(key),
                    None => self.composed.push(position),
                }
            }
            // Every pass goes one relation deeper: keys of keys.
            if self.composed.len() == before {
                return Ok(());
            }
        }
    }

    /// The key of a row, if all its parts are known; `taken` is the one that the database has made beforehand.
    fn composed_key(
        &self,
        metadata: &Metadata,
        changes: &ChangeSet,
        row: &RowChange,
        taken: Option<(usize, &KeyPart)>,
    ) -> Result<Option<Key>, Error> {
        let entity = &metadata.entities[row.entity];
        let mut parts: Vec<KeyPart> = Vec::with_capacity(entity.key.len());
        row.cell.read_sent(changes.flush, &mut |view| {
            for index in &entity.key_properties {
                let Ok(number) = u16::try_from(*index) else { continue };
                if entity.column(*index).is_some() {
                    match taken {
                        Some((at, part)) if at == parts.len() => parts.push(part.clone()),
                        _ => parts.extend(row.value(&view, number).key_part()),
                    }
                    continue;
                }
                let key = match row.target(number) {
                    Target::Null => None,
                    Target::Key(key) => Some(key),
                    Target::Row(row) => self.keys[*row].as_ref(),
                };
                parts.extend(key.into_iter().flat_map(Key::parts).cloned());
            }
        })?;
        Ok(if parts.len() == entity.key.len() { Key::from_parts(parts) } else { None })
    }

    /// Takes in keys that were made for new rows before these are inserted, one a row.
    pub(crate) fn allocate(
        &mut self,
        metadata: &Metadata,
        changes: &ChangeSet,
        allocation: &Allocation,
        parts: Vec<KeyPart>,
    ) -> Result<(), Error> {
        let entity = &metadata.entities[allocation.entity];
        let range = entity.key_columns_of(allocation.property).unwrap_or_default();
        for (position, part) in allocation.rows.iter().zip(parts) {
            if entity.key.len() == 1 {
                self.keys[*position] = Some(Key::One(part));
                continue;
            }
            let row = &changes.rows[*position];
            match self.composed_key(metadata, changes, row, Some((range.start, &part)))? {
                Some(key) => self.keys[*position] = Some(key),
                None => {
                    self.parts.insert(*position, part);
                    self.composed.push(*position);
                }
            }
        }
        Ok(())
    }

    /// Takes in the answer to a planned statement, of which `rows` is the part that was sent.
    ///
    /// # Errors
    /// If the server wrote another number of rows than it was asked to, or other ones (rule C5).
    pub(crate) fn take(
        &mut self,
        metadata: &Metadata,
        statement: &PlannedStatement,
        rows: &[usize],
        answer: &Answer,
    ) -> Result<(), Error> {
        match statement {
            PlannedStatement::Insert { entity, returning, makes_keys, .. } => {
                self.inserted(&metadata.entities[*entity], returning, *makes_keys, rows, answer)
            }
            PlannedStatement::Update { entity, .. } => self.updated(&metadata.entities[*entity], rows, &answer.rows),
            PlannedStatement::ReadBack { entity, properties, .. } => {
                self.by_key(&metadata.entities[*entity], properties, rows, &answer.rows)
            }
            PlannedStatement::DeleteRows { .. } => {
                self.removed_rows += answer.affected;
                Ok(())
            }
            // These fail by themselves if they do not find a row, or have nothing to find.
            PlannedStatement::Delete { .. }
            | PlannedStatement::Together { .. }
            | PlannedStatement::Park { .. }
            | PlannedStatement::Advance { .. }
            | PlannedStatement::Constraints { .. }
            | PlannedStatement::Link { .. }
            | PlannedStatement::Place { .. }
            | PlannedStatement::Unlink { .. }
            | PlannedStatement::Clear { .. } => Ok(()),
        }
    }

    fn inserted(
        &mut self,
        entity: &EntityDef,
        returning: &[u16],
        makes_keys: bool,
        rows: &[usize],
        answer: &Answer,
    ) -> Result<(), Error> {
        if !makes_keys && returning.is_empty() {
            return Ok(());
        }
        if rows.len() != answer.rows.len() {
            return Err(not_as_it_is(entity));
        }
        if !makes_keys {
            return self.by_key(entity, returning, rows, &answer.rows);
        }
        // The server made the keys in the order of the rows; RETURNING promises no order.
        let mut keyed = Vec::with_capacity(answer.rows.len());
        for row in &answer.rows {
            keyed.push((key_of(entity, row)?, row));
        }
        if !keyed.is_sorted_by(|one, two| one.0 < two.0) {
            keyed.sort_by(|one, two| one.0.cmp(&two.0));
        }
        for (position, (key, row)) in rows.iter().zip(keyed) {
            self.keys[*position] = Some(key);
            self.keep(entity, *position, returning, row);
        }
        Ok(())
    }

    /// Pairs what was returned with the rows by their keys.
    fn by_key(&mut self, entity: &EntityDef, properties: &[u16], rows: &[usize], answer: &[Row]) -> Result<(), Error> {
        let mut by_key: FxHashMap<Key, &Row> = FxHashMap::default();
        for row in answer {
            by_key.insert(key_of(entity, row)?, row);
        }
        for position in rows {
            let sent = self.sent.get(position).or(self.keys[*position].as_ref());
            let row = sent.and_then(|key| by_key.get(key));
            let Some(row) = row else {
                let message = format!("the server returned another key than was written to {}", entity.table);
                return Err(Error::validation(entity.meta.name, message));
            };
            self.keep(entity, *position, properties, row);
        }
        Ok(())
    }

    /// The new versions of rows that were updated, where the statement answers with them.
    fn updated(&mut self, entity: &EntityDef, rows: &[usize], answer: &[Row]) -> Result<(), Error> {
        match entity.version.map(u16::try_from) {
            Some(Ok(version)) if sql::returns_version(entity) => self.by_key(entity, &[version], rows, answer),
            _ => Ok(()),
        }
    }

    /// Keeps the columns behind the key.
    fn keep(&mut self, entity: &EntityDef, position: usize, properties: &[u16], row: &Row) {
        if properties.is_empty() {
            return;
        }
        let made = properties
            .iter()
            .enumerate()
            .map(|(index, property)| (*property, raw(row, entity.key.len() + index).map(Bytes::copy_from_slice)));
        self.made.insert(position, made.collect());
    }
}

/// The error that names stale rows (rule C9).
pub(crate) fn stale(metadata: &Metadata, changes: &ChangeSet, rows: &[usize]) -> Error {
    let name = |row: &RowChange| {
        let name = metadata.entities[row.entity].meta.name;
        row.key.as_ref().map_or_else(|| name.to_owned(), |key| format!("{name}#{key}"))
    };
    Error::OptimisticLock { entities: rows.iter().filter_map(|row| changes.rows.get(*row)).map(name).collect() }
}

/// The error for an INSERT that was kept from inserting its rows (rule C5).
pub(crate) fn suppressed(metadata: &Metadata, statement: &PlannedStatement) -> Error {
    match statement {
        PlannedStatement::Insert { entity, .. } => not_as_it_is(&metadata.entities[*entity]),
        PlannedStatement::Together { parts } if !parts.is_empty() => suppressed(metadata, &parts[0]),
        _ => Error::OptimisticLock { entities: Vec::new() },
    }
}

fn not_as_it_is(entity: &EntityDef) -> Error {
    let message =
        format!("not every row of {} was inserted as it is: a trigger or rule suppresses rows", entity.meta.name);
    Error::validation(entity.meta.name, message)
}

/// The keys of an entity that are the first columns of an answer.
///
/// # Errors
/// If they are not such keys.
pub(crate) fn keys_in(metadata: &Metadata, entity: usize, answer: &Answer) -> Result<FxHashSet<Key>, Error> {
    answer.rows.iter().map(|row| key_of(&metadata.entities[entity], row)).collect()
}

/// Whether a row gets its key from the rows that it refers to, and not from the database.
fn is_composed(metadata: &Metadata, row: &RowChange) -> bool {
    let key = &metadata.entities[row.entity].key_properties;
    let written = |index: &usize| u16::try_from(*index).is_ok_and(|number| row.properties.contains(&number));
    row.kind == ChangeKind::Insert && row.key.is_none() && key.iter().all(written)
}

pub(super) fn raw(row: &Row, index: usize) -> Option<&[u8]> {
    row.try_get::<usize, RawColumn<'_>>(index).ok().and_then(|column| column.0)
}

/// The key in the first columns of a row.
pub(super) fn key_of(entity: &EntityDef, row: &Row) -> Result<Key, Error> {
    if let [column] = entity.key.as_slice()
        && let Some(part) = raw(row, 0).and_then(|raw| KeyPart::decode(column.pg, raw))
    {
        return Ok(Key::One(part));
    }
    let parts = entity
        .key
        .iter()
        .enumerate()
        .map(|(index, column)| raw(row, index).and_then(|raw| KeyPart::decode(column.pg, raw)));
    parts.collect::<Option<Vec<_>>>().and_then(Key::from_parts).ok_or_else(|| Error::Conversion {
        entity: entity.meta.name,
        column: entity.key.first().map(|column| column.name.clone()).unwrap_or_default(),
        message: "the key that the server returned is NULL or of another type".to_owned(),
    })
}
