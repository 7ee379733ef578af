//! What is to be durable of blobs, and what follows when it is.
//!
//! The order: a chunk is verified, then written, then synced; then its row is committed; then it is told of. A blob kept in
//! a row is verified, then committed with its bytes.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::fetch::{encode_stored, in_row};
use super::work::Work;
use super::{Output, Transfer};
use crate::blob::{BlobId, Have, Manifest, Stored};
use crate::machine::Ticket;
use crate::store::{HeldRow, OfBlob, Snapshot, StoreError, blob_key, encode_row, read_held, read_manifest};
use crate::time::Now;

/// Bytes on their way to the disk in rows, above which no more is asked of peers.
const KEEPING_BYTES_MAX: usize = 32 << 20;
/// A read is noted once in so long.
const TOUCH_EVERY: std::time::Duration = std::time::Duration::from_secs(3_600);

/// What follows when rows are durable.
#[derive(Debug, Clone, PartialEq)]
enum After {
    /// All of a blob is here.
    Whole(BlobId),
    /// More of it is.
    Part(BlobId),
    /// Less of it is, for some was damaged.
    Damaged(BlobId),
    /// Whoever brought it is told.
    Tell(Ticket, BlobId),
    /// A peer may be told that this hub keeps these for it.
    Promised(crate::machine::Link, Vec<BlobId>),
    /// These were let go: their bytes go.
    Evicted(Vec<BlobId>),
}

#[derive(Debug, Clone, Default)]
pub(super) struct Keeping {
    numbers: u64,
    rows: Vec<(Vec<u8>, Option<Vec<u8>>)>,
    drop: Vec<BlobId>,
    after: Vec<After>,
    bytes: usize,
    /// Rows that damage has changed and that are on their way, each with how many times.
    damaged: BTreeMap<BlobId, (HeldRow, u32)>,
    under_way: BTreeMap<u64, (Vec<After>, usize)>,
}

impl Keeping {
    pub fn put(&mut self, key: Vec<u8>, row: Option<Vec<u8>>) {
        self.bytes += key.len() + row.as_ref().map_or(0, Vec::len);
        self.rows.push((key, row));
    }

    /// Whether so much is on its way that no more should come.
    pub fn is_full(&self) -> bool {
        let under_way = self.under_way.values().map(|(_, bytes)| bytes);
        self.bytes + under_way.sum::<usize>() > KEEPING_BYTES_MAX
    }

    pub fn drop_unreferenced(&mut self, id: BlobId) {
        self.drop.push(id);
    }

    pub fn promise(&mut self, link: crate::machine::Link, ids: Vec<BlobId>) {
        self.after.push(After::Promised(link, ids));
    }

    pub fn evict(&mut self, ids: Vec<BlobId>) {
        self.after.push(After::Evicted(ids));
    }
}

impl Transfer {
    /// Hands what was gathered in this step to storage.
    pub(super) fn flush(&mut self, out: &mut Vec<Output>) {
        let keeping = &mut self.keeping;
        if keeping.rows.is_empty() && keeping.drop.is_empty() {
            return;
        }
        keeping.numbers += 1;
        let after = std::mem::take(&mut keeping.after);
        let bytes = std::mem::take(&mut keeping.bytes);
        keeping.under_way.insert(keeping.numbers, (after, bytes));
        out.push(Output::Keep {
            number: keeping.numbers,
            rows: std::mem::take(&mut keeping.rows),
            drop: std::mem::take(&mut keeping.drop),
        });
    }

    fn keep_held(&mut self, id: BlobId, row: &HeldRow) {
        self.keeping
            .put(blob_key(OfBlob::Held, &id), Some(encode_row(row)));
    }

    /// A blob of several chunks is begun: its manifest is kept before any progress is.
    pub(super) fn keep_begun(&mut self, now: Now, manifest: &Manifest, have: &Have) {
        let row = Some(manifest.states().to_vec());
        self.keeping.put(blob_key(OfBlob::Manifest, &manifest.id), row);
        self.keep_part(now, manifest, have);
    }

    pub(super) fn keep_part(&mut self, now: Now, manifest: &Manifest, have: &Have) {
        let row = HeldRow {
            size: manifest.size,
            whole: false,
            have: have.clone(),
            touched: now.wall,
        };
        self.keep_held(manifest.id, &row);
        self.keeping.after.push(After::Part(manifest.id));
    }

    pub(super) fn keep_whole(&mut self, now: Now, manifest: &Manifest, stored: Option<&Stored>) {
        let row = HeldRow {
            size: manifest.size,
            whole: true,
            have: Have::default(),
            touched: now.wall,
        };
        self.keep_held(manifest.id, &row);
        if !manifest.states().is_empty() {
            let states = Some(manifest.states().to_vec());
            self.keeping.put(blob_key(OfBlob::Manifest, &manifest.id), states);
        }
        if let Some(stored) = stored.filter(|_| in_row(manifest.size)) {
            let bytes = Some(encode_stored(stored));
            self.keeping.put(blob_key(OfBlob::Bytes, &manifest.id), bytes);
        }
        self.keeping.after.push(After::Whole(manifest.id));
    }

    /// A client has brought a blob.
    pub(super) fn brought(
        &mut self,
        now: Now,
        store: &dyn Snapshot,
        ticket: Ticket,
        manifest: &Arc<Manifest>,
        stored: Option<Stored>,
        out: &mut Vec<Output>,
    ) -> Result<(), StoreError> {
        let whole = read_held(store, &manifest.id)?.is_some_and(|held| held.whole);
        if whole || in_row(manifest.size) {
            self.adopted(now, ticket, manifest, stored.as_ref());
        } else if self.letting.removing.contains(&manifest.id) {
            // What is being taken away must be gone before it comes again.
            self.letting
                .adopting
                .insert(manifest.id, (ticket, manifest.clone()));
        } else {
            let manifest = manifest.clone();
            out.push(Output::Work(Work::Adopt { ticket, manifest }));
        }
        Ok(())
    }

    /// What a client brought lies where it belongs, synced.
    pub(super) fn adopted(&mut self, now: Now, ticket: Ticket, manifest: &Manifest, stored: Option<&Stored>) {
        if let Some(want) = self.wants.get_mut(&manifest.id) {
            want.ending = true;
        }
        self.keep_whole(now, manifest, stored);
        self.keeping.after.push(After::Tell(ticket, manifest.id));
    }

    pub(super) fn kept(
        &mut self,
        now: Now,
        store: &dyn Snapshot,
        number: u64,
        dropped: Vec<BlobId>,
        out: &mut Vec<Output>,
    ) -> Result<(), StoreError> {
        let Some((after, _)) = self.keeping.under_way.remove(&number) else {
            return Ok(());
        };
        for after in after {
            match after {
                After::Whole(id) => self.is_whole(now, store, id, out)?,
                After::Part(id) => {
                    if let Some(held) = read_held(store, &id)?.filter(|held| !held.whole)
                        && let Some(manifest) = read_manifest(store, &id, held.size)?
                    {
                        self.announce(&manifest, &held, out);
                    }
                    self.changed = true;
                }
                After::Damaged(id) => {
                    if let Some((_, times)) = self.keeping.damaged.get_mut(&id) {
                        *times -= 1;
                        if *times == 0 {
                            self.keeping.damaged.remove(&id);
                        }
                    }
                    if self.wanted_by(store, &id)?.0 && !self.wants.contains_key(&id) {
                        self.want(id, true);
                    }
                }
                After::Tell(ticket, id) => out.push(Output::Stored { ticket, id }),
                After::Promised(link, ids) => {
                    let message = crate::wire::BlobMessage::Kept { ids };
                    out.push(Output::Send { link, message });
                }
                After::Evicted(ids) => {
                    for id in ids {
                        self.is_gone(now, store, id, out)?;
                    }
                }
            }
        }
        for id in dropped {
            self.is_gone(now, store, id, out)?;
        }
        Ok(())
    }

    fn is_whole(
        &mut self,
        now: Now,
        store: &dyn Snapshot,
        id: BlobId,
        out: &mut Vec<Output>,
    ) -> Result<(), StoreError> {
        let Some(held) = read_held(store, &id)?.filter(|held| held.whole) else {
            return Ok(()); // it was let go, or found damaged, meanwhile
        };
        self.want_no_more(&id);
        self.count(id, held.size);
        if !self.wanted_by(store, &id)?.0 {
            self.letting.unreferenced(id, now.mono);
        }
        if let Some(manifest) = read_manifest(store, &id, held.size)? {
            self.announce(&manifest, &held, out);
        }
        self.release(store, id, out)
    }

    /// Rows of a blob are gone: so go its bytes, and others may be asked for it when somebody reads.
    fn is_gone(
        &mut self,
        now: Now,
        store: &dyn Snapshot,
        id: BlobId,
        out: &mut Vec<Output>,
    ) -> Result<(), StoreError> {
        if read_held(store, &id)?.is_some() {
            return Ok(()); // it came again meanwhile
        }
        self.uncount(id);
        self.letting.removing.insert(id);
        out.push(Output::Work(Work::Remove { id }));
        self.references_changed(now, store, id)
    }

    pub(super) fn removed(&mut self, id: BlobId, out: &mut Vec<Output>) {
        self.letting.removing.remove(&id);
        let waiting = self.letting.adopting.remove(&id);
        out.extend(waiting.map(|(ticket, manifest)| Output::Work(Work::Adopt { ticket, manifest })));
    }

    fn count(&mut self, id: BlobId, size: u64) {
        if self.letting.counted.insert(id, size).is_none() {
            self.told.held += 1;
            self.told.bytes += size;
        }
        if self.is_over_budget() {
            self.letting.look_soon();
        }
        self.changed = true;
    }

    fn uncount(&mut self, id: BlobId) {
        if let Some(size) = self.letting.counted.remove(&id) {
            self.told.held -= 1;
            self.told.bytes -= size;
        }
        self.letting.unreferenced.remove(&id);
        self.changed = true;
    }

    /// Somebody has read of it: it is let go later than what nobody reads.
    pub(super) fn touch(&mut self, now: Now, store: &dyn Snapshot, id: BlobId) -> Result<(), StoreError> {
        if let Some(mut held) = read_held(store, &id)?
            && held.touched.plus(TOUCH_EVERY) < now.wall
            && !self.wants.contains_key(&id)
        {
            held.touched = now.wall;
            self.keep_held(id, &held);
        }
        Ok(())
    }

    /// A chunk is not what it should be: it counts as not held, and is fetched again.
    pub(super) fn damaged(
        &mut self,
        now: Now,
        store: &dyn Snapshot,
        id: BlobId,
        index: u32,
    ) -> Result<(), StoreError> {
        let _ = now;
        let on_its_way = self.keeping.damaged.get(&id).map(|(held, _)| held.clone());
        let held = match on_its_way {
            Some(held) => Some(held),
            None => read_held(store, &id)?,
        };
        let Some(mut held) = held.filter(|held| held.whole || held.have.has(index)) else {
            return Ok(());
        };
        self.told.bad_chunks += 1;
        self.told.damaged_chunks += 1;
        self.told.damaged = Some((id, index));
        self.changed = true;
        let Some(manifest) = read_manifest(store, &id, held.size)? else {
            self.checking.skip(id); // its bytes may be right: nobody can tell without it
            return Ok(());
        };
        if let Some(want) = self.wants.get_mut(&id) {
            // It is on its way already.
            if let Some(fetch) = want.fetch.as_mut().filter(|fetch| fetch.have.has(index)) {
                fetch.have.unset(index);
                fetch.todo.insert(index);
            }
            // Once it is being kept as whole, the next look finds this again.
            if !held.whole && !want.ending {
                held.have.unset(index);
                self.keep_held(id, &held);
            }
            return Ok(());
        }
        if held.whole {
            held.have = Have::all(manifest.chunks());
        }
        held.whole = false;
        held.have.unset(index);
        self.uncount(id);
        self.keep_held(id, &held);
        self.keeping.after.push(After::Damaged(id));
        let (row, times) = self
            .keeping
            .damaged
            .entry(id)
            .or_insert_with(|| (held.clone(), 0));
        *row = held;
        *times += 1;
        Ok(())
    }
}
