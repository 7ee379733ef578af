//! Comparing with a peer: one comparison at a time, up a ladder of means, the cheapest first.
//!
//! It stops: every answer has a deadline, every round must mend something or climb a rung, and rounds are counted.

use std::time::Duration;

use super::fold::{Fold, Known, Refusal};
use super::sketch::Decoder;
use super::tree::Place;
use super::{Merkle, Output, PATIENCE, SOON, clock_hash, meet};
use crate::clock::Clock;
use crate::limits::Limits;
use crate::machine::{Comparison, Link};
use crate::store::{Snapshot, StoreError};
use crate::time::Now;
use crate::wire::{Half, TreeMessage, WireClock};

/// Differences in hand at most; the rest is found by the next round.
pub const FOUND_MAX: usize = 8_192;
/// Nodes that wait to be asked about at most: the walk goes into the depth first.
pub const QUEUE_MAX: usize = 65_536;
/// Rounds of one comparison at most.
pub(super) const ROUNDS_MAX: u32 = 256;

/// How differences are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Rung {
    Sketch,
    Descent,
}

#[derive(Debug, Clone)]
pub(super) enum Stage {
    /// Roots were sent.
    Asked,
    /// Cells come in.
    Sketch(Box<Decoder>),
    /// Nodes are compared, these next.
    Descent(Vec<Place>),
    /// Rows are mended: here, there, or both.
    Mending { here: bool, there: bool },
}

/// One comparison.
#[derive(Debug, Clone)]
pub struct Session {
    pub(super) link: Link,
    pub(super) deadline: Duration,
    pub(super) started: Duration,
    pub(super) at: Half,
    pub(super) meet: Clock,
    pub(super) stage: Stage,
    pub(super) rung: Rung,
    pub(super) rounds: u32,
    /// Messages sent and bytes both ways, for the report.
    pub(super) trips: u32,
    pub(super) bytes: u64,
    /// What only we have, what only they have, as far as found and not mended.
    pub(super) ours: Vec<Known>,
    pub(super) theirs: Vec<u64>,
    /// Of all rounds.
    pub(super) found: u64,
    pub(super) mended_here: u64,
    pub(super) mended_there: u64,
    /// Mended in this round.
    pub(super) progress: u64,
    /// Checks of all records before it began.
    pub(super) checks: u64,
}

impl Session {
    /// Differences in hand.
    pub fn found(&self) -> usize {
        self.ours.len() + self.theirs.len()
    }

    /// Nodes to ask about.
    pub fn queued(&self) -> usize {
        match &self.stage {
            Stage::Descent(queue) => queue.len(),
            Stage::Asked | Stage::Sketch(_) | Stage::Mending { .. } => 0,
        }
    }
}

impl Merkle {
    /// Whether a comparison may begin.
    pub(super) fn may_compare(&self) -> bool {
        self.session.is_none() && self.mirror.is_ready() && !self.checking.urgent
    }

    /// Ends what takes too long, and begins what is due.
    pub(super) fn sessions(
        &mut self,
        now: Now,
        store: &dyn Snapshot,
        out: &mut Vec<Output>,
    ) -> Result<(), StoreError> {
        if self
            .session
            .as_ref()
            .is_some_and(|session| session.deadline <= now.mono)
        {
            self.end(now, false, out);
        }
        if !self.may_compare() {
            return Ok(());
        }
        let due = self
            .peers
            .iter()
            .filter(|(_, peer)| peer.keyed && peer.next_at <= now.mono);
        let Some(link) = due.min_by_key(|(_, peer)| peer.next_at).map(|(link, _)| *link) else {
            return Ok(());
        };
        let clock = self.mirror.clock().clone();
        self.session = Some(Session {
            link,
            deadline: now.mono + PATIENCE,
            started: now.mono,
            at: clock_hash(&clock),
            meet: clock,
            stage: Stage::Asked,
            rung: Rung::Sketch,
            rounds: 0,
            trips: 0,
            bytes: 0,
            ours: Vec::new(),
            theirs: Vec::new(),
            found: 0,
            mended_here: 0,
            mended_there: 0,
            progress: 0,
            checks: self.checking.ended,
        });
        self.ask_roots(now, store, out)
    }

    pub(super) fn send(&mut self, now: Now, message: TreeMessage, out: &mut Vec<Output>) {
        if let Some(session) = &mut self.session {
            session.deadline = now.mono + PATIENCE;
            session.trips += 1;
            session.bytes += message.size() as u64;
            let link = session.link;
            out.push(Output::Send { link, message });
        }
    }

    /// Begins a round: with our clock as it is now, or where the clocks met if that is what they did.
    pub(super) fn ask_roots(
        &mut self,
        now: Now,
        store: &dyn Snapshot,
        out: &mut Vec<Output>,
    ) -> Result<(), StoreError> {
        let Some(session) = &mut self.session else {
            return Ok(());
        };
        session.stage = Stage::Asked;
        session.progress = 0;
        session.ours.clear();
        session.theirs.clear();
        let folded = Fold::to(&self.mirror, store, &session.meet)?.map(|fold| Half::of(&fold.root()));
        let Ok(root) = folded else {
            self.end(now, false, out);
            return Ok(());
        };
        let message = if session.at == clock_hash(self.mirror.clock()) {
            TreeMessage::Roots {
                clock: session.at,
                root,
            }
        } else {
            TreeMessage::Meet {
                clock: WireClock::of(&session.meet),
                root,
            }
        };
        self.send(now, message, out);
        Ok(())
    }

    /// Ends the comparison, equal or not, and says when to try again.
    pub(super) fn end(&mut self, now: Now, equal: bool, out: &mut Vec<Output>) {
        let Some(session) = self.session.take() else {
            return;
        };
        let interval = self.settings.interval;
        let jitter = self.jittered(interval) - interval;
        let Some(peer) = self.peers.get_mut(&session.link) else {
            return;
        };
        peer.failures = if equal { 0 } else { peer.failures.saturating_add(1) };
        let wait = if equal {
            interval + jitter
        } else {
            (SOON * 2u32.saturating_pow(peer.failures.min(16))).min(interval) + jitter.min(SOON)
        };
        peer.next_at = now.mono + wait;
        let compared = equal || session.found > 0 || session.rounds > 0;
        if compared {
            out.push(Output::Compared(Comparison {
                hub_id: peer.hub_id,
                equal,
                clock: session.meet,
                found: session.found,
                mended_here: session.mended_here,
                mended_there: session.mended_there,
                trips: session.trips,
                bytes: session.bytes,
                took: now.mono.saturating_sub(session.started),
                checks: session.checks,
            }));
        }
    }

    pub(super) fn answered(
        &mut self,
        now: Now,
        store: &dyn Snapshot,
        link: Link,
        message: TreeMessage,
        out: &mut Vec<Output>,
    ) -> Result<(), StoreError> {
        let Some(session) = self.session.as_mut().filter(|session| session.link == link) else {
            return Ok(());
        };
        session.bytes += message.size() as u64;
        let asked = matches!(session.stage, Stage::Asked);
        match message {
            TreeMessage::Equal { clock, .. } if asked && clock == session.at => self.end(now, true, out),
            TreeMessage::Clocks { clock } if asked => self.heard_clocks(now, store, &clock, out)?,
            TreeMessage::Later => self.end(now, false, out),
            TreeMessage::Few { at, root, syndromes } if asked && at == session.at => {
                self.heard_few(now, store, root, &syndromes, out)?;
            }
            TreeMessage::Cells {
                at,
                root,
                from,
                cells,
                about,
            } if at == session.at => self.heard_cells(now, store, root, from as usize, &cells, about, out)?,
            TreeMessage::Nodes {
                at, nodes, leaves, ..
            } if at == session.at => {
                self.heard_nodes(now, store, &nodes, &leaves, out)?;
            }
            TreeMessage::Took { mended } => {
                if let Stage::Mending { there, .. } = &mut session.stage {
                    *there = false;
                    session.mended_there += mended;
                    session.progress += mended;
                    self.mend_on(now, store, out)?;
                }
            }
            _ => {} // of a question that was given up
        }
        Ok(())
    }

    fn heard_clocks(
        &mut self,
        now: Now,
        store: &dyn Snapshot,
        clock: &WireClock,
        out: &mut Vec<Output>,
    ) -> Result<(), StoreError> {
        let Some(session) = &mut self.session else {
            return Ok(());
        };
        let Some(theirs) = clock.read(&Limits::default()) else {
            self.end(now, false, out);
            return Ok(());
        };
        let both = meet(self.mirror.clock(), &theirs);
        let again = session.meet == both && session.trips > 1;
        session.at = clock_hash(&both);
        session.meet = both;
        let refused = Fold::to(&self.mirror, store, &session.meet)?.err();
        if again
            || session.trips > 8
            || matches!(
                refused,
                Some(Refusal::TooFar | Refusal::Apart | Refusal::NotReady)
            )
        {
            // Reconciliation comes first.
            self.end(now, false, out);
            return Ok(());
        }
        let root = match Fold::to(&self.mirror, store, &session.meet)? {
            Ok(fold) => Half::of(&fold.root()),
            Err(_) => return Ok(()),
        };
        let message = TreeMessage::Meet {
            clock: WireClock::of(&session.meet),
            root,
        };
        self.send(now, message, out);
        Ok(())
    }
}
