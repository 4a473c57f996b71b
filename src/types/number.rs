//! Integers and floats ↔ `int2`, `int4`, `int8`, `float4`, `float8`.
//!
//! Floats compare by their bits (rule B2): NaN is the same as itself, and 0.0 is not the same as -0.0, which
//! PostgreSQL stores apart although it compares them as equal.

use std::fmt::Write;

use bytes::BufMut;

use super::binary::fixed;
use super::{ArrayElement, ConversionError, OrderedType, PgType, ScalarType};

macro_rules! integer {
    ($($rust:ty, $put:ident, $pg:expr;)*) => {$(
        impl ScalarType for $rust {
            const TYPE: PgType = $pg;

            #[inline]
            fn encode(&self, out: &mut Vec<u8>) -> Result<(), ConversionError> {
                out.$put(*self);
                Ok(())
            }

            #[inline]
            fn decode(raw: &[u8]) -> Result<Self, ConversionError> {
                Ok(Self::from_be_bytes(fixed(raw, Self::TYPE.name)?))
            }

            #[inline]
            fn same(&self, other: &Self, _: Option<u8>) -> bool {
                self == other
            }

            fn write_text(&self, out: &mut String) {
                let _ = write!(out, "{self}");
            }

            #[inline]
            fn is_unset(&self) -> bool {
                *self == 0
            }

            #[inline]
            fn unset() -> Option<Self> {
                Some(0)
            }
        }

        #[diagnostic::do_not_recommend]
        impl OrderedType for $rust {}
        impl ArrayElement for $rust {}
    )*};
}

integer! {
    i16, put_i16, PgType::new("int2", 21, "int2[]", 1005);
    i32, put_i32, PgType::new("int4", 23, "int4[]", 1007);
    i64, put_i64, PgType::new("int8", 20, "int8[]", 1016);
}

macro_rules! float {
    ($($rust:ty, $put:ident, $pg:expr;)*) => {$(
        impl ScalarType for $rust {
            const TYPE: PgType = $pg;

            #[inline]
            fn encode(&self, out: &mut Vec<u8>) -> Result<(), ConversionError> {
                out.$put(*self);
                Ok(())
            }

            #[inline]
            fn decode(raw: &[u8]) -> Result<Self, ConversionError> {
                Ok(Self::from_be_bytes(fixed(raw, Self::TYPE.name)?))
            }

            #[inline]
            fn same(&self, other: &Self, precision: Option<u8>) -> bool {
                // A `numeric` column rounds half away from zero, as `round` does.
                let kept = |value: Self, digits: u8| (value * (10.0 as Self).powi(i32::from(digits))).round();
                self.to_bits() == other.to_bits()
                    || precision.is_some_and(|digits| kept(*self, digits) == kept(*other, digits))
            }

            fn write_text(&self, out: &mut String) {
                if self.is_infinite() {
                    out.push_str(if self.is_sign_negative() { "-Infinity" } else { "Infinity" });
                } else {
                    // Debug is the shortest form that reads back, and has an exponent where Display writes 300 zeros.
                    let _ = write!(out, "{self:?}");
                }
            }

            #[inline]
            fn is_unset(&self) -> bool {
                *self == 0.0
            }

            #[inline]
            fn unset() -> Option<Self> {
                Some(0.0)
            }
        }

        #[diagnostic::do_not_recommend]
        impl OrderedType for $rust {}
        impl ArrayElement for $rust {}
    )*};
}

float! {
    f32, put_f32, PgType::new("float4", 700, "float4[]", 1021);
    f64, put_f64, PgType::new("float8", 701, "float8[]", 1022);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round_trip<T: ScalarType>(value: &T) {
        let mut out = Vec::new();
        value.encode(&mut out).unwrap();
        assert!(T::decode(&out).unwrap().same(value, None), "{value:?}");
        out.put_u8(0);
        assert!(T::decode(&out).is_err());
        assert!(T::decode(&[]).is_err());
    }

    fn text<T: ScalarType>(value: &T) -> String {
        let mut out = String::new();
        value.write_text(&mut out);
        out
    }

    #[test]
    fn integers_round_trip() {
        [i16::MIN, -1, 0, 1, i16::MAX].iter().for_each(round_trip);
        [i32::MIN, -1, 0, 1, i32::MAX].iter().for_each(round_trip);
        [i64::MIN, -1, 0, 1, i64::MAX].iter().for_each(round_trip);
        assert_eq!(text(&i64::MIN), "-9223372036854775808");
        assert!(0_i32.is_unset() && !1_i32.is_unset());
    }

    #[test]
    fn floats_round_trip() {
        [f32::MIN, -0.0, 0.0, 0.1, f32::MIN_POSITIVE, f32::INFINITY, f32::NAN].iter().for_each(round_trip);
        [f64::MIN, -0.0, 0.0, 0.1, 5e-324, f64::NEG_INFINITY, f64::NAN].iter().for_each(round_trip);
    }

    #[test]
    fn floats_compare_by_bits() {
        assert!(f64::NAN.same(&f64::NAN, None));
        assert!(!0.0_f64.same(&-0.0, None));
    }

    #[test]
    fn floats_as_text_are_short_and_read_back() {
        assert_eq!(text(&f64::NAN), "NaN");
        assert_eq!(text(&f64::INFINITY), "Infinity");
        assert_eq!(text(&f32::NEG_INFINITY), "-Infinity");
        assert_eq!(text(&0.1_f32), "0.1");
        for value in [f64::MAX, 5e-324, 1e300, -0.0, 1.0 / 3.0] {
            assert!(text(&value).parse::<f64>().unwrap().same(&value, None));
            assert!(text(&value).len() < 25);
        }
    }
}
