//! Taking again what is held already: the entries that anti-entropy found wanting, and those that our own log has lost.

use std::time::Duration;

use super::page::whole;
use super::{Output, Reconcile};
use crate::clock::Clock;
use crate::hash::Check;
use crate::id::Dot;
use crate::machine::Link;
use crate::store::{Snapshot, StoreError};
use crate::time::Now;
use crate::wire::{Message, WireBundle};

/// After so long a hole that nobody has filled is asked for again.
const AGAIN: Duration = Duration::from_secs(30);

/// A place in one of our logs above which entries are missing.
#[derive(Debug, Clone, Copy)]
pub(super) struct Hole {
    /// The last sequence below it.
    below: u64,
    /// Not asked for before this.
    not_before: Duration,
    /// How often it was asked for: peers take turns.
    asked: usize,
}

impl Reconcile {
    /// A page met entries that this hub should hold and does not: other hubs are asked for them.
    pub(super) fn found_holes(&mut self, holes: &[Dot], out: &mut Vec<Output>) {
        self.note_holes(holes);
        if !holes.is_empty() {
            out.push(Output::Doubt);
        }
    }

    /// Of each log the first hole is asked for; the next check finds the others.
    pub(super) fn note_holes(&mut self, holes: &[Dot]) {
        for dot in holes {
            let below = dot.sequence.saturating_sub(1);
            let hole = self.holes.entry(dot.replica).or_insert(Hole {
                below,
                not_before: Duration::ZERO,
                asked: 0,
            });
            hole.below = hole.below.min(below);
        }
    }

    /// Asks for what is to be taken again; whether anybody was asked.
    pub(super) fn maybe_mend(&mut self, now: Now, out: &mut Vec<Output>) -> bool {
        while let Some(link) = self.again.pop_first() {
            if self.peers.get(&link).is_some_and(|peer| peer.ready) {
                self.pull_from(now, link, Clock::new(), true, out);
                return true;
            }
        }
        let due = self.holes.iter().find(|(_, hole)| hole.not_before <= now.mono);
        let Some((replica, hole)) = due.map(|(replica, hole)| (*replica, *hole)) else {
            return false;
        };
        let holders: Vec<Link> = self
            .peers
            .iter()
            .filter(|(_, peer)| peer.ready && peer.clock.sequence(&replica) > hole.below)
            .map(|(link, _)| *link)
            .collect();
        if let Some(entry) = self.holes.get_mut(&replica) {
            entry.not_before = now.mono + AGAIN;
            entry.asked += 1;
        }
        if holders.is_empty() {
            return false;
        }
        if hole.asked >= 2 * holders.len() {
            // It was filled, or nobody has it: the next page that meets it says so.
            self.holes.remove(&replica);
            return false;
        }
        let mut from = self.arriving.clone();
        // The check of what lies below is not at hand; peers do not need it to serve.
        from.set(replica, hole.below, Some(Check([0; 8])));
        let link = holders[hole.asked % holders.len()];
        self.pull_from(now, link, from, true, out);
        true
    }

    /// A page that was taken again is durable.
    pub(super) fn mend_landed(&mut self, now: Now, link: Link, mended: usize, out: &mut Vec<Output>) {
        if mended > 0 {
            // If more is missing, the next page or check that meets it says so.
            self.holes.retain(|_, hole| hole.asked == 0);
        }
        let Some(pull) = self.pull.as_mut().filter(|pull| pull.mend && pull.link == link) else {
            return;
        };
        pull.landing = pull.landing.saturating_sub(1);
        if pull.waiting {
        } else if pull.more {
            self.pull_on(now, out);
        } else if pull.landing == 0 {
            self.pull = None;
        }
    }

    /// Hands a peer the entries that it lacks rows of: as many as one page holds, the rest with the next comparison. An
    /// answer comes even where nothing can be served.
    pub(super) fn serve(
        &mut self,
        store: &dyn Snapshot,
        link: Link,
        dots: &[Dot],
        out: &mut Vec<Output>,
    ) -> Result<(), StoreError> {
        if !self.peers.contains_key(&link) {
            return Ok(());
        }
        let (mut bundles, mut bytes, mut holes) = (Vec::new(), 0, Vec::new());
        for dot in dots {
            match whole(store, *dot)? {
                Some(emitted) => {
                    let bundle = emitted.to_wire();
                    bytes += bundle.size();
                    bundles.push(bundle);
                }
                None => holes.push(*dot),
            }
            if bytes >= self.settings.limits.page_bytes_max {
                break;
            }
        }
        self.found_holes(&holes, out);
        out.push(Output::Send {
            link,
            message: Message::Mend { bundles },
        });
        Ok(())
    }

    /// Entries that a peer found wanting here.
    pub(super) fn heard_mend(&mut self, link: Link, bundles: Vec<WireBundle>, out: &mut Vec<Output>) {
        if let Some(bundles) = self.open(link, bundles, out) {
            self.apply(link, bundles, true, out);
        }
    }
}
