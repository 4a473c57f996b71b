//! Reading what is no entity: the columns of a row, in the order in which they are wanted, and the records of a list that
//! stands in one column.

use bytes::Buf;

use super::{ConversionError, EntityKey, KeyPart, ProjectionMeta, RowView, ScalarType, for_each_element};
use crate::error::Error;

/// A cursor over the columns of a row, or over the fields of a record.
#[derive(Debug)]
pub struct ColumnReader<'a> {
    source: Source<'a>,
    next: usize,
    /// What is read, for messages.
    subject: &'static str,
    /// Whether a column in front of each optional group says if it is there.
    marked: bool,
}

#[derive(Debug)]
enum Source<'a> {
    /// A row, and where its columns are, if they are not in order.
    Row(RowView<'a>, Option<&'a [usize]>),
    /// The fields of a record, with their types.
    Record(Vec<(u32, Option<&'a [u8]>)>, &'static ProjectionMeta),
}

impl<'a> ColumnReader<'a> {
    /// A reader of the columns of a row: all of them, or those that `order` names.
    pub(crate) const fn new(row: RowView<'a>, order: Option<&'a [usize]>, subject: &'static str, marked: bool) -> Self {
        Self { source: Source::Row(row, order), next: 0, subject, marked }
    }

    /// The bytes of a column.
    fn raw(&self, index: usize) -> Result<Option<&'a [u8]>, Error> {
        match &self.source {
            Source::Row(row, order) => {
                let place = order.map_or(Some(index), |order| order.get(index).copied());
                let place = place.ok_or_else(|| self.error(index, "there is no such column"))?;
                row.raw(place).map_err(|message| self.error(index, message))
            }
            Source::Record(fields, _) => {
                let field = fields.get(index).ok_or_else(|| self.error(index, "the record has no such field"))?;
                Ok(field.1)
            }
        }
    }

    fn next_raw(&mut self) -> Result<Option<&'a [u8]>, Error> {
        self.next += 1;
        self.raw(self.next - 1)
    }

    /// Whether the column that was read last can be read as a `T`. The columns of a row are checked once a result.
    fn check<T: ScalarType>(&self) -> Result<(), Error> {
        let Source::Record(fields, _) = &self.source else { return Ok(()) };
        match fields.get(self.next - 1) {
            Some((oid, _)) if !T::ACCEPTS.contains(oid) => {
                Err(self.failed(format!("the column's type has the OID {oid}, and it is read as {}", T::TYPE.name)))
            }
            _ => Ok(()),
        }
    }

    /// Reads the next column, which must not be NULL.
    ///
    /// # Errors
    /// [`Error::Conversion`] if it is NULL or not of this type.
    pub fn value<T: ScalarType>(&mut self) -> Result<T, Error> {
        let raw = self.next_raw()?;
        self.check::<T>()?;
        match raw {
            Some(raw) => T::decode(raw).map_err(|error| self.failed(error.message)),
            None => Err(self.failed(
                "it is NULL, and what it is read into is not an Option: read it into one, or select it with nullable()",
            )),
        }
    }

    /// Reads the next column, which may be NULL.
    ///
    /// # Errors
    /// [`Error::Conversion`] if it is not of this type.
    pub fn option<T: ScalarType>(&mut self) -> Result<Option<T>, Error> {
        let raw = self.next_raw()?;
        self.check::<T>()?;
        raw.map(T::decode).transpose().map_err(|error| self.failed(error.message))
    }

    /// Reads a key, which takes as many columns as it has parts; `None` if one of them is NULL.
    ///
    /// # Errors
    /// [`Error::Conversion`] if the columns hold something else.
    pub fn key<K: EntityKey>(&mut self) -> Result<Option<K>, Error> {
        let mut types = Vec::with_capacity(K::COLUMNS);
        K::push_types(&mut types);
        let mut parts = Vec::with_capacity(types.len());
        for pg in types {
            if let Some(raw) = self.next_raw()? {
                parts.push(KeyPart::decode(pg, raw).ok_or_else(|| self.failed("it is not the key of the entity"))?);
            }
        }
        if parts.len() < K::COLUMNS {
            return Ok(None);
        }
        K::take(&mut parts.iter()).map(Some).ok_or_else(|| self.failed("it is not the key of the entity"))
    }

    /// Reads a group of columns that may be missing.
    ///
    /// # Errors
    /// What `read` answers.
    pub fn optional<T>(
        &mut self,
        meta: &'static ProjectionMeta,
        read: impl FnOnce(&mut Self) -> Result<T, Error>,
    ) -> Result<Option<T>, Error> {
        let width = meta.width(self.marked);
        let there = if self.marked {
            self.value::<bool>()?
        } else {
            let mut columns = self.next..self.next + width;
            columns.try_fold(false, |any, column| Ok::<_, Error>(any || self.raw(column)?.is_some()))?
        };
        if there {
            return read(self).map(Some);
        }
        self.next += width;
        Ok(None)
    }

    /// Reads a list of records.
    ///
    /// # Errors
    /// [`Error::Conversion`] if the column holds something else; what `read` answers.
    pub fn records<T>(
        &mut self,
        meta: &'static ProjectionMeta,
        mut read: impl FnMut(&mut Self) -> Result<T, Error>,
    ) -> Result<Vec<T>, Error> {
        let Some(raw) = self.next_raw()? else { return Ok(Vec::new()) };
        let mut items = Vec::new();
        let mut failure = None;
        let outcome = for_each_element(raw, |_, record| {
            let source = Source::Record(record_fields(record)?, meta);
            let mut reader = ColumnReader { source, next: 0, subject: meta.name, marked: self.marked };
            match read(&mut reader) {
                Ok(item) => items.push(item),
                Err(error) => {
                    failure = Some(error);
                    return Err(ConversionError::new(String::new()));
                }
            }
            Ok(())
        });
        match (failure, outcome) {
            (Some(error), _) => Err(error),
            (None, Err(error)) => Err(self.failed(error.message)),
            (None, Ok(())) => Ok(items),
        }
    }

    /// The error for NULL where a key was needed.
    #[cold]
    pub(crate) fn missing_key(&self) -> Error {
        self.failed("it is NULL: the relation is missing")
    }

    #[cold]
    fn failed(&self, message: impl Into<String>) -> Error {
        self.error(self.next.saturating_sub(1), message)
    }

    /// An error that names the column.
    #[cold]
    fn error(&self, index: usize, message: impl Into<String>) -> Error {
        let name = match &self.source {
            Source::Row(row, order) => {
                let place = order.map_or(Some(index), |order| order.get(index).copied());
                place.and_then(|place| row.name(place))
            }
            Source::Record(_, meta) => meta.columns(self.marked).into_iter().nth(index).map(|column| column.name),
        };
        let column = name.unwrap_or_else(|| format!("#{}", index + 1));
        Error::Conversion { entity: self.subject, column, message: message.into() }
    }
}

/// The fields of a record in binary format: their types and bytes.
fn record_fields(mut raw: &[u8]) -> Result<Vec<(u32, Option<&[u8]>)>, ConversionError> {
    let malformed = || ConversionError::new("not a record in PostgreSQL's binary format");
    let count = raw.try_get_i32().map_err(|_| malformed())?;
    // Every field takes eight bytes at least: a number beyond that is not believed.
    let count = usize::try_from(count).ok().filter(|count| *count <= raw.len() / 8).ok_or_else(malformed)?;
    let mut fields = Vec::with_capacity(count);
    for _ in 0..count {
        let oid = raw.try_get_u32().map_err(|_| malformed())?;
        let size = raw.try_get_i32().map_err(|_| malformed())?;
        if size < 0 {
            fields.push((oid, None));
            continue;
        }
        let split = usize::try_from(size).ok().and_then(|size| raw.split_at_checked(size));
        let (value, rest) = split.ok_or_else(malformed)?;
        fields.push((oid, Some(value)));
        raw = rest;
    }
    if raw.is_empty() { Ok(fields) } else { Err(malformed()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_taken_apart() {
        let raw = [0, 0, 0, 2, 0, 0, 0, 23, 0, 0, 0, 4, 0, 0, 0, 7, 0, 0, 0, 25, 255, 255, 255, 255];
        assert_eq!(record_fields(&raw), Ok(vec![(23, Some(&[0, 0, 0, 7][..])), (25, None)]));
        for end in 0..raw.len() {
            assert!(record_fields(&raw[..end]).is_err(), "{end}");
        }
        assert!(record_fields(&[&raw[..], &[0]].concat()).is_err());
        assert!(record_fields(&[127, 255, 255, 255]).is_err());
    }
}
