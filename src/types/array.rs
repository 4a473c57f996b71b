//! `Vec<T>` ↔ arrays of one dimension.
//!
//! The binary format is what single statements and results use. The text form is for batched statements: they send each
//! column as one array of the values of all rows, and since `unnest` flattens arrays of arrays, a column that is itself
//! an array travels as `text[]`, one array literal such as `{"a","b\"c"}` per row, cast to its type on the server.

use bytes::{Buf, BufMut};

use super::{ArrayElement, ConversionError, EnumMeta, OrderedType, PgType, ScalarType};

/// The length that stands for NULL.
const NULL_LENGTH: i32 = -1;

impl<T: ArrayElement> ScalarType for Vec<T> {
    const TYPE: PgType = T::TYPE.array();
    /// The arrays of the types that the element accepts.
    const ACCEPTS: &'static [u32] = match T::TYPE.oid {
        // text[], varchar[], bpchar[], name[]
        25 => &[1009, 1015, 1014, 1003],
        // jsonb[], json[]
        3802 => &[3807, 199],
        _ => &[T::TYPE.array_oid],
    };
    const ENUM: Option<&'static EnumMeta> = T::ENUM;

    fn encode(&self, out: &mut Vec<u8>) -> Result<(), ConversionError> {
        let length =
            i32::try_from(self.len()).map_err(|_| ConversionError::new("an array of more than 2^31 elements"))?;
        out.put_i32(i32::from(length > 0)); // dimensions
        out.put_i32(0); // no NULLs
        out.put_u32(T::TYPE.oid);
        if length == 0 {
            return Ok(());
        }
        out.put_i32(length);
        out.put_i32(1); // the index of the first element
        for (index, element) in self.iter().enumerate() {
            let start = out.len();
            out.put_i32(0);
            element.encode(out).map_err(|error| in_element(index, &error))?;
            let size = i32::try_from(out.len() - start - size_of::<i32>())
                .map_err(|_| in_element(index, &ConversionError::new("more than 2 GiB")))?;
            if let Some(prefix) = out.get_mut(start..start + size_of::<i32>()) {
                prefix.copy_from_slice(&size.to_be_bytes());
            }
        }
        Ok(())
    }

    fn decode(raw: &[u8]) -> Result<Self, ConversionError> {
        let mut values = Self::new();
        for_each_element(raw, |index, element| {
            let value = T::decode(element).map_err(|error| in_element(index, &error))?;
            values.push(value);
            Ok(())
        })?;
        Ok(values)
    }

    fn same(&self, other: &Self, precision: Option<u8>) -> bool {
        self.len() == other.len() && self.iter().zip(other).all(|(this, that)| this.same(that, precision))
    }

    fn write_text(&self, out: &mut String) {
        out.push('{');
        for (index, element) in self.iter().enumerate() {
            if index > 0 {
                out.push(',');
            }
            // Everything is quoted: unquoted, an element could read as NULL or lose its spaces.
            out.push('"');
            let start = out.len();
            element.write_text(out);
            if out.get(start..).is_some_and(|text| text.contains(['"', '\\'])) {
                let text = out.split_off(start);
                for character in text.chars() {
                    if matches!(character, '"' | '\\') {
                        out.push('\\');
                    }
                    out.push(character);
                }
            }
            out.push('"');
        }
        out.push('}');
    }

    fn is_unset(&self) -> bool {
        self.is_empty()
    }

    fn unset() -> Option<Self> {
        Some(Self::new())
    }
}

#[diagnostic::do_not_recommend]
impl<T: ArrayElement + OrderedType> OrderedType for Vec<T> {}

/// Hands over the elements of an array of one dimension, in their binary form.
///
/// # Errors
/// If there are NULLs or more dimensions; what `take` answers.
pub(crate) fn for_each_element<'a>(
    mut raw: &'a [u8],
    mut take: impl FnMut(usize, &'a [u8]) -> Result<(), ConversionError>,
) -> Result<(), ConversionError> {
    let dimensions = read_i32(&mut raw)?;
    // Whether there are NULLs is seen at the elements; their type was checked with the column's.
    let (_has_nulls, _element_type) = (read_i32(&mut raw)?, read_i32(&mut raw)?);
    match dimensions {
        0 => {}
        1 => {
            let (length, _first_index) = (read_i32(&mut raw)?, read_i32(&mut raw)?);
            // Every element takes four bytes at least: a length beyond that is not believed.
            let length = usize::try_from(length).ok().filter(|n| *n <= raw.len() / 4).ok_or_else(malformed)?;
            for index in 0..length {
                take(index, read_element(&mut raw, index)?)?;
            }
        }
        dimensions => return Err(too_many_dimensions(dimensions)),
    }
    if raw.is_empty() { Ok(()) } else { Err(malformed()) }
}

#[inline]
fn read_i32(raw: &mut &[u8]) -> Result<i32, ConversionError> {
    raw.try_get_i32().map_err(|_| malformed())
}

#[inline]
fn read_element<'a>(raw: &mut &'a [u8], index: usize) -> Result<&'a [u8], ConversionError> {
    let size = read_i32(raw)?;
    let element = usize::try_from(size).ok().and_then(|size| raw.split_at_checked(size));
    let Some((element, rest)) = element else {
        return Err(if size == NULL_LENGTH { null_element(index) } else { malformed() });
    };
    *raw = rest;
    Ok(element)
}

#[cold]
fn malformed() -> ConversionError {
    ConversionError::new("not an array in PostgreSQL's binary format")
}

#[cold]
fn too_many_dimensions(dimensions: i32) -> ConversionError {
    ConversionError::new(format!("an array of {dimensions} dimensions; a Vec holds arrays of one dimension"))
}

/// Elements are counted from 1, as PostgreSQL does.
#[cold]
fn null_element(index: usize) -> ConversionError {
    ConversionError::new(format!("array element {} is NULL; a Vec holds arrays without NULLs", index + 1))
}

#[cold]
fn in_element(index: usize, error: &ConversionError) -> ConversionError {
    ConversionError::new(format!("array element {}: {error}", index + 1))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn encoded<T: ScalarType>(value: &T) -> Vec<u8> {
        let mut out = Vec::new();
        value.encode(&mut out).unwrap();
        out
    }

    fn text<T: ScalarType>(value: &T) -> String {
        let mut out = String::new();
        value.write_text(&mut out);
        out
    }

    #[test]
    fn round_trips() {
        for value in [vec![], vec![7], vec![i64::MIN, 0, i64::MAX]] {
            assert_eq!(Vec::<i64>::decode(&encoded(&value)), Ok(value));
        }
        let words = vec![String::new(), "NULL".to_owned(), "ü".to_owned()];
        assert_eq!(Vec::<String>::decode(&encoded(&words)), Ok(words));
        let blobs = vec![vec![], vec![0_u8, 255]];
        assert_eq!(Vec::<Vec<u8>>::decode(&encoded(&blobs)), Ok(blobs));
        let documents = vec![json!(null), json!({"a": 1})];
        assert_eq!(Vec::<Value>::decode(&encoded(&documents)), Ok(documents));
    }

    #[test]
    fn has_the_types_of_its_elements() {
        assert_eq!(Vec::<i64>::TYPE.name, "int8[]");
        assert_eq!(Vec::<i64>::ACCEPTS, [1016]);
        assert_eq!(Vec::<Vec<u8>>::TYPE.oid, 1001);
        assert_eq!(Vec::<String>::ACCEPTS.first(), Some(&1009));
        assert_eq!(encoded(&Vec::<i32>::new()).len(), 12);
    }

    #[test]
    fn refuses_nulls_and_more_dimensions() {
        let mut raw = encoded(&vec![1_i32, 2]);
        raw[28..32].copy_from_slice(&NULL_LENGTH.to_be_bytes());
        raw.truncate(32);
        let error = Vec::<i32>::decode(&raw).unwrap_err();
        assert_eq!(error.message, "array element 2 is NULL; a Vec holds arrays without NULLs");
        raw[..4].copy_from_slice(&2_i32.to_be_bytes());
        assert!(Vec::<i32>::decode(&raw).unwrap_err().message.starts_with("an array of 2 dimensions"));
    }

    #[test]
    fn refuses_every_truncation_and_every_changed_byte_without_a_panic() {
        let raw = encoded(&vec!["a".to_owned(), "bc".to_owned()]);
        for end in 0..raw.len() {
            assert!(Vec::<String>::decode(&raw[..end]).is_err());
        }
        for index in 0..raw.len() {
            for byte in [0x00, 0x7f, 0x80, 0xff] {
                let mut changed = raw.clone();
                changed[index] = byte;
                let _ = Vec::<String>::decode(&changed);
            }
        }
        let mut longer = raw;
        longer.put_u8(0);
        assert!(Vec::<String>::decode(&longer).is_err());
    }

    #[test]
    fn names_the_element_that_cannot_be_written() {
        let error = vec!["a".to_owned(), "\0".to_owned()].encode(&mut Vec::new()).unwrap_err();
        assert_eq!(error.message, "array element 2: text cannot contain a NUL byte");
    }

    #[test]
    fn is_a_quoted_literal_as_text() {
        assert_eq!(text(&Vec::<i32>::new()), "{}");
        assert_eq!(text(&vec![1, -2]), r#"{"1","-2"}"#);
        let words: Vec<String> = ["", "a\"b", "c\\d", "NULL", " {e,f} "].map(str::to_owned).into();
        assert_eq!(text(&words), r#"{"","a\"b","c\\d","NULL"," {e,f} "}"#);
        assert_eq!(text(&vec![vec![0xab_u8]]), r#"{"\\xab"}"#);
        assert_eq!(text(&vec![json!({"a": "\""})]), r#"{"{\"a\":\"\\\"\"}"}"#);
    }

    #[test]
    fn compares_element_by_element() {
        assert!(vec![f64::NAN].same(&vec![f64::NAN], None));
        assert!(!vec![1].same(&vec![1, 1], None));
        assert!(!vec![1, 2].same(&vec![2, 1], None));
    }
}
