//! `COPY … FROM STDIN` and the rows that follow it.
//!
//! The binary format takes each value in the form of its column's type. Where the values travel as another type and are
//! cast in other statements (`sql_type`, numeric columns, arrays of native enums), the text form is sent, which the server reads as any type.

use bytes::{BufMut, BytesMut};

use super::identifier::{push_identifier, push_list, push_table};
use super::insert::written;
use crate::metadata::{EntityDef, SqlType};
use crate::types::ConversionError;

/// How rows are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CopyFormat {
    Binary,
    Text,
}

impl CopyFormat {
    /// The format that all of these properties can be sent in.
    pub(crate) fn of(entity: &EntityDef, properties: &[u16]) -> Self {
        let is_as_sent = |sql_type: Option<&SqlType>| match sql_type {
            None => true,
            // A label is the same in both forms; an array names the type of its elements.
            Some(SqlType::Enum { is_array, .. }) => !is_array,
            Some(SqlType::Given(_)) => false,
        };
        let columns = written(entity, properties);
        if columns.iter().all(|column| is_as_sent(column.sql_type)) { Self::Binary } else { Self::Text }
    }

    /// What comes in front of the first row.
    pub(crate) fn push_header(self, out: &mut BytesMut) {
        if self == Self::Binary {
            out.put_slice(b"PGCOPY\n\xff\r\n\0");
            out.put_i32(0); // no flags
            out.put_i32(0); // no extension
        }
    }

    /// What comes behind the last row.
    pub(crate) fn push_trailer(self, out: &mut BytesMut) {
        if self == Self::Binary {
            out.put_i16(-1);
        }
    }
}

/// The statement that copies these properties.
pub(crate) fn copy_in(entity: &EntityDef, properties: &[u16], format: CopyFormat) -> String {
    let mut text = "COPY ".to_owned();
    push_table(&mut text, entity.schema.as_deref(), &entity.table);
    text.push_str(" (");
    push_list(&mut text, written(entity, properties), |text, column| push_identifier(text, column.name));
    text.push_str(") FROM STDIN");
    if format == CopyFormat::Binary {
        text.push_str(" (FORMAT binary)");
    }
    text
}

/// One row, column by column.
pub(crate) struct CopyRow<'a> {
    out: &'a mut BytesMut,
    format: CopyFormat,
    is_first: bool,
}

impl<'a> CopyRow<'a> {
    /// A row of this many columns.
    pub(crate) fn begin(out: &'a mut BytesMut, format: CopyFormat, columns: usize) -> Self {
        if format == CopyFormat::Binary {
            // A table has 1600 columns at most.
            out.put_i16(i16::try_from(columns).unwrap_or(i16::MAX));
        }
        Self { out, format, is_first: true }
    }

    /// The next value, `None` for NULL: its binary form, and what makes its text form.
    pub(crate) fn push(
        &mut self,
        binary: Option<&[u8]>,
        text: impl FnOnce() -> Result<String, ConversionError>,
    ) -> Result<(), ConversionError> {
        if self.format == CopyFormat::Binary {
            match binary {
                None => self.out.put_i32(-1),
                Some(value) => {
                    let length = i32::try_from(value.len());
                    self.out.put_i32(length.map_err(|_| ConversionError::new("a value is larger than 2 GiB"))?);
                    self.out.put_slice(value);
                }
            }
            return Ok(());
        }
        if !std::mem::replace(&mut self.is_first, false) {
            self.out.put_u8(b'\t');
        }
        match binary {
            None => self.out.put_slice(b"\\N"),
            Some(_) => push_escaped(self.out, &text()?),
        }
        Ok(())
    }

    /// Ends the row.
    pub(crate) fn end(self) {
        if self.format == CopyFormat::Text {
            self.out.put_u8(b'\n');
        }
    }
}

fn push_escaped(out: &mut BytesMut, text: &str) {
    for byte in text.bytes() {
        match byte {
            b'\\' => out.put_slice(b"\\\\"),
            b'\t' => out.put_slice(b"\\t"),
            b'\n' => out.put_slice(b"\\n"),
            b'\r' => out.put_slice(b"\\r"),
            byte => out.put_u8(byte),
        }
    }
}

/// The row that the server was reading or writing when it has failed, from 1, out of the context that it gives in any language:
/// `COPY users, line 3, column age: "x"`.
pub(crate) fn row_in_context(context: &str, table: &str) -> Option<u64> {
    let line = context.lines().find_map(|line| line.strip_prefix("COPY ")?.strip_prefix(table)?.strip_prefix(", "))?;
    let digits = line.trim_start_matches(|character: char| !character.is_ascii_digit());
    // Behind the number there may be the column, whose name can have digits, too.
    let before = line.len() - digits.len();
    if line[..before].contains(',') {
        return None;
    }
    let end = digits.find(|character: char| !character.is_ascii_digit()).unwrap_or(digits.len());
    digits[..end].parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_found_in_any_language() {
        assert_eq!(row_in_context("COPY users, line 3, column age: \"x\"", "users"), Some(3));
        assert_eq!(row_in_context("COPY my, 2nd, Zeile 12", "my, 2nd"), Some(12));
        assert_eq!(row_in_context("SQL function\nCOPY users, line 1", "users"), Some(1));
        assert_eq!(row_in_context("COPY users, column c1", "other"), None);
        assert_eq!(row_in_context("", "users"), None);
    }

    #[test]
    fn text_is_escaped() {
        let mut out = BytesMut::new();
        let mut row = CopyRow::begin(&mut out, CopyFormat::Text, 3);
        row.push(Some(b""), || Ok("a\tb\\\r\n".to_owned())).unwrap_or_default();
        row.push(None, || Ok(String::new())).unwrap_or_default();
        row.push(Some(b""), || Ok("\\N".to_owned())).unwrap_or_default();
        row.end();
        assert_eq!(&out[..], b"a\\tb\\\\\\r\\n\t\\N\t\\\\N\n");
    }
}
