//! Sizes and durations as people write them: `256MiB`, `5m`.

use serde::de::{Deserializer, Error, Unexpected, Visitor};
use std::fmt;
use std::time::Duration;

const SIZES: &[(&str, u64)] = &[
    ("", 1),
    ("b", 1),
    ("kb", 1000),
    ("kib", 1 << 10),
    ("mb", 1_000_000),
    ("mib", 1 << 20),
    ("gb", 1_000_000_000),
    ("gib", 1 << 30),
];

const MILLISECONDS: &[(&str, u64)] =
    &[("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];

/// Bytes: a whole number with or without `kB KiB MB MiB GB GiB`, in any case.
///
/// # Errors
/// What would have been right.
pub fn size(text: &str) -> Result<u64, String> {
    quantity(text, SIZES).ok_or_else(|| format!("{text:?} is no size such as 256MiB or 1GiB"))
}

/// A whole number with `ms s m h d`.
///
/// # Errors
/// What would have been right.
pub fn duration(text: &str) -> Result<Duration, String> {
    quantity(text, MILLISECONDS)
        .map(Duration::from_millis)
        .ok_or_else(|| format!("{text:?} is no duration such as 30s or 5m"))
}

fn quantity(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let text = text.trim();
    let unit_at = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(unit_at);
    let unit = unit.trim_start().to_ascii_lowercase();
    let (_, factor) = units.iter().find(|(name, _)| *name == unit)?;
    number.parse::<u64>().ok()?.checked_mul(*factor)
}

/// For `#[serde(deserialize_with)]`: a [`size`], or a bare number of bytes.
pub(super) fn read_size<'de, D: Deserializer<'de>>(value: D) -> Result<Option<u64>, D::Error> {
    struct Size;
    impl Visitor<'_> for Size {
        type Value = u64;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a size such as \"256MiB\"")
        }
        fn visit_str<E: Error>(self, text: &str) -> Result<u64, E> {
            size(text).map_err(E::custom)
        }
        fn visit_i64<E: Error>(self, bytes: i64) -> Result<u64, E> {
            u64::try_from(bytes)
                .map_err(|_| E::invalid_value(Unexpected::Signed(bytes), &"a size from 0"))
        }
    }
    value.deserialize_any(Size).map(Some)
}

/// For `#[serde(deserialize_with)]`: a [`duration`].
pub(super) fn read_duration<'de, D: Deserializer<'de>>(
    value: D,
) -> Result<Option<Duration>, D::Error> {
    struct Period;
    impl Visitor<'_> for Period {
        type Value = Duration;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a duration such as \"5m\"")
        }
        fn visit_str<E: Error>(self, text: &str) -> Result<Duration, E> {
            duration(text).map_err(E::custom)
        }
    }
    value.deserialize_str(Period).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_durations_are_read_as_people_write_them() {
        for (text, expected) in [
            ("256MiB", Some(256 << 20)),
            ("1 gib", Some(1 << 30)),
            ("2GB", Some(2_000_000_000)),
            ("512", Some(512)),
            ("99999999999GiB", None),
            ("1.5GiB", None),
            ("-1", None),
            ("MiB", None),
            ("5m", None),
        ] {
            assert_eq!(size(text).ok(), expected, "{text}");
        }
        for (text, expected) in [
            ("5m", Some(300_000)),
            ("90s", Some(90_000)),
            ("250ms", Some(250)),
            ("1 d", Some(86_400_000)),
            ("5", None),
            ("", None),
            ("5MiB", None),
        ] {
            assert_eq!(duration(text).ok(), expected.map(Duration::from_millis), "{text}");
        }
    }
}
