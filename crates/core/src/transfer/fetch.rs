//! Asking for chunks: of whom, how many at a time, and what when one does not come or does not verify.

use std::sync::Arc;
use std::time::Duration;

use super::want::{Fetch, Rank, Source, Want};
use super::work::{Done, Taken, Work};
use super::{NO_ROOM, Output, Transfer};
use crate::blob::{BlobId, Have, Manifest, ROW_BYTES_MAX, Stored, chunk_len, chunks_of};
use crate::hash::Digest;
use crate::machine::Link;
use crate::store::{Snapshot, StoreError};
use crate::time::Now;
use crate::wire::{BLOB_NAMES_MAX, BlobMessage, WireChunk};

/// How long a manifest may take.
const MANIFEST: Duration = Duration::from_secs(10);
/// A link on which nothing came for so long stands still: what was asked of it is asked of another too, once.
const STALL: Duration = Duration::from_secs(5);
/// What was asked of a link that has stood still so long is not waited for any more.
const GIVE_UP: Duration = Duration::from_secs(60);
/// Of all chunks taken, one in so many may have been asked of two (P11: under 2 %).
const HEDGE_EVERY: u64 = 64;

impl Fetch {
    /// What was asked of a link and of nobody else is to be asked again.
    pub fn ask_no_more(&mut self, link: Link) {
        let (asked, todo, taking) = (&mut self.asked, &mut self.todo, &self.taking);
        asked.retain(|index, links| {
            links.retain(|(of, _)| *of != link);
            if links.is_empty() && !taking.contains_key(index) {
                todo.insert(*index);
            }
            !links.is_empty()
        });
    }
}

impl Want {
    /// The manifest that most sources go by, whole ones first, and one whole source of it.
    fn best_offer(&self, now: Duration) -> Option<(u64, Digest, Option<Link>)> {
        let usable = || self.sources.iter().filter(|(link, _)| !self.is_left(link, now));
        let votes = |source: &Source| {
            let same = usable().filter(|(_, other)| other.manifest == source.manifest);
            let whole = same.clone().filter(|(_, other)| other.have.is_none()).count();
            (whole, same.count())
        };
        let (_, best) = usable().max_by_key(|(link, source)| (votes(source), std::cmp::Reverse(**link)))?;
        let whole = usable().find(|(_, source)| source.manifest == best.manifest && source.have.is_none());
        Some((best.size, best.manifest, whole.map(|(link, _)| *link)))
    }

    /// Another manifest: what verified under the one before, and verifies under this, is kept.
    fn go_by(&mut self, manifest: Manifest) {
        let mut have = Have::default();
        let old = self.fetch.take();
        if let Some(old) = &old {
            for index in 0..manifest.chunks() {
                if old.have.has(index) && old.manifest.agrees(&manifest, index) {
                    have.set(index);
                }
            }
        }
        self.fetch = Some(Fetch::new(Arc::new(manifest), have));
        self.manifest_asked = None;
    }
}

impl Transfer {
    /// Asks peers what they hold of what is wanted.
    pub(super) fn ask(&mut self, _now: Now, out: &mut Vec<Output>) {
        for (link, peer) in &mut self.links {
            loop {
                let ids = peer.asks(BLOB_NAMES_MAX / 4);
                if ids.is_empty() {
                    break;
                }
                let message = BlobMessage::Ask { ids };
                out.push(Output::Send { link: *link, message });
            }
        }
    }

    /// Begins what has a source and no manifest, or none that a source goes by.
    pub(super) fn ask_manifests(&mut self, now: Now, out: &mut Vec<Output>) {
        let ids: Vec<BlobId> = self.open.iter().map(|(_, id)| *id).collect();
        for id in ids {
            let Some(want) = self.wants.get_mut(&id) else {
                continue;
            };
            let served = |want: &Want| {
                want.sources
                    .keys()
                    .any(|link| want.is_source(*link, now.mono).is_some())
            };
            let busy = want.fetch.as_ref().is_some_and(|fetch| {
                fetch.looking || !fetch.taking.is_empty() || fetch.syncing.is_some() || fetch.is_complete()
            });
            if want.ending || busy || served(want) {
                continue;
            }
            let Some((size, digest, whole)) = want.best_offer(now.mono) else {
                continue;
            };
            if chunks_of(size) <= 1 {
                // Its name alone is its manifest.
                if let Ok(manifest) = Manifest::new(id, size, Vec::new()) {
                    if manifest.digest() == digest && size > 0 {
                        want.go_by(manifest);
                    } else {
                        want.sources.retain(|_, source| source.manifest != digest);
                    }
                }
                continue;
            }
            let waits = want
                .manifest_asked
                .is_some_and(|(_, at)| at + MANIFEST > now.mono);
            if let Some(link) = whole.filter(|_| !waits) {
                if let Some((silent, _)) = want.manifest_asked.replace((link, now.mono))
                    && silent == link
                {
                    // Asked before, and silent.
                    want.leave(link, now.mono);
                    want.manifest_asked = None;
                    continue;
                }
                let message = BlobMessage::AskManifest { id };
                out.push(Output::Send { link, message });
            }
        }
    }

    pub(super) fn manifest_came(&mut self, now: Now, link: Link, id: BlobId, size: u64, states: Vec<u8>) {
        let Some(want) = self.wants.get_mut(&id) else {
            return;
        };
        if want.manifest_asked.is_none_or(|(asked, _)| asked != link) {
            return;
        }
        want.manifest_asked = None;
        let said = want.sources.get(&link).map(|source| source.manifest);
        match Manifest::new(id, size, states) {
            Ok(manifest) if Some(manifest.digest()) == said => {
                want.go_by(manifest);
                if let Some(fetch) = &want.fetch {
                    let (manifest, have) = (fetch.manifest.clone(), fetch.have.clone());
                    self.keep_begun(now, &manifest, &have);
                }
            }
            _ => want.leave(link, now.mono),
        }
    }

    /// Asks for as many chunks as the windows take, by turns of all links.
    pub(super) fn ask_chunks(&mut self, now: Now, out: &mut Vec<Output>) {
        if self.paused_until > now.mono {
            return;
        }
        let ready = |(_, id): &&(Rank, BlobId)| {
            let fetch = self.wants.get(id).and_then(|want| want.fetch.as_ref());
            fetch.is_some_and(|fetch| !fetch.todo.is_empty())
        };
        let mut ready: Vec<BlobId> = self.open.iter().filter(ready).map(|(_, id)| *id).collect();
        let mut asks: Vec<(Link, Vec<(BlobId, u32)>)> =
            self.links.keys().map(|link| (*link, Vec::new())).collect();
        loop {
            let mut moved = false;
            for (link, chunks) in &mut asks {
                if chunks.len() >= BLOB_NAMES_MAX || self.keeping.is_full() {
                    continue;
                }
                if let Some(chunk) = self.pick(now, *link, &ready) {
                    chunks.push(chunk);
                    moved = true;
                }
            }
            if !moved {
                break;
            }
            ready.retain(|id| {
                let fetch = self.wants.get(id).and_then(|want| want.fetch.as_ref());
                fetch.is_some_and(|fetch| !fetch.todo.is_empty())
            });
        }
        for (link, chunks) in asks {
            if !chunks.is_empty() {
                let message = BlobMessage::Get { chunks };
                out.push(Output::Send { link, message });
            }
        }
    }

    fn pick(&mut self, now: Now, link: Link, ready: &[BlobId]) -> Option<(BlobId, u32)> {
        let peer = self.links.get_mut(&link)?;
        for id in ready {
            let Some(want) = self.wants.get_mut(id) else {
                continue;
            };
            let from = want.demand.map(|(_, from)| from);
            let Some(source) = want.is_source(link, now.mono) else {
                continue;
            };
            let Some(fetch) = &want.fetch else { continue };
            let Some(index) = fetch.next(source, from) else {
                continue;
            };
            let len = chunk_len(fetch.manifest.size, index);
            if !peer.takes(len) {
                return None;
            }
            peer.asked(now.mono, len);
            if let Some(fetch) = &mut want.fetch {
                fetch.todo.remove(&index);
                fetch.asked.entry(index).or_default().push((link, now.mono));
            }
            return Some((*id, index));
        }
        None
    }

    pub(super) fn chunk_came(&mut self, now: Now, link: Link, chunk: WireChunk, out: &mut Vec<Output>) {
        let WireChunk { id, index, stored } = chunk;
        let Some(want) = self.wants.get_mut(&id) else {
            return;
        };
        let Some(fetch) = &mut want.fetch else { return };
        let Some(asked) = fetch.asked.get_mut(&index) else {
            return;
        };
        let Some(at) = asked.iter().position(|(of, _)| *of == link) else {
            return; // nobody asked it
        };
        let (_, asked_at) = asked.remove(at);
        let last = asked.is_empty();
        if last {
            fetch.asked.remove(&index);
        }
        let len = chunk_len(fetch.manifest.size, index);
        if let Some(peer) = self.links.get_mut(&link) {
            peer.moved_at = now.mono;
            peer.learn(
                now.mono.saturating_sub(asked_at),
                len,
                self.settings.window_bytes_max,
            );
        }
        // What is being verified keeps its place in the window until that is done: so much may be in memory.
        let (known, lacks) = (fetch.have.has(index), stored.is_none());
        if (known || lacks)
            && let Some(peer) = self.links.get_mut(&link)
        {
            peer.came(len);
        }
        if known {
            return; // another was faster
        }
        let Some(stored) = stored else {
            // It does not have it after all.
            want.sources.remove(&link);
            if last && !fetch.taking.contains_key(&index) {
                fetch.todo.insert(index);
            }
            return;
        };
        self.told.taken_chunks += 1;
        self.told.taken_bytes += len as u64;
        *fetch.taking.entry(index).or_default() += 1;
        let manifest = fetch.manifest.clone();
        out.push(Output::Work(Work::Take {
            link,
            manifest,
            index,
            stored,
        }));
    }

    pub(super) fn done(
        &mut self,
        now: Now,
        store: &dyn Snapshot,
        done: Done,
        out: &mut Vec<Output>,
    ) -> Result<(), StoreError> {
        match done {
            Done::Took {
                link,
                id,
                manifest,
                index,
                len,
                taken,
            } => self.took(now, link, id, manifest, index, len, taken, out),
            Done::Synced { id } => self.synced(now, id, out),
            Done::Looked { id, found } => self.looked(id, &found, out),
            Done::Served { link, rest, lost } => {
                self.served(link, rest);
                for (id, index) in lost {
                    self.damaged(now, store, id, index)?;
                }
            }
            Done::Adopted { ticket, manifest } => self.adopted(now, ticket, &manifest, None),
            Done::Checked { id, index, good } => {
                self.checked(now, store, id, index)?;
                if !good {
                    self.damaged(now, store, id, index)?;
                }
            }
            Done::Removed { id } => self.removed(id, out),
        }
        Ok(())
    }

    #[allow(clippy::too_many_arguments, reason = "the parts of one message")]
    fn took(
        &mut self,
        now: Now,
        link: Link,
        id: BlobId,
        manifest: Digest,
        index: u32,
        len: usize,
        taken: Taken,
        out: &mut Vec<Output>,
    ) {
        if let Some(peer) = self.links.get_mut(&link) {
            peer.came(len);
        }
        let Some(want) = self.wants.get_mut(&id) else {
            return;
        };
        let Some(fetch) = want.fetch.as_mut().filter(|fetch| fetch.digest == manifest) else {
            return; // it goes by another manifest by now
        };
        let copies = fetch.taking.entry(index).or_default();
        *copies = copies.saturating_sub(1);
        if *copies == 0 {
            fetch.taking.remove(&index);
        }
        let open =
            !fetch.have.has(index) && !fetch.asked.contains_key(&index) && !fetch.taking.contains_key(&index);
        match taken {
            Taken::Written => {
                fetch.todo.remove(&index);
                if !fetch.have.has(index) {
                    fetch.have.set(index);
                    fetch.unsynced += chunk_len(fetch.manifest.size, index) as u64;
                }
                self.sync_if_due(id, out);
            }
            Taken::Verified(stored) => {
                fetch.todo.remove(&index);
                let manifest = fetch.manifest.clone();
                if !want.ending {
                    want.ending = true;
                    self.keep_whole(now, &manifest, Some(&stored));
                }
            }
            Taken::Bad => {
                if open {
                    fetch.todo.insert(index);
                }
                fetch.ask_no_more(link);
                want.leave(link, now.mono);
                self.told.bad_chunks += 1;
                let message = BlobMessage::Bad { id, index };
                out.push(Output::Send { link, message });
            }
            Taken::NoRoom => {
                if open {
                    fetch.todo.insert(index);
                }
                self.paused_until = now.mono + NO_ROOM;
            }
        }
    }

    /// Syncs what has come when all of it has, or much.
    pub(super) fn sync_if_due(&mut self, id: BlobId, out: &mut Vec<Output>) {
        let Some(want) = self.wants.get_mut(&id) else {
            return;
        };
        let waited_for = want.demand.is_some();
        let Some(fetch) = &mut want.fetch else { return };
        let due = fetch.is_complete()
            || fetch.unsynced >= self.settings.sync_bytes
            || (waited_for && fetch.unsynced > 0);
        if due && fetch.syncing.is_none() && !want.ending {
            fetch.syncing = Some(fetch.have.clone());
            fetch.unsynced = 0;
            out.push(Output::Work(Work::Sync { id }));
        }
    }

    fn synced(&mut self, now: Now, id: BlobId, out: &mut Vec<Output>) {
        let Some(want) = self.wants.get_mut(&id) else {
            return;
        };
        let Some(fetch) = &mut want.fetch else { return };
        let Some(have) = fetch.syncing.take() else { return };
        let manifest = fetch.manifest.clone();
        if have.count() == manifest.chunks() {
            want.ending = true;
            self.keep_whole(now, &manifest, None);
        } else {
            self.keep_part(now, &manifest, &have);
            // More may have come meanwhile, the rest of it too.
            self.sync_if_due(id, out);
        }
    }

    /// What a start found of a blob that was on its way: verified again, synced or not.
    fn looked(&mut self, id: BlobId, found: &[u32], out: &mut Vec<Output>) {
        let Some(want) = self.wants.get_mut(&id) else {
            return;
        };
        let Some(fetch) = &mut want.fetch else { return };
        fetch.looking = false;
        for index in found {
            if fetch.todo.remove(index) {
                fetch.have.set(*index);
                fetch.unsynced += chunk_len(fetch.manifest.size, *index) as u64;
            }
        }
        self.told.found_chunks += found.len() as u64;
        self.sync_if_due(id, out);
    }

    /// Looks whether something stands still.
    pub(super) fn tick(
        &mut self,
        now: Now,
        store: &dyn Snapshot,
        out: &mut Vec<Output>,
    ) -> Result<(), StoreError> {
        self.turn_over(now);
        self.hedge(now);
        self.look_for_sources(now);
        self.let_go_if_due(now, store, out)
    }

    fn hedge(&mut self, now: Now) {
        let still = |wait: Duration, peer: &super::peer::Peer| {
            peer.in_flight() > 0 && peer.moved_at + wait <= now.mono
        };
        let stalled: Vec<Link> = self
            .links
            .iter()
            .filter(|(_, peer)| still(STALL, peer))
            .map(|(link, _)| *link)
            .collect();
        for link in stalled {
            let Some(peer) = self.links.get_mut(&link) else {
                continue;
            };
            peer.stalled();
            let give_up = still(GIVE_UP, peer);
            for want in self.wants.values_mut() {
                let others = want
                    .sources
                    .iter()
                    .any(|(other, _)| *other != link && want.is_source(*other, now.mono).is_some());
                let Some(fetch) = &mut want.fetch else { continue };
                let waited = fetch.asked.values().flatten().any(|(of, _)| *of == link);
                if give_up && waited {
                    fetch.ask_no_more(link);
                    want.sources.remove(&link);
                } else if others {
                    let asked = fetch
                        .asked
                        .iter()
                        .filter(|(_, of)| matches!(of[..], [(only, _)] if only == link));
                    let indexes: Vec<u32> = asked.map(|(index, _)| *index).collect();
                    for index in indexes {
                        if (self.told.hedged_chunks + 1) * HEDGE_EVERY
                            > self.told.taken_chunks + 2 * HEDGE_EVERY
                        {
                            break;
                        }
                        if fetch.todo.insert(index) {
                            self.told.hedged_chunks += 1;
                        }
                    }
                }
            }
            if give_up && let Some(peer) = self.links.get_mut(&link) {
                let len = peer.in_flight();
                peer.came(len);
            }
        }
    }

    /// Asks again about what no source is known of: word of it may be lost.
    fn look_for_sources(&mut self, now: Now) {
        const AGAIN: Duration = Duration::from_secs(30);
        for (link, peer) in &mut self.links {
            if peer.asks_again(now.mono) {
                let unknown = |id: &BlobId| {
                    self.wants
                        .get(id)
                        .is_some_and(|want| !want.sources.contains_key(link))
                };
                let ids = self.open.iter().map(|(_, id)| *id);
                ids.filter(unknown).for_each(|id| peer.ask(id));
            }
        }
        for (_, id) in &self.open {
            let Some(want) = self.wants.get_mut(id) else {
                continue;
            };
            let served = want.sources.keys().any(|link| !want.is_left(link, now.mono));
            if !served && want.opened_at + AGAIN <= now.mono {
                want.opened_at = now.mono;
                self.links.values_mut().for_each(|peer| peer.ask(*id));
            }
        }
    }
}

/// Whether a blob of this size is kept in a row.
pub(super) fn in_row(size: u64) -> bool {
    size <= ROW_BYTES_MAX
}

/// What a row holds of a chunk.
pub(super) fn encode_stored(stored: &Stored) -> Vec<u8> {
    let mut row = Vec::with_capacity(1 + stored.bytes.len());
    row.push(u8::from(stored.packed));
    row.extend_from_slice(&stored.bytes);
    row
}

/// Reads it back.
pub(super) fn decode_stored(row: &[u8]) -> Option<Stored> {
    let (packed, bytes) = row.split_first()?;
    Some(Stored {
        packed: *packed == 1,
        bytes: bytes.to_vec().into(),
    })
}
