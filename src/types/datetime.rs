//! chrono ↔ `timestamptz`, `timestamp`, `date`, `time`.
//!
//! PostgreSQL counts microseconds (and days) from 2000-01-01, so all of this is integer arithmetic. What chrono has
//! beyond that is cut off: nanoseconds below a microsecond are never written and never make a value differ. The reverse
//! is refused: infinity, `24:00:00`, and years that chrono has no value for.

use std::fmt::Write;

use bytes::BufMut;
use chrono::{DateTime, Datelike, NaiveDate, NaiveDateTime, NaiveTime, Timelike, Utc};

use super::binary::fixed;
use super::{ArrayElement, ConversionError, OrderedType, PgType, ScalarType};

const MICROS_PER_SECOND: i64 = 1_000_000;
const MICROS_PER_DAY: i64 = 86_400 * MICROS_PER_SECOND;
/// 2000-01-01 in microseconds since 1970-01-01.
const EPOCH_MICROS: i64 = 946_684_800 * MICROS_PER_SECOND;
/// 2000-01-01 in chrono's days, of which 0001-01-01 is the first.
const EPOCH_DAY: i32 = 730_120;
/// 4714-11-24 BC, the first day of the Julian day count, in days since 2000-01-01. The upper ends of PostgreSQL's
/// ranges are beyond chrono's.
const FIRST_DAY: i32 = -2_451_545;
const FIRST_MICROS: i64 = FIRST_DAY as i64 * MICROS_PER_DAY;

impl ScalarType for DateTime<Utc> {
    const TYPE: PgType = PgType::new("timestamptz", 1184, "timestamptz[]", 1185);

    #[inline]
    fn encode(&self, out: &mut Vec<u8>) -> Result<(), ConversionError> {
        encode_timestamp(self, Self::TYPE.name, out)
    }

    #[inline]
    fn decode(raw: &[u8]) -> Result<Self, ConversionError> {
        decode_timestamp(raw, Self::TYPE.name)
    }

    #[inline]
    fn same(&self, other: &Self, precision: Option<u8>) -> bool {
        same_micros(timestamp_micros(self), timestamp_micros(other), precision)
    }

    fn write_text(&self, out: &mut String) {
        write_timestamp(self, "+00", out);
    }

    fn is_unset(&self) -> bool {
        *self == Self::default()
    }

    fn unset() -> Option<Self> {
        Some(Self::default())
    }
}

impl ScalarType for NaiveDateTime {
    const TYPE: PgType = PgType::new("timestamp", 1114, "timestamp[]", 1115);

    #[inline]
    fn encode(&self, out: &mut Vec<u8>) -> Result<(), ConversionError> {
        encode_timestamp(&self.and_utc(), Self::TYPE.name, out)
    }

    #[inline]
    fn decode(raw: &[u8]) -> Result<Self, ConversionError> {
        decode_timestamp(raw, Self::TYPE.name).map(|value| value.naive_utc())
    }

    #[inline]
    fn same(&self, other: &Self, precision: Option<u8>) -> bool {
        same_micros(timestamp_micros(&self.and_utc()), timestamp_micros(&other.and_utc()), precision)
    }

    fn write_text(&self, out: &mut String) {
        write_timestamp(&self.and_utc(), "", out);
    }

    fn is_unset(&self) -> bool {
        *self == Self::default()
    }

    fn unset() -> Option<Self> {
        Some(Self::default())
    }
}

impl ScalarType for NaiveDate {
    const TYPE: PgType = PgType::new("date", 1082, "date[]", 1182);

    #[inline]
    fn encode(&self, out: &mut Vec<u8>) -> Result<(), ConversionError> {
        let days = self.num_days_from_ce() - EPOCH_DAY;
        if days < FIRST_DAY {
            return Err(out_of_range("date: 4714-11-24 BC to 5874897-12-31"));
        }
        out.put_i32(days);
        Ok(())
    }

    #[inline]
    fn decode(raw: &[u8]) -> Result<Self, ConversionError> {
        let days = i32::from_be_bytes(fixed(raw, Self::TYPE.name)?);
        match days {
            i32::MIN | i32::MAX => Err(infinite(Self::TYPE.name)),
            _ => days
                .checked_add(EPOCH_DAY)
                .and_then(Self::from_num_days_from_ce_opt)
                .ok_or_else(|| beyond_chrono(Self::TYPE.name)),
        }
    }

    #[inline]
    fn same(&self, other: &Self, _: Option<u8>) -> bool {
        self == other
    }

    fn write_text(&self, out: &mut String) {
        let era = write_date(*self, out);
        out.push_str(era);
    }

    fn is_unset(&self) -> bool {
        *self == Self::default()
    }

    fn unset() -> Option<Self> {
        Some(Self::default())
    }
}

impl ScalarType for NaiveTime {
    const TYPE: PgType = PgType::new("time", 1083, "time[]", 1183);

    #[inline]
    fn encode(&self, out: &mut Vec<u8>) -> Result<(), ConversionError> {
        let micros = time_micros(*self);
        if micros >= MICROS_PER_DAY {
            return Err(out_of_range("time: 00:00:00 to 23:59:59.999999, without a leap second at the end"));
        }
        out.put_i64(micros);
        Ok(())
    }

    #[inline]
    fn decode(raw: &[u8]) -> Result<Self, ConversionError> {
        let micros = i64::from_be_bytes(fixed(raw, Self::TYPE.name)?);
        time_of_micros(micros).ok_or_else(|| no_time(micros))
    }

    #[inline]
    fn same(&self, other: &Self, precision: Option<u8>) -> bool {
        same_micros(time_micros(*self), time_micros(*other), precision)
    }

    fn write_text(&self, out: &mut String) {
        match time_of_micros(time_micros(*self)) {
            Some(time) => write_time(time, out),
            // PostgreSQL would make 24:00:00 of it, which no NaiveTime can be read from: let it refuse, as `encode`.
            None => out.push_str("a leap second at midnight"),
        }
    }

    fn is_unset(&self) -> bool {
        *self == Self::default()
    }

    fn unset() -> Option<Self> {
        Some(Self::default())
    }
}

#[diagnostic::do_not_recommend]
impl OrderedType for DateTime<Utc> {}
#[diagnostic::do_not_recommend]
impl OrderedType for NaiveDateTime {}
#[diagnostic::do_not_recommend]
impl OrderedType for NaiveDate {}
#[diagnostic::do_not_recommend]
impl OrderedType for NaiveTime {}
impl ArrayElement for DateTime<Utc> {}
impl ArrayElement for NaiveDateTime {}
impl ArrayElement for NaiveDate {}
impl ArrayElement for NaiveTime {}

/// Microseconds since 2000-01-01. All of chrono's range fits; a leap second counts as the second after it.
#[inline]
fn timestamp_micros(value: &DateTime<Utc>) -> i64 {
    value.timestamp_micros() - EPOCH_MICROS
}

#[inline]
fn encode_timestamp(value: &DateTime<Utc>, type_name: &str, out: &mut Vec<u8>) -> Result<(), ConversionError> {
    let micros = timestamp_micros(value);
    if micros < FIRST_MICROS {
        return Err(out_of_range(&format!("{type_name}: 4714-11-24 BC to 294276-12-31")));
    }
    out.put_i64(micros);
    Ok(())
}

#[inline]
fn decode_timestamp(raw: &[u8], type_name: &str) -> Result<DateTime<Utc>, ConversionError> {
    let micros = i64::from_be_bytes(fixed(raw, type_name)?);
    match micros {
        i64::MIN | i64::MAX => Err(infinite(type_name)),
        _ => micros
            .checked_add(EPOCH_MICROS)
            .and_then(DateTime::from_timestamp_micros)
            .ok_or_else(|| beyond_chrono(type_name)),
    }
}

/// Microseconds since midnight; a day or more for a leap second at its end.
#[inline]
fn time_micros(value: NaiveTime) -> i64 {
    i64::from(value.num_seconds_from_midnight()) * MICROS_PER_SECOND + i64::from(value.nanosecond() / 1_000)
}

#[inline]
fn time_of_micros(micros: i64) -> Option<NaiveTime> {
    let micros = u64::try_from(micros).ok()?;
    let seconds = u32::try_from(micros / 1_000_000).ok()?;
    let nanos = u32::try_from(micros % 1_000_000).ok()? * 1_000;
    NaiveTime::from_num_seconds_from_midnight_opt(seconds, nanos)
}

#[inline]
fn same_micros(this: i64, that: i64, precision: Option<u8>) -> bool {
    this == that || rounded(this, precision) == rounded(that, precision)
}

/// What PostgreSQL stores in a column with so many digits after the second: the nearest value, of two the one further
/// from zero, which is 2000-01-01.
#[inline]
fn rounded(micros: i64, precision: Option<u8>) -> i64 {
    let Some(digits @ 0..6) = precision else { return micros };
    let step = 10_i64.pow(6 - u32::from(digits));
    let half = if micros < 0 { -step / 2 } else { step / 2 };
    (micros + half) / step * step
}

fn write_timestamp(value: &DateTime<Utc>, zone: &str, out: &mut String) {
    // Made of whole microseconds again, a leap second is the second after it.
    let value = DateTime::from_timestamp_micros(value.timestamp_micros()).unwrap_or(*value);
    let era = write_date(value.date_naive(), out);
    out.push(' ');
    write_time(value.time(), out);
    out.push_str(zone);
    out.push_str(era);
}

/// Writes the date and returns its era, which PostgreSQL wants at the very end. The year before 1 is 1 BC.
fn write_date(date: NaiveDate, out: &mut String) -> &'static str {
    let (year, era) = if date.year() > 0 { (date.year(), "") } else { (1 - date.year(), " BC") };
    let _ = write!(out, "{year:04}-{:02}-{:02}", date.month(), date.day());
    era
}

fn write_time(time: NaiveTime, out: &mut String) {
    let micros = time.nanosecond() / 1_000;
    let _ = write!(out, "{:02}:{:02}:{:02}.{micros:06}", time.hour(), time.minute(), time.second());
}

#[cold]
fn out_of_range(range: &str) -> ConversionError {
    ConversionError::new(format!("out of the range of {range}"))
}

#[cold]
fn infinite(type_name: &str) -> ConversionError {
    ConversionError::new(format!("a {type_name} of infinity cannot be read: chrono has no such value"))
}

#[cold]
fn beyond_chrono(type_name: &str) -> ConversionError {
    ConversionError::new(format!("a {type_name} beyond the years -262143 to 262142 of chrono cannot be read"))
}

#[cold]
fn no_time(micros: i64) -> ConversionError {
    ConversionError::new(if micros == MICROS_PER_DAY {
        "the time 24:00:00 cannot be read: chrono's last time is 23:59:59.999999"
    } else {
        "not a time: expected the microseconds of one day"
    })
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn date(year: i32, month: u32, day: u32) -> NaiveDate {
        NaiveDate::from_ymd_opt(year, month, day).unwrap()
    }

    fn encoded<T: ScalarType>(value: &T) -> Result<Vec<u8>, ConversionError> {
        let mut out = Vec::new();
        value.encode(&mut out).map(|()| out)
    }

    fn text<T: ScalarType>(value: &T) -> String {
        let mut out = String::new();
        value.write_text(&mut out);
        out
    }

    fn round_trip<T: ScalarType + PartialEq>(value: &T) {
        let raw = encoded(value).unwrap();
        assert_eq!(T::decode(&raw).as_ref(), Ok(value));
        assert!(T::decode(&raw[1..]).is_err());
        assert!(T::decode(&[]).is_err());
    }

    #[test]
    fn timestamps_round_trip() {
        for value in [at("1970-01-01T00:00:00Z"), at("1999-12-31T23:59:59.999999Z"), at("2024-02-29T12:34:56.789012Z")]
        {
            round_trip(&value);
            round_trip(&value.naive_utc());
        }
        assert_eq!(encoded(&at("2000-01-01T00:00:00.000001Z")).unwrap(), &1_i64.to_be_bytes()[..]);
        round_trip(&DateTime::<Utc>::MAX_UTC.with_nanosecond(999_999_000).unwrap());
        round_trip(&date(-4713, 11, 24).and_time(NaiveTime::MIN));
    }

    #[test]
    fn dates_and_times_round_trip() {
        for value in [date(-4713, 11, 24), date(0, 2, 29), date(1, 1, 1), date(2000, 1, 1), NaiveDate::MAX] {
            round_trip(&value);
        }
        for micros in [0, 1, 86_399_999_999] {
            round_trip(&time_of_micros(micros).unwrap());
        }
    }

    #[test]
    fn refuses_to_write_what_is_out_of_range() {
        for message in [
            encoded(&date(-4713, 11, 23)).unwrap_err().message,
            encoded(&DateTime::<Utc>::MIN_UTC).unwrap_err().message,
            encoded(&NaiveDateTime::MIN).unwrap_err().message,
            encoded(&NaiveTime::from_hms_milli_opt(23, 59, 59, 1_000).unwrap()).unwrap_err().message,
        ] {
            assert!(message.starts_with("out of the range of"), "{message}");
        }
    }

    #[test]
    fn refuses_to_read_what_chrono_has_no_value_for() {
        for micros in [i64::MIN, i64::MAX] {
            let error = DateTime::<Utc>::decode(&micros.to_be_bytes()).unwrap_err();
            assert!(error.message.contains("infinity"), "{error}");
        }
        for days in [i32::MIN, i32::MAX] {
            assert!(NaiveDate::decode(&days.to_be_bytes()).unwrap_err().message.contains("infinity"));
        }
        assert!(NaiveDateTime::decode(&(i64::MAX - 1).to_be_bytes()).is_err());
        assert!(NaiveDate::decode(&(i32::MAX - 1).to_be_bytes()).is_err());
        assert!(NaiveTime::decode(&MICROS_PER_DAY.to_be_bytes()).unwrap_err().message.contains("24:00:00"));
        assert!(NaiveTime::decode(&(MICROS_PER_DAY + 1).to_be_bytes()).is_err());
        assert!(NaiveTime::decode(&(-1_i64).to_be_bytes()).is_err());
        assert!(NaiveTime::decode(&i64::MAX.to_be_bytes()).is_err());
    }

    #[test]
    fn b2_nanoseconds_are_never_written_and_never_compared() {
        for start in ["2024-01-01T00:00:00.000001Z", "1969-12-31T23:59:59.999999Z"] {
            let exact = at(start);
            let finer = exact + TimeDelta::nanoseconds(999);
            assert!(exact.same(&finer, None) && exact.same(&finer, Some(6)));
            assert_eq!(encoded(&exact), encoded(&finer));
            assert_eq!(text(&exact), text(&finer));
            assert!(!exact.same(&(finer + TimeDelta::nanoseconds(1)), None));
        }
    }

    #[test]
    fn b2_timestamps_compare_at_the_precision_of_the_column() {
        let value = at("2024-01-01T00:00:00.123400Z");
        assert!(value.same(&at("2024-01-01T00:00:00.123Z"), Some(3)));
        assert!(!value.same(&at("2024-01-01T00:00:00.123Z"), Some(4)));
        assert!(at("2024-01-01T00:00:00.5Z").same(&at("2024-01-01T00:00:01Z"), Some(0)));
        // Before 2000 the server rounds a half the other way.
        assert!(at("1990-01-01T00:00:00.5Z").same(&at("1990-01-01T00:00:00Z"), Some(0)));
        let time = NaiveTime::from_hms_milli_opt(1, 2, 3, 500).unwrap();
        assert!(time.same(&NaiveTime::from_hms_opt(1, 2, 4).unwrap(), Some(0)));
        assert!(!time.same(&NaiveTime::from_hms_opt(1, 2, 4).unwrap(), None));
    }

    #[test]
    fn is_iso_as_text() {
        assert_eq!(text(&at("2024-02-29T12:34:56.789012Z")), "2024-02-29 12:34:56.789012+00");
        assert_eq!(text(&date(12024, 2, 9).and_hms_opt(1, 2, 3).unwrap()), "12024-02-09 01:02:03.000000");
        assert_eq!(text(&date(-43, 3, 15).and_time(NaiveTime::MIN).and_utc()), "0044-03-15 00:00:00.000000+00 BC");
        assert_eq!(text(&date(-43, 3, 15)), "0044-03-15 BC");
        assert_eq!(text(&date(0, 12, 31)), "0001-12-31 BC");
        assert_eq!(text(&NaiveTime::from_hms_micro_opt(1, 2, 3, 4).unwrap()), "01:02:03.000004");
        let leap = date(2016, 12, 31).and_hms_milli_opt(23, 59, 59, 1_500).unwrap();
        assert_eq!(text(&leap), "2017-01-01 00:00:00.500000");
    }
}
