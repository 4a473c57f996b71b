//! What the database has answered, kept beside the entities until everything has succeeded (rule C3).

use bytes::Bytes;
use rustc_hash::{FxHashMap, FxHashSet};
use tokio_postgres::Row;

use super::change_set::{ChangeKind, ChangeSet, RowChange, Target};
use super::plan::PlannedStatement;
use crate::error::Error;
use crate::metadata::{EntityDef, Metadata};
use crate::types::{Key, KeyPart, RawColumn};

/// Keys, versions and values that the database has made.
#[derive(Default)]
pub(crate) struct Outcome {
    /// By row of the change set.
    pub(crate) keys: Vec<Option<Key>>,
    /// By row: property and binary value, `None` for NULL.
    pub(crate) made: FxHashMap<usize, Vec<(u16, Option<Bytes>)>>,
    /// New rows whose keys are made of other new rows' keys, and not known yet.
    composed: Vec<usize>,
    stale: Vec<String>,
}

impl Outcome {
    /// What is known before anything was sent.
    pub(crate) fn before(metadata: &Metadata, changes: &ChangeSet) -> Self {
        let keys = changes.rows.iter().map(|row| row.key.clone()).collect();
        let composed = changes.rows.iter().enumerate().filter(|(_, row)| is_composed(metadata, row));
        let composed = composed.map(|(position, _)| position).collect();
        Self { keys, made: FxHashMap::default(), composed, stale: Vec::new() }
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
                match self.composed_key(metadata, changes, &changes.rows[position])? {
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

    fn composed_key(&self, metadata: &Metadata, changes: &ChangeSet, row: &RowChange) -> Result<Option<Key>, Error> {
        let entity = &metadata.entities[row.entity];
        let mut parts: Vec<KeyPart> = Vec::with_capacity(entity.key.len());
        row.cell.read_sent(changes.flush, &mut |view| {
            for index in &entity.key_properties {
                let Ok(number) = u16::try_from(*index) else { continue };
                if entity.column(*index).is_some() {
                    parts.extend(row.value(&view, number).key_part());
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

    /// Takes in the answer to a planned statement, of which `rows` is the part that was sent.
    ///
    /// # Errors
    /// If the server wrote another number of rows than it was asked to (rules C5, C9).
    pub(crate) fn take(
        &mut self,
        metadata: &Metadata,
        changes: &ChangeSet,
        statement: &PlannedStatement,
        rows: &[usize],
        answer: &[Row],
    ) -> Result<(), Error> {
        match statement {
            PlannedStatement::Insert { entity, returning, makes_keys, .. } => {
                self.inserted(&metadata.entities[*entity], returning, *makes_keys, rows, answer)
            }
            PlannedStatement::Update { entity, .. } => {
                let entity = &metadata.entities[*entity];
                self.found(entity, changes, rows, answer, entity.version);
                Ok(())
            }
            PlannedStatement::Delete { entity, .. } => {
                self.found(&metadata.entities[*entity], changes, rows, answer, None);
                Ok(())
            }
            PlannedStatement::Link { .. } | PlannedStatement::Unlink { .. } | PlannedStatement::Clear { .. } => Ok(()),
        }
    }

    /// Whether every row that was to be changed was there.
    ///
    /// # Errors
    /// [`Error::OptimisticLock`] with all that were not.
    pub(crate) fn check(&mut self) -> Result<(), Error> {
        if self.stale.is_empty() {
            return Ok(());
        }
        Err(Error::OptimisticLock { entities: std::mem::take(&mut self.stale) })
    }

    fn inserted(
        &mut self,
        entity: &EntityDef,
        returning: &[u16],
        makes_keys: bool,
        rows: &[usize],
        answer: &[Row],
    ) -> Result<(), Error> {
        if rows.len() != answer.len() {
            let message = format!(
                "{} rows of {} were to be inserted, and the server inserted {}: a trigger or rule suppresses rows",
                rows.len(),
                entity.meta.name,
                answer.len()
            );
            return Err(Error::validation(entity.meta.name, message));
        }
        if !makes_keys && returning.is_empty() {
            return Ok(());
        }
        let mut keyed = Vec::with_capacity(answer.len());
        for row in answer {
            keyed.push((key_of(entity, row)?, row));
        }
        if makes_keys {
            // The server made the keys in the order of the rows; RETURNING promises no order.
            keyed.sort_by(|one, two| one.0.cmp(&two.0));
            for (position, (key, row)) in rows.iter().zip(keyed) {
                self.keys[*position] = Some(key);
                self.keep(entity, *position, returning, row);
            }
            return Ok(());
        }
        let by_key: FxHashMap<Key, &Row> = keyed.into_iter().collect();
        for position in rows {
            let row = self.keys[*position].as_ref().and_then(|key| by_key.get(key));
            let Some(row) = row else {
                let message = format!("the server returned another key than was inserted into {}", entity.table);
                return Err(Error::validation(entity.meta.name, message));
            };
            self.keep(entity, *position, returning, row);
        }
        Ok(())
    }

    /// Keeps the columns behind the key.
    fn keep(&mut self, entity: &EntityDef, position: usize, properties: &[u16], row: &Row) {
        let made = properties
            .iter()
            .enumerate()
            .map(|(index, property)| (*property, raw(row, entity.key.len() + index).map(Bytes::copy_from_slice)));
        let made: Vec<_> = made.collect();
        if !made.is_empty() {
            self.made.insert(position, made);
        }
    }

    /// Pairs the rows that an UPDATE or DELETE has found with those it was to find.
    fn found(
        &mut self,
        entity: &EntityDef,
        changes: &ChangeSet,
        rows: &[usize],
        answer: &[Row],
        version: Option<usize>,
    ) {
        if version.is_none() && rows.len() == answer.len() {
            return;
        }
        let mut found: FxHashMap<Key, &Row> = FxHashMap::default();
        for row in answer {
            if let Ok(key) = key_of(entity, row) {
                found.insert(key, row);
            }
        }
        let mut seen = FxHashSet::default();
        for position in rows {
            let Some(key) = &changes.rows[*position].key else { continue };
            let Some(row) = found.get(key) else {
                if seen.insert(key) {
                    self.stale.push(format!("{}#{key}", entity.meta.name));
                }
                continue;
            };
            if let Some(version) = version.and_then(|version| u16::try_from(version).ok()) {
                self.keep(entity, *position, &[version], row);
            }
        }
    }
}

/// Whether a row gets its key from the rows that it refers to, and not from the database.
fn is_composed(metadata: &Metadata, row: &RowChange) -> bool {
    let key = &metadata.entities[row.entity].key_properties;
    let written = |index: &usize| u16::try_from(*index).is_ok_and(|number| row.properties.contains(&number));
    row.kind == ChangeKind::Insert && row.key.is_none() && key.iter().all(written)
}

fn raw(row: &Row, index: usize) -> Option<&[u8]> {
    row.try_get::<usize, RawColumn<'_>>(index).ok().and_then(|column| column.0)
}

/// The key in the first columns of a row.
fn key_of(entity: &EntityDef, row: &Row) -> Result<Key, Error> {
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
