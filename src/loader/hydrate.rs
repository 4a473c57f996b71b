//! From rows to entities: each row's entity is found in the identity map, or made and put there.
//!
//! Rows are taken in as they arrive, some at a time: their buffers are free again before the next ones come.

use std::sync::Arc;

use indexmap::map::Entry;
use rustc_hash::FxHashSet;
use tokio_postgres::Row;
use tokio_postgres::types::Type;

use crate::error::Error;
use crate::metadata::{AnyCell, EntityDef, EntityObject, KeyColumnDef, PropertyDef, address};
use crate::sql::{Sight, View};
use crate::types::{Fields, Key, KeyPart, RowReader, RowView};
use crate::unit_of_work::{UnitOfWork, forget_lazy, merge};

/// Takes in rows that have the columns of an entity from some offset on.
pub(crate) struct Hydrator<'a> {
    graph: &'a Arc<UnitOfWork>,
    entity: &'a EntityDef,
    /// Where the entity's columns stand.
    offset: usize,
    /// Whether fields that were changed are overwritten: a refresh.
    overwrite: bool,
    /// Whether the rows are those that a statement has written.
    is_written: bool,
    keep: Keep,
    /// How many entities of the type there were at the beginning: those behind them were made since, of rows that say
    /// nothing else than the ones to come.
    known: usize,
    types_checked: bool,
    fresh: bool,
    /// Whether entities that were there already stay as they are: the rows are older than these may be.
    is_outdated: bool,
    cells: Vec<Arc<dyn AnyCell>>,
    seen: FxHashSet<usize>,
    /// The addresses of entities that were there already and have taken in a row: the rows of one result agree, so a join
    /// that repeats an entity has nothing new to say of it.
    merged: FxHashSet<usize>,
    /// The filters that the rows are read through.
    sight: Option<Sight>,
    /// How many rows there may be more: what a limit says.
    expected: usize,
}

/// Which entities are asked for afterwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keep {
    /// One for each row, in their order. No row is without.
    EachRow,
    /// Each once; rows may be without.
    Distinct,
    /// None; rows may be without.
    Nothing,
}

impl<'a> Hydrator<'a> {
    pub(crate) fn new(graph: &'a Arc<UnitOfWork>, entity: &'a EntityDef, overwrite: bool) -> Self {
        Self::at(graph, entity, 0, Keep::EachRow, overwrite)
    }

    /// For columns that stand behind others.
    pub(crate) fn at(
        graph: &'a Arc<UnitOfWork>,
        entity: &'a EntityDef,
        offset: usize,
        keep: Keep,
        overwrite: bool,
    ) -> Self {
        let known = graph.map.lock().of(entity.index).len();
        Self {
            graph,
            entity,
            offset,
            overwrite,
            is_written: false,
            keep,
            known,
            types_checked: false,
            fresh: true,
            is_outdated: false,
            cells: Vec::new(),
            seen: FxHashSet::default(),
            merged: FxHashSet::default(),
            sight: None,
            expected: 0,
        }
    }

    /// Notes how many rows there are at most, to make room for them.
    pub(crate) fn expect(&mut self, rows: u64) {
        self.expected = usize::try_from(rows).unwrap_or_default();
    }

    /// Notes that the rows are those that a statement has written.
    pub(crate) fn written(self) -> Self {
        Self { is_written: true, ..self }
    }

    /// Notes that the rows are read through the filters of a view.
    pub(crate) fn through(self, view: &View) -> Self {
        Self { sight: view.sight(self.entity.index).cloned(), ..self }
    }

    /// Notes that the rows may be outdated: what is loaded already knows better.
    pub(crate) const fn outdate(&mut self) {
        self.is_outdated = true;
    }

    /// The entities of the rows so far, and whether all of them were made of these rows.
    pub(crate) fn finish(self) -> (Vec<Arc<dyn AnyCell>>, bool) {
        (self.cells, self.fresh)
    }

    /// Compares the result's column types with the fields' once a result, not once a value.
    ///
    /// # Errors
    /// [`Error::Conversion`] if a column is of another type than its field.
    pub(crate) fn check(&mut self, type_of: &dyn Fn(usize) -> Option<Type>) -> Result<(), Error> {
        if !std::mem::replace(&mut self.types_checked, true) {
            check_types(self.entity, &|column| type_of(self.offset + column))?;
        }
        Ok(())
    }

    /// Takes in some rows of a result.
    ///
    /// # Errors
    /// As [`check`](Self::check) and [`take`](Self::take).
    pub(crate) fn take_rows(&mut self, rows: &[Row]) -> Result<(), Error> {
        let Some(first) = rows.first() else { return Ok(()) };
        self.check(&|column| first.columns().get(column).map(|column| column.type_().clone()))?;
        let views: Vec<RowView<'_>> = rows.iter().map(RowView::Row).collect();
        self.take(&views)
    }

    /// Takes in some rows.
    ///
    /// # Errors
    /// [`Error::Conversion`] if a value cannot be read into its field; [`Error::EntityBorrowed`] if this thread holds a guard
    /// of an entity that a row would change. Entities of rows before the one that failed stay in the identity map: they are
    /// as the database has them.
    pub(crate) fn take(&mut self, rows: &[RowView<'_>]) -> Result<(), Error> {
        let (graph, entity, offset) = (self.graph, self.entity, self.offset);
        let how = (self.overwrite, self.is_written);
        let (mut made, mut known) = (Vec::new(), Vec::new());
        let outcome = self.look_up(rows, &mut made, &mut known);
        if let Some(sight) = &self.sight {
            graph.sights.add(entity.index, sight, rows.iter().filter_map(|row| key_at(entity, *row, offset)));
        }
        // What was made is in the identity map, also if a later row failed: the scope must know of it to take it back.
        graph.tracker.loaded(&made);
        outcome?;
        if self.is_outdated {
            return Ok(());
        }
        let mut space = Vec::new();
        for (cell, row) in known {
            let fields = row.fields(offset, entity.width, &mut space);
            let mut reader = RowReader::new(fields, row, offset, entity.meta.name);
            let fresh = (entity.meta.hydrate)(&mut reader, key_of(entity, fields)?, graph.link())?;
            let mut merged = Ok(());
            fresh.read(&mut |view| merged = take_in(graph, entity, &cell, view.value, how))?;
            merged?;
        }
        Ok(())
    }

    /// Finds or makes the entity of each row. `made` gets those that were not there, if the scope has to know of them;
    /// `known` those that were: they are merged when the map's lock is released, for that takes their own locks.
    fn look_up<'r>(
        &mut self,
        rows: &[RowView<'r>],
        made: &mut Vec<Arc<dyn AnyCell>>,
        known: &mut Vec<(Arc<dyn AnyCell>, RowView<'r>)>,
    ) -> Result<(), Error> {
        let (graph, entity, offset, keep) = (self.graph, self.entity, self.offset, self.keep);
        let keep_made = graph.tracker.keeps_reads();
        let mut map = graph.map.lock();
        let by_key = map.of(entity.index);
        if keep == Keep::EachRow {
            // A limit may be far beyond the rows that there are: it is believed by and by.
            let most = 4 * (self.cells.len() + rows.len());
            let room = rows.len().max(self.expected.min(most));
            self.expected = self.expected.saturating_sub(rows.len());
            if self.cells.capacity() < self.cells.len() + rows.len() {
                self.cells.reserve(room);
            }
            if by_key.capacity() < by_key.len() + rows.len() {
                by_key.reserve(room);
            }
        }
        let mut space = Vec::with_capacity(entity.width);
        for row in rows {
            let fields = row.fields(offset, entity.width, &mut space);
            let key = match key_in_fields(entity, fields) {
                Some(key) => key,
                None if keep == Keep::EachRow => return Err(no_key(entity)),
                None => continue,
            };
            let cell = match by_key.entry(key) {
                Entry::Occupied(entry) => {
                    if entry.index() < self.known {
                        self.fresh = false;
                        if self.merged.insert(address(entry.get())) {
                            known.push((Arc::clone(entry.get()), *row));
                        }
                    }
                    if keep == Keep::Nothing {
                        continue;
                    }
                    Arc::clone(entry.get())
                }
                Entry::Vacant(entry) => {
                    let key = entry.key().clone();
                    let mut reader = RowReader::new(fields, *row, offset, entity.meta.name);
                    let cell = (entity.meta.hydrate)(&mut reader, key, graph.link())?;
                    if keep_made {
                        made.push(Arc::clone(&cell));
                    }
                    if keep == Keep::Nothing {
                        entry.insert(cell);
                        continue;
                    }
                    Arc::clone(entry.insert(cell))
                }
            };
            if keep == Keep::EachRow || self.seen.insert(address(&cell)) {
                self.cells.push(cell);
            }
        }
        Ok(())
    }
}

/// Takes a row into its entity. One that was stale is not any more, and pending changes are then made on this row, if nobody else has
/// written it.
fn take_in(
    graph: &UnitOfWork,
    entity: &EntityDef,
    cell: &Arc<dyn AnyCell>,
    fresh: &dyn EntityObject,
    (overwrite, is_written): (bool, bool),
) -> Result<(), Error> {
    merge(graph, entity, cell, fresh, overwrite)?;
    if is_written || cell.is_stale() {
        forget_lazy(graph, entity, cell, fresh)?;
    }
    if cell.is_stale() {
        graph.adopt_own_version(entity, cell, fresh)?;
        cell.set_stale(false);
    }
    Ok(())
}

/// The key that stands in these columns; `None` if one of them is NULL.
pub(super) fn key_in<'c>(
    row: RowView<'_>,
    columns: impl IntoIterator<Item = (usize, &'c KeyColumnDef)>,
) -> Option<Key> {
    key_of_columns(columns, &|index| row.raw(index).ok().flatten())
}

/// The key of the entity whose columns begin at an offset; `None` if there is none.
pub(super) fn key_at(entity: &EntityDef, row: RowView<'_>, offset: usize) -> Option<Key> {
    key_in(row, entity.key_offsets.iter().map(|column| offset + column).zip(&entity.key))
}

/// The key of the entity whose fields these are; `None` if there is none.
fn key_in_fields(entity: &EntityDef, fields: &Fields<'_>) -> Option<Key> {
    key_of_columns(entity.key_offsets.iter().copied().zip(&entity.key), &|index| fields.get(index).copied().flatten())
}

fn key_of_columns<'c, 'r>(
    columns: impl IntoIterator<Item = (usize, &'c KeyColumnDef)>,
    raw: &impl Fn(usize) -> Option<&'r [u8]>,
) -> Option<Key> {
    let part = |(index, column): (usize, &KeyColumnDef)| KeyPart::decode(column.pg, raw(index)?);
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

fn key_of(entity: &EntityDef, fields: &Fields<'_>) -> Result<Key, Error> {
    key_in_fields(entity, fields).ok_or_else(|| no_key(entity))
}

#[cold]
fn no_key(entity: &EntityDef) -> Error {
    Error::Conversion {
        entity: entity.meta.name,
        column: entity.key.first().map(|column| column.name.clone()).unwrap_or_default(),
        message: "the key is NULL or of another type".to_owned(),
    }
}

fn check_types(entity: &EntityDef, type_of: &dyn Fn(usize) -> Option<Type>) -> Result<(), Error> {
    let check = |index: usize, name: &str, accepts: &[u32], expected: &str| {
        let Some(found) = type_of(index) else { return Ok(()) };
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
            PropertyDef::Column(column) if column.meta.lazy => {}
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
