//! One linked hub: what is asked of it and how fast it answers, what it waits for.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use super::Transfer;
use crate::blob::{BlobId, CHUNK_BYTES};
use crate::id::HubId;
use crate::machine::Link;
use crate::time::Now;

/// A chunk that comes so fast makes room for one more under way,
const FAST: Duration = Duration::from_millis(250);
/// and one that comes so slowly for one less.
const SLOW: Duration = Duration::from_secs(1);

/// How soon after a link stands it is asked once more.
const ASK_AGAIN: Duration = Duration::from_secs(1);

#[derive(Debug, Clone)]
pub(super) struct Peer {
    pub hub_id: HubId,
    /// Bytes that may be under way: grows while answers are quick, so that other messages never wait long behind chunks.
    window: usize,
    in_flight: usize,
    /// When a chunk last came, or the first was asked after none were.
    pub moved_at: Duration,
    /// When to ask once more: the other end may not have been listening yet.
    again_at: Option<Duration>,
    /// Blobs to ask about.
    to_ask: BTreeSet<BlobId>,
    /// Blobs that it waits to hear of.
    pub interests: BTreeSet<BlobId>,
    /// Chunks that it has asked for.
    pub wanted: VecDeque<(BlobId, u32)>,
    /// How many messages of chunks for it are being read.
    pub reads: usize,
}

impl Peer {
    fn new(hub_id: HubId, now: Duration) -> Peer {
        Peer {
            hub_id,
            window: 2 * CHUNK_BYTES,
            in_flight: 0,
            moved_at: now,
            again_at: Some(now + ASK_AGAIN),
            to_ask: BTreeSet::new(),
            interests: BTreeSet::new(),
            wanted: VecDeque::new(),
            reads: 0,
        }
    }

    /// Bytes asked for and not come.
    pub fn in_flight(&self) -> usize {
        self.in_flight
    }

    pub fn serving(&self) -> usize {
        self.wanted.len()
    }

    pub fn interests(&self) -> usize {
        self.interests.len()
    }

    pub fn ask(&mut self, id: BlobId) {
        self.to_ask.insert(id);
    }

    /// Whether to ask once more, now.
    pub fn asks_again(&mut self, now: Duration) -> bool {
        self.again_at.take_if(|at| *at <= now).is_some()
    }

    /// The next to ask about, so many at most.
    pub fn asks(&mut self, most: usize) -> Vec<BlobId> {
        let mut ids = Vec::new();
        while ids.len() < most
            && let Some(id) = self.to_ask.pop_first()
        {
            ids.push(id);
        }
        ids
    }

    /// Whether so many bytes more may be asked for. One chunk always may.
    pub fn takes(&self, len: usize) -> bool {
        self.in_flight == 0 || self.in_flight + len <= self.window
    }

    pub fn asked(&mut self, now: Duration, len: usize) {
        if self.in_flight == 0 {
            self.moved_at = now;
        }
        self.in_flight += len;
    }

    /// Bytes that were asked for have come, or will not.
    pub fn came(&mut self, len: usize) {
        self.in_flight = self.in_flight.saturating_sub(len);
    }

    /// A chunk has come after so long.
    pub fn learn(&mut self, took: Duration, len: usize, window_bytes_max: usize) {
        if took < FAST {
            self.window = (self.window + len).min(window_bytes_max);
        } else if took > SLOW {
            self.window = self.window.saturating_sub(len).max(CHUNK_BYTES);
        }
    }

    /// It stands still: little is asked of it until it moves.
    pub fn stalled(&mut self) {
        self.window = CHUNK_BYTES;
    }
}

impl Transfer {
    pub(super) fn link_up(&mut self, now: Now, link: Link, hub_id: HubId) {
        let mut peer = Peer::new(hub_id, now.mono);
        self.open.iter().for_each(|(_, id)| peer.ask(*id));
        self.links.insert(link, peer);
        self.letting.link_up();
        self.tick_at = self.tick_at.min(now.mono);
    }

    /// What was asked of it is to be asked of others.
    pub(super) fn link_down(&mut self, link: Link) {
        self.links.remove(&link);
        for want in self.wants.values_mut() {
            want.forget_source(&link);
            if want.manifest_asked.is_some_and(|(asked, _)| asked == link) {
                want.manifest_asked = None;
            }
            if let Some(fetch) = &mut want.fetch {
                fetch.ask_no_more(link);
            }
        }
    }
}
