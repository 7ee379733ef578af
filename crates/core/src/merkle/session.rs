//! Comparing with a peer: one comparison at a time, up a ladder of means, the cheapest first.
//!
//! It stops: every answer has a deadline, every round must mend something or climb a rung, and rounds are counted.

use std::time::Duration;

use serde_bytes::ByteBuf;

use super::answer::WANTED_MAX;
use super::bch::Syndromes;
use super::descent::{ASKED_MAX, Below, LEAVES_MAX, differing, split, tell_below, tell_nodes, unpack};
use super::fold::{Fold, Known, Refusal};
use super::mirror::FEW;
use super::sketch::{Decoder, decode};
use super::tree::{DIGITS, Place, position_of};
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
const ROUNDS_MAX: u32 = 256;
/// From so many records on, a store of which half differs is taken again whole.
const AGAIN_MIN: u64 = 2_048;

/// How differences are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rung {
    Sketch,
    Descent,
}

#[derive(Debug, Clone)]
enum Stage {
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
    started: Duration,
    at: Half,
    meet: Clock,
    stage: Stage,
    rung: Rung,
    rounds: u32,
    /// Messages sent and bytes both ways, for the report.
    trips: u32,
    bytes: u64,
    /// What only we have, what only they have, as far as found and not mended.
    ours: Vec<Known>,
    theirs: Vec<u64>,
    /// Of all rounds.
    found: u64,
    mended_here: u64,
    mended_there: u64,
    /// Mended in this round.
    progress: u64,
    /// Checks of all records before it began.
    checks: u64,
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
        self.session.is_none() && self.mirror.is_ready() && !self.urgent
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
            checks: self.checks,
        });
        self.ask_roots(now, store, out)
    }

    fn send(&mut self, now: Now, message: TreeMessage, out: &mut Vec<Output>) {
        if let Some(session) = &mut self.session {
            session.deadline = now.mono + PATIENCE;
            session.trips += 1;
            session.bytes += message.size() as u64;
            let link = session.link;
            out.push(Output::Send { link, message });
        }
    }

    /// Begins a round: with our clock as it is now, or where the clocks met if that is what they did.
    fn ask_roots(&mut self, now: Now, store: &dyn Snapshot, out: &mut Vec<Output>) -> Result<(), StoreError> {
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
    fn end(&mut self, now: Now, equal: bool, out: &mut Vec<Output>) {
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

    /// The first answer finds a few differences; for more, the sketch is asked for.
    fn heard_few(
        &mut self,
        now: Now,
        store: &dyn Snapshot,
        root: Half,
        syndromes: &[u8],
        out: &mut Vec<Output>,
    ) -> Result<(), StoreError> {
        let (Some(key), Some(session)) = (self.mirror.key().copied(), &mut self.session) else {
            return Ok(());
        };
        let Ok(fold) = Fold::to(&self.mirror, store, &session.meet)? else {
            self.end(now, false, out);
            return Ok(());
        };
        if Half::of(&fold.root()) == root {
            self.end(now, true, out);
            return Ok(());
        }
        let kept = self.mirror.cells();
        if session.rung == Rung::Descent || kept == 0 {
            return self.descend(now, store, out);
        }
        let theirs = Syndromes::from_wire(syndromes).filter(|theirs| theirs.capacity() == FEW);
        let found = theirs.and_then(|theirs| fold.few().difference(&theirs).decode());
        if let Some(found) = found {
            return self.found_shorts(now, store, &found, out);
        }
        session.stage = Stage::Sketch(Box::new(Decoder::new(key, kept)));
        let message = TreeMessage::More {
            at: session.at,
            from: 0,
            counters: ByteBuf::from(fold.estimator().to_wire().to_vec()),
        };
        self.send(now, message, out);
        Ok(())
    }

    /// Which side holds each difference is looked up.
    fn found_shorts(
        &mut self,
        now: Now,
        store: &dyn Snapshot,
        found: &[u64],
        out: &mut Vec<Output>,
    ) -> Result<(), StoreError> {
        let Some(session) = &mut self.session else {
            return Ok(());
        };
        let Ok(fold) = Fold::to(&self.mirror, store, &session.meet)? else {
            self.end(now, false, out);
            return Ok(());
        };
        for short in found {
            let place = Place::of(position_of(*short), DIGITS);
            let here = fold.leaves(store, place, LEAVES_MAX)?.unwrap_or_default();
            match here.into_iter().find(|known| known.short == *short) {
                Some(known) => session.ours.push(known),
                None => session.theirs.push(*short),
            }
        }
        self.mend(now, store, out)
    }

    #[allow(clippy::too_many_arguments, reason = "the parts of one message")]
    fn heard_cells(
        &mut self,
        now: Now,
        store: &dyn Snapshot,
        root: Half,
        from: usize,
        cells: &[u8],
        about: Option<u64>,
        out: &mut Vec<Output>,
    ) -> Result<(), StoreError> {
        let Some(session) = &mut self.session else {
            return Ok(());
        };
        let Ok(fold) = Fold::to(&self.mirror, store, &session.meet)? else {
            self.end(now, false, out);
            return Ok(());
        };
        if Half::of(&fold.root()) == root {
            self.end(now, true, out);
            return Ok(());
        }
        let kept = self.mirror.cells();
        let Stage::Sketch(decoder) = &mut session.stage else {
            return Ok(());
        };
        let theirs = decode(cells).filter(|cells| from == decoder.taken() && from + cells.len() <= kept);
        let Some(theirs) = theirs.filter(|cells| !cells.is_empty()) else {
            let records = self.mirror.plain().0;
            if about.is_some_and(|about| records >= AGAIN_MIN && about >= records / 2) {
                return self.take_all_again(now, out);
            }
            return self.descend(now, store, out);
        };
        decoder.extend(&fold.cells(from, from + theirs.len()), &theirs);
        if decoder.is_broken() {
            return self.descend(now, store, out);
        }
        if !decoder.is_done() {
            let message = TreeMessage::More {
                at: session.at,
                from: decoder.taken() as u32,
                counters: ByteBuf::from(fold.estimator().to_wire().to_vec()),
            };
            self.send(now, message, out);
            return Ok(());
        }
        let found = decoder.found().to_vec();
        self.found_shorts(now, store, &found, out)
    }

    fn take_all_again(&mut self, now: Now, out: &mut Vec<Output>) -> Result<(), StoreError> {
        if let Some(session) = &self.session {
            let link = session.link;
            let message = TreeMessage::Again;
            out.push(Output::Again { link });
            out.push(Output::Send { link, message });
        }
        self.end(now, false, out);
        Ok(())
    }

    /// Goes down the tree from its root.
    fn descend(&mut self, now: Now, store: &dyn Snapshot, out: &mut Vec<Output>) -> Result<(), StoreError> {
        if let Some(session) = &mut self.session {
            session.rung = Rung::Descent;
            session.stage = Stage::Descent(vec![Place::ROOT]);
        }
        self.ask_nodes(now, store, out)
    }

    fn ask_nodes(&mut self, now: Now, store: &dyn Snapshot, out: &mut Vec<Output>) -> Result<(), StoreError> {
        let Some(session) = &mut self.session else {
            return Ok(());
        };
        let Ok(fold) = Fold::to(&self.mirror, store, &session.meet)? else {
            self.end(now, false, out);
            return Ok(());
        };
        let enough = session.found() >= FOUND_MAX;
        let (at, Stage::Descent(queue)) = (session.at, &mut session.stage) else {
            return Ok(());
        };
        if queue.is_empty() || enough {
            return self.mend(now, store, out);
        }
        let next = queue.split_off(queue.len().saturating_sub(ASKED_MAX));
        let (mut nodes, mut leaves) = (Vec::new(), Vec::new());
        for place in next {
            let told = if place == Place::ROOT {
                tell_nodes(&fold, store, &at, place)?.map_or(Below::TooMany, Below::Nodes)
            } else {
                tell_below(&fold, store, &at, place)?
            };
            match told {
                Below::Nodes(node) => nodes.push(node),
                Below::Leaves(told, _) => leaves.push(told),
                Below::TooMany => {}
            }
        }
        let message = TreeMessage::Nodes {
            at,
            answer: false,
            nodes,
            leaves,
        };
        self.send(now, message, out);
        Ok(())
    }

    fn heard_nodes(
        &mut self,
        now: Now,
        store: &dyn Snapshot,
        nodes: &[crate::wire::WireNode],
        leaves: &[crate::wire::WireLeaves],
        out: &mut Vec<Output>,
    ) -> Result<(), StoreError> {
        let Some(session) = &mut self.session else {
            return Ok(());
        };
        if matches!(session.stage, Stage::Asked) {
            // A hub without a sketch: the descent has begun with its answer.
            session.rung = Rung::Descent;
            session.stage = Stage::Descent(Vec::new());
        }
        let Ok(fold) = Fold::to(&self.mirror, store, &session.meet)? else {
            self.end(now, false, out);
            return Ok(());
        };
        let (at, Stage::Descent(queue)) = (session.at, &mut session.stage) else {
            return Ok(());
        };
        for told in nodes {
            if let Some(places) = differing(&fold, store, &at, told)? {
                queue.extend(places);
            }
        }
        if queue.len() > QUEUE_MAX {
            queue.drain(..queue.len() - QUEUE_MAX);
        }
        for told in leaves {
            if session.ours.len() + session.theirs.len() >= FOUND_MAX {
                break;
            }
            let Some((place, shorts)) = unpack(told) else {
                continue;
            };
            let Some(ours) = fold.leaves(store, place, LEAVES_MAX)? else {
                continue;
            };
            let (ours, theirs) = split(&ours, &shorts);
            session.ours.extend(ours);
            session.theirs.extend(theirs);
        }
        self.ask_nodes(now, store, out)
    }

    /// What was found goes to be mended; where nothing was, both hubs look at themselves.
    fn mend(&mut self, now: Now, store: &dyn Snapshot, out: &mut Vec<Output>) -> Result<(), StoreError> {
        let Some(session) = &mut self.session else {
            return Ok(());
        };
        if session.found() == 0 {
            if session.rung == Rung::Sketch {
                return self.descend(now, store, out);
            }
            // Roots differ and nothing below them does: a tree is not what its store holds.
            let link = session.link;
            let message = TreeMessage::Doubt;
            out.push(Output::Send { link, message });
            self.end(now, false, out);
            self.check_now();
            return Ok(());
        }
        // What was found before and is not mended yet is found again.
        let mended = session.mended_here + session.mended_there;
        session.found = session.found.max(mended + session.found() as u64);
        session.rounds += 1;
        session.stage = Stage::Mending {
            here: false,
            there: false,
        };
        self.mend_on(now, store, out)
    }

    /// The next slice, once the last has landed at both ends; then roots are compared again.
    fn mend_on(&mut self, now: Now, store: &dyn Snapshot, out: &mut Vec<Output>) -> Result<(), StoreError> {
        let Some(session) = &mut self.session else {
            return Ok(());
        };
        let (link, at) = (session.link, session.at);
        let Stage::Mending { here, there } = session.stage else {
            return Ok(());
        };
        if here || there {
            return Ok(());
        }
        if session.found() == 0 {
            if session.progress == 0 {
                match session.rung {
                    Rung::Sketch => session.rung = Rung::Descent,
                    Rung::Descent => {
                        // Entries were exchanged and nothing came of it.
                        let message = TreeMessage::Doubt;
                        out.push(Output::Send { link, message });
                        self.end(now, false, out);
                        self.check_now();
                        return Ok(());
                    }
                }
            }
            if session.rounds >= ROUNDS_MAX {
                self.end(now, false, out);
                return Ok(());
            }
            return self.ask_roots(now, store, out);
        }
        let wanted = session
            .theirs
            .split_off(session.theirs.len().saturating_sub(WANTED_MAX));
        let served = session
            .ours
            .split_off(session.ours.len().saturating_sub(WANTED_MAX));
        let dots = self.founded(store, &served, out)?;
        if let Some(session) = &mut self.session {
            session.stage = Stage::Mending {
                here: !wanted.is_empty(),
                there: !dots.is_empty(),
            };
            // Records that our own log does not bear out are mended by storage.
            session.progress += u64::from(dots.is_empty() && !served.is_empty());
        }
        let idle = wanted.is_empty() && dots.is_empty();
        if !wanted.is_empty() {
            let leaves = wanted
                .iter()
                .flat_map(|short| short.to_be_bytes())
                .collect::<Vec<u8>>();
            let leaves = ByteBuf::from(leaves);
            self.send(now, TreeMessage::Want { at, leaves }, out);
        }
        if !dots.is_empty() {
            out.push(Output::Serve { link, dots });
        }
        if idle {
            return self.mend_on(now, store, out);
        }
        Ok(())
    }

    /// Entries from a peer have landed.
    pub(super) fn mended(
        &mut self,
        now: Now,
        store: &dyn Snapshot,
        link: Link,
        mended: usize,
        out: &mut Vec<Output>,
    ) -> Result<(), StoreError> {
        let message = TreeMessage::Took {
            mended: mended as u64,
        };
        out.push(Output::Send { link, message });
        let Some(session) = self.session.as_mut().filter(|session| session.link == link) else {
            return Ok(());
        };
        if let Stage::Mending { here, .. } = &mut session.stage {
            *here = false;
            session.mended_here += mended as u64;
            session.progress += mended as u64;
            session.deadline = now.mono + PATIENCE;
            return self.mend_on(now, store, out);
        }
        Ok(())
    }
}
