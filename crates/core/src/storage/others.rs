//! What the clocks of other hubs say about this hub's own: its stamps are bounded by the newest time that it has heard,
//! and people are told when its clock cannot be right.

use std::time::Duration;

use crate::machine::ClockDoubt;
use crate::time::{EPSILON, Micros};

/// The newest time that is known, and how it has gone on since.
#[derive(Debug, Clone, Default)]
pub(super) struct Others {
    /// The newest time of all, by a linked hub's wall clock or this hub's own last stamp, and when it was so.
    newest: (Micros, Duration),
    /// Whether any other hub has said its time: before that there is nobody to bound this one.
    heard: bool,
    /// What people were told last.
    doubt: Option<ClockDoubt>,
}

impl Others {
    /// Starts from this hub's last stamp: a time that has certainly been.
    pub fn after(last: Micros) -> Others {
        Others {
            newest: (last, Duration::ZERO),
            ..Others::default()
        }
    }

    fn newest_now(&self, mono: Duration) -> Micros {
        let (time, at) = self.newest;
        time.plus(mono.saturating_sub(at))
    }

    /// A linked hub says what its clock shows.
    pub fn heard(&mut self, wall: Micros, mono: Duration) {
        self.heard = true;
        if wall > self.newest_now(mono) {
            self.newest = (wall, mono);
        }
    }

    /// No stamp of this hub's own lies beyond this; None while nobody has said anything.
    pub fn bound(&self, mono: Duration) -> Option<Micros> {
        self.heard.then(|| self.newest_now(mono).plus(EPSILON))
    }

    /// What this hub's clock counts as.
    pub fn own(&self, wall: Micros, mono: Duration) -> Micros {
        self.bound(mono).map_or(wall, |bound| wall.min(bound))
    }

    /// Whether people should be told something else than before about this hub's clock, and what.
    pub fn doubts(&mut self, wall: Micros, mono: Duration) -> Option<Option<ClockDoubt>> {
        let newest = self.newest_now(mono);
        let doubt = if !self.heard {
            None
        } else if wall > newest.plus(EPSILON) {
            Some(ClockDoubt::Ahead(Duration::from_micros(wall.0 - newest.0)))
        } else if wall.plus(EPSILON) < newest {
            Some(ClockDoubt::Behind(Duration::from_micros(newest.0 - wall.0)))
        } else {
            None
        };
        let kind = |doubt: &Option<ClockDoubt>| doubt.as_ref().map(std::mem::discriminant);
        let other = kind(&doubt) != kind(&self.doubt);
        self.doubt = doubt;
        other.then_some(doubt)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3_600);

    #[test]
    fn a_clock_that_jumped_a_year_ahead_stamps_by_the_others_time() {
        let noon = Micros(1_781_516_462_000_000);
        let mut others = Others::after(noon);
        let jumped = noon.plus(HOUR * 24 * 365);
        assert_eq!(
            others.own(jumped, Duration::ZERO),
            jumped,
            "nobody to say otherwise"
        );
        others.heard(noon.plus(HOUR), HOUR);
        assert_eq!(others.own(jumped, HOUR), noon.plus(HOUR).plus(EPSILON));
        assert_eq!(
            others.own(jumped, HOUR * 3),
            noon.plus(HOUR * 3).plus(EPSILON),
            "time goes on without news"
        );
        assert!(matches!(
            others.doubts(jumped, HOUR),
            Some(Some(ClockDoubt::Ahead(_)))
        ));
        assert_eq!(others.doubts(jumped, HOUR), None, "told once");
        assert_eq!(others.doubts(noon.plus(HOUR), HOUR), Some(None), "set right");
    }

    #[test]
    fn another_hubs_dead_clock_does_not_hold_this_one_back_far() {
        let noon = Micros(1_781_516_462_000_000);
        let mut others = Others::after(noon);
        others.heard(Micros(5), HOUR);
        assert_eq!(others.own(noon.plus(HOUR), HOUR), noon.plus(HOUR));
        assert_eq!(others.doubts(noon.plus(HOUR), HOUR), None);
        assert!(matches!(
            others.doubts(Micros(7), HOUR),
            Some(Some(ClockDoubt::Behind(_)))
        ));
    }
}
