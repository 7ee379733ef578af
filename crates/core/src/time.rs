//! Time as an argument: what a step is told about now, the hybrid logical clock, and order times.

use std::fmt;
use std::time::Duration;

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Serialize};

/// How far a client's claimed edit time may lie ahead of the accepting hub's clock. A constant of the protocol.
pub const EPSILON: Duration = Duration::from_secs(300);

/// Whole microseconds since 1970 UTC; earlier instants count as 0. The last one is [`MICROS_MAX`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Micros(pub u64);

/// 2255-06-05T23:47:34.740992Z: later claims count as this. It is the largest whole number that the canonical form can
/// say (2^53), so that what a hub stamps under a clock gone mad can still be read.
pub const MICROS_MAX: Micros = Micros(1 << 53);

impl Micros {
    /// This instant and `later` more; stops at [`MICROS_MAX`].
    pub fn plus(self, later: Duration) -> Micros {
        let micros = u64::try_from(later.as_micros()).unwrap_or(u64::MAX);
        Micros(self.0.saturating_add(micros)).min(MICROS_MAX)
    }

    /// The next representable instant; stops at [`MICROS_MAX`].
    pub fn next(self) -> Micros {
        Micros(self.0 + 1).min(MICROS_MAX)
    }
}

impl fmt::Display for Micros {
    /// ISO-8601 in UTC with microseconds: `2026-06-15T09:41:02.581234+00:00`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let micros = self.0.min(MICROS_MAX.0) as i64;
        match DateTime::<Utc>::from_timestamp_micros(micros) {
            Some(time) => f.write_str(&time.to_rfc3339_opts(SecondsFormat::Micros, false)),
            None => write!(f, "{micros}us"),
        }
    }
}

/// What a step is told about time. Nothing in this crate reads a clock.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Now {
    /// The hub's wall clock, which may be wrong and may jump.
    pub wall: Micros,
    /// Time since the process began, which never goes back: for timers and time-outs.
    pub mono: Duration,
}

/// The hybrid logical clock of one hub: max(wall, last + 1), kept across restarts by whoever owns it.
///
/// After Kulkarni et al., *Logical Physical Clocks* (2014), with the logical part folded into the microseconds.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Hlc {
    last: Micros,
}

impl Hlc {
    /// A clock that goes on after `last`.
    pub fn after(last: Micros) -> Hlc {
        Hlc { last }
    }

    /// The next stamp: strictly larger than every earlier one, except that it stops at [`MICROS_MAX`].
    pub fn tick(&mut self, wall: Micros) -> Micros {
        self.last = wall.min(MICROS_MAX).max(self.last.next());
        self.last
    }

    /// The latest stamp given.
    pub fn last(&self) -> Micros {
        self.last
    }
}

/// The order time of a record: the smaller of the edit time and `clock` + ε, but at least 1 µs after the largest
/// order time among the parents known; `clock` itself where no edit time can be read.
pub fn order_time(edit: Option<Micros>, clock: Micros, largest_parent: Option<Micros>) -> Micros {
    let stamp = edit.map_or(clock, |edit| edit.min(clock.plus(EPSILON)));
    largest_parent.map_or(stamp, |parent| stamp.max(parent.next()))
}

/// The edit time that a version string claims: what stands before the first offset (`±HH:MM` or `Z`), read as
/// ISO-8601. None if there is no such thing.
pub fn edit_time(version: &str) -> Option<Micros> {
    let date = version.as_bytes().iter().position(|byte| *byte == b'T')?;
    let rest = &version[date..];
    let offset = rest.find(['+', '-', 'Z'])? + date;
    let end = if version.as_bytes()[offset] == b'Z' {
        offset + 1
    } else {
        offset + 6
    };
    let time = DateTime::parse_from_rfc3339(version.get(..end)?).ok()?;
    let micros = u64::try_from(time.timestamp_micros()).unwrap_or(0);
    Some(Micros(micros).min(MICROS_MAX))
}

/// An instant as people and programs write it: ISO-8601 with an offset, without one (UTC), or a date alone (its first
/// instant in UTC). A blank in the place of a `+`, as a query string that was not escaped has it, counts as one.
pub fn instant(text: &str) -> Option<Micros> {
    let text = text
        .trim()
        .replace(' ', if text.contains('T') { "+" } else { "T" });
    let with = |end: &str| edit_time(&format!("{text}{end}"));
    match text.len() {
        0..10 => None,
        10 => with("T00:00:00Z"),
        16 => with(":00Z"),
        _ => edit_time(&text).or_else(|| with("Z")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edit_times_are_read_from_the_versions_that_clients_write() {
        let cases = [
            (
                "2026-06-15T09:41:02.581234+00:00-000417-alice",
                Some(1_781_516_462_581_234),
            ),
            (
                "2026-06-15T09:41:02+00:00-000417-bob-smith",
                Some(1_781_516_462_000_000),
            ),
            (
                "2026-06-15T11:41:02.581234+02:00-1-x",
                Some(1_781_516_462_581_234),
            ),
            ("2026-06-15T09:41:02.581Z-mcp", Some(1_781_516_462_581_000)),
            ("1950-01-01T00:00:00.000000+00:00-000001-grandpa", Some(0)),
            ("v-1795375283624", None),
            ("T", None),
            ("2026-06-15T09:41:02", None),
            ("2026-99-15T09:41:02+00:00", None),
            ("größeT+", None),
        ];
        for (version, expected) in cases {
            assert_eq!(edit_time(version).map(|micros| micros.0), expected, "{version}");
        }
        assert_eq!(
            Micros(1_781_516_462_581_234).to_string(),
            "2026-06-15T09:41:02.581234+00:00"
        );
    }

    #[test]
    fn instants_are_read_as_people_write_them() {
        let noon = edit_time("2026-06-15T12:00:00Z");
        for text in [
            "2026-06-15T12:00:00Z",
            "2026-06-15T12:00",
            "2026-06-15T12:00:00",
            "2026-06-15 12:00",
            "2026-06-15T14:00:00+02:00",
            "2026-06-15T14:00:00 02:00",
            "2026-06-15T12:00:00.000000+00:00",
        ] {
            assert_eq!(instant(text), noon, "{text}");
        }
        assert_eq!(instant("2026-06-15"), edit_time("2026-06-15T00:00:00Z"));
        for bad in [
            "",
            "tuesday",
            "2026-13-01",
            "2026-06-15T25:00",
            "12:00",
            "größe-größe",
        ] {
            assert_eq!(instant(bad), None, "{bad}");
        }
    }

    #[test]
    fn the_clock_never_goes_back_and_no_claim_leads_it_by_more_than_epsilon() {
        let mut clock = Hlc::after(Micros(1_000));
        assert_eq!(clock.tick(Micros(5)), Micros(1_001));
        assert_eq!(clock.tick(Micros(2_000)), Micros(2_000));
        let far = order_time(Some(MICROS_MAX), Micros(2_000), None);
        assert_eq!(far, Micros(2_000).plus(EPSILON));
        assert_eq!(
            order_time(Some(Micros(1)), Micros(2_000), Some(Micros(9_000))),
            Micros(9_001)
        );
        assert_eq!(order_time(None, Micros(2_000), None), Micros(2_000));
    }
}
