//! The storage port: what a store must offer, the keys and rows kept in it, and a store in memory.
//!
//! Invariant: a commit lands whole or not at all, and is durable when `commit` returns; what is read within one
//! snapshot is of one instant.

pub mod conformance;
mod keys;
mod memory;
mod overlay;
mod rows;

pub use keys::*;
pub use memory::{MemorySnapshot, MemoryStore};
pub use overlay::Overlay;
pub use rows::*;

use serde::{Deserialize, Serialize};

use crate::hash::Digest;
use crate::id::ReplicaId;

/// The tables of a store. In RocksDB each is a column family.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Family {
    /// One row: who this hub is and how far it has come.
    Meta,
    /// Replica → how far its log is held.
    Replicas,
    /// (replica, sequence) → log entry.
    Log,
    /// (id, digest) → record, order time, edges.
    Records,
    /// id → heads and what is indexed.
    Ids,
    /// (id, digest) of parents that children name and that have not come yet.
    Awaiting,
    /// (type, id) of what is shown.
    Types,
    /// (entity, direction, type, relationship) of what is shown.
    Edges,
    /// Ids whose conflict waits for a person.
    Queue,
    /// (id, order time, digest) of ids with several records: the heads at that instant.
    Times,
    /// What was shown, or may have been, and is not now: by type, and by the ends of relationships.
    Past,
    /// Entries of branches that lost a fork, and records that no entry names, kept as evidence.
    Evidence,
    /// The kept Merkle tree, what has changed since it was kept, and the key of its short ids.
    Merkle,
    /// Blobs: which records refer to them, what of them is held, small ones themselves, and who relies on whom.
    Blobs,
}

impl Family {
    /// All of them, in order.
    pub const ALL: [Family; 14] = [
        Family::Meta,
        Family::Replicas,
        Family::Log,
        Family::Records,
        Family::Ids,
        Family::Awaiting,
        Family::Types,
        Family::Edges,
        Family::Queue,
        Family::Times,
        Family::Past,
        Family::Evidence,
        Family::Merkle,
        Family::Blobs,
    ];

    /// Its name on disk.
    pub fn name(self) -> &'static str {
        match self {
            Family::Meta => "meta",
            Family::Replicas => "replicas",
            Family::Log => "log",
            Family::Records => "records",
            Family::Ids => "ids",
            Family::Awaiting => "awaiting",
            Family::Types => "types",
            Family::Edges => "edges",
            Family::Queue => "queue",
            Family::Times => "times",
            Family::Past => "past",
            Family::Evidence => "evidence",
            Family::Merkle => "merkle",
            Family::Blobs => "blobs",
        }
    }
}

/// Why the store could not answer. After a failed commit it must be reopened; nothing of that commit may be assumed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The disk or the file system failed.
    #[error("the store failed to {doing}: {detail}; stop, check the disk, start again")]
    Io {
        /// What was attempted.
        doing: &'static str,
        /// What the system said.
        detail: String,
    },
    /// A row does not read as what it must be.
    #[error("a row of {family} is damaged: {detail}")]
    Corrupt {
        /// Where it stands.
        family: &'static str,
        /// What was wrong.
        detail: String,
    },
}

/// What is told each row of a scan; it answers whether to go on.
pub type Visit<'v> = dyn FnMut(&[u8], &[u8]) -> bool + 'v;

/// A consistent reading view of a store.
pub trait Snapshot {
    /// The value at a key.
    fn get(&self, family: Family, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError>;

    /// Visits the rows with `from` ≤ key < `until` (None: to the end) in the order of their keys, until told to stop.
    fn scan(
        &self,
        family: Family,
        from: &[u8],
        until: Option<&[u8]>,
        visit: &mut Visit<'_>,
    ) -> Result<(), StoreError>;
}

/// One row put (Some) or taken out (None).
pub type Write = (Family, Vec<u8>, Option<Vec<u8>>);

/// The high-water mark: kept beside the store so that sequences are never used twice, whatever the store forgets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HighWater {
    /// The life that is writing.
    pub replica: ReplicaId,
    /// Sequences up to here may have been used.
    pub lease_end: u64,
    /// The last entry when this was written: (sequence, hash).
    pub last: Option<(u64, Digest)>,
    /// Whether the hub stopped after writing this, so that `last` is exact.
    pub clean: bool,
}

/// The last commit's own entry: rewritten with each group and not synced; if it is ahead of what the store recovers,
/// the store went back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    /// The life that is writing.
    pub replica: ReplicaId,
    /// Its last entry.
    pub sequence: u64,
    /// Its hash.
    pub hash: Digest,
}

/// What stands beside the store.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Marks {
    /// The high-water mark, if it could be read.
    pub high_water: Option<HighWater>,
    /// The note, if it could be read.
    pub note: Option<Note>,
}

/// A group of change sets on its way to disk.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Commit {
    /// Counts commits of this process; comes back when it is durable.
    pub number: u64,
    /// To be durable *before* the rows are written.
    pub high_water: Option<HighWater>,
    /// One atomic, synced batch.
    pub writes: Vec<Write>,
    /// To be written *after* the batch, without a sync.
    pub note: Option<Note>,
}

/// A store that one writer owns.
pub trait Store {
    /// Its snapshots.
    type Snap: Snapshot;

    /// A consistent view of what is committed.
    fn snapshot(&self) -> Self::Snap;

    /// Makes the commit durable, in the order that [`Commit`] gives. After an error the store must be reopened.
    fn commit(&mut self, commit: &Commit) -> Result<(), StoreError>;

    /// What stood beside the store when it was opened.
    fn marks(&self) -> Marks;
}

/// Scans all rows whose key starts with `prefix`.
pub fn scan_prefix(
    snapshot: &dyn Snapshot,
    family: Family,
    prefix: &[u8],
    visit: &mut Visit<'_>,
) -> Result<(), StoreError> {
    snapshot.scan(family, prefix, prefix_end(prefix).as_deref(), visit)
}
