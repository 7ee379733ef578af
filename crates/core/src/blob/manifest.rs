//! Manifests: what lets each chunk of a blob be verified by itself, in any order and on any number of threads, for the
//! price of hashing the blob once.
//!
//! SHA-256 (FIPS 180-4) works through a message in blocks of 64 bytes and carries an intermediate hash value of 32 bytes
//! from each to the next. A manifest is those values at the ends of the chunks. A chunk verifies if it leads from the value
//! before it to the value after it; the first starts from the standard's initial value, and the last must end in the blob's
//! name. So once every chunk has verified, the whole has been hashed: nothing is hashed twice. A false manifest cannot be
//! completed: somewhere a chunk would be needed that leads from one value to another, which is a second preimage.

use std::mem;

use sha2::block_api::compress256;

use super::{BLOB_BYTES_MAX, BlobId, CHUNK_BYTES, chunk_len, chunks_of};
use crate::hash::Digest;

/// Bytes of an intermediate hash value.
pub const STATE_BYTES: usize = 32;
/// Bytes that SHA-256 takes at a time.
const BLOCK: usize = 64;
/// The initial hash value of FIPS 180-4, 5.3.3.
const INITIAL: [u32; 8] = [
    0x6a09_e667,
    0xbb67_ae85,
    0x3c6e_f372,
    0xa54f_f53a,
    0x510e_527f,
    0x9b05_688c,
    0x1f83_d9ab,
    0x5be0_cd19,
];

/// What a blob's chunks are verified against.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// The blob.
    pub id: BlobId,
    /// Its bytes.
    pub size: u64,
    /// The intermediate hash values after each chunk but the last, 32 bytes each.
    states: Vec<u8>,
}

/// Why a manifest was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ManifestError {
    /// More than a blob can have.
    #[error("a blob of {0} bytes; the most is {BLOB_BYTES_MAX}")]
    TooLarge(u64),
    /// Not one value for each chunk but the last.
    #[error("a manifest of {bytes} bytes for a blob of {size}")]
    Count {
        /// Of the blob.
        size: u64,
        /// Of the manifest.
        bytes: usize,
    },
}

impl Manifest {
    /// Checks that there are as many values as the size needs.
    pub fn new(id: BlobId, size: u64, states: Vec<u8>) -> Result<Manifest, ManifestError> {
        if size > BLOB_BYTES_MAX {
            return Err(ManifestError::TooLarge(size));
        }
        let wanted = (chunks_of(size) as usize).saturating_sub(1) * STATE_BYTES;
        if states.len() != wanted {
            let bytes = states.len();
            return Err(ManifestError::Count { size, bytes });
        }
        Ok(Manifest { id, size, states })
    }

    /// How many chunks it has.
    pub fn chunks(&self) -> u32 {
        chunks_of(self.size)
    }

    /// Its values, as they are stored and sent.
    pub fn states(&self) -> &[u8] {
        &self.states
    }

    /// Two manifests of one blob are the same if these are.
    pub fn digest(&self) -> Digest {
        let mut bytes = self.size.to_be_bytes().to_vec();
        bytes.extend_from_slice(&self.states);
        Digest::of(&bytes)
    }

    /// Whether these are the bytes of the chunk. O(bytes).
    pub fn verifies(&self, index: u32, bytes: &[u8]) -> bool {
        if index >= self.chunks() || bytes.len() != chunk_len(self.size, index) {
            return false;
        }
        let before = index.checked_sub(1).map_or(INITIAL, |before| self.state(before));
        let mut hasher = Hasher::from(before, u64::from(index) * CHUNK_BYTES as u64);
        hasher.update(bytes);
        if index + 1 == self.chunks() {
            hasher.digest() == self.id.0
        } else {
            hasher.state == self.state(index)
        }
    }

    /// Whether a chunk that verified under one of the two verifies under the other.
    pub fn agrees(&self, other: &Manifest, index: u32) -> bool {
        let around = |manifest: &Manifest| {
            let at = |index: u32| {
                let from = index as usize * STATE_BYTES;
                manifest.states.get(from..from + STATE_BYTES).map(<[u8]>::to_vec)
            };
            (index.checked_sub(1).and_then(at), at(index))
        };
        self.id == other.id && self.size == other.size && around(self) == around(other)
    }

    fn state(&self, index: u32) -> [u32; 8] {
        let from = index as usize * STATE_BYTES;
        let mut state = [0; 8];
        for (word, bytes) in state
            .iter_mut()
            .zip(self.states[from..from + STATE_BYTES].chunks_exact(4))
        {
            *word = u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
        }
        state
    }
}

/// Hashes a blob as it comes, in pieces of any size, and makes its manifest on the way.
#[derive(Debug, Clone)]
pub struct Hasher {
    state: [u32; 8],
    bytes: u64,
    /// What does not fill a block yet.
    tail: Vec<u8>,
    states: Vec<u8>,
}

impl Default for Hasher {
    fn default() -> Hasher {
        Hasher::from(INITIAL, 0)
    }
}

impl Hasher {
    fn from(state: [u32; 8], bytes: u64) -> Hasher {
        Hasher {
            state,
            bytes,
            tail: Vec::new(),
            states: Vec::new(),
        }
    }

    /// Goes on after whole chunks, of which these are the values: what [`Hasher::states`] said then. None if the bytes are
    /// no whole values.
    pub fn resume(states: Vec<u8>) -> Option<Hasher> {
        let chunks = states.len() / STATE_BYTES;
        if !states.len().is_multiple_of(STATE_BYTES) {
            return None;
        }
        let mut state = INITIAL;
        if let Some(last) = states.len().checked_sub(STATE_BYTES) {
            for (word, bytes) in state.iter_mut().zip(states[last..].chunks_exact(4)) {
                *word = u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
            }
        }
        let mut hasher = Hasher::from(state, (chunks * CHUNK_BYTES) as u64);
        hasher.states = states;
        Some(hasher)
    }

    /// How many bytes have come.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The values after the whole chunks that have come.
    pub fn states(&self) -> &[u8] {
        &self.states
    }

    /// Takes the next bytes.
    pub fn update(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let left = CHUNK_BYTES - (self.bytes % CHUNK_BYTES as u64) as usize;
            let (now, later) = bytes.split_at(left.min(bytes.len()));
            self.blocks(now);
            self.bytes += now.len() as u64;
            if self.bytes.is_multiple_of(CHUNK_BYTES as u64) {
                self.states
                    .extend(self.state.iter().flat_map(|word| word.to_be_bytes()));
            }
            bytes = later;
        }
    }

    fn blocks(&mut self, mut bytes: &[u8]) {
        if !self.tail.is_empty() {
            let missing = (BLOCK - self.tail.len()).min(bytes.len());
            self.tail.extend_from_slice(&bytes[..missing]);
            bytes = &bytes[missing..];
            if let Ok(block) = <[u8; BLOCK]>::try_from(self.tail.as_slice()) {
                compress256(&mut self.state, &[block]);
                self.tail.clear();
            }
        }
        let (blocks, rest) = bytes.as_chunks::<BLOCK>();
        compress256(&mut self.state, blocks);
        self.tail.extend_from_slice(rest);
    }

    /// The hash of what has come.
    fn digest(&self) -> Digest {
        // FIPS 180-4, 5.1.1: a one bit, zeros, the length in bits.
        let mut padded = self.tail.clone();
        padded.push(0x80);
        let zeros = (BLOCK - (padded.len() + 8) % BLOCK) % BLOCK;
        padded.resize(padded.len() + zeros, 0);
        padded.extend_from_slice(&(8 * self.bytes).to_be_bytes());
        let mut state = self.state;
        compress256(&mut state, padded.as_chunks::<BLOCK>().0);
        let mut digest = [0; 32];
        for (bytes, word) in digest.chunks_exact_mut(4).zip(state) {
            bytes.copy_from_slice(&word.to_be_bytes());
        }
        Digest(digest)
    }

    /// The blob that has come.
    pub fn finish(mut self) -> Manifest {
        let id = BlobId(self.digest());
        let mut states = mem::take(&mut self.states);
        // Of the last chunk, full or not, the name itself tells.
        states.truncate((chunks_of(self.bytes) as usize).saturating_sub(1) * STATE_BYTES);
        Manifest {
            id,
            size: self.bytes,
            states,
        }
    }
}
