//! Numbers with units: `50M` fuel, `16MiB` of memory, `1m30s` of time.
//!
//! Whole numbers only: `1.5s` is `1500ms`. That leaves one way to write a value and no rounding.

use std::time::Duration;

/// Why a text is not a number with a unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum UnitError {
    /// No digits where a number should begin.
    #[error("a whole number is missing")]
    NoNumber,
    /// The unit is not in the list.
    #[error("unknown unit")]
    UnknownUnit,
    /// A time without a unit.
    #[error("the unit is missing")]
    NoUnit,
    /// `30s1m`, `1s1s`
    #[error("larger units come first")]
    Order,
    /// More than 64 bits.
    #[error("too large")]
    TooLarge,
}

const COUNTS: &[(&str, u64)] = &[("", 1), ("k", 1_000), ("K", 1_000), ("M", 1_000_000), ("G", 1_000_000_000)];
const BYTES: &[(&str, u64)] = &[
    ("", 1),
    ("B", 1),
    ("kB", 1_000),
    ("KB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
];
const TIMES: &[(&str, u64)] = &[
    ("ns", 1),
    ("us", 1_000),
    ("µs", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60 * 1_000_000_000),
    ("h", 3_600 * 1_000_000_000),
    ("d", 86_400 * 1_000_000_000),
];

/// `50M`: a count, decimal units.
pub(super) fn count(text: &str) -> Result<u64, UnitError> {
    single(text, COUNTS)
}

/// `16MiB`: bytes, binary or decimal units.
pub(super) fn bytes(text: &str) -> Result<u64, UnitError> {
    single(text, BYTES)
}

/// `1m30s`: a time, at most 64 bits of nanoseconds.
pub(super) fn duration(text: &str) -> Result<Duration, UnitError> {
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let mut rest = text;
    let mut total: u64 = 0;
    let mut last = u64::MAX;
    while !rest.is_empty() || text.is_empty() {
        let (number, after) = number(rest)?;
        let letters = after.find(|c: char| c.is_ascii_digit()).unwrap_or(after.len());
        let (unit, after) = after.split_at(letters);
        if unit.is_empty() {
            return Err(UnitError::NoUnit);
        }
        let scale = scale(unit, TIMES)?;
        if scale >= last {
            return Err(UnitError::Order);
        }
        last = scale;
        let part = number.checked_mul(scale).ok_or(UnitError::TooLarge)?;
        total = total.checked_add(part).ok_or(UnitError::TooLarge)?;
        rest = after;
    }
    Ok(Duration::from_nanos(total))
}

fn single(text: &str, units: &[(&str, u64)]) -> Result<u64, UnitError> {
    let (number, unit) = number(text)?;
    let scale = scale(unit.trim_start_matches(' '), units)?;
    number.checked_mul(scale).ok_or(UnitError::TooLarge)
}

fn scale(unit: &str, units: &[(&str, u64)]) -> Result<u64, UnitError> {
    let found = units.iter().find(|(name, _)| *name == unit);
    found.map(|(_, scale)| *scale).ok_or(UnitError::UnknownUnit)
}

fn number(text: &str) -> Result<(u64, &str), UnitError> {
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '_').unwrap_or(text.len());
    let (digits, rest) = text.split_at(digits);
    let digits = digits.replace('_', "");
    if digits.is_empty() {
        return Err(UnitError::NoNumber);
    }
    Ok((digits.parse().map_err(|_| UnitError::TooLarge)?, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_decimal_and_bytes_may_be_binary() {
        assert_eq!(count("50M"), Ok(50_000_000));
        assert_eq!(count("1_000"), Ok(1000));
        assert_eq!(count("1MiB"), Err(UnitError::UnknownUnit));
        assert_eq!(bytes("16MiB"), Ok(16 << 20));
        assert_eq!(bytes("16 MB"), Ok(16_000_000));
        assert_eq!(bytes("7"), Ok(7));
        assert_eq!(bytes("-1"), Err(UnitError::NoNumber));
        assert_eq!(bytes("18446744073709551615GiB"), Err(UnitError::TooLarge));
    }

    #[test]
    fn times_go_from_large_units_to_small_ones() {
        assert_eq!(duration("1m30s"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("250us"), Ok(Duration::from_micros(250)));
        assert_eq!(duration("0"), Ok(Duration::ZERO));
        assert_eq!(duration("0ms"), Ok(Duration::ZERO));
        for (text, error) in [
            ("", UnitError::NoNumber),
            ("60", UnitError::NoUnit),
            ("-1s", UnitError::NoNumber),
            ("1.5s", UnitError::UnknownUnit),
            ("30s1m", UnitError::Order),
            ("1s1s", UnitError::Order),
            ("1000000d", UnitError::TooLarge),
            ("99999999999999999999s", UnitError::TooLarge),
        ] {
            assert_eq!(duration(text), Err(error), "{text}");
        }
    }
}
