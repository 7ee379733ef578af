//! The rungs of a comparison: what finds a few differences at once, the sketch, the descent.

use serde_bytes::ByteBuf;

use super::bch::Syndromes;
use super::descent::{ASKED_MAX, Below, LEAVES_MAX, differing, split, tell_below, tell_nodes, unpack};
use super::fold::Fold;
use super::mirror::FEW;
use super::session::{FOUND_MAX, QUEUE_MAX, Rung, Stage};
use super::sketch::{Decoder, decode};
use super::tree::{DIGITS, Place, position_of};
use super::{Merkle, Output};
use crate::store::{Snapshot, StoreError};
use crate::time::Now;
use crate::wire::{Half, TreeMessage, WireLeaves, WireNode};

/// From so many records on, a store of which half differs is taken again whole.
const AGAIN_MIN: u64 = 2_048;

impl Merkle {
    /// The first answer finds a few differences; for more, the sketch is asked for.
    pub(super) fn heard_few(
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
    pub(super) fn found_shorts(
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
    pub(super) fn heard_cells(
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

    pub(super) fn take_all_again(&mut self, now: Now, out: &mut Vec<Output>) -> Result<(), StoreError> {
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
    pub(super) fn descend(
        &mut self,
        now: Now,
        store: &dyn Snapshot,
        out: &mut Vec<Output>,
    ) -> Result<(), StoreError> {
        if let Some(session) = &mut self.session {
            session.rung = Rung::Descent;
            session.stage = Stage::Descent(vec![Place::ROOT]);
        }
        self.ask_nodes(now, store, out)
    }

    pub(super) fn ask_nodes(
        &mut self,
        now: Now,
        store: &dyn Snapshot,
        out: &mut Vec<Output>,
    ) -> Result<(), StoreError> {
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

    pub(super) fn heard_nodes(
        &mut self,
        now: Now,
        store: &dyn Snapshot,
        nodes: &[WireNode],
        leaves: &[WireLeaves],
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
}
