//! Rows that come back from statements past the unit of work: they become managed, and are paired with what was sent by the
//! position that the server answers with (rule C5).

use std::sync::Arc;

use tokio_postgres::Row;

use crate::driver::Answer;
use crate::error::Error;
use crate::loader::Hydrator;
use crate::metadata::{AnyCell, EntityDef};
use crate::types::RawColumn;
use crate::unit_of_work::UnitOfWork;

/// The entities of the rows that were sent, as far as they have come back.
pub(super) struct WrittenRows<'a> {
    graph: &'a Arc<UnitOfWork>,
    entity: &'a EntityDef,
    cells: Vec<Option<Arc<dyn AnyCell>>>,
}

impl<'a> WrittenRows<'a> {
    pub(super) fn new(graph: &'a Arc<UnitOfWork>, entity: &'a EntityDef, count: usize) -> Self {
        Self { graph, entity, cells: vec![None; count] }
    }

    /// Takes in an answer whose columns are those of the entity, the position of the row in the statement, and whether it was
    /// written. `rows` says which of all rows the statement had.
    ///
    /// # Errors
    /// As [`Hydrator::take`].
    pub(super) fn take(&mut self, rows: &[usize], answer: &Answer) -> Result<(), Error> {
        let mut hydrator = Hydrator::new(self.graph, self.entity, false).written();
        hydrator.take_rows(&answer.rows)?;
        for (row, cell) in answer.rows.iter().zip(hydrator.finish().0) {
            if raw(row, self.entity.width + 1) == Some(&[1]) {
                take_version(self.graph, self.entity, row, &cell)?;
            }
            let position = raw(row, self.entity.width).and_then(|raw| raw.try_into().ok()).map(i64::from_be_bytes);
            let position = position.and_then(|position| usize::try_from(position).ok()?.checked_sub(1));
            if let Some(place) = position.and_then(|position| self.cells.get_mut(*rows.get(position)?)) {
                *place = Some(cell);
            }
        }
        Ok(())
    }

    /// Which rows have not come back.
    pub(super) fn missing(&self) -> Vec<usize> {
        self.cells.iter().enumerate().filter(|(_, cell)| cell.is_none()).map(|(index, _)| index).collect()
    }

    /// All entities; `None` if one is missing.
    pub(super) fn into_cells(self) -> Option<Vec<Arc<dyn AnyCell>>> {
        self.cells.into_iter().collect()
    }
}

/// The entities of rows that a statement has written, whose columns are those of the entity.
///
/// # Errors
/// As [`Hydrator::take`].
pub(in crate::manager) fn managed_rows(
    graph: &Arc<UnitOfWork>,
    entity: &EntityDef,
    answer: &Answer,
) -> Result<Vec<Arc<dyn AnyCell>>, Error> {
    let mut hydrator = Hydrator::new(graph, entity, false).written();
    hydrator.take_rows(&answer.rows)?;
    let cells = hydrator.finish().0;
    for (row, cell) in answer.rows.iter().zip(&cells) {
        take_version(graph, entity, row, cell)?;
    }
    Ok(cells)
}

/// The version of an entity with pending changes is that of the row, if nobody else has written it in between.
fn take_version(graph: &UnitOfWork, entity: &EntityDef, row: &Row, cell: &Arc<dyn AnyCell>) -> Result<(), Error> {
    let column = entity.version.and_then(|version| entity.column(version));
    column.map_or(Ok(()), |column| graph.adopt_written_version(entity, cell, raw(row, column.offset)))
}

fn raw(row: &Row, index: usize) -> Option<&[u8]> {
    row.try_get::<usize, RawColumn<'_>>(index).ok().and_then(|column| column.0)
}
