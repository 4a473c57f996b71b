//! From rows to values that are no entities: the columns are compared with what is wanted once a result, and every row is
//! read into a value of its own. The identity map is not asked (rule E5).

use std::borrow::Cow;

use tokio_postgres::types::Type;
use tokio_postgres::{Column, Row};

use crate::error::Error;
use crate::types::{ColumnReader, ExpectedRow, FromRow, RowView};

/// What reads a row.
pub(crate) type ReadRow<O> = fn(&mut ColumnReader<'_>) -> Result<O, Error>;

/// Takes in rows as they arrive.
pub(crate) struct RowIntake<O> {
    expected: ExpectedRow,
    read: ReadRow<O>,
    /// What is read, for messages.
    subject: &'static str,
    /// Whether the SELECT list was written for what is read: its columns are in order, and optional groups are marked.
    selected: bool,
    /// Where the columns are, once the first row was seen.
    order: Option<Option<Vec<usize>>>,
    rows: Vec<O>,
}

impl<O> RowIntake<O> {
    /// Of rows whose SELECT list was written for what is read.
    pub(crate) const fn selected(expected: ExpectedRow, read: ReadRow<O>, subject: &'static str) -> Self {
        Self { expected, read, subject, selected: true, order: None, rows: Vec::new() }
    }

    /// The values of the rows so far.
    pub(crate) fn into_rows(self) -> Vec<O> {
        self.rows
    }

    /// Takes in some rows.
    ///
    /// # Errors
    /// [`Error::Conversion`] if a column is missing or of another type, or a value cannot be read.
    pub(crate) fn take(&mut self, rows: &[Row]) -> Result<(), Error> {
        let Some(first) = rows.first() else { return Ok(()) };
        if self.order.is_none() {
            let columns = first.columns().iter().map(Described::of).collect::<Vec<_>>();
            self.order = Some(order(&columns, &self.expected, self.subject, self.selected)?);
        }
        self.rows.reserve(rows.len());
        rows.iter().try_for_each(|row| self.push(RowView::Row(row)))
    }

    /// Takes in a row that was kept: the types of its columns, and what stands in them.
    ///
    /// # Errors
    /// As [`take`](Self::take).
    pub(crate) fn take_record(&mut self, types: &[u32], fields: &[Option<&[u8]>]) -> Result<(), Error> {
        if self.order.is_none() {
            let columns = types.iter().enumerate().map(|(index, oid)| Described::kept(index, *oid));
            self.order = Some(order(&columns.collect::<Vec<_>>(), &self.expected, self.subject, self.selected)?);
        }
        self.push(RowView::Record(fields))
    }

    fn push(&mut self, row: RowView<'_>) -> Result<(), Error> {
        let order = self.order.as_ref().and_then(|order| order.as_deref());
        self.rows.push((self.read)(&mut ColumnReader::new(row, order, self.subject, self.selected))?);
        Ok(())
    }
}

impl<O: FromRow> RowIntake<O> {
    /// Of the rows of plain SQL.
    pub(crate) fn plain() -> Self {
        let expected = O::expected();
        let subject = match &expected {
            ExpectedRow::InOrder(_) => "row",
            ExpectedRow::ByName(meta) => meta.name,
        };
        Self { expected, read: O::read, subject, selected: false, order: None, rows: Vec::new() }
    }
}

/// A column of a result.
struct Described<'c> {
    name: Cow<'c, str>,
    oid: u32,
    /// The name of its type.
    found: Cow<'c, str>,
}

impl<'c> Described<'c> {
    fn of(column: &'c Column) -> Self {
        let pg = column.type_();
        Self { name: column.name().into(), oid: pg.oid(), found: pg.name().into() }
    }

    /// One that was kept, which has lost its name.
    fn kept(index: usize, oid: u32) -> Self {
        let found =
            Type::from_oid(oid).map_or_else(|| format!("of a type with the OID {oid}"), |pg| pg.name().to_owned());
        Self { name: format!("#{}", index + 1).into(), oid, found: found.into() }
    }
}

/// Where the columns are that are wanted; `None` if they stand in order.
fn order(
    columns: &[Described<'_>],
    expected: &ExpectedRow,
    subject: &'static str,
    selected: bool,
) -> Result<Option<Vec<usize>>, Error> {
    let failed =
        |column: &str, message: String| Error::Conversion { entity: subject, column: column.to_owned(), message };
    let check = |column: &Described<'_>, accepts: &[u32], wanted: &str| {
        if accepts.is_empty() || accepts.contains(&column.oid) {
            return Ok(());
        }
        let found = &column.found;
        Err(failed(&column.name, format!("it is {found}, and read as {wanted}: cast it, or read it as another type")))
    };
    match expected {
        ExpectedRow::InOrder(shapes) => {
            if shapes.len() != columns.len() {
                let name = columns.last().map_or("", |column| &column.name);
                let (has, wants) = (columns.len(), shapes.len());
                return Err(failed(name, format!("the rows have {has} columns, and are read into {wants}")));
            }
            for (column, shape) in columns.iter().zip(shapes) {
                check(column, shape.accepts, shape.pg.name)?;
            }
            Ok(None)
        }
        ExpectedRow::ByName(meta) if selected => {
            for (column, wanted) in columns.iter().zip(meta.columns(true)) {
                check(column, wanted.accepts, wanted.expected)?;
            }
            Ok(None)
        }
        ExpectedRow::ByName(meta) => {
            let mut order = Vec::new();
            for wanted in meta.columns(false) {
                let place = columns.iter().position(|column| column.name == wanted.name);
                let Some(place) = place else {
                    let there: Vec<&str> = columns.iter().map(|column| &*column.name).collect();
                    let there = there.join(", ");
                    return Err(failed(
                        &wanted.name,
                        format!("the rows have no column of this name (columns: {there})"),
                    ));
                };
                check(&columns[place], wanted.accepts, wanted.expected)?;
                order.push(place);
            }
            Ok(Some(order))
        }
    }
}
