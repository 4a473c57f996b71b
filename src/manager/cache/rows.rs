//! Rows as bytes and back: each as the server writes a record, with the types of its columns.

use std::sync::Arc;

use tokio_postgres::Row;
use tokio_postgres::types::Type;

use crate::error::Error;
use crate::loader::Hydrator;
use crate::types::{RowView, read_record};

/// In front of all: results of another form are not read.
const FORM: &[u8] = b"howdah rows 1\n";

/// The largest result that is kept.
const LARGEST: usize = 16 << 20;

/// Takes down rows as they arrive.
pub(in crate::manager) struct Recorder {
    /// `None` if it is too much, or a row cannot be read.
    bytes: Option<Vec<u8>>,
    first: Option<Option<Vec<u8>>>,
}

impl Default for Recorder {
    fn default() -> Self {
        Self { bytes: Some(FORM.to_vec()), first: None }
    }
}

impl Recorder {
    pub(in crate::manager) fn push(&mut self, rows: &[Row]) {
        for row in rows {
            let pushed = self.bytes.as_mut().and_then(|bytes| push_row(bytes, row));
            if pushed.is_none() || self.bytes.as_ref().is_some_and(|bytes| bytes.len() > LARGEST) {
                self.bytes = None;
            }
            if self.first.is_none() {
                self.first = Some(RowView::Row(row).raw(0).ok().flatten().map(<[u8]>::to_vec));
            }
        }
    }

    /// The first column of the first row.
    pub(in crate::manager) fn first_column(&self) -> Option<Vec<u8>> {
        self.first.clone().flatten()
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

    /// The first column of the first row.
    pub(in crate::manager) fn first_column(&self) -> Option<Vec<u8>> {
        let (from, to) = *self.rows.first()?;
        let mut fields = Vec::new();
        read_record(&self.bytes[from..to], &mut fields, None).ok()?;
        fields.first().copied().flatten().map(<[u8]>::to_vec)
    }

    /// Makes entities of the rows.
    ///
    /// # Errors
    /// As of [`Hydrator::take`].
    pub(in crate::manager) fn hydrate(&self, hydrator: &mut Hydrator<'_>) -> Result<(), Error> {
        for (from, to) in &self.rows {
            let (mut fields, mut types) = (Vec::new(), Vec::new());
            // It was looked through before.
            let _ = read_record(&self.bytes[*from..*to], &mut fields, Some(&mut types));
            hydrator.check(&|column| types.get(column).and_then(|oid| Type::from_oid(*oid)))?;
            hydrator.take(&[RowView::Record(&fields)])?;
        }
        Ok(())
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
