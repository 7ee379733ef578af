//! What hubs say to each other about blobs.

use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use crate::blob::{BlobId, Have, Stored};
use crate::hash::Digest;

/// What one end holds of a blob.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// Which.
    pub id: BlobId,
    /// Its bytes.
    pub size: u64,
    /// [`crate::blob::Manifest::digest`] of the manifest that it goes by.
    pub manifest: Digest,
    /// Which chunks; None for all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub have: Option<Have>,
}

/// A chunk, or word that it is not to be had.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WireChunk {
    /// Of which blob.
    pub id: BlobId,
    /// Which chunk.
    pub index: u32,
    /// Its bytes; None if the sender does not hold it.
    pub stored: Option<Stored>,
}

/// Everything that hubs say about blobs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BlobMessage {
    /// What does the other hold of these? It answers with what it holds now, and later tells of what it gets.
    Ask {
        /// A bounded number.
        ids: Vec<BlobId>,
    },
    /// What the sender holds.
    Has {
        /// A bounded number.
        blobs: Vec<Held>,
    },
    /// Asks for the manifest of a blob that the other holds whole.
    AskManifest {
        /// Which.
        id: BlobId,
    },
    /// The manifest: sealed by the word of a hub that has hashed the whole.
    Manifest {
        /// Which.
        id: BlobId,
        /// Its bytes.
        size: u64,
        /// The intermediate hash values, 32 bytes each.
        states: ByteBuf,
    },
    /// Asks for chunks.
    Get {
        /// A bounded number, in the order wanted.
        chunks: Vec<(BlobId, u32)>,
    },
    /// Chunks that were asked for; small ones together.
    Chunks {
        /// In the order asked.
        chunks: Vec<WireChunk>,
    },
    /// A chunk that the other sent does not verify: it should look at its own.
    Bad {
        /// Of which blob.
        id: BlobId,
        /// Which chunk.
        index: u32,
    },
    /// Will the other keep these until it is told otherwise, so that the sender may let them go?
    Keep {
        /// A bounded number.
        ids: Vec<BlobId>,
    },
    /// The sender keeps these, durably, for the other.
    Kept {
        /// Of those asked.
        ids: Vec<BlobId>,
    },
    /// The sender holds these again: the other need not keep them on its account.
    Release {
        /// A bounded number.
        ids: Vec<BlobId>,
    },
    /// The sender has taken note of a release.
    Released {
        /// Of those named.
        ids: Vec<BlobId>,
    },
}

/// Names of blobs, chunks or answers in one message.
pub const BLOB_NAMES_MAX: usize = 1_024;

impl BlobMessage {
    /// Its name, for counters and logs.
    pub fn name(&self) -> &'static str {
        match self {
            BlobMessage::Ask { .. } => "blob_ask",
            BlobMessage::Has { .. } => "blob_has",
            BlobMessage::AskManifest { .. } => "blob_ask_manifest",
            BlobMessage::Manifest { .. } => "blob_manifest",
            BlobMessage::Get { .. } => "blob_get",
            BlobMessage::Chunks { .. } => "blob_chunks",
            BlobMessage::Bad { .. } => "blob_bad",
            BlobMessage::Keep { .. } => "blob_keep",
            BlobMessage::Kept { .. } => "blob_kept",
            BlobMessage::Release { .. } => "blob_release",
            BlobMessage::Released { .. } => "blob_released",
        }
    }

    /// Roughly the bytes that it takes.
    pub fn size(&self) -> usize {
        match self {
            BlobMessage::Has { blobs } => blobs
                .iter()
                .map(|held| 96 + held.have.as_ref().map_or(0, Have::len))
                .sum(),
            BlobMessage::Manifest { states, .. } => 64 + states.len(),
            BlobMessage::Chunks { chunks } => chunks
                .iter()
                .map(|chunk| 64 + chunk.stored.as_ref().map_or(0, |stored| stored.bytes.len()))
                .sum(),
            BlobMessage::Ask { ids }
            | BlobMessage::Keep { ids }
            | BlobMessage::Kept { ids }
            | BlobMessage::Release { ids }
            | BlobMessage::Released { ids } => 40 * ids.len(),
            BlobMessage::Get { chunks } => 40 * chunks.len(),
            BlobMessage::AskManifest { .. } | BlobMessage::Bad { .. } => 64,
        }
    }

    /// Whether it names no more than [`BLOB_NAMES_MAX`]: one that does is dropped.
    pub fn is_bounded(&self) -> bool {
        let names = match self {
            BlobMessage::Has { blobs } => blobs.len(),
            BlobMessage::Get { chunks } => chunks.len(),
            BlobMessage::Chunks { chunks } => chunks.len(),
            BlobMessage::Ask { ids }
            | BlobMessage::Keep { ids }
            | BlobMessage::Kept { ids }
            | BlobMessage::Release { ids }
            | BlobMessage::Released { ids } => ids.len(),
            BlobMessage::AskManifest { .. } | BlobMessage::Manifest { .. } | BlobMessage::Bad { .. } => 1,
        };
        names <= BLOB_NAMES_MAX
    }
}
