//! Answering a hub that compares: nothing is kept but the clock that it compares at.

use serde_bytes::ByteBuf;

use super::descent::{Below, LEAVES_MAX, differing, pack, tell_below, tell_nodes, unpack};
use super::estimate::Estimator;
use super::fold::{Fold, Refusal};
use super::sketch::encode;
use super::tree::{DIGITS, Place, position_of};
use super::{Merkle, Output, PATIENCE, clock_hash};
use crate::clock::Clock;
use crate::limits::Limits;
use crate::machine::{Comparison, Link};
use crate::store::{Snapshot, StoreError};
use crate::time::Now;
use crate::wire::{Half, TreeMessage, WireClock, WireNode};

/// Bytes of nodes and leaves in one answer, beyond the last node.
const ANSWER_BYTES: usize = 256 << 10;
/// Leaves that one question asks the entries of.
pub const WANTED_MAX: usize = 512;

/// Cells that decode an estimated number of differences in 19 of 20 cases: a rateless table takes some 1.35 cells a
/// difference, more where there are few, and an estimate is off by an eighth. Measured: 95.6 % at the worst number.
pub fn cells_for(estimate: u64) -> usize {
    let root = estimate.isqrt() as usize + 1;
    (estimate as usize).saturating_mul(17) / 10 + 2 * root + 3
}

impl Merkle {
    pub(super) fn answer(
        &mut self,
        now: Now,
        store: &dyn Snapshot,
        link: Link,
        message: TreeMessage,
        out: &mut Vec<Output>,
    ) -> Result<(), StoreError> {
        let answer = match message {
            TreeMessage::Roots { clock, root } => self.answer_roots(now, store, link, clock, root, out)?,
            TreeMessage::Meet { clock, root } => self.answer_meet(now, store, link, &clock, root, out)?,
            TreeMessage::More { at, from, counters } => {
                self.answer_more(store, link, at, from as usize, &counters)?
            }
            TreeMessage::Nodes {
                at, nodes, leaves, ..
            } => {
                let Some(meet) = self.meet_at(link, at) else {
                    return self.later(link, out);
                };
                match Fold::to(&self.mirror, store, &meet)? {
                    Ok(fold) => answer_nodes(&fold, store, at, &nodes, &leaves)?,
                    Err(_) => TreeMessage::Later,
                }
            }
            TreeMessage::Want { at, leaves } => return self.answer_want(store, link, at, &leaves, out),
            other => panic!("{other:?} is no question"),
        };
        out.push(Output::Send {
            link,
            message: answer,
        });
        Ok(())
    }

    fn later(&self, link: Link, out: &mut Vec<Output>) -> Result<(), StoreError> {
        let message = TreeMessage::Later;
        out.push(Output::Send { link, message });
        Ok(())
    }

    /// The clock that a hash stands for: ours, or the one that this peer compares at.
    fn meet_at(&self, link: Link, at: Half) -> Option<Clock> {
        let named = self.peers.get(&link)?.meet.as_ref();
        match named.filter(|(hash, _)| *hash == at) {
            Some((_, clock)) => Some(clock.clone()),
            None => (clock_hash(self.mirror.clock()) == at).then(|| self.mirror.clock().clone()),
        }
    }

    fn answer_roots(
        &mut self,
        now: Now,
        store: &dyn Snapshot,
        link: Link,
        clock: Half,
        root: Half,
        out: &mut Vec<Output>,
    ) -> Result<TreeMessage, StoreError> {
        let ours = self.mirror.clock().clone();
        if !self.mirror.is_ready() {
            return Ok(TreeMessage::Later);
        }
        if clock_hash(&ours) != clock {
            let clock = WireClock::of(&ours);
            return Ok(TreeMessage::Clocks { clock });
        }
        self.compare(now, store, link, ours, root, out)
    }

    fn answer_meet(
        &mut self,
        now: Now,
        store: &dyn Snapshot,
        link: Link,
        clock: &WireClock,
        root: Half,
        out: &mut Vec<Output>,
    ) -> Result<TreeMessage, StoreError> {
        match clock.read(&Limits::default()) {
            Some(meet) => self.compare(now, store, link, meet, root, out),
            None => Ok(TreeMessage::Later),
        }
    }

    fn compare(
        &mut self,
        now: Now,
        store: &dyn Snapshot,
        link: Link,
        meet: Clock,
        root: Half,
        out: &mut Vec<Output>,
    ) -> Result<TreeMessage, StoreError> {
        let at = clock_hash(&meet);
        let fold = match Fold::to(&self.mirror, store, &meet)? {
            Ok(fold) => fold,
            Err(Refusal::NotReady | Refusal::Apart | Refusal::TooFar) => return Ok(TreeMessage::Later),
        };
        let ours = Half::of(&fold.root());
        let answer = if ours == root {
            TreeMessage::Equal { clock: at, root }
        } else if self.settings.cells == 0 {
            match tell_nodes(&fold, store, &at, Place::ROOT)? {
                Some(node) => TreeMessage::Nodes {
                    at,
                    answer: true,
                    nodes: vec![node],
                    leaves: Vec::new(),
                },
                None => TreeMessage::Later,
            }
        } else {
            TreeMessage::Few {
                at,
                root: ours,
                syndromes: ByteBuf::from(fold.few().to_wire()),
            }
        };
        let wait = self.jittered(self.settings.interval);
        if let Some(peer) = self.peers.get_mut(&link) {
            if ours == root {
                // A proof for both ends.
                peer.next_at = now.mono + wait;
                peer.failures = 0;
                out.push(Output::Compared(Comparison {
                    checks: self.checking.ended,
                    ..Comparison::of(peer.hub_id, true, meet.clone())
                }));
            }
            // What differs is its to find now; both at once would hand everything over twice.
            peer.next_at = peer.next_at.max(now.mono + PATIENCE);
            peer.meet = Some((at, meet));
        }
        Ok(answer)
    }

    fn answer_more(
        &self,
        store: &dyn Snapshot,
        link: Link,
        at: Half,
        from: usize,
        counters: &[u8],
    ) -> Result<TreeMessage, StoreError> {
        let Some(meet) = self.meet_at(link, at) else {
            return Ok(TreeMessage::Later);
        };
        let Ok(fold) = Fold::to(&self.mirror, store, &meet)? else {
            return Ok(TreeMessage::Later);
        };
        let theirs = self
            .mirror
            .key()
            .and_then(|key| Estimator::from_wire(*key, counters));
        let Some(theirs) = theirs else {
            return Ok(TreeMessage::Later);
        };
        let about = fold.estimator().difference(&theirs);
        let (kept, enough) = (self.mirror.cells(), cells_for(about));
        // A try that was not enough was unlucky, or the estimate was: another third.
        let until = enough.max(from + from / 3 + 2);
        let cells = if until > kept {
            Vec::new()
        } else {
            fold.cells(from, until)
        };
        Ok(TreeMessage::Cells {
            at,
            root: Half::of(&fold.root()),
            from: from as u32,
            cells: ByteBuf::from(encode(&cells)),
            about: Some(about),
        })
    }

    fn answer_want(
        &mut self,
        store: &dyn Snapshot,
        link: Link,
        at: Half,
        leaves: &[u8],
        out: &mut Vec<Output>,
    ) -> Result<(), StoreError> {
        let (shorts, rest) = leaves.as_chunks::<8>();
        let mut dots = Vec::new();
        if rest.is_empty()
            && shorts.len() <= WANTED_MAX
            && let Some(meet) = self.meet_at(link, at)
            && let Ok(fold) = Fold::to(&self.mirror, store, &meet)?
        {
            let mut records = Vec::new();
            for short in shorts.iter().map(|short| u64::from_be_bytes(*short)) {
                let place = Place::of(position_of(short), DIGITS);
                let here = fold.leaves(store, place, LEAVES_MAX)?.unwrap_or_default();
                records.extend(here.into_iter().filter(|known| known.short == short));
            }
            dots = self.founded(store, &records, out)?;
        }
        // Also where there is nothing to hand over: whoever asked waits for an answer.
        out.push(Output::Serve { link, dots });
        Ok(())
    }
}

/// What lies below the nodes that differ from those told.
fn answer_nodes(
    fold: &Fold<'_>,
    store: &dyn Snapshot,
    at: Half,
    nodes: &[WireNode],
    leaves: &[crate::wire::WireLeaves],
) -> Result<TreeMessage, StoreError> {
    let (mut told, mut whole, mut bytes) = (Vec::new(), Vec::new(), 0);
    'all: for node in nodes {
        let Some(places) = differing(fold, store, &at, node)? else {
            continue;
        };
        for place in places {
            if bytes > ANSWER_BYTES {
                break 'all; // what is left out is found by the next comparison
            }
            match tell_below(fold, store, &at, place)? {
                Below::Nodes(node) => {
                    bytes += node.3.len() + 12;
                    told.push(node);
                }
                Below::Leaves(leaves, _) => {
                    bytes += leaves.2.len() + 12;
                    whole.push(leaves);
                }
                Below::TooMany => {}
            }
        }
    }
    for theirs in leaves {
        let Some((place, shorts)) = unpack(theirs).filter(|_| bytes <= ANSWER_BYTES) else {
            continue;
        };
        let Some(ours) = fold.leaves(store, place, LEAVES_MAX)? else {
            continue;
        };
        if ours.iter().map(|known| known.short).ne(shorts.iter().copied()) {
            let packed = pack(place, &ours);
            bytes += packed.2.len() + 12;
            whole.push(packed);
        }
    }
    Ok(TreeMessage::Nodes {
        at,
        answer: true,
        nodes: told,
        leaves: whole,
    })
}
