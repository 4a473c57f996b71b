//! `bool` ↔ `bool`: one byte, 0 or 1.

use bytes::BufMut;

use super::{ArrayElement, ConversionError, OrderedType, PgType, ScalarType};

impl ScalarType for bool {
    const TYPE: PgType = PgType::new("bool", 16, "bool[]", 1000);

    #[inline]
    fn encode(&self, out: &mut Vec<u8>) -> Result<(), ConversionError> {
        out.put_u8(u8::from(*self));
        Ok(())
    }

    #[inline]
    fn decode(raw: &[u8]) -> Result<Self, ConversionError> {
        match raw {
            [0] => Ok(false),
            [1] => Ok(true),
            _ => Err(ConversionError::new("not a bool: expected one byte, 0 or 1")),
        }
    }

    #[inline]
    fn same(&self, other: &Self, _: Option<u8>) -> bool {
        self == other
    }

    fn write_text(&self, out: &mut String) {
        out.push_str(if *self { "true" } else { "false" });
    }

    fn is_unset(&self) -> bool {
        !self
    }

    fn unset() -> Option<Self> {
        Some(false)
    }
}

#[diagnostic::do_not_recommend]
impl OrderedType for bool {}
impl ArrayElement for bool {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trips() {
        for value in [false, true] {
            let mut out = Vec::new();
            value.encode(&mut out).unwrap();
            assert_eq!(bool::decode(&out), Ok(value));
            assert_eq!(value.is_unset(), !value);
        }
    }

    #[test]
    fn refuses_other_bytes() {
        for raw in [&[][..], &[2], &[0, 0]] {
            assert!(bool::decode(raw).is_err());
        }
    }
}
