//! Chunks as they are stored and sent: packed with LZ4 where that saves at least a tenth, as they are otherwise.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::{CHUNK_BYTES, view};

/// So much of a chunk is packed to see whether the rest is worth it: photos and PDFs are not.
const PROBE_BYTES: usize = 64 << 10;

/// A chunk's bytes at rest and on the way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stored {
    /// Whether they are one LZ4 block.
    pub packed: bool,
    /// The bytes. When they come they are a view of the frame that they came in.
    #[serde(with = "view")]
    pub bytes: Bytes,
}

impl Stored {
    /// Bytes as they are.
    pub fn raw(bytes: Vec<u8>) -> Stored {
        Stored {
            packed: false,
            bytes: bytes.into(),
        }
    }
}

fn pays(packed: usize, raw: usize) -> bool {
    packed + raw.div_ceil(10) <= raw
}

/// Packs a chunk, if that pays.
pub fn pack(raw: Vec<u8>) -> Stored {
    let probe = &raw[..raw.len().min(PROBE_BYTES)];
    let promising = raw.len() >= 128 && pays(lz4_flex::block::compress(probe).len(), probe.len());
    if promising && raw.len() > PROBE_BYTES {
        let packed = lz4_flex::block::compress(&raw);
        if pays(packed.len(), raw.len()) {
            return packed_of(packed);
        }
    } else if promising {
        return packed_of(lz4_flex::block::compress(&raw));
    }
    Stored::raw(raw)
}

fn packed_of(bytes: Vec<u8>) -> Stored {
    Stored {
        packed: true,
        bytes: bytes.into(),
    }
}

/// The chunk's own bytes, which must be `len`; None if they are not. Never takes more memory than a chunk, whatever the
/// packed bytes claim.
pub fn unpack(stored: Stored, len: usize) -> Option<Bytes> {
    if len > CHUNK_BYTES {
        return None;
    }
    if !stored.packed {
        return (stored.bytes.len() == len).then_some(stored.bytes);
    }
    let mut raw = vec![0; len];
    let written = lz4_flex::block::decompress_into(&stored.bytes, &mut raw).ok()?;
    (written == len).then(|| raw.into())
}
