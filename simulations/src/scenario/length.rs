//! Lengths of time as people write them: `2d 3h`, `250ms`, exact to the nanosecond.

use std::time::Duration;

/// What units are worth, the longest first. Months and years differ among themselves: they are read, not written.
const UNITS: [(&str, u128); 7] = [
    ("d", 86_400_000_000_000),
    ("h", 3_600_000_000_000),
    ("m", 60_000_000_000),
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
    ("us", 1_000),
    ("ns", 1),
];

/// Writes one.
pub fn write(length: Duration) -> String {
    let mut left = length.as_nanos();
    let mut parts = Vec::new();
    for (unit, worth) in UNITS {
        if left >= worth {
            parts.push(format!("{}{unit}", left / worth));
            left %= worth;
        }
    }
    if parts.is_empty() {
        parts.push("0s".to_owned());
    }
    parts.join(" ")
}

/// Writes by how much a clock is wrong, in microseconds: `+3m`, `-10d`.
pub fn write_signed(by_us: i64) -> String {
    let sign = if by_us < 0 { '-' } else { '+' };
    format!("{sign}{}", write(Duration::from_micros(by_us.unsigned_abs())))
}

/// Reads one.
pub fn read(text: &str) -> Option<Duration> {
    humantime::parse_duration(text).ok()
}

/// Reads by how much a clock is wrong: a sign, and whole microseconds.
pub fn read_signed(text: &str) -> Option<(i64, Duration)> {
    let (sign, rest) = match text.strip_prefix('+') {
        Some(rest) => (1, rest),
        None => (-1, text.strip_prefix('-')?),
    };
    let length = read(rest)?;
    let us = i64::try_from(length.as_micros()).ok()?;
    (length.subsec_nanos() % 1_000 == 0).then_some((sign * us, length))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_exact() {
        for nanos in [0, 1, 999, 1_000, 59_999_999_999, u64::MAX / 3, 86_400_000_000_000] {
            let length = Duration::from_nanos(nanos);
            assert_eq!(read(&write(length)), Some(length), "{}", write(length));
        }
        assert_eq!(write(Duration::from_secs(2 * 86_400 + 6 * 3_600)), "2d 6h");
        assert_eq!(read_signed("-10y"), read_signed("-3652d 12h"));
        assert_eq!(write_signed(-1_500_000), "-1s 500ms");
        assert_eq!(read_signed("3m"), None);
    }
}
