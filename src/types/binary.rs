//! `Vec<u8>` ↔ `bytea`, and the reading of values of a fixed width.
//!
//! Every type of fixed width goes through [`fixed`], so that a wrong length is one error with one wording and never a
//! panic.

use bytes::BufMut;

use super::{ArrayElement, ConversionError, OrderedType, PgType, ScalarType};

/// The bytes of a value of `type_name`, which takes exactly `N` of them.
#[inline]
pub(super) fn fixed<const N: usize>(raw: &[u8], type_name: &str) -> Result<[u8; N], ConversionError> {
    raw.try_into().map_err(|_| wrong_length(type_name, N, raw.len()))
}

#[cold]
fn wrong_length(type_name: &str, expected: usize, found: usize) -> ConversionError {
    ConversionError::new(format!("expected {expected} bytes of type {type_name}, found {found}"))
}

const HEX_DIGITS: &[u8; 16] = b"0123456789abcdef";

impl ScalarType for Vec<u8> {
    const TYPE: PgType = PgType::new("bytea", 17, "bytea[]", 1001);

    #[inline]
    fn encode(&self, out: &mut Vec<u8>) -> Result<(), ConversionError> {
        out.put_slice(self);
        Ok(())
    }

    #[inline]
    fn decode(raw: &[u8]) -> Result<Self, ConversionError> {
        Ok(raw.to_vec())
    }

    #[inline]
    fn same(&self, other: &Self, _: Option<u8>) -> bool {
        self == other
    }

    fn write_text(&self, out: &mut String) {
        out.reserve(2 + 2 * self.len());
        out.push_str("\\x");
        for byte in self {
            out.push(char::from(HEX_DIGITS[usize::from(byte >> 4)]));
            out.push(char::from(HEX_DIGITS[usize::from(byte & 0x0f)]));
        }
    }

    fn is_unset(&self) -> bool {
        self.is_empty()
    }

    fn unset() -> Option<Self> {
        Some(Self::new())
    }
}

#[diagnostic::do_not_recommend]
impl OrderedType for Vec<u8> {}
impl ArrayElement for Vec<u8> {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trips() {
        for value in [vec![], vec![0], (0..=255).collect::<Vec<u8>>()] {
            let mut out = Vec::new();
            value.encode(&mut out).unwrap();
            assert_eq!(Vec::<u8>::decode(&out), Ok(value));
        }
    }

    #[test]
    fn is_hexadecimal_as_text() {
        let mut text = String::new();
        vec![0_u8, 0x0f, 0xa0, 0xff].write_text(&mut text);
        assert_eq!(text, "\\x000fa0ff");
    }

    #[test]
    fn a_wrong_length_is_named() {
        assert_eq!(fixed::<8>(&[1, 2], "int8").unwrap_err().to_string(), "expected 8 bytes of type int8, found 2");
    }
}
