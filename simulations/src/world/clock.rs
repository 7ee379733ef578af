//! A wall clock beside the true time: ahead or behind, too fast or too slow, jumping, or dead.

use std::time::Duration;

use inbetweenies_core::time::{MICROS_MAX, Micros};

use crate::plan::ClockPlan;

/// The true time when a run begins: 2026-06-15T09:41:02Z.
pub const START: Micros = Micros(1_781_516_462_000_000);

/// One wall clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct WallClock {
    plan: ClockPlan,
    /// When its battery died, if it is dead: it counts from 1970 since then.
    reset_at: Option<Duration>,
}

impl WallClock {
    /// As planned.
    pub fn new(plan: ClockPlan) -> WallClock {
        WallClock { plan, reset_at: None }
    }

    /// What it says at a true time since the beginning.
    pub fn read(&self, now: Duration) -> Micros {
        let true_us = now.as_micros() as i128;
        let said = match self.reset_at {
            Some(at) => (now.saturating_sub(at)).as_micros() as i128,
            None => {
                let drift = true_us * i128::from(self.plan.drift_ppm) / 1_000_000;
                i128::from(START.0) + true_us + drift + i128::from(self.plan.ahead_us)
            }
        };
        Micros(said.clamp(0, MICROS_MAX.0 as i128) as u64)
    }

    /// It is set by so much.
    pub fn jump(&mut self, by_us: i64) {
        self.plan.ahead_us = self.plan.ahead_us.saturating_add(by_us);
    }

    /// Its battery dies.
    pub fn die(&mut self, now: Duration) {
        self.reset_at = Some(now);
    }

    /// A clock that was dead is told the time; one that is merely wrong stays so.
    pub fn mended(mut self) -> WallClock {
        self.mend();
        self
    }

    /// It is told the time again.
    pub fn mend(&mut self) {
        self.reset_at = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_lie_in_every_way() {
        let mut clock = WallClock::new(ClockPlan {
            ahead_us: -5,
            drift_ppm: 100,
        });
        assert_eq!(
            clock.read(Duration::from_secs(1)).0,
            START.0 + 1_000_000 - 5 + 100
        );
        clock.jump(i64::MIN);
        assert_eq!(clock.read(Duration::ZERO).0, 0);
        clock.die(Duration::from_secs(2));
        assert_eq!(clock.read(Duration::from_secs(3)).0, 1_000_000);
    }
}
