//! Reading the columns of a result row in the order in which the SELECT lists them.

use tokio_postgres::Row;
use tokio_postgres::types::{FromSql, Type};

use super::{ConversionError, ScalarType};
use crate::error::Error;

/// The bytes of one column, not yet converted. Result types are checked once per statement, not once per value.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RawColumn<'a>(pub(crate) Option<&'a [u8]>);

impl<'a> FromSql<'a> for RawColumn<'a> {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        Ok(Self(Some(raw)))
    }

    fn from_sql_null(_: &Type) -> Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        Ok(Self(None))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

/// The columns of one row: of a result, or of a record inside of one.
#[derive(Clone, Copy, Debug)]
pub(crate) enum RowView<'a> {
    Row(&'a Row),
    Record(&'a [Option<&'a [u8]>]),
}

/// The bytes of the columns that a reader looks at.
pub(crate) type Fields<'a> = [Option<&'a [u8]>];

impl<'a> RowView<'a> {
    /// The bytes of the columns from `start` on, at most `width`. They are found once a row: looking for each when it is
    /// read would go through the driver's checks at each value. `space` is for use by row after row.
    pub(crate) fn fields<'s>(self, start: usize, width: usize, space: &'s mut Vec<Option<&'a [u8]>>) -> &'s Fields<'a> {
        match self {
            Self::Row(row) => {
                space.clear();
                let end = row.len().min(start + width);
                // Any column can be read as its bytes.
                let raw = |index| row.try_get::<usize, RawColumn<'a>>(index).ok().and_then(|column| column.0);
                space.extend((start..end).map(raw));
                space
            }
            Self::Record(fields) => fields.get(start..fields.len().min(start + width)).unwrap_or_default(),
        }
    }

    /// The bytes of a column.
    #[inline]
    pub(crate) fn raw(self, index: usize) -> Result<Option<&'a [u8]>, String> {
        // Any column can be read as its bytes.
        let raw = match self {
            Self::Row(row) => row.try_get::<usize, RawColumn<'a>>(index).ok().map(|column| column.0),
            Self::Record(fields) => fields.get(index).copied(),
        };
        raw.ok_or_else(|| no_column(index))
    }

    /// The name of a column, where rows have names.
    pub(super) fn name(self, index: usize) -> Option<String> {
        match self {
            Self::Row(row) => row.columns().get(index).map(|column| column.name().to_owned()),
            Self::Record(_) => None,
        }
    }
}

#[cold]
fn no_column(index: usize) -> String {
    format!("there is no column {index}")
}

/// Reads a record in binary format: appends its fields, and their types where those are asked for.
///
/// # Errors
/// If the bytes are not a record.
pub(crate) fn read_record<'a>(
    raw: &'a [u8],
    fields: &mut Vec<Option<&'a [u8]>>,
    mut types: Option<&mut Vec<u32>>,
) -> Result<(), ConversionError> {
    let mut rest = raw;
    let count = take_number(&mut rest)?;
    for _ in 0..count {
        let oid = take_number(&mut rest)?;
        let length = take_number(&mut rest)?;
        if let Some(types) = &mut types {
            types.push(oid.cast_unsigned());
        }
        // NULL has the length -1.
        let Ok(length) = usize::try_from(length) else {
            fields.push(None);
            continue;
        };
        let (field, tail) = rest.split_at_checked(length).ok_or_else(broken_record)?;
        rest = tail;
        fields.push(Some(field));
    }
    Ok(())
}

fn take_number(rest: &mut &[u8]) -> Result<i32, ConversionError> {
    let (number, tail) = rest.split_first_chunk::<4>().ok_or_else(broken_record)?;
    *rest = tail;
    Ok(i32::from_be_bytes(*number))
}

fn broken_record() -> ConversionError {
    ConversionError::new("a record that ends early")
}

/// A cursor over the columns of one row.
#[derive(Debug)]
pub struct RowReader<'a> {
    fields: &'a Fields<'a>,
    next: usize,
    /// For messages: the row, where the fields begin in it, and what is read.
    row: RowView<'a>,
    start: usize,
    entity: &'static str,
}

impl<'a> RowReader<'a> {
    /// A reader of the fields that `row` has from column `start` on.
    pub(crate) const fn new(fields: &'a Fields<'a>, row: RowView<'a>, start: usize, entity: &'static str) -> Self {
        Self { fields, next: 0, row, start, entity }
    }

    /// The bytes of the next column.
    ///
    /// # Errors
    /// [`Error::Conversion`] if the row has no more columns.
    #[inline]
    pub fn next_raw(&mut self) -> Result<Option<&'a [u8]>, Error> {
        match self.fields.get(self.next) {
            Some(field) => {
                self.next += 1;
                Ok(*field)
            }
            None => Err(self.missing()),
        }
    }

    /// Reads the next column, which must not be NULL.
    ///
    /// # Errors
    /// [`Error::Conversion`] if it is NULL or not of this type.
    pub fn next_value<T: ScalarType>(&mut self) -> Result<T, Error> {
        match self.next_raw()? {
            Some(raw) => T::decode(raw).map_err(|error| self.failed(error)),
            None => Err(self.null()),
        }
    }

    /// Reads the next column, which may be NULL.
    ///
    /// # Errors
    /// [`Error::Conversion`] if it is not of this type.
    pub fn next_option<T: ScalarType>(&mut self) -> Result<Option<T>, Error> {
        match self.next_raw()? {
            Some(raw) => T::decode(raw).map(Some).map_err(|error| self.failed(error)),
            None => Ok(None),
        }
    }

    #[cold]
    fn missing(&self) -> Error {
        self.conversion(self.next, "there is no such column".to_owned())
    }

    #[cold]
    fn null(&self) -> Error {
        self.conversion(self.next - 1, "NULL in a field that is not an Option".to_owned())
    }

    #[cold]
    fn failed(&self, error: ConversionError) -> Error {
        self.conversion(self.next - 1, error.message)
    }

    /// An error that names the entity and the column.
    #[cold]
    pub(crate) fn conversion(&self, index: usize, message: String) -> Error {
        let column = self.row.name(self.start + index).unwrap_or_else(|| format!("#{}", self.start + index));
        Error::Conversion { entity: self.entity, column, message }
    }

    /// The error for NULL where a key was needed.
    #[cold]
    pub(crate) fn null_key(&self) -> Error {
        self.conversion(self.next.saturating_sub(1), "NULL in a relation that is not an Option".into())
    }
}
