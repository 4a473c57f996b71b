//! `Uuid` ↔ `uuid`: the same 16 bytes on both sides.

use std::fmt::Write;

use ::uuid::Uuid;
use bytes::BufMut;

use super::binary::fixed;
use super::{ArrayElement, ConversionError, OrderedType, PgType, ScalarType};

impl ScalarType for Uuid {
    const TYPE: PgType = PgType::new("uuid", 2950, "uuid[]", 2951);

    #[inline]
    fn encode(&self, out: &mut Vec<u8>) -> Result<(), ConversionError> {
        out.put_slice(self.as_bytes());
        Ok(())
    }

    #[inline]
    fn decode(raw: &[u8]) -> Result<Self, ConversionError> {
        Ok(Self::from_bytes(fixed(raw, "uuid")?))
    }

    #[inline]
    fn same(&self, other: &Self, _: Option<u8>) -> bool {
        self == other
    }

    fn write_text(&self, out: &mut String) {
        let _ = write!(out, "{}", self.as_hyphenated());
    }

    #[inline]
    fn is_unset(&self) -> bool {
        self.is_nil()
    }

    fn unset() -> Option<Self> {
        Some(Self::nil())
    }
}

#[diagnostic::do_not_recommend]
impl OrderedType for Uuid {}
impl ArrayElement for Uuid {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trips() {
        for value in [Uuid::nil(), Uuid::max(), Uuid::from_u128(0x0123_4567_89ab_cdef_0123_4567_89ab_cdef)] {
            let mut out = Vec::new();
            value.encode(&mut out).unwrap();
            assert_eq!(Uuid::decode(&out), Ok(value));
        }
        assert!(Uuid::decode(&[0; 15]).is_err());
        assert!(Uuid::nil().is_unset());
    }

    #[test]
    fn is_hyphenated_as_text() {
        let mut text = String::new();
        Uuid::max().write_text(&mut text);
        assert_eq!(text, "ffffffff-ffff-ffff-ffff-ffffffffffff");
    }
}
