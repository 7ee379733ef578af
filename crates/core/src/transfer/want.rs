//! What this hub wants, in which order, and who has it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use super::work::Work;
use super::{Fetching, OPEN_MAX, Output, Transfer};
use crate::blob::{BlobId, Have, Manifest, chunks_of};
use crate::hash::Digest;
use crate::machine::Link;
use crate::store::{
    Family, OfBlob, RefRow, Snapshot, StoreError, blob_key, blob_kind, blob_of, decode_row, promised_to,
    read_held, read_manifest, scan_prefix,
};
use crate::time::Now;
use crate::wire::Held;

/// Blobs that people wait for at a time; of more, the first are served first.
pub(super) const DEMANDS_MAX: usize = 256;
/// How long a blob stays ahead of all others after somebody asked for it.
const DEMAND: Duration = Duration::from_secs(60);
/// How long a blob that nobody has is looked for before another has its turn.
const TURN: Duration = Duration::from_secs(5);
/// How long a source that sent what does not verify is not asked for that blob; twice as long each time after,
const LEFT: Duration = Duration::from_secs(30);
/// at most so long.
const LEFT_MAX: Duration = Duration::from_secs(600);

/// The order of wants: those that people wait for first, then as they came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Rank {
    /// False comes first.
    pub background: bool,
    pub order: u64,
}

/// What a peer said that it holds.
#[derive(Debug, Clone)]
pub(super) struct Source {
    pub size: u64,
    pub manifest: Digest,
    /// None: all.
    pub have: Option<Have>,
}

impl Source {
    pub fn has(&self, index: u32) -> bool {
        self.have.as_ref().is_none_or(|have| have.has(index))
    }
}

/// A blob on its way.
#[derive(Debug, Clone)]
pub(super) struct Fetch {
    pub manifest: Arc<Manifest>,
    /// [`Manifest::digest`].
    pub digest: Digest,
    /// Verified and written.
    pub have: Have,
    /// Neither there, nor asked for, nor being verified.
    pub todo: BTreeSet<u32>,
    /// Asked for: of whom, and when.
    pub asked: BTreeMap<u32, Vec<(Link, Duration)>>,
    /// Come, and being verified: so many copies.
    pub taking: BTreeMap<u32, usize>,
    /// Written since the last sync: bytes.
    pub unsynced: u64,
    /// What is being synced.
    pub syncing: Option<Have>,
    /// What a start left is being looked through.
    pub looking: bool,
}

impl Fetch {
    pub fn new(manifest: Arc<Manifest>, have: Have) -> Fetch {
        Fetch {
            digest: manifest.digest(),
            todo: have.missing(manifest.chunks()).collect(),
            manifest,
            have,
            asked: BTreeMap::new(),
            taking: BTreeMap::new(),
            unsynced: 0,
            syncing: None,
            looking: false,
        }
    }

    pub fn is_complete(&self) -> bool {
        self.have.count() == self.manifest.chunks()
    }

    /// The chunk to ask for next among those that a source has: from the end, or from where somebody reads.
    pub fn next(&self, source: &Source, from: Option<u32>) -> Option<u32> {
        if self.looking {
            return None;
        }
        let has = |index: &&u32| source.has(**index);
        let ahead = from.and_then(|from| self.todo.range(from..).find(has));
        ahead.or_else(|| self.todo.iter().rev().find(has)).copied()
    }
}

#[derive(Debug, Clone)]
pub(super) struct Want {
    pub rank: Rank,
    /// Whether the policy wants it, whoever reads.
    pub by_policy: bool,
    /// Until when somebody waits, and from which chunk on.
    pub demand: Option<(Duration, u32)>,
    pub sources: BTreeMap<Link, Source>,
    /// Sources that sent what does not verify: until when, and how often.
    left: BTreeMap<Link, (Duration, u32)>,
    pub fetch: Option<Fetch>,
    /// Of whom the manifest was asked, and when.
    pub manifest_asked: Option<(Link, Duration)>,
    pub opened_at: Duration,
    /// Whether its rows are on their way to the disk.
    pub ending: bool,
}

impl Want {
    fn new(rank: Rank, by_policy: bool) -> Want {
        Want {
            rank,
            by_policy,
            demand: None,
            sources: BTreeMap::new(),
            left: BTreeMap::new(),
            fetch: None,
            manifest_asked: None,
            opened_at: Duration::ZERO,
            ending: false,
        }
    }

    /// Whether a link is one to ask for chunks.
    pub fn is_source(&self, link: Link, now: Duration) -> Option<&Source> {
        let digest = self.fetch.as_ref()?.digest;
        let source = self.sources.get(&link)?;
        (source.manifest == digest && !self.is_left(&link, now)).then_some(source)
    }

    /// A source is not to be asked for a while: its disk or its word is bad.
    pub fn leave(&mut self, link: Link, now: Duration) {
        let (until, times) = self.left.entry(link).or_default();
        *until = now + (LEFT * (1 << (*times).min(5))).min(LEFT_MAX);
        *times += 1;
    }

    pub fn is_left(&self, link: &Link, now: Duration) -> bool {
        self.left.get(link).is_some_and(|(until, _)| *until > now)
    }

    pub fn forget_source(&mut self, link: &Link) {
        self.sources.remove(link);
        self.left.remove(link);
    }

    /// Nothing of it is asked for or being verified.
    fn is_idle(&self) -> bool {
        let fetch = self.fetch.as_ref();
        !self.ending
            && fetch.is_none_or(|fetch| {
                fetch.asked.is_empty() && fetch.taking.is_empty() && fetch.syncing.is_none() && !fetch.looking
            })
    }
}

impl Transfer {
    /// What is referred to and not held; what is held, in numbers.
    pub(super) fn read_all(&mut self, store: &dyn Snapshot) -> Result<(), StoreError> {
        let mut failed = None;
        let (mut whole, mut held, mut parts) = (BTreeSet::new(), BTreeSet::new(), Vec::new());
        scan_prefix(store, Family::Blobs, &blob_kind(OfBlob::Held), &mut |key, row| {
            match decode_row::<crate::store::HeldRow>(Family::Blobs, row) {
                Ok(row) => {
                    held.extend(blob_of(key));
                    parts.extend(blob_of(key).filter(|_| !row.whole));
                    if let Some(id) = blob_of(key).filter(|_| row.whole) {
                        whole.insert(id);
                        self.letting.counted.insert(id, row.size);
                        self.told.held += 1;
                        self.told.bytes += row.size;
                    }
                }
                Err(error) => failed = Some(error),
            }
            failed.is_none()
        })?;
        let mut wanted = BTreeSet::new();
        scan_prefix(store, Family::Blobs, &blob_kind(OfBlob::Ref), &mut |key, row| {
            let id = blob_of(key);
            if let Some(id) = &id {
                held.remove(id);
            }
            match decode_row::<RefRow>(Family::Blobs, row) {
                Ok(row) if self.fetches(&row) => {
                    wanted.extend(id.filter(|id| !whole.contains(id)));
                }
                Ok(_) => {}
                Err(error) => failed = Some(error),
            }
            failed.is_none()
        })?;
        if let Some(error) = failed {
            return Err(error);
        }
        for id in parts {
            if self.wanted_by(store, &id)?.1 {
                wanted.insert(id); // whatever the policy, if another relies on it
            }
        }
        held.into_iter()
            .for_each(|id| self.letting.unreferenced(id, std::time::Duration::ZERO));
        wanted.into_iter().for_each(|id| self.want(id, true));
        Ok(())
    }

    fn fetches(&self, row: &RefRow) -> bool {
        self.settings.fetching == Fetching::All || self.settings.pin_types.contains(&row.of_type)
    }

    /// Whether records refer to a blob, and whether this hub fetches it for that: because the policy says so, or because
    /// another has let it go on this one's word, and what is held of it was damaged since.
    pub(super) fn wanted_by(&self, store: &dyn Snapshot, id: &BlobId) -> Result<(bool, bool), StoreError> {
        let (mut referenced, mut fetched, mut failed) = (false, false, None);
        scan_prefix(store, Family::Blobs, &blob_key(OfBlob::Ref, id), &mut |_, row| {
            referenced = true;
            match decode_row::<RefRow>(Family::Blobs, row) {
                Ok(row) => fetched |= self.fetches(&row),
                Err(error) => failed = Some(error),
            }
            failed.is_none() && !fetched
        })?;
        if referenced && !fetched {
            let promises = blob_key(OfBlob::Promise, id);
            scan_prefix(store, Family::Blobs, &promises, &mut |key, _| {
                fetched = promised_to(key).is_some_and(|hub| !self.gone.contains(&hub));
                !fetched
            })?;
        }
        failed.map_or(Ok((referenced, fetched)), Err)
    }

    pub(super) fn want(&mut self, id: BlobId, by_policy: bool) {
        self.orders += 1;
        let rank = Rank {
            background: true,
            order: self.orders,
        };
        self.wants.insert(id, Want::new(rank, by_policy));
        self.queued.insert((rank, id));
        self.changed = true;
    }

    pub(super) fn want_no_more(&mut self, id: &BlobId) {
        let Some(want) = self.wants.remove(id) else { return };
        self.open.remove(&(want.rank, *id));
        self.queued.remove(&(want.rank, *id));
        for (index, asked) in want.fetch.iter().flat_map(|fetch| &fetch.asked) {
            let len =
                crate::blob::chunk_len(want.fetch.as_ref().map_or(0, |fetch| fetch.manifest.size), *index);
            for (link, _) in asked {
                if let Some(peer) = self.links.get_mut(link) {
                    peer.came(len);
                }
            }
        }
        self.changed = true;
    }

    pub(super) fn references_changed(
        &mut self,
        now: Now,
        store: &dyn Snapshot,
        id: BlobId,
    ) -> Result<(), StoreError> {
        let (referenced, fetched) = self.wanted_by(store, &id)?;
        let held = read_held(store, &id)?;
        if held.as_ref().is_some_and(|held| held.whole) {
            if !referenced {
                self.letting.unreferenced(id, now.mono);
            }
            return Ok(());
        }
        if held.is_some() && !referenced {
            self.letting.unreferenced(id, now.mono);
        }
        match self.wants.get_mut(&id) {
            Some(want) => {
                want.by_policy = fetched;
                if !fetched && want.demand.is_none() && want.is_idle() {
                    self.want_no_more(&id);
                }
            }
            None if fetched => self.want(id, true),
            None => {}
        }
        Ok(())
    }

    pub(super) fn demand(
        &mut self,
        now: Now,
        store: &dyn Snapshot,
        id: BlobId,
        from: u32,
    ) -> Result<(), StoreError> {
        if read_held(store, &id)?.is_some_and(|held| held.whole) || !self.wanted_by(store, &id)?.0 {
            return Ok(());
        }
        if !self.wants.contains_key(&id) {
            self.want(id, false);
        }
        let people = self.wants.values().filter(|want| want.demand.is_some()).count();
        let Some(want) = self.wants.get_mut(&id) else {
            return Ok(());
        };
        if want.demand.is_none() && people >= DEMANDS_MAX {
            return Ok(());
        }
        want.demand = Some((now.mono + DEMAND, from));
        if want.rank.background {
            let was_open = self.open.remove(&(want.rank, id));
            self.queued.remove(&(want.rank, id));
            want.rank.background = false;
            let list = if was_open {
                &mut self.open
            } else {
                &mut self.queued
            };
            list.insert((want.rank, id));
        }
        Ok(())
    }

    /// Looks for the next wants. What was begun before goes on where it was.
    pub(super) fn open_wants(
        &mut self,
        now: Now,
        store: &dyn Snapshot,
        out: &mut Vec<Output>,
    ) -> Result<(), StoreError> {
        if self.links.is_empty() || self.paused_until > now.mono {
            return Ok(());
        }
        while let Some((rank, id)) = self.queued.first().copied() {
            let full = self.open.len() >= OPEN_MAX || self.is_over_budget();
            if full && (rank.background || self.open.len() >= OPEN_MAX + DEMANDS_MAX) {
                break;
            }
            if self.letting.removing.contains(&id) {
                break; // its bytes of before are being taken away
            }
            self.queued.pop_first();
            self.open_want(now, store, rank, id, out)?;
        }
        Ok(())
    }

    fn open_want(
        &mut self,
        now: Now,
        store: &dyn Snapshot,
        rank: Rank,
        id: BlobId,
        out: &mut Vec<Output>,
    ) -> Result<(), StoreError> {
        self.open.insert((rank, id));
        let begun = match read_held(store, &id)? {
            Some(held) => read_manifest(store, &id, held.size)?.map(|manifest| (manifest, held.have)),
            None => None,
        };
        let nothing = BlobId::of(&[]);
        let Some(want) = self.wants.get_mut(&id) else {
            return Ok(());
        };
        want.opened_at = now.mono;
        self.links.values_mut().for_each(|peer| peer.ask(id));
        if let Some((manifest, have)) = begun
            && want.fetch.is_none()
        {
            let manifest = Arc::new(manifest);
            let mut fetch = Fetch::new(manifest.clone(), have);
            fetch.looking = true;
            let indexes = fetch.todo.iter().copied().collect();
            want.fetch = Some(fetch);
            out.push(Output::Work(Work::Look { manifest, indexes }));
        } else if id == nothing {
            let manifest = Manifest::new(id, 0, Vec::new());
            if let Ok(manifest) = manifest {
                want.ending = true;
                self.keep_whole(now, &manifest, None);
            }
        }
        Ok(())
    }

    /// What nobody has makes room for others, and what nobody waits for any more goes back to its place.
    pub(super) fn turn_over(&mut self, now: Now) {
        let waiting = !self.queued.is_empty();
        let ids: Vec<(Rank, BlobId)> = self.open.iter().copied().collect();
        for (rank, id) in ids {
            let Some(want) = self.wants.get_mut(&id) else {
                continue;
            };
            if want.demand.is_some_and(|(until, _)| until <= now.mono) {
                want.demand = None;
                if !want.by_policy && want.is_idle() {
                    self.want_no_more(&id);
                    continue;
                }
            }
            let stale = want.opened_at + TURN <= now.mono;
            let lacking = want.sources.is_empty() && want.is_idle();
            if (lacking && stale && waiting && want.demand.is_none())
                || (want.demand.is_none() && !rank.background)
            {
                self.open.remove(&(rank, id));
                self.orders += 1;
                want.rank = Rank {
                    background: true,
                    order: self.orders,
                };
                let (rank, list) = (want.rank, if lacking { &mut self.queued } else { &mut self.open });
                list.insert((rank, id));
            }
        }
    }

    /// A peer says what it holds.
    pub(super) fn has(
        &mut self,
        now: Now,
        store: &dyn Snapshot,
        link: Link,
        blobs: Vec<Held>,
    ) -> Result<(), StoreError> {
        for held in blobs {
            let chunks = chunks_of(held.size);
            let sane = held.size <= crate::blob::BLOB_BYTES_MAX
                && held.have.as_ref().is_none_or(|have| have.fits(chunks));
            let Some(want) = self.wants.get_mut(&held.id).filter(|_| sane) else {
                continue;
            };
            let source = Source {
                size: held.size,
                manifest: held.manifest,
                have: held.have,
            };
            want.sources.insert(link, source);
            let rank = want.rank;
            if self.queued.remove(&(rank, held.id)) {
                if self.open.len() < OPEN_MAX {
                    self.open_again(now, store, rank, held.id)?;
                } else {
                    self.queued.insert((rank, held.id));
                }
            }
        }
        Ok(())
    }

    /// A want whose turn is not yet, and which a peer has by now.
    fn open_again(
        &mut self,
        now: Now,
        store: &dyn Snapshot,
        rank: Rank,
        id: BlobId,
    ) -> Result<(), StoreError> {
        if read_held(store, &id)?.is_some() || self.is_over_budget() || self.paused_until > now.mono {
            self.queued.insert((rank, id)); // what was begun is opened as usual
            return Ok(());
        }
        self.open.insert((rank, id));
        if let Some(want) = self.wants.get_mut(&id) {
            want.opened_at = now.mono;
        }
        self.links.values_mut().for_each(|peer| peer.ask(id));
        Ok(())
    }
}
