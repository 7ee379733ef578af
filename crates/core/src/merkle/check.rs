//! The hub's look at itself: records against the tree, then logs against their chains, a few at a time.

use std::time::Duration;

use super::{Merkle, Output, chain, mirror};
use crate::leaf::Sum;
use crate::machine::Check;
use crate::store::{Snapshot, StoreError, read_meta};
use crate::time::Now;

/// Records that one step of the check reads at least, and how long it rests at least.
const CHECK_RECORDS: usize = 16;
const CHECK_PAUSE: Duration = Duration::from_millis(100);
/// Records that one step of an urgent check reads at least.
const URGENT_RECORDS: usize = 2_048;
/// When the first check of a process begins.
const FIRST: Duration = Duration::from_secs(60);

/// Where the check stands.
#[derive(Debug, Clone)]
pub(super) struct Checking {
    /// The position that it goes on from, and when.
    next: u32,
    due_at: Duration,
    /// The same of the logs, which follow the records.
    chain: Option<Option<chain::At>>,
    /// No check before this: something could not be read.
    rests_until: Duration,
    /// Somebody waits for it.
    pub urgent: bool,
    /// When a doubt last brought one about.
    doubted_at: Option<Duration>,
    /// Since it began: records read, damaged places met, whether the tree was built anew.
    records: u64,
    damaged: u64,
    rebuilt: bool,
    /// Checks that have ended.
    pub ended: u64,
    /// Storage was told to count otherwise, and has not yet.
    recounting: bool,
}

impl Default for Checking {
    fn default() -> Checking {
        Checking {
            next: 0,
            due_at: FIRST,
            chain: None,
            rests_until: Duration::ZERO,
            urgent: false,
            doubted_at: None,
            records: 0,
            damaged: 0,
            rebuilt: false,
            ended: 0,
            recounting: false,
        }
    }
}

#[cfg(test)]
impl Checking {
    /// Not due for long: for tests of what others do.
    pub fn resting() -> Checking {
        Checking {
            rests_until: Duration::from_secs(1_000),
            ..Checking::default()
        }
    }
}

impl Merkle {
    /// When the next step of the check is due.
    pub(super) fn check_due(&self) -> Option<Duration> {
        self.mirror.key()?;
        let hurry = self.checking.urgent || self.mirror.is_rebuilding();
        let due = if hurry {
            Duration::ZERO
        } else {
            self.checking.due_at
        };
        Some(due.max(self.checking.rests_until))
    }

    /// Something is not there that should be: checks everything, but not more often than stores are compared.
    pub(super) fn doubt(&mut self, now: Now) {
        let rested = |at: Duration| at + self.settings.interval <= now.mono;
        if self.checking.doubted_at.is_none_or(rested) {
            self.checking.doubted_at = Some(now.mono);
            self.check_now();
        }
    }

    /// Looks whether storage has taken over what was counted.
    pub(super) fn heed_recount(&mut self, store: &dyn Snapshot) -> Result<(), StoreError> {
        if self.checking.recounting
            && let Some(meta) = read_meta(store)?
        {
            let (count, plain) = self.mirror.plain();
            self.checking.recounting = (count, plain.to_bytes()) != (meta.records, meta.leaves);
        }
        Ok(())
    }

    /// How long the check rests between two steps.
    fn pause(&self) -> Duration {
        let steps = (self.mirror.plain().0 / CHECK_RECORDS as u64).clamp(1, 1 << 31);
        (self.settings.check_period / steps as u32).max(CHECK_PAUSE)
    }

    pub(super) fn check_now(&mut self) {
        if !self.mirror.is_rebuilding() {
            self.checking.next = 0;
            self.checking.chain = None;
        }
        self.checking.urgent = true;
    }

    /// One step of the check: in a hurry, or one strip after each pause.
    ///
    /// A row that cannot be read ends whoever needs it. A check only tells of it and rests: else a hub that gets on without
    /// that row would end again and again.
    pub(super) fn check(
        &mut self,
        now: Now,
        store: &dyn Snapshot,
        out: &mut Vec<Output>,
    ) -> Result<(), StoreError> {
        if self.checking.rests_until > now.mono {
            return Ok(());
        }
        match self.check_some(now, store, out) {
            Err(StoreError::Corrupt { .. }) => {
                self.checking.damaged += 1;
                self.checking.rests_until = now.mono + self.settings.check_period;
                (self.checking.next, self.checking.chain) = (0, None);
                self.end_check(out);
                Ok(())
            }
            checked => checked,
        }
    }

    fn end_check(&mut self, out: &mut Vec<Output>) {
        self.checking.urgent = false;
        self.checking.ended += 1;
        out.push(Output::Checked(Check {
            records: self.checking.records,
            damaged: self.checking.damaged,
            rebuilt: self.checking.rebuilt,
        }));
        (
            self.checking.records,
            self.checking.damaged,
            self.checking.rebuilt,
        ) = (0, 0, false);
    }

    fn check_some(
        &mut self,
        now: Now,
        store: &dyn Snapshot,
        out: &mut Vec<Output>,
    ) -> Result<(), StoreError> {
        let hurry = self.checking.urgent || self.mirror.is_rebuilding();
        if self.mirror.key().is_none() || (!hurry && self.checking.due_at > now.mono) {
            return Ok(());
        }
        let rebuilding = self.mirror.is_rebuilding();
        if let Some(at) = self.checking.chain.filter(|_| !rebuilding) {
            return self.check_chain(now, store, at, out);
        }
        let from = if rebuilding {
            self.mirror.frontier().unwrap_or(0)
        } else {
            self.checking.next
        };
        let least = if hurry { URGENT_RECORDS } else { CHECK_RECORDS };
        let strip = self.mirror.read_strip(store, from, least)?;
        self.checking.due_at = now.mono + self.pause();
        self.checking.records += strip.records as u64;
        if !strip.damaged.is_empty() {
            self.checking.damaged += strip.damaged.len() as u64;
            out.push(Output::Recheck {
                records: strip.damaged,
            });
        }
        if strip.differs {
            // Rows have gone or come behind our back. Sums cannot tell which; the records can.
            self.mirror.rebuild();
            self.checking.damaged += 1;
            self.checking.records = 0;
            self.session = None;
            return Ok(());
        }
        self.checking.next = strip.next.unwrap_or(0);
        if strip.next.is_none() {
            self.check_ended(now, store, rebuilding, out)?;
            // Then the logs.
            self.checking.chain = Some(None);
        }
        Ok(())
    }

    fn check_chain(
        &mut self,
        now: Now,
        store: &dyn Snapshot,
        from: Option<chain::At>,
        out: &mut Vec<Output>,
    ) -> Result<(), StoreError> {
        let most = if self.checking.urgent {
            URGENT_RECORDS
        } else {
            CHECK_RECORDS
        };
        let run = chain::read_run(store, from, most)?;
        self.checking.due_at = now.mono + self.pause();
        if !run.holes.is_empty() {
            self.checking.damaged += run.holes.len() as u64;
            out.push(Output::Holes { holes: run.holes });
        }
        self.checking.chain = run.next.map(Some);
        if self.checking.chain.is_none() {
            self.end_check(out);
        }
        Ok(())
    }

    fn check_ended(
        &mut self,
        now: Now,
        store: &dyn Snapshot,
        rebuilt: bool,
        out: &mut Vec<Output>,
    ) -> Result<(), StoreError> {
        let (count, plain) = self.mirror.plain();
        if let Some(meta) = read_meta(store)?
            && !self.checking.recounting
        {
            let mut leaves = plain;
            leaves.minus(&Sum::from_bytes(&meta.leaves));
            let records = count as i64 - meta.records as i64;
            if records != 0 || leaves != Sum::ZERO {
                self.checking.recounting = true;
                out.push(Output::Recount { records, leaves });
            }
        }
        if let Some(key) = self.mirror.key().filter(|_| self.key_wanted.is_none())
            && mirror::read_key(store)?.is_none()
        {
            out.push(Output::Key { key: key.0 });
        }
        if rebuilt {
            self.checking.rebuilt = true;
            for peer in self.peers.values_mut() {
                peer.next_at = now.mono;
            }
        }
        Ok(())
    }
}
