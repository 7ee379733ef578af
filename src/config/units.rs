//! Durations and sizes as people write them: a whole number and a unit.
//!
//! Invariant: what is displayed parses back to the same value, in the largest unit that divides it.

use std::fmt;
use std::str::FromStr;

use super::errors::clip;

/// A span of time in whole milliseconds, written `"500ms"`, `"30s"`, `"5m"`, `"2h"` or `"7d"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Duration(u64);

/// A number of bytes, written `"512B"`, `"4KiB"`, `"64MiB"`, `"1GiB"` or, in powers of ten, `"10MB"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Size(u64);

/// Why a text is not a duration or a size.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnitError {
    /// Not a whole number followed by a known unit.
    #[error("{text:?} is not {what}: write a whole number and a unit ({units}), as {example:?}")]
    Malformed {
        /// What was written.
        text: String,
        /// What it should have been.
        what: &'static str,
        /// The units there are.
        units: String,
        /// How it is written.
        example: &'static str,
    },
    /// A number with a fraction.
    #[error("{text:?} has a fraction: write a whole number of a smaller unit")]
    Fraction {
        /// What was written.
        text: String,
    },
    /// A number below zero.
    #[error("{text:?} is negative")]
    Negative {
        /// What was written.
        text: String,
    },
    /// More than 64 bits can count.
    #[error("{text:?} is too large")]
    Overflow {
        /// What was written.
        text: String,
    },
}

impl Duration {
    /// So many milliseconds.
    pub const fn millis(count: u64) -> Self {
        Self(count)
    }

    /// So many seconds, saturating.
    pub const fn seconds(count: u64) -> Self {
        Self(count.saturating_mul(SECOND))
    }

    /// So many minutes, saturating.
    pub const fn minutes(count: u64) -> Self {
        Self(count.saturating_mul(MINUTE))
    }

    /// So many hours, saturating.
    pub const fn hours(count: u64) -> Self {
        Self(count.saturating_mul(HOUR))
    }

    /// The standard library's duration.
    pub const fn get(self) -> std::time::Duration {
        std::time::Duration::from_millis(self.0)
    }

    /// Whole milliseconds.
    pub const fn as_millis(self) -> u64 {
        self.0
    }
}

impl Size {
    /// So many bytes.
    pub const fn new(bytes: u64) -> Self {
        Self(bytes)
    }

    /// So many KiB (1,024 bytes), saturating.
    pub const fn kib(count: u64) -> Self {
        Self(count.saturating_mul(KIB))
    }

    /// So many MiB (1,048,576 bytes), saturating.
    pub const fn mib(count: u64) -> Self {
        Self(count.saturating_mul(MIB))
    }

    /// So many GiB (1,073,741,824 bytes), saturating.
    pub const fn gib(count: u64) -> Self {
        Self(count.saturating_mul(GIB))
    }

    /// The number of bytes.
    pub const fn bytes(self) -> u64 {
        self.0
    }

    /// The number of bytes as a length in memory, or the longest length where there is no such.
    pub fn as_usize(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

impl From<Duration> for std::time::Duration {
    fn from(duration: Duration) -> Self {
        duration.get()
    }
}

impl FromStr for Duration {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        DURATION.parse(text).map(Self)
    }
}

impl FromStr for Size {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        SIZE.parse(text).map(Self)
    }
}

impl fmt::Display for Duration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        DURATION.display(self.0, f)
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        SIZE.display(self.0, f)
    }
}

const SECOND: u64 = 1_000;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;
const TIB: u64 = 1 << 40;

/// How one dimension is written.
struct Scale {
    what: &'static str,
    example: &'static str,
    /// Largest first, which is the order in which displaying tries them.
    units: &'static [(&'static str, u64)],
    zero: &'static str,
}

const DURATION: Scale = Scale {
    what: "a duration",
    example: "30s",
    units: &[("d", DAY), ("h", HOUR), ("m", MINUTE), ("s", SECOND), ("ms", 1)],
    zero: "0s",
};

const SIZE: Scale = Scale {
    what: "a size",
    example: "64MiB",
    units: &[
        ("TiB", TIB),
        ("TB", 1_000_000_000_000),
        ("GiB", GIB),
        ("GB", 1_000_000_000),
        ("MiB", MIB),
        ("MB", 1_000_000),
        ("KiB", KIB),
        ("KB", 1_000),
        ("kB", 1_000),
        ("B", 1),
    ],
    zero: "0B",
};

impl Scale {
    fn parse(&self, text: &str) -> Result<u64, UnitError> {
        let (negative, rest) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let unit_at = rest
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .unwrap_or(rest.len());
        let (number, unit) = rest.split_at(unit_at);
        let (whole, fraction) = match number.split_once('.') {
            Some((whole, fraction)) => (whole, Some(fraction)),
            None => (number, None),
        };
        let factor = self
            .units
            .iter()
            .find(|(name, _)| *name == unit)
            .map(|(_, factor)| *factor);
        let (Some(factor), false) = (factor, whole.is_empty()) else {
            return Err(self.malformed(text));
        };
        match fraction {
            Some("") => return Err(self.malformed(text)),
            Some(digits) if digits.contains('.') => return Err(self.malformed(text)),
            Some(_) => return Err(UnitError::Fraction { text: clip(text) }),
            None if negative => return Err(UnitError::Negative { text: clip(text) }),
            None => {}
        }
        // The number is digits only, so that it cannot be read means that it does not fit.
        let count = whole.parse::<u64>().ok();
        count
            .and_then(|count| count.checked_mul(factor))
            .ok_or_else(|| UnitError::Overflow { text: clip(text) })
    }

    fn malformed(&self, text: &str) -> UnitError {
        let mut names: Vec<&str> = self
            .units
            .iter()
            .map(|(name, _)| *name)
            .filter(|name| *name != "kB")
            .collect();
        names.reverse();
        UnitError::Malformed {
            text: clip(text),
            what: self.what,
            units: names.join(", "),
            example: self.example,
        }
    }

    fn display(&self, value: u64, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if value == 0 {
            return f.pad(self.zero);
        }
        match self
            .units
            .iter()
            .find(|(_, factor)| value.is_multiple_of(*factor))
        {
            Some((name, factor)) => f.pad(&format!("{}{name}", value / factor)),
            None => unreachable!("the smallest unit of {} is not 1", self.what),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_and_show_as_they_are_written() {
        for (text, millis) in [
            ("500ms", 500),
            ("1s", 1_000),
            ("30s", 30_000),
            ("90s", 90_000),
            ("5m", 300_000),
            ("2h", 7_200_000),
            ("7d", 604_800_000),
            ("0s", 0),
        ] {
            let duration: Duration = text.parse().expect(text);
            assert_eq!(duration, Duration::millis(millis));
            assert_eq!(duration.get(), std::time::Duration::from_millis(millis));
            assert_eq!(duration.to_string(), text);
        }
        assert_eq!("120s".parse::<Duration>().expect("120s").to_string(), "2m");
    }

    #[test]
    fn sizes_read_and_show_as_they_are_written() {
        for (text, bytes) in [
            ("0B", 0),
            ("1B", 1),
            ("512B", 512),
            ("4KiB", 4_096),
            ("64MiB", 67_108_864),
            ("3GiB", 3_221_225_472),
            ("2TiB", 2_199_023_255_552),
            ("10KB", 10_000),
            ("10MB", 10_000_000),
            ("1GB", 1_000_000_000),
            ("1TB", 1_000_000_000_000),
        ] {
            let size: Size = text.parse().expect(text);
            assert_eq!(size, Size::new(bytes));
            assert_eq!(size.to_string(), text);
        }
        assert_eq!("10kB".parse::<Size>(), Ok(Size::new(10_000)));
    }

    #[test]
    fn what_is_displayed_parses_back() {
        let mut value = 1_u64;
        for step in 0..64_u64 {
            value = value.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(step);
            for value in [
                value,
                value >> 20,
                value >> 40,
                value >> 54,
                (value >> 40) * 1_000,
                u64::MAX,
            ] {
                assert_eq!(
                    Duration::millis(value).to_string().parse(),
                    Ok(Duration::millis(value))
                );
                assert_eq!(Size::new(value).to_string().parse(), Ok(Size::new(value)));
            }
        }
    }

    #[test]
    fn bad_units_are_named() {
        let malformed = "is not a duration: write a whole number and a unit (ms, s, m, h, d), as \"30s\"";
        for text in [
            "", "s", "30", "30 s", "30S", "+30s", "30sec", "3s5", "1.s", ".5s", "1.2.3s", "٣s", "--1s",
        ] {
            let error = text.parse::<Duration>().expect_err(text);
            assert_eq!(error.to_string(), format!("{text:?} {malformed}"));
        }
        for (text, message) in [
            (
                "1.5s",
                "\"1.5s\" has a fraction: write a whole number of a smaller unit",
            ),
            ("-5s", "\"-5s\" is negative"),
            (
                "18446744073709551616ms",
                "\"18446744073709551616ms\" is too large",
            ),
            ("18446744073709552s", "\"18446744073709552s\" is too large"),
        ] {
            assert_eq!(text.parse::<Duration>().expect_err(text).to_string(), message);
        }
        assert_eq!(
            "64M".parse::<Size>().expect_err("64M").to_string(),
            "\"64M\" is not a size: write a whole number and a unit \
             (B, KB, KiB, MB, MiB, GB, GiB, TB, TiB), as \"64MiB\""
        );
        assert_eq!(
            "16777216TiB".parse::<Size>().expect_err("2^64").to_string(),
            "\"16777216TiB\" is too large"
        );
    }
}
