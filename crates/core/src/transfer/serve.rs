//! Answering peers: what is held of what they ask, manifests, chunks.

use super::work::Work;
use super::{Output, Transfer};
use crate::blob::{BlobId, Manifest, chunk_len};
use crate::machine::Link;
use crate::store::{HeldRow, Snapshot, StoreError, read_held, read_manifest};
use crate::wire::{BlobMessage, Held};

/// Chunks that one peer may wait for; what it asks beyond is dropped.
pub(super) const SERVING_MAX: usize = 4_096;
/// Blobs that one peer may wait to hear of; it asks about the others again.
pub(super) const INTERESTS_MAX: usize = 1 << 16;
/// Bytes read for one peer at a time: a message.
const READ_BYTES: usize = 1 << 20;
/// Chunks read for one peer at a time.
const READ_CHUNKS: usize = 64;
/// Reads under way for one peer: while one message is put on the line, the next is read.
const READS_MAX: usize = 2;

impl Transfer {
    pub(super) fn asked(
        &mut self,
        store: &dyn Snapshot,
        link: Link,
        ids: &[BlobId],
        out: &mut Vec<Output>,
    ) -> Result<(), StoreError> {
        let mut blobs = Vec::new();
        for id in ids {
            let held = read_held(store, id)?;
            let whole = held.as_ref().is_some_and(|held| held.whole);
            if let Some(held) = held
                && let Some(manifest) = read_manifest(store, id, held.size)?
            {
                blobs.push(told(&manifest, &held));
            }
            if let Some(peer) = self.links.get_mut(&link)
                && !whole
                && peer.interests.len() < INTERESTS_MAX
            {
                peer.interests.insert(*id);
            }
        }
        if !blobs.is_empty() {
            let message = BlobMessage::Has { blobs };
            out.push(Output::Send { link, message });
        }
        Ok(())
    }

    /// More of a blob is here, durably: whoever waits for it hears of it.
    pub(super) fn announce(&mut self, manifest: &Manifest, held: &HeldRow, out: &mut Vec<Output>) {
        for (link, peer) in &mut self.links {
            let waits = if held.whole {
                peer.interests.remove(&manifest.id)
            } else {
                peer.interests.contains(&manifest.id)
            };
            if waits {
                let blobs = vec![told(manifest, held)];
                let message = BlobMessage::Has { blobs };
                out.push(Output::Send { link: *link, message });
            }
        }
    }

    pub(super) fn manifest_asked(
        &mut self,
        store: &dyn Snapshot,
        link: Link,
        id: BlobId,
        out: &mut Vec<Output>,
    ) -> Result<(), StoreError> {
        // Only a hub that has hashed the whole may say what its manifest is.
        let held = read_held(store, &id)?.filter(|held| held.whole);
        if let Some(held) = held
            && let Some(manifest) = read_manifest(store, &id, held.size)?
        {
            let states = manifest.states().to_vec().into();
            let size = held.size;
            let message = BlobMessage::Manifest { id, size, states };
            out.push(Output::Send { link, message });
        }
        Ok(())
    }

    pub(super) fn get(&mut self, link: Link, chunks: Vec<(BlobId, u32)>) {
        if let Some(peer) = self.links.get_mut(&link) {
            let room = SERVING_MAX.saturating_sub(peer.wanted.len());
            peer.wanted.extend(chunks.into_iter().take(room));
        }
    }

    /// Has chunks read for whoever waits, as many as fit a message.
    pub(super) fn serve(&mut self, out: &mut Vec<Output>) {
        for (link, peer) in &mut self.links {
            while peer.reads < READS_MAX && !peer.wanted.is_empty() {
                let many = peer.wanted.len().div_ceil(READS_MAX).min(READ_CHUNKS);
                let chunks: Vec<(BlobId, u32)> = peer.wanted.drain(..many).collect();
                peer.reads += 1;
                out.push(Output::Work(Work::Serve {
                    link: *link,
                    chunks,
                    bytes_max: READ_BYTES,
                }));
            }
        }
    }

    /// What fitted a message has been sent; the rest is next.
    pub(super) fn served(&mut self, link: Link, rest: Vec<(BlobId, u32)>) {
        if let Some(peer) = self.links.get_mut(&link) {
            peer.reads = peer.reads.saturating_sub(1);
            rest.into_iter()
                .rev()
                .for_each(|chunk| peer.wanted.push_front(chunk));
        }
    }

    /// A peer says that a chunk we sent does not verify: is it ours, or the line's, or the peer's fault?
    pub(super) fn told_bad(
        &mut self,
        store: &dyn Snapshot,
        id: BlobId,
        index: u32,
        out: &mut Vec<Output>,
    ) -> Result<(), StoreError> {
        let held = read_held(store, &id)?.filter(|held| held.whole || held.have.has(index));
        if let Some(held) = held
            && chunk_len(held.size, index) > 0
        {
            out.push(Output::Work(Work::Check { id, index }));
        }
        Ok(())
    }
}

fn told(manifest: &Manifest, held: &HeldRow) -> Held {
    Held {
        id: manifest.id,
        size: manifest.size,
        manifest: manifest.digest(),
        have: (!held.whole).then(|| held.have.clone()),
    }
}
