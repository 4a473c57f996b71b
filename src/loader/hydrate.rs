//! From rows to entities: each row's entity is found in the identity map, or made and put there.
//!
//! Rows are taken in as they arrive, some at a time: their buffers are free again before the next ones come.

use std::sync::Arc;

use indexmap::map::Entry;
use rustc_hash::FxHashSet;
use tokio_postgres::Row;

use crate::error::Error;
use crate::metadata::{AnyCell, EntityDef, KeyColumnDef, PropertyDef, address};
use crate::types::{Key, KeyPart, RawColumn, RowReader};
use crate::unit_of_work::{UnitOfWork, merge};

/// Takes in rows whose first columns are those of an entity's SELECT list.
pub(crate) struct Hydrator<'a> {
    graph: &'a Arc<UnitOfWork>,
    entity: &'a EntityDef,
    /// Whether fields that were changed are overwritten: a refresh.
    overwrite: bool,
    types_checked: bool,
    cells: Vec<Arc<dyn AnyCell>>,
    /// The addresses of entities that were there already and have taken in a row: the rows of one result agree, so a join
    /// that repeats an entity has nothing new to say of it.
    merged: FxHashSet<usize>,
}

impl<'a> Hydrator<'a> {
    pub(crate) fn new(graph: &'a Arc<UnitOfWork>, entity: &'a EntityDef, overwrite: bool) -> Self {
        Self { graph, entity, overwrite, types_checked: false, cells: Vec::new(), merged: FxHashSet::default() }
    }

    /// The entities of the rows so far, in their order.
    pub(crate) fn into_cells(self) -> Vec<Arc<dyn AnyCell>> {
        self.cells
    }

    /// Takes in some rows.
    ///
    /// # Errors
    /// [`Error::Conversion`] if a column is of another type than its field, or a value cannot be read into it;
    /// [`Error::EntityBorrowed`] if this thread holds a guard of an entity that a row would change. Entities of rows before
    /// the one that failed stay in the identity map: they are as the database has them.
    pub(crate) fn take(&mut self, rows: &[Row]) -> Result<(), Error> {
        let Some(first) = rows.first() else { return Ok(()) };
        if !self.types_checked {
            check_types(self.entity, first)?;
            self.types_checked = true;
        }
        let (graph, entity) = (self.graph, self.entity);
        let mut found = Found { cells: &mut self.cells, merged: &mut self.merged, made: Vec::new(), known: Vec::new() };
        let outcome = found.look_up(graph, entity, rows);
        let Found { made, known, .. } = found;
        // What was made is in the identity map, also if a later row failed: the scope must know of it to take it back.
        graph.tracker.loaded(&made);
        outcome?;
        for (position, row) in known {
            let mut reader = RowReader::new(row, 0, entity.meta.name);
            let fresh = (entity.meta.hydrate)(&mut reader, key_of(entity, row)?, graph.link())?;
            let mut merged = Ok(());
            let cell = &self.cells[position];
            fresh.read(&mut |view| merged = merge(graph, entity, cell, view.value, self.overwrite))?;
            merged?;
        }
        Ok(())
    }
}

/// The entities of some rows.
struct Found<'a, 'c> {
    cells: &'c mut Vec<Arc<dyn AnyCell>>,
    merged: &'c mut FxHashSet<usize>,
    /// Those that were not there, if the scope has to know of them.
    made: Vec<Arc<dyn AnyCell>>,
    /// Which of the entities were there already: they are merged when the map's lock is released, for that takes their
    /// own locks.
    known: Vec<(usize, &'a Row)>,
}

impl<'a> Found<'a, '_> {
    /// Finds or makes the entity of each row.
    fn look_up(&mut self, graph: &Arc<UnitOfWork>, entity: &EntityDef, rows: &'a [Row]) -> Result<(), Error> {
        self.cells.reserve(rows.len());
        let keep_made = graph.tracker.keeps_reads();
        let mut map = graph.map.lock();
        let by_key = map.of(entity.index);
        for row in rows {
            match by_key.entry(key_of(entity, row)?) {
                Entry::Occupied(entry) => {
                    if self.merged.insert(address(entry.get())) {
                        self.known.push((self.cells.len(), row));
                    }
                    self.cells.push(Arc::clone(entry.get()));
                }
                Entry::Vacant(entry) => {
                    let key = entry.key().clone();
                    let mut reader = RowReader::new(row, 0, entity.meta.name);
                    let cell = (entity.meta.hydrate)(&mut reader, key, graph.link())?;
                    if keep_made {
                        self.made.push(Arc::clone(&cell));
                    }
                    self.cells.push(Arc::clone(entry.insert(cell)));
                }
            }
        }
        Ok(())
    }
}

/// The bytes of a column.
fn raw(row: &Row, index: usize) -> Option<&[u8]> {
    row.try_get::<usize, RawColumn<'_>>(index).ok().and_then(|column| column.0)
}

/// The key that stands in these columns; `None` if one of them is NULL.
pub(super) fn key_in<'c>(row: &Row, columns: impl IntoIterator<Item = (usize, &'c KeyColumnDef)>) -> Option<Key> {
    let part = |(offset, column): (usize, &KeyColumnDef)| KeyPart::decode(column.pg, raw(row, offset)?);
    let mut columns = columns.into_iter();
    let first = part(columns.next()?)?;
    // Most keys have one column: they need no list.
    let Some(second) = columns.next() else { return Some(Key::One(first)) };
    let mut parts = vec![first, part(second)?];
    for column in columns {
        parts.push(part(column)?);
    }
    Key::from_parts(parts)
}

fn key_of(entity: &EntityDef, row: &Row) -> Result<Key, Error> {
    let columns = entity.key_offsets.iter().copied().zip(&entity.key);
    key_in(row, columns).ok_or_else(|| Error::Conversion {
        entity: entity.meta.name,
        column: entity.key.first().map(|column| column.name.clone()).unwrap_or_default(),
        message: "the key is NULL or of another type".to_owned(),
    })
}

/// Compares the result's column types with the fields' once a result, not once a value.
fn check_types(entity: &EntityDef, row: &Row) -> Result<(), Error> {
    let columns = row.columns();
    let check = |index: usize, name: &str, accepts: &[u32], expected: &str| {
        let Some(column) = columns.get(index) else { return Ok(()) };
        let found = column.type_();
        if accepts.contains(&found.oid()) {
            return Ok(());
        }
        Err(Error::Conversion {
            entity: entity.meta.name,
            column: name.to_owned(),
            message: format!(
                "the column is {}, and the field is read as {expected}: change the field's type, or give the column's \
                 type with sql_type",
                found.name()
            ),
        })
    };
    for property in &entity.properties {
        match property {
            PropertyDef::Column(column) => {
                check(column.offset, &column.name, column.meta.accepts, column.meta.pg.name)?;
            }
            PropertyDef::Relation(relation) => {
                for (index, column) in relation.columns.iter().enumerate() {
                    let text = column.pg.oid == 25;
                    let accepts: &[u32] = if text { &[25, 1043, 1042, 19] } else { &[column.pg.oid] };
                    check(relation.offset + index, &column.name, accepts, column.pg.name)?;
                }
            }
        }
    }
    Ok(())
}
