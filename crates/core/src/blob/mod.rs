//! Blobs: binaries named by the SHA-256 of their bytes, the chunks they travel in, and the records that refer to them.
//!
//! Invariant: a chunk that verifies has the bytes that the blob's name stands for, provided that the manifest's values
//! around it are right; and all chunks of a manifest verify only if all of its values are.

mod files;
mod have;
mod manifest;
mod pack;
mod refs;
pub(crate) mod view;

#[cfg(test)]
mod tests;

pub use files::{BlobFiles, FileError, MemoryFiles};
pub use have::Have;
pub use manifest::{Hasher, Manifest, ManifestError, STATE_BYTES};
pub use pack::{Stored, pack, unpack};
pub use refs::{BlobRef, refs};

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::hash::Digest;

/// Bytes of a chunk; only the last of a blob is shorter. The protocol's own: a blob has exactly one manifest.
pub const CHUNK_BYTES: usize = 1 << 20;
/// Bytes of the largest blob: its manifest takes 2 MiB, which fits one frame.
pub const BLOB_BYTES_MAX: u64 = 64 << 30;
/// Blobs of up to so many bytes are kept in rows of the store, many in one synced write; larger ones in files of their own.
/// `benches/RESULTS.md` has the figures.
pub const ROW_BYTES_MAX: u64 = 256 << 10;

/// Names a blob: the SHA-256 of its bytes. Text form: 64 lower-case hex digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct BlobId(pub Digest);

impl BlobId {
    /// Of these bytes.
    pub fn of(bytes: &[u8]) -> BlobId {
        BlobId(Digest::of(bytes))
    }

    /// Reads 64 lower-case hex digits; None for anything else.
    pub fn parse(text: &str) -> Option<BlobId> {
        Digest::parse(text).map(BlobId)
    }
}

impl fmt::Display for BlobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for BlobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.short())
    }
}

/// How many chunks so many bytes have.
pub fn chunks_of(size: u64) -> u32 {
    size.div_ceil(CHUNK_BYTES as u64) as u32
}

/// How many bytes a chunk has.
pub fn chunk_len(size: u64, index: u32) -> usize {
    let start = u64::from(index) * CHUNK_BYTES as u64;
    size.saturating_sub(start).min(CHUNK_BYTES as u64) as usize
}
