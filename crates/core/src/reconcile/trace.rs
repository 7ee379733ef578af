//! Where two branches of one replica part: found by comparing their chains' hashes, from the end backwards.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{Output, Reconcile};
use crate::clock::{Clock, Point};
use crate::hash::Digest;
use crate::id::{Dot, ReplicaId};
use crate::machine::Link;
use crate::store::{
    Family, LogRow, Snapshot, StoreError, decode_row, log_end, log_key, read_log, read_replica,
};
use crate::wire::Message;
use crate::zoo::{self, Bug};

/// Links of a chain in one message.
const LINKS_MAX: usize = 256;

/// One search under way.
#[derive(Debug, Clone)]
pub(super) struct Trace {
    /// What was asked for.
    above: u64,
    /// How far back the next question goes, if the two still differ there.
    step: u64,
    /// When the answer counts as lost; set by the tick that ends the step. The next clock of the peer asks again.
    pub deadline: Option<Duration>,
}

impl Reconcile {
    /// A check that our own chain does not have at that sequence: two branches. Where the peer is ahead, only its
    /// entries can tell. Each point is looked up once.
    pub(super) fn look_for_forks(
        &mut self,
        store: &dyn Snapshot,
        link: Link,
        clock: &Clock,
        out: &mut Vec<Output>,
    ) -> Result<(), StoreError> {
        let mut forks = Vec::new();
        let Some(peer) = self.peers.get_mut(&link) else {
            return Ok(());
        };
        for (replica, point) in clock.iter() {
            let verified = peer.verified.point(replica) == Some(*point);
            if verified || self.clock.sequence(replica) < point.sequence {
                continue;
            }
            let row = read_log(
                store,
                Dot {
                    replica: *replica,
                    sequence: point.sequence,
                },
            )?;
            if row.is_some_and(|row| Some(row.hash.check()) == point.check) {
                peer.verified.set(*replica, point.sequence, point.check);
            } else {
                forks.push(*replica);
            }
        }
        for replica in forks {
            self.trace(link, replica, out);
        }
        Ok(())
    }

    /// Starts looking for the place where ours and the peer's branch of `replica` part.
    pub(super) fn trace(&mut self, link: Link, replica: ReplicaId, out: &mut Vec<Output>) {
        if zoo::planted(Bug::ForkUnnoticed) {
            return;
        }
        if !self.peers.contains_key(&link) || self.traces.contains_key(&(link, replica)) {
            return;
        }
        let above = self.clock.sequence(&replica).saturating_sub(1);
        self.traces.insert(
            (link, replica),
            Trace {
                above,
                step: 16,
                deadline: None,
            },
        );
        out.push(Output::Send {
            link,
            message: Message::Trace { replica, above },
        });
    }

    pub(super) fn heard_chain(
        &mut self,
        store: &dyn Snapshot,
        link: Link,
        replica: ReplicaId,
        above: u64,
        links: &[(Dot, Digest)],
        out: &mut Vec<Output>,
    ) -> Result<(), StoreError> {
        let Some(mut trace) = self.traces.remove(&(link, replica)) else {
            return Ok(());
        };
        if trace.above != above || links.iter().any(|(dot, _)| dot.replica != replica) {
            return Ok(());
        }
        // The first link stands at or below `above`: the ground to compare on. Without one the chain begins above.
        let ground = links.first().filter(|(dot, _)| dot.sequence <= above);
        let low = ground.map_or(0, |(dot, _)| dot.sequence);
        let ours: BTreeMap<u64, Digest> = hashes(store, replica, low, LINKS_MAX * 4)?.into_iter().collect();
        if let Some((dot, hash)) = ground
            && ours.get(&dot.sequence) != Some(hash)
        {
            if above == 0 {
                return Ok(()); // nothing lies at or below 0: a broken answer
            }
            trace.above = dot.sequence.min(above).saturating_sub(trace.step);
            trace.step = trace.step.saturating_mul(4);
            out.push(Output::Send {
                link,
                message: Message::Trace {
                    replica,
                    above: trace.above,
                },
            });
            trace.deadline = None;
            self.traces.insert((link, replica), trace);
            return Ok(());
        }
        let mut common = low;
        for (dot, hash) in &links[usize::from(ground.is_some())..] {
            match ours.get(&dot.sequence) {
                Some(ours) if ours == hash => common = dot.sequence,
                _ => {
                    match ours.range(common + 1..).next() {
                        Some((_, first)) if first < hash => out.push(Output::Fork { replica, common }),
                        Some(_) => {
                            let check = ours.get(&common).map(Digest::check);
                            let sequence = common;
                            self.partings.insert((link, replica), Point { sequence, check });
                        }
                        None => {} // ours is a part of theirs: no fork
                    }
                    return Ok(());
                }
            }
        }
        if links.len() == LINKS_MAX {
            trace.above = common;
            trace.deadline = None;
            out.push(Output::Send {
                link,
                message: Message::Trace {
                    replica,
                    above: common,
                },
            });
            self.traces.insert((link, replica), trace);
        }
        Ok(())
    }
}

/// Answers a peer's question: from the last entry at or below `above` on.
pub(super) fn answer(
    store: &dyn Snapshot,
    link: Link,
    replica: ReplicaId,
    above: u64,
    out: &mut Vec<Output>,
) -> Result<(), StoreError> {
    let mut links = Vec::new();
    if let Some(ground) = at_or_below(store, replica, above)? {
        links.push(ground);
    }
    let from = links.first().map_or(0, |(sequence, _)| *sequence);
    links.extend(hashes(store, replica, from + 1, LINKS_MAX - links.len())?);
    let links = links
        .into_iter()
        .map(|(sequence, hash)| (Dot { replica, sequence }, hash))
        .collect();
    out.push(Output::Send {
        link,
        message: Message::Chain {
            replica,
            above,
            links,
        },
    });
    Ok(())
}

/// The last entry at or below a sequence. The port scans forwards only, so the search widens backwards.
fn at_or_below(
    store: &dyn Snapshot,
    replica: ReplicaId,
    above: u64,
) -> Result<Option<(u64, Digest)>, StoreError> {
    // Nothing lies above the last entry, whatever the question says.
    let above = above.min(read_replica(store, &replica)?.map_or(0, |tip| tip.sequence));
    let mut width = 1u64;
    loop {
        let low = above.saturating_sub(width);
        let mut last = None;
        scan(store, replica, low, &mut |sequence, row| {
            if sequence <= above {
                last = Some((sequence, row.hash));
            }
            sequence < above
        })?;
        if last.is_some() || low == 0 {
            return Ok(last);
        }
        width = width.saturating_mul(8);
    }
}

fn hashes(
    store: &dyn Snapshot,
    replica: ReplicaId,
    from: u64,
    max: usize,
) -> Result<Vec<(u64, Digest)>, StoreError> {
    let mut hashes = Vec::new();
    scan(store, replica, from, &mut |sequence, row| {
        hashes.push((sequence, row.hash));
        hashes.len() < max
    })?;
    hashes.truncate(max);
    Ok(hashes)
}

fn scan(
    store: &dyn Snapshot,
    replica: ReplicaId,
    from: u64,
    visit: &mut dyn FnMut(u64, LogRow) -> bool,
) -> Result<(), StoreError> {
    let mut failed = None;
    let start = log_key(Dot {
        replica,
        sequence: from,
    });
    store.scan(
        Family::Log,
        &start,
        log_end(&replica).as_deref(),
        &mut |key, value| {
            let sequence = key
                .get(16..)
                .and_then(|tail| tail.try_into().ok())
                .map_or(0, u64::from_be_bytes);
            match decode_row(Family::Log, value) {
                Ok(row) => visit(sequence, row),
                Err(error) => {
                    failed = Some(error);
                    false
                }
            }
        },
    )?;
    failed.map_or(Ok(()), Err)
}
