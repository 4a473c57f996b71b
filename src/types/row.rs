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

/// A cursor over the columns of one row.
#[derive(Debug)]
pub struct RowReader<'a> {
    row: &'a Row,
    next: usize,
    entity: &'static str,
}

impl<'a> RowReader<'a> {
    /// A reader that starts at column `start`.
    pub(crate) fn new(row: &'a Row, start: usize, entity: &'static str) -> Self {
        Self { row, next: start, entity }
    }

    /// The bytes of the next column.
    ///
    /// # Errors
    /// [`Error::Conversion`] if the row has no more columns.
    pub fn next_raw(&mut self) -> Result<Option<&'a [u8]>, Error> {
        let index = self.next;
        self.next += 1;
        match self.row.try_get::<usize, RawColumn<'a>>(index) {
            Ok(RawColumn(raw)) => Ok(raw),
            Err(error) => Err(self.conversion(index, error.to_string())),
        }
    }

    /// Reads the next column, which must not be NULL.
    ///
    /// # Errors
    /// [`Error::Conversion`] if it is NULL or not of this type.
    pub fn next_value<T: ScalarType>(&mut self) -> Result<T, Error> {
        match self.next_raw()? {
            Some(raw) => T::decode(raw).map_err(|error| self.failed(error)),
            None => Err(self.conversion(self.next - 1, "NULL in a field that is not an Option".into())),
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
    fn failed(&self, error: ConversionError) -> Error {
        self.conversion(self.next - 1, error.message)
    }

    /// An error that names the entity and the column.
    #[cold]
    pub(crate) fn conversion(&self, index: usize, message: String) -> Error {
        let column = self.row.columns().get(index).map_or_else(|| format!("#{index}"), |c| c.name().to_owned());
        Error::Conversion { entity: self.entity, column, message }
    }

    /// The error for NULL where a key was needed.
    #[cold]
    pub(crate) fn null_key(&self) -> Error {
        self.conversion(self.next.saturating_sub(1), "NULL in a relation that is not an Option".into())
    }
}
