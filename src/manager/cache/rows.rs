//! Rows as bytes and back: each as the server writes a record, with the types of its columns.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use tokio_postgres::Row;
use tokio_postgres::types::Type;

use crate::error::Error;
use crate::loader::{Hydrator, RowIntake};
use crate::types::{RowView, read_record};

/// In front of all: results of another form are not read.
const FORM: &[u8] = b"howdah rows 1\n";

/// The largest result that is kept.
const LARGEST: usize = 16 << 20;

/// Takes down rows as they arrive.
pub(in crate::manager) struct Recorder {
    /// `None` if it is too much, or a row cannot be read.
    bytes: Option<Vec<u8>>,
}

impl Default for Recorder {
    fn default() -> Self {
        Self { bytes: Some(FORM.to_vec()) }
    }
}

impl Recorder {
    /// Rows that are there.
    pub(in crate::manager) fn of(rows: &[Row]) -> Self {
        let mut recorder = Self::default();
        recorder.push(rows);
        recorder
    }

    pub(in crate::manager) fn push(&mut self, rows: &[Row]) {
        for row in rows {
            let pushed = self.bytes.as_mut().and_then(|bytes| push_row(bytes, row));
            if pushed.is_none() || self.bytes.as_ref().is_some_and(|bytes| bytes.len() > LARGEST) {
                self.bytes = None;
            }
        }
    }

    pub(super) fn finish(self) -> Option<Arc<[u8]>> {
        self.bytes.map(Into::into)
    }
}

/// Appends a record: the number of columns, then type, length and bytes of each. NULL has the length -1.
fn push_row(bytes: &mut Vec<u8>, row: &Row) -> Option<()> {
    let columns = row.columns();
    bytes.extend_from_slice(&i32::try_from(columns.len()).ok()?.to_be_bytes());
    for (index, column) in columns.iter().enumerate() {
        bytes.extend_from_slice(&column.type_().oid().to_be_bytes());
        match RowView::Row(row).raw(index).ok()? {
            None => bytes.extend_from_slice(&(-1_i32).to_be_bytes()),
            Some(raw) => {
                bytes.extend_from_slice(&i32::try_from(raw.len()).ok()?.to_be_bytes());
                bytes.extend_from_slice(raw);
            }
        }
    }
    Some(())
}

/// Rows that were kept.
pub(in crate::manager) struct CachedRows {
    bytes: Arc<[u8]>,
    /// Where each begins and ends.
    rows: Vec<(usize, usize)>,
}

impl CachedRows {
    /// Rows in bytes; `None` if that is not what they are.
    pub(super) fn of(bytes: Arc<[u8]>) -> Option<Self> {
        let mut rows = Vec::new();
        let mut at = FORM.len();
        if bytes.get(..at)? != FORM {
            return None;
        }
        while at < bytes.len() {
            let end = at + record_length(&bytes[at..])?;
            rows.push((at, end));
            at = end;
        }
        Some(Self { bytes, rows })
    }

    /// Looks at each row: the types of its columns, and what stands in them.
    fn each(&self, mut look: impl FnMut(&[u32], &[Option<&[u8]>]) -> Result<(), Error>) -> Result<(), Error> {
        let (mut fields, mut types) = (Vec::new(), Vec::new());
        for (from, to) in &self.rows {
            types.clear();
            fields.clear();
            // It was looked through before.
            let _ = read_record(&self.bytes[*from..*to], &mut fields, Some(&mut types));
            look(&types, &fields)?;
        }
        Ok(())
    }
}

/// Some rows of an answer.
#[derive(Clone, Copy)]
pub(in crate::manager) enum Chunk<'r> {
    /// Of the server.
    Fresh(&'r [Row]),
    /// That were kept.
    Kept(&'r CachedRows),
}

impl Chunk<'_> {
    /// Makes entities of the rows. Of rows that were kept, those that are loaded already stay as they are.
    ///
    /// # Errors
    /// As of [`Hydrator::take_rows`].
    pub(in crate::manager) fn hydrate(self, hydrator: &mut Hydrator<'_>) -> Result<(), Error> {
        match self {
            Self::Fresh(rows) => hydrator.take_rows(rows),
            Self::Kept(rows) => {
                hydrator.outdate();
                rows.each(|types, fields| {
                    hydrator.check(&|column| types.get(column).and_then(|oid| Type::from_oid(*oid)))?;
                    hydrator.take(&[RowView::Record(fields)])
                })
            }
        }
    }

    /// Reads the rows into values.
    ///
    /// # Errors
    /// As of [`RowIntake::take`].
    pub(in crate::manager) fn read<O>(self, intake: &mut RowIntake<O>) -> Result<(), Error> {
        match self {
            Self::Fresh(rows) => intake.take(rows),
            Self::Kept(rows) => rows.each(|types, fields| intake.take_record(types, fields)),
        }
    }
}

/// All rows of an answer.
pub(in crate::manager) enum Answered {
    /// Of the server.
    Fresh(Vec<Row>),
    /// That were kept.
    Kept(CachedRows),
}

impl Answered {
    /// The rows, to be taken in.
    pub(in crate::manager) fn chunk(&self) -> Chunk<'_> {
        match self {
            Self::Fresh(rows) => Chunk::Fresh(rows),
            Self::Kept(rows) => Chunk::Kept(rows),
        }
    }

    /// How many rows there are.
    pub(in crate::manager) fn len(&self) -> usize {
        match self {
            Self::Fresh(rows) => rows.len(),
            Self::Kept(rows) => rows.rows.len(),
        }
    }

    /// Forgets the rows behind so many.
    pub(in crate::manager) fn truncate(&mut self, rows: usize) {
        match self {
            Self::Fresh(fresh) => fresh.truncate(rows),
            Self::Kept(kept) => kept.rows.truncate(rows),
        }
    }

    /// What stands in some columns of each row. What cannot be read is NULL.
    pub(in crate::manager) fn columns(&self, wanted: Range<usize>) -> Vec<Vec<Option<Bytes>>> {
        let mut rows = Vec::with_capacity(self.len());
        let mut push = |row: RowView<'_>| {
            let value = |column| row.raw(column).ok().flatten().map(Bytes::copy_from_slice);
            rows.push(wanted.clone().map(value).collect());
        };
        match self {
            Self::Fresh(fresh) => fresh.iter().for_each(|row| push(RowView::Row(row))),
            Self::Kept(kept) => {
                let _ = kept.each(|_, fields| {
                    push(RowView::Record(fields));
                    Ok(())
                });
            }
        }
        rows
    }

    /// The first column of the first row.
    pub(in crate::manager) fn first_column(&self) -> Option<Bytes> {
        self.columns(0..1).into_iter().next()?.pop()?
    }
}

/// How long the record is that stands in front.
fn record_length(bytes: &[u8]) -> Option<usize> {
    let number = |at: usize| Some(i32::from_be_bytes(*bytes.get(at..)?.first_chunk()?));
    let mut at = 4;
    for _ in 0..number(0)? {
        let length = number(at + 4)?;
        at += 8 + usize::try_from(length.max(0)).ok()?;
    }
    (at <= bytes.len()).then_some(at)
}
