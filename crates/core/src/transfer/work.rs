//! What takes time on files: verifying and writing what came, reading what is asked. Done by the runtime, the same way in
//! hub and simulator.

use std::sync::Arc;

use bytes::Bytes;

use super::fetch::{decode_stored, in_row};
use crate::blob::{BlobFiles, BlobId, FileError, Manifest, Stored, chunk_len, unpack};
use crate::hash::Digest;
use crate::machine::{Link, Ticket};
use crate::store::{Family, OfBlob, Snapshot, StoreError, blob_key, read_held, read_manifest};
use crate::wire::{BlobMessage, WireChunk};
use crate::zoo::{self, Bug};

/// Something to do. Several may be done at once; nothing of a blob is synced or removed while chunks of it are written.
#[derive(Debug, Clone, PartialEq)]
pub enum Work {
    /// Unpack, verify and write a chunk.
    Take {
        /// From where.
        link: Link,
        /// To be verified against.
        manifest: Arc<Manifest>,
        /// Which chunk.
        index: u32,
        /// As it came.
        stored: Stored,
    },
    /// Make durable what was written of a blob.
    Sync {
        /// Which.
        id: BlobId,
    },
    /// Look which of these chunks lie there from before a start, and verify.
    Look {
        /// To be verified against.
        manifest: Arc<Manifest>,
        /// Which chunks.
        indexes: Vec<u32>,
    },
    /// Read chunks and send them.
    Serve {
        /// Where to.
        link: Link,
        /// Which.
        chunks: Vec<(BlobId, u32)>,
        /// So much at most, beyond the first chunk.
        bytes_max: usize,
    },
    /// Hold a chunk that counts as held against the manifest.
    Check {
        /// Of which blob.
        id: BlobId,
        /// Which chunk.
        index: u32,
    },
    /// Put the file that a client's upload has filled, synced, where the blob belongs. The runtime's own: it knows the
    /// upload by the ticket.
    Adopt {
        /// Of the upload.
        ticket: Ticket,
        /// Of what it has become.
        manifest: Arc<Manifest>,
    },
    /// Take the bytes of a blob away.
    Remove {
        /// Which.
        id: BlobId,
    },
}

/// What became of a chunk.
#[derive(Debug, Clone, PartialEq)]
pub enum Taken {
    /// It is written, and not synced.
    Written,
    /// It is the whole of a small blob, to be kept in a row.
    Verified(Stored),
    /// It does not verify.
    Bad,
    /// The disk has no room for it.
    NoRoom,
}

/// What was done.
#[derive(Debug, Clone, PartialEq)]
pub enum Done {
    /// A chunk that came.
    Took {
        /// From where.
        link: Link,
        /// Of which blob.
        id: BlobId,
        /// By which manifest.
        manifest: Digest,
        /// Which chunk.
        index: u32,
        /// Its bytes.
        len: usize,
        /// What became of it.
        taken: Taken,
    },
    /// Of this blob what was written is synced.
    Synced {
        /// Which.
        id: BlobId,
    },
    /// These chunks lie there and verify.
    Looked {
        /// Of which blob.
        id: BlobId,
        /// Which.
        found: Vec<u32>,
    },
    /// Chunks have been sent.
    Served {
        /// Where to.
        link: Link,
        /// Those that did not fit.
        rest: Vec<(BlobId, u32)>,
        /// Those that count as held and cannot be read.
        lost: Vec<(BlobId, u32)>,
    },
    /// A chunk was held against the manifest.
    Checked {
        /// Of which blob.
        id: BlobId,
        /// Which.
        index: u32,
        /// Whether it is what it should be.
        good: bool,
    },
    /// An upload lies where it belongs.
    Adopted {
        /// Of the upload.
        ticket: Ticket,
        /// The blob.
        manifest: Arc<Manifest>,
    },
    /// The bytes are gone.
    Removed {
        /// Of which blob.
        id: BlobId,
    },
}

/// Why work was not done: the disk failed, and what it holds is to be learnt by starting again.
#[derive(Debug, thiserror::Error)]
pub enum WorkError {
    /// Files.
    #[error(transparent)]
    File(#[from] FileError),
    /// Rows.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A message to be sent.
type Sent = Vec<(Link, BlobMessage)>;

/// Does it; all but [`Work::Adopt`].
///
/// # Panics
///
/// When asked to adopt: that is the runtime's own.
pub fn perform(
    work: Work,
    files: &mut dyn BlobFiles,
    store: &dyn Snapshot,
) -> Result<(Done, Sent), WorkError> {
    let mut sent = Vec::new();
    let done = match work {
        Work::Take {
            link,
            manifest,
            index,
            stored,
        } => {
            let len = chunk_len(manifest.size, index);
            let taken = take(files, &manifest, index, stored)?;
            let (id, manifest) = (manifest.id, manifest.digest());
            Done::Took {
                link,
                id,
                manifest,
                index,
                len,
                taken,
            }
        }
        Work::Sync { id } => {
            if !zoo::planted(Bug::HeldBeforeSync) {
                files.sync(id)?;
            }
            Done::Synced { id }
        }
        Work::Look { manifest, indexes } => {
            let mut found = Vec::new();
            for index in indexes {
                let stored = read_chunk(files, store, manifest.id, manifest.size, index)?;
                let believed = stored.is_some() && zoo::planted(Bug::ResumeUnverified);
                let raw = stored.and_then(|stored| unpack(stored, chunk_len(manifest.size, index)));
                if believed || raw.is_some_and(|raw| manifest.verifies(index, &raw)) {
                    found.push(index);
                }
            }
            let id = manifest.id;
            Done::Looked { id, found }
        }
        Work::Serve {
            link,
            chunks,
            bytes_max,
        } => {
            let (message, rest, lost) = serve(files, store, chunks, bytes_max)?;
            sent.push((link, message));
            Done::Served { link, rest, lost }
        }
        Work::Check { id, index } => {
            let good = read_verified(files, store, id, index)?.is_some();
            Done::Checked { id, index, good }
        }
        Work::Adopt { ticket, .. } => panic!("the upload of {ticket:?} is the runtime's to adopt"),
        Work::Remove { id } => {
            files.remove(id)?;
            Done::Removed { id }
        }
    };
    Ok((done, sent))
}

fn take(
    files: &mut dyn BlobFiles,
    manifest: &Manifest,
    index: u32,
    stored: Stored,
) -> Result<Taken, WorkError> {
    let len = chunk_len(manifest.size, index);
    let verified = unpack(stored.clone(), len).is_some_and(|raw| manifest.verifies(index, &raw));
    if !verified && !zoo::planted(Bug::ChunkUnverified) {
        return Ok(Taken::Bad);
    }
    if in_row(manifest.size) {
        return Ok(Taken::Verified(stored));
    }
    match files.write(manifest.id, manifest.size, index, &stored) {
        Ok(()) => Ok(Taken::Written),
        Err(FileError::NoRoom) => Ok(Taken::NoRoom),
        Err(error) => Err(error.into()),
    }
}

#[allow(clippy::type_complexity, reason = "named where it is taken apart")]
fn serve(
    files: &mut dyn BlobFiles,
    store: &dyn Snapshot,
    chunks: Vec<(BlobId, u32)>,
    bytes_max: usize,
) -> Result<(BlobMessage, Vec<(BlobId, u32)>, Vec<(BlobId, u32)>), WorkError> {
    let (mut read, mut lost, mut bytes) = (Vec::new(), Vec::new(), 0);
    let mut chunks = chunks.into_iter();
    while bytes < bytes_max
        && let Some((id, index)) = chunks.next()
    {
        let held = read_held(store, &id)?;
        let held = held.filter(|held| held.whole || held.have.has(index));
        let stored = match held {
            Some(held) => {
                let stored = read_chunk(files, store, id, held.size, index)?;
                lost.extend(stored.is_none().then_some((id, index)));
                stored
            }
            None => None,
        };
        bytes += stored.as_ref().map_or(0, |stored| stored.bytes.len()) + 64;
        read.push(WireChunk { id, index, stored });
    }
    Ok((BlobMessage::Chunks { chunks: read }, chunks.collect(), lost))
}

/// A chunk as it lies there, if it does. What the disk cannot give back is not there: other hubs have it, and writing it
/// anew mends a bad sector.
fn read_chunk(
    files: &mut dyn BlobFiles,
    store: &dyn Snapshot,
    id: BlobId,
    size: u64,
    index: u32,
) -> Result<Option<Stored>, WorkError> {
    if index >= crate::blob::chunks_of(size) {
        return Ok(None);
    }
    if in_row(size) {
        return match store.get(Family::Blobs, &blob_key(OfBlob::Bytes, &id)) {
            Err(StoreError::Corrupt { .. }) => Ok(None),
            row => Ok(row?.and_then(|row| decode_stored(&row))),
        };
    }
    match files.read(id, size, index) {
        Err(FileError::Unreadable { .. }) => Ok(None),
        read => Ok(read?),
    }
}

/// The bytes of a chunk that counts as held, verified now; None if it is not held, or is not what it should be.
pub fn read_verified(
    files: &mut dyn BlobFiles,
    store: &dyn Snapshot,
    id: BlobId,
    index: u32,
) -> Result<Option<Bytes>, WorkError> {
    let Some(held) = read_held(store, &id)?.filter(|held| held.whole || held.have.has(index)) else {
        return Ok(None);
    };
    let Some(manifest) = read_manifest(store, &id, held.size)? else {
        return Ok(None);
    };
    let stored = read_chunk(files, store, id, held.size, index)?;
    let raw = stored.and_then(|stored| unpack(stored, chunk_len(held.size, index)));
    Ok(raw.filter(|raw| manifest.verifies(index, raw)))
}
