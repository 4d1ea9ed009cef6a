//! Sizes and durations as people write them: `"96 MiB"`, `"5 s"`.

use std::fmt;
use std::str::FromStr;

use serde::de::{self, Deserializer, Visitor};
use serde::{Deserialize, Serialize, Serializer};

/// A number of bytes. Written with one of B, KiB, MiB, GiB, TiB (powers of 1 024) or kB, MB, GB, TB (of 1 000).
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub struct Bytes(pub u64);

/// A number of seconds. Written with one of s, min, h, d.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub struct Seconds(pub u64);

/// The text is no such quantity; says what one looks like.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("expected {0}")]
pub struct BadQuantity(&'static str);

const SIZE: &str = "a size such as \"96 MiB\", \"500 kB\" or a number of bytes";
const SPAN: &str = "a duration such as \"5 s\", \"10 min\", \"2 h\" or a number of seconds";

const SIZES: [(&str, u64); 10] = [
    ("", 1),
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("B", 1),
    ("TB", 1_000_000_000_000),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("kB", 1_000),
];

const SPANS: [(&str, u64); 5] = [("", 1), ("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1)];

/// A whole number and a unit out of `units`.
fn parse(text: &str, units: &[(&str, u64)], expected: &'static str) -> Result<u64, BadQuantity> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let unit = unit.trim();
    let factor = units.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit)).map(|(_, factor)| *factor);
    let number: Option<u64> = number.parse().ok();
    number.zip(factor).and_then(|(number, factor)| number.checked_mul(factor)).ok_or(BadQuantity(expected))
}

/// The value in the largest unit that divides it.
fn write(f: &mut fmt::Formatter<'_>, value: u64, units: &[(&str, u64)], smallest: &str) -> fmt::Result {
    let whole =
        |(name, factor): &&(&str, u64)| !name.is_empty() && value != 0 && value.is_multiple_of(*factor);
    match units.iter().find(whole) {
        Some((name, factor)) => write!(f, "{} {name}", value / factor),
        None => write!(f, "{value} {smallest}"),
    }
}

impl FromStr for Bytes {
    type Err = BadQuantity;

    fn from_str(text: &str) -> Result<Self, BadQuantity> {
        parse(text, &SIZES, SIZE).map(Self)
    }
}

impl FromStr for Seconds {
    type Err = BadQuantity;

    fn from_str(text: &str) -> Result<Self, BadQuantity> {
        parse(text, &SPANS, SPAN).map(Self)
    }
}

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write(f, self.0, &SIZES, "B")
    }
}

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write(f, self.0, &SPANS, "s")
    }
}

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Serialize for Seconds {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TextOrNumber(SIZE, &SIZES)).map(Self)
    }
}

impl<'de> Deserialize<'de> for Seconds {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TextOrNumber(SPAN, &SPANS)).map(Self)
    }
}

struct TextOrNumber(&'static str, &'static [(&'static str, u64)]);

impl Visitor<'_> for TextOrNumber {
    type Value = u64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<u64, E> {
        parse(text, self.1, self.0).map_err(E::custom)
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<u64, E> {
        Ok(number)
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<u64, E> {
        u64::try_from(number).map_err(|_| E::custom(BadQuantity(self.0)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_spans_are_read_as_people_write_them() {
        for (text, bytes) in [
            ("96 MiB", 96 << 20),
            ("96mib", 96 << 20),
            ("0", 0),
            ("7 B", 7),
            ("3 kB", 3_000),
            (" 1 TiB ", 1 << 40),
        ] {
            assert_eq!(text.parse(), Ok(Bytes(bytes)), "{text:?}");
        }
        for (text, seconds) in [("5 s", 5), ("10min", 600), ("2 h", 7_200), ("1 d", 86_400), ("9", 9)] {
            assert_eq!(text.parse(), Ok(Seconds(seconds)), "{text:?}");
        }
    }

    #[test]
    fn nonsense_is_refused() {
        for text in ["", "MiB", "-1 MiB", "1.5 GiB", "1 MiB 2", "99999999999 GiB", "1 m", "1 XiB"] {
            assert!(text.parse::<Bytes>().is_err(), "{text:?}");
        }
        assert!("1 month".parse::<Seconds>().is_err());
    }

    #[test]
    fn what_is_written_is_read_back() {
        for bytes in [0, 1, 1_023, 1_024, 96 << 20, 3_000, 5 << 40, u64::MAX] {
            assert_eq!(Bytes(bytes).to_string().parse(), Ok(Bytes(bytes)));
        }
        assert_eq!(Seconds(7_200).to_string(), "2 h");
    }
}
