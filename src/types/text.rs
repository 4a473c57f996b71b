//! `String` ↔ `text`, and whatever else PostgreSQL sends as plain characters: `varchar`, `char(n)`, `name`.

use bytes::BufMut;

use super::{ArrayElement, ConversionError, OrderedType, PgType, ScalarType, TextType};

impl ScalarType for String {
    const TYPE: PgType = PgType::new("text", 25, "text[]", 1009);
    /// `text`, `varchar`, `bpchar`, `name`, and `unknown`, the type of a literal without a cast.
    const ACCEPTS: &'static [u32] = &[25, 1043, 1042, 19, 705];

    #[inline]
    fn encode(&self, out: &mut Vec<u8>) -> Result<(), ConversionError> {
        if self.as_bytes().contains(&0) {
            return Err(ConversionError::new("text cannot contain a NUL byte"));
        }
        out.put_slice(self.as_bytes());
        Ok(())
    }

    #[inline]
    fn decode(raw: &[u8]) -> Result<Self, ConversionError> {
        match str::from_utf8(raw) {
            Ok(text) => Ok(text.to_owned()),
            Err(error) => Err(ConversionError::new(format!("text is not UTF-8: {error}"))),
        }
    }

    #[inline]
    fn same(&self, other: &Self, _: Option<u8>) -> bool {
        self == other
    }

    fn write_text(&self, out: &mut String) {
        out.push_str(self);
    }

    fn is_unset(&self) -> bool {
        self.is_empty()
    }

    fn unset() -> Option<Self> {
        Some(Self::new())
    }
}

#[diagnostic::do_not_recommend]
impl OrderedType for String {}
impl TextType for String {}
impl ArrayElement for String {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trips() {
        for value in ["", "ada", "\"\\{},NULL", "naïve 日本 🦀"] {
            let value = value.to_owned();
            let mut out = Vec::new();
            value.encode(&mut out).unwrap();
            assert_eq!(String::decode(&out), Ok(value));
        }
    }

    #[test]
    fn refuses_what_postgresql_cannot_hold() {
        let error = "a\0b".to_owned().encode(&mut Vec::new()).unwrap_err();
        assert_eq!(error.message, "text cannot contain a NUL byte");
        assert!(String::decode(&[0xff]).is_err());
    }
}
